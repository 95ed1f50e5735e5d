package audit

import (
	"context"
	"errors"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Viewed is the common part of a view event: which recorded decision was looked at. Who looked stands in the staff part.
type Viewed struct {
	Writer string `json:"writer"` // whose stream the event is in
	Event  Ref    `json:"event"`
	How    string `json:"how"` // by which command or page, such as "policy why"
}

// View records that somebody looks at a recorded decision. It returns when that is durable: until then nothing of the
// decision may be shown. Its errors are those of Append; the context bounds the wait.
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
	if v.Writer == "" || v.Event == (Ref{}) || v.How == "" || staff.Worker == "" {
		return nil, unavailable(codeJournal, errors.New("a view without what was looked at, how or by whom"))
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
