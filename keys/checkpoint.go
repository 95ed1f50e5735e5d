package keys

import (
	"crypto/ed25519"
	"errors"
)

// CheckpointKey signs checkpoints of the Merkle log.
type CheckpointKey struct {
	Public  ed25519.PublicKey
	private ed25519.PrivateKey
}

// Sign gives the Ed25519 signature of a checkpoint's text (C2SP signed-note).
func (k CheckpointKey) Sign(text []byte) []byte { return ed25519.Sign(k.private, text) }

// CheckpointKey gives the active one.
func (r *Ring) CheckpointKey() (CheckpointKey, error) {
	s, err := r.Signer(Checkpoints)
	if err != nil {
		return CheckpointKey{}, err
	}
	private, ok := s.key.(ed25519.PrivateKey)
	if !ok {
		return CheckpointKey{}, errors.New("find signing key: the one for checkpoints is not of Ed25519")
	}
	public, _ := private.Public().(ed25519.PublicKey)
	return CheckpointKey{public, private}, nil
}

// CheckpointKeys gives the public keys that may have signed checkpoints, or will: active, next and retired.
func (r *Ring) CheckpointKeys() []ed25519.PublicKey {
	var out []ed25519.PublicKey
	s := r.now.Load()
	for _, k := range s.Signing {
		if public, ok := s.signers[k.ID].key.Public().(ed25519.PublicKey); ok && k.Use == Checkpoints {
			out = append(out, public)
		}
	}
	return out
}
