package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/schakel/schakel/keys"
)

// Types of the steps in the life of a policy revision, each of its own, so that one can't be passed off as another: what
// an author, an approver, a holder and the officer who stops everything sign with their own keys; and what the ring signs
// of an approved bundle.
const (
	PolicyDraftType     = "schakel-policy-draft+json"
	PolicyApprovalType  = "schakel-policy-approval+json"
	PolicyAgreementType = "schakel-policy-agreement+json"
	PolicyStopType      = "schakel-policy-stop+json"
	PolicyBundleType    = "schakel-policy-bundle+jwt"
)

// Steps that are signed, as the register names them.
const (
	PolicyDrafted  = "policy.drafted"
	PolicyApproved = "policy.approved"
	PolicyAgreed   = "policy.agreed"
	PolicyStopped  = "policy.stopped"
)

// stepType gives the type of a step's signature.
func stepType(step string) (string, error) {
	switch step {
	case PolicyDrafted:
		return PolicyDraftType, nil
	case PolicyApproved:
		return PolicyApprovalType, nil
	case PolicyAgreed:
		return PolicyAgreementType, nil
	case PolicyStopped:
		return PolicyStopType, nil
	}
	return "", fmt.Errorf("%.40q is no step of a policy that is signed", step)
}

// SignPolicyStep gives the compact JWS of a step; payload is its canonical JSON.
func SignPolicyStep(key keys.Signer, step string, payload []byte) (string, error) {
	typ, err := stepType(step)
	if err != nil {
		return "", fmt.Errorf("sign policy step: %w", err)
	}
	signed, err := key.Sign(map[string]any{"typ": typ}, payload)
	if err != nil {
		return "", fmt.Errorf("sign policy step: %w", err)
	}
	return signed, nil
}

// VerifyPolicyStep checks that one of these keys (public JWKs) signed exactly this payload as this step.
func VerifyPolicyStep(step string, signers []json.RawMessage, payload []byte, compact string) error {
	typ, err := stepType(step)
	if err != nil {
		return fmt.Errorf("verify policy step: %w", err)
	}
	return verifySigned(compact, typ, payload, signers, "verify policy step")
}

// verifySigned checks who signed a text that is known.
func verifySigned(compact, typ string, payload []byte, signers []json.RawMessage, what string) error {
	if compact == "" {
		return fmt.Errorf("%s: it is not signed; whose word it is signs it with their own key", what)
	}
	parsed, err := parse(compact)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if text(parsed.header, "typ") != typ {
		return fmt.Errorf("%s: the signature is of another kind; typ must be %s", what, typ)
	}
	if !bytes.Equal(parsed.payload, payload) {
		return fmt.Errorf("%s: another text was signed; sign this one as it is", what)
	}
	for _, jwk := range signers {
		key, err := keys.ParsePublic(jwk)
		if err != nil {
			continue // a key of another kind can't have signed it
		}
		if _, err := key.Verify(compact); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: no key of the signer fits the signature", what)
}

// SignBundle signs what a policy bundle must hold (decide.BundleContent), with the ring's key for approvals.
func SignBundle(key keys.Signer, content []byte) (string, error) {
	signed, err := key.Sign(map[string]any{"typ": PolicyBundleType}, content)
	if err != nil {
		return "", fmt.Errorf("sign bundle: %w", err)
	}
	return signed, nil
}

// VerifyBundle checks the signature of a bundle against a JWK set, and gives the content that was signed.
func VerifyBundle(compact string, jwks []byte) ([]byte, error) {
	p, _, err := check(compact, jwks, keys.Approvals)
	if err != nil {
		return nil, fmt.Errorf("verify bundle: %w", err)
	}
	if text(p.header, "typ") != PolicyBundleType {
		return nil, errors.New("verify bundle: well signed, but not a policy bundle")
	}
	return p.payload, nil
}
