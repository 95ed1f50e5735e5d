package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/keys"
)

func newPolicyImpact(w *where, asJSON *bool) *cobra.Command {
	var base, since, until string
	c := &cobra.Command{
		Use:   "impact FOLDER|REVISION",
		Short: "Decide every recorded request again, by the policy in force and by a draft, and count who gains or loses what",
		Long: `Reads the log of a Schakel (--data or --redis) and decides each recorded request of the window again, by the policy in
force and by the draft: a folder, or a revision that is kept in the journal. Nothing is changed. The report has no personal
data, and no numbers under 10. Without the key ring it can't tell how many agencies and cases are concerned, and takes folders
only, since it can't verify a revision.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			from, err := moment(since, now)
			if err != nil {
				return err
			}
			to, err := moment(until, now)
			if err != nil {
				return err
			}
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			var d *desk
			ring, err := w.openRing()
			if err != nil {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "agencies and cases are not counted:", err)
			} else if d, err = newDesk(c.Context(), store, ring); err != nil {
				return err
			}
			cfg := workbench.ImpactConfig{Since: from, Until: to}
			if cfg.Draft, err = d.policyNamed(c.Context(), args[0]); err != nil {
				return err
			}
			if base == "" {
				if base, err = inForce(d); err != nil {
					return err
				}
			}
			if cfg.Base, err = d.policyNamed(c.Context(), base); err != nil {
				return err
			}
			cfg.Requests = recorded(c.Context(), store, ring, from, to)
			if !*asJSON {
				cfg.Progress = func(p workbench.ImpactProgress) { sayProgress(c.ErrOrStderr(), p) }
			}
			report, err := workbench.Impact(c.Context(), cfg)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), "\r"+report.Text())
			return err
		},
	}
	c.Flags().StringVar(&base, "base", "", "compare with this folder or revision instead of the policy in force")
	c.Flags().StringVar(&since, "since", "90d", "begin of the window: so long ago (90d, 12h), or a date or time (2026-09-01, RFC 3339)")
	c.Flags().StringVar(&until, "until", "0d", "end of the window, itself not included; as --since")
	return c
}

// moment reads a point in time: so many days or hours before now, a date in UTC, or RFC 3339.
func moment(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &exitError{exitUsage, fmt.Errorf("%q is no time: write 90d, 12h, 2026-09-01 or 2026-09-01T12:00:00Z", text)}
}

// policyNamed reads the policy of a folder or, by its 64 hex digits, a revision that is kept in the journal, after it was made
// sure that it is the one that was approved or drafted. Without a desk, so without a key ring, nothing in the journal can be
// trusted to be that.
func (d *desk) policyNamed(ctx context.Context, name string) (map[string][]byte, error) {
	var hash broker.Hash
	switch {
	case hash.UnmarshalText([]byte(name)) != nil:
		return policyFolder(name)
	case d == nil:
		return nil, &exitError{exitUsage, errors.New("whether a revision is as it was signed can't be verified without the key ring: name a folder, or the ring with --keys")}
	}
	return d.revisionFiles(ctx, broker.Revision(name))
}

// inForce names the revision in force.
func inForce(d *desk) (string, error) {
	if d == nil {
		return "", errors.New("the policy in force can't be found without the key ring: name a folder with --base")
	}
	r, ok := d.register.Revision()
	if !ok {
		return "", errors.New("no policy is in force yet; `schakel init` activates the shipped one")
	}
	return string(r), nil
}

// recorded gives the requests of the log to the workbench. Without a ring it does not tell who asked.
func recorded(ctx context.Context, store journal.Store, ring *keys.Ring, since, until time.Time) iter.Seq2[workbench.Recorded, error] {
	cfg := audit.RequestsConfig{Store: store, Since: since, Until: until}
	if ring != nil {
		cfg.Vault = keys.NewVault(store, ring)
	}
	return func(yield func(workbench.Recorded, error) bool) {
		for r, err := range audit.Requests(ctx, cfg) {
			out := workbench.Recorded{Event: r.Writer + " " + r.ID.String(), Damaged: r.Damaged, Queries: r.Queries, Decisions: r.Decisions,
				Revisions: r.Revisions, Agency: string(r.Agency), Case: string(r.Case), Closed: r.StaffState != ""}
			for _, s := range r.Subjects {
				out.Subjects = append(out.Subjects, workbench.RecordedSubject{Queries: s.Queries, Lookup: s.Lookup != ""})
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func sayProgress(out io.Writer, p workbench.ImpactProgress) {
	if p.Queries == 0 {
		_, _ = fmt.Fprintf(out, "\r%d verzoeken gelezen – requests read", p.Requests)
		return
	}
	_, _ = fmt.Fprintf(out, "\r%d/%d verschillende vragen besloten – different queries decided ", p.Decided, p.Queries)
}
