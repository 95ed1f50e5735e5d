package e2e

import (
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// far is a way to a server over which every answer takes a while: its reader is that much behind, as one in another
// building is.
func far(t testing.TB, server string, delay time.Duration) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	t.Cleanup(wait.Wait)
	t.Cleanup(func() { _ = l.Close() })
	wait.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			other, err := net.Dial("tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			both := func() { _ = near.Close(); _ = other.Close() }
			wait.Go(func() { _, _ = io.Copy(other, near); both() })
			wait.Go(func() { late(near, other, delay); both() })
		}
	})
	return l.Addr().String()
}

// late copies, each piece a while after it came.
func late(to io.Writer, from io.Reader, delay time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now().Add(delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	for range pieces { // the reader must not hang on a full channel
	}
}

// another begins one more gateway of a world on Redis, which reaches Redis under this address, and gives its URL. It is
// killed when the test ends.
func (w *world) another(t testing.TB, writer, redis string) string {
	t.Helper()
	port := strconv.Itoa(redistest.FreePort(t))
	dir := t.TempDir()
	w.write(t, writer+".yaml", w.variant(t, func(c map[string]any) {
		c["writer"], c["data"], c["listen"] = writer, dir, "127.0.0.1:"+port
		c["redis"] = map[string]any{"addresses": []string{redis}}
	}))
	config := filepath.Join(w.dir, writer+".yaml")
	if out, err := exec.Command(binary, "init", "--config", config).CombinedOutput(); err != nil {
		t.Fatalf("init of %s: %s", writer, out)
	}
	gw := exec.Command(binary, "serve", "--config", config)
	gw.Stdout, gw.Stderr = &w.output, &w.output
	if err := gw.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gw.Process.Signal(syscall.SIGKILL); _ = gw.Wait() })
	url := "http://127.0.0.1:" + port
	waitReady(t, url)
	return url
}
