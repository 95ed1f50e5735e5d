package main

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal/bolt"
)

// BenchmarkReplay tells what it costs to decide a whole log again; -impact-events says how large it is. A request has some
// three decisions.
func BenchmarkReplay(b *testing.B) {
	l := newImpactLog(b, 2*together)
	random := rand.New(rand.NewPCG(3, 4))
	pool := make([]loggedEvent, 5000) // different ones
	for i := range pool {
		for pool[i] = l.event(b, random, impactNow); pool[i].subjects == nil; { // one that can be replayed
			pool[i] = l.event(b, random, impactNow)
		}
	}
	fillImpactLog(b, l, pool)
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(l.dir, journalFile), ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	decisions, events := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		again := newReplayer(store)
		r, err := audit.Replay(b.Context(), audit.ReplayConfig{Requests: audit.Requests(b.Context(), audit.RequestsConfig{Store: store}),
			Engine: again.decider.Engine(), Decide: again.decide})
		if err != nil || r.Different+r.NotReplayed-l.unreplayable() != 0 {
			b.Fatal(err, r.Different, r.NotReplayed, r.Troubles)
		}
		decisions, events = decisions+r.Decisions, events+r.Events
	}
	b.ReportMetric(float64(decisions)/float64(b.N), "decisions")
	b.ReportMetric(float64(decisions)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

// unreplayable counts the decisions on queries of another version that newImpactLog put in.
func (l *impactLog) unreplayable() (n int) {
	for _, e := range l.events {
		if e.subjects == nil {
			n++
		}
	}
	return n
}
