package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// ErrDestroyed tells that a key was wrapped under a generation that was destroyed: what it encrypted is erased.
var ErrDestroyed = errors.New("the key-encryption key was destroyed")

const (
	maxGeneration = 32
	maxWrapped    = 64 // length of a key that may be wrapped
	wrapLabel     = "schakel key wrap 1"
	refLabel      = "schakel part reference 1"
	nonceLabel    = "schakel gateway nonce 1" // under the same secret, apart by its label
	refBlock      = 64                        // references are padded to this, so that their length says nothing
	refSalt       = 24
)

// quarter names the quarter of a moment, by the calendar in Amsterdam: 2026Q4.
func quarter(t time.Time) string {
	t = t.In(broker.Amsterdam())
	return fmt.Sprintf("%04dQ%d", t.Year(), (int(t.Month())+2)/3)
}

// quarterOf gives the quarter of a generation: 2026Q4 and 2026Q4.2 are both of 2026Q4.
func quarterOf(generation string) string {
	q, _, _ := strings.Cut(generation, ".")
	return q
}

// newest gives the youngest generation of a quarter, "" without.
func (c content) newest(q string) string {
	for _, g := range slices.Backward(c.Generations) {
		if quarterOf(g.ID) == q {
			return g.ID
		}
	}
	return ""
}

// addGeneration makes the next key-encryption key of a quarter. The id of a destroyed one never comes back.
func (c *content) addGeneration(q string, now time.Time) string {
	n := 1
	for _, g := range c.Generations {
		if quarterOf(g.ID) == q {
			n++
		}
	}
	for _, g := range c.Destroyed {
		if quarterOf(g) == q {
			n++
		}
	}
	id := q
	if n > 1 {
		id += "." + strconv.Itoa(n)
	}
	c.Generations = append(c.Generations, namedKey{ID: id, Key: random(32), Created: now.UTC()})
	return id
}

