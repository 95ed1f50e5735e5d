package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Config is what a Register is made of. All but VerifyStep, MaxBehind, Catalog and Now must be set.
type Config struct {
	// Store holds the register stream.
	Store Store
	// Vault seals and opens what is about persons and staff.
	Vault Vault
	// Touch makes touches: a keyed hash, the same in every process of a deployment.
	Touch TouchFunc
	// VerifyAgreement checks that the holder signed a.Payload(). It MUST depend on its arguments only: it is asked
	// again whenever the register is read, with the holder as it was then.
	VerifyAgreement func(holder broker.Agency, a Agreement) error
	// VerifyStep checks that one of these keys (public JWKs) signed exactly this payload as a step of this kind in a
	// revision's life: policy.drafted, policy.approved, policy.agreed or policy.stopped. Like VerifyAgreement it MUST
	// depend on its arguments only. Without it every such step is refused, also one that is read.
	VerifyStep func(kind string, keys []json.RawMessage, payload []byte, signature string) error
	// Catalog gives the closed lists that commands are checked against. Without it, or while it gives nil, commands
	// that need them are refused.
	Catalog func() *broker.Catalog
	// MaxBehind is how long Facts may be given after the last time that the view was seen to be complete; 5 s when 0.
	MaxBehind time.Duration
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Store is what of a journal.Store a Register reads.
type Store interface {
	Head(ctx context.Context, s journal.Stream) (journal.Head, error)
	Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error)
	Wait(ctx context.Context, s journal.Stream, after journal.ID) error
	journal.Snapshots
}

// Vault seals parts under a key by name, made at its first use (keys.Vault does).
type Vault interface {
	SealAll(ctx context.Context, plains []keys.Plain) ([]keys.Part, error)
	OpenAll(ctx context.Context, parts []keys.Part, plains []keys.Plain) error
	BoxAll(ctx context.Context, plains []keys.Plain) error
	UnboxAll(ctx context.Context, plains []keys.Plain) error
}

const (
	defaultMaxBehind = 5 * time.Second
	remembered       = 2000 // entries whose touches Validate knows
)

// Register is the view over one shard's register. Its methods may be called concurrently. What it gives back is shared
// and MUST NOT be changed.
type Register struct {
	cfg Config

	changing sync.Mutex // one Do at a time: two would only make each other start again
	reading  sync.Mutex // one Refresh at a time

	mu        sync.RWMutex // guards all below
	state     *state
	recent    *recent
	head      journal.Head
	confirmed time.Time // the view was complete then
	failed    error     // why it could not be completed since
	broken    error     // the stream is not what it must be; nothing is given any more
	origin    genesis

	restored broker.Position // of the snapshot it began with
	ignored  error           // why it did not begin with the one in the store
}

// Open reads the whole register into memory: from the snapshot in the store and what follows it, or from the start where
// there is none, or one that can't be trusted (see Snapshot).
func Open(ctx context.Context, cfg Config) (*Register, error) {
	if cfg.Store == nil || cfg.Vault == nil || cfg.Touch == nil || cfg.VerifyAgreement == nil {
		return nil, errors.New("open register: Store, Vault, Touch and VerifyAgreement must be set")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBehind == 0 {
		cfg.MaxBehind = defaultMaxBehind
	}
	keys, err := newIndexKeys()
	if err != nil {
		return nil, fmt.Errorf("open register: %w", err)
	}
	r := &Register{cfg: cfg, state: newState(newShelf(keys, nil, 0), 0), recent: newRecent(remembered)}
	r.restore(ctx)
	if err := r.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("open register: %w", err)
	}
	return r, nil
}

// Log gives the random id of this log and the shard, from the genesis entry.
func (r *Register) Log() (id, shard string) { return r.origin.Log, r.origin.Shard }

// Snapshot tells at which position the snapshot was made with which the register was opened, 0 without one, and why the
// one in the store was not used.
func (r *Register) Snapshot() (at broker.Position, ignored error) { return r.restored, r.ignored }

// Agency finds an agency, suspended or not.
func (r *Register) Agency(oin broker.OIN) (broker.Agency, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if a := r.state.agencies.get(oin); a != nil {
		return a.Agency, true
	}
	return broker.Agency{}, false
}

// Revision gives the active policy revision.
func (r *Register) Revision() (broker.Revision, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.revision, r.state.revision != ""
}

// positionAt counts the entries up to a head, the genesis included.
func positionAt(h journal.Head) broker.Position {
	if h == (journal.Head{}) {
		return 0
	}
	return broker.Position(h.ID.Seq + 1)
}

// Position counts the entries in the view, the genesis included.
func (r *Register) Position() broker.Position {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return positionAt(r.head)
}

// Ready tells why Facts would not be given now: an *broker.Error of KindUnavailable.
func (r *Register) Ready() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ready(r.cfg.Now())
}

func (r *Register) ready(now time.Time) error {
	switch {
	case r.broken != nil:
		return broker.Fail(broker.KindUnavailable, "register-behind", r.broken)
	case now.Sub(r.confirmed) > r.cfg.MaxBehind:
		err := fmt.Errorf("the register was last seen complete %s ago", now.Sub(r.confirmed).Round(time.Second))
		if r.failed != nil {
			err = fmt.Errorf("%w: %w", err, r.failed)
		}
		return broker.Fail(broker.KindUnavailable, "register-behind", err)
	case r.state.revision == "":
		return broker.Fail(broker.KindUnavailable, "no-policy",
			errors.New("no policy revision is active; activate one"))
	}
	return nil
}

// Validate tells up to which position facts that were true at p, and rest on these touches, are still true. Not ok where
// they are not, or where p lies too far back to tell.
func (r *Register) Validate(p broker.Position, touches []broker.Touch) (now broker.Position, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return positionAt(r.head), r.broken == nil && r.recent.untouched(p, touches)
}
