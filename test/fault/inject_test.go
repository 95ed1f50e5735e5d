package fault

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// inject makes system calls of a running process fail, until stop is called or the process ends.
func inject(t *testing.T, pid int, calls, errno string) (stop func()) {
	t.Helper()
	return attach(t, pid, "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":error="+errno)
}

// attach lets strace at a running process, until stop is called or the process ends.
func attach(t *testing.T, pid int, args ...string) (stop func()) {
	t.Helper()
	c := exec.Command("strace", append([]string{"-f", "-p", strconv.Itoa(pid)}, args...)...)
	stderr, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatalf("strace (Debian: apt-get install strace): %v", err)
	}
	lines := bufio.NewScanner(stderr)
	attached := false
	for !attached && lines.Scan() {
		attached = strings.Contains(lines.Text(), "attached")
	}
	if !attached {
		_ = c.Wait()
		t.Fatalf("strace can't attach to a process: run this as root")
	}
	done := make(chan struct{})
	go func() {
		for lines.Scan() { // it tells of every new thread
		}
		_ = c.Wait()
		close(done)
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = c.Process.Signal(syscall.SIGINT)
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestBoltSyncFails: the disk under the embedded journal fails to sync. What was written by then may be there or not, so
// nothing is answered until that is settled, and the gateway settles it by itself.
func TestBoltSyncFails(t *testing.T) {
	t.Parallel()
	d := onBolt(t)
	log := &reader{d: d}
	log.next(t)
	for range many(1) {
		c := d.ask(t, 3, lead)
		c.more(t, 20)
		stop := inject(t, d.process.Process.Pid, "fsync,fdatasync", "EIO")
		c.refused(t)
		stop()
		back := c.more(t, 20)
		c.stop(t)
		added := log.next(t)
		added.crashes(t, 0)
		added.holds(t, c)
		d.clean(t, c.dir)
		t.Logf("%v; 20 answers %v after the disk was well", c, back.Round(time.Millisecond))
	}
	d.onceEach(t)
	d.end(t)
}

// TestRedisSyncFails: the disk under Redis fails to sync. With appendfsync always Redis ends; what was written and not
// synced comes back with it, without having been acknowledged, and must not be doubled.
func TestRedisSyncFails(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	d := onRedis(t, redis)
	log := &reader{d: d}
	log.next(t)
	c := d.ask(t, 4, lead)
	c.more(t, 20)
	pid, err := strconv.Atoi(redisInfo(t, redis, "server", "process_id"))
	if err != nil {
		t.Fatal(err)
	}
	stop := inject(t, pid, "fsync,fdatasync", "EIO")
	c.refused(t)
	stop()
	redis.Restart(t)
	back := c.more(t, 20)
	c.stop(t)
	added := log.next(t)
	added.crashes(t, 0)
	added.holds(t, c)
	d.clean(t, c.dir)
	d.onceEach(t)
	d.end(t)
	t.Logf("%v; 20 answers %v after Redis was back", c, back.Round(time.Millisecond))
}

// redisInfo gives one line of INFO.
func redisInfo(t *testing.T, s *redistest.Server, section, name string) string {
	t.Helper()
	value, ok := infoLine(s.Do(t, "INFO "+section), name)
	if !ok {
		t.Fatalf("INFO %s has no %s", section, name)
	}
	return value
}

func infoLine(info, name string) (string, bool) {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), name+":"); ok {
			return value, true
		}
	}
	return "", false
}

// follows tells whether a server is a replica that hears its master.
func follows(s *redistest.Server) bool {
	info, err := s.Try("INFO replication") // whoever is made a replica drops all connections
	role, _ := infoLine(info, "role")
	link, _ := infoLine(info, "master_link_status")
	return err == nil && role == "slave" && link == "up"
}
