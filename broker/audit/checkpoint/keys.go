package checkpoint

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/log"
	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Key is what the log signs with: an Ed25519 key (C2SP signed-note).
type Key struct {
	Public ed25519.PublicKey
	Sign   func(text []byte) []byte
}

// Keys are the public keys that a checkpoint is held against.
type Keys struct {
	origin    string
	log       []note.Verifier // any of which may have signed
	witnesses []note.Verifier
	quorum    int
}

// Origin is the name of the log in its checkpoints.
func (k Keys) Origin() string { return k.origin }

// NewKeys takes the origin of a log, the keys that it signs or signed with, the verifier keys of witnesses (C2SP
// signed-note, of the type cosignature/v1) and how many of those must have cosigned.
func NewKeys(origin string, own []ed25519.PublicKey, witnesses []string, quorum int) (Keys, error) {
	fail := func(err error) (Keys, error) { return Keys{}, fmt.Errorf("keys of log %s: %w", origin, err) }
	k := Keys{origin: origin, quorum: quorum}
	for _, public := range own {
		v, err := verifier(origin, public)
		if err != nil {
			return fail(err)
		}
		k.log = append(k.log, v)
	}
	for _, text := range witnesses {
		v, err := f_note.NewVerifierForCosignatureV1(text)
		if err != nil {
			return fail(fmt.Errorf("a witness's key: %w", err))
		}
		k.witnesses = append(k.witnesses, v)
	}
	if len(own) == 0 || quorum < 0 || quorum > len(witnesses) {
		return fail(fmt.Errorf("%d keys of its own, %d witnesses of which %d must cosign: that can't be", len(own), len(witnesses), quorum))
	}
	return k, nil
}

// VerifierKey gives the text in which a log's public key is handed over (C2SP signed-note): origin, hash and key.
func VerifierKey(origin string, public ed25519.PublicKey) (string, error) {
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("write verifier key of %s: %w", origin, err)
	}
	return text, nil
}

// ParseKeys reads what VerifierKey wrote, one or more, which must have one origin.
func ParseKeys(log, witnesses []string, quorum int) (Keys, error) {
	k, err := Keys{}, errors.New("parse log key: none given")
	for i, text := range log {
		var v note.Verifier
		if v, err = note.NewVerifier(strings.TrimSpace(text)); err != nil {
			return Keys{}, fmt.Errorf("parse log key: %w", err)
		}
		if i > 0 && v.Name() != k.origin {
			return Keys{}, errors.New("parse log key: these are keys of two logs")
		}
		k.origin, k.log = v.Name(), append(k.log, v)
	}
	if err != nil {
		return Keys{}, err
	}
	for _, text := range witnesses {
		v, err := f_note.NewVerifierForCosignatureV1(strings.TrimSpace(text))
		if err != nil {
			return Keys{}, fmt.Errorf("parse witness key: %w", err)
		}
		k.witnesses = append(k.witnesses, v)
	}
	if k.quorum = quorum; quorum > len(witnesses) {
		return Keys{}, fmt.Errorf("%d witnesses must have cosigned, and the keys of %d are given", quorum, len(witnesses))
	}
	return k, nil
}

func verifier(origin string, public ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}

// Open verifies the signatures of a published checkpoint: the log's own, and those of as many witnesses as must have
// cosigned.
func (k Keys) Open(signed []byte) (Checkpoint, error) {
	fail := func(err error) (Checkpoint, error) { return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err) }
	n, err := note.Open(signed, note.VerifierList(slices.Concat(k.log, k.witnesses)...))
	if err != nil {
		return fail(err)
	}
	c := Checkpoint{Signed: signed, Witnesses: []string{}}
	own := false
	for _, s := range n.Sigs {
		if verifies(k.log, s) {
			own = true
		} else if verifies(k.witnesses, s) {
			c.Witnesses = append(c.Witnesses, s.Name)
		}
	}
	var parsed log.Checkpoint
	switch rest, err := parsed.Unmarshal([]byte(n.Text)); {
	case err != nil:
		return fail(err)
	case len(rest) > 0 || len(parsed.Hash) != len(c.Root):
		return fail(errors.New("it holds more than origin, size and root"))
	case !own || parsed.Origin != k.origin:
		return fail(errors.New("the log itself did not sign it"))
	case len(c.Witnesses) < k.quorum:
		return fail(fmt.Errorf("%d of the %d witnesses that must cosign did", len(c.Witnesses), k.quorum))
	}
	c.Origin, c.Size = parsed.Origin, parsed.Size
	copy(c.Root[:], parsed.Hash)
	return c, nil
}

func verifies(list []note.Verifier, s note.Signature) bool {
	return slices.ContainsFunc(list, func(v note.Verifier) bool { return v.Name() == s.Name && v.KeyHash() == s.Hash })
}

// noteSigner makes a note.Signer of a key.
type noteSigner struct {
	note.Verifier
	key Key
}

func (s noteSigner) Sign(text []byte) ([]byte, error) { return s.key.Sign(text), nil }
