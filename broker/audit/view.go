package audit

import (
	"context"
	"errors"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Viewed is the common part of a view event: which recorded decision was looked at, or that many were. Who looked stands in
// the staff part; over many, also on which ground and for whom or what, which may name a person.
type Viewed struct {
	Writer string `json:"writer,omitempty"` // whose stream the event is in; "" for a look over many
	Event  Ref    `json:"event,omitzero"`   // of a look over many: none
	How    string `json:"how"`              // by which command or page, such as "policy why"

	// The window of a look over many, Since included and Until not; zero is no bound.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// View records that somebody looks at a recorded decision, or over many. It returns when that is durable: until then nothing
// of it may be shown. Its errors are those of Append; the context bounds the wait.
func (w *Writer) View(ctx context.Context, v Viewed, staff broker.Staff) error {
	if err := w.refusal(); err != nil {
		return err
	}
	it, err := w.view(ctx, v, staff)
	if err != nil {
		return err
	}
	r, _ := w.submit(ctx, it)
	return r.err
}

func (w *Writer) view(ctx context.Context, v Viewed, staff broker.Staff) (*item, error) {
	many := v.Writer == ""
	switch {
	case many != (v.Event == (Ref{})) || v.How == "" || staff.Worker == "":
		return nil, unavailable(codeJournal, errors.New("a view without what was looked at, how or by whom"))
	case many && (staff.Purpose == "" || staff.Ground == "" || staff.Sought == ""):
		return nil, unavailable(codeJournal, errors.New("a look over many without what was sought, for which purpose or on which ground"))
	}
	common, err := marshal(v)
	if err != nil {
		return nil, unavailable(codeJournal, err)
	}
	plain, err := w.staffPlain(staff)
	if err != nil {
		return nil, err
	}
	parts, err := w.seal(ctx, []keys.Plain{plain})
	if err != nil {
		return nil, err
	}
	head, err := w.cfg.Store.Head(ctx, journal.Register)
	if err != nil {
		return nil, unavailable(codeJournal, err)
	}
	return &item{kind: KindView, tail: encodeTail(common, &parts[0], nil), position: positionAt(head), done: make(chan result, 1)}, nil
}
