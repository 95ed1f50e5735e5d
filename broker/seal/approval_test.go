package seal_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// What is signed is exactly the text, by a key that is given, and a bundle only by the ring's key for approvals.
func TestPolicySignatures(t *testing.T) {
	r := ring(t, keys.ES256)
	approvals, err := r.Signer(keys.Approvals)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := r.Signer(keys.Answers)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(`{"draft":1}`)
	signature, err := seal.SignPolicyStep(approvals, seal.PolicyApproved, text)
	if err != nil {
		t.Fatal(err)
	}
	by := func(keys ...json.RawMessage) []json.RawMessage { return keys }
	for name, tt := range map[string]struct {
		step string
		keys []json.RawMessage
		text string
		sign string
		want string
	}{
		"right":        {seal.PolicyApproved, by(answers.Public(), approvals.Public()), string(text), signature, ""},
		"another step": {seal.PolicyDrafted, by(approvals.Public()), string(text), signature, "of another kind"},
		"another key":  {seal.PolicyApproved, by(answers.Public()), string(text), signature, "no key"},
		"another text": {seal.PolicyApproved, by(approvals.Public()), `{"draft":2}`, signature, "another text"},
		"unsigned":     {seal.PolicyApproved, by(approvals.Public()), string(text), "", "not signed"},
		"no step":      {"policy.activated", by(approvals.Public()), string(text), signature, "no step"},
	} {
		err := seal.VerifyPolicyStep(tt.step, tt.keys, []byte(tt.text), tt.sign)
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := seal.SignPolicyStep(approvals, "policy.activated", text); err == nil {
		t.Error("what is no step was signed")
	}
	for _, key := range []keys.Signer{approvals, answers} {
		signed, err := seal.SignBundle(key, text)
		if err != nil {
			t.Fatal(err)
		}
		content, err := seal.VerifyBundle(signed, r.JWKS(keys.Approvals, keys.Answers))
		if good := key.ID() == approvals.ID(); (err == nil) != good || (good && string(content) != string(text)) {
			t.Errorf("a bundle signed with %s: %v", key.ID(), err)
		}
	}
}
