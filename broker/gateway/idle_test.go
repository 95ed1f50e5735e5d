package gateway

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

var idleConnections = flag.Int("connections", 3_000, "idle connections of TestIdleConnectionsMakeRoom; the long form has 10,000")

// A client that never reads its answers, by HTTP/2's window or by TCP's, is let go within the limits.
func TestClientThatDoesNotRead(t *testing.T) {
	short := func(c *Config) { c.ReadTimeout, c.RequestTimeout = 100*time.Millisecond, 100*time.Millisecond }
	t.Run("HTTP/2", func(t *testing.T) {
		l := newListening(t, short, func(c *Config) { c.IdleTimeout = 100 * time.Millisecond })
		f := l.framed(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for i := range 50 {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true, EndStream: true,
				BlockFragment: f.headers("GET", "/v1/openapi.json")}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.out.Flush(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.watch():
		case <-time.After(10 * time.Second):
			t.Error("the connection stays")
		}
	})
	t.Run("HTTP/1", func(t *testing.T) {
		s := newSite(t, short)
		c := s.dial(t)
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		go func() {
			request := []byte(strings.Repeat("GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 2_000)) // 120 MB of answers
			_, _ = c.Write(request)
		}()
		// The server gives up while we read nothing: what it wrote by then is far from all.
		time.Sleep(time.Second)
		got, _ := io.Copy(io.Discard, c)
		if got > 60<<20 {
			t.Errorf("%d bytes were kept for a client that did not read", got)
		}
	})
}

// A client that sends something now and then is no better than one that sends nothing: what counts is the whole request.
func TestDrips(t *testing.T) {
	short := func(c *Config) { c.HeaderTimeout, c.ReadTimeout = 150*time.Millisecond, 300*time.Millisecond }
	head := "POST /v1/disclosures HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ first, drip string }{
		"a letter of a header":    {"GET /livez HTTP/1.1\r\nHost: x\r\nX: ", "a"},
		"a header":                {"GET /livez HTTP/1.1\r\n", "X: a\r\n"},
		"an empty line before":    {"", "\r\n"},
		"a letter of the method":  {"", "G"},
		"a letter of the body":    {head + "Content-Length: 5000\r\n\r\n", " "},
		"a chunk of the body":     {head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"},
		"a letter of a chunk":     {head + "Transfer-Encoding: chunked\r\n\r\n5000\r\n", " "},
		"an extension of a chunk": {head + "Transfer-Encoding: chunked\r\n\r\n1;", "a"},
		"a trailer":               {head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "X: a\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, short)
			conn := s.dial(t)
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				close(ended)
			}()
			_, _ = io.WriteString(conn, c.first)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for limit := time.After(8 * time.Second); ; {
				select {
				case <-ended:
					if s.count() != 0 {
						t.Error("it reached the broker")
					}
					return
				case <-limit:
					t.Fatal("it may go on dripping")
				case <-tick.C:
					_, _ = io.WriteString(conn, c.drip)
				}
			}
		})
	}
	t.Run("nothing at all, to a listener with TLS", func(t *testing.T) {
		l := newListening(t, short)
		c, err := net.Dial("tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(8 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Error("a handshake may take for ever")
		}
	})
	t.Run("a body over HTTP/2", func(t *testing.T) {
		l := newListening(t, short)
		f := l.framed(t)
		ended := f.watch()
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: f.headers("POST", "/v1/disclosures",
			"authorization", "Bearer a.b.c", "content-type", "application/json")})
		for limit := time.Now().Add(8 * time.Second); err == nil; {
			if err = errors.Join(f.WriteData(1, false, []byte(" ")), f.out.Flush()); time.Now().After(limit) {
				t.Fatal("it may go on dripping")
			}
			time.Sleep(10 * time.Millisecond)
			if e := l.log.String(); strings.Contains(e, `"body-too-slow"`) {
				break
			}
		}
		_ = f.Conn.Close()
		<-ended
		if e := l.events(t, 1)[0]; e["code"] != "body-too-slow" || l.count() != 0 {
			t.Errorf("%v", e)
		}
	})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Thousands of connections that only stay open, some silent from the start and some after a request: a client that asks is
// answered all the while, and the longest idle ones go.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	files.Cur = files.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Logf("no more descriptors: %v", err)
	}
	// Ours stay open until the end, the server's to its limit, each end is a descriptor, and the rest of the process has some.
	want := min(*idleConnections, int(files.Max)*10/11-500)
	limit := want / 10
	s := newSite(t, func(c *Config) {
		c.MaxConnections = limit
		c.IdleTimeout = time.Hour
		c.HeaderTimeout = time.Hour
		c.ReadTimeout = time.Hour
	})
	before := runtime.NumGoroutine()
	fresh := 0
	ask := func() {
		r := s.request(t, http.MethodGet, "/livez", "")
		r = r.WithContext(newConnections(r.Context(), &fresh))
		if got := s.do(t, r); got.StatusCode != 200 {
			t.Fatalf("%d", got.StatusCode)
		}
	}
	ask()
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	idle = make([]net.Conn, want)
	for from := 0; from < want; from += 100 {
		var group sync.WaitGroup
		for i := from; i < min(from+100, want); i++ {
			group.Go(func() {
				c, err := net.Dial("tcp", s.server.Listener.Addr().String())
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				if idle[i] = c; i%2 == 1 {
					_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
				}
			})
		}
		if group.Wait(); t.Failed() {
			t.FailNow()
		}
		ask()
	}
	ask()
	// The server has no more than the limit, each with a goroutine or two.
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2*limit+50; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines for %d connections", runtime.NumGoroutine()-before, limit)
		}
	}
	var shed atomic.Int64
	for _, c := range idle {
		go func() {
			_, _ = io.Copy(io.Discard, c)
			shed.Add(1)
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); shed.Load() < int64(want-limit); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d connections are open", want-int(shed.Load()), want)
		}
	}
	t.Logf("%d connections, at most %d at once, %d shed; the client that asked had %d; descriptors allowed: %d", want, limit,
		shed.Load(), fresh, files.Max)
	for _, c := range idle {
		_ = c.Close()
	}
	settles(t, before)
}
