package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/looks"
	"github.com/schakel/schakel/broker/workbench"
)

// looksHistory is how far before the window looks are read, so that what is usual is known at its begin: the oldest threshold
// that is of use, in days.
const looksHistory = 400

// reviewed begins what a view event says of a look that was reviewed; the outcome follows and, after a slash, the note.
const reviewed = "audit looks review: "

// notes are what a review may say beside its outcome. There is no other text: what is said of somebody belongs in a file.
func notes() map[string]broker.Text {
	return map[string]broker.Text{
		"own-case":  {NL: "het was toch een eigen zaak", EN: "it was a case of their own after all"},
		"stand-in":  {NL: "waargenomen voor een collega", EN: "stood in for a colleague"},
		"transfer":  {NL: "de zaak werd overgedragen", EN: "the case was being handed over"},
		"mistake":   {NL: "vergissing in de zaak", EN: "the wrong case, by mistake"},
		"discussed": {NL: "besproken met de leidinggevende", EN: "discussed with the manager"},
		"reported":  {NL: "gemeld als datalek", EN: "reported as a data breach"},
		"go-on":     {NL: "verder onderzoek nodig", EN: "needs to be looked into further"},
	}
}

// howReviewed is what a view event says of a review; an error where the outcome or the note is not of its list.
func howReviewed(outcome, note string) (string, error) {
	if _, ok := outcomes()[outcome]; !ok {
		return "", errors.New("what came of it? The outcome is explained, misuse or unclear")
	}
	if note == "" {
		return reviewed + outcome, nil
	}
	if _, ok := notes()[note]; !ok {
		return "", fmt.Errorf("a note is one of %s", strings.Join(slices.Sorted(maps.Keys(notes())), ", "))
	}
	return reviewed + outcome + "/" + note, nil
}

// outcomes are what a review can come to.
func outcomes() map[string]broker.Text {
	return map[string]broker.Text{
		"explained": {NL: "verklaard", EN: "explained"},
		"misuse":    {NL: "misbruik", EN: "misuse"},
		"unclear":   {NL: "onduidelijk", EN: "unclear"},
	}
}

// looksList is the working list.
type looksList struct {
	Since  time.Time       `json:"since"`
	Until  time.Time       `json:"until"`
	Rules  broker.Revision `json:"rules"`  // the policy whose rules judged
	Judged int             `json:"judged"` // looks in the window
	Unread int             `json:"unread"` // of history and window: damaged, or who looked can't be read
	Looks  []listedLook    `json:"looks"`  // the heaviest first; those that were reviewed last

	read func(entries int) // told how many entries of the log were read; may be nil
}

type listedLook struct {
	looks.Judged
	Review *lookReview `json:"review,omitempty"` // the last one

	event eventID
}

type lookReview struct {
	Outcome string    `json:"outcome"`
	Note    string    `json:"note,omitempty"`
	Time    time.Time `json:"time"`

	view eventID // of the review itself, which has by whom encrypted
}

// looksReport is for managers: no persons, and no numbers under 10 from which one could be guessed.
type looksReport struct {
	Month    string          `json:"month"`
	Rules    broker.Revision `json:"rules"`
	Judged   workbench.Count `json:"judged"`
	Given    workbench.Count `json:"given"`
	Listed   workbench.Count `json:"listed"`
	Patterns []patternReport `json:"patterns"`
}

type patternReport struct {
	looks.Named
	Looks   workbench.Count `json:"looks"`
	Workers workbench.Count `json:"workers"`
}

