package index

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Source is what an index is made of (journal.Store).
type Source interface {
	audit.Source
	Head(ctx context.Context, s journal.Stream) (journal.Head, error)
}

// Ring is what an index needs of the key ring.
type Ring interface {
	OpenRef(ref []byte) (string, error)
	PseudonymKeys() []keys.PseudonymKey
}

// Config says where the indexes are and what they are made of.
type Config struct {
	Dir   string // of the index files
	Log   string // the log's id
	Store Source
	Ring  Ring
	Vault interface { // encrypts the index of what is not named, and where the events stand
		Seal(ctx context.Context, keyID, context string, text []byte) (keys.Part, error)
		Opener
	}

	// NotNamed tells which events the law permits not to name to a data subject (AVG 23, UAVG 41): they stand in an index of
	// their own. It must say the same of an event for ever; where it can't tell, nothing is built, found or proved. Nil: none.
	NotNamed func(context.Context, audit.Mention) (bool, error)

	Now func() time.Time // time.Now when nil
}

// content is what one index is made of.
type content struct {
	tree       *tree
	places     map[broker.Hash][]place // of the events of an entry, by its key
	notNamed   *tree
	unnamed    []place // of the events that are not named
	unreadable uint64
}

// Build makes the next index: of everything that was recorded since the last one. It costs reading those events once. Another
// process may do the same at the same time: one of them wins, and the other gets ErrBuilt.
func Build(ctx context.Context, c Config) (Manifest, error) {
	fail := func(err error) (Manifest, error) { return Manifest{}, fmt.Errorf("build index: %w", err) }
	m := Manifest{Log: c.Log, Made: c.now().UTC().Truncate(time.Second), Keys: c.Ring.PseudonymKeys()}
	var before *Manifest
	last, err := lastManifest(c.Dir)
	if err != nil {
		return fail(err)
	}
	if last != nil {
		before, m.Seq, m.Prev = last, last.Seq+1, last.Hash()
	}
	if m.UpTo, err = c.heads(ctx, before); err != nil {
		return fail(err)
	}
	got, err := c.read(ctx, m, before)
	if err != nil {
		return fail(err)
	}
	m.Size, m.Root, m.Unreadable = uint64(len(got.tree.entries)), got.tree.root, got.unreadable
	notNamed, err := c.sealNotNamed(ctx, &m, got)
	if err != nil {
		return fail(err)
	}
	places, err := c.sealPlaces(ctx, got)
	if err != nil {
		return fail(err)
	}
	if err := writeFile(c.Dir, m, got.tree, notNamed, places); err != nil {
		return fail(err)
	}
	return m, nil
}

// ErrBuilt tells that another process made this index.
var ErrBuilt = errors.New("another process made this index just now")

