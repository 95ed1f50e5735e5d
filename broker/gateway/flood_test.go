package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
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
	"golang.org/x/net/http2/hpack"

	"github.com/schakel/schakel/broker"
)

var idleConnections = flag.Int("connections", 10_000, "idle connections of TestIdleConnectionsMakeRoom")

// listening is a site that also listens for HTTP/2 over TLS.
type listening struct {
	*site
	addr string
}

func newListening(t *testing.T, change ...func(*Config)) *listening {
	t.Helper()
	s := newSite(t, append(change, func(c *Config) {
		c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}} //nolint:gosec // the minimum is set by Server
	})...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.gateway.Server("")
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return &listening{s, l.Addr().String()}
}

// client is one that behaves.
func (l *listening) client(t *testing.T) func(path string) int {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it signed its own
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	return func(path string) int {
		res, err := c.Get("https://" + l.addr + path)
		if err != nil {
			t.Errorf("a client that behaves: %v", err)
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	}
}

// framed is a raw HTTP/2 connection.
type framed struct {
	net.Conn
	*http2.Framer
	out   *bufio.Writer
	block bytes.Buffer
	hpack *hpack.Encoder
}

func (l *listening) framed(t *testing.T, settings ...http2.Setting) *framed {
	t.Helper()
	c, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // likewise
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	f := &framed{Conn: c, out: bufio.NewWriterSize(c, 64<<10)}
	f.Framer = http2.NewFramer(f.out, c)
	f.hpack = hpack.NewEncoder(&f.block)
	_, err = io.WriteString(f.out, http2.ClientPreface)
	if err = errors.Join(err, f.WriteSettings(settings...), f.out.Flush()); err != nil {
		t.Fatal(err)
	}
	return f
}

// headers is a block of headers of one request, good for one write in order.
func (f *framed) headers(method, path string, more ...string) []byte {
	f.block.Reset()
	fields := append([]string{":method", method, ":scheme", "https", ":authority", "x", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = f.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return f.block.Bytes()
}

// watch reads frames until the connection ends, and gives the code of a GOAWAY.
func (f *framed) watch() <-chan http2.ErrCode {
	ended := make(chan http2.ErrCode, 1)
	go func() {
		code := http2.ErrCodeNo
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				ended <- code
				return
			}
			if g, ok := frame.(*http2.GoAwayFrame); ok {
				code = g.ErrCode
			}
		}
	}()
	return ended
}

// settles waits until no more goroutines run than before, with room for what the runtime and idle clients keep.
func settles(t *testing.T, before int) {
	t.Helper()
	const room = 10
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if now := runtime.NumGoroutine(); now <= before+room {
			return
		} else if time.Now().After(deadline) {
			t.Errorf("%d goroutines, %d before", now, before)
			return
		}
	}
}

// Rapid resets (CVE-2023-44487): streams that are reset as soon as they are asked. The handlers at work stay bounded; where
// they don't notice, the connection is given up. Others are answered, and nothing stays behind.
func TestHTTP2RapidReset(t *testing.T) {
	for _, c := range []struct {
		name    string
		streams int
		notices bool // that the client is gone
		code    http2.ErrCode
	}{
		{"handlers that notice", 20_000, true, http2.ErrCodeNo},
		{"handlers that don't", 20_000, false, http2.ErrCodeEnhanceYourCalm},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newListening(t)
			var running, most atomic.Int64
			release := make(chan struct{})
			l.disclose = func(ctx context.Context, _ broker.Call) (broker.Envelope, error) {
				now := running.Add(1)
				defer running.Add(-1)
				for {
					seen := most.Load()
					if now <= seen || most.CompareAndSwap(seen, now) {
						break
					}
				}
				if c.notices {
					<-ctx.Done()
				} else {
					<-release
				}
				return broker.Envelope{}, ctx.Err()
			}
			polite := l.client(t)
			polite("/livez")
			before := runtime.NumGoroutine()
			f := l.framed(t)
			ended := f.watch()
			sent := 0
			for ; sent < c.streams; sent++ {
				id := uint32(2*sent + 1)
				err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: f.headers("POST", "/v1/disclosures",
					"authorization", "Bearer a.b.c", "content-type", "application/json", "content-length", "0"), EndStream: true})
				if err = errors.Join(err, f.WriteRSTStream(id, http2.ErrCodeCancel)); err != nil {
					break
				}
				if sent%5_000 == 0 {
					if got := polite("/livez"); got != 200 {
						t.Errorf("a client that behaves gets %d", got)
					}
				}
			}
			_ = f.out.Flush()
			if got := polite("/livez"); got != 200 {
				t.Errorf("afterwards a client that behaves gets %d", got)
			}
			var code http2.ErrCode
			if c.notices {
				_ = f.Conn.Close()
			}
			code = <-ended
			_ = f.Conn.Close()
			close(release)
			t.Logf("%d streams reset, at most %d handlers at once, ended with %v", sent, most.Load(), code)
			if most.Load() > maxStreams || most.Load() == 0 || code != c.code {
				t.Errorf("%d handlers at once, want 1 to %d; ended with %v, want %v", most.Load(), maxStreams, code, c.code)
			}
			settles(t, before)
		})
	}
}

