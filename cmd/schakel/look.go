package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/register"
)

// lookOver says who looks over many events, for which purpose and on which ground. It is recorded before anything is shown.
type lookOver struct {
	by              officerKey
	purpose, ground string
}

func (l *lookOver) flags(c *cobra.Command) {
	l.by.flags(c)
	f := c.Flags()
	f.StringVar(&l.purpose, "purpose", "", "what you look for, in a word: datalek, inzage, toezicht, controle; it is recorded")
	f.StringVar(&l.ground, "ground", "", "on which ground: the law, and your file's reference (\"AVG 33, dossier 2026-17\"); it is recorded, encrypted")
}

// purposeWord is what a purpose is: a word of a list that each organisation has of its own.
var purposeWord = regexp.MustCompile(`^[a-z][a-z-]{2,39}$`)

// record makes sure that who looks may, and records that they do; until it returns without an error nothing may be shown.
// What is sought stands encrypted, since it may name a person; how and the window of v stand in clear.
func (l *lookOver) record(ctx context.Context, d *desk, writer *audit.Writer, data string, v audit.Viewed, sought string) error {
	switch {
	case !purposeWord.MatchString(l.purpose):
		return &exitError{exitUsage, errors.New("for which purpose do you look? Name it in a word with --purpose, such as datalek, inzage or controle")}
	case len(l.ground) < 3 || len(l.ground) > 400:
		return &exitError{exitUsage, errors.New("on which ground do you look? Name the law and your file's reference with --ground, in 3 to 400 characters")}
	}
	signer, err := l.by.signer(data)
	if err != nil {
		return err
	}
	if err := d.mayLook(l.by.id, signer); err != nil {
		return err
	}
	if o, _ := d.register.Officer(d.register.OfficerRef(register.OfficerID(l.by.id))); o.Role == register.RoleJurist {
		return fmt.Errorf("a %s may look at one decision, and not over many; an auditor, a functionaris-gegevensbescherming or a privacy-officer may", o.Role)
	}
	err = writer.View(ctx, v, broker.Staff{Worker: broker.WorkerID(l.by.id), Purpose: broker.Purpose(l.purpose), Ground: l.ground, Sought: sought})
	if err != nil {
		return fmt.Errorf("record that you look: %w; nothing is shown", err)
	}
	return nil
}
