package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/audit/search"
)

func newAuditSearch(w *where) *cobra.Command {
	c := &cobra.Command{Use: "search", Short: "The index by which the console searches the log"}
	c.AddCommand(newSearchRebuild(w))
	return c
}

func newSearchRebuild(w *where) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the search index again from the log",
		Long: `Makes the index again from the log, which is the truth; the index never is. Nothing is shown of what is in it. A running
server has it open, and makes it again itself when this asks for it. It also does so by itself where the index is of another
log or version, where the log was put back, and where keys of the log were erased.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if w.data == "" {
				return &exitError{exitUsage, errors.New("the index is in the data folder of the server that has the console; name it with --data")}
			}
			d, err := w.openDesk(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = d.store.Close() }()
			cfg := d.searchOf(w.data)
			x, err := search.Open(c.Context(), cfg)
			if errors.Is(err, search.ErrInUse) {
				if err := search.RequestRebuild(cfg.Dir); err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), map[string]bool{"asked": true})
				}
				_, err = fmt.Fprintln(c.OutOrStdout(), "the running server makes the search index again; the console says how far it is")
				return err
			}
			if err != nil {
				return err
			}
			defer func() { _ = x.Close() }()
			began := time.Now()
			if err := x.Rebuild(c.Context()); err != nil {
				return err
			}
			s, err := x.State(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"events": s.Events, "unread": s.Unread, "seconds": time.Since(began).Seconds()})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d disclosures indexed in %s; %d can't be read\n", s.Events, time.Since(began).Round(time.Millisecond), s.Unread)
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
