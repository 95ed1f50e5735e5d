package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/workbench"
	"github.com/schakel/schakel/policies"
)

func newPolicy() *cobra.Command {
	w := &where{}
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check, test and show the policy",
		Long: `Works on a folder of Rego and data (FOLDER), on the policy in force (--data or --redis), or on the one that
ships with Schakel when neither is named. The shipped policy is an example: a lawyer reviews it before use.`,
	}
	w.flags(c)
	var asJSON, quick bool
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	sub := func(use, short string, do func(c *cobra.Command, files map[string][]byte) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
			files, err := w.policyFiles(c, args)
			if err != nil {
				return err
			}
			return do(c, files)
		}}
	}
	check := sub("check [FOLDER]", "Find what is wrong: syntax, types, words that are in no list, layout", func(c *cobra.Command, files map[string][]byte) error {
		report := workbench.Check(files)
		if asJSON {
			return ended(report.OK(), printJSON(c.OutOrStdout(), report))
		}
		return ended(report.OK(), printCheck(c.OutOrStdout(), report, policies.Revision(files)))
	})
	test := sub("test [FOLDER]", "Run the tests, name lines they miss, and turn conditions round to see whether a test notices", func(c *cobra.Command, files map[string][]byte) error {
		// Of what the tests make nearly nothing lasts, and memory that is new to the process costs more than collecting.
		defer debug.SetGCPercent(debug.SetGCPercent(50))
		suite, err := workbench.NewSuite(files)
		if err != nil {
			return fmt.Errorf("%w; `schakel policy check` says where", err)
		}
		tests, err := suite.Test(c.Context())
		if err != nil {
			return err
		}
		result := struct {
			workbench.TestReport
			Mutation *workbench.MutationReport `json:"mutation,omitempty"`
		}{TestReport: tests}
		ok := tests.OK()
		if ok && !quick {
			mutation, err := suite.Mutate(c.Context())
			if err != nil {
				return err
			}
			result.Mutation, ok = &mutation, mutation.OK()
		}
		if asJSON {
			return ended(ok, printJSON(c.OutOrStdout(), result))
		}
		return ended(ok, printTests(c.OutOrStdout(), tests, result.Mutation))
	})
	test.Flags().BoolVar(&quick, "quick", false, "leave out turning conditions round")
	show := sub("show [FOLDER]", "Give the policy back as a table and in words", func(c *cobra.Command, files map[string][]byte) error {
		shown, err := workbench.Show(c.Context(), files)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), shown)
		}
		_, err = fmt.Fprint(c.OutOrStdout(), shown.Text())
		return err
	})
	c.AddCommand(check, test, show)
	c.AddCommand(newPolicyMatrix(w, &asJSON), newPolicyDiff(w, &asJSON), newPolicyGuardrails(w, &asJSON))
	c.AddCommand(newPolicyImpact(w, &asJSON), newPolicyWhy(w, &asJSON))
	c.AddCommand(newPolicyLife(w, &asJSON)...)
	return c
}

// ended gives exit code 1 where something was found.
func ended(ok bool, err error) error {
	if err == nil && !ok {
		return &exitError{code: exitFailure}
	}
	return err
}

// policyFiles reads the policy a command is about.
func (w *where) policyFiles(c *cobra.Command, args []string) (map[string][]byte, error) {
	switch {
	case len(args) > 0:
		return policyFolder(args[0])
	case w.data == "" && w.redis == "":
		return policies.Files(), nil
	}
	d, err := w.openDesk(c.Context(), true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.store.Close() }()
	r, ok := d.register.Revision()
	if !ok {
		return nil, errors.New("no policy is in force yet; `schakel init` activates the shipped one")
	}
	return d.signedFiles(c.Context(), r)
}

// policyFolder reads the Rego and JSON files of a folder.
func policyFolder(dir string) (map[string][]byte, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	files := map[string][]byte{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), ".") && path != "." {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(path); e.IsDir() || (ext != ".rego" && ext != ".json") {
			return nil
		}
		files[path], err = fs.ReadFile(root, path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read policy folder: there is no .rego or .json file in %s", dir)
	}
	return files, nil
}

func printCheck(out io.Writer, r workbench.CheckReport, revision broker.Revision) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(out, "%s:%d: %s\n    %s\n  %s %s\n  %s %s\n\n", f.File, f.Line, f.Rule, strings.TrimSpace(f.Source),
			strings.TrimSpace(f.Problem.NL+" "+f.Said), f.Advice.NL, strings.TrimSpace(f.Problem.EN+" "+f.Said), f.Advice.EN); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "revision %s: %d files, %d rules, %d findings\n", revision, r.Files, r.Rules, len(r.Findings))
	return err
}

func printTests(out io.Writer, t workbench.TestReport, m *workbench.MutationReport) error {
	var b strings.Builder
	for _, f := range t.Failed {
		fmt.Fprintf(&b, "FAIL %s:%d: %s %s\n", f.File, f.Line, f.Test, f.Error)
	}
	for _, p := range t.Uncovered {
		fmt.Fprintf(&b, "NOT REACHED %s:%d: %s\n", p.File, p.Line, strings.TrimSpace(p.Source))
	}
	fmt.Fprintf(&b, "tests: %d hold, %d fail; lines: %d, %d not reached by a test\n", t.Passed, len(t.Failed), t.Lines, len(t.Uncovered))
	if m != nil {
		for _, s := range m.Survived {
			fmt.Fprintf(&b, "NOT NOTICED %s:%d: the opposite of `%s`\n", s.File, s.Line, s.Condition)
		}
		fmt.Fprintf(&b, "conditions turned round: %d, %d not noticed by a test\n", m.Tried, len(m.Survived))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
