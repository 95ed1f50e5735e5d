package gateway

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/schakel/schakel/broker"
)

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
	}{
		{"handlers that notice", 20_000, true},
		{"handlers that don't", 20_000, false},
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
			if c.notices {
				_ = f.Conn.Close()
			}
			code := <-ended
			_ = f.Conn.Close()
			close(release)
			t.Logf("%d streams reset, at most %d handlers at once, ended with %v", sent, most.Load(), code)
			if most.Load() > maxStreams {
				t.Errorf("%d handlers at once, want at most %d", most.Load(), maxStreams)
			}
			if !c.notices && (code != http2.ErrCodeEnhanceYourCalm || most.Load() == 0) {
				t.Errorf("it ended with %v, with at most %d handlers at once", code, most.Load())
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
	var start, end runtime.MemStats
	runtime.ReadMemStats(&start)
	t.Run("floods", func(t *testing.T) {
		for name, flood := range floods() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
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
			})
		}
	})
	runtime.ReadMemStats(&end)
	if got := (end.TotalAlloc - start.TotalAlloc) >> 20; got > 500 { // unpacked, the bomb alone is 7 GB
		t.Errorf("%d MB were allocated for them", got)
	}
	settles(t, before)
}

// floods are frames to send over and over; i counts them.
func floods() map[string]func(f *framed, i int) error {
	junk := bytes.Repeat([]byte{0x40, 1, 'a', 1, 'b'}, 3_000) // a literal header, over and over
	return map[string]func(f *framed, i int) error{
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
	}
}
