package keys

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where a ring lives. The zero Config is a ring in memory, for tests.
type Config struct {
	Path       string // of the ring file; "" keeps the ring in memory only
	Passphrase []byte // opens and closes the file
	Algorithm  Algorithm
	Now        func() time.Time // time.Now when nil

	rounds int // of PBKDF2, to write and at least to read; only tests ask for fewer than the default
}

func (c Config) withDefaults() Config {
	if c.Algorithm == "" {
		c.Algorithm = ES256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.rounds == 0 {
		c.rounds = iterations
	}
	return c
}

// Ring is a deployment's key ring. Its methods may be called concurrently; changes are written before they are used.
// All gateways of a deployment share one file: a generation that one makes must be known to the others.
type Ring struct {
	cfg Config

	mu     sync.Mutex // of changes and reloads
	seen   fs.FileInfo
	bad    fs.FileInfo // a file that was refused, and why: looking again need not derive its key again
	badWhy error
	now    atomic.Pointer[state]
}

// content is what the file holds.
type content struct {
	Version     int          `json:"v"`
	ID          string       `json:"id"`     // random: another ring is never taken for a newer one
	Serial      uint64       `json:"serial"` // one more with every change: an older file is never taken up
	Signing     []signingKey `json:"signing"`
	Generations []namedKey   `json:"generations"` // oldest first
	Destroyed   []string     `json:"destroyed,omitempty"`
	Pseudonyms  []namedKey   `json:"pseudonyms"` // versions, oldest first
	Recipient   []byte       `json:"recipient"`
	Reference   []byte       `json:"reference"`
	Touch       []byte       `json:"touch"`
}

type namedKey struct {
	ID      string    `json:"id"`
	Key     []byte    `json:"key"`
	Created time.Time `json:"created"`
}

// state is a content made ready for use. It is never changed, only replaced.
type state struct {
	content
	signers map[string]Signer // by kid
	wraps   map[string]cipher.AEAD

	provers    map[string]prover // by version of the pseudonym key
	remembered *pseudonymCache
}

// Create makes a new ring with an active and a next key for each use and the secrets of the moment, and writes it. It
// never replaces a file.
func Create(cfg Config) (*Ring, error) {
	r := &Ring{cfg: cfg.withDefaults()}
	c := content{Version: 1, ID: hex.EncodeToString(random(8))}
	for _, use := range Uses() {
		for _, s := range []State{Active, Next} {
			k, err := newSigningKey(use, s, r.cfg.Algorithm, r.cfg.Now())
			if err != nil {
				return nil, fmt.Errorf("create key ring: %w", err)
			}
			c.Signing = append(c.Signing, k)
		}
	}
	c.Pseudonyms = []namedKey{{ID: "1", Key: random(32), Created: r.cfg.Now().UTC()}}
	c.Recipient, c.Reference, c.Touch = random(32), random(32), random(32)
	c.Generations = []namedKey{{ID: quarter(r.cfg.Now()), Key: random(32), Created: r.cfg.Now().UTC()}}
	s, err := prepare(c)
	if err != nil {
		return nil, fmt.Errorf("create key ring: %w", err)
	}
	if r.cfg.Path != "" {
		unlock, err := lock(r.cfg.Path)
		if err != nil {
			return nil, fmt.Errorf("create key ring: %w", err)
		}
		defer unlock()
		if _, err := os.Lstat(r.cfg.Path); err == nil {
			return nil, fmt.Errorf("create key ring: %s exists already; load it, or choose another place", r.cfg.Path)
		}
		if r.seen, err = save(r.cfg, c); err != nil {
			return nil, fmt.Errorf("create key ring: %w", err)
		}
	}
	r.now.Store(s)
	return r, nil
}

// Load opens the ring at cfg.Path.
func Load(cfg Config) (*Ring, error) {
	r := &Ring{cfg: cfg.withDefaults()}
	if cfg.Path == "" {
		return nil, errors.New("load key ring: no path given")
	}
	if err := r.Reload(); err != nil {
		return nil, err
	}
	return r, nil
}

// Serial counts the changes of the ring.
func (r *Ring) Serial() uint64 { return r.now.Load().Serial }

// Reload takes up the file if it changed since it was last read. On an error the ring in use stays.
func (r *Ring) Reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reload()
}

