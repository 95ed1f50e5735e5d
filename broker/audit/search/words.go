package search

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
)

// Hit is one disclosure as the log has it, with what its queries and decisions say.
type Hit struct {
	audit.Request
	Outcome string          // Given, Partly or Refused
	Fields  []broker.Field  // asked by who asked; not what a holder may be asked by
	Reasons []broker.Reason // why something of these was withheld
}

// word is one thing that an event can be found by.
type word struct {
	kind  Kind
	value string
}

// decided is what one query and its decision say.
type decided struct {
	role    broker.Role
	purpose broker.Purpose
	fields  []broker.Field
	reasons []broker.Reason
	refused bool // some of it
}

// reader makes hits of requests. Equal decisions are read once. It is for one goroutine.
type reader struct{ known map[string]*decided }

// maxKnown bounds how many different decisions are remembered.
const maxKnown = 20_000

func (d *reader) decided(query, decision json.RawMessage) *decided {
	key := string(query) + "\x00" + string(decision)
	if one := d.known[key]; one != nil {
		return one
	}
	if d.known == nil || len(d.known) >= maxKnown {
		d.known = map[string]*decided{}
	}
	var q broker.Query
	var got broker.Decision
	one := &decided{}
	if json.Unmarshal(query, &q) == nil && json.Unmarshal(decision, &got) == nil {
		one.role, one.purpose, one.fields, one.refused = q.Role, q.Purpose, q.Fields, len(got.Refusals) > 0
		for _, reasons := range got.Refusals {
			one.reasons = append(one.reasons, reasons...)
		}
		one.reasons = unique(one.reasons)
	}
	d.known[key] = one
	return one
}

func unique[T ~string](list []T) []T {
	slices.Sort(list)
	return slices.Compact(list)
}

// hit reads a request. Role and purpose stand in its queries too, so that they are known of an event whose staff part can't
// be read any more.
func (d *reader) hit(r audit.Request) Hit {
	h := Hit{Request: r, Outcome: Given}
	for _, s := range r.Subjects {
		if s.Lookup != "" {
			continue
		}
		for _, n := range s.Queries {
			one := d.decided(r.Queries[n], r.Decisions[n])
			h.Fields, h.Reasons = append(h.Fields, one.fields...), append(h.Reasons, one.reasons...)
			if one.refused {
				h.Outcome = Partly
			}
			if r.StaffState != "" {
				h.Role, h.Purpose = one.role, one.purpose
			}
		}
	}
	if r.Refused {
		h.Outcome = Refused
	}
	h.Fields, h.Reasons = unique(h.Fields), unique(h.Reasons)
	return h
}

// words are all that the event can be found by.
func (h Hit) words() []word {
	out := []word{{Decision, h.Outcome}}
	for _, w := range []word{{Agency, string(h.Agency)}, {Role, string(h.Role)}, {Worker, string(h.Worker)}, {Purpose, string(h.Purpose)}, {Case, string(h.Case)}} {
		if w.value != "" {
			out = append(out, w)
		}
	}
	for _, f := range h.Fields { // each with the groups that it is in
		for path := string(f); path != ""; path = group(path) {
			if w := (word{Field, path}); !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	for _, r := range h.Reasons {
		out = append(out, word{Reason, string(r)})
	}
	var last broker.Revision
	for _, r := range h.Revisions {
		if r != last && len(r) >= shortRevision {
			out = append(out, word{Revision, string(r[:shortRevision])})
		}
		last = r
	}
	return out
}

// group gives the group that a field or group is in; "" for none.
func group(path string) string { return path[:max(strings.LastIndexByte(path, '.'), 0)] }
