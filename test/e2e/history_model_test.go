package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The sequential model of invariant 8: what may be known at one moment, and what an answer that was recorded at that
// moment may hold. A few households, and what holds for all of them.
const households = 3

// truth is everything that the two fields of the histories depend on.
type truth struct {
	house [households]struct {
		released bool // the head of the household released ggz from professional secrecy
		assigned bool // the worker who asks is on the case
	}
	agreed   bool // the kredietbank agrees with the municipality
	clinic   bool // the ggz-aanbieder takes part: it is not suspended
	asker    bool // so does the municipality
	stricter bool // the second policy is in force, which shares no ggz
}

// mayClinic and mayDebts tell what may be granted about a household.
func (s truth) mayClinic(h int) bool {
	return s.house[h].released && s.house[h].assigned && s.clinic && s.asker && !s.stricter
}

func (s truth) mayDebts(h int) bool { return s.house[h].assigned && s.agreed && s.asker }

// fact is one thing that can be changed.
type fact int

const (
	released fact = iota
	assigned
	agreed
	clinic
	asker
	stricter
)

func (f fact) String() string {
	return [...]string{"released", "assigned", "agreed", "clinic", "asker", "stricter"}[f]
}

// ofHouse tells whether a fact is about one household.
func (f fact) ofHouse() bool { return f == released || f == assigned }

// set is the input of a change.
type set struct {
	fact  fact
	house int // of released and assigned
	to    bool
}

func (c set) on(s truth) truth {
	switch c.fact {
	case released:
		s.house[c.house].released = c.to
	case assigned:
		s.house[c.house].assigned = c.to
	case agreed:
		s.agreed = c.to
	case clinic:
		s.clinic = c.to
	case asker:
		s.asker = c.to
	case stricter:
		s.stricter = c.to
	}
	return s
}

// answer is what one disclosure about a household gave out. What it withheld is not here: a gateway may withhold what it
// did not know to be allowed yet, or what was not allowed for a moment (design: "release only what both decisions
// grant"); it may not give what is no longer allowed.
type answer struct {
	house         int
	clinic, debts bool
	stricter      bool // by which policy it says it was decided
}

// invariant8 says when a history is as if everything happened one after another.
func invariant8(start truth) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, _ any) (bool, any) {
			s := state.(truth)
			switch op := input.(type) {
			case set:
				return true, op.on(s)
			case answer:
				return s.stricter == op.stricter && (!op.clinic || s.mayClinic(op.house)) && (!op.debts || s.mayDebts(op.house)), s
			}
			return false, s
		},
		DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
	}
}

// of gives what a history says of one household: its own operations, and those on all. A history that is linearizable is
// so for each household, so whatever this finds is a fault; orders between households it can't see.
func of(house int, history []porcupine.Operation) []porcupine.Operation {
	var out []porcupine.Operation
	for _, op := range history {
		switch in := op.Input.(type) {
		case set:
			if in.fact.ofHouse() && in.house != house {
				continue
			}
		case answer:
			if in.house != house {
				continue
			}
		}
		out = append(out, op)
	}
	return out
}

// judge checks each household by itself, and then all together: that sees also the order of changes to two of them.
func judge(t *testing.T, start truth, history []porcupine.Operation, limit time.Duration) {
	t.Helper()
	parts := [][]porcupine.Operation{}
	for h := range households {
		parts = append(parts, of(h, history))
	}
	for i, part := range append(parts, history) {
		began := time.Now()
		result := porcupine.CheckOperationsTimeout(invariant8(start), part, limit)
		name := fmt.Sprintf("household %d", i)
		if i == households {
			name = "all households"
		}
		t.Logf("%s: %d operations, %s in %v", name, len(part), result, time.Since(began).Round(time.Millisecond))
		if result != porcupine.Ok {
			t.Errorf("%s: %s: %s", name, result, culprit(start, part))
			return
		}
	}
}

// culprit names the shortest beginning of a history that is not linearizable, by its last answer.
func culprit(start truth, history []porcupine.Operation) string {
	ends := func(n int64) []porcupine.Operation {
		var out []porcupine.Operation
		for _, op := range history {
			if _, change := op.Input.(set); change && op.Call <= n || op.Return <= n {
				out = append(out, op)
			}
		}
		return out
	}
	first := porcupine.Operation{}
	for _, op := range history {
		if _, is := op.Input.(answer); is && (first.Input == nil || op.Return < first.Return) &&
			porcupine.CheckOperationsTimeout(invariant8(start), ends(op.Return), time.Second) != porcupine.Ok {
			first = op
		}
	}
	near := []string{}
	for _, op := range history {
		if _, is := op.Input.(set); is && op.Return > first.Call-int64(100*time.Millisecond) && op.Call < first.Return {
			near = append(near, fmt.Sprintf("%+v acknowledged %.1f ms before", op.Input, float64(first.Call-op.Return)/1e6))
		}
	}
	text, _ := json.MarshalIndent(near, "", "  ")
	return fmt.Sprintf("%+v, on record after %s", first.Input, text)
}

// TestHistoryModel: the judge lets go what is in order and finds what is not, on histories made by hand.
func TestHistoryModel(t *testing.T) {
	start := truth{agreed: true, clinic: true, asker: true}
	for h := range households {
		start.house[h].assigned = true
	}
	change := func(call, done int64, f fact, to bool) porcupine.Operation {
		return porcupine.Operation{Input: set{fact: f, to: to}, Call: call, Return: done}
	}
	gave := func(call, done int64, a answer) porcupine.Operation {
		return porcupine.Operation{Input: a, Call: call, Return: done}
	}
	both := answer{clinic: true, debts: true}
	for _, c := range []struct {
		name string
		ok   bool
		ops  []porcupine.Operation
	}{
		{"given, then used", true, []porcupine.Operation{change(1, 2, released, true), gave(3, 4, both)}},
		{"never given", false, []porcupine.Operation{gave(3, 4, both)}},
		{"withdrawn while recorded", true, []porcupine.Operation{change(1, 2, released, true), change(3, 6, released, false), gave(5, 8, both)}},
		{"withdrawn before recorded", false, []porcupine.Operation{change(1, 2, released, true), change(3, 4, released, false), gave(5, 8, both)}},
		{"agreement ended before", false, []porcupine.Operation{change(1, 2, agreed, false), gave(3, 4, answer{debts: true})}},
		{"the other is not touched", true, []porcupine.Operation{change(1, 2, agreed, false), change(1, 2, released, true), gave(3, 4, answer{clinic: true})}},
		{"suspended before", false, []porcupine.Operation{change(1, 2, released, true), change(3, 4, clinic, false), gave(5, 6, both)}},
		{"by a policy no longer in force", false, []porcupine.Operation{change(1, 2, stricter, true), gave(3, 4, answer{debts: true})}},
		{"one saw the withdrawal, a later one did not", false, []porcupine.Operation{change(1, 2, released, true), change(3, 9, stricter, true),
			gave(4, 5, answer{stricter: true}), gave(6, 7, both)}},
	} {
		for _, ops := range [][]porcupine.Operation{c.ops, of(0, c.ops)} {
			if got := porcupine.CheckOperations(invariant8(start), ops); got != c.ok {
				t.Errorf("%s: linearizable %v, want %v", c.name, got, c.ok)
			}
		}
	}
}