// More streams than agreed are refused, and those that are open go on.
func TestHTTP2StreamLimit(t *testing.T) {
	l := newListening(t)
	release := make(chan struct{})
	l.disclose = func(context.Context, broker.Call) (broker.Envelope, error) {
		<-release
		return broker.Envelope{}, broker.Fail(broker.KindBusy, "too-many-requests", nil)
	}
	f := l.framed(t)
	for i := range maxStreams + 20 {
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true, EndStream: true,
			BlockFragment: f.headers("POST", "/v1/disclosures", "authorization", "Bearer a.b.c", "content-type", "application/json")})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.out.Flush(); err != nil {
		t.Fatal(err)
	}
	refused, answered := 0, 0
	var once sync.Once
	for refused+answered < maxStreams+20 {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%d refused, %d answered: %v", refused, answered, err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingMaxConcurrentStreams); !frame.IsAck() && (!ok || v != maxStreams) {
				t.Errorf("the server tells of %d streams", v)
			}
		case *http2.RSTStreamFrame:
			if refused++; frame.ErrCode != http2.ErrCodeRefusedStream {
				t.Errorf("stream %d ends with %v", frame.StreamID, frame.ErrCode)
			}
		case *http2.HeadersFrame:
			answered++
		}
		if refused == 20 {
			once.Do(func() { close(release) })
		}
	}
	if answered != maxStreams || l.count() != maxStreams {
		t.Errorf("%d answered, %d reached the broker, want %d", answered, l.count(), maxStreams)
	}
}

// Floods on one connection end it, at once or when it is idle; a client that behaves is answered meanwhile, and what is
// too large is not kept.
func TestHTTP2Floods(t *testing.T) {
	const frames = 300
	l := newListening(t, func(c *Config) { c.IdleTimeout = 300 * time.Millisecond })
	polite := l.client(t)
	polite("/livez")
	before := runtime.NumGoroutine()
	junk := bytes.Repeat([]byte{0x40, 1, 'a', 1, 'b'}, 3_000) // a literal header, over and over
	for name, flood := range map[string]func(f *framed, i int) error{
		"CONTINUATION without an end": func(f *framed, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.headers("GET", "/livez")})
			}
			return f.WriteContinuation(1, false, junk)
		},
		"empty CONTINUATION": func(f *framed, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.headers("GET", "/livez")})
			}
			return f.WriteContinuation(1, false, nil)
		},
		"headers larger than all limits": func(f *framed, i int) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true, BlockFragment: junk})
		},
		"a bomb of indexed headers": func(f *framed, i int) error {
			block := f.headers("GET", "/livez", "x-large", strings.Repeat("a", 3_000))
			block = append(block, bytes.Repeat([]byte{0x80 | 62}, 8_000)...) // 24 MB when unpacked
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true, EndStream: true, BlockFragment: block})
		},
		"DATA on a stream that is no more": func(f *framed, i int) error { return f.WriteData(9, false, nil) },
		"frames of a kind only servers send": func(f *framed, i int) error {
			return f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true, BlockFragment: f.headers("GET", "/livez")})
		},
		"window over its end": func(f *framed, i int) error { return f.WriteWindowUpdate(0, 1<<31-1) },
		"window of nothing":   func(f *framed, i int) error { return f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) },
	} {
		t.Run(name, func(t *testing.T) {
			var start, end runtime.MemStats
			runtime.ReadMemStats(&start)
			f := l.framed(t)
			ended := f.watch()
			go func() {
				for i := range frames {
					if errors.Join(flood(f, i), f.out.Flush()) != nil {
						return
					}
				}
			}()
			if got := polite("/livez"); got != 200 {
				t.Errorf("a client that behaves gets %d", got)
			}
			select {
			case code := <-ended:
				t.Logf("ended with %v", code)
			case <-time.After(15 * time.Second):
				t.Error("the connection goes on")
			}
			_ = f.Conn.Close()
			runtime.ReadMemStats(&end)
			if got := (end.TotalAlloc - start.TotalAlloc) >> 20; got > 300 {
				t.Errorf("%d MB were allocated for it", got)
			}
		})
	}
	settles(t, before)
}

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
	const limit = 1_000
	// Those of ours stay open until the server closes them, each end is a descriptor, and the rest of the process has some.
	want := min(*idleConnections, int(files.Max)-limit-500)
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
			_ = c.Close()
		}
	}()
	for i := range want {
		c, err := net.Dial("tcp", s.server.Listener.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		idle = append(idle, c)
		if i%2 == 1 {
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if i%100 == 0 {
			ask()
		}
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
