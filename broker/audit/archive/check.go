package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Fault is one thing that is wrong with the archive.
type Fault struct {
	Stream journal.Stream // "" where it is of no stream
	ID     journal.ID     // the first event that it is about; zero where it is about none
	What   string
}

// Checked is what Check found.
type Checked struct {
	Segments int     `json:"segments"`
	Events   uint64  `json:"events"`
	Sealed   int     `json:"sealed"`  // segments whose manifest a checkpoint covers
	Waiting  int     `json:"waiting"` // segments that none covers yet, and whose events the journal still has
	Faults   []Fault `json:"-"`
}

// Any tells whether there is anything that was checked.
func (c Checked) Any() bool { return c.Segments > 0 || len(c.Faults) > 0 }

// Dropped is the last event of each writer's stream that was dropped from the journal.
type Dropped map[string]journal.Head

// DroppedFrom reads how far the streams were dropped from a journal. Whoever holds an archive against a checkpoint reads this
// first: what is dropped later may be under a later checkpoint.
func DroppedFrom(ctx context.Context, s *Store) (Dropped, error) {
	writers, err := s.Writers(ctx)
	out := Dropped{}
	for _, w := range writers {
		if err == nil && journal.ValidWriter(w) {
			out[w], err = s.Trimmed(ctx, journal.Audit(w))
		}
	}
	return out, err
}

// Check holds every segment of a store's folder against its manifest, the manifests against each other and against the Merkle
// log, and what was dropped from the journal against all of them. Sealed are the hashes of the manifests that the Merkle log
// has, by number; nil where there is none at hand. The error tells only that it could not read; events themselves are held
// against the log by whoever reads the store (Loose).
func Check(ctx context.Context, s *Store, log string, dropped Dropped, sealed map[uint64]broker.Hash) (Checked, error) {
	c := &checker{store: s, log: log, sealed: sealed, trimmed: dropped, upTo: map[string]journal.Head{}}
	err := c.run(ctx)
	if err != nil {
		err = fmt.Errorf("check archive: %w", err)
	}
	return c.found, err
}

type checker struct {
	store   *Store
	log     string
	sealed  map[uint64]broker.Hash
	trimmed Dropped
	upTo    map[string]journal.Head // met
	prev    broker.Hash
	found   Checked
}

func (c *checker) fault(writer string, id journal.ID, what string, args ...any) {
	f := Fault{ID: id, What: fmt.Sprintf(what, args...)}
	if writer != "" {
		f.Stream = journal.Audit(writer)
	}
	c.found.Faults = append(c.found.Faults, f)
}

func (c *checker) run(ctx context.Context) error {
	places, err := c.store.folder.list()
	if err != nil {
		return err
	}
	manifests, broken := c.load(ctx, places)
	if err := ctx.Err(); err != nil {
		return err
	}
	seq := uint64(0)
	for i, p := range places {
		c.absent(seq, p.seq)
		c.segment(p, manifests[i], broken[i], p.seq == seq)
		seq = p.seq + 1
	}
	last := seq
	for n := range c.sealed {
		last = max(last, n+1)
	}
	c.absent(seq, last)
	for _, w := range slices.Sorted(maps.Keys(c.trimmed)) {
		if done, has := c.trimmed[w], c.upTo[w]; has.ID.Less(done.ID) {
			c.fault(w, has.ID, "events after this one up to %s were dropped from the journal, and no segment has them", done.ID)
		}
	}
	return nil
}

// load reads every segment, on all cores.
func (c *checker) load(ctx context.Context, places []place) ([]Manifest, []error) {
	manifests, broken := make([]Manifest, len(places)), make([]error, len(places))
	var next atomic.Int64
	var cores sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(places) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				manifests[i], _, broken[i] = load(c.store.folder.dir, places[i])
			}
		})
	}
	cores.Wait()
	return manifests, broken
}

// absent names the segments that are not there.
func (c *checker) absent(from, to uint64) {
	if from < to {
		what := fmt.Sprintf("segment %06d is missing", from)
		if to-from > 1 {
			what = fmt.Sprintf("segments %06d to %06d are missing", from, to-1)
		}
		c.fault("", journal.ID{}, "%s; put back what is", what)
	}
}

// segment judges one segment; next tells whether it is the one after the last that was judged.
func (c *checker) segment(p place, m Manifest, broken error, next bool) {
	c.found.Segments++
	before := c.upTo[p.writer]
	c.upTo[p.writer] = journal.Head{ID: p.last, Hash: m.Last.Hash}
	if m == (Manifest{}) { // it could not be read; what follows can't be held against it
		c.prev = broker.Hash{}
		if errors.Is(broken, fs.ErrNotExist) {
			broken = errors.New("it was taken away just now")
		}
		c.fault(p.writer, p.first, "segment %s: %v", p.name(), broken)
		return
	}
	c.found.Events += m.Count
	seal, isSealed := c.sealed[p.seq]
	dropped := !c.trimmed[p.writer].ID.Less(p.last)
	switch {
	case broken != nil:
		c.fault(p.writer, p.first, "segment %s: %v", p.name(), broken)
	case m.Log != c.log:
		c.fault(p.writer, p.first, "segment %s is of log %.64q; this is log %s", p.name(), m.Log, c.log)
	case isSealed && seal != m.Hash():
		c.fault(p.writer, p.first, "segment %s is not the one that the Merkle log has", p.name())
	case next && c.prev != (broker.Hash{}) && m.Prev != c.prev, p.seq == 0 && m.Prev != (broker.Hash{}):
		c.fault(p.writer, p.first, "segment %s does not follow the one before: one of them was changed", p.name())
	case before.ID != m.Before.ID, before.Hash != (broker.Hash{}) && before.Hash != m.Before.Hash:
		c.fault(p.writer, p.first, "segment %s begins after %s, and the one before it of this stream ends at %s", p.name(), m.Before.ID, before.ID)
	case c.sealed != nil && !isSealed && dropped:
		c.fault(p.writer, p.first, "segment %s is not in the Merkle log, and its events were dropped from the journal", p.name())
	}
	if isSealed {
		c.found.Sealed++
	} else if !dropped {
		c.found.Waiting++
	}
	c.prev = m.Hash()
}
