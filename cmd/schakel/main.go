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
	"runtime"
	"strings"
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

// headroom is memory that is claimed and never touched, so that it takes up address space and nothing else. The garbage
// collector counts it as in use and waits for as much garbage again: without it a gateway with a small register collects
// four times a second at half load, and each time answers wait.
const headroom = 128 << 20

func main() {
	defer runtime.KeepAlive(make([]byte, headroom))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	began := false
	watch(root, &began)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !began { // cobra refused the command line: its words, flags or arguments
		_, _ = fmt.Fprintf(errOut, "schakel: %v; see: %s --help\n", err, c.CommandPath())
		return exitUsage
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

// watch notes when a command begins, below c. A group of commands is no command: it names those it has.
func watch(c *cobra.Command, began *bool) {
	for _, sub := range c.Commands() {
		watch(sub, began)
	}
	do := c.RunE
	switch {
	case do != nil:
		c.RunE = func(c *cobra.Command, args []string) error { *began = true; return do(c, args) }
	case c.HasParent():
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(*cobra.Command, []string) error { return fmt.Errorf("say which: %s", strings.Join(names, ", ")) }
	}
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
	root.AddCommand(newDemo(), newInit(), newServe(), newAsk(), newToken(), newVerify(), newAudit(), newPolicy(),
		newKeys(), newRegister(), newResident(), newWitness(), newErase(), newBackup(), newRestore())
	return root
}

// printJSON writes v on one line, without escaping what JSON need not escape.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
