package audit

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/schakel/schakel/broker"
)

// ReplayConfig says what Replay decides again, and how.
type ReplayConfig struct {
	Requests iter.Seq2[Request, error]
	Engine   string // of Decide: its name and version

	// Decide decides a recorded query again by a revision, or says why that can't be done. It is called on all cores at once.
	Decide func(ctx context.Context, r broker.Revision, query json.RawMessage) (again broker.Decision, trouble broker.Text)

	Against  broker.Revision                              // also tell what this one would have decided; "" for none
	Progress func(events int, decided int, different int) // now and then, one call at a time; different is 0 while events are read; may be nil
}

// ReplayReport is what became of every recorded decision. A decision here is one answer of policy to one query, as an event has it.
type ReplayReport struct {
	Engine    string `json:"engine"`    // that decided again
	Events    int    `json:"events"`    // disclosures and refusals that were read
	Decisions int    `json:"decisions"` // in them
	Evaluated int    `json:"evaluated"` // different ones, of query, revision and decision: each is decided again once

	Identical   int `json:"identical"`   // byte for byte
	Different   int `json:"different"`   // an alarm
	NotReplayed int `json:"notReplayed"` // decisions; those of a damaged event can't be counted
	Damaged     int `json:"damaged"`     // events of which no decision can be read
	OtherEngine int `json:"otherEngine"` // of Identical: by another version of the engine

	Differences []ReplayDifference `json:"differences"` // most frequent first; at most 100
	Troubles    []ReplayTrouble    `json:"troubles"`    // why something was not replayed; most frequent first

	Against *ReplayAgainst `json:"against,omitempty"`
}

// OK tells that every recorded decision was decided again with the very same bytes.
func (r ReplayReport) OK() bool { return r.Different == 0 && r.NotReplayed == 0 && r.Damaged == 0 }

// ReplayDifference is a recorded decision that its revision does not give.
type ReplayDifference struct {
	Revision  broker.Revision `json:"revision"`
	Engine    string          `json:"engine"` // as recorded
	Query     json.RawMessage `json:"query"`
	Recorded  json.RawMessage `json:"recorded"`
	Again     json.RawMessage `json:"again"`
	Decisions int             `json:"decisions"`
	Events    []string        `json:"events"` // "writer epoch-seq"; the first ten
}

// ReplayTrouble is why decisions could not be made again.
type ReplayTrouble struct {
	Reason    broker.Text     `json:"reason"`
	Revision  broker.Revision `json:"revision,omitempty"`
	Decisions int             `json:"decisions"`
	Events    []string        `json:"events"` // the first ten
}

// ReplayAgainst is what another revision would have decided. Numbers are whole: who shows them to people leaves out small ones.
type ReplayAgainst struct {
	Revision    broker.Revision `json:"revision"`
	Decisions   int             `json:"decisions"`   // that both decided
	Otherwise   int             `json:"otherwise"`   // that give a field more, less or in another form
	Quietly     int             `json:"quietly"`     // where only a basis, a reason or an obligation differs
	NotReplayed int             `json:"notReplayed"` // that it can't decide
	Changes     []ReplayChange  `json:"changes"`     // by field
}

// ReplayChange is a field that is gained, lost, or given in another form.
type ReplayChange struct {
	Field     broker.Field `json:"field"`
	From      broker.Form  `json:"from,omitempty"` // as recorded; "" where refused
	To        broker.Form  `json:"to,omitempty"`   // by the other revision; "" where it refuses
	Decisions int          `json:"decisions"`
}

const (
	maxNamed       = 10  // events named of one difference
	maxDifferences = 100 // listed
)

// ruling is a recorded decision, and how often it was recorded.
type ruling struct {
	query, decision, engine string
	revision                broker.Revision
	count                   int
	events                  []string

	again, other          broker.Decision
	trouble, otherTrouble broker.Text
}

// Replay decides every recorded decision again and compares the canonical bytes. Equal ones are decided once and counted as
// often as they were recorded. It does not verify that events are those that were acknowledged: that is Verify's work.
func Replay(ctx context.Context, c ReplayConfig) (ReplayReport, error) {
	if c.Progress == nil {
		c.Progress = func(int, int, int) {}
	}
	report := ReplayReport{Engine: c.Engine, Differences: []ReplayDifference{}, Troubles: []ReplayTrouble{}}
	rulings := map[string]*ruling{}
	damaged := ReplayTrouble{Reason: broker.Text{
		NL: "de gebeurtenis is beschadigd; `schakel audit verify` wijst haar aan", EN: "the event is damaged; `schakel audit verify` points at it"}}
	var key []byte
	for r, err := range c.Requests {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return ReplayReport{}, fmt.Errorf("replay: %w", err)
		}
		if report.Events++; report.Events%10_000 == 0 {
			c.Progress(report.Events, 0, 0)
		}
		if r.Damaged {
			report.Damaged++
			damaged.Events = r.named(damaged.Events)
			continue
		}
		for i, query := range r.Queries {
			report.Decisions++
			key = binary.BigEndian.AppendUint32(key[:0], uint32(len(query)))
			key = append(append(key, query...), r.Revisions[i]...)
			key = append(append(key, 0), r.Engine...)
			key = append(append(key, 0), r.Decisions[i]...)
			one := rulings[string(key)]
			if one == nil {
				one = &ruling{query: string(query), decision: string(r.Decisions[i]), engine: r.Engine, revision: r.Revisions[i]}
				rulings[string(key)] = one
			}
			one.count++
			one.events = r.named(one.events)
		}
	}
	all := slices.SortedFunc(maps.Values(rulings), func(a, b *ruling) int { // neighbours have the same fields decided
		return cmp.Or(strings.Compare(string(a.revision), string(b.revision)), strings.Compare(a.query, b.query), strings.Compare(a.decision, b.decision), strings.Compare(a.engine, b.engine))
	})
	c.decideAll(ctx, report.Events, all)
	if err := ctx.Err(); err != nil {
		return ReplayReport{}, fmt.Errorf("replay: %w", err)
	}
	report.Evaluated = len(all)
	report.count(all, damaged)
	if c.Against != "" {
		report.Against = against(c.Against, all)
	}
	return report, nil
}

