package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/schakel/schakel/broker"
)

// Pseudonym names a data subject in the log: the version of the key and a verifiable function of the BSN under it (RFC 9381,
// C2SP vrf-r255), "1.Zm9v…". Only the ring can compute it, and the ring can prove that it is right (ProvePseudonyms).
func (r *Ring) Pseudonym(bsn broker.BSN) string {
	s := r.now.Load()
	return s.pseudonym(s.Pseudonyms[len(s.Pseudonyms)-1], bsn)
}

// Pseudonyms gives the pseudonyms of a data subject under every version, the current one first: look each up until
// the last event of its version has expired.
func (r *Ring) Pseudonyms(bsn broker.BSN) []string {
	var out []string
	s := r.now.Load()
	for _, k := range slices.Backward(s.Pseudonyms) {
		out = append(out, s.pseudonym(k, bsn))
	}
	return out
}

// RecipientPseudonym is what an agency gets for a BSN granted in the form pseudonym: the same at every answer, and
// another for every agency, so that two of them can't compare. It rests on a key of its own, which is not rotated.
func (r *Ring) RecipientPseudonym(recipient broker.OIN, bsn broker.BSN) string {
	return base64.RawURLEncoding.EncodeToString(mac(r.now.Load().Recipient, "recipient", string(recipient)+"\x00"+bsn.Reveal()))
}

// PseudonymVersions lists the versions of the pseudonym key, oldest first; the last one is current.
func (r *Ring) PseudonymVersions() []string {
	var out []string
	for _, k := range r.now.Load().Pseudonyms {
		out = append(out, k.ID)
	}
	return out
}

// RotatePseudonyms makes a new version of the pseudonym key and gives its name.
func (r *Ring) RotatePseudonyms() (string, error) {
	var id string
	err := r.edit(func(c *content) error {
		last, err := strconv.Atoi(c.Pseudonyms[len(c.Pseudonyms)-1].ID)
		if err != nil {
			return errors.New("the last version is not a number")
		}
		id = strconv.Itoa(last + 1)
		c.Pseudonyms = append(c.Pseudonyms, namedKey{ID: id, Key: random(32), Created: r.cfg.Now().UTC()})
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("rotate pseudonym key: %w", err)
	}
	return id, nil
}

// ForgetPseudonyms drops an old version: the events that carry its pseudonyms can't be found by BSN any more.
func (r *Ring) ForgetPseudonyms(version string) error {
	err := r.edit(func(c *content) error {
		i := slices.IndexFunc(c.Pseudonyms, func(k namedKey) bool { return k.ID == version })
		switch {
		case i < 0:
			return errors.New("no such version in the ring")
		case i == len(c.Pseudonyms)-1:
			return errors.New("this version is in use; rotate first")
		}
		c.Pseudonyms = slices.Delete(c.Pseudonyms, i, i+1)
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget pseudonym key: %w", err)
	}
	return nil
}
