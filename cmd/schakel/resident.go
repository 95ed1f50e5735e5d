package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

// counter is what the commands about residents share: an officer at a counter, or one who answers.
type counter struct {
	registry
	by officerKey
}

func newResident() *cobra.Command {
	r := &counter{}
	c := &cobra.Command{
		Use:   "resident",
		Short: "Residents: their report on paper, what they ask, and who represents whom",
		Long: `For residents who can't sign in at their own site, and for the officers who answer them: a functionaris-gegevensbescherming or
privacy-officer, who shows with their own key that they are. BSNs are read from standard input, one a line, and never stand on
a command line; texts are read from a file.`,
	}
	r.flags(c)
	c.PersistentFlags().BoolVar(&r.json, "json", false, "print JSON")
	c.PersistentFlags().StringVar(&r.by.id, "officer", "", "your id as an officer")
	c.PersistentFlags().StringVar(&r.by.file, "key", "", "file with your private key (JWK); default: officers/ID.jwk in the data folder, as in the demo")
	c.AddCommand(r.report(), r.request(), r.represent())
	return c
}

// act makes changes in the name of an officer who showed their key.
func (r *counter) act(c *cobra.Command, done string, make func(*desk, register.OfficerRef) ([]register.Command, error)) error {
	err := r.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		officer, err := r.officer(d)
		if err != nil {
			return err
		}
		commands, err := make(d, officer)
		if err != nil {
			return err
		}
		return d.register.DoAll(c.Context(), appender(writer), register.Operator{Name: r.by.id}, commands)
	})
	if err != nil {
		return err
	}
	if r.json {
		return printJSON(c.OutOrStdout(), map[string]string{"done": done})
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), done)
	return err
}

// officer makes sure that who acts is an officer, by their own key. What their role may do, the register says.
func (r *counter) officer(d *desk) (register.OfficerRef, error) {
	signer, err := r.by.signer(r.data)
	if err != nil {
		return "", err
	}
	return d.register.OfficerRef(register.OfficerID(r.by.id)), d.identify(r.by.id, signer)
}

// readBSNs reads so many BSNs from standard input, one a line.
func readBSNs(c *cobra.Command, names ...string) ([]broker.BSN, error) {
	data, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<12))
	if err != nil {
		return nil, err
	}
	lines := strings.Fields(string(data))
	if len(lines) != len(names) {
		return nil, &exitError{exitUsage, fmt.Errorf("standard input holds one BSN a line: %s", strings.Join(names, ", then "))}
	}
	out := make([]broker.BSN, len(lines))
	for i, line := range lines {
		if out[i], err = broker.ParseBSN(line); err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("%s: %w", names[i], err)}
		}
	}
	return out, nil
}

// readText reads what somebody wrote from a file: it may be about a person, so it does not stand on a command line.
func readText(file, what string) (string, error) {
	if file == "" {
		return "", &exitError{exitUsage, fmt.Errorf("put %s in a file, and name it with --text", what)}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return strings.TrimSpace(string(data)), nil
}

func (r *counter) report() *cobra.Command {
	var look lookOver
	var identified, out, proof string
	var english bool
	var m merkle
	c := &cobra.Command{
		Use:   "report --officer ID --ground TEXT --identified DOCUMENT --out FILE < BSN",
		Short: "Make a resident's report to print at the counter, as their own page has it",
		Long: `Reads a BSN from standard input and writes the report as one web page, to print: the same as the resident's own page, for who
does not sign in. The officer saw who it is, by which document (--identified: a kind of document, no number), and that they look
is recorded first. --proof writes the file beside it by which its bearer can see that nothing was left out.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			look.by, look.purpose = r.by, string(purposeInspect)
			if len(identified) < 3 || out == "" {
				return &exitError{exitUsage, errors.New("by which document did you see who it is? Name its kind with --identified, such as paspoort; and the file to write with --out")}
			}
			look.ground += "; identiteit gezien: " + identified
			bsns, err := readBSNs(c, "of whom the report is")
			if err != nil {
				return err
			}
			page, err := r.printed(c.Context(), look, bsns[0], m, proof, english)
			if err != nil {
				return err
			}
			if err := writeNew(out, page); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "overzicht in %s\n", out)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&look.ground, "ground", "", "on which ground: the law, and your file's reference; it is recorded, encrypted")
	f.StringVar(&identified, "identified", "", "by which kind of document you saw who it is: paspoort, rijbewijs, identiteitskaart")
	f.StringVar(&out, "out", "", "write the page to this new file, which only you can read")
	f.StringVar(&proof, "proof", "", "write to this new file the proof that nothing was left out")
	f.BoolVar(&english, "english", false, "in English")
	m.flags(c)
	return c
}

// printed makes the page of a report, after it was recorded that an officer looks.
func (r *counter) printed(ctx context.Context, look lookOver, bsn broker.BSN, m merkle, proof string, english bool) (page []byte, err error) {
	err = r.write(ctx, adminWriter, func(d *desk, writer *audit.Writer) error {
		if err := look.record(ctx, d, writer, r.data, audit.Viewed{How: "resident report"}, "data subject "+d.ring.Pseudonym(bsn)); err != nil {
			return err
		}
		by, noIndex := r.indexed(ctx, d, m)
		if proof != "" && noIndex != nil {
			return noIndex
		}
		found, err := d.subjectEvents(ctx, bsn, audit.MentionsConfig{}, by)
		if err != nil {
			return err
		}
		words := d.words(ctx, d.catalogs(ctx))
		words.English = english
		report := found.report(words, time.Now())
		if proof != "" {
			proved, err := d.proveComplete(ctx, by, bsn, found.mentions, proof)
			if err != nil {
				return err
			}
			report.ProvedUntil = &proved.Until
		}
		page, err = console.Printed(report, english)
		return err
	})
	return page, err
}
