package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/policies"
)

// lookOver says who looks over many events, for which purpose and on which ground. It is recorded before anything is shown.
type lookOver struct {
	by              officerKey
	purpose, ground string
}

func (l *lookOver) flags(c *cobra.Command) {
	l.by.flags(c)
	f := c.Flags()
	f.StringVar(&l.purpose, "purpose", "", "what you look for: controle, datalek, inzage, klacht or toezicht, as the policy permits your role; it is recorded")
	f.StringVar(&l.ground, "ground", "", "on which ground: the law, and your file's reference (\"AVG 33, dossier 2026-17\"); it is recorded, encrypted")
}

// record makes sure that who looks may, and records that they do; until it returns without an error nothing may be shown.
// What is sought stands encrypted, since it may name a person; how and the window of v stand in clear.
func (l *lookOver) record(ctx context.Context, d *desk, writer *audit.Writer, data string, v audit.Viewed, sought string) error {
	switch {
	case l.purpose == "":
		return &exitError{exitUsage, errors.New("for which purpose do you look? Name it with --purpose, such as datalek, inzage or controle")}
	case len(l.ground) < 3 || len(l.ground) > 400:
		return &exitError{exitUsage, errors.New("on which ground do you look? Name the law and your file's reference with --ground, in 3 to 400 characters")}
	}
	signer, err := l.by.signer(data)
	if err != nil {
		return err
	}
	if err := d.identify(l.by.id, signer); err != nil {
		return err
	}
	if err := d.permits(ctx, v, l.by.id, broker.Purpose(l.purpose)); err != nil {
		return err
	}
	err = writer.View(ctx, v, broker.Staff{Worker: broker.WorkerID(l.by.id), Purpose: broker.Purpose(l.purpose), Ground: l.ground, Sought: sought})
	if err != nil {
		return fmt.Errorf("record that you look: %w; nothing is shown", err)
	}
	return nil
}

// purposePolicy is what one decision is looked at for: to understand the policy. No person shows in it.
const purposePolicy broker.Purpose = "beleid"

// inspection is what the rules of a policy see of a query of the log.
type inspection struct {
	V       int                  `json:"v"`
	Query   string               `json:"query"` // Viewed.How, without what came of it
	Role    register.OfficerRole `json:"role"`
	Purpose broker.Purpose       `json:"purpose"`
}

// permission is what they say of it.
type permission struct {
	Allowed  bool     `json:"allowed"`
	Purposes []string `json:"purposes"` // for which this role may put this query
	Roles    []string `json:"roles"`    // that may put it
}

// permits makes sure that the policy in force, or the one before an emergency stop, lets an officer put a query to the log for a
// purpose. A policy without rules about that permits nobody anything.
func (d *desk) permits(ctx context.Context, v audit.Viewed, officer string, purpose broker.Purpose) error {
	live := d.register.Policy().Against()
	if live == "" {
		return errors.New("no policy is in force yet that could permit it; `schakel init` activates the shipped one")
	}
	files, err := d.revisionFiles(ctx, live)
	if err != nil {
		return err
	}
	rules, err := decide.LoadRules(ctx, policies.Log(files), policies.LogPermission, policies.LogComplete)
	if err != nil {
		return fmt.Errorf("%w: %w", broker.Told("Het geldende beleid zegt niet wie het logboek mag bevragen. Neem de meegeleverde regels daarover op: "+policies.LogFolder+".",
			"the policy in force must say who may query the log, in "+policies.LogFolder+": take the rules that ship with Schakel into it"), err)
	}
	o, _ := d.register.Officer(d.register.OfficerRef(register.OfficerID(officer)))
	query, _, _ := strings.Cut(v.How, ":")
	var p permission
	if err := rules.Ask(ctx, inspection{1, query, o.Role, purpose}, &p); err != nil {
		return err
	}
	switch {
	case p.Allowed:
		return nil
	case len(p.Purposes) > 0:
		return broker.Told(fmt.Sprintf("Als %s mag u dit volgens het beleid niet voor het doel %q; wel voor %s.", o.Role, purpose, strings.Join(p.Purposes, ", ")),
			fmt.Sprintf("the policy does not let you do this as %s for the purpose %q; it does for %s", o.Role, purpose, strings.Join(p.Purposes, ", ")))
	case len(p.Roles) > 0:
		return broker.Told(fmt.Sprintf("Als %s mag u dit volgens het beleid niet; deze rollen wel: %s.", o.Role, strings.Join(p.Roles, ", ")),
			fmt.Sprintf("the policy does not let you do this as %s; these roles may: %s", o.Role, strings.Join(p.Roles, ", ")))
	}
	return broker.Told(fmt.Sprintf("Dit mag volgens het beleid niemand: %q staat in geen regel van %spermits/data.json.", query, policies.LogFolder),
		fmt.Sprintf("the policy lets nobody do this: %q stands in no line of %spermits/data.json", query, policies.LogFolder))
}
