package fault

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// start starts the gateway's process, and does not wait for it.
func (d *deployment) start(t *testing.T) {
	t.Helper()
	c := d.host.command(binary, d.args...)
	c.Stdout, c.Stderr = &d.output, &d.output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait() // how it ended is in its state
		close(gone)
	}()
	d.process, d.gone = c, gone
}

func (d *deployment) alive() bool {
	select {
	case <-d.gone:
		return false
	default:
		return true
	}
}

// kill ends the gateway with SIGKILL.
func (d *deployment) kill(t *testing.T) {
	t.Helper()
	if !d.alive() {
		t.Errorf("the gateway had ended by itself: %v\n%s", d.process.ProcessState, tail(d.output.String()))
	}
	_ = d.process.Process.Kill()
	<-d.gone
}

// end ends the gateway as an operator does, and expects it to end well.
func (d *deployment) end(t *testing.T) {
	t.Helper()
	_ = d.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.gone:
		if code := d.process.ProcessState.ExitCode(); code != 0 {
			t.Errorf("SIGTERM: exit %d\n%s", code, tail(d.output.String()))
		}
	case <-time.After(soon):
		t.Error("the gateway does not end")
	}
}

// stopped kills the gateway if it has not ended by itself.
func (d *deployment) stopped() {
	_ = d.process.Process.Kill()
	<-d.gone
}

// waitEnd waits until the gateway ends by itself, and gives its exit code.
func (d *deployment) waitEnd(t *testing.T) int {
	t.Helper()
	select {
	case <-d.gone:
		return d.process.ProcessState.ExitCode()
	case <-time.After(soon):
		t.Fatalf("the gateway goes on")
		return 0
	}
}

func (d *deployment) url() string {
	if d.info.Server != "" {
		return d.info.Server
	}
	var i info
	data, _ := os.ReadFile(filepath.Join(d.dir, "demo.json"))
	_ = json.Unmarshal(data, &i)
	return i.Server
}

func (d *deployment) ready() bool {
	url := d.url()
	if url == "" {
		return false
	}
	client := d.host.client(2 * time.Second)
	defer client.CloseIdleConnections()
	resp, err := client.Get(url + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// waitReady waits until the gateway says that it is ready, and tells how long that took.
func (d *deployment) waitReady(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for !d.ready() {
		if time.Since(began) > soon || !d.alive() {
			t.Fatalf("not ready:\n%s", tail(d.output.String()))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tail(s string) string { return s[max(0, len(s)-3000):] }
