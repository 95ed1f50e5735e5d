package fault

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestPowerLoss cuts the append-only file off at what Redis had synced when it died: what a machine without power has
// kept at the least. With appendfsync always every receipt must still be there. With everysec, which the gateway refuses to
// begin with and which is set behind its back here, receipts must be missing: that shows that this test can tell. (Where Redis
// happened to sync just before it died, all begins again.)
func TestPowerLoss(t *testing.T) {
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		if missing, after := powerLoss(t, "always"); missing != 0 || !after.OK {
			t.Errorf("%d receipts are gone; faults %v", missing, after.Faults)
		}
	})
	t.Run("everysec", func(t *testing.T) {
		t.Parallel()
		missing, after := powerLoss(t, "everysec")
		for range 5 {
			if missing > 0 {
				break
			}
			missing, after = powerLoss(t, "everysec")
		}
		if missing == 0 || !after.has("receipt", "no event has the hash") {
			t.Errorf("the test does not see a loss: faults %v", after.Faults)
		}
	})
}

// powerLoss hands out receipts, takes the power away, and tells how many of the receipts are gone and what verifying finds.
func powerLoss(t *testing.T, policy string) (missing int, after report) {
	t.Helper()
	redis, trace := tracedRedis(t)
	d := onRedis(t, redis)
	warm := d.ask(t, 4, lead)
	warm.more(t, 50)
	warm.stop(t)
	var c *clients
	if policy == "always" {
		c = d.ask(t, 4, lead)
		c.more(t, 200)
	} else {
		c = d.unsafely(t, redis, policy)
	}
	redis.Kill(t)
	if policy != "always" { // else it goes on, and Redis alone loses power
		d.kill(t)
		c.stop(t)
	}
	written, synced := trace.cut(t)
	redis.Restart(t)
	if policy != "always" {
		d.start(t)
		d.waitReady(t)
	} else {
		c.more(t, 20)
		c.stop(t)
	}
	t.Logf("%v; the file had %d bytes, of which %d synced", c, written, synced)
	if before := d.verify(t, warm.dir); before.Receipts != len(warm.receipts) { // the setting changed after these
		t.Errorf("%d of %d receipts from before", before.Receipts, len(warm.receipts))
	}
	after = d.verify(t, c.dir)
	missing = len(c.receipts) - after.Receipts
	t.Logf("%d of %d receipts are gone", missing, len(c.receipts))
	d.end(t)
	return missing, after
}

// unsafely hands out receipts under a policy that syncs too late. The gateway reads Redis' settings every ten seconds and
// with each new connection, and refuses this one when it sees it: then the setting is put right, and all begins again. What was
// handed out before is synced by then, and no evidence of a loss.
func (d *deployment) unsafely(t *testing.T, redis *redistest.Server, policy string) (c *clients) {
	t.Helper()
	set := func(policy string) {
		if answer := redis.Do(t, "CONFIG SET appendfsync "+policy); !strings.HasPrefix(answer, "+OK") {
			t.Fatal(answer)
		}
	}
	until(t, "receipts are handed out on an unsafe store", func() bool {
		set(policy)
		c = d.ask(t, 4, lead)
		for c.count() < 50 && c.refused503.Load() == 0 && d.alive() {
			time.Sleep(time.Millisecond)
		}
		if c.count() > 0 {
			return true
		}
		c.stop(t)
		t.Logf("begun again: %v", c)
		set("always")
		d.waitReady(t)
		return false
	})
	return c
}

// trace is what strace tells of a Redis.
type trace struct{ file, dir string }

