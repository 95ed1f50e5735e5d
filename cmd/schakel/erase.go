package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/retention"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/register"
)

// eraseWriter is the stream of erasures: one may take long, and other commands go on beside it.
const eraseWriter = "erase"

// eraseRequest is what `schakel erase` is asked.
type eraseRequest struct {
	look                     lookOver
	expired                  bool
	subject, theCase, now    string
	beforeTerm, dryRun, json bool
	settle                   time.Duration
	role                     register.OfficerRole
	of                       register.ErasureOf
	sought                   string
	inUse                    func() error // why others may still write under the keys that are selected
	selection                retention.Selection
	out, say                 io.Writer
}

func newErase() *cobra.Command {
	w := &where{}
	var q eraseRequest
	c := &cobra.Command{
		Use:   "erase --expired | --subject-bsn-file FILE | --case ID",
		Short: "Erase what the log has kept long enough, by its keys; everything that proves the log stays",
		Long: `Makes parts of the log unreadable for ever: who asked, whom it was about, what the register has of a case, and what a resident asked
with the answer. The events stay,
so that the log can be verified, replayed and proved as before. Terms for each activity stand in the policy in force
(` + retention.File + `), which says who decides them. Without --before-term nothing goes of which a term has not ended.

First the survey is shown: how many parts of which activity, and under how many keys; --dry-run ends there. Who may erase says the
policy: in the shipped one a privacy-officer. They show with their own key that they are; who did, on which ground, is recorded
before anything is done, and again when it is done. An erasure that was interrupted goes on when the same command is given again.

What was erased comes back with nothing but a copy of the key ring of before, with a copy of the journal of before: destroy old
copies of the ring, and make a new backup of the journal, for what survived can't be read in older ones.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q.out, q.say = c.OutOrStdout(), c.ErrOrStderr()
			return w.erase(c, &q)
		},
	}
	w.flags(c)
	q.look.flags(c)
	f := c.Flags()
	f.BoolVar(&q.expired, "expired", false, "whatever has outlived its term")
	f.StringVar(&q.subject, "subject-bsn-file", "", "what the log has of one data subject, whose BSN stands in this file (- is standard input)")
	f.StringVar(&q.theCase, "case", "", "what the register has of one case, which must be closed")
	f.BoolVar(&q.beforeTerm, "before-term", false, "of a data subject or a case: also what has a term that has not ended (AVG 17, a court's order)")
	f.StringVar(&q.now, "now", "", "reckon terms as at this date or time; one to come only with --dry-run, to see what will go")
	f.BoolVar(&q.dryRun, "dry-run", false, "show the survey, and erase nothing")
	f.DurationVar(&q.settle, "settle", patience+time.Second, "how long to wait for keys that gateways are making at this moment")
	jsonFlag(c, &q.json)
	return c
}

// erasedJSON is what the command says with --json.
type erasedJSON struct {
	Now       time.Time         `json:"now"`
	DecidedBy broker.Text       `json:"decidedBy"`
	Survey    retention.Survey  `json:"survey"`
	Erasure   *register.Erasure `json:"erasure"` // null where nothing was erased
	Survivors int               `json:"survivors"`
	Lost      int               `json:"lost"`
}

func (w *where) erase(c *cobra.Command, q *eraseRequest) error {
	now, err := q.read(c)
	if err != nil {
		return err
	}
	if q.dryRun && q.of == register.ErasureExpired { // numbers of everybody together: nobody is looked at
		d, err := w.openDesk(c.Context(), true)
		if err != nil {
			return err
		}
		defer func() { _ = d.store.Close() }()
		survey, terms, err := d.survey(c.Context(), q, now)
		if err != nil {
			return err
		}
		return q.tell(erasedJSON{Now: now, DecidedBy: terms.DecidedBy, Survey: survey})
	}
	q.look.purpose = cmp.Or(q.look.purpose, "wissen")
	return w.write(c.Context(), eraseWriter, func(d *desk, writer *audit.Writer) error {
		return d.erase(c.Context(), q, writer, w.data, now)
	})
}

// read checks what was asked.
func (q *eraseRequest) read(c *cobra.Command) (now time.Time, err error) {
	usage := func(text string) (time.Time, error) { return now, &exitError{exitUsage, errors.New(text)} }
	chosen := 0
	for is, of := range map[register.ErasureOf]bool{
		register.ErasureExpired: q.expired, register.ErasureSubject: q.subject != "", register.ErasureCase: q.theCase != "",
	} {
		if of {
			q.of = is
			chosen++
		}
	}
	if chosen != 1 {
		return usage("what? Name one of --expired, --subject-bsn-file and --case")
	}
	if q.beforeTerm && q.expired {
		return usage("--before-term is for one data subject or case, never for all")
	}
	now = time.Now()
	if q.now != "" {
		at, err := moment(q.now, now)
		if err != nil {
			return now, err
		}
		if at.After(now) && !q.dryRun {
			return usage("--now is still to come: terms that run now are not over; use --dry-run to see what will go by then")
		}
		now = at
	}
	return now.UTC().Truncate(time.Second), nil
}

// erase surveys, records, erases and records again.
func (d *desk) erase(ctx context.Context, q *eraseRequest, writer *audit.Writer, data string, now time.Time) error {
	if err := q.choose(d); err != nil {
		return err
	}
	open := d.openErasure()
	if open != nil {
		if open.Selection != d.selectionOf(q) {
			return fmt.Errorf("erasure %d, of %s, was interrupted; give that command again first, and this one after it", open.Erasure, whatOf(open.Of))
		}
		now = open.Until
	}
	o, _ := d.register.Officer(d.register.OfficerRef(register.OfficerID(q.look.by.id))) // who is not known is refused now
	q.role = o.Role
	if err := q.look.record(ctx, d, writer, data, audit.Viewed{How: "erase", Until: now}, q.sought); err != nil {
		return err
	}
	if err := q.inUse(); err != nil {
		return err
	}
	survey, terms, err := d.survey(ctx, q, now)
	if err != nil {
		return err
	}
	said := erasedJSON{Now: now, DecidedBy: terms.DecidedBy, Survey: survey}
	if q.dryRun || (len(survey.Keys) == 0 && open == nil) {
		return q.tell(said)
	}
	if !q.json {
		if err := q.tell(said); err != nil {
			return err
		}
	}
	record := d.recordErasure(writer, q)
	if open == nil {
		begin := register.BeginErasure{Erasure: len(d.register.Erasures()) + 1, Of: q.of, BeforeTerm: q.beforeTerm, Until: now,
			Selection: d.selectionOf(q), Generations: survey.Generation, Residents: residentsOf(survey.Keys), Staff: staffOf(survey.Keys)}
		if q.of == register.ErasureExpired {
			for _, a := range survey.Activities {
				if a.Due > 0 {
					begin.Parts = append(begin.Parts, register.ErasedParts{Activity: a.Name, Parts: a.Due})
				}
			}
		}
		if err := d.register.Do(ctx, record, register.Operator{Name: q.look.by.id}, begin); err != nil {
			return err
		}
		open = d.openErasure()
	}
	survey.Keys = slices.DeleteFunc(survey.Keys, func(key string) bool {
		touch, is := register.ResidentOf(key)
		return (is && !slices.Contains(open.Residents, touch)) || // the register may take something about them
			(register.IsStaffKey(key) && !slices.Contains(open.Staff, key)) // or about the team
	})
	cfg := retention.EraseConfig{Store: d.store, Ring: d.ring, Settle: q.settle, At: func(s retention.Step) error {
		if !q.json {
			_, _ = fmt.Fprintln(q.say, s)
		}
		return nil
	}, Record: func(ctx context.Context) error {
		if err := d.register.Do(ctx, record, register.Operator{Name: q.look.by.id}, register.EndErasure{Erasure: open.Erasure}); err != nil {
			return fmt.Errorf("the keys are gone, and that could not be recorded: %w", err)
		}
		return nil
	}}
	if aloneWith(d.store) {
		cfg.Settle = 0
	}
	done, err := retention.Erase(ctx, cfg, retention.Plan{Keys: survey.Keys, Generations: open.Generations})
	if err != nil {
		return fmt.Errorf("%w; nothing is recorded as erased: give the same command again, and it goes on from here", err)
	}
	all := d.register.Erasures()
	said.Erasure, said.Survivors, said.Lost = &all[open.Erasure-1], done.Survivors, done.Lost
	if q.json {
		return q.tell(said)
	}
	_, err = fmt.Fprint(q.out, said.done())
	return err
}

// residentsOf gives of whom what they asked goes. Of more than one erasure takes, the others stay for the next.
func residentsOf(keys []string) (out []broker.Touch) {
	for _, key := range keys {
		if touch, is := register.ResidentOf(key); is && len(out) < register.MaxErased {
			out = append(out, touch)
		}
	}
	return out
}

// staffOf gives the keys of officers and teams that go. Of more than one erasure takes, the others stay for the next.
func staffOf(keys []string) (out []string) {
	for _, key := range keys {
		if register.IsStaffKey(key) && len(out) < register.MaxErased {
			out = append(out, key)
		}
	}
	return out
}

// aloneWith tells that no other process can have this journal open: it is a file.
func aloneWith(store journal.Store) bool {
	if both, ok := store.(*archive.Store); ok {
		store = both.Store
	}
	_, file := store.(*bolt.Store)
	return file
}

// choose finds the keys of whom or what was selected.
func (q *eraseRequest) choose(d *desk) error {
	q.selection.BeforeTerm = q.beforeTerm
	switch q.of {
	case register.ErasureSubject:
		bsn, err := readBSNFile(q.subject, os.Stdin)
		if err != nil {
			return err
		}
		q.selection.Subjects, q.selection.Resident = d.ring.Pseudonyms(bsn), d.register.ResidentKey(bsn)
		q.sought, q.inUse = "data subject "+d.ring.Pseudonym(bsn), func() error {
			if open := d.register.OpenCasesOf(bsn); q.beforeTerm && len(open) > 0 {
				return fmt.Errorf("this person is in %d open cases, for which they are asked about still: close those first (`schakel register case close`)", len(open))
			}
			if q.beforeTerm {
				return d.register.ResidentInUse(bsn)
			}
			return nil
		}
	case register.ErasureCase:
		id := broker.CaseID(q.theCase)
		q.inUse = func() error {
			if _, open := d.register.Case(id); open {
				return fmt.Errorf("case %s is open; close it first (`schakel register case close`)", id)
			}
			return nil
		}
		q.selection.Case = d.register.CaseKey(id)
		q.sought = "case " + q.theCase
	case register.ErasureExpired:
		q.sought, q.inUse = "what has outlived its term", func() error { return nil }
	}
	if q.beforeTerm {
		q.sought += ", before its term"
	}
	return nil
}

// readBSNFile reads the BSN in a file.
func readBSNFile(path string, in io.Reader) (broker.BSN, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read BSN: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	line, err := readLine(in)
	if err != nil {
		return "", err
	}
	bsn, err := broker.ParseBSN(line)
	if err != nil {
		return "", &exitError{exitUsage, err}
	}
	return bsn, nil
}

// selectionOf stands for what was selected, in clear and for ever: a keyed hash.
func (d *desk) selectionOf(q *eraseRequest) broker.Touch {
	return d.ring.Touch("erasure", fmt.Sprintf("%s %t %s %s", q.of, q.beforeTerm, q.selection.Case, strings.Join(q.selection.Subjects, " ")))
}

// openErasure gives the erasure that was begun and did not end.
func (d *desk) openErasure() *register.Erasure {
	all := d.register.Erasures()
	if n := len(all); n > 0 && all[n-1].Ended.IsZero() {
		return &all[n-1]
	}
	return nil
}

// recordErasure makes the audit events of an erasure tell the officer and the ground.
func (d *desk) recordErasure(writer *audit.Writer, q *eraseRequest) register.Appender {
	add := appender(writer)
	return func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
		staff.Role, staff.Purpose, staff.Ground, staff.Sought = broker.Role(q.role), broker.Purpose(q.look.purpose), q.look.ground, q.sought
		return add(ctx, after, entries, kind, staff)
	}
}

// terms gives the terms of the policy in force.
func (d *desk) terms(ctx context.Context) (retention.Terms, error) {
	revision, active := d.register.Revision()
	if !active {
		return retention.Terms{}, errors.New("no policy is in force, so there are no terms")
	}
	files, err := d.revisionFiles(ctx, revision)
	if err != nil {
		return retention.Terms{}, err
	}
	return retention.ReadTerms(files)
}

func (d *desk) survey(ctx context.Context, q *eraseRequest, now time.Time) (retention.Survey, retention.Terms, error) {
	terms, err := d.terms(ctx)
	if err != nil {
		return retention.Survey{}, terms, err
	}
	cfg := retention.SurveyConfig{Log: audit.KeptConfig{Store: d.store, Vault: d.vault, KeyOf: d.ring.OpenRef}, Keys: d.store, Terms: terms, Now: now}
	if !q.json {
		cfg.Progress = func(n int) { _, _ = fmt.Fprintf(q.say, "\r%d events read", n) }
	}
	dossiers, err := d.register.Dossiers(ctx, d.ring.OpenRef)
	if err != nil {
		return retention.Survey{}, terms, err
	}
	for _, f := range dossiers {
		one := retention.Dossier{Key: f.Key, Activity: retention.Cases, Parts: f.Parts, Ended: f.Closed}
		if _, is := register.ResidentOf(f.Key); is {
			one.Activity = retention.Residents
		}
		if register.IsStaffKey(f.Key) {
			one.Activity = retention.Staff
		}
		cfg.Dossiers = append(cfg.Dossiers, one)
	}
	survey, err := retention.Make(ctx, cfg, q.selection)
	return survey, terms, err
}

func (q *eraseRequest) tell(e erasedJSON) error {
	if q.json {
		return printJSON(q.out, e)
	}
	_, err := fmt.Fprint(q.out, e.text(q))
	return err
}

func whatOf(of register.ErasureOf) string {
	return map[register.ErasureOf]string{
		register.ErasureExpired: "what has outlived its term", register.ErasureSubject: "a data subject", register.ErasureCase: "a case",
	}[of]
}

// text gives the survey.
func (e erasedJSON) text(q *eraseRequest) string {
	var b strings.Builder
	b.WriteString("\r")
	fmt.Fprintf(&b, "what is kept, as at %s\n", e.Now.Format(time.RFC3339))
	t := tabwriter.NewWriter(&b, 2, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "activity\tterm\tparts\tterm ended\tgo\terased before\toldest")
	for _, a := range e.Survey.Activities {
		term, oldest := "none: stays", ""
		if a.Term != nil {
			term = a.Term.String()
		}
		if a.Oldest != nil {
			oldest = a.Oldest.Format(time.DateOnly)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", a.Name, term, a.Parts, a.Ended, a.Due, a.Erased, oldest)
	}
	_ = t.Flush()
	if e.Survey.Untold > 0 {
		fmt.Fprintf(&b, "%d parts stay: who could tell for which purpose they were recorded is erased\n", e.Survey.Untold)
	}
	if e.Survey.Damaged > 0 {
		fmt.Fprintf(&b, "%d events can't be read; `schakel audit verify` says what is wrong\n", e.Survey.Damaged)
	}
	fmt.Fprintf(&b, "terms: %s\n", e.DecidedBy.EN)
	switch {
	case e.Survey.Due == 0:
		b.WriteString("nothing to erase\n")
	case q.dryRun:
		fmt.Fprintf(&b, "%d keys would go; nothing was erased\n", e.Survey.Due)
	default:
		fmt.Fprintf(&b, "%d keys go\n", e.Survey.Due)
	}
	return b.String()
}

// done tells what was erased, and what is left to do.
func (e erasedJSON) done() string {
	var b strings.Builder
	fmt.Fprintf(&b, "erasure %d: erased and recorded; %d other keys were wrapped anew\n", e.Erasure.Erasure, e.Survivors)
	if e.Lost > 0 {
		fmt.Fprintf(&b, "%d keys could not be wrapped anew: an erasure before this one destroyed what wrapped them\n", e.Lost)
	}
	fmt.Fprintf(&b, "now destroy older copies of the key ring, and make a new backup of it and of the journal: older backups hold what was wrapped by %s, which nothing opens any more\n",
		strings.Join(e.Erasure.Generations, ", "))
	return b.String()
}