// Generation gives the id of the key-encryption key for keys made at a moment: one for each quarter, made on demand.
func (r *Ring) Generation(now time.Time) (string, error) {
	q := quarter(now)
	if id := r.now.Load().newest(q); id != "" {
		return id, nil
	}
	var id string
	err := r.edit(func(c *content) error {
		if id = c.newest(q); id != "" {
			return errUnchanged // another gateway was first
		}
		id = c.addGeneration(q, r.cfg.Now())
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("make key generation: %w", err)
	}
	return id, nil
}

// Generations lists the key-encryption keys, oldest first.
func (r *Ring) Generations() []string {
	var out []string
	for _, g := range r.now.Load().Generations {
		out = append(out, g.ID)
	}
	return out
}

// Superseded lists the generations that no key is wrapped under any more: another of their quarter took their place, and they
// wait to be destroyed.
func (r *Ring) Superseded() []string {
	var out []string
	c := r.now.Load().content
	for _, g := range c.Generations {
		if c.newest(quarterOf(g.ID)) != g.ID {
			out = append(out, g.ID)
		}
	}
	return out
}

// Destroyed lists the generations that were destroyed, in that order.
func (r *Ring) Destroyed() []string { return slices.Clone(r.now.Load().Destroyed) }

// Supersede makes a fresh key-encryption key for the quarter of a generation. Erasure is: Supersede, delete the wrapped key,
// wait until what others wrapped before is in the store, Rewrap the surviving keys of the old generation, Destroy it
// (broker/audit/retention).
func (r *Ring) Supersede(generation string) (string, error) {
	var id string
	err := r.edit(func(c *content) error {
		if !slices.ContainsFunc(c.Generations, func(g namedKey) bool { return g.ID == generation }) {
			return errors.New("no such generation in the ring")
		}
		id = c.addGeneration(quarterOf(generation), r.cfg.Now())
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("supersede key generation: %w", err)
	}
	return id, nil
}

// Destroy drops a superseded key-encryption key from the ring. What is still wrapped under it is lost. Copies of the
// ring file keep it until they are destroyed too.
func (r *Ring) Destroy(generation string) error {
	err := r.edit(func(c *content) error {
		i := slices.IndexFunc(c.Generations, func(g namedKey) bool { return g.ID == generation })
		if i < 0 {
			return errors.New("no such generation in the ring")
		}
		if c.newest(quarterOf(generation)) == generation {
			return errors.New("this generation is in use; supersede it and rewrap its keys first")
		}
		c.Generations = slices.Delete(c.Generations, i, i+1)
		c.Destroyed = append(c.Destroyed, generation)
		return nil
	})
	if err != nil {
		return fmt.Errorf("destroy key generation: %w", err)
	}
	return nil
}

// Wrap encrypts a data key under the generation of now, as the file has it: one that another process superseded must get no
// new keys. While the file can't be read the ring in use serves (see Watch).
func (r *Ring) Wrap(key []byte) ([]byte, error) {
	if r.mu.TryLock() { // otherwise somebody takes it up at this moment: no request waits for that
		_ = r.reload()
		r.mu.Unlock()
	}
	generation, err := r.Generation(r.cfg.Now())
	if err != nil {
		return nil, err
	}
	return r.WrapUnder(generation, key)
}

// WrapUnder encrypts a data key under a generation, which stands in the result and is bound to it.
func (r *Ring) WrapUnder(generation string, key []byte) ([]byte, error) {
	if len(key) < 16 || len(key) > maxWrapped {
		return nil, errors.New("wrap key: a key has 16 to 64 bytes")
	}
	aead := r.now.Load().wraps[generation]
	if aead == nil {
		return nil, fmt.Errorf("wrap key: no generation %q in the ring", generation)
	}
	// format, length and name of the generation, nonce, ciphertext
	head := append([]byte{1, byte(len(generation))}, generation...)
	nonce := random(aead.NonceSize())
	return aead.Seal(append(slices.Clone(head), nonce...), nonce, key, append([]byte(wrapLabel), head...)), nil
}

// WrappedBy tells the generation a key was wrapped under.
func WrappedBy(wrapped []byte) (string, error) {
	if len(wrapped) < 2 || wrapped[0] != 1 || wrapped[1] == 0 || wrapped[1] > maxGeneration || len(wrapped) < 2+int(wrapped[1]) {
		return "", errors.New("unwrap key: not a wrapped key")
	}
	return string(wrapped[2 : 2+wrapped[1]]), nil
}

// Unwrap gives the data key back. ErrDestroyed: its generation was destroyed.
func (r *Ring) Unwrap(wrapped []byte) ([]byte, error) {
	generation, err := WrappedBy(wrapped)
	if err != nil {
		return nil, err
	}
	s := r.now.Load()
	if s.wraps[generation] == nil && !slices.Contains(s.Destroyed, generation) {
		// Another gateway may have made it a moment ago.
		if err := r.Reload(); err != nil {
			return nil, err
		}
		s = r.now.Load()
	}
	aead := s.wraps[generation]
	switch {
	case slices.Contains(s.Destroyed, generation):
		return nil, fmt.Errorf("unwrap key: %w", ErrDestroyed)
	case aead == nil:
		return nil, errors.New("unwrap key: its generation is not in this ring; use the ring of this deployment")
	}
	head, rest := wrapped[:2+len(generation)], wrapped[2+len(generation):]
	if len(rest) < aead.NonceSize() {
		return nil, errors.New("unwrap key: not a wrapped key")
	}
	nonce, sealed := rest[:aead.NonceSize()], rest[aead.NonceSize():]
	key, err := aead.Open(nil, nonce, sealed, append([]byte(wrapLabel), head...))
	if err != nil {
		return nil, errors.New("unwrap key: the wrapped key was changed, or belongs to another ring")
	}
	return key, nil
}

// Rewrap moves a wrapped key to the newest generation of the same quarter.
func (r *Ring) Rewrap(wrapped []byte) ([]byte, error) {
	key, err := r.Unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	generation, _ := WrappedBy(wrapped)
	return r.WrapUnder(r.now.Load().newest(quarterOf(generation)), key)
}

// SealRef hides which data key a part of an event uses: equal ids look different and have the same length. Each
// reference has an AES-256-GCM key of its own, derived from the reference key and a random salt, since one key with
// random nonces would wear out at the rate of events.
func (r *Ring) SealRef(keyID string) ([]byte, error) {
	if len(keyID) > 1<<10 {
		return nil, errors.New("seal reference: a key id has at most 1024 bytes")
	}
	plain := binary.BigEndian.AppendUint16(nil, uint16(len(keyID)))
	plain = append(plain, keyID...)
	plain = append(plain, make([]byte, -len(plain)&(refBlock-1))...)
	salt := random(refSalt)
	aead, nonce, err := r.refCipher(salt)
	if err != nil {
		return nil, fmt.Errorf("seal reference: %w", err)
	}
	return aead.Seal(salt, nonce, plain, []byte(refLabel)), nil
}

// OpenRef gives the key id back.
func (r *Ring) OpenRef(ref []byte) (string, error) {
	bad := errors.New("open reference: it was changed, or belongs to another ring")
	if len(ref) < refSalt {
		return "", bad
	}
	aead, nonce, err := r.refCipher(ref[:refSalt])
	if err != nil {
		return "", fmt.Errorf("open reference: %w", err)
	}
	plain, err := aead.Open(nil, nonce, ref[refSalt:], []byte(refLabel))
	if err != nil || len(plain) < 2 || int(binary.BigEndian.Uint16(plain)) > len(plain)-2 {
		return "", bad
	}
	return string(plain[2 : 2+binary.BigEndian.Uint16(plain)]), nil
}

// refCipher derives a key from the first half of the salt; the other half is the nonce.
func (r *Ring) refCipher(salt []byte) (cipher.AEAD, []byte, error) {
	aead, err := gcm(mac(r.now.Load().Reference, refLabel, string(salt[:12])))
	return aead, salt[12:], err
}

// Touch gives the opaque key of something facts rest on: a kind of thing (case, worker, team, agency) and its id.
func (r *Ring) Touch(kind, value string) broker.Touch {
	return broker.Touch(base64.RawURLEncoding.EncodeToString(mac(r.now.Load().Touch, kind, value)[:16]))
}

// MACNonce authenticates a nonce that a gateway gives out: 32 bytes, the same on every gateway of the deployment.
func (r *Ring) MACNonce(nonce []byte) []byte {
	return mac(r.now.Load().Reference, nonceLabel, string(nonce))
}

// gcm makes AES-256-GCM of a 32-byte key.
func gcm(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, errors.New("not a 256-bit key")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// mac is HMAC-SHA-256 over kind ‖ 0 ‖ value. Kinds hold no zero byte, so no two pairs give the same input.
func mac(key []byte, kind, value string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(value))
	return h.Sum(nil)
}
