package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/workbench"
)

// asked is a question put together with flags.
type asked struct {
	file string // a query as JSON, instead of the flags

	role, purpose, kind, relation, municipality, subject, age string
	coordinator, signal, claim, restricted                    bool
	mandates, consent, release, agreements, emergency, fields []string
}

// explained is what a recorded decision was about one subject, and why.
type explained struct {
	Event   string              `json:"event"`
	Time    time.Time           `json:"time"`
	Subject broker.Subject      `json:"subject"`
	Lookup  broker.AgencyKind   `json:"lookup,omitempty"`
	Why     workbench.WhyReport `json:"why"`
}

func newPolicyWhy(w *where, asJSON *bool) *cobra.Command {
	var a asked
	var by officerKey
	var policy string
	c := &cobra.Command{
		Use:   "why [DECISION --officer ID]",
		Short: "Say which rules gave or withheld a field, what failed, and which single change would have given it",
		Long: `Explains a recorded decision: the id of an answer, or the hash of its receipt. An officer may look, who shows with their own
key that they are; it is looked up in the log with the key ring, and that they looked is recorded first. Without DECISION it explains a question put together with flags, or read as JSON
with --file, by the policy in force, the one that ships with Schakel, or --policy.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return w.whyRecorded(c, args[0], policy, by, *asJSON)
			}
			files, err := w.whyPolicy(c, policy)
			if err != nil {
				return err
			}
			q, err := a.query(c.InOrStdin(), files)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			report, err := workbench.Why(c.Context(), files, q)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			_, err = fmt.Fprint(c.OutOrStdout(), report.Text())
			return err
		},
	}
	by.flags(c)
	f := c.Flags()
	f.StringVar(&policy, "policy", "", "explain by this folder or revision, instead of the policy in force or that decided")
	f.StringVar(&a.file, "file", "", "the question as JSON, as the log has it; - is standard input")
	f.StringVar(&a.role, "role", "", "role of who asks")
	f.StringVar(&a.purpose, "purpose", "", "purpose")
	f.StringVar(&a.kind, "kind", "gemeente", "kind of agency")
	f.StringSliceVar(&a.mandates, "mandate", nil, "mandates of the agency")
	f.StringVar(&a.relation, "case", string(broker.CaseAssigned), "case of the household: assigned, team, agency or none")
	f.BoolVar(&a.coordinator, "coordinator", false, "the worker coordinates the case")
	f.BoolVar(&a.signal, "signal", false, "an open early signal is the worker's")
	f.BoolVar(&a.claim, "claim", false, "the agency has a claim of its own")
	f.StringVar(&a.municipality, "municipality", string(broker.MunicipalitySame), "same, other or unknown")
	f.StringVar(&a.subject, "subject", "", "person or household; default: as the first field is about")
	f.StringVar(&a.age, "age", string(broker.Age18Plus), "0-11, 12-15, 16-17, 18+ or unknown")
	f.BoolVar(&a.restricted, "restricted", false, "the person restricted disclosure")
	f.StringSliceVar(&a.consent, "consent", nil, "domains with consent")
	f.StringSliceVar(&a.release, "release", nil, "domains with release from secrecy")
	f.StringSliceVar(&a.agreements, "agreement", nil, "domains with an agreement; default: those of the fields")
	f.StringSliceVar(&a.emergency, "emergency", nil, "an emergency, with the domains whose holders agreed")
	f.StringSliceVar(&a.fields, "field", nil, "fields or groups of the catalog")
	return c
}

func (w *where) whyPolicy(c *cobra.Command, policy string) (map[string][]byte, error) {
	if policy == "" {
		return w.policyFiles(c, nil)
	}
	return w.policyNamed(c, []string{policy})
}

// query makes the question.
func (a *asked) query(in io.Reader, files map[string][]byte) (q broker.Query, err error) {
	if a.file != "" {
		var text []byte
		if a.file == "-" {
			text, err = io.ReadAll(io.LimitReader(in, 1<<20))
		} else {
			text, err = os.ReadFile(a.file)
		}
		if err != nil {
			return q, fmt.Errorf("read question: %w", err)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return q, fmt.Errorf("read question: %w; write it as the log has it", err)
		}
		return q, nil
	}
	source, err := decide.Read(files)
	if err != nil {
		return q, fmt.Errorf("read policy: %w; `schakel policy check` says where", err)
	}
	catalog := source.Catalog
	for _, path := range a.fields {
		found := catalog.Expand(broker.Field(path))
		if len(found) == 0 {
			found = []broker.Field{broker.Field(path)}
		}
		q.Fields = append(q.Fields, found...)
	}
	if len(q.Fields) == 0 || a.role == "" || a.purpose == "" {
		return q, errors.New("which question? Name --role, --purpose and --field, a --file, or the id of an answer")
	}
	first, _ := catalog.Field(q.Fields[0])
	q.V, q.Role, q.Purpose = broker.QueryVersion, broker.Role(a.role), broker.Purpose(a.purpose)
	q.Agency = broker.QueryAgency{Kind: broker.AgencyKind(a.kind), Mandates: named[broker.Mandate](a.mandates)}
	q.Relation = broker.Relation{Case: broker.CaseRelation(a.relation), Coordinator: a.coordinator, Signal: a.signal, Claim: a.claim,
		Municipality: broker.Municipality(a.municipality)}
	q.Subject = broker.QuerySubject{Kind: broker.SubjectKind(a.subject), Age: broker.AgeBand(a.age), DisclosureRestricted: a.restricted,
		Consent: named[broker.Domain](a.consent), Release: named[broker.Domain](a.release)}
	if q.Subject.Kind == "" {
		if q.Subject.Kind = first.Subject; q.Subject.Kind != broker.SubjectHousehold {
			q.Subject.Kind = broker.SubjectPerson
		}
	}
	q.Agreements = named[broker.Domain](a.agreements)
	for _, f := range q.Fields {
		if info, ok := catalog.Field(f); ok && a.agreements == nil {
			q.Agreements = append(q.Agreements, info.Domain)
		}
	}
	q.Emergency = broker.QueryEmergency{Active: len(a.emergency) > 0, Domains: named[broker.Domain](a.emergency)}
	return q, nil
}

func named[T ~string](list []string) []T {
	out := make([]T, 0, len(list))
	for _, s := range list {
		out = append(out, T(s))
	}
	return out
}

// whyRecorded finds a decision in the log, records that it is looked at, and explains it.
func (w *where) whyRecorded(c *cobra.Command, id, policy string, by officerKey, asJSON bool) error {
	cfg, err := whenAnswered(id)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	signer, err := by.signer(w.data)
	if err != nil {
		return err
	}
	var out []explained
	err = w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
		if err := d.identify(by.id, signer); err != nil {
			return err
		}
		cfg.Store, cfg.Vault = d.store, d.vault
		r, err := findAnswer(c.Context(), cfg, id)
		if err != nil {
			return err
		}
		v := audit.Viewed{Writer: r.Writer, Event: audit.Ref{ID: r.ID, Hash: r.Hash}, How: "policy why"}
		if err := d.permits(c.Context(), v, by.id, purposePolicy); err != nil {
			return err
		}
		if err := writer.View(c.Context(), v, broker.Staff{Worker: broker.WorkerID(by.id), Purpose: purposePolicy}); err != nil {
			return fmt.Errorf("record that the decision is looked at: %w; nothing is shown", err)
		}
		out, err = d.explainAnswer(c.Context(), r, policy)
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.OutOrStdout(), out)
	}
	for _, e := range out {
		lookup := ""
		if e.Lookup != "" {
			lookup = fmt.Sprintf(": mag een houder (%s) de opzoekgegevens krijgen? – may a holder (%s) get what it is asked by?", e.Lookup, e.Lookup)
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s, %s, %s%s\n\n%s\n", e.Event, e.Time.Format(time.RFC3339), e.Subject, lookup, e.Why.Text()); err != nil {
			return err
		}
	}
	return nil
}

// whenAnswered bounds where in the log an answer can be: its id holds its time. A receipt's hash does not.
func whenAnswered(id string) (cfg audit.RequestsConfig, err error) {
	digits, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	switch {
	case err == nil && len(id) == 36 && len(digits) == 16 && digits[6]>>4 == 7: // UUIDv7, RFC 9562: 48 bits of Unix milliseconds
		var ms int64
		for _, b := range digits[:6] {
			ms = ms<<8 | int64(b)
		}
		cfg.Since, cfg.Until = time.UnixMilli(ms).Add(-time.Hour), time.UnixMilli(ms).Add(time.Hour)
		return cfg, nil
	case err == nil && len(id) == 64:
		return cfg, nil
	}
	return cfg, fmt.Errorf("%q is no decision: name the id of an answer, or the hash of its receipt", id)
}

// errNoAnswer: the log has no answer by the id that was asked for.
var errNoAnswer = errors.New("this decision is not in the log; is this the right Schakel?")

func findAnswer(ctx context.Context, cfg audit.RequestsConfig, id string) (audit.Request, error) {
	for r, err := range audit.Requests(ctx, cfg) {
		if err != nil {
			return r, err
		}
		if !r.Damaged && (string(r.Answer) == id || r.Hash.String() == id) {
			return r, nil
		}
	}
	return audit.Request{}, errNoAnswer
}

// explainAnswer explains each query of a recorded request by the revision that decided it, or by another.
func (d *desk) explainAnswer(ctx context.Context, r audit.Request, policy string) ([]explained, error) {
	var out []explained
	for _, s := range r.Subjects {
		for _, n := range s.Queries {
			files, err := d.policyNamed(ctx, cmp.Or(policy, string(r.Revisions[n])))
			if err != nil {
				return nil, err
			}
			var q broker.Query
			if err := json.Unmarshal(r.Queries[n], &q); err != nil {
				return nil, fmt.Errorf("read recorded query: %w", err)
			}
			why, err := workbench.Why(ctx, files, q)
			if err != nil {
				return nil, err
			}
			out = append(out, explained{r.Writer + " " + r.ID.String(), r.Time, s.Subject, s.Lookup, why})
		}
	}
	return out, nil
}
