package main

import (
	"flag"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

var impactEvents = flag.Int("impact-events", 2_000, "requests in the log of BenchmarkImpact")

// BenchmarkImpact tells what a report over a log costs: reading the log alone (read), counting with the log in memory
// (count), and both (report), each for one request. A request has some three decisions.
func BenchmarkImpact(b *testing.B) {
	l := newImpactLog(b, 2*together)
	random := rand.New(rand.NewPCG(3, 4))
	pool := make([]loggedEvent, 5000) // different ones
	for i := range pool {
		pool[i] = l.event(b, random, impactNow)
	}
	fillImpactLog(b, l, pool)
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(l.dir, journalFile), ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	ring, err := (&where{data: l.dir}).openRing()
	if err != nil {
		b.Fatal(err)
	}
	log := func() iter.Seq2[workbench.Recorded, error] {
		return recorded(b.Context(), store, ring, time.Time{}, time.Time{})
	}
	measure := func(name string, do func() (requests, decisions int)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			requests, decisions := 0, 0
			for b.Loop() {
				r, d := do()
				requests, decisions = requests+r, decisions+d
			}
			b.ReportMetric(float64(requests)/b.Elapsed().Seconds(), "requests/s")
			if decisions > 0 {
				b.ReportMetric(float64(decisions)/b.Elapsed().Seconds(), "decisions/s")
			}
		})
	}
	report := func(requests iter.Seq2[workbench.Recorded, error]) (int, int) {
		r, err := workbench.Impact(b.Context(), workbench.ImpactConfig{Base: policies.Files(), Draft: impactDraft(b), Requests: requests})
		if err != nil || r.Unlike != 0 {
			b.Fatal(err, r.Unlike)
		}
		return r.Requests, r.Decisions
	}
	var memory []workbench.Recorded
	measure("read", func() (int, int) {
		memory = memory[:0]
		for r, err := range log() {
			if err != nil {
				b.Fatal(err)
			}
			memory = append(memory, r)
		}
		return len(memory), 0
	})
	measure("count", func() (int, int) {
		return report(func(yield func(workbench.Recorded, error) bool) {
			for _, r := range memory {
				if !yield(r, nil) {
					return
				}
			}
		})
	})
	memory = nil
	measure("report", func() (int, int) { return report(log()) })
}

// fillImpactLog adds requests as 64 callers make them.
func fillImpactLog(b *testing.B, l *impactLog, pool []loggedEvent) {
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(l.dir, journalFile)})
	if err != nil {
		b.Fatal(err)
	}
	ring, err := (&where{data: l.dir}).openRing()
	if err != nil {
		b.Fatal(err)
	}
	d, err := newDesk(b.Context(), store, ring)
	if err != nil {
		b.Fatal(err)
	}
	cfg := d.writerConfig("gw3", l.dir)
	cfg.Limit = time.Minute
	writer, err := audit.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for n := next.Add(1); n <= int64(*impactEvents); n = next.Add(1) {
				if _, err := writer.Append(b.Context(), pool[int(n)%len(pool)].Event); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	if err := writer.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
