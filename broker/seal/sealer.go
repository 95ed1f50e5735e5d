package seal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

// nestedType is the cty of an encrypted answer: a compact JWS stands inside (application/jose, RFC 7515).
const nestedType = "JOSE"

// SealerConfig is what a Sealer is made of.
type SealerConfig struct {
	// Signer gives the active key for answers; asked with every answer, so that a rotated ring holds at once.
	Signer func() (keys.Signer, error)
}

// Sealer signs answers and refusals. It implements broker.Sealer.
type Sealer struct{ cfg SealerConfig }

// NewSealer makes a Sealer.
func NewSealer(cfg SealerConfig) (*Sealer, error) {
	if cfg.Signer == nil {
		return nil, errors.New("make sealer: Signer is required")
	}
	return &Sealer{cfg}, nil
}

// Seal signs s.Body, exactly those bytes: as a detached JWS beside it (RFC 7515, appendix F), or as a compact JWS
// around it, nested in a JWE where the asker registered a key for that. It fills all of the Envelope but ID and
// Summary.
func (s *Sealer) Seal(_ context.Context, in broker.Sealing) (broker.Envelope, error) {
	key, err := s.cfg.Signer()
	if err != nil {
		return broker.Envelope{}, fmt.Errorf("seal answer: %w", err)
	}
	typ := AnswerType
	if in.Refusal {
		typ = RefusalType
	}
	signed, err := key.Sign(map[string]any{
		"typ":     typ,
		"iat":     in.IssuedAt.Unix(),
		"receipt": map[string]string{"log": in.Receipt.Log, "hash": in.Receipt.Hash.String()},
		"nonce":   base64url.EncodeToString(in.Nonce[:]),
	}, in.Body)
	if err != nil {
		return broker.Envelope{}, fmt.Errorf("seal answer: %w", err)
	}
	out := broker.Envelope{Refusal: in.Refusal, Compact: in.Compact}
	switch {
	case !in.Compact:
		out.Body, out.Signature = in.Body, detach(signed)
	case len(in.EncryptionKey) == 0:
		out.Body = []byte(signed)
	default:
		k, err := keys.ParseEncryptionKey(in.EncryptionKey)
		if err != nil {
			return broker.Envelope{}, fmt.Errorf("seal answer: %w", err)
		}
		nested, err := k.Encrypt([]byte(signed), nestedType)
		if err != nil {
			return broker.Envelope{}, fmt.Errorf("seal answer: %w", err)
		}
		out.Body = []byte(nested)
	}
	return out, nil
}

// detach leaves the payload out of a compact JWS: header..signature.
func detach(compact string) string {
	return compact[:strings.IndexByte(compact, '.')+1] + compact[strings.LastIndexByte(compact, '.'):]
}

// attach puts the payload back.
func attach(detached string, payload []byte) (string, bool) {
	header, signature, ok := strings.Cut(detached, "..")
	if !ok || strings.Contains(header, ".") || strings.Contains(signature, ".") {
		return "", false
	}
	return header + "." + base64url.EncodeToString(payload) + "." + signature, true
}
