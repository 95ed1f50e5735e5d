package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/index"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/policies"
)

// notNamed tells whether the policy that decided an event permits not to name it to a data subject.
func (d *desk) notNamed(ctx context.Context, m audit.Mention) (bool, error) {
	line, err := d.unnamedUnder(ctx, m)
	return line != nil, err
}

// unnamedUnder gives the line of that policy which an event stands under; nil where it is named. An event of which the clear part
// can't be read stands under none. A policy that can't be read is an error: its list is not known, to show what it hides may harm
// an inquiry for good, and to hide what it shows takes a right in silence.
func (d *desk) unnamedUnder(ctx context.Context, m audit.Mention) (*decide.Unnamed, error) {
	asked, ok := m.Asked()
	if !ok {
		return nil, nil
	}
	list, known := d.unnamed.Load(asked.Revision)
	if !known {
		read, err := d.readNotNamed(ctx, asked.Revision)
		if err != nil {
			return nil, fmt.Errorf("what policy revision %.12s does not name is not known; put its bundle back from a backup of the journal: %w", asked.Revision, err)
		}
		list, _ = d.unnamed.LoadOrStore(asked.Revision, read)
	}
	return list.(decide.NotNamed).Of(asked.Role, asked.Purpose), nil
}

// readNotNamed reads the list of a revision. As for a replay, files of its digest are its files, whoever signed them.
func (d *desk) readNotNamed(ctx context.Context, r broker.Revision) (decide.NotNamed, error) {
	files, err := readBundle(ctx, d.store, string(r))
	if err != nil {
		return decide.NotNamed{}, err
	}
	if policies.Revision(files) != r {
		return decide.NotNamed{}, errors.New("its bundle is of another revision")
	}
	return decide.ReadNotNamed(files)
}

// unnamedRequest is what `audit index not-named` is asked.
type unnamedRequest struct {
	look lookOver
	bsn  string
	seq  int
	json bool
	m    merkle
}

// unnamedEvent is an event that is not named to its data subjects, without who they are.
type unnamedEvent struct {
	Index     int            `json:"index"`
	Writer    string         `json:"writer"`
	ID        audit.ID       `json:"id"`
	Hash      broker.Hash    `json:"hash"`
	Time      time.Time      `json:"time"`
	Role      broker.Role    `json:"role"`
	Purpose   broker.Purpose `json:"purpose"`
	Residents int            `json:"residents"`
	Ground    string         `json:"ground"`
	Why       broker.Text    `json:"why"`
}

func newIndexNotNamed(w *where) *cobra.Command {
	q := unnamedRequest{}
	c := &cobra.Command{
		Use:   "not-named --officer ID --purpose toezicht --ground TEXT",
		Short: "For the functionaris gegevensbescherming alone: which requests are not named to residents (AVG 23)",
		Long: `Which requests are not named says the policy that decided them (` + decide.NotNamedFile + `), each with its ground. They stand in no report
of a resident, and in an index of their own, which this opens: which event, when, for what, and on which ground; never about whom.
With --bsn - it lists those about one resident, who asks you to check what a report can't say. What is in no index yet is not
listed; ` + "`schakel audit index build`" + ` makes one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return w.unnamed(c, q) },
	}
	q.look.flags(c)
	q.m.flags(c)
	f := c.Flags()
	f.StringVar(&q.bsn, "bsn", "", "- : only those about one resident, whose BSN is read from standard input")
	f.IntVar(&q.seq, "index", -1, "the number of one index; default: all")
	jsonFlag(c, &q.json)
	return c
}

func (w *where) unnamed(c *cobra.Command, q unnamedRequest) error {
	var bsn broker.BSN
	var err error
	if q.bsn != "" {
		if bsn, err = readSubject(c, q.bsn); err != nil {
			return err
		}
	}
	list := []unnamedEvent{}
	err = w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		o, known := d.register.Officer(d.register.OfficerRef(register.OfficerID(q.look.by.id)))
		if known && o.Role != register.RoleFG {
			return fmt.Errorf("a %s may not open this index; a functionaris-gegevensbescherming may", o.Role)
		}
		sought := "index of what is not named"
		var of []string // nil: everybody
		if bsn != "" {
			of, sought = d.ring.Pseudonyms(bsn), "data subject "+d.ring.Pseudonym(bsn)
		}
		if err := q.look.record(c.Context(), d, writer, w.data, audit.Viewed{How: "audit index not-named"}, sought); err != nil {
			return err
		}
		cfg, err := d.indexBeside(c.Context(), w, q.m)
		if err != nil {
			return err
		}
		if q.seq >= 0 {
			list, err = d.unnamedIn(c.Context(), cfg, q.seq, of, list)
			return err
		}
		made, err := index.Made(cfg.Dir)
		for seq := 0; seq < made && err == nil; seq++ {
			list, err = d.unnamedIn(c.Context(), cfg, seq, of, list)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case q.json:
		return printJSON(c.OutOrStdout(), list)
	}
	return sayUnnamed(c.OutOrStdout(), list)
}

// unnamedIn adds the events of one index, about one of these pseudonyms where there are any.
func (d *desk) unnamedIn(ctx context.Context, cfg index.Config, seq int, of []string, list []unnamedEvent) ([]unnamedEvent, error) {
	events, err := index.NotNamed(ctx, cfg, uint64(seq))
	if err != nil {
		return nil, err
	}
	for _, m := range events {
		if of != nil && !slices.ContainsFunc(m.Pseudonyms, func(p string) bool { return slices.Contains(of, p) }) {
			continue
		}
		line, err := d.unnamedUnder(ctx, m)
		if err == nil && line == nil {
			err = fmt.Errorf("event %s of %s is not named, and no line of its policy says so; run `schakel audit index verify`", m.ID, m.Writer)
		}
		if err != nil {
			return nil, err
		}
		asked, _ := m.Asked()
		list = append(list, unnamedEvent{Index: seq, Writer: m.Writer, ID: m.ID, Hash: m.Hash, Time: m.Time, Role: asked.Role, Purpose: asked.Purpose,
			Residents: len(m.Pseudonyms), Ground: line.Ground, Why: line.Why})
	}
	return list, nil
}

func sayUnnamed(out io.Writer, list []unnamedEvent) error {
	_, err := fmt.Fprintf(out, "%d requests that are not named\n", len(list))
	for _, e := range list {
		if err == nil {
			_, err = fmt.Fprintf(out, "index %d: event %s of %s, %s, hash %s\n  %s for %s, about %d residents\n  %s: %s\n", e.Index, e.ID, e.Writer,
				e.Time.Format(time.RFC3339), e.Hash, e.Role, e.Purpose, e.Residents, e.Ground, e.Why.NL)
		}
	}
	return err
}
