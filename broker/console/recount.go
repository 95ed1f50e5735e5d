package console

import (
	"context"
	"fmt"

	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/workbench"
)

// askVerify is the step in which a proposal is worked out again.
const askVerify = "verify"

func recountKey(n int) string { return fmt.Sprintf("voorstel/%d", n) }

// recount finds the work on a proposal on the approver's side.
func (k *Console) recount(d register.Draft) *story {
	j := k.jobs.get(recountKey(d.Number))
	if j == nil {
		return &story{}
	}
	s, _ := j.now()
	return &story{state: s, Began: true, Started: j.started}
}

// Verified tells whether the proposal was worked out again and is what its reports say.
func (s *story) Verified() bool {
	return s.result(askVerify).Finished() && s.result(askVerify).Err == nil
}

// recountProposal works a proposal out again. Anybody who reads it may: it changes nothing.
func (k *Console) recountProposal(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	files, err := k.cfg.Desk.Files(c.r.Context(), d.Revision)
	if err != nil {
		return fmt.Errorf("read proposal %d: %w", d.Number, err)
	}
	k.jobs.start(recountKey(d.Number), true, []step{
		{askCheck, func(context.Context, func(int, int)) (any, error) { r := workbench.Check(files); return &r, nil }},
		{askVerify, func(ctx context.Context, progress func(int, int)) (any, error) {
			return true, k.cfg.Desk.Verify(ctx, d.Number, progress)
		}},
		k.matrixStep(files),
	})
	c.redirect(fmt.Sprintf("/voorstel/%d#nagerekend", d.Number))
	return nil
}

func (k *Console) serveRecount(c *call) error {
	d, err := k.proposal(c)
	if err != nil {
		return err
	}
	j := k.jobs.get(recountKey(d.Number))
	if j == nil {
		return errNotFound
	}
	return c.follow(j)
}
