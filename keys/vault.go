package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Vault encrypts parts of events and register entries, each under a data key of its own: a data subject's, a staff
// period's, a case's. Data keys stand in a store beside the log, wrapped by a key-encryption key of the ring, so that
// deleting one makes every part under it unreadable and leaves the log whole.
type Vault struct {
	store KeyStore
	ring  Wrapper

	mu     sync.Mutex
	cache  map[string][]byte
	serial uint64 // of the ring, when cache was begun
}

// KeyStore keeps wrapped data keys by id (journal.Store does).
type KeyStore interface {
	PutKeys(ctx context.Context, keys []journal.WrappedKey) ([][]byte, error)
	Keys(ctx context.Context, ids []string) ([][]byte, error)
	SwapKeys(ctx context.Context, swaps []journal.KeySwap) error
}

// Wrapper is what of the ring a Vault needs.
type Wrapper interface {
	Wrap(key []byte) ([]byte, error)
	Unwrap(wrapped []byte) ([]byte, error)
	SealRef(id string) ([]byte, error)
	OpenRef(ref []byte) (string, error)
	// Serial rises with every change of the ring. Data keys in memory are forgotten then: one may have been erased.
	Serial() uint64
}

// Part is an encrypted part. Ref names its data key, itself encrypted with a fresh nonce, so that two parts under one
// key can't be linked without the ring. Commit binds the data key, since GCM alone would open under another.
type Part struct {
	Ref    []byte      `json:"ref"`
	Commit broker.Hash `json:"commit"`
	Box    []byte      `json:"box"` // 12-byte nonce, then AES-256-GCM
}

// Plain is what becomes a Part: Text, under the data key named KeyID. Context says what kind of part it is and must be
// given to open it again. Err tells why it could not be opened; ErrErased where its key is gone.
type Plain struct {
	KeyID, Context string
	Text           []byte
	Err            error
}

// ErrErased tells that the data key of a part no longer exists. Another of the same name may have been made since.
var ErrErased = errors.New("the key of this part was erased")

// cacheSize bounds the unwrapped data keys in memory.
const cacheSize = 100_000

// NewVault makes a vault over a store of wrapped keys.
func NewVault(store KeyStore, ring Wrapper) *Vault {
	return &Vault{store: store, ring: ring, cache: map[string][]byte{}}
}

// Seal encrypts text under the data key named keyID, which is made and stored durably at its first use. context says
// what kind of part it is and must be given to Open again.
func (v *Vault) Seal(ctx context.Context, keyID, context string, text []byte) (Part, error) {
	parts, err := v.SealAll(ctx, []Plain{{KeyID: keyID, Context: context, Text: text}})
	if err != nil {
		return Part{}, err
	}
	return parts[0], nil
}

// SealAll is Seal for many at once: whatever keys are new are stored in one step.
func (v *Vault) SealAll(ctx context.Context, plains []Plain) ([]Part, error) {
	ids := make([]string, len(plains))
	for i, p := range plains {
		ids[i] = p.KeyID
	}
	serial := v.ring.Serial()
	found, err := v.dataKeys(ctx, ids, true)
	if err != nil {
		return nil, fmt.Errorf("seal parts: %w", err)
	}
	v.remember(found, serial)
	parts := make([]Part, len(plains))
	for i, p := range plains {
		if parts[i], err = v.seal(found[p.KeyID], p); err != nil {
			return nil, fmt.Errorf("seal %s part: %w", p.Context, err)
		}
	}
	return parts, nil
}

func (v *Vault) seal(k dataKey, p Plain) (Part, error) {
	if k.err != nil {
		return Part{}, k.err
	}
	ref, err := v.ring.SealRef(p.KeyID)
	if err != nil {
		return Part{}, err
	}
	aead, err := newGCM(k.key)
	if err != nil {
		return Part{}, err
	}
	box := box(aead, p.Context, p.Text)
	return Part{Ref: ref, Commit: commit(k.key, box[:aead.NonceSize()]), Box: box}, nil
}

