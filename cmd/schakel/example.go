package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/test/agencies"
)

// exampleFlags say that a new register is to be filled with the demo's agencies and cases, for a try-out on Redis.
type exampleFlags struct{ dir, brp, server string }

func (e *exampleFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&e.dir, "example", "", "try-out only: fill the register with the demo's example, and put agency keys and demo.json in this folder")
	c.Flags().StringVar(&e.brp, "brp", "", "with --example: the official BRP test set (CSV)")
	c.Flags().StringVar(&e.server, "server", "", "with --example: the URL of Schakel in demo.json; default http://127.0.0.1:8080")
}

// done tells whether there is nothing to fill in: no example was asked for, or its last file stands there.
func (e *exampleFlags) done() bool {
	if e.dir == "" {
		return true
	}
	_, err := readDemo(e.dir)
	return err == nil
}

func (e *exampleFlags) seed(ctx context.Context, d *desk, a register.Appender, first []register.Command) error {
	people, _, err := agencies.Open(e.brp)
	if err != nil {
		return err
	}
	town, err := agencies.Start(agencies.Config{People: people}) // for the list of who there is; nobody asks it anything
	if err != nil {
		return err
	}
	defer func() { _ = town.Close() }()
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return fmt.Errorf("make example folder: %w", err)
	}
	s := newSeeder(town.Agencies(), people, filepath.Join(e.dir, agenciesFolder), time.Now())
	s.commands = append(s.commands, first...)
	if err := s.seed(ctx, d, a); err != nil {
		return err
	}
	s.info.Server = e.server
	if s.info.Server == "" {
		s.info.Server = "http://127.0.0.1:8080"
	}
	return writeJSONFile(filepath.Join(e.dir, demoFile), s.info)
}
