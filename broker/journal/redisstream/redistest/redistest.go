// Package redistest runs a real redis-server for tests: its own process, port and folder, configured as Schakel demands.
//
// It refuses to skip: where redis-server is missing the test fails and says how to install it. Only tests may import it.
package redistest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	Addr string // host:port
	Dir  string // with the append-only files and redis.log

	place Place
	args  func(port string) ([]string, error)
	cmd   *exec.Cmd
	gone  chan struct{} // closed when the process has ended
}

// Place is where a server runs. The zero Place is this process's own network, on 127.0.0.1; tests of networks that break
// have others.
type Place struct {
	IP      string
	Command func(name string, args ...string) *exec.Cmd // nil: exec.Command
	Dial    func(address string) (net.Conn, error)      // nil: net.Dial
}

// Start runs a server until the test ends. More arguments override what it sets: "--appendfsync", "everysec".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartAt(t, Place{}, args...)
}

// StartAt is Start at a place.
func StartAt(t testing.TB, p Place, args ...string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), place: p}
	s.args = func(port string) ([]string, error) {
		return append([]string{
			"--bind", s.place.IP, "--port", port, "--dir", s.Dir,
			"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no",
			"--auto-aof-rewrite-percentage", "0", "--maxmemory-policy", "noeviction", "--save", "",
		}, args...), nil
	}
	return s.begin(t)
}

// StartSentinel runs a Sentinel that is configured by lines ("monitor name host port quorum"; "sentinel" goes before each).
// What it learns it keeps in a file of its own, over restarts.
func StartSentinel(t testing.TB, p Place, lines ...string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), place: p}
	s.args = func(port string) ([]string, error) {
		file := filepath.Join(s.Dir, "sentinel.conf")
		if _, err := os.Stat(file); err == nil {
			return []string{file, "--sentinel"}, nil
		}
		text := fmt.Sprintf("bind %s\nport %s\ndir %s\nprotected-mode no\n", s.place.IP, port, s.Dir)
		for _, line := range lines {
			text += "sentinel " + line + "\n"
		}
		return []string{file, "--sentinel"}, os.WriteFile(file, []byte(text), 0o600)
	}
	return s.begin(t)
}

func (s *Server) begin(t testing.TB) *Server {
	t.Helper()
	if s.place.IP == "" {
		s.place.IP = "127.0.0.1"
	}
	if s.place.Command == nil {
		s.place.Command = exec.Command
	}
	if s.place.Dial == nil {
		s.place.Dial = func(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, 10*time.Second) }
	}
	var err error
	for range 10 { // the port of its bus may be another's
		s.Addr = net.JoinHostPort(s.place.IP, strconv.Itoa(FreePort(t)))
		t.Cleanup(func() {
			if s.cmd != nil {
				s.Kill(t)
			}
		})
		if err = s.run(); err == nil {
			return s
		}
		if s.cmd != nil {
			s.Kill(t)
		}
		_ = os.Remove(filepath.Join(s.Dir, "sentinel.conf")) // it has the port
	}
	t.Fatal(err)
	return nil
}

// FreePort gives a port that nobody has, and that no other test on this machine gets until this one ends: the port waits for
// whoever is started, or started again, on it. It is below those that the system gives to whoever names none, and so is the bus of
// a cluster node (port + 10000).
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12_000 + rand.IntN(9_000)
		mine, err := net.Listen("unix", "@schakel-test-port-"+strconv.Itoa(port))
		if err != nil {
			continue // another test's
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			_ = mine.Close()
			continue
		}
		t.Cleanup(func() { _ = mine.Close() })
		return port
	}
	t.Fatal("no port is free")
	return 0
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
	args, err := s.args(port)
	if err != nil {
		return err
	}
	cmd := s.place.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	s.cmd, s.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended shows in what the test sees
		close(gone)
	}(s.gone)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
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
	return errors.New("redis-server does not answer within a minute")
}

// answers tells whether the server is up and has loaded its files.
func (s *Server) answers() bool {
	answer, err := s.Try("PING")
	return err == nil && (strings.HasPrefix(answer, "+PONG") || strings.HasPrefix(answer, "-NOAUTH"))
}

// Do sends one command, as words between spaces, and gives the first bytes of the answer.
func (s *Server) Do(t testing.TB, words string) string {
	t.Helper()
	answer, err := s.Try(words)
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return answer
}

// Try is Do, for a server that may be away.
func (s *Server) Try(words string) (string, error) {
	c, err := s.place.Dial(s.Addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // a failure shows in the read
	if _, err := io.WriteString(c, words+"\r\n"); err != nil {
		return "", err
	}
	buf := make([]byte, 16<<10)
	n, err := c.Read(buf)
	return string(buf[:n]), err
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
