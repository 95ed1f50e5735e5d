package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// proposed is a draft with its reports, each as it is kept: what `policy status --draft N --json` prints, and what a holder
// is sent, whose key is on a machine without a journal.
type proposed struct {
	register.Draft
	Kept map[string]json.RawMessage `json:"kept"`
}

// reports names the reports of a draft that there are.
func (p proposed) reports() map[string]broker.Hash {
	out := map[string]broker.Hash{}
	for name, h := range map[string]broker.Hash{"tests": p.Reports.Tests, "difference": p.Reports.Difference, "impact": p.Reports.Impact} {
		if h != (broker.Hash{}) {
			out[name] = h
		}
	}
	return out
}

// proposed reads a draft and its reports.
func (d *desk) proposed(ctx context.Context, n int) (proposed, error) {
	draft, err := d.draft(ctx, n)
	p := proposed{draft, map[string]json.RawMessage{}}
	for name, h := range p.reports() {
		if err == nil {
			p.Kept[name], err = d.readReport(ctx, h)
		}
	}
	return p, err
}

// readProposal reads a proposal from a file, and makes sure that its reports are those whose digests would be signed.
func readProposal(file string) (p proposed, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return p, fmt.Errorf("read proposal: %w", err)
	}
	if err := json.Unmarshal(text, &p); err != nil || p.Number == 0 {
		return p, errors.New("read proposal: this is no proposal; it is what `schakel policy status --draft N --json` prints")
	}
	for name, h := range p.reports() {
		var kept bytes.Buffer
		if json.Compact(&kept, p.Kept[name]) != nil || broker.Hash(sha256.Sum256(kept.Bytes())) != h {
			return p, fmt.Errorf("read proposal: its %s report is not the one that would be signed; ask for the proposal again", name)
		}
	}
	if err := sameWidening(p.Kept["difference"], p.Widens); err != nil {
		return p, fmt.Errorf("read proposal: %w", err)
	}
	return p, nil
}

// sameWidening makes sure that what a holder is asked for is what the difference says.
func sameWidening(difference json.RawMessage, said []register.Widening) error {
	var c struct {
		Widens []struct {
			Field   broker.Field
			Holders []broker.AgencyKind
		}
	}
	if err := json.Unmarshal(difference, &c); err != nil {
		return fmt.Errorf("read difference: %w", err)
	}
	for _, w := range said {
		i := slices.IndexFunc(c.Widens, func(of struct {
			Field   broker.Field
			Holders []broker.AgencyKind
		}) bool {
			return of.Field == w.Field && slices.Equal(of.Holders, w.Kinds)
		})
		if i < 0 {
			return fmt.Errorf("it asks more of %s, of which its difference says nothing; ask for the proposal again", w.Field)
		}
		c.Widens = slices.Delete(c.Widens, i, i+1)
	}
	if len(c.Widens) > 0 {
		return fmt.Errorf("its difference asks more of %s, which it does not name; ask for the proposal again", c.Widens[0].Field)
	}
	return nil
}

// statement is a holder's word for a proposal: a compact JWS by its own key that holds all it is about.
func (p proposed) statement(holder broker.OIN, signer keys.Signer) (string, error) {
	if !slices.Contains(p.WaitsForHolders, holder) {
		return "", fmt.Errorf("draft %d does not wait for %s; it waits for: %s", p.Number, holder, join(p.WaitsForHolders))
	}
	step := register.AgreePolicy{Draft: p.Number, Revision: p.Revision, Base: p.Base, Reports: p.Reports, Holder: holder}
	return seal.SignPolicyStep(signer, seal.PolicyAgreed, step.Payload())
}

