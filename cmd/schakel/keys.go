package main

import (
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/keys"
)

func newKeys() *cobra.Command {
	w := &where{}
	c := &cobra.Command{Use: "keys", Short: "List, rotate and retire the signing keys of the ring",
		Long: `The ring is a file; a running server takes up a changed one within a second. Answers signed by a retired
key go on verifying: all public keys stay in /.well-known/jwks.json.`}
	w.flags(c)
	var asJSON bool
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	list := func(c *cobra.Command, ring *keys.Ring) error {
		if asJSON {
			return printJSON(c.OutOrStdout(), ring.List())
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 2, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "use\tstate\talg\tkid\tcreated")
		for _, k := range ring.List() {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", k.Use, k.State, k.Algorithm, k.ID, k.Created.Format(time.DateOnly))
		}
		return t.Flush()
	}
	act := func(do func(*keys.Ring, string) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, args []string) error {
			ring, err := w.openRing()
			if err != nil {
				return err
			}
			arg := ""
			if len(args) > 0 {
				arg = args[0]
			}
			if err := do(ring, arg); err != nil {
				return err
			}
			return list(c, ring)
		}
	}
	c.AddCommand(
		&cobra.Command{Use: "list", Short: "All signing keys and their state", Args: cobra.NoArgs,
			RunE: act(func(*keys.Ring, string) error { return nil })},
		&cobra.Command{Use: "rotate [answers|approvals|heads]", Short: "Retire the active key; the next one signs from now on",
			Args: cobra.MaximumNArgs(1), RunE: act(func(r *keys.Ring, use string) error {
				if use == "" {
					use = string(keys.Answers)
				}
				if !slices.Contains(keys.Uses(), keys.Use(use)) {
					return &exitError{exitUsage, errors.New("rotate one of answers, approvals, heads")}
				}
				_, err := r.Rotate(keys.Use(use))
				return err
			})},
		&cobra.Command{Use: "retire KID", Short: "Take one key out of signing, such as a lost one", Args: cobra.ExactArgs(1),
			RunE: act(func(r *keys.Ring, kid string) error { return r.Retire(kid) })},
	)
	return c
}
