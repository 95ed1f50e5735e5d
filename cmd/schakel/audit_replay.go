package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

func newAuditReplay(w *where) *cobra.Command {
	var since, until, id, other string
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay [--decision ID] [--against REVISION|FOLDER]",
		Short: "Decide every recorded decision again, and compare it byte for byte",
		Long: `Evaluates each recorded query again with the revision that decided it, and compares the decision's bytes with those recorded.
Exit code 1 when one differs, or can't be decided again. Every bundle is held against its digest, which is the name of the
revision in the log. The key ring is not needed, but to find --decision by the id of an answer; the hash of a receipt does
without. With --against it also tells what another revision would have decided; no numbers under 10.

Whether the log is the one that was acknowledged is the work of ` + "`schakel audit verify`.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			again := newReplayer(store)
			cfg := audit.ReplayConfig{Engine: again.decider.Engine(), Decide: again.decide}
			if cfg.Requests, err = w.replayed(c.Context(), store, since, until, id); err != nil {
				return err
			}
			if other != "" {
				if cfg.Against, err = again.against(c.Context(), other); err != nil {
					return err
				}
			}
			if !asJSON {
				cfg.Progress = func(events, done, different int) {
					if different == 0 {
						_, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%d events read", events)
					} else {
						_, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%d/%d different decisions made again ", done, different)
					}
				}
			}
			report, err := audit.Replay(c.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), struct {
					OK bool `json:"ok"`
					audit.ReplayReport
					Against *replayAgainst `json:"against,omitempty"`
				}{report.OK(), report, suppressed(report.Against)})
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), "\r"+replayText(report))
			}
			if err == nil && !report.OK() {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	windowFlags(c, &since, &until)
	c.Flags().StringVar(&id, "decision", "", "only this one: the id of an answer, or the hash of its receipt")
	c.Flags().StringVar(&other, "against", "", "also tell what this revision (64 hex digits) or folder would have decided")
	return c
}

// windowFlags are those of a window of the log; without them it is the whole log.
func windowFlags(c *cobra.Command, since, until *string) {
	c.Flags().StringVar(since, "since", "", "begin of the window: so long ago (90d, 12h), or a date or time (2026-09-01, RFC 3339); default: all")
	c.Flags().StringVar(until, "until", "", "end of the window, itself not included; as --since")
}

// window reads the window of the log that a command is about; a zero time is no bound.
func window(since, until string) (from, to time.Time, err error) {
	now := time.Now()
	if since != "" {
		if from, err = moment(since, now); err != nil {
			return from, to, err
		}
	}
	if until != "" {
		to, err = moment(until, now)
	}
	if err == nil && !to.IsZero() && !from.Before(to) {
		err = &exitError{exitUsage, errors.New("the window ends before it begins; --since must be before --until")}
	}
	return from, to, err
}

// replayed gives what is to be decided again: of a window, or one.
func (w *where) replayed(ctx context.Context, store journal.Store, since, until, id string) (iter.Seq2[audit.Request, error], error) {
	if id == "" {
		cfg := audit.RequestsConfig{Store: store}
		var err error
		cfg.Since, cfg.Until, err = window(since, until)
		return audit.Requests(ctx, cfg), err
	}
	cfg, err := whenAnswered(id)
	if err != nil || since != "" || until != "" {
		return nil, &exitError{exitUsage, errors.Join(err, errors.New("name a window or one decision"))}
	}
	cfg.Store = store
	if !cfg.Since.IsZero() { // the id of an answer stands encrypted
		ring, err := w.openRing()
		if err != nil {
			return nil, fmt.Errorf("find the answer by its id: %w; the hash of its receipt needs no key ring", err)
		}
		cfg.Vault = keys.NewVault(store, ring)
	}
	r, err := findAnswer(ctx, cfg, id)
	return func(yield func(audit.Request, error) bool) { yield(r, nil) }, err
}

// replayer decides again with the revisions that are kept in the journal.
type replayer struct {
	store   journal.Store
	decider *decide.Decider

	mu     sync.Mutex
	loaded map[broker.Revision]func(context.Context) broker.Text
}

func newReplayer(store journal.Store) *replayer {
	return &replayer{store: store, decider: decide.New(decide.Config{}), loaded: map[broker.Revision]func(context.Context) broker.Text{}}
}

// decide is audit.ReplayConfig.Decide.
func (p *replayer) decide(ctx context.Context, r broker.Revision, query json.RawMessage) (broker.Decision, broker.Text) {
	if trouble := p.load(ctx, r); trouble != (broker.Text{}) {
		return broker.Decision{}, trouble
	}
	q, trouble := workbench.Replayable(query)
	if trouble != (broker.Text{}) {
		return broker.Decision{}, trouble
	}
	again, err := p.decider.Decide(ctx, r, q)
	if err != nil {
		return again, broker.Text{NL: "het beleid geeft op een vraag geen geldig besluit", EN: "the policy has no valid decision to a query"}
	}
	return again, broker.Text{}
}

// load makes a revision ready once, or tells why it can't. What the log names is the digest of its files: files of that
// digest are those that decided, whoever signed them.
func (p *replayer) load(ctx context.Context, r broker.Revision) broker.Text {
	p.mu.Lock()
	once, ok := p.loaded[r]
	if !ok {
		var one sync.Once
		var trouble broker.Text
		once = func(ctx context.Context) broker.Text {
			one.Do(func() { trouble = p.compile(ctx, r) })
			return trouble
		}
		p.loaded[r] = once
	}
	p.mu.Unlock()
	return once(ctx)
}