func newAuditLooks(w *where) *cobra.Command {
	var look lookOver
	var since, until, policy, month string
	var asJSON bool
	c := &cobra.Command{
		Use:   "looks --officer ID --purpose controle --ground TEXT",
		Short: "Rank the looks that nothing explains",
		Long: `Explains each recorded look from the register and the log, and lists what has no explanation or fits a pattern of misuse, the
heaviest first. A pattern is a reason to ask, and no verdict. The rules and thresholds are those of the policy in force
(schakel/looks), or of --policy. An officer may look, who shows with their own key that they are; that they looked is recorded
first. With --report it counts by pattern for one month instead, without persons and without numbers under 10; that takes no
officer.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if month != "" {
				report, err := w.looksReport(c.Context(), month, policy)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), report)
				}
				return report.print(c.OutOrStdout())
			}
			now := time.Now()
			list := looksList{}
			var err error
			if list.Since, err = moment(since, now); err != nil {
				return err
			}
			if list.Until, err = moment(until, now); err != nil {
				return err
			}
			if err := w.listLooks(c.Context(), &list, look, policy); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), list)
			}
			return list.print(c.OutOrStdout())
		},
	}
	look.flags(c)
	f := c.Flags()
	f.StringVar(&since, "since", "30d", "begin of the window: so long ago (90d, 12h), or a date or time (2026-09-01, RFC 3339)")
	f.StringVar(&until, "until", "0d", "end of the window, itself not included; as --since")
	f.StringVar(&month, "report", "", "count by pattern for a month (2026-11), for managers")
	f.StringVar(&policy, "policy", "", "judge by the rules of this folder or revision, instead of the policy in force")
	jsonFlag(c, &asJSON)
	c.AddCommand(newLooksReview(w))
	return c
}

func newLooksReview(w *where) *cobra.Command {
	var look lookOver
	var outcome, note string
	c := &cobra.Command{
		Use:   "review ANSWER --outcome explained|misuse|unclear [--note NOTE] --officer ID --purpose controle --ground TEXT",
		Short: "Record what came of asking about a look",
		Long: `Records the outcome in the log, beside who reviewed and on which ground. ANSWER is the id of the answer as the list has it, or
the hash of its receipt. The outcome stands in clear and names nobody; a note is one of a list, for
what else there is to say belongs in a file of your own.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			how, err := howReviewed(outcome, note)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			cfg, err := whenAnswered(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			err = w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
				cfg.Store, cfg.Vault = d.store, d.vault
				r, err := findAnswer(c.Context(), cfg, args[0])
				if err != nil {
					return err
				}
				v := audit.Viewed{Writer: r.Writer, Event: audit.Ref{ID: r.ID, Hash: r.Hash}, How: how}
				return look.record(c.Context(), d, writer, w.data, v, "")
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "beoordeeld: %s – reviewed: %s\n", outcomes()[outcome].NL, outcomes()[outcome].EN)
			return err
		},
	}
	look.flags(c)
	c.Flags().StringVar(&outcome, "outcome", "", "explained, misuse or unclear")
	c.Flags().StringVar(&note, "note", "", "one of "+strings.Join(slices.Sorted(maps.Keys(notes())), ", "))
	return c
}

// listLooks records that the list is asked for, and makes it.
func (w *where) listLooks(ctx context.Context, list *looksList, look lookOver, policy string) error {
	return w.write(ctx, adminWriter, func(d *desk, writer *audit.Writer) error {
		viewed := audit.Viewed{How: "audit looks", Since: list.Since, Until: list.Until}
		if err := look.record(ctx, d, writer, w.data, viewed, "looks that nothing explains"); err != nil {
			return err
		}
		return d.rankLooks(ctx, list, policy)
	})
}

// rankLooks makes the list of its window.
func (d *desk) rankLooks(ctx context.Context, list *looksList, policy string) error {
	rules, err := d.looksRules(ctx, policy)
	if err != nil {
		return err
	}
	list.Rules = rules.revision
	all, err := d.judgeLooks(ctx, rules, list.Since, list.Until, list.read)
	if err != nil {
		return err
	}
	reviews, err := d.looksReviewed(ctx, list.Since)
	if err != nil {
		return err
	}
	list.Judged, list.Unread, list.Looks = len(all.judged), all.unread, []listedLook{}
	for _, j := range looks.Ranked(all.judged) {
		one := listedLook{Judged: j, event: all.events[j.Answer]}
		if r, ok := reviews[one.event]; ok {
			one.Review = &r
		}
		list.Looks = append(list.Looks, one)
	}
	slices.SortStableFunc(list.Looks, func(a, b listedLook) int {
		switch {
		case a.Review == nil && b.Review != nil:
			return -1
		case a.Review != nil && b.Review == nil:
			return 1
		}
		return 0
	})
	return nil
}

