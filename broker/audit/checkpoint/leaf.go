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

// registerName is what a leaf says for the register in the place of a writer. No writer can have it.
const registerName = "register:"

// Text gives the leaf's bytes: "v1 writer epoch seq hash", the hash in hex. The register stands under "register:".
func (l Leaf) Text() []byte {
	name, isWriter := strings.CutPrefix(string(l.Stream), "audit:")
	if !isWriter {
		name = registerName
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
	l.Stream = journal.Audit(words[1])
	if words[1] == registerName {
		l.Stream = journal.Register
	} else if !journal.ValidWriter(words[1]) {
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
