package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/schakel/schakel/broker/journal"
)

// signer signs checkpoints, as tessera asks for them: only of a tree whose every leaf it read back from the tiles and
// found to be the leaf that was given, and whose root those leaves make, on top of what was signed before.
type signer struct {
	note.Signer // the key itself
	log         *Log
	admit       func() error // tells whether the lease still holds

	mu       sync.Mutex
	tree     *compact.Range // of the leaves read back
	expected []Leaf         // given and not yet read back, in order
	sealed   streams        // how far the tree goes in each stream
	signed   uint64         // the size signed last
	marks    []mark         // signed, and not seen published yet
	refused  error          // why the last one was not signed; nil where it was
	ready    bool           // what the folder held at the start is taken up
	closed   bool           // another takes the log up
}

// mark is how far a signed tree goes.
type mark struct {
	size   uint64
	sealed streams
}

var trees = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// expect takes leaves that are about to be given to the log, in the order of the log.
func (s *signer) expect(leaves []Leaf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = append(s.expected, leaves...)
}

// Sign implements note.Signer.
func (s *signer) Sign(text []byte) ([]byte, error) {
	var c log.Checkpoint
	if rest, err := c.Unmarshal(text); err != nil || len(rest) > 0 {
		return nil, errors.New("sign checkpoint: not the text of a checkpoint")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || (!s.ready && c.Size > s.signed) {
		return nil, errors.New("sign checkpoint: this checkpointer does not lead yet, or no more")
	}
	s.refused = s.admit()
	if s.refused == nil {
		s.refused = s.readBack(c)
	}
	if s.refused == nil {
		s.refused = s.admit() // reading back may take a while
	}
	if s.refused != nil {
		return nil, fmt.Errorf("sign checkpoint of %d leaves: %w", c.Size, s.refused)
	}
	s.signed = c.Size
	s.marks = append(s.marks, mark{c.Size, s.sealed.clone()})
	return s.Signer.Sign(text)
}

func (s *signer) readBack(c log.Checkpoint) error {
	for leaf, err := range s.log.leaves(context.Background(), s.tree.End(), c.Size) {
		if err != nil {
			return err
		}
		if len(s.expected) == 0 || s.expected[0] != leaf {
			return fmt.Errorf("leaf %d is not what was given to the log", s.tree.End())
		}
		if err := s.tree.Append(rfc6962.DefaultHasher.HashLeaf(leaf.Text()), nil); err != nil {
			return err
		}
		s.sealed[leaf.Stream] = journal.Head{ID: leaf.ID, Hash: leaf.Hash}
		s.expected = s.expected[1:]
	}
	root, err := root(s.tree)
	if err != nil {
		return err
	}
	if s.tree.End() != c.Size || !bytes.Equal(root, c.Hash) {
		return errors.New("the root is not that of the leaves read back")
	}
	return nil
}

// start lets be signed what the folder held at the start too: leaves that are expected already.
func (s *signer) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// refusal tells why the last checkpoint was not signed.
func (s *signer) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// close ends signing: what tessera still does of its own accord must not reach a log that is taken up anew.
func (s *signer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// published takes up that a tree of a size is published, and gives how far it goes; false where that is known already.
func (s *signer) published(size uint64) (mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last mark
	found := false
	for len(s.marks) > 0 && s.marks[0].size <= size {
		last, found = s.marks[0], true
		s.marks = s.marks[1:]
	}
	return last, found
}

func root(r *compact.Range) ([]byte, error) {
	if r.End() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return r.GetRootHash(nil)
}
