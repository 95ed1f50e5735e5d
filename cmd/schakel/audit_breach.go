package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/keys"
)

func newAuditBreach(w *where) *cobra.Command {
	var look lookOver
	var kid, worker, agency, since, until string
	var asJSON bool
	c := &cobra.Command{
		Use:   "breach --kid KID | --worker ID | --agency OIN",
		Short: "Which households and fields did this key, worker or agency get, since when: for a data breach notice",
		Long: `Gathers what a key of an agency, a worker or an agency got to see: households by case, which fields, when, from which holders,
and of how many persons; what a notice to the Autoriteit Persoonsgegevens needs (AVG 33), and to whom else (AVG 34). More than
one of the three narrows it. An auditor, a functionaris-gegevensbescherming or a privacy-officer may look, shows with their own
key that they are, and that they looked, for whom and on which ground, is recorded first. Exit code 1 when an event of the
window can't be read: it may be one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var sought []string
			for _, one := range [][2]string{{"agency", agency}, {"worker", worker}, {"kid", kid}} {
				if one[1] != "" {
					sought = append(sought, one[0]+" "+one[1])
				}
			}
			if len(sought) == 0 {
				return &exitError{exitUsage, errors.New("whose? Name --kid, --worker or --agency; more than one narrows it")}
			}
			from, to, err := window(since, until)
			if err != nil {
				return err
			}
			cfg := audit.BreachConfig{Agency: broker.OIN(agency), Worker: broker.WorkerID(worker), Key: kid}
			w.anyPolicy = true // a breach is looked into also while the policy is out of order
			var ring *keys.Ring
			var names map[broker.OIN]string
			err = w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
				ring, names = d.ring, d.names()
				if cfg.Agency, err = d.agencyOf(cfg.Agency, kid); err != nil {
					return err
				}
				seen := audit.Viewed{How: "audit breach", Since: from, Until: to}
				return look.record(c.Context(), d, writer, w.data, seen, strings.Join(sought, ", "))
			})
			if err != nil {
				return err
			}
			store, err := w.openStore(c.Context(), true) // anew: other commands need not wait until a long log is read
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			cfg.Window = audit.RequestsConfig{Store: store, Vault: keys.NewVault(store, ring), Since: from, Until: to}
			report, err := audit.Breach(c.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), struct {
					Sought breachSought `json:"sought"`
					Since  *time.Time   `json:"since"`
					Until  *time.Time   `json:"until"`
					audit.BreachReport
				}{breachSought{cfg.Agency, worker, kid}, known(from), known(to), report})
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), breachText(report, sought, names))
			}
			if err == nil && len(report.Damaged) > 0 {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	look.flags(c)
	jsonFlag(c, &asJSON)
	windowFlags(c, &since, &until)
	f := c.Flags()
	f.StringVar(&kid, "kid", "", "a key: the kid that an agency registered it under and that its tokens carry")
	f.StringVar(&worker, "worker", "", "a worker, by the id that their agency's tokens carry; ids are unique within an agency: name it too")
	f.StringVar(&agency, "agency", "", "an agency, by its OIN")
	return c
}

// names gives the names of agencies.
func (d *desk) names() map[broker.OIN]string {
	names := map[broker.OIN]string{}
	for _, a := range d.register.Agencies() {
		names[a.OIN] = a.Name
	}
	return names
}

type breachSought struct {
	Agency broker.OIN `json:"agency,omitempty"`
	Worker string     `json:"worker,omitempty"`
	Key    string     `json:"kid,omitempty"`
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// agencyOf finds whose key it is, which narrows what was recorded before keys were. A name that nobody knows is refused: no
// disclosures of it would be good news, and none.
func (d *desk) agencyOf(oin broker.OIN, kid string) (broker.OIN, error) {
	if oin != "" {
		if _, known := d.register.Agency(oin); !known {
			return "", fmt.Errorf("the register has no agency %s; `schakel register agency list` shows them", oin)
		}
	}
	if kid == "" {
		return oin, nil
	}
	var owners []broker.OIN
	for _, a := range d.register.Agencies() {
		for _, k := range a.Keys {
			if k.ID == kid && (oin == "" || a.OIN == oin) {
				owners = append(owners, a.OIN)
			}
		}
	}
	switch len(owners) {
	case 0:
		return "", fmt.Errorf("no such agency has a key %q in the register; `schakel register agency list --json` shows their keys", kid)
	case 1:
		return owners[0], nil
	}
	return "", fmt.Errorf("more than one agency has a key %q: name one with --agency", kid)
}

func breachText(r audit.BreachReport, sought []string, names map[broker.OIN]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d answers in which data was given, %d in which none was\n", strings.Join(sought, ", "), r.Answers, r.Nothing)
	given := 0
	for _, h := range r.Households {
		if h.Answers > 0 {
			given++
		}
	}
	if r.First != nil {
		fmt.Fprintf(&b, "from %s until %s; of %d persons in %d households\n", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339), r.Persons, given)
	}
	for _, list := range []struct {
		what   string
		counts []audit.BreachCount
	}{{"agencies", r.Agencies}, {"workers", r.Workers}, {"keys", r.Keys}} {
		var parts []string
		for _, n := range list.counts {
			name := n.Name
			if full := names[broker.OIN(name)]; full != "" {
				name += " " + full
			}
			if name == "" {
				name = "not recorded"
			}
			parts = append(parts, fmt.Sprintf("%s (%d)", name, n.Disclosures))
		}
		if len(parts) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", list.what, strings.Join(parts, ", "))
		}
	}
	for _, h := range r.Households {
		name := "case " + string(h.Case)
		if h.Case == "" {
			name = "households that they had no relation with; nothing was given"
		}
		fmt.Fprintf(&b, "\n%s: %d answers, %d without data; %s – %s", name, h.Answers, h.Nothing, h.First.Format(time.RFC3339), h.Last.Format(time.RFC3339))
		if h.Answers > 0 {
			fmt.Fprintf(&b, "; of %d persons", h.Persons)
		}
		b.WriteByte('\n')
		for _, f := range h.Fields {
			forms := make([]string, len(f.Forms))
			for i, form := range f.Forms {
				forms[i] = string(form)
			}
			fmt.Fprintf(&b, "  %-50s %s, %d answers\n", f.Field, strings.Join(forms, " and "), f.Answers)
		}
		if len(h.Holders) > 0 {
			holders := make([]string, len(h.Holders))
			for i, oin := range h.Holders {
				holders[i] = strings.TrimSpace(string(oin) + " " + names[oin])
			}
			fmt.Fprintf(&b, "  holders asked: %s\n", strings.Join(holders, ", "))
		}
	}
	b.WriteByte('\n')
	if r.Unsigned > 0 {
		fmt.Fprintf(&b, "%d disclosures were recorded before the key that signed was; where a key is sought they are left out, and may be of it\n", r.Unsigned)
	}
	if r.Erased > 0 {
		fmt.Fprintf(&b, "of %d disclosures in the window it is not known any more who asked: their key was deleted\n", r.Erased)
	}
	if len(r.Damaged) > 0 {
		fmt.Fprintf(&b, "NOT READ: %s; `schakel audit verify` says what is wrong\n", events(r.Damaged))
	}
	b.WriteString("who the persons of a case are is known to the agency that opened it; whether the log is whole: `schakel audit verify`\n")
	return b.String()
}
