package index

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/schakel/schakel/broker"
)

// entry is one leaf of an index: whom it is about, and what there is.
type entry struct{ key, digest broker.Hash }

func (e entry) text() []byte { return []byte(e.key.String() + " " + e.digest.String()) }

// secret derives what only who knows a pseudonym can: the key of its entry in the index seq, and what blinds the digest.
func secret(kind, log string, seq uint64, pseudonym string) broker.Hash {
	return sha256.Sum256([]byte("schakel index " + kind + "\n" + log + "\n" + strconv.FormatUint(seq, 10) + "\n" + pseudonym))
}

func keyOf(log string, seq uint64, pseudonym string) broker.Hash {
	return secret("key", log, seq, pseudonym)
}

// newEntry makes the entry of a pseudonym. Its digest is blinded: the hashes of all events stand in the Merkle log for anybody
// to read, and a neighbour in somebody's proof must not be found by trying them.
func newEntry(log string, seq uint64, pseudonym string, events []broker.Hash) entry {
	blind := secret("blind", log, seq, pseudonym)
	h := sha256.New()
	h.Write([]byte("schakel index events\n"))
	h.Write(blind[:])
	for _, e := range sorted(events) {
		h.Write(e[:])
	}
	return entry{keyOf(log, seq, pseudonym), broker.Hash(h.Sum(nil))}
}

func sorted(events []broker.Hash) []broker.Hash {
	out := slices.Clone(events)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

func compare(a, b broker.Hash) int { return bytes.Compare(a[:], b[:]) }

// tree is the Merkle tree over sorted entries.
type tree struct {
	entries []entry
	hashes  []tlog.Hash
	root    broker.Hash
}

func newTree(entries []entry) (*tree, error) {
	t := &tree{entries: entries}
	for i, e := range entries {
		if i > 0 && compare(entries[i-1].key, e.key) >= 0 {
			return nil, errors.New("the entries of an index are not in order, or one stands twice")
		}
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), tlog.RecordHash(e.text()), t)
		if err != nil {
			return nil, err
		}
		t.hashes = append(t.hashes, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), t)
	t.root = broker.Hash(root)
	return t, err
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if n < 0 || n >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("no hash %d in a tree of %d entries", n, len(t.entries))
		}
		out[i] = t.hashes[n]
	}
	return out, nil
}

// Place is an entry of an index and where it stands in the tree.
type Place struct {
	Index  uint64        `json:"index"`
	Key    broker.Hash   `json:"key"`
	Digest broker.Hash   `json:"digest"`
	Proof  []broker.Hash `json:"proof"` // RFC 6962, 2.1.1
}

// leaves are the sorted entries of an index with the hashes of its tree: in memory (tree) or in a file (day).
type leaves interface {
	tlog.HashReader
	size() int
	entry(i int) (entry, error)
}

func (t *tree) size() int                  { return len(t.entries) }
func (t *tree) entry(i int) (entry, error) { return t.entries[i], nil }

func placeOf(l leaves, i int) (*Place, error) {
	e, err := l.entry(i)
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(int64(l.size()), int64(i), l)
	if err != nil {
		return nil, err
	}
	p := &Place{Index: uint64(i), Key: e.key, Digest: e.digest}
	for _, h := range proof {
		p.Proof = append(p.Proof, broker.Hash(h))
	}
	return p, nil
}

func (p *Place) verify(m Manifest) error {
	proof := make(tlog.RecordProof, len(p.Proof))
	for i, h := range p.Proof {
		proof[i] = tlog.Hash(h)
	}
	if p.Index >= m.Size {
		return errors.New("a place beyond the end of the index")
	}
	return tlog.CheckRecord(proof, int64(m.Size), tlog.Hash(m.Root), int64(p.Index), tlog.RecordHash(entry{p.Key, p.Digest}.text()))
}

// Shown is what an index has of one pseudonym: Here with the events, or nothing, which the neighbours Before and After prove
// that stand next to each other where the key would be. At an end of the index there is one neighbour, in an empty one none.
type Shown struct {
	Events []broker.Hash `json:"events,omitempty"`
	Here   *Place        `json:"here,omitempty"`
	Before *Place        `json:"before,omitempty"`
	After  *Place        `json:"after,omitempty"`
}

// show proves what an index has under a key.
func show(l leaves, key broker.Hash) (s Shown, err error) {
	low, high := 0, l.size()
	for low < high {
		mid := low + (high-low)/2
		e, err := l.entry(mid)
		if err != nil {
			return s, err
		}
		switch order := compare(e.key, key); {
		case order == 0:
			s.Here, err = placeOf(l, mid)
			return s, err
		case order < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	if low > 0 {
		s.Before, err = placeOf(l, low-1)
	}
	if err == nil && low < l.size() {
		s.After, err = placeOf(l, low)
	}
	return s, err
}

// proved tells whether the index of a manifest has something under a key, after making sure that it does, or does not.
func (s Shown) proved(m Manifest, key broker.Hash) (here bool, err error) {
	for _, p := range []*Place{s.Here, s.Before, s.After} {
		if p != nil {
			if err := p.verify(m); err != nil {
				return false, fmt.Errorf("a place that the index does not have: %w", err)
			}
		}
	}
	switch {
	case s.Here != nil:
		if s.Before != nil || s.After != nil || s.Here.Key != key {
			return false, errors.New("the place is of another")
		}
		return true, nil
	case s.Before == nil && s.After == nil && m.Size == 0:
		return false, nil
	case s.Before == nil && s.After != nil && s.After.Index == 0 && compare(key, s.After.Key) < 0:
		return false, nil
	case s.After == nil && s.Before != nil && s.Before.Index == m.Size-1 && compare(s.Before.Key, key) < 0:
		return false, nil
	case s.Before != nil && s.After != nil && s.After.Index == s.Before.Index+1 &&
		compare(s.Before.Key, key) < 0 && compare(key, s.After.Key) < 0:
		return false, nil
	}
	return false, errors.New("that there is nothing is not proved: these are not the two neighbours of where it would stand")
}

// verify makes sure that the index of a manifest has exactly these events of a pseudonym.
func (s Shown) verify(m Manifest, pseudonym string) error {
	want := newEntry(m.Log, m.Seq, pseudonym, s.Events)
	here, err := s.proved(m, want.key)
	switch {
	case err != nil:
		return err
	case here && (len(s.Events) == 0 || s.Here.Digest != want.digest):
		return errors.New("the index has other events than are named")
	case !here && len(s.Events) > 0:
		return errors.New("events are named without the place that has them")
	}
	return nil
}
