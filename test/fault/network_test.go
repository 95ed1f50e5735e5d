package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// host is one side of a network that can be cut: a network namespace, with an address that the other side reaches.
// The nil host is the test's own network, on 127.0.0.1.
type host struct {
	name, ip, device string
	reached          bool // the agencies listen in it
}

var networks atomic.Int64

// twoHosts makes two hosts with a cable between them.
func twoHosts(t *testing.T) (a, b *host) {
	t.Helper()
	name := fmt.Sprintf("schakel-fault-%d-%d", os.Getpid(), networks.Add(1))
	a = &host{name: name + "a", ip: "10.77.0.1", device: "cable-a"}
	b = &host{name: name + "b", ip: "10.77.0.2", device: "cable-b"}
	if err := ip("netns", "add", a.name); err != nil {
		t.Skipf("a network can't be made here (%v): run this as root, with ip (Debian: apt-get install iproute2)", err)
	}
	t.Cleanup(func() { _ = ip("netns", "del", a.name) })
	err := ip("netns", "add", b.name)
	t.Cleanup(func() { _ = ip("netns", "del", b.name) })
	err = errors.Join(err, ip("-n", a.name, "link", "add", a.device, "type", "veth", "peer", "name", b.device, "netns", b.name))
	for _, h := range []*host{a, b} {
		err = errors.Join(err, ip("-n", h.name, "address", "add", h.ip+"/24", "dev", h.device),
			ip("-n", h.name, "link", "set", h.device, "up"), ip("-n", h.name, "link", "set", "lo", "up"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w, %s", args, err, out)
	}
	return nil
}

// cut takes the cable out; mend puts it in again.
func (h *host) cut(t *testing.T)  { t.Helper(); h.set(t, "down") }
func (h *host) mend(t *testing.T) { t.Helper(); h.set(t, "up") }

func (h *host) set(t *testing.T, state string) {
	t.Helper()
	if err := ip("-n", h.name, "link", "set", h.device, state); err != nil {
		t.Fatal(err)
	}
}

// at is the address to listen on.
func (h *host) at() string {
	if h == nil {
		return "127.0.0.1"
	}
	return h.ip
}

// command runs a program there, on generated persons, whatever is at hand: nothing here depends on who they are.
func (h *host) command(name string, args ...string) *exec.Cmd {
	if h != nil {
		name, args = "ip", append([]string{"netns", "exec", h.name, name}, args...) // which becomes the program
	}
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SCHAKEL_BRP=")
	return c
}

// within does something in the host's network. What it opens stays there.
func (h *host) within(do func() error) error {
	if h == nil {
		return do()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		f, err := os.Open("/var/run/netns/" + h.name)
		if err == nil {
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
			_ = f.Close()
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	return <-done
}

func (h *host) dial(ctx context.Context, _, address string) (c net.Conn, err error) {
	err = h.within(func() error {
		c, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", address)
		return err
	})
	return c, err
}

// client is an HTTP client in the host's network.
func (h *host) client(timeout time.Duration) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.dial}, Timeout: timeout}
}

// place is where servers of package redistest run.
func (h *host) place() redistest.Place {
	if h == nil {
		return redistest.Place{}
	}
	return redistest.Place{IP: h.ip, Command: h.command,
		Dial: func(address string) (net.Conn, error) { return h.dial(context.Background(), "tcp", address) }}
}

// reach makes what listens in the test's own network reachable under the same addresses in the host's.
func (h *host) reach(t *testing.T, urls []string) {
	t.Helper()
	if h == nil || h.reached {
		return
	}
	h.reached = true
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		var l net.Listener
		if err := h.within(func() error { l, err = net.Listen("tcp", u.Host); return err }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				in, err := l.Accept()
				if err != nil {
					return
				}
				go join(in, u.Host)
			}
		}()
	}
}

func join(in net.Conn, address string) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}