// Keep builds an index for every day (UTC) until ctx ends, soon after the day is over; and at once where there is none of
// today yet. The one before is held against the log once more: reports go by what it says. Failed is told what did not work; it
// is tried again.
func Keep(ctx context.Context, c Config, failed func(error)) {
	for ctx.Err() == nil {
		last, err := lastManifest(c.Dir)
		if err == nil && (last == nil || last.Made.Format(time.DateOnly) < c.now().UTC().Format(time.DateOnly)) {
			if _, err = Build(ctx, c); err == nil && last != nil {
				err = c.checkOne(ctx, *last)
			}
		}
		if err != nil && !errors.Is(err, ErrBuilt) && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
}

func (c Config) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// heads tells how far each stream goes now.
func (c Config) heads(ctx context.Context, before *Manifest) (map[string]journal.Head, error) {
	out := map[string]journal.Head{}
	writers, err := c.Store.Writers(ctx)
	if err != nil {
		return nil, err
	}
	if before != nil {
		for w := range before.UpTo {
			if !slices.Contains(writers, w) {
				writers = append(writers, w)
			}
		}
	}
	for _, w := range writers {
		if !journal.ValidWriter(w) {
			continue
		}
		head, err := c.Store.Head(ctx, journal.Audit(w))
		if err != nil {
			return nil, err
		}
		if before != nil && head.ID.Less(before.UpTo[w].ID) {
			return nil, fmt.Errorf("the stream of %s ends at %s, and was indexed up to %s: the journal was put back; run schakel audit verify", w, head.ID, before.UpTo[w].ID)
		}
		if head != (journal.Head{}) {
			out[w] = head
		}
	}
	return out, nil
}

// read makes the content of an index from the log.
func (c Config) read(ctx context.Context, m Manifest, before *Manifest) (content, error) {
	window := m.between(before)
	window.Store, window.KeyOf = c.Store, c.Ring.OpenRef
	got := content{places: map[broker.Hash][]place{}}
	named, others := map[string][]broker.Hash{}, map[string][]broker.Hash{}
	for e, err := range audit.Mentions(ctx, window) {
		if err != nil {
			return got, err
		}
		if e.Damaged {
			got.unreadable++
		}
		at := place{e.Writer, journal.ID(e.ID)}
		hidden, err := c.hides(ctx, e)
		if err != nil {
			return got, err
		}
		to := named
		if hidden {
			to, got.unnamed = others, append(got.unnamed, at)
		}
		for _, p := range e.Pseudonyms {
			if !slices.ContainsFunc(m.Keys, func(k keys.PseudonymKey) bool { return strings.HasPrefix(p, k.Version+".") }) {
				return got, fmt.Errorf("event %s of %s has a pseudonym of a version that this key ring does not have; is it the ring that the gateways use?", e.ID, e.Writer)
			}
			to[p] = append(to[p], e.Hash)
			if !hidden {
				key := keyOf(m.Log, m.Seq, p)
				got.places[key] = append(got.places[key], at)
			}
		}
	}
	var err error
	if got.tree, err = m.treeOf(named); err == nil {
		got.notNamed, err = m.treeOf(others)
	}
	return got, err
}

// hides tells whether an event is not named to its data subjects.
func (c Config) hides(ctx context.Context, m audit.Mention) (bool, error) {
	if c.NotNamed == nil {
		return false, nil
	}
	hidden, err := c.NotNamed(ctx, m)
	if err != nil {
		err = fmt.Errorf("event %s of %s: %w", m.ID, m.Writer, err)
	}
	return hidden, err
}

// between gives the range of events that an index covers, and the one before does not.
func (m Manifest) between(before *Manifest) audit.MentionsConfig {
	r := audit.MentionsConfig{After: map[string]journal.ID{}, UpTo: map[string]journal.ID{}}
	for w, head := range m.UpTo {
		r.UpTo[w] = head.ID
		if before != nil {
			r.After[w] = before.UpTo[w].ID
		}
	}
	return r
}

func (m Manifest) treeOf(about map[string][]broker.Hash) (*tree, error) {
	entries := make([]entry, 0, len(about))
	for pseudonym, events := range about {
		entries = append(entries, newEntry(m.Log, m.Seq, pseudonym, events))
	}
	slices.SortFunc(entries, func(a, b entry) int { return compare(a.key, b.key) })
	return newTree(entries)
}

// Check makes every index again from the log and tells the first that is not what its manifest says; nil where all are. Sealed
// are the hashes of manifests that the Merkle log has, by their numbers.
func Check(ctx context.Context, c Config, sealed map[uint64]broker.Hash) (indexes int, err error) {
	var before *Manifest
	for seq := uint64(0); ; seq++ {
		m, _, err := readFile(c.Dir, seq)
		if errors.Is(err, fs.ErrNotExist) {
			for other := range sealed {
				if other >= seq {
					return indexes, fmt.Errorf("check index %d: the Merkle log has it, and the folder does not", seq)
				}
			}
			return indexes, nil
		}
		if hash, is := sealed[seq]; err == nil && is && hash != m.Hash() {
			err = errors.New("the Merkle log has another in its place")
		}
		if err == nil {
			err = m.follows(before, seq)
		}
		if err == nil {
			err = c.anchored(ctx, m)
		}
		if err == nil {
			err = c.holds(ctx, m, before)
		}
		if err != nil {
			return indexes, fmt.Errorf("check index %d: %w", seq, err)
		}
		indexes, before = indexes+1, &m
	}
}

// holds makes an index again from the log; nil where it is what its manifest says.
func (c Config) holds(ctx context.Context, m Manifest, before *Manifest) error {
	got, err := c.read(ctx, m, before)
	if err == nil && (got.tree.root != m.Root || uint64(len(got.tree.entries)) != m.Size) {
		err = errors.New("the log has other events, or about others, than this index says")
	}
	if err != nil {
		return err
	}
	n, err := c.openNotNamed(ctx, m)
	if err == nil && n.commitment(got.notNamed) != m.Withheld {
		err = errNotNamed
	}
	return err
}

// checkOne does the same with one of the folder.
func (c Config) checkOne(ctx context.Context, m Manifest) (err error) {
	var before *Manifest
	if m.Seq > 0 {
		before = &Manifest{}
		*before, err = readManifest(c.Dir, m.Seq-1)
	}
	if err == nil {
		err = c.anchored(ctx, m)
	}
	if err == nil {
		err = c.holds(ctx, m, before)
	}
	if err != nil {
		err = fmt.Errorf("check index %d: %w", m.Seq, err)
	}
	return err
}

// anchored tells whether the journal has the entries up to which a manifest says that it covers the streams.
func (c Config) anchored(ctx context.Context, m Manifest) error {
	for w, head := range m.UpTo {
		page, err := c.Store.Read(ctx, journal.Audit(w), head.ID.Before(), 1)
		if err != nil {
			return err
		}
		if len(page) == 0 || page[0].ID != head.ID || page[0].Hash != head.Hash {
			return fmt.Errorf("the journal does not have the event %s of %s up to which it was made", head.ID, w)
		}
	}
	return nil
}

// follows tells whether a manifest stands right after another.
func (m Manifest) follows(before *Manifest, seq uint64) error {
	switch {
	case m.Seq != seq:
		return errors.New("it has another number")
	case before == nil && m.Prev != (broker.Hash{}):
		return errors.New("it is not the first")
	case before == nil:
		return nil
	case m.Prev != before.Hash() || m.Log != before.Log:
		return errors.New("it does not follow the one before: one was changed or left out")
	}
	for w, head := range before.UpTo {
		if m.UpTo[w].ID.Less(head.ID) {
			return fmt.Errorf("it covers less of %s than the one before", w)
		}
	}
	return nil
}