// Open decrypts a part and tells under which key it was. ErrErased where that key is gone.
func (v *Vault) Open(ctx context.Context, context string, p Part) (text []byte, keyID string, err error) {
	plains := []Plain{{Context: context}}
	if err := v.OpenAll(ctx, []Part{p}, plains); err != nil {
		return nil, "", err
	}
	if err := plains[0].Err; err != nil {
		return nil, "", err
	}
	return plains[0].Text, plains[0].KeyID, nil
}

// OpenAll is Open for many at once: it fills in KeyID and Text, or Err, of plains that have their Context. It fails as a
// whole only where the store does. More than one key is not kept in memory: whoever reads a log from end to end needs
// most of them once.
func (v *Vault) OpenAll(ctx context.Context, parts []Part, plains []Plain) error {
	ids := make([]string, 0, len(parts))
	for i, p := range parts {
		if plains[i].KeyID, plains[i].Err = v.ring.OpenRef(p.Ref); plains[i].Err == nil {
			ids = append(ids, plains[i].KeyID)
		}
	}
	serial := v.ring.Serial()
	found, err := v.dataKeys(ctx, ids, false)
	if err != nil {
		return fmt.Errorf("open parts: %w", err)
	}
	if len(found) == 1 {
		v.remember(found, serial)
	}
	for i, p := range parts {
		to := &plains[i]
		if to.Err == nil {
			to.Text, to.Err = open(found[to.KeyID], to.Context, p)
		}
		if to.Err != nil {
			to.Err = fmt.Errorf("open %s part: %w", to.Context, to.Err)
		}
	}
	return nil
}

func open(k dataKey, context string, p Part) ([]byte, error) {
	if k.err != nil {
		return nil, k.err
	}
	aead, err := newGCM(k.key)
	if err != nil {
		return nil, err
	}
	if len(p.Box) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	if want := commit(k.key, p.Box[:aead.NonceSize()]); !hmac.Equal(want[:], p.Commit[:]) {
		return nil, fmt.Errorf("%w, and another made since", ErrErased)
	}
	return unbox(aead, context, p.Box)
}

// BoxAll encrypts texts in place, each under its data key as that is now; none is made. Err is ErrErased, and Text nil,
// where there is none. A box is a part without reference and commitment, for what is authenticated as a whole by other
// means: alone it does not tell under which key it is.
func (v *Vault) BoxAll(ctx context.Context, plains []Plain) error {
	return v.inPlace(ctx, plains, func(aead cipher.AEAD, p *Plain) { p.Text = box(aead, p.Context, p.Text) })
}

// UnboxAll decrypts in place what BoxAll encrypted. Err tells of those that could not be, and their Text is nil. They were
// authenticated by whoever asks, so that one that does not open was made under a key that is gone: ErrErased.
func (v *Vault) UnboxAll(ctx context.Context, plains []Plain) error {
	return v.inPlace(ctx, plains, func(aead cipher.AEAD, p *Plain) {
		if p.Text, p.Err = unbox(aead, p.Context, p.Text); p.Err != nil {
			p.Err = fmt.Errorf("%w, and another made since", ErrErased)
		}
	})
}

func (v *Vault) inPlace(ctx context.Context, plains []Plain, change func(cipher.AEAD, *Plain)) error {
	ids := make([]string, len(plains))
	for i, p := range plains {
		ids[i] = p.KeyID
	}
	found, err := v.dataKeys(ctx, ids, false)
	if err != nil {
		return fmt.Errorf("find keys of boxes: %w", err)
	}
	for i := range plains {
		p := &plains[i]
		k := found[p.KeyID]
		if p.Err = k.err; p.Err == nil {
			var aead cipher.AEAD
			if aead, p.Err = newGCM(k.key); p.Err == nil {
				change(aead, p)
			}
		}
		if p.Err != nil {
			p.Text, p.Err = nil, fmt.Errorf("%s box: %w", p.Context, p.Err)
		}
	}
	return nil
}

// Forget drops a data key from memory, after it was deleted from the store.
func (v *Vault) Forget(keyID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.cache, keyID)
}

// ForgetAll drops all data keys from memory. Another server may have taken over the store and lack some of them.
func (v *Vault) ForgetAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.cache)
}

// dataKey is an unwrapped data key, or why there is none.
type dataKey struct {
	key []byte
	err error
}

