package seal

import (
	"encoding/json"
	"fmt"

	"github.com/schakel/schakel/keys"
)

// AgreementType is the typ of a holder's signature under an agreement.
const AgreementType = "schakel-agreement+json"

// SignAgreement gives the compact JWS by which a holder agrees; payload is the agreement's canonical JSON.
func SignAgreement(key keys.Signer, payload []byte) (string, error) {
	signed, err := key.Sign(map[string]any{"typ": AgreementType}, payload)
	if err != nil {
		return "", fmt.Errorf("sign agreement: %w", err)
	}
	return signed, nil
}

// VerifyAgreement checks that one of the holder's keys (public JWKs) signed exactly this payload as an agreement. A
// suspended key counts too: what it signed while it was good stands; a new agreement is refused elsewhere.
func VerifyAgreement(compact string, payload []byte, holderKeys []json.RawMessage) error {
	return verifySigned(compact, AgreementType, payload, holderKeys, "verify agreement")
}
