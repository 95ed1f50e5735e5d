package audit

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

var benchSeconds = flag.Int("seconds", 3, "how long BenchmarkAddedLatency measures each thing")

// BenchmarkAddedLatency prints side by side, on one Redis with appendfsync always: one durable XADD of an event's bytes
// at a time; Append by 64 callers as fast as they can; and Append at half that rate, in arrivals that do not wait for one
// another. The goal is a p99 at half load of at most 2.5 times the p99 of one XADD. Run it with -benchtime 1x.
func BenchmarkAddedLatency(b *testing.B) {
	addr := redistest.Start(b).Addr
	s, err := redisstream.Open(b.Context(), redisstream.Config{Addrs: []string{addr}, Shard: "gm0000", Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Init(b.Context(), registerEntry(journal.Head{}, "genesis")); err != nil {
		b.Fatal(err)
	}
	c := config(s, "gw", freshView{})
	c.Limit, c.Now = time.Minute, time.Now
	w := open(b, c)
	defer func() { _ = w.Close(context.WithoutCancel(b.Context())) }()
	appendOne := func(n int) {
		if _, err := w.Append(b.Context(), benchEvent(n%256)); err != nil {
			b.Error(err)
		}
	}
	for n := range 256 { // makes the data keys of all persons: a new one costs a durable write more
		appendOne(n)
	}
	span := time.Duration(*benchSeconds) * time.Second
	for range b.N {
		xadd := xadds(b, addr, benchSample(b).Encode(), span)
		full, rate := saturate(span, appendOne)
		half := arrive(span, rate/2, appendOne)
		again := xadds(b, addr, benchSample(b).Encode(), span) // the machine may have got busier meanwhile
		for _, l := range []struct {
			name string
			took []time.Duration
		}{{"one XADD", xadd}, {"Append, full load", full}, {"Append, half load", half}, {"one XADD again", again}} {
			fmt.Printf("%-18s p50 %8.3f ms  p99 %8.3f ms  %7.0f/s\n", l.name, ms(percentile(l.took, 50)), ms(percentile(l.took, 99)),
				float64(len(l.took))/span.Seconds())
		}
		b.ReportMetric(ms(percentile(half, 99)), "p99-ms")
		b.ReportMetric(float64(percentile(half, 99))/float64(percentile(append(xadd, again...), 99)), "p99/XADD")
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func percentile(took []time.Duration, percent int) time.Duration {
	slices.Sort(took)
	return took[len(took)*percent/100]
}

// xadds adds to a stream of its own, one after another.
func xadds(b *testing.B, addr string, data []byte, span time.Duration) (took []time.Duration) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	command := append([]byte("*5\r\n$4\r\nXADD\r\n$5\r\nplain\r\n$1\r\n*\r\n$1\r\nb\r\n$"+strconv.Itoa(len(data))+"\r\n"), data...)
	command = append(command, "\r\n"...)
	for end := time.Now().Add(span); time.Now().Before(end); {
		began := time.Now()
		if _, err := conn.Write(command); err != nil {
			b.Fatal(err)
		}
		length, err := answers.ReadString('\n')
		if err != nil || length[0] != '$' {
			b.Fatal(length, err)
		}
		if _, err := answers.ReadString('\n'); err != nil && err != io.EOF {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

func saturate(span time.Duration, do func(n int)) (took []time.Duration, rate float64) {
	var mu sync.Mutex
	var callers sync.WaitGroup
	end := time.Now().Add(span)
	for c := range 64 {
		callers.Go(func() {
			var mine []time.Duration
			for n := c; time.Now().Before(end); n += 64 {
				began := time.Now()
				do(n)
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	callers.Wait()
	return took, float64(len(took)) / span.Seconds()
}

// arrive begins one call after another at a steady rate, and counts from when each should have begun.
func arrive(span time.Duration, rate float64, do func(n int)) (took []time.Duration) {
	every := time.Duration(float64(time.Second) / rate)
	took = make([]time.Duration, int(span/every))
	var calls sync.WaitGroup
	began := time.Now()
	for n := range took {
		due := began.Add(time.Duration(n) * every)
		time.Sleep(time.Until(due))
		calls.Go(func() {
			do(n)
			took[n] = time.Since(due)
		})
	}
	calls.Wait()
	return took
}
