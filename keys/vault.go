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

	mu    sync.Mutex
	cache map[string][]byte
}

// KeyStore keeps wrapped data keys by id (journal.Store does).
type KeyStore interface {
	PutKey(ctx context.Context, id string, wrapped []byte) ([]byte, error)
	Key(ctx context.Context, id string) ([]byte, error)
}

// Wrapper is what of the ring a Vault needs.
type Wrapper interface {
	Wrap(key []byte) ([]byte, error)
	Unwrap(wrapped []byte) ([]byte, error)
	SealRef(id string) ([]byte, error)
	OpenRef(ref []byte) (string, error)
}

// Part is an encrypted part. Ref names its data key, itself encrypted with a fresh nonce, so that two parts under one
// key can't be linked without the ring. Commit binds the data key, since GCM alone would open under another.
type Part struct {
	Ref    []byte      `json:"ref"`
	Commit broker.Hash `json:"commit"`
	Box    []byte      `json:"box"` // 12-byte nonce, then AES-256-GCM
}

// ErrErased tells that the data key of a part no longer exists.
var ErrErased = errors.New("the key of this part was erased")

// cacheSize bounds the unwrapped data keys in memory.
const cacheSize = 100_000

// NewVault makes a vault over a store of wrapped keys.
func NewVault(store KeyStore, ring Wrapper) *Vault {
	return &Vault{store: store, ring: ring, cache: map[string][]byte{}}
}

// Seal encrypts plain under the data key named keyID, which is made and stored durably at its first use. context says
// what kind of part it is and must be given to Open again.
func (v *Vault) Seal(ctx context.Context, keyID, context string, plain []byte) (Part, error) {
	key, err := v.dataKey(ctx, keyID, true)
	if err != nil {
		return Part{}, fmt.Errorf("seal %s part: %w", context, err)
	}
	ref, err := v.ring.SealRef(keyID)
	if err != nil {
		return Part{}, fmt.Errorf("seal %s part: %w", context, err)
	}
	gcm, err := newGCM(key)
	if err != nil {
		return Part{}, err
	}
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return Part{}, err
	}
	return Part{Ref: ref, Commit: commit(key, nonce), Box: gcm.Seal(nonce, nonce, plain, []byte(context))}, nil
}

// Open decrypts a part and tells under which key it was. ErrErased where that key is gone.
func (v *Vault) Open(ctx context.Context, context string, p Part) (plain []byte, keyID string, err error) {
	fail := func(err error) ([]byte, string, error) { return nil, "", fmt.Errorf("open %s part: %w", context, err) }
	keyID, err = v.ring.OpenRef(p.Ref)
	if err != nil {
		return fail(err)
	}
	key, err := v.dataKey(ctx, keyID, false)
	if err != nil {
		return fail(err)
	}
	gcm, err := newGCM(key)
	if err != nil {
		return fail(err)
	}
	if len(p.Box) < gcm.NonceSize() {
		return fail(errors.New("too short"))
	}
	nonce := p.Box[:gcm.NonceSize()]
	if want := commit(key, nonce); !hmac.Equal(want[:], p.Commit[:]) {
		return fail(errors.New("it is not committed to this key"))
	}
	plain, err = gcm.Open(nil, nonce, p.Box[len(nonce):], []byte(context))
	if err != nil {
		return fail(errors.New("it was altered"))
	}
	return plain, keyID, nil
}

// Forget drops a data key from memory, after it was deleted from the store.
func (v *Vault) Forget(keyID string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.cache, keyID)
}

func (v *Vault) dataKey(ctx context.Context, id string, create bool) ([]byte, error) {
	v.mu.Lock()
	key, ok := v.cache[id]
	v.mu.Unlock()
	if ok {
		return key, nil
	}
	wrapped, err := v.wrapped(ctx, id, create)
	if err != nil {
		return nil, err
	}
	if key, err = v.ring.Unwrap(wrapped); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.cache) >= cacheSize {
		clear(v.cache)
	}
	v.cache[id] = key
	return key, nil
}

func (v *Vault) wrapped(ctx context.Context, id string, create bool) ([]byte, error) {
	wrapped, err := v.store.Key(ctx, id)
	if err == nil {
		return wrapped, nil
	}
	if !errors.Is(err, journal.ErrAbsent) {
		return nil, err
	}
	if !create {
		return nil, ErrErased
	}
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	if wrapped, err = v.ring.Wrap(fresh); err != nil {
		return nil, err
	}
	return v.store.PutKey(ctx, id, wrapped)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return cipher.NewGCM(block)
}

// commit binds a key and nonce: HMAC-SHA-256(key, label ‖ nonce).
func commit(key, nonce []byte) broker.Hash {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("schakel part commitment v1"))
	m.Write(nonce)
	return broker.Hash(m.Sum(nil))
}
