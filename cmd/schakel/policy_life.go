package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

func officerFile(data, id string) string { return filepath.Join(data, officersFolder, id+".jwk") }

// life is what the commands of a revision's life share.
type life struct {
	*where
	asJSON *bool
	by     officerKey
}

// newPolicyLife makes the commands that bring a draft to life, and stop everything.
func newPolicyLife(w *where, asJSON *bool) []*cobra.Command {
	l := &life{where: w, asJSON: asJSON}
	return []*cobra.Command{l.submit(), l.approveCommand(), l.agreeCommand(), l.activateCommand(), l.rollback(), l.status(), l.denyAll()}
}

// told is what a step prints.
type told struct {
	Done     string          `json:"done"`
	Draft    int             `json:"draft,omitempty"`
	Revision broker.Revision `json:"revision,omitempty"`
	State    string          `json:"state,omitempty"`
	Next     string          `json:"next,omitempty"`
	Study    *study          `json:"study,omitempty"`
	Blocked  []string        `json:"blocked,omitempty"`

	Statement string `json:"statement,omitempty"` // file with what a holder signed
}

func (l *life) say(c *cobra.Command, t told) error {
	if *l.asJSON {
		return printJSON(c.OutOrStdout(), t)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), t.Done)
	if err == nil && t.Next != "" {
		_, err = fmt.Fprintln(c.OutOrStdout(), t.Next)
	}
	return err
}

// draftNumber reads which draft a command is about.
func draftNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &exitError{exitUsage, fmt.Errorf("%q is no number of a draft; `schakel policy status` shows them", text)}
	}
	return n, nil
}

// step does something about a draft and says where it stands then.
func (l *life) step(c *cobra.Command, n int, done string, do func(d *desk, a register.Appender) error) error {
	l.anyPolicy = true
	var t told
	err := l.work(c.Context(), adminWriter, func(d *desk, a register.Appender) error {
		if err := do(d, a); err != nil {
			return err
		}
		draft, err := d.draft(c.Context(), n)
		t = told{Done: fmt.Sprintf("draft %d %s", n, done), Draft: n, Revision: draft.Revision, State: string(draft.State), Next: next(draft)}
		return err
	})
	if err != nil {
		return err
	}
	return l.say(c, t)
}

// next says what a draft waits for.
func next(d register.Draft) string {
	switch {
	case len(d.WaitsFor) > 0:
		return fmt.Sprintf("it waits for the approval of a %s: schakel policy approve %d --officer ID", join(d.WaitsFor), d.Number)
	case len(d.WaitsForHolders) > 0:
		return fmt.Sprintf("it widens what holders give; it waits for %s: schakel policy agree %d --holder OIN", join(d.WaitsForHolders), d.Number)
	case d.State == register.StateApproved:
		return fmt.Sprintf("it can be activated: schakel policy activate %d", d.Number)
	case d.State == register.StateOutdated:
		return fmt.Sprintf("its base is not live any more: schakel policy submit --rebase %d", d.Number)
	}
	return ""
}

