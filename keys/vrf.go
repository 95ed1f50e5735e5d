package keys

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	vrf "filippo.io/mostly-harmless/vrf-r255"
	"github.com/gtank/ristretto255"

	"github.com/schakel/schakel/broker"
)

// PseudonymKey is the public half of one version of the pseudonym key. With it anybody can check that a pseudonym is the
// one that a BSN has, and nobody can compute one.
type PseudonymKey struct {
	Version string
	public  *vrf.PublicKey
}

// String gives the text in which the key is handed over: the version, a colon, and 32 bytes in base64 (raw, URL).
func (k PseudonymKey) String() string {
	return k.Version + ":" + base64.RawURLEncoding.EncodeToString(k.public.Bytes())
}

// ParsePseudonymKey reads what String gives. It takes no key under which everybody would have the same pseudonym.
func ParsePseudonymKey(text string) (PseudonymKey, error) {
	version, encoded, ok := strings.Cut(text, ":")
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	bad := errors.New("parse pseudonym key: it is a version, a colon and a key, as `schakel audit index keys` prints it")
	if err != nil || !ok || version == "" || len(version) > 20 || strings.Trim(version, "0123456789") != "" {
		return PseudonymKey{}, bad
	}
	public, err := vrf.NewPublicKey(data)
	if err != nil || slices.Max(data) == 0 { // the identity: RFC 9381, 5.4.5
		return PseudonymKey{}, bad
	}
	return PseudonymKey{version, public}, nil
}

// Verify checks a proof of ProvePseudonyms and gives the pseudonym that it proves this BSN to have.
func (k PseudonymKey) Verify(bsn broker.BSN, proof []byte) (string, error) {
	p, err := vrf.NewProof(proof)
	if err == nil {
		_, err = k.public.Verify(p, pseudonymInput(bsn))
	}
	if err != nil {
		return "", fmt.Errorf("verify pseudonym: the proof does not hold for this BSN and version %s of the key", k.Version)
	}
	return pseudonymText(k.Version, p.Hash()), nil
}

// PseudonymKeys gives the public halves of every version, oldest first.
func (r *Ring) PseudonymKeys() []PseudonymKey {
	s := r.now.Load()
	out := make([]PseudonymKey, len(s.Pseudonyms))
	for i, k := range s.Pseudonyms {
		out[i] = PseudonymKey{k.ID, s.provers[k.ID].PublicKey()}
	}
	return out
}

// ProvePseudonyms gives for each version a proof of the pseudonym that a BSN has: 80 bytes (RFC 9381). Whoever has a proof
// and the public key can try out which of all BSNs it is for: it belongs in the data subject's own hands.
func (r *Ring) ProvePseudonyms(bsn broker.BSN) map[string][]byte {
	s := r.now.Load()
	out := make(map[string][]byte, len(s.Pseudonyms))
	for _, k := range s.Pseudonyms {
		out[k.ID] = s.provers[k.ID].Prove(pseudonymInput(bsn)).Bytes()
	}
	return out
}

func pseudonymInput(bsn broker.BSN) []byte { return []byte("schakel subject\x00" + bsn.Reveal()) }

func pseudonymText(version string, hash []byte) string {
	return version + "." + base64.RawURLEncoding.EncodeToString(hash[:32])
}

// prover is the key of one version, ready for use.
type prover struct {
	*vrf.PrivateKey
	scalar *ristretto255.Scalar // the same
}

// newProver makes the key of a version: its 32 random bytes as a number under 2²⁵², which is less than the group's order.
func newProver(k namedKey) (p prover, err error) {
	scalar := slices.Clone(k.Key)
	scalar[len(scalar)-1] &= 0x0f // little-endian
	if p.PrivateKey, err = vrf.NewPrivateKey(scalar); err == nil {
		p.scalar, err = ristretto255.NewScalar().SetCanonicalBytes(scalar)
	}
	return p, err
}

// suite names the function in what it hashes (C2SP vrf-r255).
const suite = "\xFFc2sp.org/vrf-r255"

// hash gives what Prove(alpha).Hash() would, without the proof and in a third of the time.
func (p prover) hash(alpha []byte) []byte {
	h := sha512.Sum512(slices.Concat([]byte(suite+"\x82"), p.PublicKey().Bytes(), alpha))
	point, _ := ristretto255.NewIdentityElement().SetUniformBytes(h[:]) // fails for another length only
	gamma := point.ScalarMult(p.scalar, point).Bytes()
	out := sha512.Sum512(slices.Concat([]byte(suite+"\x03"), gamma, []byte{0}))
	return out[:]
}

// pseudonymCache remembers pseudonyms, since one costs 0.1 ms and the same households come again. It is part of a state of
// the ring, and goes with it.
type pseudonymCache struct {
	mu    sync.Mutex
	known map[string]string // by version and BSN
}

const maxPseudonyms = 50_000

func (s *state) pseudonym(k namedKey, bsn broker.BSN) string {
	key := k.ID + " " + bsn.Reveal()
	c := s.remembered
	c.mu.Lock()
	text, known := c.known[key]
	c.mu.Unlock()
	if known {
		return text
	}
	text = pseudonymText(k.ID, s.provers[k.ID].hash(pseudonymInput(bsn)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxPseudonyms {
		clear(c.known)
	}
	c.known[key] = text
	return text
}