// readStatement reads what a holder signed. Whether it is the holder's the register finds out, when it is recorded.
func readStatement(statement string) (step register.AgreePolicy, err error) {
	parts := strings.Split(statement, ".")
	var payload []byte
	if len(parts) == 3 && len(statement) <= 64<<10 {
		payload, err = base64.RawURLEncoding.DecodeString(parts[1])
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err != nil || d.Decode(&step) != nil || step.Draft == 0 || step.Signature != "" {
		return step, broker.Told("Dit is geen verklaring van een houder. De houder maakt er een met de opdracht op deze pagina.",
			"read statement: this is no statement of a holder; `schakel policy agree … --out FILE` makes one")
	}
	step.Signature = statement
	return step, nil
}

// recordAgreement records a holder's statement about draft n in the register, which verifies it; by is who records it.
func (d *desk) recordAgreement(ctx context.Context, a register.Appender, by string, n int, statement string) error {
	step, err := readStatement(statement)
	if err != nil {
		return err
	}
	if step.Draft != n {
		return broker.Told(fmt.Sprintf("De verklaring gaat over voorstel %d, en niet over %d.", step.Draft, n),
			fmt.Sprintf("agree to policy: the statement is about draft %d, not %d", step.Draft, n))
	}
	if err := d.register.Refresh(ctx); err != nil {
		return err
	}
	return d.explain(ctx, d.register.Do(ctx, a, register.Operator{Name: by}, step))
}

func (l *life) agreeCommand() *cobra.Command {
	var g agreeing
	c := &cobra.Command{
		Use:   "agree [DRAFT]",
		Short: "Agree, as a holder, to give what a draft widens",
		Long: `Signs with the holder's key for the draft, its base and the digests of its reports together, and records that.

Where the key is on a machine of the holder's own, in three steps:
  schakel policy status --draft N --json > proposal.json                                    here; send it to the holder
  schakel policy agree --proposal proposal.json --holder OIN --key KEY.jwk --out word.jws   there: reads the reports, signs
  schakel policy agree --statement word.jws                                                 here: verified and recorded`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return l.agree(c, args, g) },
	}
	f := c.Flags()
	f.StringVar(&g.holder, "holder", "", "OIN of the agency that holds the data")
	f.StringVar(&g.key, "key", "", "file with the holder's private key (JWK); default: agencies/OIN.jwk in the data folder, as in the demo")
	f.StringVar(&g.proposal, "proposal", "", "file with the proposal, instead of DRAFT in a journal")
	f.StringVar(&g.out, "out", "", "write the holder's statement to this file and record nothing")
	f.StringVar(&g.given, "statement", "", "file with a holder's statement, to be recorded")
	return c
}

// agreeing is what `policy agree` is told: a proposal to sign, or a statement that was signed.
type agreeing struct{ holder, key, proposal, out, given string }

func (l *life) agree(c *cobra.Command, args []string, g agreeing) error {
	if g.given != "" {
		if len(args) > 0 || g.proposal != "" || g.out != "" || g.holder != "" {
			return &exitError{exitUsage, errors.New("a statement says by itself whose it is and what it is about: give --statement alone")}
		}
		text, err := secretFile(g.given)
		if err != nil {
			return fmt.Errorf("read statement: %w", err)
		}
		step, err := readStatement(text)
		if err != nil {
			return err
		}
		return l.step(c, step.Draft, "agreed to by "+string(step.Holder), func(d *desk, a register.Appender) error {
			return d.recordAgreement(c.Context(), a, operator(), step.Draft, text)
		})
	}
	if (len(args) == 0) == (g.proposal == "") || (g.proposal != "" && g.out == "") || g.holder == "" {
		return &exitError{exitUsage, errors.New("agree to what? Name DRAFT, or --proposal FILE with --out FILE, and the --holder; or a --statement that was signed")}
	}
	holder := broker.OIN(g.holder)
	signer, err := agencySigner(l.data, g.key, holder)
	if err != nil {
		return err
	}
	if g.proposal != "" {
		p, err := readProposal(g.proposal)
		if err != nil {
			return err
		}
		return l.signedStatement(c, p, holder, signer, g.out)
	}
	n, err := draftNumber(args[0])
	if err != nil {
		return err
	}
	if g.out == "" {
		return l.step(c, n, "agreed to by "+g.holder, func(d *desk, a register.Appender) error {
			p, err := d.proposed(c.Context(), n)
			if err != nil {
				return err
			}
			text, err := p.statement(holder, signer)
			if err != nil {
				return err
			}
			return d.recordAgreement(c.Context(), a, operator(), n, text)
		})
	}
	l.anyPolicy = true
	d, err := l.openDesk(c.Context(), true)
	if err != nil {
		return err
	}
	defer func() { _ = d.store.Close() }()
	p, err := d.proposed(c.Context(), n)
	if err != nil {
		return err
	}
	return l.signedStatement(c, p, holder, signer, g.out)
}

// signedStatement writes a holder's statement to a file, and says what was signed for.
func (l *life) signedStatement(c *cobra.Command, p proposed, holder broker.OIN, signer keys.Signer, out string) error {
	text, err := p.statement(holder, signer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, []byte(text+"\n"), 0o600); err != nil {
		return fmt.Errorf("write statement: %w", err)
	}
	if !*l.asJSON {
		p.printWidens(c.OutOrStdout())
	}
	return l.say(c, told{Done: fmt.Sprintf("signed for draft %d in the name of %s; nothing was recorded", p.Number, holder), Draft: p.Number,
		Revision: p.Revision, Statement: out, Next: "whoever administers Schakel records it: schakel policy agree --statement FILE"})
}
