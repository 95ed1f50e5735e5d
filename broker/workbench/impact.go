package workbench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/schakel/schakel/broker"
)

// Recorded is one request as the log has it: what was asked of the policy and what it answered, and nothing about whom.
type Recorded struct {
	Event     string            // names the event in the report, where it can't be decided again
	Damaged   bool              // it can't be read; nothing below counts
	Queries   []json.RawMessage // canonical bytes; Impact keeps none of them
	Decisions []json.RawMessage // what was decided, one for each query
	Revisions []broker.Revision // what decided, one for each query
	Subjects  []RecordedSubject

	// Opaque names, to count how many different ones there are; "" for one that is not known.
	Agency, Case string
	Closed       bool // the part about who asked can't be read, so that neither is known
}

// RecordedSubject says which queries were about one data subject. What is given of it is what all of them grant.
type RecordedSubject struct {
	Queries []int
	Lookup  bool // may a holder be sent what it is asked by: it, and not the agency that asks, receives the fields
}

// ImpactConfig says what Impact compares.
type ImpactConfig struct {
	Base, Draft map[string][]byte          // policy files: what holds now, and what is proposed
	Requests    iter.Seq2[Recorded, error] // of the window
	Since       time.Time                  // of the window; told in the report
	Until       time.Time

	// Progress is told now and then how far it is, by one goroutine at a time; nil tells nobody.
	Progress func(ImpactProgress)
}

// ImpactProgress is how far Impact is: first all requests are read, then each different query is decided.
type ImpactProgress struct {
	Requests int // read so far
	Decided  int // of Queries
	Queries  int // different ones; 0 while requests are read
}

// ImpactReport says what a draft would have changed in the requests of a window. It compares decisions: what was really
// given can be less, since a holder may have had nothing or failed, and is never more. Numbers of requests, agencies and cases under Fewest
// are not in it, but for totals of the window, which tell nothing of what was asked.
type ImpactReport struct {
	Base  broker.Revision `json:"base"`
	Draft broker.Revision `json:"draft"`
	Since time.Time       `json:"since"`
	Until time.Time       `json:"until"`

	Requests    int           `json:"requests"` // recorded in the window
	Replayed    int           `json:"replayed"` // of which every query was decided again by both
	NotReplayed []NotReplayed `json:"notReplayed"`
	Decisions   int           `json:"decisions"` // recorded, of the requests that were replayed
	Queries     int           `json:"queries"`   // different ones among them: each is decided once by each revision
	Otherwise   int           `json:"otherwise"` // requests decided by another revision than Base or Draft
	Unlike      int           `json:"unlike"`    // requests that Base or Draft decided then, and now decides otherwise: a fault
	Closed      int           `json:"closed"`    // replayed requests of which agency and case are not known, so not counted

	Changed Count          `json:"changed"` // requests that gain or lose something
	Quietly Count          `json:"quietly"` // requests where only a basis, a reason or an obligation changes
	Changes []ImpactChange `json:"changes"` // worst first
}

// ImpactChange is a field that is gained, lost, or given in another form.
type ImpactChange struct {
	Field    broker.Field  `json:"field"`
	Class    broker.Class  `json:"class"`
	From     broker.Form   `json:"from,omitempty"` // "" where Base refuses
	To       broker.Form   `json:"to,omitempty"`   // "" where Draft refuses
	Roles    []broker.Role `json:"roles"`          // in which it happens
	Requests Count         `json:"requests"`
	Agencies Count         `json:"agencies"` // of known ones; a holder that receives a lookup key is not counted
	Cases    Count         `json:"cases"`    // of known ones
}

// NotReplayed is why requests could not be decided again.
type NotReplayed struct {
	Reason   broker.Text `json:"reason"`
	Requests int         `json:"requests"`
	Events   []string    `json:"events"` // the first few, to look at with `schakel audit log`
}

// Fewest is the least number that a report shows: a rare combination in a small town can be one family.
const Fewest = 10

// Few stands for a number from 1 to Fewest-1.
const Few Count = -1

// Count is a number as it may be shown: 0, Few, or Fewest and more. As JSON it is that number, or "<10".
type Count int

// CountOf gives n as it may be shown.
func CountOf(n int) Count {
	if 0 < n && n < Fewest {
		return Few
	}
	return Count(n)
}

// Text gives the number for a reader.
func (c Count) Text() broker.Text {
	if c == Few {
		return broker.Text{NL: fmt.Sprintf("minder dan %d", Fewest), EN: fmt.Sprintf("fewer than %d", Fewest)}
	}
	return broker.Text{NL: strconv.Itoa(int(c)), EN: strconv.Itoa(int(c))}
}

// MarshalJSON implements json.Marshaler.
func (c Count) MarshalJSON() ([]byte, error) {
	if c == Few {
		return fmt.Appendf(nil, `"<%d"`, Fewest), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

// UnmarshalJSON implements json.Unmarshaler: reports are kept, and read back.
func (c *Count) UnmarshalJSON(text []byte) error {
	var few string
	if json.Unmarshal(text, &few) == nil && few == fmt.Sprintf("<%d", Fewest) {
		*c = Few
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || CountOf(n) != Count(n) {
		return fmt.Errorf(`read count: neither 0, nor "<%d", nor %d and more`, Fewest, Fewest)
	}
	*c = Count(n)
	return nil
}

// Impact decides every recorded request again, by the base and by the draft, and counts what changes. Equal requests are
// gathered first, so that each different query is decided once by each, however often it was asked. It fails when one of
// the two policies does not load, when the log can't be read, or when ctx ends.
func Impact(ctx context.Context, c ImpactConfig) (ImpactReport, error) {
	r, err := impact(ctx, c)
	if err != nil {
		return ImpactReport{}, fmt.Errorf("compute impact: %w", err)
	}
	return r, nil
}

func impact(ctx context.Context, c ImpactConfig) (ImpactReport, error) {
	p, err := newPair(ctx, c.Base, c.Draft)
	if err != nil {
		return ImpactReport{}, err
	}
	if c.Progress == nil {
		c.Progress = func(ImpactProgress) {}
	}
	g := newGathering()
	for r, err := range c.Requests {
		if err != nil {
			return ImpactReport{}, err
		}
		if ctx.Err() != nil {
			return ImpactReport{}, ctx.Err()
		}
		if g.add(r); g.requests%1000 == 0 {
			c.Progress(ImpactProgress{Requests: g.requests})
		}
	}
	p.decideAll(ctx, g.queries, func(done int) {
		c.Progress(ImpactProgress{Requests: g.requests, Decided: done, Queries: len(g.queries)})
	})
	if err := ctx.Err(); err != nil {
		return ImpactReport{}, err
	}
	report := ImpactReport{Base: p.base, Draft: p.draft, Since: c.Since, Until: c.Until, Requests: g.requests, Queries: len(g.queries)}
	g.count(&report, p)
	return report, nil
}

// worst orders changes: by class, then gains, then other forms, then losses.
func (c ImpactChange) worst(d ImpactChange) int {
	class := func(c ImpactChange) int {
		order := []broker.Class{broker.ClassCriminal, broker.ClassSpecial, broker.ClassBSN, broker.ClassSensitive}
		if i := slices.Index(order, c.Class); i >= 0 {
			return i
		}
		return len(order)
	}
	kind := func(c ImpactChange) int {
		switch {
		case c.From == "":
			return 0
		case c.To != "":
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(class(c), class(d)), cmp.Compare(kind(c), kind(d)), cmp.Compare(c.Field, d.Field),
		cmp.Compare(c.From, d.From), cmp.Compare(c.To, d.To))
}
