package e2e

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// officers are two who bring a revision to life the way it goes: one writes, the other approves.
type officers struct {
	desk             *registrar
	author, approver keys.Signer
	ids              [2]register.OfficerID // of author and approver
}

// newOfficers adds them to the register.
func newOfficers(t testing.TB, desk *registrar) *officers {
	t.Helper()
	o := &officers{desk: desk, ids: [2]register.OfficerID{"schrijver", "collega"}}
	var commands []register.Command
	for id, signer := range map[register.OfficerID]*keys.Signer{o.ids[0]: &o.author, o.ids[1]: &o.approver} {
		public, private, err := keys.NewAgencyKey(keys.EdDSA)
		if err == nil {
			*signer, err = keys.ParseSigner(private)
		}
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, desk.register.NewOfficer(id, register.RolePrivacyOfficer, public)...)
	}
	if _, err := desk.do(context.WithoutCancel(t.Context()), commands...); err != nil {
		t.Fatal(err)
	}
	return o
}

// activate gives every step from the draft of a revision to its activation, for one append.
func (o *officers) activate(t testing.TB, revision broker.Revision) []register.Command {
	if err := o.desk.register.Refresh(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	p := o.desk.register.Policy()
	reports := register.Reports{Tests: sha256.Sum256([]byte("a report"))}
	draft := register.DraftPolicy{Draft: p.Next(), Revision: revision, Base: p.Live, Title: "proef", Rules: true,
		Author: o.desk.register.OfficerRef(o.ids[0])}
	approve := register.ApprovePolicy{Draft: draft.Draft, Revision: revision, Base: p.Live, Reports: reports,
		Approver: o.desk.register.OfficerRef(o.ids[1])}
	var err error
	if draft.Signature, err = seal.SignPolicyStep(o.author, seal.PolicyDrafted, draft.Payload()); err == nil {
		approve.Signature, err = seal.SignPolicyStep(o.approver, seal.PolicyApproved, approve.Payload())
	}
	if err != nil {
		t.Error(err)
	}
	return []register.Command{draft, register.CheckPolicy{Draft: draft.Draft, Revision: revision, Base: p.Live, Reports: reports},
		approve, register.ActivatePolicy{Draft: draft.Draft, Revision: revision, Base: p.Live}}
}

// keepBundle signs the files of a policy as a bundle, and puts it where gateways look for it.
func (r *registrar) keepBundle(t testing.TB, ring *keys.Ring, files map[string][]byte) {
	t.Helper()
	revision := policies.Revision(files)
	signer, err := ring.Signer(keys.Approvals)
	if err != nil {
		t.Fatal(err)
	}
	content, err := decide.BundleContent(files)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := seal.SignBundle(signer, content)
	if err != nil {
		t.Fatal(err)
	}
	if files, err = decide.WithSignature(files, signature); err != nil {
		t.Fatal(err)
	}
	bundle, err := policies.Bundle(files)
	if err == nil {
		err = r.store.PutBlob(t.Context(), string(revision), bundle)
	}
	if err != nil {
		t.Fatal(err)
	}
}