// looksReport counts the looks of a month in Amsterdam.
func (w *where) looksReport(ctx context.Context, month, policy string) (r looksReport, err error) {
	since, err := time.ParseInLocation("2006-01", month, broker.Amsterdam())
	if err != nil {
		return r, &exitError{exitUsage, fmt.Errorf("%q is no month: write 2026-11", month)}
	}
	d, err := w.openDesk(ctx, true)
	if err != nil {
		return r, err
	}
	defer func() { _ = d.store.Close() }()
	rules, err := d.looksRules(ctx, policy)
	if err != nil {
		return r, err
	}
	all, err := d.judgeLooks(ctx, rules, since, since.AddDate(0, 1, 0), nil)
	if err != nil {
		return r, err
	}
	t := looks.Count(all.judged)
	r = looksReport{Month: month, Rules: rules.revision, Judged: workbench.CountOf(t.Looks), Given: workbench.CountOf(t.Given),
		Listed: workbench.CountOf(t.Listed), Patterns: []patternReport{}}
	for _, p := range t.Patterns {
		r.Patterns = append(r.Patterns, patternReport{p.Named, workbench.CountOf(p.Looks), workbench.CountOf(p.Workers)})
	}
	return r, nil
}

func (l looksList) print(out io.Writer) error {
	var b strings.Builder
	day := func(t time.Time) string { return t.In(broker.Amsterdam()).Format(time.DateOnly) }
	fmt.Fprintf(&b, "Werklijst – working list: %d van – of %d inzagen – looks, %s – %s, beleid – policy %.12s\n", len(l.Looks), l.Judged, day(l.Since), day(l.Until), l.Rules)
	if l.Unread > 0 {
		fmt.Fprintf(&b, "%d gebeurtenissen zijn niet te lezen – events can't be read; `schakel audit verify`\n", l.Unread)
	}
	for i, one := range l.Looks {
		fmt.Fprintf(&b, "\n%d. [%d] %s  %s (%s), %s, %s, %d velden – fields", i+1, one.Judgement.Score, one.Time.In(broker.Amsterdam()).Format("2006-01-02 15:04"),
			one.Worker.ID, one.Worker.Agency, one.Role, one.Purpose, one.Fields)
		if one.Case != "" {
			fmt.Fprintf(&b, ", %s", one.Case)
		}
		b.WriteByte('\n')
		for _, p := range one.Judgement.Patterns {
			fmt.Fprintf(&b, "   %s: %s – %s\n", p.ID, p.NL, p.EN)
		}
		for _, e := range one.Judgement.Explanations {
			fmt.Fprintf(&b, "   verklaring – explanation: %s – %s\n", e.NL, e.EN)
		}
		state := broker.Text{NL: "nog niet beoordeeld", EN: "not reviewed yet"}
		if one.Review != nil {
			state = outcomes()[one.Review.Outcome]
		}
		fmt.Fprintf(&b, "   antwoord – answer %s: %s – %s\n", one.Answer, state.NL, state.EN)
	}
	b.WriteString("\nEen patroon is een reden om te vragen, geen oordeel. – A pattern is a reason to ask, and no verdict.\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func (r looksReport) print(out io.Writer) error {
	var b strings.Builder
	both := func(c workbench.Count) string {
		if t := c.Text(); t.NL != t.EN {
			return t.NL + " – " + t.EN
		}
		return c.Text().NL
	}
	fmt.Fprintf(&b, "%s, beleid – policy %.12s\ninzagen – looks: %s; verstrekkingen – disclosures: %s; op de werklijst – on the working list: %s\n",
		r.Month, r.Rules, both(r.Judged), both(r.Given), both(r.Listed))
	for _, p := range r.Patterns {
		fmt.Fprintf(&b, "  %s: inzagen – looks %s, medewerkers – workers %s\n     %s – %s\n", p.ID, both(p.Looks), both(p.Workers), p.NL, p.EN)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
