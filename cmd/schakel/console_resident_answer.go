package main

import (
	"context"
	"slices"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

func (d *auditDesk) Asked() (out []console.AskedLine) {
	for _, q := range d.register.Requests() {
		l := console.AskedLine{ID: q.ID, Kind: q.Kind, Made: q.Made, Due: q.Due(), Extended: q.Extended != ""}
		if q.Answer != nil {
			l.Outcome = q.Answer.Outcome
		}
		out = append(out, l)
	}
	return out
}

func (d *auditDesk) AnsweringPurposes(ctx context.Context, by console.Person) ([]broker.Term, error) {
	return d.Purposes(ctx, by, "console verzoek")
}

func (d *auditDesk) ReadRequest(ctx context.Context, by console.Person, why console.Ground, id string) (out console.AskedRequest, err error) {
	q, known := d.register.Request(id)
	if !known {
		return out, console.ErrNoRequest
	}
	if err := d.look(ctx, by, why, audit.Viewed{How: "console verzoek"}, "request "+q.ID); err != nil {
		return out, err
	}
	return console.AskedRequest{RequestState: q, Restricted: d.register.Restricted(q.About)}, nil
}

func (d *auditDesk) Recipients(ctx context.Context, by console.Person, why console.Ground, id string, read func(int)) ([]console.Recipient, error) {
	q, known := d.register.Request(id)
	if !known {
		return nil, console.ErrNoRequest
	}
	sought := "data subject " + d.ring.Pseudonym(q.About) + ", of request " + q.ID
	if err := d.look(ctx, by, why, audit.Viewed{How: "console ontvangers"}, sought); err != nil {
		return nil, err
	}
	at := indexed{read: read} // without a Merkle log the whole log is read
	if log, k, err := d.merkleLog(); err == nil {
		at.log, at.folder, at.keys = log, d.sealing.dir, k
	}
	return d.recipients(ctx, q.About, at)
}

// recipients finds who got data of a person, the last first (AVG 19).
func (d *desk) recipients(ctx context.Context, of broker.BSN, at indexed) (out []console.Recipient, err error) {
	found, err := d.subjectEvents(ctx, of, audit.MentionsConfig{}, at)
	if err != nil {
		return nil, err
	}
	words := d.words(ctx, d.catalogs(ctx))
	for _, e := range found.events { // the newest first
		a := words.Act(e)
		if a.Recipient == "" || (len(a.Given) == 0 && a.State == "") {
			continue
		}
		i := slices.IndexFunc(out, func(r console.Recipient) bool { return r.Name == a.RecipientName })
		if i < 0 {
			i = len(out)
			out = append(out, console.Recipient{Name: a.RecipientName, Last: a.Time})
		}
		out[i].Times++
		for _, g := range a.Given {
			if !slices.Contains(out[i].Data, g.Data) {
				out[i].Data = append(out[i].Data, g.Data)
			}
		}
		if a.State != "" && !slices.Contains(out[i].Data, string(a.State)) { // it is not known what was given
			out[i].Data = append(out[i].Data, string(a.State))
		}
	}
	return out, nil
}

// decideOn makes a change about a request in the name of who is signed in. What their role may do, the register says.
func (d *auditDesk) decideOn(ctx context.Context, by console.Person, id string, make func(register.RequestState, register.OfficerRef) register.Command) error {
	if err := d.officer(by); err != nil {
		return err
	}
	q, known := d.register.Request(id)
	if !known {
		return console.ErrNoRequest
	}
	return d.register.Do(ctx, d.append, register.Operator{Name: by.ID}, make(q, d.register.OfficerRef(register.OfficerID(by.ID))))
}

func (d *auditDesk) AnswerRequest(ctx context.Context, by console.Person, id string, outcome register.Outcome, text string) error {
	return d.decideOn(ctx, by, id, func(q register.RequestState, o register.OfficerRef) register.Command {
		return register.AnswerRequest{ID: q.ID, About: q.About, Officer: o, Outcome: outcome, Text: text}
	})
}

func (d *auditDesk) ExtendRequest(ctx context.Context, by console.Person, id, why string) error {
	return d.decideOn(ctx, by, id, func(q register.RequestState, o register.OfficerRef) register.Command {
		return register.ExtendRequest{ID: q.ID, About: q.About, Officer: o, Why: why}
	})
}

func (d *auditDesk) Restrict(ctx context.Context, by console.Person, id string, on bool) error {
	return d.decideOn(ctx, by, id, func(q register.RequestState, o register.OfficerRef) register.Command {
		if on {
			return d.register.Restrict(q, o)
		}
		return d.register.Lift(q, o)
	})
}