// dataKeys finds keys by id, those that are not in memory all at once. With create, keys that are absent are made.
func (v *Vault) dataKeys(ctx context.Context, ids []string, create bool) (map[string]dataKey, error) {
	found := make(map[string]dataKey, len(ids))
	var unknown []string
	v.mu.Lock()
	v.renew()
	for _, id := range ids {
		if _, there := found[id]; there {
			continue
		}
		key := v.cache[id]
		if found[id] = (dataKey{key: key}); key == nil {
			unknown = append(unknown, id)
		}
	}
	v.mu.Unlock()
	if len(unknown) == 0 {
		return found, nil
	}
	read := v.store.Keys
	if create {
		read = v.create
	}
	wrapped, err := read(ctx, unknown)
	if err != nil {
		return nil, err
	}
	for i, id := range unknown {
		k := dataKey{err: ErrErased}
		if wrapped[i] != nil {
			if k.key, k.err = v.ring.Unwrap(wrapped[i]); errors.Is(k.err, ErrDestroyed) {
				k.err = fmt.Errorf("%w: %w", ErrErased, k.err) // of a backup that is older than an erasure
			}
		}
		found[id] = k
	}
	return found, nil
}

// create makes the keys that lack, and gives all. It offers a key for each, since only what was put is sure to be
// durable: a key that can be read may be on its way to the replicas, and never come there.
func (v *Vault) create(ctx context.Context, ids []string) ([][]byte, error) {
	fresh := make([]journal.WrappedKey, len(ids))
	for i, id := range ids {
		w, err := v.ring.Wrap(random(32))
		if err != nil {
			return nil, err
		}
		fresh[i] = journal.WrappedKey{ID: id, Wrapped: w}
	}
	there, err := v.store.PutKeys(ctx, fresh)
	if err != nil {
		return nil, err
	}
	return there, v.revive(ctx, fresh, there)
}

// revive puts fresh keys in the place of those that nothing unwraps any more: a backup was put back that is older than an
// erasure. What they encrypted stays erased, and nobody waits for another quarter to be served.
func (v *Vault) revive(ctx context.Context, fresh []journal.WrappedKey, there [][]byte) error {
	var swaps []journal.KeySwap
	var of []int
	for i, wrapped := range there {
		if _, err := v.ring.Unwrap(wrapped); errors.Is(err, ErrDestroyed) {
			swaps, of = append(swaps, journal.KeySwap{ID: fresh[i].ID, Old: wrapped, New: fresh[i].Wrapped}), append(of, i)
		}
	}
	if len(swaps) == 0 {
		return nil
	}
	if err := v.store.SwapKeys(ctx, swaps); err != nil {
		return err
	}
	ids := make([]string, len(swaps))
	for n, s := range swaps {
		ids[n] = s.ID
	}
	now, err := v.store.Keys(ctx, ids) // another process may have been first
	for n, wrapped := range now {
		there[of[n]] = wrapped
	}
	return err
}

// renew forgets everything where the ring has changed.
func (v *Vault) renew() {
	if serial := v.ring.Serial(); serial != v.serial {
		clear(v.cache)
		v.serial = serial
	}
}

// remember keeps keys that were looked for when the ring had a serial; none where it has changed since.
func (v *Vault) remember(found map[string]dataKey, serial uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.renew(); v.serial != serial {
		return
	}
	for id, k := range found {
		if k.err != nil {
			continue
		}
		if len(v.cache) >= cacheSize {
			clear(v.cache)
		}
		v.cache[id] = k.key
	}
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return cipher.NewGCM(block)
}

// box encrypts under a fresh nonce, which stands first.
func box(aead cipher.AEAD, context string, text []byte) []byte {
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(text)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return aead.Seal(nonce, nonce, text, []byte(context))
}

func unbox(aead cipher.AEAD, context string, box []byte) ([]byte, error) {
	if len(box) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	text, err := aead.Open(nil, box[:aead.NonceSize()], box[aead.NonceSize():], []byte(context))
	if err != nil {
		return nil, errors.New("it was altered")
	}
	return text, nil
}

// commit binds a key and nonce: HMAC-SHA-256(key, label ‖ nonce).
func commit(key, nonce []byte) broker.Hash {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("schakel part commitment v1"))
	m.Write(nonce)
	return broker.Hash(m.Sum(nil))
}
