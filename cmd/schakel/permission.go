package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
)

// terms are what an agreement and a consent have in common.
type terms struct {
	recipient, from, until string
	purposes, domains      []string
}

func (t *terms) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.recipient, "recipient", "", "OIN of the agency that receives")
	f.StringSliceVar(&t.purposes, "purposes", nil, "purposes, separated by commas")
	f.StringVar(&t.from, "from", "", "first day, YYYY-MM-DD; default today")
	f.StringVar(&t.until, "until", "", "last day, YYYY-MM-DD; default no end")
}

func (t *terms) days() (from, until broker.Date, err error) {
	if t.from == "" {
		t.from = time.Now().In(broker.Amsterdam()).Format(time.DateOnly)
	}
	if from, err = broker.ParseDate(t.from); err != nil {
		return from, until, fmt.Errorf("--from: %w", err)
	}
	if t.until != "" {
		if until, err = broker.ParseDate(t.until); err != nil {
			return from, until, fmt.Errorf("--until: %w", err)
		}
	}
	return from, until, nil
}

func (r *registry) agreement() *cobra.Command {
	c := &cobra.Command{Use: "agreement", Short: "What a holder agrees to disclose, to whom, for what"}
	var t terms
	var id, holder, key, signature string
	add := &cobra.Command{
		Use:   "add --id ID --holder OIN --recipient OIN --purposes a,b --domains c,d",
		Short: "Add an agreement that its holder signs",
		Long: `The holder signs the agreement: with --key (its private key, default agencies/OIN.jwk in the data folder),
or elsewhere, and gives the signature with --signature.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			from, until, err := t.days()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			a := register.Agreement{ID: id, Holder: broker.OIN(holder), Recipient: broker.OIN(t.recipient),
				Purposes: convert[broker.Purpose](t.purposes), Domains: convert[broker.Domain](t.domains), From: from, Until: until}
			if signature != "" {
				if a.Signature, err = secretFile(signature); err != nil {
					return fmt.Errorf("read signature: %w", err)
				}
			} else {
				signer, err := agencySigner(r.data, key, a.Holder)
				if err != nil {
					return err
				}
				if a.Signature, err = seal.SignAgreement(signer, a.Payload()); err != nil {
					return err
				}
			}
			return r.change(c, "agreement "+id+" added", register.AddAgreement{Agreement: a})
		}}
	t.flags(add)
	f := add.Flags()
	f.StringVar(&id, "id", "", "a name for it")
	f.StringVar(&holder, "holder", "", "OIN of the agency that holds the data")
	f.StringSliceVar(&t.domains, "domains", nil, "domains of fields, separated by commas")
	f.StringVar(&key, "key", "", "file with the holder's private key (JWK)")
	f.StringVar(&signature, "signature", "", "file with the holder's signature (compact JWS)")
	withdraw := &cobra.Command{Use: "withdraw ID", Short: "End an agreement at once", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.change(c, "agreement "+args[0]+" withdrawn", register.WithdrawAgreement{ID: args[0]})
		}}
	list := &cobra.Command{Use: "list", Short: "All agreements that were not withdrawn", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return r.list(c, "id\tholder\trecipient\tpurposes\tdomains\tfrom\tuntil", func(g *register.Register) (any, []string) {
			var rows []string
			for _, a := range g.Agreements() {
				rows = append(rows, strings.Join([]string{a.ID, string(a.Holder), string(a.Recipient), join(a.Purposes), join(a.Domains), day(a.From), day(a.Until)}, "\t"))
			}
			return g.Agreements(), rows
		})
	}}
	c.AddCommand(add, withdraw, list)
	return c
}

// day writes a day that is not about a person.
func day(d broker.Date) string {
	if !d.Known() {
		return "-"
	}
	s := d.Digits()
	return s[:4] + "-" + s[4:6] + "-" + s[6:]
}

func (r *registry) consent() *cobra.Command {
	c := &cobra.Command{Use: "consent", Short: "Consent (AVG) and release from professional secrecy"}
	var t terms
	var id, person, kind, domain, givenBy string
	flags := func(c *cobra.Command) {
		t.flags(c)
		f := c.Flags()
		f.StringVar(&id, "case", "", "the case the person is in")
		f.StringVar(&person, "person", "", "bsn:N, or bsn:- to read it from standard input")
		f.StringVar(&kind, "kind", string(register.KindConsent), "consent (AVG) or release (from professional secrecy)")
		f.StringVar(&domain, "domain", "", "the domain of fields it is about")
	}
	give := &cobra.Command{Use: "give --case ID --person bsn:N --domain D --recipient OIN --purposes a,b", Short: "Record a consent or release", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bsn, err := readBSN(c, person)
			if err != nil {
				return err
			}
			from, until, err := t.days()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			return r.change(c, kind+" recorded in case "+id, register.GiveConsent{Consent: register.Consent{
				Case: broker.CaseID(id), Person: bsn, Kind: register.ConsentKind(kind), Domain: broker.Domain(domain),
				Recipient: broker.OIN(t.recipient), Purposes: convert[broker.Purpose](t.purposes), From: from, Until: until, GivenBy: givenBy}})
		}}
	flags(give)
	give.Flags().StringVar(&givenBy, "given-by", "self", "self, representative or both")
	withdraw := &cobra.Command{Use: "withdraw --case ID --person bsn:N --domain D", Short: "End a consent or release at once", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bsn, err := readBSN(c, person)
			if err != nil {
				return err
			}
			return r.change(c, kind+" withdrawn in case "+id, register.WithdrawConsent{Case: broker.CaseID(id), Person: bsn,
				Kind: register.ConsentKind(kind), Domain: broker.Domain(domain), Recipient: broker.OIN(t.recipient),
				Purposes: convert[broker.Purpose](t.purposes)})
		}}
	flags(withdraw)
	list := &cobra.Command{Use: "list CASE", Short: "What was given in a case and not withdrawn", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return r.list(c, "kind\tdomain\trecipient\tpurposes\tfrom\tuntil\tgiven by", func(g *register.Register) (any, []string) {
			var rows []string
			for _, k := range g.Consents(broker.CaseID(args[0])) {
				rows = append(rows, strings.Join([]string{string(k.Kind), string(k.Domain), string(k.Recipient), join(k.Purposes), day(k.From), day(k.Until), k.GivenBy}, "\t"))
			}
			return g.Consents(broker.CaseID(args[0])), rows
		})
	}}
	c.AddCommand(give, withdraw, list)
	return c
}

// readBSN reads --person: bsn:N, or bsn:- for a line of standard input.
func readBSN(c *cobra.Command, flag string) (broker.BSN, error) {
	number, ok := strings.CutPrefix(flag, "bsn:")
	if !ok {
		return "", &exitError{exitUsage, errors.New("--person is bsn:N, or bsn:- to read it from standard input")}
	}
	if number == "-" {
		var err error
		if number, err = readLine(c.InOrStdin()); err != nil {
			return "", fmt.Errorf("--person: %w", err)
		}
	}
	bsn, err := broker.ParseBSN(number)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--person: %w", err)}
	}
	return bsn, nil
}
