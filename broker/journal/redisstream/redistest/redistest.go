// Package redistest runs a real redis-server for tests: its own process, port and folder, configured as Schakel demands.
//
// It refuses to skip: where redis-server is missing the test fails and says how to install it. Only tests may import it.
package redistest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is one redis-server process, and its folder across restarts.
type Server struct {
	Addr string // 127.0.0.1:port
	Dir  string // with the append-only files and redis.log

	args []string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// Start runs a server until the test ends. More arguments override what it sets: "--appendfsync", "everysec".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), args: args}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.Kill(t)
		}
	})
	var err error
	for range 10 { // another process may take the port between choosing and using it
		var port int
		if port, err = freePort(); err != nil {
			continue
		}
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if err = s.run(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// freePort gives a port that is free now, and low enough for the bus of a cluster node (port + 10000).
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil || port > 55000 {
		return 0, fmt.Errorf("no usable port: got %d, %w", port, err)
	}
	return port, nil
}

func (s *Server) run() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is missing: install it (Debian: apt-get install redis-server) and run the test again")
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, "redis.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	_, port, _ := net.SplitHostPort(s.Addr)
	cmd := exec.Command(path, append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", s.Dir,
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
		"--maxmemory-policy", "noeviction", "--save", "",
	}, s.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	s.cmd, s.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended shows in what the test sees
		close(gone)
	}(s.gone)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		select {
		case <-s.gone:
			s.cmd = nil
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("redis-server ended at once:\n%s", text[max(0, len(text)-2000):])
		case <-time.After(5 * time.Millisecond):
		}
		if s.answers() {
			return nil
		}
	}
	return errors.New("redis-server does not answer within 10 s")
}

// answers tells whether the server is up and has loaded its files.
func (s *Server) answers() bool {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second)) // a failure shows in the read
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return false
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return err == nil && (strings.HasPrefix(string(buf[:n]), "+PONG") || strings.HasPrefix(string(buf[:n]), "-NOAUTH"))
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	<-s.gone
	s.cmd = nil
}

// Restart starts the server again, on the same port and folder.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.cmd != nil {
		s.Kill(t)
	}
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// PID is the number of the process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Pause stops the process with SIGSTOP: connections stay open, and nothing answers.
func (s *Server) Pause(t testing.TB) { t.Helper(); s.signal(t, syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume(t testing.TB) { t.Helper(); s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("send %v to redis-server: %v", sig, err)
	}
}
