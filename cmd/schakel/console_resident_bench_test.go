package main

import (
	"math/rand/v2"
	"testing"

	"github.com/schakel/schakel/broker/audit"
)

// BenchmarkSubjectEvents tells what it costs to find what a whole log has of one resident, of whom it has nothing;
// -impact-events says how large the log is.
func BenchmarkSubjectEvents(b *testing.B) {
	l := newImpactLog(b, 2*together)
	random := rand.New(rand.NewPCG(3, 4))
	pool := make([]loggedEvent, 5000) // different ones
	for i := range pool {
		pool[i] = l.event(b, random, impactNow)
	}
	fillImpactLog(b, l, pool)
	d, err := (&where{data: l.dir}).openDesk(b.Context(), true)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.store.Close() }()
	for b.Loop() {
		found, err := d.subjectEvents(b.Context(), "999990019", audit.MentionsConfig{}, indexed{})
		if err != nil || len(found.events) > 0 {
			b.Fatal(err, len(found.events))
		}
	}
	b.ReportMetric(float64(*impactEvents)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
