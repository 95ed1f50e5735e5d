package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// officersFolder holds, in the demo's data folder, the private keys that officers would keep themselves.
const officersFolder = "officers"

func (r *registry) officer() *cobra.Command {
	c := &cobra.Command{Use: "officer", Short: "Who writes and approves policy, and who watches"}
	var role, key string
	add := &cobra.Command{Use: "add ID --role ROLE --public-key FILE", Short: "Add an officer, or change their role or key", Args: cobra.ExactArgs(1),
		Long: `Adds an officer under the id that the organisation knows them by; it stands encrypted in the log.
Roles: privacy-officer writes rules and approves those of another; jurist does so of guardrails;
functionaris-gegevensbescherming reads everything; auditor reads the log.`,
		RunE: func(c *cobra.Command, args []string) error {
			public, err := os.ReadFile(key)
			if err != nil {
				return fmt.Errorf("read public key: %w; name the officer's public key (JWK) with --public-key", err)
			}
			if _, err := keys.ParsePublic(public); err != nil {
				return fmt.Errorf("read public key: %w", err)
			}
			return r.officers(c, "officer "+args[0]+" added", func(d *desk) []register.Command {
				return d.register.NewOfficer(register.OfficerID(args[0]), register.OfficerRole(role), public)
			})
		}}
	add.Flags().StringVar(&role, "role", string(register.RolePrivacyOfficer), "privacy-officer, jurist, functionaris-gegevensbescherming or auditor")
	add.Flags().StringVar(&key, "public-key", "", "file with the officer's public key (JWK)")
	suspend := &cobra.Command{Use: "suspend ID", Short: "Make an officer's key worthless, for ever", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.officers(c, "officer "+args[0]+" suspended", func(d *desk) []register.Command {
				return []register.Command{register.SuspendOfficer{Officer: d.register.OfficerRef(register.OfficerID(args[0]))}}
			})
		}}
	list := &cobra.Command{Use: "list", Short: "All officers", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return r.list(c, "id\trole\tstate\treference", func(g *register.Register) (any, []string) {
			var rows []string
			for _, o := range g.Officers() {
				state := "good"
				if o.Suspended {
					state = "suspended"
				}
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", o.ID, o.Role, state, o.Ref))
			}
			return g.Officers(), rows
		})
	}}
	c.AddCommand(add, suspend, list)
	return c
}

// officers makes changes that need the register's own names of officers.
func (r *registry) officers(c *cobra.Command, done string, make func(*desk) []register.Command) error {
	err := r.work(c.Context(), adminWriter, func(d *desk, a register.Appender) error {
		return d.register.DoAll(c.Context(), a, register.Operator{Name: operator()}, make(d))
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

// officerKey says who takes a step, and signs it.
type officerKey struct{ id, file string }

func (o *officerKey) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.id, "officer", "", "your id as an officer")
	c.Flags().StringVar(&o.file, "key", "", "file with your private key (JWK); default: officers/ID.jwk in the data folder, as in the demo")
}

func (o *officerKey) signer(data string) (keys.Signer, error) {
	if o.id == "" {
		return keys.Signer{}, &exitError{exitUsage, errors.New("who are you? Name yourself with --officer; `schakel register officer list` shows the officers")}
	}
	file := o.file
	if file == "" {
		if data == "" {
			return keys.Signer{}, &exitError{exitUsage, errors.New("which key? Name your private key with --key, or the demo's folder with --data")}
		}
		file = officerFile(data, o.id)
	}
	jwk, err := os.ReadFile(file)
	if err != nil {
		return keys.Signer{}, fmt.Errorf("read the officer's key: %w", err)
	}
	return keys.ParseSigner(jwk)
}

// identify makes sure that who looks in the log is an officer of the register, with their own key. Whether they may is for the
// policy to say: see permits.
func (d *desk) identify(id string, signer keys.Signer) error {
	o, known := d.register.Officer(d.register.OfficerRef(register.OfficerID(id)))
	switch {
	case !known:
		return fmt.Errorf("the register has no officer %q; `schakel register officer list` shows them", id)
	case o.Suspended:
		return errors.New("this officer is suspended; another must look")
	}
	registered, err := keys.ParsePublic(o.Key)
	if err != nil {
		return fmt.Errorf("read the officer's key in the register: %w", err)
	}
	own, err := keys.ParsePublic(signer.Public())
	if err != nil {
		return fmt.Errorf("read the officer's key: %w", err)
	}
	if own.Thumbprint() != registered.Thumbprint() {
		return fmt.Errorf("this is not the key of officer %q in the register; name their own with --key", id)
	}
	return nil
}
