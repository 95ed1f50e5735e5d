package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// The steps in a revision's life, for commands and pages alike. Each is one append, in the name of who takes it.

// against is what a draft on a base is compared with: the base, or what a stop took the place of.
func against(p register.Policy, base broker.Revision) broker.Revision {
	for _, a := range p.History {
		if a.Stop && a.Revision == base {
			return a.Base
		}
	}
	return base
}

// submit drafts a policy on a base, in the name of an officer, and says that it was checked. It gives the draft's number.
func (d *desk) submit(ctx context.Context, a register.Appender, id string, signer keys.Signer, title string, base broker.Revision, files map[string][]byte, s study) (int, error) {
	if err := s.ready(files, against(d.register.Policy(), base)); err != nil {
		return 0, fmt.Errorf("submit policy: %w", err)
	}
	if _, err := d.keepDraft(ctx, files); err != nil {
		return 0, err
	}
	reports, err := d.keepReports(ctx, s)
	if err != nil {
		return 0, err
	}
	widens, err := s.widens(files)
	if err != nil {
		return 0, err
	}
	if err := d.register.Refresh(ctx); err != nil {
		return 0, err
	}
	n := d.register.Policy().Next()
	draft := register.DraftPolicy{Draft: n, Revision: s.Revision, Base: base, Title: title, Author: d.register.OfficerRef(register.OfficerID(id))}
	draft.Rules, draft.Guardrails = policies.Part(s.Changed)
	if draft.Signature, err = seal.SignPolicyStep(signer, seal.PolicyDrafted, draft.Payload()); err != nil {
		return 0, err
	}
	err = d.register.DoAll(ctx, a, register.Operator{Name: id}, []register.Command{draft,
		register.CheckPolicy{Draft: n, Revision: s.Revision, Base: base, Reports: reports, Widens: widens}})
	return n, d.explain(ctx, err)
}

// approve signs for a draft with the reports it has, and signs its bundle once all officers it needs did.
func (d *desk) approve(ctx context.Context, a register.Appender, n int, id string, signer keys.Signer) error {
	step, err := d.judge(ctx, n, id, signer)
	if err != nil {
		return err
	}
	return d.recordApproval(ctx, a, id, step)
}

// judge makes an officer's approval of a draft. Its reports are made again first: nobody's word is taken for them.
func (d *desk) judge(ctx context.Context, n int, id string, signer keys.Signer) (step register.ApprovePolicy, err error) {
	draft, err := d.draft(ctx, n)
	if err != nil {
		return step, err
	}
	step = register.ApprovePolicy{Draft: n, Revision: draft.Revision, Base: draft.Base, Reports: draft.Reports,
		Approver: d.register.OfficerRef(register.OfficerID(id))}
	if step.Signature, err = seal.SignPolicyStep(signer, seal.PolicyApproved, step.Payload()); err != nil {
		return step, err
	}
	if err := d.register.Would(step); err != nil { // who may not, hears so at once
		return step, d.explain(ctx, err)
	}
	if err := d.verifyProposal(ctx, draft, nil); err != nil {
		return step, fmt.Errorf("approve policy: %w", err)
	}
	return step, nil
}

func (d *desk) recordApproval(ctx context.Context, a register.Appender, id string, step register.ApprovePolicy) error {
	if err := d.register.Do(ctx, a, register.Operator{Name: id}, step); err != nil {
		return d.explain(ctx, err)
	}
	return d.signApproved(ctx, step.Draft)
}

// signApproved signs the bundle of a draft that its officers approved, for the gateways to compile.
func (d *desk) signApproved(ctx context.Context, n int) error {
	draft, err := d.draft(ctx, n)
	if err != nil || draft.State == register.StateDraft || len(draft.WaitsFor) > 0 {
		return err
	}
	files, err := d.revisionFiles(ctx, draft.Revision)
	if err != nil {
		return err
	}
	_, err = d.keepPolicy(ctx, files)
	return err
}

// compileWithin is how long an activation waits for gateways to compile, and then to serve.
const compileWithin = 15 * time.Second

