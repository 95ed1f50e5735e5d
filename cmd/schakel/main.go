// Command schakel is the whole of Schakel in one binary: the gateway (serve), everything at once to try it (demo), and
// the tools of integrators (ask, token, verify), privacy officers (policy), auditors (audit) and administrators (init,
// keys, register).
//
// This package wires the rooms together and talks to people; it decides nothing. Nobody imports it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes. Scripts rely on them.
const (
	exitFailure      = 1
	exitUsage        = 2
	exitRefused      = 3 // a signed refusal: nothing was disclosed
	exitUnverifiable = 4 // an answer came that can't be verified: do not use it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			_, _ = fmt.Fprintln(errOut, "schakel:", exit.err)
		}
		return exit.code
	}
	_, _ = fmt.Fprintln(errOut, "schakel:", err)
	return exitFailure
}

// exitError ends the command with a code of its own; err may be nil when everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "schakel",
		Short: "A privacy-aware broker for household data between Dutch agencies",
		Long: `Schakel lets a wijkteam's system ask other agencies for data about a household, for a purpose.
Rego policy decides per field, only granted fields are fetched, every disclosure is recorded
before it leaves, and every answer is signed.

Start with:  schakel demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &exitError{exitUsage, fmt.Errorf("%w; see: %s --help", err, c.CommandPath())}
	})
	root.AddCommand(newDemo(), newInit(), newServe(), newAsk(), newToken(), newVerify(), newAudit(), newPolicy(),
		newKeys(), newRegister())
	return root
}

// printJSON writes v on one line, without escaping what JSON need not escape.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
