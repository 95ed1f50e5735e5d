package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

func (r *counter) represent() *cobra.Command {
	c := &cobra.Command{Use: "represent", Short: "Who acts for a child, for a ward, or by procuration"}
	var p register.Representation
	var kind, birth, from, until string
	add := &cobra.Command{
		Use:   "add --officer ID --kind KIND --name NAME --until DATE --proof TEXT < BSNS",
		Short: "Record that somebody acts for another, after you saw proof",
		Long: `Standard input holds the BSN of the person, and on a second line that of their representative. Kinds: gezag (of a child until
sixteen, with --birth), curatele, bewind, mentorschap, machtiging. Dates are written as 2026-11-30, both included.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bsns, err := readBSNs(c, "of the person", "of their representative")
			if err != nil {
				return err
			}
			p.ID, p.About, p.By, p.Kind = register.ResidentNumber(), bsns[0], bsns[1], register.RepresentationKind(kind)
			if from == "" {
				from = time.Now().In(broker.Amsterdam()).Format(time.DateOnly)
			}
			for _, day := range []struct {
				text string
				to   *broker.Date
			}{{from, &p.From}, {until, &p.Until}, {birth, &p.Birth}} {
				if day.text == "" {
					continue
				}
				if *day.to, err = broker.ParseDate(strings.ReplaceAll(day.text, "-", "")); err != nil {
					return &exitError{exitUsage, errors.New("a date is written as 2026-11-30")}
				}
			}
			return r.act(c, "representation "+p.ID+" added", func(_ *desk, officer register.OfficerRef) ([]register.Command, error) {
				p.Officer = officer
				return []register.Command{register.AddRepresentation{Representation: p}}, nil
			})
		},
	}
	f := add.Flags()
	f.StringVar(&kind, "kind", "", "gezag, curatele, bewind, mentorschap or machtiging")
	f.StringVar(&p.Name, "name", "", "by which the representative knows the person: a given name")
	f.StringVar(&birth, "birth", "", "date of birth of the child, for gezag")
	f.StringVar(&from, "from", "", "first day; default: today")
	f.StringVar(&until, "until", "", "last day")
	f.StringVar(&p.Proof, "proof", "", "which document you saw: uittreksel gezagsregister, beschikking of a court with its date")
	end := &cobra.Command{Use: "end NUMBER --officer ID", Short: "End one before its time, at once", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return r.act(c, "representation "+args[0]+" ended", func(d *desk, officer register.OfficerRef) ([]register.Command, error) {
				for _, p := range d.register.Representations() {
					if p.ID == args[0] {
						return []register.Command{register.EndRepresentation{ID: p.ID, About: p.About, Officer: officer}}, nil
					}
				}
				return nil, errors.New("there is no representation with this number; `schakel resident represent list` shows them")
			})
		}}
	list := &cobra.Command{Use: "list", Short: "All representations: numbers, kinds and terms, not who", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return r.list(c, "number\tkind\tfrom\tuntil", func(g *register.Register) (any, []string) {
				type line struct {
					ID    string                      `json:"id"`
					Kind  register.RepresentationKind `json:"kind"`
					From  broker.Date                 `json:"from"`
					Until broker.Date                 `json:"until"`
				}
				out := []line{}
				var rows []string
				for _, p := range g.Representations() {
					out = append(out, line{p.ID, p.Kind, p.From, p.Until})
					rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", p.ID, p.Kind, p.From.Digits(), p.Until.Digits()))
				}
				return out, rows
			})
		}}
	c.AddCommand(add, end, list)
	return c
}
