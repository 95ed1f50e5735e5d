package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Disclosure is one answer or refusal with its parts opened, as whoever may look into the log gets it.
type Disclosure struct {
	LogEvent
	Parts   broker.Common // the common part, read
	Damaged bool          // it can't be read: there is only its writer and id
}

// Name names the event: "writer epoch-seq".
func (d Disclosure) Name() string { return d.Writer + " " + d.ID.String() }

// Disclosures gives the disclosures of all writers, one writer after the other and each one's in order, opened on all cores.
// With want only those of which the staff part is as wanted are opened whole; one of which that part can't be read is given
// with its state, since it may be one. What is damaged is named and does not end it.
func Disclosures(ctx context.Context, c RequestsConfig, want func(broker.Staff) bool) iter.Seq2[Disclosure, error] {
	open := LogConfig{Vault: c.Vault}
	look := func(ctx context.Context, writer string, entry journal.Entry) (out lookedAt[Disclosure]) {
		out.value = Disclosure{Damaged: true, LogEvent: LogEvent{Hash: entry.Hash, Writer: writer, ID: ID(entry.ID)}}
		e, err := Decode(entry.Bytes)
		if err != nil {
			return out
		}
		if out.leave = e.Kind != KindDisclosure || !c.within(e.Time); out.leave {
			return out
		}
		out.value.Time = e.Time
		if json.Unmarshal(e.Common, &out.value.Parts) != nil {
			return out
		}
		out.value.Damaged = false
		subjects := e.Subjects
		if want != nil {
			if e.Subjects = nil; e.Staff == nil {
				out.leave = true
				return out
			}
			if out.value.LogEvent, out.err = open.open(ctx, e, entry.Hash); out.err != nil {
				return out
			}
			if s := out.value.Staff; s == nil || !want(*s) {
				out.leave = s != nil
				return out
			}
			e.Subjects = subjects
		}
		out.value.LogEvent, out.err = open.open(ctx, e, entry.Hash)
		return out
	}
	return func(yield func(Disclosure, error) bool) {
		if err := inWindow(ctx, c, look, func(d Disclosure) bool { return yield(d, nil) }); err != nil {
			yield(Disclosure{}, fmt.Errorf("read disclosures: %w", err))
		}
	}
}
