package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Log reads a Merkle log: the folder a Checkpointer writes, or a copy of it. Everything it gives is held against a signed
// checkpoint; it trusts no file.
type Log struct {
	dir  string
	keys Keys
}

// Checkpoint is a signed statement: a log of this size has this root.
type Checkpoint struct {
	Origin    string      `json:"origin"`
	Size      uint64      `json:"size"`
	Root      broker.Hash `json:"root"`
	Witnesses []string    `json:"witnesses"` // names of those that cosigned
	Signed    []byte      `json:"-"`         // as it was published
}

// ErrNoCheckpoint tells that a folder holds no checkpoint: nothing was sealed yet, or it is another folder.
var ErrNoCheckpoint = errors.New("no checkpoint")

// OpenLog makes a reader of a folder.
func OpenLog(dir string, keys Keys) *Log { return &Log{dir, keys} }

// Latest gives the checkpoint that is published.
func (l *Log) Latest(ctx context.Context) (Checkpoint, error) {
	signed, err := l.files().ReadCheckpoint(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, fmt.Errorf("read checkpoint in %s: %w", l.dir, ErrNoCheckpoint)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return l.keys.Open(signed)
}

func (l *Log) files() client.FileFetcher { return client.FileFetcher{Root: l.dir} }

// leaves gives the leaves of a tree of some size, from an index on, as they stand in the folder. Nothing is verified.
func (l *Log) leaves(ctx context.Context, from, size uint64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		for bundle := from / layout.EntryBundleWidth; bundle*layout.EntryBundleWidth < size; bundle++ {
			entries, err := l.bundle(ctx, bundle, size)
			first := bundle * layout.EntryBundleWidth
			for i := max(from, first); err == nil && i < min(size, first+layout.EntryBundleWidth); i++ {
				var leaf Leaf
				if leaf, err = ParseLeaf(entries[i-first]); err == nil && !yield(leaf, nil) {
					return
				}
			}
			if err != nil {
				yield(Leaf{}, fmt.Errorf("read leaves: %w", err))
				return
			}
		}
	}
}

// bundle gives one bundle of a tree of some size, with as many entries as it must have.
func (l *Log) bundle(ctx context.Context, n, size uint64) ([][]byte, error) {
	var b api.EntryBundle
	b, err := client.GetEntryBundle(ctx, l.files().ReadEntryBundle, n, size)
	if err == nil && uint64(len(b.Entries)) < min(size-n*layout.EntryBundleWidth, layout.EntryBundleWidth) {
		err = fmt.Errorf("bundle %d is shorter than the tree", n)
	}
	return b.Entries, err
}

// Leaves gives every leaf that a checkpoint of this log vouches for, in order. The last value is an error where the leaves
// do not make the checkpoint's root: then none of what was given before counts.
func (l *Log) Leaves(ctx context.Context, c Checkpoint) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		tree := trees.NewEmptyRange(0)
		for leaf, err := range l.leaves(ctx, 0, c.Size) {
			if err == nil {
				err = tree.Append(rfc6962.DefaultHasher.HashLeaf(leaf.Text()), nil)
			}
			if !yield(leaf, err) || err != nil {
				return
			}
		}
		if got, err := root(tree); err != nil || broker.Hash(got) != c.Root {
			yield(Leaf{}, errors.New("the leaves do not make the root of the checkpoint: the folder was altered, or is of another log"))
		}
	}
}

// Consistent tells whether one checkpoint of the log extends another, as its tiles prove (RFC 6962, 2.1.2). Nil: it does.
func (l *Log) Consistent(ctx context.Context, older, newer Checkpoint) error {
	fail := func(err error) error {
		return fmt.Errorf("checkpoint of %d leaves against that of %d: %w", older.Size, newer.Size, err)
	}
	if older.Size > newer.Size {
		return fail(errors.New("the log is shorter than it was"))
	}
	var hashes [][]byte
	if older.Size > 0 {
		p, err := client.NewProofBuilder(ctx, newer.Size, l.files().ReadTile)
		if err != nil {
			return fail(err)
		}
		if hashes, err = p.ConsistencyProof(ctx, older.Size, newer.Size); err != nil {
			return fail(err)
		}
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, newer.Size, hashes, older.Root[:], newer.Root[:]); err != nil {
		return fail(err)
	}
	return nil
}

// find gives the index of a leaf in a tree of some size: from the end in steps that double, and then by halving, over bundles,
// since a stream's leaves stand in the order of its ids, and along them where a bundle has no leaf of the stream. A stream of
// which there are few leaves is asked about those of late.
func (l *Log) find(ctx context.Context, want Leaf, size uint64) (uint64, bool, error) {
	low, high := uint64(0), (size+layout.EntryBundleWidth-1)/layout.EntryBundleWidth
	// before tells whether the first leaf of the stream from a bundle on, and before high, is not beyond the one wanted.
	before := func(bundle uint64) (bool, error) {
		for leaf, err := range l.leaves(ctx, bundle*layout.EntryBundleWidth, min(size, high*layout.EntryBundleWidth)) {
			if err != nil || leaf.Stream == want.Stream {
				return err == nil && !want.ID.Less(leaf.ID), err
			}
		}
		return false, nil
	}
	for step := uint64(1); low == 0 && step < high; step *= 2 {
		is, err := before(high - step)
		if err != nil {
			return 0, false, err
		}
		if is {
			low = high - step
		} else {
			high -= step
		}
	}
	// The last bundle from which the next leaf of the stream is not beyond the one wanted.
	for low+1 < high {
		mid := low + (high-low)/2
		is, err := before(mid)
		if err != nil {
			return 0, false, err
		}
		if is {
			low = mid
		} else {
			high = mid
		}
	}
	at := low * layout.EntryBundleWidth
	for leaf, err := range l.leaves(ctx, at, min(size, high*layout.EntryBundleWidth)) {
		switch {
		case err != nil:
			return 0, false, err
		case leaf == want:
			return at, true, nil
		case leaf.Stream == want.Stream && want.ID.Less(leaf.ID):
			return 0, false, nil
		}
		at++
	}
	return 0, false, nil
}

// sealedUpTo tells up to where a tree goes in a stream, by the last of its leaves; the zero Head where it has none.
func (l *Log) sealedUpTo(ctx context.Context, size uint64, from uint64, into streams) error {
	for leaf, err := range l.leaves(ctx, from, size) {
		if err != nil {
			return err
		}
		into[leaf.Stream] = journal.Head{ID: leaf.ID, Hash: leaf.Hash}
	}
	return nil
}
