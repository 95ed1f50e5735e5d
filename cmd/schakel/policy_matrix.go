package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/workbench"
)

// newPolicyMatrix makes `policy matrix`.
func newPolicyMatrix(w *where, asJSON *bool) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "matrix [FOLDER]",
		Short: "Work out what the policy gives in every combination of facts, for a DPIA",
		Long: `Works out, in full and without sampling, what each role gets of each field for each purpose: always, never, or under
which conditions. --format avg30 gives the part of the register of processing (AVG 30) that follows from it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := w.policyFiles(c, args)
			if err != nil {
				return err
			}
			m, err := workbench.NewExplorer(workbench.ExplorerConfig{}).Matrix(c.Context(), files)
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