// tracedRedis starts a Redis under strace, which notes each write and sync. strace stands behind the process (-D), so
// that a signal to it reaches Redis itself.
func tracedRedis(t *testing.T) (*redistest.Server, trace) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is missing: install it (Debian: apt-get install strace) and run the test again")
	}
	real, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: install it (Debian: apt-get install redis-server) and run the test again")
	}
	dir := t.TempDir()
	tr := trace{file: filepath.Join(dir, "trace")}
	// A second start must not write over the first one's notes.
	script := fmt.Sprintf("#!/bin/sh\nif [ -e '%[1]s' ]; then exec '%[3]s' \"$@\"; fi\n"+
		"exec '%[2]s' -D -f -y -s 0 -e trace=write,writev,pwrite64,fsync,fdatasync,ftruncate -e signal=none -o '%[1]s' '%[3]s' \"$@\"\n", tr.file, strace, real)
	if err := os.WriteFile(filepath.Join(dir, "redis-server"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s := redistest.StartAt(t, redistest.Place{Command: func(_ string, args ...string) *exec.Cmd {
		return exec.Command(filepath.Join(dir, "redis-server"), args...)
	}})
	tr.dir = s.Dir
	return s, tr
}

var (
	call     = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<([^>]*)>`)
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	returned = regexp.MustCompile(`= (\d+)$`)
)

// cut shortens the append-only file of a Redis that was killed to what it had synced, and tells both sizes. A sync covers
// what had been written when it began.
func (tr trace) cut(t *testing.T) (written, synced int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tr.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("one append-only file expected: %v, %v", files, err)
	}
	f, err := os.Open(tr.file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	type begun struct {
		ours, write bool
		covers      int64
	}
	open := map[string]begun{} // by thread
	syncs := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var thread string
		var b begun
		if m := call.FindStringSubmatch(line); m != nil {
			thread, b = m[1], begun{ours: m[3] == files[0], write: strings.Contains(m[2], "write"), covers: written}
			if b.ours && (m[2] == "ftruncate" || m[2] == "pwrite64") {
				t.Fatalf("this test does not reckon with %s", line)
			}
			if strings.Contains(line, "<unfinished") {
				open[thread] = b
				continue
			}
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			thread = m[1]
			b = open[thread]
			delete(open, thread)
		}
		m := returned.FindStringSubmatch(strings.TrimRight(line, " "))
		if !b.ours || m == nil {
			continue
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		switch {
		case err != nil:
			t.Fatal(err)
		case b.write:
			written += n
		default:
			synced, syncs = max(synced, b.covers), syncs+1
		}
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	// The last write may have been cut off by the kill before strace saw its end.
	if info.Size() < written || syncs == 0 || synced == 0 {
		t.Fatalf("strace saw %d bytes written and %d synced by %d calls; the file has %d", written, synced, syncs, info.Size())
	}
	if err := os.Truncate(files[0], synced); err != nil {
		t.Fatal(err)
	}
	return info.Size(), synced
}

// TestBoltSyncsBeforeItAnswers: a bbolt file can't be cut off at what was synced, so this looks on instead. One client asks
// one question at a time; between two of its answers something was written to the journal and synced, the pages and then the
// meta page. (Others write there too now and then, such as who holds a lease: not between each two answers.)
func TestBoltSyncsBeforeItAnswers(t *testing.T) {
	t.Parallel()
	d := onBolt(t)
	file := filepath.Join(t.TempDir(), "trace")
	stop := attach(t, d.process.Process.Pid, "-y", "-s", "512", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", file)
	c := d.ask(t, 1, lead)
	c.more(t, 40)
	c.stop(t)
	stop()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(d.dir, "journal.db")
	open := map[string]string{} // by thread: the call under way
	waiting, synced, since, answers := false, 0, 0, 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		m := call.FindStringSubmatch(line)
		if m != nil && strings.Contains(line, "\"HTTP/1.1 ") && strings.Contains(line, "Payload-Signature") { // and none of an agency's
			if answers++; since < 2 {
				t.Fatalf("answer %d went out after %d syncs: before its event was safe", answers, since)
			}
			since, waiting = 0, false
		}
		name := ""
		switch r := resumed.FindStringSubmatch(line); {
		case m != nil && m[3] == journal:
			name = m[2]
			waiting = waiting || name == "pwrite64"
			if strings.Contains(line, "<unfinished") {
				open[m[1]] = name
				continue
			}
		case r != nil:
			name = open[r[1]]
			delete(open, r[1])
		}
		if strings.HasSuffix(name, "sync") && returned.MatchString(line) {
			if synced++; waiting {
				waiting, since = false, since+1
			}
		}
	}
	if answers < 40 {
		t.Errorf("strace saw %d answers and %d syncs", answers, synced)
	}
	d.clean(t, c.dir)
	d.end(t)
	t.Logf("%d answers, %d syncs", answers, synced)
}
