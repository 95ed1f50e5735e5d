package looks

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schakel/schakel/broker"
)

// Config is what Judge needs beside the looks.
type Config struct {
	Rules Rules
	Team  func(Worker) string          // from the register; "" for none
	On    func(broker.CaseID) []Worker // workers a case is assigned to now, from the register
	Since time.Time                    // judge looks from then on; those before only count as history
}

// Judge makes the facts of each look and has the rules judge them, on all cores. It sorts the looks by time, and gives those
// from Since on in that order.
func Judge(ctx context.Context, c Config, all []Look) ([]Judged, error) {
	slices.SortStableFunc(all, func(a, b Look) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Answer, b.Answer)) })
	h := newHistory(c)
	var out []Judged
	for _, l := range all {
		facts := h.add(l)
		if !l.Time.Before(c.Since) {
			out = append(out, Judged{Look: l, Facts: facts})
		}
	}
	if err := c.judge(ctx, out); err != nil {
		return nil, fmt.Errorf("judge looks: %w", err)
	}
	return out, nil
}

// judge asks the rules once for each different set of facts.
func (c Config) judge(ctx context.Context, out []Judged) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	byFacts := map[Facts][]int{}
	for i := range out {
		byFacts[out[i].Facts] = append(byFacts[out[i].Facts], i)
	}
	different := make([][]int, 0, len(byFacts))
	for _, same := range byFacts {
		different = append(different, same)
	}
	var next atomic.Int64
	var running sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(different) {
					return
				}
				var j Judgement
				if err := c.Rules(ctx, out[different[n][0]].Facts, &j); err != nil {
					stop(err)
					return
				}
				for _, i := range different[n] {
					out[i].Judgement = j
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// Ranked gives the looks that are listed: the heaviest first, and of equals the latest.
func Ranked(all []Judged) []Judged {
	out := []Judged{}
	for _, j := range all {
		if j.Judgement.Listed {
			out = append(out, j)
		}
	}
	slices.SortStableFunc(out, func(a, b Judged) int {
		return cmp.Or(cmp.Compare(b.Judgement.Score, a.Judgement.Score), b.Time.Compare(a.Time), cmp.Compare(a.Answer, b.Answer))
	})
	return out
}

// Tally counts looks by pattern, for a report without persons. Who shows it must not show small numbers.
type Tally struct {
	Looks    int // of which Given gave something
	Given    int
	Listed   int
	Workers  int // who had a listed look
	Patterns []PatternTally
}

// PatternTally is how often one pattern was found in listed looks.
type PatternTally struct {
	Named
	Looks   int
	Workers int
}

// Count tallies judged looks. Patterns come in the order of their ids.
func Count(all []Judged) Tally {
	var t Tally
	workers := map[Worker]bool{}
	type found struct {
		named   Named
		looks   int
		workers map[Worker]bool
	}
	byPattern := map[string]*found{}
	for _, j := range all {
		t.Looks++
		if !j.Refused {
			t.Given++
		}
		if !j.Judgement.Listed {
			continue
		}
		t.Listed++
		workers[j.Worker] = true
		for _, p := range j.Judgement.Patterns {
			f := byPattern[p.ID]
			if f == nil {
				f = &found{named: p, workers: map[Worker]bool{}}
				byPattern[p.ID] = f
			}
			f.looks++
			f.workers[j.Worker] = true
		}
	}
	t.Workers = len(workers)
	for _, f := range byPattern {
		t.Patterns = append(t.Patterns, PatternTally{f.named, f.looks, len(f.workers)})
	}
	slices.SortFunc(t.Patterns, func(a, b PatternTally) int { return cmp.Compare(a.ID, b.ID) })
	return t
}
