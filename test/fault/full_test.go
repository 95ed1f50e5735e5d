package fault

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// refused waits until clients get 503 and nothing else, many times in a row.
func (c *clients) refused(t *testing.T) {
	t.Helper()
	last, before := c.count(), c.refused503.Load()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		refused, receipts := c.refused503.Load(), c.count()
		if receipts != last {
			last, before = receipts, refused
		} else if refused >= before+50 {
			break
		}
		if time.Since(began) > soon || !c.d.alive() {
			t.Fatalf("no end of the answers: %v; the gateway runs %v", c, c.d.alive())
		}
	}
	if c.d.ready() {
		t.Error("ready with a journal that can't be written")
	}
}

// TestBoltFull: the file of the embedded journal can't grow, as on a full disk. Then it can again.
func TestBoltFull(t *testing.T) {
	t.Parallel()
	d := onBolt(t)
	log := &reader{d: d}
	log.next(t)
	limit := func(size string) {
		out, err := exec.Command("prlimit", "--pid", strconv.Itoa(d.process.Process.Pid), "--fsize="+size+":unlimited").CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit (Debian: package util-linux): %v, %s", err, out)
		}
	}
	for range many(1) {
		c := d.ask(t, 3, lead)
		c.more(t, 20)
		limit("0")
		c.refused(t)
		limit("unlimited")
		back := c.more(t, 20)
		c.stop(t)
		added := log.next(t)
		added.crashes(t, 0)
		added.holds(t, c)
		d.clean(t, c.dir)
		t.Logf("%v; 20 answers %v after there was room", c, back.Round(time.Millisecond))
	}
	d.onceEach(t)
	d.end(t)
}

// TestRedisOutOfMemory: Redis refuses every write, and says so. Then it has room again.
func TestRedisOutOfMemory(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	d := onRedis(t, redis)
	log := &reader{d: d}
	log.next(t)
	c := d.ask(t, 3, lead)
	c.more(t, 20)
	redis.Do(t, "CONFIG SET maxmemory 1")
	c.refused(t)
	redis.Do(t, "CONFIG SET maxmemory 0")
	back := c.more(t, 20)
	c.stop(t)
	added := log.next(t)
	added.crashes(t, 0)
	added.holds(t, c)
	d.clean(t, c.dir)
	d.onceEach(t)
	d.end(t)
	t.Logf("%v; 20 answers %v after there was room", c, back.Round(time.Millisecond))
}

// TestRedisDiskFull: Redis can't write its append-only file. With appendfsync always it ends then, and whatever watches
// over it starts it again: in vain while the disk is full. The gateway goes on by itself once there is room.
func TestRedisDiskFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	redis := redistest.Start(t, "--dir", dir)
	d := onRedis(t, redis)
	log := &reader{d: d}
	log.next(t)
	ballast := filepath.Join(dir, "ballast")
	fill(t, dir, ballast, 256<<10)
	c := d.ask(t, 4, lead)
	c.refused(t)
	text, err := os.ReadFile(filepath.Join(redis.Dir, "redis.log"))
	if err != nil || !strings.Contains(string(text), "AOF write error") {
		t.Errorf("Redis does not tell of a full disk: %v, %s", err, tail(string(text)))
	}
	for range 2 { // in vain
		redis.Restart(t)
		time.Sleep(300 * time.Millisecond)
	}
	c.refused(t)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	redis.Restart(t)
	back := c.more(t, 20)
	c.stop(t)
	added := log.next(t)
	added.crashes(t, 0)
	added.holds(t, c)
	d.clean(t, c.dir)
	d.onceEach(t)
	d.end(t)
	t.Logf("%v; 20 answers %v after there was room", c, back.Round(time.Millisecond))
}

// smallDisk gives a folder that is a small file system of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("a small file system can't be mounted here (%v): run this as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill leaves about so many bytes in a file system.
func fill(t *testing.T, dir, file string, leave uint64) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	room := s.Bavail * uint64(s.Bsize)
	if room < leave {
		t.Fatal(fmt.Errorf("only %d bytes left", room))
	}
	if err := os.WriteFile(file, make([]byte, room-leave), 0o600); err != nil {
		t.Fatal(err)
	}
}
