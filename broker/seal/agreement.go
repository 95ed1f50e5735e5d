package seal

import (
	"bytes"
	"encoding/json"
	"errors"
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
	if compact == "" {
		return errors.New("verify agreement: it is not signed; the holder signs it with its own key")
	}
	parsed, err := parse(compact)
	if err != nil {
		return fmt.Errorf("verify agreement: %w", err)
	}
	if text(parsed.header, "typ") != AgreementType {
		return errors.New("verify agreement: the signature is of another kind; typ must be " + AgreementType)
	}
	if !bytes.Equal(parsed.payload, payload) {
		return errors.New("verify agreement: another text was signed; sign this agreement as it is")
	}
	for _, jwk := range holderKeys {
		key, err := keys.ParsePublic(jwk)
		if err != nil {
			continue // a key of another kind can't have signed it
		}
		if _, err := key.Verify(compact); err == nil {
			return nil
		}
	}
	return errors.New("verify agreement: no key of the holder fits the signature")
}
