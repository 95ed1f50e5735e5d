package checkpoint

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Leaf is one entry of the Merkle log: that a stream has, at an id, an entry with this hash.
type Leaf struct {
	Stream journal.Stream
	ID     journal.ID
	Hash   broker.Hash
}

// Index is the stream of the daily indexes of data subjects (package index). The journal does not have it; whoever gives a
// checkpointer its Streams may, and then lists IndexWriter among the writers.
const Index journal.Stream = "index"

// Archive is the stream of the manifests of segments (package archive), in the same way.
const Archive journal.Stream = "archive"

// What a leaf says in the place of a writer for streams that have none. No writer can have these names.
const (
	registerName  = "register:"
	IndexWriter   = "index:"
	ArchiveWriter = "archive:"
)

// Text gives the leaf's bytes: "v1 writer epoch seq hash", the hash in hex. The register stands under "register:", the daily
// indexes of data subjects under "index:", the segments of the archive under "archive:".
func (l Leaf) Text() []byte {
	name, isWriter := strings.CutPrefix(string(l.Stream), "audit:")
	if !isWriter {
		name = string(l.Stream) + ":"
	}
	b := append(make([]byte, 0, 4+len(name)+40+64), "v1 "...)
	b = append(append(b, name...), ' ')
	b = append(strconv.AppendUint(b, l.ID.Epoch, 10), ' ')
	b = append(strconv.AppendUint(b, l.ID.Seq, 10), ' ')
	return hex.AppendEncode(b, l.Hash[:])
}

// ParseLeaf reads the bytes of a leaf. It takes nothing that Text would not write.
func ParseLeaf(text []byte) (Leaf, error) {
	var l Leaf
	words := strings.Split(string(text), " ")
	bad := errors.New("parse leaf: not \"v1 writer epoch seq hash\"; a newer schakel may have written it")
	if len(words) != 5 || words[0] != "v1" || len(words[4]) != 2*len(l.Hash) {
		return l, bad
	}
	switch l.Stream = journal.Audit(words[1]); {
	case words[1] == registerName:
		l.Stream = journal.Register
	case words[1] == IndexWriter:
		l.Stream = Index
	case words[1] == ArchiveWriter:
		l.Stream = Archive
	case !journal.ValidWriter(words[1]):
		return l, bad
	}
	var err1, err2 error
	l.ID.Epoch, err1 = strconv.ParseUint(words[2], 10, 64)
	l.ID.Seq, err2 = strconv.ParseUint(words[3], 10, 64)
	_, err3 := hex.Decode(l.Hash[:], []byte(words[4]))
	if errors.Join(err1, err2, err3) != nil || !bytes.Equal(l.Text(), text) {
		return Leaf{}, bad
	}
	return l, nil
}