// activate makes an approved draft live, once every gateway that answers compiled it.
func (d *desk) activate(ctx context.Context, a register.Appender, n int, name string) error {
	draft, err := d.draft(ctx, n)
	if err != nil {
		return err
	}
	step := register.ActivatePolicy{Draft: n, Revision: draft.Revision, Base: draft.Base}
	if draft.State == register.StateApproved {
		if err := d.signApproved(ctx, n); err != nil {
			return err
		}
		err := d.await(ctx, func(list []gatewayState) []string { return lacking(list, draft.Revision) })
		if late := lateError(""); errors.As(err, &late) {
			err = broker.Told(fmt.Sprintf("Nog niet gecompileerd door %s. Het overzicht zegt waarom; er is niets gewijzigd.", string(late)), "not yet compiled by "+late.Error())
		}
		if err != nil {
			return fmt.Errorf("activate policy: %w", err)
		}
	}
	return d.explain(ctx, d.register.Do(ctx, a, register.Operator{Name: name}, step))
}

// lateError names the gateways that were waited for in vain.
type lateError string

func (e lateError) Error() string { return string(e) + "; `schakel policy status` says why" }

// await waits until no gateway is missing; lateError after a while.
func (d *desk) await(ctx context.Context, missing func([]gatewayState) []string) error {
	for end := time.Now().Add(compileWithin); ; {
		list, err := d.gateways(ctx)
		if err != nil {
			return err
		}
		names := missing(list)
		if len(names) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return lateError(strings.Join(names, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// stop is the emergency stop, in the name of one officer.
func (d *desk) stop(ctx context.Context, a register.Appender, id string, signer keys.Signer, reason string) error {
	live, ok := d.register.Revision()
	if !ok {
		return errors.New("stop policy: no policy is in force, so nothing is disclosed")
	}
	if d.register.Policy().Stop == nil {
		files, err := d.signedFiles(ctx, live)
		if err != nil {
			return fmt.Errorf("stop policy: %w", err)
		}
		if files, err = policies.DenyAll(files); err != nil {
			return err
		}
		if live, err = d.keepPolicy(ctx, files); err != nil {
			return err
		}
	}
	base, _ := d.register.Revision()
	step := register.StopPolicy{Revision: live, Base: base, Reason: reason, Officer: d.register.OfficerRef(register.OfficerID(id))}
	var err error
	if step.Signature, err = seal.SignPolicyStep(signer, seal.PolicyStopped, step.Payload()); err != nil {
		return err
	}
	return d.explain(ctx, d.register.Do(ctx, a, register.Operator{Name: id}, step))
}

func (d *desk) draft(ctx context.Context, n int) (register.Draft, error) {
	if err := d.register.Refresh(ctx); err != nil {
		return register.Draft{}, err
	}
	draft, ok := d.register.Policy().Find(n)
	if !ok {
		return draft, fmt.Errorf("there is no draft %d; `schakel policy status` shows them", n)
	}
	return draft, nil
}

// explain says of an outdated draft what changed underneath it. Other errors stay as they are.
func (d *desk) explain(ctx context.Context, err error) error {
	var outdated *register.OutdatedError
	if !errors.As(err, &outdated) {
		return err
	}
	p := d.register.Policy()
	base, err1 := d.revisionFiles(ctx, against(p, outdated.Base))
	live, err2 := d.revisionFiles(ctx, p.Against())
	if err1 == nil && err2 == nil {
		outdated.Underneath = policies.Changed(base, live)
	}
	return outdated
}

// rebase puts the changes of a draft on the policy that is live. It refuses, and names the files, where both changed one.
func (d *desk) rebase(ctx context.Context, n int) (files map[string][]byte, title string, err error) {
	draft, err := d.draft(ctx, n)
	if err != nil {
		return nil, "", err
	}
	p := d.register.Policy()
	var of [3]map[string][]byte
	for i, r := range []broker.Revision{against(p, draft.Base), draft.Revision, p.Against()} {
		if of[i], err = d.revisionFiles(ctx, r); err != nil {
			return nil, "", err
		}
	}
	r := policies.Rebase(of[0], of[1], of[2])
	if len(r.Both) > 0 {
		return nil, "", fmt.Errorf("rebase draft %d: the live policy changed the same files: %s (all that changed underneath: %s); bring them together in a folder and give that to `schakel policy submit FOLDER --rebase %d`",
			n, strings.Join(r.Both, ", "), strings.Join(r.Underneath, ", "), n)
	}
	return r.Files, draft.Title, nil
}