func (p *replayer) compile(ctx context.Context, r broker.Revision) broker.Text {
	files, err := readBundle(ctx, p.store, string(r))
	delete(files, policies.Signatures)
	switch {
	case errors.Is(err, journal.ErrAbsent):
		return broker.Text{NL: "deze revisie is niet bewaard", EN: "this revision is not kept"}
	case err != nil:
		return broker.Text{NL: "de bewaarde bundel van deze revisie is niet te lezen", EN: "the kept bundle of this revision can't be read"}
	case policies.Revision(files) != r:
		return broker.Text{NL: "de bewaarde bundel heeft een andere inhoud dan deze revisie: zij is veranderd", EN: "the kept bundle has other files than this revision: it was altered"}
	}
	if err := p.decider.Load(ctx, r, files); err != nil {
		return broker.Text{NL: "deze engine laadt deze revisie niet", EN: "this engine does not load this revision"}
	}
	return broker.Text{}
}

// against makes the policy ready that the log is compared with.
func (p *replayer) against(ctx context.Context, name string) (broker.Revision, error) {
	var hash broker.Hash
	if hash.UnmarshalText([]byte(name)) == nil {
		if trouble := p.load(ctx, broker.Revision(name)); trouble != (broker.Text{}) {
			return "", fmt.Errorf("read policy revision %.12s: %s; `schakel policy status` lists those there are", name, trouble.EN)
		}
		return broker.Revision(name), nil
	}
	files, err := policyFolder(name)
	if err != nil {
		return "", err
	}
	r := policies.Revision(files)
	p.loaded[r] = func(context.Context) broker.Text { return broker.Text{} }
	return r, p.decider.Load(ctx, r, files)
}

// replayAgainst is audit.ReplayAgainst without numbers under workbench.Fewest.
type replayAgainst struct {
	Revision    broker.Revision `json:"revision"`
	Decisions   int             `json:"decisions"`
	Otherwise   workbench.Count `json:"otherwise"`
	Quietly     workbench.Count `json:"quietly"`
	NotReplayed int             `json:"notReplayed"`
	Changes     []replayChange  `json:"changes"`
}

type replayChange struct {
	Field     broker.Field    `json:"field"`
	From      broker.Form     `json:"from,omitempty"`
	To        broker.Form     `json:"to,omitempty"`
	Decisions workbench.Count `json:"decisions"`
}

func suppressed(a *audit.ReplayAgainst) *replayAgainst {
	if a == nil {
		return nil
	}
	out := &replayAgainst{Revision: a.Revision, Decisions: a.Decisions, Otherwise: workbench.CountOf(a.Otherwise),
		Quietly: workbench.CountOf(a.Quietly), NotReplayed: a.NotReplayed, Changes: []replayChange{}}
	for _, c := range a.Changes {
		out.Changes = append(out.Changes, replayChange{c.Field, c.From, c.To, workbench.CountOf(c.Decisions)})
	}
	return out
}

func replayText(r audit.ReplayReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d recorded decisions in %d events replayed, by %s (%d different ones)\n", r.Identical+r.Different, r.Decisions, r.Events, r.Engine, r.Evaluated)
	fmt.Fprintf(&b, "identical, byte for byte: %d", r.Identical)
	if r.OtherEngine > 0 {
		fmt.Fprintf(&b, ", of which %d were decided by another version of the engine", r.OtherEngine)
	}
	b.WriteByte('\n')
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "DIFFERENT: %d decisions by revision %.12s (%s): %s\n  query    %s\n  recorded %s\n  again    %s\n",
			d.Decisions, d.Revision, d.Engine, events(d.Events), d.Query, d.Recorded, d.Again)
	}
	for _, t := range r.Troubles {
		what := fmt.Sprintf("%d decisions", t.Decisions)
		if t.Decisions == 0 {
			what = fmt.Sprintf("%d events", r.Damaged)
		}
		if t.Revision != "" {
			what += fmt.Sprintf(" by revision %.12s", t.Revision)
		}
		fmt.Fprintf(&b, "NOT REPLAYED: %s: %s: %s\n", what, t.Reason.EN, events(t.Events))
	}
	if a := suppressed(r.Against); a != nil {
		fmt.Fprintf(&b, "by revision %.12s instead: of %d decisions, otherwise: %s; only another basis, reason or obligation: %s\n",
			a.Revision, a.Decisions, a.Otherwise.Text().EN, a.Quietly.Text().EN)
		for _, c := range a.Changes {
			switch {
			case c.From == "":
				fmt.Fprintf(&b, "  gained %s (%s): %s\n", c.Field, c.To, c.Decisions.Text().EN)
			case c.To == "":
				fmt.Fprintf(&b, "  lost %s (%s): %s\n", c.Field, c.From, c.Decisions.Text().EN)
			default:
				fmt.Fprintf(&b, "  other form %s (%s, was %s): %s\n", c.Field, c.To, c.From, c.Decisions.Text().EN)
			}
		}
		if a.NotReplayed > 0 {
			fmt.Fprintf(&b, "  it can't decide %d of them\n", a.NotReplayed)
		}
	}
	switch {
	case r.OK() && r.Decisions == 0:
		b.WriteString("there is nothing to replay here\n")
	case r.OK():
		b.WriteString("every recorded decision is what its revision decides\n")
	default:
		b.WriteString("NOT every recorded decision is what its revision decides: start at the first line in capitals above\n")
	}
	return b.String()
}

// events names the first few events.
func events(names []string) string {
	s := "event " + strings.Join(names, ", ")
	if len(names) > 1 {
		s = "events " + strings.Join(names, ", ")
	}
	return s
}
