package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/audit/index"
	"github.com/schakel/schakel/broker/decide"
)

// subjectRequest is what `audit subject` is asked.
type subjectRequest struct {
	look         lookOver
	bsn          string
	since, until string
	staff, json  bool
	whole        bool
	out, proof   string
	merkle       merkle
}

func newAuditSubject(w *where) *cobra.Command {
	var q subjectRequest
	c := &cobra.Command{
		Use:   "subject --bsn - --officer ID --purpose inzage --ground TEXT",
		Short: "Tell a resident who asked for their data, what was given and why (AVG 15)",
		Long: `Reads a BSN from standard input and writes what its bearer may know: when, which organisation, in which role, for which purpose,
which data was given and withheld and why, and who was asked. No values, and no names of staff, unless a
functionaris-gegevensbescherming or privacy-officer decides otherwise with --with-staff. An officer may look, who shows with
their own key that they are; that they looked, on which ground, is recorded first. --proof writes a file beside it, by which its
bearer can see that nothing was left out (` + "`schakel audit index check`" + `): it holds no data, and belongs in their own hands.

What the policy that decided lists as not to be named (AVG 23, ` + decide.NotNamedFile + `) stands in no report and no file; every
report says so in the same words. The functionaris-gegevensbescherming finds it: ` + "`schakel audit index not-named`" + `.

Where it stands, the daily index says, as far as it is sealed in the Merkle log; only that and what is newer is read. --whole-log
reads every event instead, at tens of thousands a second: it also finds what an index left out, as ` + "`schakel audit index verify`" + ` does
for everybody.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return w.subject(c, q) },
	}
	q.look.flags(c)
	f := c.Flags()
	f.StringVar(&q.bsn, "bsn", "", "- : read the BSN from standard input; it never stands on a command line")
	f.StringVar(&q.since, "since", "", "begin of the window: so long ago (90d, 12h), or a date or time; default: the begin of the log")
	f.StringVar(&q.until, "until", "", "end of the window, itself not included; as --since; default: now")
	f.BoolVar(&q.staff, "with-staff", false, "name the members of staff too")
	f.StringVar(&q.out, "out", "", "write to this new file, which only you can read, instead of standard output")
	f.StringVar(&q.proof, "proof", "", "write to this new file the proof that nothing was left out")
	f.BoolVar(&q.whole, "whole-log", false, "read every event of the log, and rely on no index")
	q.merkle.flags(c)
	jsonFlag(c, &q.json)
	return c
}

func (w *where) subject(c *cobra.Command, q subjectRequest) error {
	bsn, err := readSubject(c, q.bsn)
	if err != nil {
		return err
	}
	window := audit.MentionsConfig{}
	now := time.Now()
	for _, bound := range []struct {
		text string
		to   *time.Time
	}{{q.since, &window.Since}, {q.until, &window.Until}} {
		if bound.text != "" {
			if *bound.to, err = moment(bound.text, now); err != nil {
				return err
			}
		}
	}
	if q.proof != "" && !(window.Since.IsZero() && window.Until.IsZero()) {
		return &exitError{exitUsage, errors.New("--proof is of the whole log: leave --since and --until out")}
	}
	var report audit.SubjectReport
	err = w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		sought := "data subject " + d.ring.Pseudonym(bsn)
		viewed := audit.Viewed{How: "audit subject", Since: window.Since, Until: window.Until}
		if q.staff {
			// A resident is told which organisation asked. Who of it did is for an officer to weigh who answers for both (AVG 15,
			// CJEU C-579/21).
			viewed.How = "audit subject staff"
		}
		if err := q.look.record(c.Context(), d, writer, w.data, viewed, sought); err != nil {
			return err
		}
		by, noIndex := w.indexed(c.Context(), d, q.merkle)
		if q.proof != "" && noIndex != nil {
			return noIndex
		}
		finding := by
		if q.whole {
			finding = indexed{}
		}
		found, err := d.subjectEvents(c.Context(), bsn, window, finding)
		if err != nil {
			return err
		}
		words := d.words(c.Context(), d.catalogs(c.Context()))
		words.Staff = q.staff
		if report = found.report(words, now); q.proof == "" {
			return nil
		}
		proved, err := d.proveComplete(c.Context(), by, bsn, found.mentions, q.proof)
		if err == nil {
			report.ProvedUntil = &proved.Until
		}
		return err
	})
	if err != nil {
		return err
	}
	text := []byte(report.Text())
	if q.json {
		if text, err = json.MarshalIndent(report, "", "  "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if q.out == "" {
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	if err := writeNew(q.out, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d opvragingen in %s\n", len(report.Acts), q.out)
	return err
}

// readSubject reads the BSN of a data subject from standard input.
func readSubject(c *cobra.Command, flag string) (broker.BSN, error) {
	if flag != "-" {
		return "", &exitError{exitUsage, errors.New("--bsn is -, and the BSN stands on standard input: every process can read a command line")}
	}
	line, err := readLine(c.InOrStdin())
	if err != nil {
		return "", err
	}
	bsn, err := broker.ParseBSN(line)
	if err != nil {
		return "", &exitError{exitUsage, err}
	}
	return bsn, nil
}

// subjectFound is what the log has of a data subject and may be named to them.
type subjectFound struct {
	window     audit.MentionsConfig
	events     []audit.SubjectEvent // the newest first
	mentions   []audit.Mention      // with those that can't be read
	unreadable int
}

// indexed is a Merkle log with its folder, whose daily indexes tell where somebody stands. The zero indexed has none: then the
// whole log is read.
type indexed struct {
	log    *checkpoint.Log
	folder string
	keys   checkpoint.Keys // that its checkpoints are held against

	read func(entries int) // told how many entries of the log were read; may be nil
}

// indexed opens the Merkle log of a desk; the error says why there is none, which a report can do without.
func (w *where) indexed(ctx context.Context, d *desk, m merkle) (indexed, error) {
	k, err := m.keys(ctx, d.store, d.ring)
	if err != nil {
		return indexed{}, err
	}
	log, err := w.merkleLog(m.folder, k)
	if err != nil {
		return indexed{}, err
	}
	return indexed{log: log, folder: w.merkleFolder(m.folder, k.Origin()), keys: k}, nil
}

// subjectEvents finds what the log has of a data subject and may be named to them, under every version of their pseudonym.
func (d *desk) subjectEvents(ctx context.Context, bsn broker.BSN, window audit.MentionsConfig, by indexed) (subjectFound, error) {
	f := subjectFound{window: window}
	window.Of = d.ring.Pseudonyms(bsn)
	cfg := d.indexOf(by.folder)
	cfg.Store = counted(d.store, by.read)
	var err error
	if f.mentions, err = index.Mentions(ctx, cfg, by.log, window); err != nil {
		return f, err
	}
	for _, m := range f.mentions {
		mine := slices.IndexFunc(m.Pseudonyms, func(p string) bool { return slices.Contains(window.Of, p) })
		if mine < 0 {
			f.unreadable++ // it may be about anybody
			continue
		}
		e, err := m.Open(ctx, d.vault, m.Pseudonyms[mine])
		if err != nil {
			return f, err
		}
		f.events = append(f.events, e)
	}
	slices.SortStableFunc(f.events, func(a, b audit.SubjectEvent) int { return b.Time.Compare(a.Time) })
	return f, nil
}

// report puts what was found in words.
func (f subjectFound) report(w audit.Words, made time.Time) audit.SubjectReport {
	r := audit.SubjectReport{Made: made.UTC().Truncate(time.Second), NotNamed: audit.NotNamed, Acts: []audit.SubjectAct{}, Unreadable: f.unreadable}
	if w.English {
		r.NotNamed = audit.NotNamedEnglish
	}
	if !f.window.Since.IsZero() {
		r.Since = &f.window.Since
	}
	if !f.window.Until.IsZero() {
		r.Until = &f.window.Until
	}
	for _, e := range f.events {
		r.Acts = append(r.Acts, w.Act(e))
	}
	return r
}

// words are those that a report is written in, of the policies that decided and the agencies that the register has.
func (d *desk) words(ctx context.Context, catalogs func(broker.Revision) *broker.Catalog) audit.Words {
	terms, _ := d.terms(ctx) // without any, a report says that the policy does not say
	return audit.Words{Catalog: catalogs, Term: terms.Of, Agency: func(oin broker.OIN) string {
		a, _ := d.register.Agency(oin)
		return a.Name
	}}
}

// catalogs gives the words of each policy revision as it was signed, read once; nil where one is not kept.
func (d *desk) catalogs(ctx context.Context) func(broker.Revision) *broker.Catalog {
	known := map[broker.Revision]*broker.Catalog{}
	return func(name broker.Revision) *broker.Catalog {
		catalog, ok := known[name]
		if ok {
			return catalog
		}
		if files, err := d.revisionFiles(ctx, name); err == nil {
			if source, err := decide.Read(files); err == nil {
				catalog = source.Catalog
			}
		}
		known[name] = catalog
		return catalog
	}
}

// writeNew writes a file that holds data about a person: it must be new, and only its owner can read it.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &exitError{exitUsage, fmt.Errorf("%s exists already; name a new file with --out", path)}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