// named adds the event's name to the first few.
func (r Request) named(events []string) []string {
	name := r.Writer + " " + r.ID.String()
	if len(events) == maxNamed || (len(events) > 0 && events[len(events)-1] == name) {
		return events
	}
	return append(events, name)
}

func (c ReplayConfig) decideAll(ctx context.Context, events int, all []*ruling) {
	c.Progress(events, 0, len(all))
	var next atomic.Int64
	var mu sync.Mutex
	done := 0
	var cores sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				r := all[i]
				r.again, r.trouble = c.Decide(ctx, r.revision, json.RawMessage(r.query))
				if c.Against != "" {
					r.other, r.otherTrouble = c.Decide(ctx, c.Against, json.RawMessage(r.query))
				}
				mu.Lock()
				if done++; done%100 == 0 || done == len(all) {
					c.Progress(events, done, len(all))
				}
				mu.Unlock()
			}
		})
	}
	cores.Wait()
}

// count sorts what was decided again.
func (r *ReplayReport) count(all []*ruling, damaged ReplayTrouble) {
	type why struct {
		reason   broker.Text
		revision broker.Revision
	}
	troubles := map[why]*ReplayTrouble{}
	if r.Damaged > 0 {
		troubles[why{damaged.Reason, ""}] = &damaged
	}
	for _, one := range all {
		again := ""
		if one.trouble == (broker.Text{}) {
			again = string(one.again.Bytes())
		}
		switch {
		case one.trouble != (broker.Text{}):
			r.NotReplayed += one.count
			t := troubles[why{one.trouble, one.revision}]
			if t == nil {
				t = &ReplayTrouble{Reason: one.trouble, Revision: one.revision}
				troubles[why{one.trouble, one.revision}] = t
			}
			t.Decisions += one.count
			t.Events = append(t.Events, one.events[:min(len(one.events), maxNamed-len(t.Events))]...)
		case again == one.decision:
			r.Identical += one.count
			if one.engine != r.Engine {
				r.OtherEngine += one.count
			}
		default:
			r.Different += one.count
			r.Differences = append(r.Differences, ReplayDifference{Revision: one.revision, Engine: one.engine, Query: json.RawMessage(one.query),
				Recorded: json.RawMessage(one.decision), Again: json.RawMessage(again), Decisions: one.count, Events: one.events})
		}
	}
	slices.SortStableFunc(r.Differences, func(a, b ReplayDifference) int { return cmp.Compare(b.Decisions, a.Decisions) })
	r.Differences = r.Differences[:min(len(r.Differences), maxDifferences)]
	for _, t := range troubles {
		r.Troubles = append(r.Troubles, *t)
	}
	slices.SortFunc(r.Troubles, func(a, b ReplayTrouble) int {
		return cmp.Or(cmp.Compare(b.Decisions, a.Decisions), strings.Compare(a.Reason.EN, b.Reason.EN), strings.Compare(string(a.Revision), string(b.Revision)))
	})
}

// against compares what was recorded with what another revision decides.
func against(revision broker.Revision, all []*ruling) *ReplayAgainst {
	out := &ReplayAgainst{Revision: revision, Changes: []ReplayChange{}}
	counts := map[ReplayChange]int{} // without Decisions
	for _, one := range all {
		var then broker.Decision
		if one.otherTrouble != (broker.Text{}) || json.Unmarshal([]byte(one.decision), &then) != nil {
			out.NotReplayed += one.count
			continue
		}
		out.Decisions += one.count
		fields := maps.Clone(then.Grants)
		if fields == nil {
			fields = map[broker.Field]broker.Grant{}
		}
		maps.Copy(fields, one.other.Grants)
		otherwise := false
		for f := range fields {
			if from, to := then.Grants[f].Form, one.other.Grants[f].Form; from != to {
				counts[ReplayChange{Field: f, From: from, To: to}] += one.count
				otherwise = true
			}
		}
		switch {
		case otherwise:
			out.Otherwise += one.count
		case string(one.other.Bytes()) != one.decision:
			out.Quietly += one.count
		}
	}
	for c, n := range counts {
		c.Decisions = n
		out.Changes = append(out.Changes, c)
	}
	slices.SortFunc(out.Changes, func(a, b ReplayChange) int {
		return cmp.Or(strings.Compare(string(a.Field), string(b.Field)), strings.Compare(string(a.From), string(b.From)), strings.Compare(string(a.To), string(b.To)))
	})
	return out
}