func (l *life) submit() *cobra.Command {
	var title, base string
	var rebase int
	c := &cobra.Command{
		Use:   "submit FOLDER --officer ID --title TITLE",
		Short: "Check, test and compare a policy, and propose it in the place of the one in force",
		Long: `Checks and tests the policy in FOLDER, compares it with the one in force, decides the requests of the last 90 days
again, keeps the reports, and proposes it for approval. What fails blocks it: nothing is changed then. The author signs.
--rebase N puts the changes of draft N on the policy that is live now; with FOLDER, that is what came of bringing them together.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && rebase == 0 {
				return &exitError{exitUsage, errors.New("which policy? Name its folder, or a draft with --rebase")}
			}
			return l.propose(c, broker.Revision(base), func(d *desk) (map[string][]byte, string, error) {
				if len(args) > 0 {
					files, err := policyFolder(args[0])
					if rebase > 0 && title == "" && err == nil {
						var draft register.Draft
						draft, err = d.draft(c.Context(), rebase)
						title = draft.Title
					}
					return files, title, err
				}
				files, old, err := d.rebase(c.Context(), rebase)
				if title != "" {
					old = title
				}
				return files, old, err
			})
		},
	}
	l.by.flags(c)
	c.Flags().StringVar(&title, "title", "", "what changes, in some words; name no persons")
	c.Flags().StringVar(&base, "base", "", "the revision it was made on; default: the one in force")
	c.Flags().IntVar(&rebase, "rebase", 0, "the draft to put on the policy that is live now")
	return c
}

// propose studies a policy and drafts it.
func (l *life) propose(c *cobra.Command, base broker.Revision, get func(*desk) (files map[string][]byte, title string, err error)) error {
	ctx := c.Context()
	signer, err := l.by.signer(l.data)
	if err != nil {
		return err
	}
	l.anyPolicy = true
	s, files, title, base, err := l.studyOf(c, base, get)
	if err != nil {
		return err
	}
	if len(s.Blocked) > 0 {
		if *l.asJSON {
			return ended(false, printJSON(c.OutOrStdout(), told{Done: "blocked: nothing was changed", Revision: s.Revision, Study: &s, Blocked: s.Blocked}))
		}
		for _, why := range s.Blocked {
			_, _ = fmt.Fprintln(c.OutOrStdout(), "blocked:", why)
		}
		return ended(false, nil)
	}
	var t told
	err = l.work(ctx, adminWriter, func(d *desk, a register.Appender) error {
		n, err := d.submit(ctx, a, l.by.id, signer, title, base, files, s)
		if err != nil {
			return err
		}
		draft, err := d.draft(ctx, n)
		t = told{Done: fmt.Sprintf("draft %d submitted: revision %.12s, %d files changed", n, s.Revision, len(s.Changed)),
			Draft: n, Revision: s.Revision, State: string(draft.State), Next: next(draft), Study: &s}
		return err
	})
	if err != nil {
		return err
	}
	return l.say(c, t)
}

func (l *life) studyOf(c *cobra.Command, base broker.Revision, get func(*desk) (map[string][]byte, string, error)) (s study, files map[string][]byte, title string, on broker.Revision, err error) {
	d, err := l.openDesk(c.Context(), true)
	if err != nil {
		return
	}
	defer func() { _ = d.store.Close() }()
	if files, title, err = get(d); err != nil {
		return
	}
	if title == "" {
		err = &exitError{exitUsage, errors.New("say what changes with --title")}
		return
	}
	p := d.register.Policy()
	if on = base; on == "" {
		on = p.Live
	}
	if on != p.Live {
		err = d.explain(c.Context(), &register.OutdatedError{Base: on, Live: p.Live})
		return
	}
	old, err := d.revisionFiles(c.Context(), p.Against())
	if err != nil {
		return
	}
	if policies.Revision(files) == p.Live {
		err = errors.New("submit policy: this is the policy that is in force: nothing changes")
		return
	}
	now := time.Now()
	since := now.Add(-studyWindow)
	s, err = look(c.Context(), studied{base: old, draft: files, requests: recorded(c.Context(), d.store, d.ring, since, now), since: since, until: now,
		progress: func(what string) {
			if !*l.asJSON {
				_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s …\n", what)
			}
		}})
	return
}

func (l *life) approveCommand() *cobra.Command {
	c := &cobra.Command{Use: "approve DRAFT --officer ID", Short: "Approve a colleague's draft, with exactly its reports", Args: cobra.ExactArgs(1),
		Long: `Signs, with your own key, for the draft, its base and the digests of its test report, matrix difference and impact
report together: what you approve is what becomes live. Every report is made again first, on your machine, from its files
and the log, over the same window; where one is not what its reports say, it says what differs and nothing is signed.
Look first: schakel policy status --draft N`,
		RunE: func(c *cobra.Command, args []string) error {
			n, err := draftNumber(args[0])
			if err != nil {
				return err
			}
			signer, err := l.by.signer(l.data)
			if err != nil {
				return err
			}
			step, err := l.judge(c, n, signer)
			if err != nil {
				return err
			}
			return l.step(c, n, "approved", func(d *desk, a register.Appender) error {
				return d.recordApproval(c.Context(), a, l.by.id, step)
			})
		}}
	l.by.flags(c)
	return c
}

// judge looks at a draft before the turn to write is taken, since that takes a while.
func (l *life) judge(c *cobra.Command, n int, signer keys.Signer) (step register.ApprovePolicy, err error) {
	l.anyPolicy = true
	d, err := l.openDesk(c.Context(), true)
	if err != nil {
		return step, err
	}
	defer func() { _ = d.store.Close() }()
	return d.judge(c.Context(), n, l.by.id, signer)
}

func (l *life) activateCommand() *cobra.Command {
	return &cobra.Command{Use: "activate DRAFT", Short: "Make an approved draft the policy in force, on every gateway at once", Args: cobra.ExactArgs(1),
		Long: "Waits until every gateway that answers has compiled it. A gateway that is silent is not waited for; it answers 503 until it has it.",
		RunE: func(c *cobra.Command, args []string) error {
			n, err := draftNumber(args[0])
			if err != nil {
				return err
			}
			return l.step(c, n, "is in force", func(d *desk, a register.Appender) error {
				if err := d.activate(c.Context(), a, n, operator()); err != nil {
					return err
				}
				live, _ := d.register.Revision()
				if err := d.await(c.Context(), func(list []gatewayState) []string { return notServing(list, live) }); err != nil {
					_, _ = fmt.Fprintln(c.ErrOrStderr(), "it is in force, but not yet served by", err)
				}
				return nil
			})
		}}
}
