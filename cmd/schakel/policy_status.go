package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// notServing names the gateways that answer and don't serve a revision.
func notServing(list []gatewayState, r broker.Revision) []string {
	var out []string
	for _, g := range list {
		if !g.Ended && !g.Silent && g.Serves != r {
			out = append(out, g.Writer)
		}
	}
	return out
}

func (l *life) rollback() *cobra.Command {
	var title string
	c := &cobra.Command{
		Use:   "rollback [REVISION] --officer ID",
		Short: "Propose an earlier revision again; default: what was live before the last change",
		Long: `Makes a draft with the content of an earlier revision. It is checked and approved like any other, since it may widen
what is given; then activate it. After an emergency stop this is the way back.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return l.propose(c, "", func(d *desk) (map[string][]byte, string, error) {
				p := d.register.Policy()
				var to broker.Revision
				if len(args) > 0 {
					to = broker.Revision(args[0])
				} else if n := len(p.History); n > 0 {
					to = p.History[n-1].Base
				}
				if to == "" {
					return nil, "", errors.New("roll back policy: there is no revision before this one")
				}
				if !wasLive(p, to) {
					return nil, "", fmt.Errorf("roll back policy: revision %.12s was never in force; `schakel policy status` lists those that were", to)
				}
				files, err := d.signedFiles(c.Context(), to)
				if title == "" {
					title = fmt.Sprintf("terug naar %.12s", to)
				}
				return files, title, err
			})
		},
	}
	l.by.flags(c)
	c.Flags().StringVar(&title, "title", "", "why, in some words; name no persons")
	return c
}

func wasLive(p register.Policy, r broker.Revision) bool {
	for _, a := range p.History {
		if a.Revision == r && !a.Stop {
			return true
		}
	}
	return false
}

func (l *life) denyAll() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "deny-all --reason TEXT --officer ID",
		Short: "Emergency stop: refuse every field to everybody, at once",
		Long: `One officer can do this, at once and on every gateway. Decisions go on being made and recorded; each is a refusal with
the reason emergency-stop. Every gateway logs it as an error and shows it in its metrics.
The way back: schakel policy rollback, approved by a colleague, then schakel policy activate.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			signer, err := l.by.signer(l.data)
			if err != nil {
				return err
			}
			var t told
			err = l.work(c.Context(), adminWriter, func(d *desk, a register.Appender) error {
				if err := d.stop(c.Context(), a, l.by.id, signer, reason); err != nil {
					return err
				}
				live, _ := d.register.Revision()
				t = told{Done: "EMERGENCY STOP: every field is refused", Revision: live, Next: "the way back: schakel policy rollback --officer ID"}
				if err := d.await(c.Context(), func(list []gatewayState) []string { return notServing(list, live) }); err != nil {
					_, _ = fmt.Fprintln(c.ErrOrStderr(), "it is in force; these gateways answer 503 until they have it:", err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return l.say(c, t)
		},
	}
	l.by.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it stands in the log for ever, so name no persons")
	return c
}

// policyStatus is all that an officer is told of the policy.
type policyStatus struct {
	register.Policy
	Gateways []gatewayState                             `json:"gateways"`
	Officers map[register.OfficerRef]register.OfficerID `json:"officers"`
}

func (l *life) status() *cobra.Command {
	var number int
	c := &cobra.Command{Use: "status", Short: "The policy in force, what each gateway serves, and what waits for whom", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l.anyPolicy = true
			d, err := l.openDesk(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = d.store.Close() }()
			if number > 0 {
				return l.showDraft(c, d, number)
			}
			s := policyStatus{Policy: d.register.Policy(), Officers: map[register.OfficerRef]register.OfficerID{}}
			for _, o := range d.register.Officers() {
				s.Officers[o.Ref] = o.ID
			}
			if s.Gateways, err = d.gateways(c.Context()); err != nil {
				return err
			}
			if *l.asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			if d.unready != nil {
				_, _ = fmt.Fprintln(c.OutOrStdout(), "REFUSED:", d.unready)
			}
			return s.print(c.OutOrStdout())
		}}
	c.Flags().IntVar(&number, "draft", 0, "show this draft with its reports")
	return c
}

// showDraft prints a draft and its reports, each as it is kept.
func (l *life) showDraft(c *cobra.Command, d *desk, n int) error {
	p, err := d.proposed(c.Context(), n)
	if err != nil {
		return err
	}
	w := c.OutOrStdout()
	if *l.asJSON {
		return printJSON(w, p)
	}
	_, _ = fmt.Fprintf(w, "draft %d: %s\nstate: %s\nrevision %s\non base  %s\n", p.Number, p.Title, p.State, p.Revision, p.Base)
	p.printWidens(w)
	for _, name := range []string{"tests", "difference", "impact"} {
		if report, there := p.Kept[name]; there {
			_, _ = fmt.Fprintf(w, "%s: %s\n", name, report)
		}
	}
	_, err = fmt.Fprintln(w, next(p.Draft))
	return err
}

// printWidens says what holders would give more of.
func (p proposed) printWidens(w io.Writer) {
	for _, f := range p.Widens {
		_, _ = fmt.Fprintf(w, "widens %s, held by %s\n", f.Field, join(f.Kinds))
	}
}

func (s policyStatus) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	line := func(format string, a ...any) { _, _ = fmt.Fprintf(w, format+"\n", a...) }
	who := func(ref register.OfficerRef) string {
		if id := s.Officers[ref]; id != "" {
			return string(id)
		}
		return string(ref)
	}
	if s.Stop != nil {
		line("EMERGENCY STOP since %s by %s: %s", s.Stop.When.Format(time.RFC3339), who(s.Stop.Officer), s.Stop.Reason)
		line("every field is refused; before it, revision %s decided", s.Stop.Base)
	}
	line("in force: %s", s.Live)
	line("\ngateway\tserves\tcompiled\tlast heard\tstate")
	for _, g := range s.Gateways {
		state := "serves the policy in force"
		switch {
		case g.Ended:
			state = "stopped"
		case g.Silent:
			state = "SILENT"
		case g.Problem != "":
			state = g.Problem
		case g.Serves != s.Live:
			state = "BEHIND"
		}
		line("%s\t%.12s\t%d\t%s\t%s", g.Writer, g.Serves, len(g.Compiled), g.Time.Format(time.TimeOnly), state)
	}
	line("\ndraft\tstate\trevision\tauthor\ttitle\tnext")
	for _, d := range s.Drafts {
		line("%d\t%s\t%.12s\t%s\t%s\t%s", d.Number, d.State, d.Revision, who(d.Author), d.Title, next(d))
	}
	line("\nin force since\trevision\tby")
	for _, a := range s.History {
		how := "the first"
		if a.Draft > 0 {
			how = fmt.Sprintf("draft %d", a.Draft)
		}
		if a.Stop {
			how = "EMERGENCY STOP"
		}
		line("%s\t%s\t%s", a.When.Format(time.RFC3339), a.Revision, how)
	}
	return w.Flush()
}
