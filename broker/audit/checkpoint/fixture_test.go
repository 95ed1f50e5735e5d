package checkpoint

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// journals are streams in memory, which can be added to, and bent.
type journals struct {
	mu      sync.Mutex
	streams map[journal.Stream][]journal.Entry
	away    bool
}

func newJournals() *journals { return &journals{streams: map[journal.Stream][]journal.Entry{}} }

// add puts n entries at the end of a stream.
func (j *journals) add(s journal.Stream, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		id := journal.ID{Epoch: 1}
		if old := j.streams[s]; len(old) > 0 {
			id = old[len(old)-1].ID
			id.Seq++
		}
		data := fmt.Appendf(nil, "%s %s", s, id)
		j.streams[s] = append(j.streams[s], journal.Entry{ID: id, Hash: broker.Hash(sha256.Sum256(data)), Bytes: data})
	}
}

// bend changes a stream by hand.
func (j *journals) bend(s journal.Stream, change func([]journal.Entry) []journal.Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.streams[s] = change(slices.Clone(j.streams[s]))
}

func (j *journals) leaves() map[Leaf]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[Leaf]bool{}
	for s, entries := range j.streams {
		for _, e := range entries {
			out[Leaf{s, e.ID, e.Hash}] = true
		}
	}
	return out
}

var errAway = errors.New("the store is away")

func (j *journals) Writers(context.Context) ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for s := range j.streams {
		if s != journal.Register {
			out = append(out, string(s[len("audit:"):]))
		}
	}
	slices.Sort(out)
	if j.away {
		return nil, errAway
	}
	return out, nil
}

func (j *journals) Head(_ context.Context, s journal.Stream) (journal.Head, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if entries := j.streams[s]; len(entries) > 0 {
		last := entries[len(entries)-1]
		return journal.Head{ID: last.ID, Hash: last.Hash}, nil
	}
	return journal.Head{}, nil
}

func (j *journals) Read(_ context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.away {
		return nil, errAway
	}
	var out []journal.Entry
	for _, e := range j.streams[s] {
		if after.Less(e.ID) && len(out) < max {
			out = append(out, e)
		}
	}
	return out, nil
}

// deployment is a checkpointer's surroundings.
type deployment struct {
	*journals
	t       testing.TB
	dir     string
	key     Key
	own     []ed25519.PublicKey
	cfg     Config // to be changed before run
	mu      sync.Mutex
	sealed  Seal
	alarms  []Alarm
	failed  []string
	holder  string // of the lease; "" while nobody has it
	fence   uint64
	witness []string // verifier keys
}

const origin = "schakel.example/log"

func newDeployment(t testing.TB) *deployment {
	d := &deployment{journals: newJournals(), t: t, dir: t.TempDir(), key: newKey(t)}
	d.own = []ed25519.PublicKey{d.key.Public}
	return d
}

func newKey(t testing.TB) Key {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Key{public, func(text []byte) []byte { return ed25519.Sign(private, text) }}
}

func (d *deployment) keys() (Keys, error) { return NewKeys(origin, d.own, d.witness, 0) }

func (d *deployment) log() *Log {
	k, err := d.keys()
	if err != nil {
		d.t.Fatal(err)
	}
	return OpenLog(d.dir, k)
}

// run starts a checkpointer of a name, and gives what ends it.
func (d *deployment) run(name string) (stop func()) {
	cfg := d.cfg
	cfg.Dir, cfg.Origin, cfg.Streams, cfg.Keys = d.dir, origin, d.journals, d.keys
	cfg.Key = func() (Key, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.key, nil }
	cfg.Every, cfg.Grace = 100*time.Millisecond, time.Second
	cfg.Lease = func(context.Context) (uint64, time.Time, error) { return d.take(name) }
	cfg.Remembered = func(context.Context) ([]byte, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.sealed.Checkpoint.Signed, nil
	}
	cfg.Sealed = func(_ context.Context, s Seal) error { d.mu.Lock(); defer d.mu.Unlock(); d.sealed = s; return nil }
	cfg.Alarm = func(a Alarm) { d.mu.Lock(); defer d.mu.Unlock(); d.alarms = append(d.alarms, a) }
	cfg.Failed = func(err error) { d.mu.Lock(); defer d.mu.Unlock(); d.failed = append(d.failed, err.Error()) }
	c, err := New(cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	d.t.Cleanup(stop)
	return stop
}

func (d *deployment) take(name string) (uint64, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder != "" && d.holder != name {
		return 0, time.Time{}, journal.ErrLeased
	}
	if d.holder == "" {
		d.holder = name
		d.fence++
	}
	return d.fence, time.Now().Add(time.Hour), nil
}

// hand gives the lease to nobody, or to another.
func (d *deployment) hand(to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holder = to; to != "" {
		d.fence++
	}
}

// until waits for something to come true.
func (d *deployment) until(what string, true func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.t.Fatalf("waited in vain: %s; sealed %d; alarms %v; failed %v", what, d.sealed.Checkpoint.Size, d.alarms, d.failed)
		}
	}
}

func (d *deployment) size() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sealed.Checkpoint.Size
}

func (d *deployment) alarmed() []Alarm {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.alarms)
}

// holds checks that the published log has each entry of the journals exactly once, and nothing else.
func (d *deployment) holds() {
	d.t.Helper()
	log := d.log()
	c, err := log.Latest(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	want := d.leaves()
	for leaf, err := range log.Leaves(d.t.Context(), c) {
		if err != nil {
			d.t.Fatal(err)
		}
		if !want[leaf] {
			d.t.Errorf("%s %s is in the log twice, or never was in the journal", leaf.Stream, leaf.ID)
		}
		delete(want, leaf)
	}
	if len(want) > 0 {
		d.t.Errorf("%d entries are not in the log", len(want))
	}
}