func (r *Ring) reload() error {
	if r.cfg.Path == "" {
		return nil
	}
	info, err := os.Stat(r.cfg.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("load key ring: %s does not exist; make one with `schakel init`, or restore it from its backup", r.cfg.Path)
	}
	if err != nil {
		return fmt.Errorf("load key ring: %w", err)
	}
	if unchanged(r.seen, info) {
		return nil
	}
	if unchanged(r.bad, info) {
		return r.badWhy
	}
	s, info, err := r.read()
	if err != nil {
		err = fmt.Errorf("load key ring: %w", err)
		r.bad, r.badWhy = info, err
		return err
	}
	r.seen, r.bad = info, nil
	r.now.Store(s)
	return nil
}

// read opens the file and checks that it may follow the ring in use. The FileInfo is nil where nothing was read.
func (r *Ring) read() (*state, fs.FileInfo, error) {
	c, info, err := load(r.cfg)
	if err != nil {
		return nil, info, err
	}
	if old := r.now.Load(); old != nil {
		switch {
		case c.ID != old.ID:
			return nil, info, fmt.Errorf("%s is another ring than the one in use; put the right file back, or restart", r.cfg.Path)
		case c.Serial < old.Serial:
			return nil, info, fmt.Errorf("%s is older than the ring in use, keys would be lost; put the newer file back", r.cfg.Path)
		}
	}
	s, err := prepare(c)
	return s, info, err
}

func unchanged(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// edit changes the ring: under the lock of the file, on what the file holds now, so that changes made by another
// process at the same time are kept. Nothing changes where f fails or leaves the content as it was (errUnchanged).
func (r *Ring) edit(f func(c *content) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cfg.Path != "" {
		unlock, err := lock(r.cfg.Path)
		if err != nil {
			return err
		}
		defer unlock()
		if err := r.reload(); err != nil {
			return err
		}
	}
	c := r.now.Load().content
	c.Signing, c.Generations = slices.Clone(c.Signing), slices.Clone(c.Generations)
	c.Pseudonyms, c.Destroyed = slices.Clone(c.Pseudonyms), slices.Clone(c.Destroyed)
	if err := f(&c); err != nil {
		if errors.Is(err, errUnchanged) {
			return nil
		}
		return err
	}
	c.Serial++
	s, err := prepare(c)
	if err != nil {
		return err
	}
	if r.cfg.Path != "" {
		if r.seen, err = save(r.cfg, c); err != nil {
			return err
		}
	}
	r.now.Store(s)
	return nil
}

var errUnchanged = errors.New("unchanged")

// prepare checks a content and makes it ready. Its errors name what is wrong, never a key.
func prepare(c content) (*state, error) {
	s := &state{content: c, signers: map[string]Signer{}, wraps: map[string]cipher.AEAD{},
		provers: map[string]prover{}, remembered: &pseudonymCache{known: map[string]string{}}}
	if c.Version != 1 {
		return nil, fmt.Errorf("format %d of the ring is not known to this version of schakel; use a newer one", c.Version)
	}
	count := map[Use]map[State]int{}
	for _, use := range Uses() {
		count[use] = map[State]int{}
	}
	for _, k := range c.Signing {
		signer, err := ParseSigner(k.JWK)
		if err != nil {
			return nil, fmt.Errorf("a signing key: %w", err)
		}
		if _, twice := s.signers[signer.id]; twice || signer.id != k.ID || count[k.Use] == nil || !k.State.valid() {
			return nil, errors.New("a signing key stands twice, or has a wrong kid, use or state")
		}
		s.signers[signer.id] = signer
		count[k.Use][k.State]++
	}
	for use, n := range count {
		older := use == Checkpoints && len(n) == 0 // the ring was made before there was this use
		if !older && (n[Active] != 1 || n[Next] != 1) {
			return nil, fmt.Errorf("use %s has not one active and one next key", use)
		}
	}
	for _, k := range c.Generations {
		aead, err := gcm(k.Key)
		if err != nil || s.wraps[k.ID] != nil || k.ID == "" || len(k.ID) > maxGeneration {
			return nil, errors.New("a key-encryption key has a wrong length or stands twice")
		}
		s.wraps[k.ID] = aead
	}
	short := len(c.Recipient) != 32 || len(c.Reference) != 32 || len(c.Touch) != 32 || len(c.Pseudonyms) == 0
	for _, k := range c.Pseudonyms {
		short = short || len(k.Key) != 32 || k.ID == ""
	}
	if short {
		return nil, errors.New("a secret is missing or has a wrong length")
	}
	for _, k := range c.Pseudonyms {
		var err error
		if s.provers[k.ID], err = newProver(k); err != nil {
			return nil, fmt.Errorf("a pseudonym key: %w", err)
		}
	}
	return s, nil
}

// random gives n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

func (c content) encode() ([]byte, error) { return json.Marshal(c) }
