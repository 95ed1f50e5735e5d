package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// target is one thing that is measured: where it answers, what it is sent, and whose processor time it takes.
type target struct {
	name      string
	addr      []string // more than one: connections are spread over them
	requests  [][]byte // whole HTTP/1.1 requests, ready to be written
	processes []*process
	counts    func() (counts, error)
	remembers bool         // decisions or keys: it is slower for what it sees first
	render    func() error // fills requests again before each stretch, since tokens live for minutes; nil: they stay
	next      atomic.Int64 // which request is sent next
}

// window is what one stretch of load showed.
type window struct {
	took      time.Duration
	latencies []time.Duration // sorted
	failed    int             // answers that were neither 200 nor 403
	bytes     int64
	cpu       map[string]time.Duration // by process
	counts    counts
}

func (w window) rps() float64 { return float64(len(w.latencies)) / w.took.Seconds() }

func (w window) percentile(p float64) time.Duration {
	if len(w.latencies) == 0 {
		return 0
	}
	return w.latencies[min(len(w.latencies)-1, int(p*float64(len(w.latencies))))]
}

// request renders one.
func request(method, target string, header map[string]string, body []byte) []byte {
	u, _ := url.Parse(target)
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, u.RequestURI(), u.Host, len(body))
	for k, v := range header {
		b = fmt.Appendf(b, "%s: %s\r\n", k, v)
	}
	return append(append(b, "\r\n"...), body...)
}

// load sends requests over so many connections for a time, see pace, and ends before that time after so many requests, if
// most is not 0.
func (t *target) load(connections int, length time.Duration, rate float64, most int) (window, error) {
	before, err := t.usage()
	if err != nil {
		return window{}, err
	}
	turn := pace(length, rate, most)
	w, err := crowd(connections, func(n int) (window, error) { return t.client(t.addr[n%len(t.addr)], turn) })
	after, err2 := t.usage()
	if err := errors.Join(err, err2); err != nil {
		return window{}, fmt.Errorf("load %s: %w", t.name, err)
	}
	w.cpu = map[string]time.Duration{}
	for name, used := range after.cpu {
		w.cpu[name] = used - before.cpu[name]
	}
	w.counts = counts{after.counts.Mallocs - before.counts.Mallocs, after.counts.Hits - before.counts.Hits, after.counts.Misses - before.counts.Misses}
	return w, nil
}

// pace gives clients their turns for a time: at once, or, with a rate a second, when the next is due. What is late counts
// from when it was due.
func pace(length time.Duration, rate float64, most int) (turn func() (time.Time, bool)) {
	var sent atomic.Int64
	began := time.Now()
	until := began.Add(length)
	return func() (time.Time, bool) {
		n, at := sent.Add(1), time.Now()
		if rate > 0 {
			at = began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			time.Sleep(time.Until(at))
		}
		return at, at.Before(until) && (most == 0 || int(n) <= most)
	}
}

// crowd runs so many clients and puts what they saw in one window.
func crowd(clients int, client func(n int) (window, error)) (window, error) {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		w     window
		errs  []error
		began = time.Now()
	)
	for n := range clients {
		wait.Go(func() {
			one, err := client(n)
			mu.Lock()
			defer mu.Unlock()
			w.latencies = append(w.latencies, one.latencies...)
			w.failed += one.failed
			w.bytes += one.bytes
			errs = append(errs, err)
		})
	}
	wait.Wait()
	w.took = time.Since(began)
	slices.Sort(w.latencies)
	return w, errors.Join(errs...)
}

// client is one connection.
func (t *target) client(addr string, turn func() (time.Time, bool)) (window, error) {
	var w window
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return w, err
	}
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	for {
		began, ok := turn()
		if !ok {
			return w, nil
		}
		n := t.next.Add(1) - 1
		if _, err := c.Write(t.requests[int(n)%len(t.requests)]); err != nil {
			return w, err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return w, err
		}
		size, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return w, err
		}
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusForbidden {
			w.failed++
		}
		w.bytes += size
		w.latencies = append(w.latencies, time.Since(began))
	}
}

type usage struct {
	cpu    map[string]time.Duration
	counts counts
}

func (t *target) usage() (usage, error) {
	u := usage{cpu: map[string]time.Duration{}}
	for _, p := range t.processes {
		used, err := p.cpu()
		if err != nil {
			return u, err
		}
		u.cpu[p.name] += used
	}
	var err error
	u.counts, err = t.counts()
	return u, err
}
