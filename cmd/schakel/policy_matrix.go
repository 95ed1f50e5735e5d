package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
)

// newPolicyMatrix makes `policy matrix`.
func newPolicyMatrix(w *where, asJSON *bool) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "matrix [FOLDER|REVISION]",
		Short: "Work out what the policy gives in every combination of facts, for a DPIA",
		Long: `Works out, in full and without sampling, what each role gets of each field for each purpose: always, never, or under
which conditions. --format avg30 gives the part of the register of processing (AVG 30) that follows from it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := w.policyNamed(c, args)
			if err != nil {
				return err
			}
			m, err := workbench.NewExplorer().Matrix(c.Context(), files)
			if err != nil {
				return err
			}
			out := ""
			switch {
			case *asJSON || format == "json":
				return ended(m.OK(), printJSON(c.OutOrStdout(), m))
			case format == "md":
				out = m.Markdown()
			case format == "csv":
				out = m.CSV()
			case format == "avg30":
				out = m.RegisterMarkdown()
			default:
				return fmt.Errorf("print matrix: there is no format %q; use md, csv, json or avg30", format)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), out)
			return ended(m.OK(), err)
		},
	}
	c.Flags().StringVar(&format, "format", "md", "md, csv, json, or avg30: the register of processing")
	return c
}

// newPolicyDiff makes `policy diff`.
func newPolicyDiff(w *where, asJSON *bool) *cobra.Command {
	return &cobra.Command{
		Use:   "diff [LIVE] DRAFT",
		Short: "Work out what a draft gives more, less or otherwise, in every combination of facts",
		Long: `LIVE and DRAFT are a folder or, with --data or --redis, a revision. Without LIVE the draft is held against the policy in
force, or the one that ships with Schakel. Exit code 1 where something changes.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			draft, err := w.policyNamed(c, args[len(args)-1:])
			if err != nil {
				return err
			}
			live, err := w.policyNamed(c, args[:len(args)-1])
			if err != nil {
				return err
			}
			d, err := workbench.NewExplorer().Difference(c.Context(), live, draft)
			if err != nil {
				return err
			}
			if *asJSON {
				return ended(d.OK(), printJSON(c.OutOrStdout(), d))
			}
			_, err = fmt.Fprint(c.OutOrStdout(), d.Text())
			return ended(d.OK(), err)
		},
	}
}

// newPolicyGuardrails makes `policy guardrails`.
func newPolicyGuardrails(w *where, asJSON *bool) *cobra.Command {
	return &cobra.Command{
		Use:   "guardrails [FOLDER|REVISION]",
		Short: "Check the rules about rules over all that the policy gives",
		Long: `Checks the guardrails (schakel/guardrails in the policy folder) over every combination of facts, and shows a query for each
that is broken. Exit code 1 where one is broken or there are none.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := w.policyNamed(c, args)
			if err != nil {
				return err
			}
			r, err := workbench.NewExplorer().Guardrails(c.Context(), files)
			if err != nil {
				return err
			}
			if *asJSON {
				return ended(r.OK(), printJSON(c.OutOrStdout(), r))
			}
			_, err = fmt.Fprint(c.OutOrStdout(), r.Text())
			return ended(r.OK(), err)
		},
	}
}

// policyNamed reads the policy that a command names, or without one that in force. A revision takes a journal.
func (w *where) policyNamed(c *cobra.Command, args []string) (map[string][]byte, error) {
	var hash broker.Hash
	if len(args) == 0 || hash.UnmarshalText([]byte(args[0])) != nil {
		return w.policyFiles(c, args)
	}
	d, err := w.openDesk(c.Context(), true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.store.Close() }()
	return d.policyNamed(c.Context(), args[0])
}
