package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/looks"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/policies"
)

// looksRules are the rules of a policy about looks.
type looksRules struct {
	*decide.Rules
	revision broker.Revision
}

func (d *desk) looksRules(ctx context.Context, policy string) (r looksRules, err error) {
	if policy == "" {
		if policy, err = inForce(d); err != nil {
			return r, err
		}
	}
	files, err := d.policyNamed(ctx, policy)
	if err != nil {
		return r, err
	}
	r.revision = policies.Revision(files)
	r.Rules, err = decide.LoadRules(ctx, policies.Looks(files), policies.LooksJudgement, policies.LooksComplete)
	if err != nil {
		return r, fmt.Errorf("%w; this policy must have the rules about looks, in %s: take those that ship with Schakel into it, or name another with --policy", err, policies.LooksFolder)
	}
	return r, nil
}

// judgedLooks are the looks of a window.
type judgedLooks struct {
	judged []looks.Judged
	events map[string]eventID // of these, by answer
	unread int
}

// eventID names an event.
type eventID struct {
	writer string
	id     audit.ID
}

// judgeLooks reads the looks of a window, and of the year before it, and judges those of the window.
func (d *desk) judgeLooks(ctx context.Context, rules looksRules, since, until time.Time, read func(entries int)) (out judgedLooks, err error) {
	out.events = map[string]eventID{}
	var all []looks.Look
	cfg := audit.RequestsConfig{Store: counted(d.store, read), Vault: d.vault, Since: since.AddDate(0, 0, -looksHistory), Until: until}
	for r, err := range audit.Requests(ctx, cfg) {
		if err != nil {
			return out, err
		}
		l, ok := lookOf(r)
		if !ok {
			out.unread++
			continue
		}
		// A year has many looks and few different words: each is kept once.
		l.Worker, l.Role, l.Purpose = unique.Make(l.Worker).Value(), unique.Make(l.Role).Value(), unique.Make(l.Purpose).Value()
		l.Case, l.Relation = unique.Make(l.Case).Value(), unique.Make(l.Relation).Value()
		all = append(all, l)
		if !l.Time.Before(since) {
			out.events[l.Answer] = eventID{r.Writer, r.ID}
		}
	}
	teams, on := map[looks.Worker]string{}, map[broker.CaseID][]looks.Worker{}
	for _, t := range d.register.Teams() {
		for _, id := range t.Workers {
			if w := (looks.Worker{Agency: t.Agency, ID: id}); teams[w] == "" {
				teams[w] = t.Team.Team
			}
		}
	}
	for _, c := range d.register.Cases() {
		for _, w := range append(slices.Clone(c.Workers), c.Coordinator) {
			if w != (register.Worker{}) {
				on[c.ID] = append(on[c.ID], looks.Worker{Agency: w.Agency, ID: w.Worker})
			}
		}
	}
	out.judged, err = looks.Judge(ctx, looks.Config{Rules: rules.Ask, Since: since,
		Team: func(w looks.Worker) string { return teams[w] }, On: func(c broker.CaseID) []looks.Worker { return on[c] }}, all)
	return out, err
}

// lookOf reads what the log has of one request; not ok where who asked can't be read.
func lookOf(r audit.Request) (l looks.Look, ok bool) {
	if r.Damaged || r.StaffState != "" {
		return l, false
	}
	l = looks.Look{Answer: string(r.Answer), Time: r.Time, Worker: looks.Worker{Agency: r.Agency, ID: r.Worker}, Role: r.Role, Purpose: r.Purpose,
		Case: r.Case, Refused: r.Refused}
	fields := map[broker.Field]bool{}
	for _, s := range r.Subjects {
		if s.Lookup != "" {
			continue // what a holder may be asked by: not of who looks
		}
		for _, n := range s.Queries {
			var q broker.Query
			if json.Unmarshal(r.Queries[n], &q) != nil {
				return l, false
			}
			l.Relation, l.Signal, l.Claim, l.Emergency = q.Relation.Case, q.Relation.Signal, q.Relation.Claim, q.Emergency.Active
			for _, f := range q.Fields {
				fields[f] = true
			}
		}
	}
	l.Fields = len(fields)
	return l, l.Fields > 0
}

// looksReviewed gives the last review of each event that was reviewed since a time.
func (d *desk) looksReviewed(ctx context.Context, since time.Time) (map[eventID]lookReview, error) {
	views, err := audit.Views(ctx, d.store, since)
	out := map[eventID]lookReview{}
	for _, v := range views {
		how, ok := strings.CutPrefix(v.Viewed.How, reviewed)
		outcome, note, _ := strings.Cut(how, "/")
		at := eventID{v.Viewed.Writer, v.Viewed.Event.ID}
		if ok && !v.Time.Before(out[at].Time) {
			out[at] = lookReview{outcome, note, v.Time, eventID{v.Writer, v.ID}}
		}
	}
	return out, err
}
