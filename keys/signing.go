package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Use is what a signing key of the ring signs. Separate keys, so that who can seal an answer can't approve a policy.
type Use string

// Closed list of Use.
const (
	Answers   Use = "answers"   // answers and refusals
	Approvals Use = "approvals" // policy revisions
	Heads     Use = "heads"     // heads of journal streams

	// Checkpoints of the Merkle log; always Ed25519, as C2SP tlog-tiles demands of a log that others witness.
	Checkpoints Use = "checkpoints"
)

// Uses lists them.
func Uses() []Use { return []Use{Answers, Approvals, Heads, Checkpoints} }

// State is where a signing key is in its life: next, active, retired. All three are published and verify.
type State string

// Closed list of State.
const (
	Next    State = "next"    // published, so that verifiers know it before it signs
	Active  State = "active"  // signs
	Retired State = "retired" // signs no more
)

func (s State) valid() bool { return s == Next || s == Active || s == Retired }

type signingKey struct {
	ID      string          `json:"kid"`
	Use     Use             `json:"use"`
	State   State           `json:"state"`
	JWK     json.RawMessage `json:"jwk"` // private
	Created time.Time       `json:"created"`
	Active  time.Time       `json:"active,omitzero"`
	Retired time.Time       `json:"retired,omitzero"`
}

// KeyInfo describes a signing key without the key.
type KeyInfo struct {
	ID        string    `json:"kid"`
	Use       Use       `json:"use"`
	State     State     `json:"state"`
	Algorithm Algorithm `json:"alg"`
	Created   time.Time `json:"created"`
	Active    time.Time `json:"active,omitzero"`  // since when it signs, or signed
	Retired   time.Time `json:"retired,omitzero"` // since when it signs no more
}

func newSigningKey(use Use, state State, alg Algorithm, now time.Time) (signingKey, error) {
	if use == Checkpoints {
		alg = EdDSA
	}
	s, err := generate(alg)
	if err != nil {
		return signingKey{}, err
	}
	jwk, err := privateJWK(s)
	k := signingKey{ID: s.id, Use: use, State: state, JWK: jwk, Created: now.UTC()}
	if state == Active {
		k.Active = now.UTC()
	}
	return k, err
}

// Signer gives the active key of a use. Ask for it with every signature: it changes when the ring is rotated.
func (r *Ring) Signer(use Use) (Signer, error) {
	s := r.now.Load()
	for _, k := range s.Signing {
		if k.Use == use && k.State == Active {
			return s.signers[k.ID], nil
		}
	}
	return Signer{}, fmt.Errorf("find signing key: the ring has none for %q; `schakel keys rotate` makes one for a use of %v", use, Uses())
}

// Rotate retires the active key of a use, makes the next one active and a fresh one next. The fresh one has the
// ring's configured algorithm. It gives the kid that is active now.
func (r *Ring) Rotate(use Use) (string, error) {
	var active string
	err := r.edit(func(c *content) (err error) {
		active, err = r.rotate(c, use)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("rotate keys: %w", err)
	}
	return active, nil
}

func (r *Ring) rotate(c *content, use Use) (string, error) {
	if !slices.Contains(Uses(), use) {
		return "", fmt.Errorf("no use %q; choose from %v", use, Uses())
	}
	now, active := r.cfg.Now().UTC(), ""
	for i := range c.Signing {
		k := &c.Signing[i]
		switch {
		case k.Use != use:
		case k.State == Active:
			k.State, k.Retired = Retired, now
		case k.State == Next:
			k.State, k.Active = Active, now
			active = k.ID
		}
	}
	if active == "" { // the ring was made before there was this use
		first, err := newSigningKey(use, Active, r.cfg.Algorithm, now)
		if err != nil {
			return "", err
		}
		c.Signing, active = append(c.Signing, first), first.ID
	}
	fresh, err := newSigningKey(use, Next, r.cfg.Algorithm, now)
	c.Signing = append(c.Signing, fresh)
	return active, err
}

// Retire takes one key out of signing. An active key makes way for the next one, as with Rotate; a next key is
// replaced before it ever signed. Retired keys go on verifying.
func (r *Ring) Retire(kid string) error {
	err := r.edit(func(c *content) error {
		for i := range c.Signing {
			k := &c.Signing[i]
			if k.ID != kid {
				continue
			}
			switch k.State {
			case Active:
				_, err := r.rotate(c, k.Use)
				return err
			case Next:
				k.State, k.Retired = Retired, r.cfg.Now().UTC()
				fresh, err := newSigningKey(k.Use, Next, r.cfg.Algorithm, r.cfg.Now())
				c.Signing = append(c.Signing, fresh)
				return err
			}
			return errors.New("this key is retired already")
		}
		return errors.New("no such kid in the ring; see `schakel keys list`")
	})
	if err != nil {
		return fmt.Errorf("retire key: %w", err)
	}
	return nil
}

// List describes all signing keys, oldest first within a use.
func (r *Ring) List() []KeyInfo {
	s := r.now.Load()
	out := make([]KeyInfo, 0, len(s.Signing))
	for _, use := range Uses() {
		for _, k := range s.Signing {
			if k.Use == use {
				out = append(out, KeyInfo{k.ID, k.Use, k.State, s.signers[k.ID].alg, k.Created, k.Active, k.Retired})
			}
		}
	}
	return out
}

// JWKS gives the public keys of the uses given (of all when none is) as a JWK set: active, next and retired.
func (r *Ring) JWKS(uses ...Use) []byte {
	s := r.now.Load()
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range s.Signing {
		if len(uses) == 0 || slices.Contains(uses, k.Use) {
			set.Keys = append(set.Keys, withUse(s.signers[k.ID].Public(), k.Use))
		}
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err) // our own JSON
	}
	return b
}
