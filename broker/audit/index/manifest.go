package index

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Manifest says what one index covers. Its hash is sealed in the Merkle log, at seq Seq of the stream checkpoint.Index.
type Manifest struct {
	Log        string      // the log's id
	Seq        uint64      // the number of this index, from 0
	Made       time.Time   // UTC, in seconds
	Prev       broker.Hash // of the manifest before; zero for the first
	UpTo       map[string]journal.Head
	Keys       []keys.PseudonymKey // every version that a pseudonym may be of
	Size       uint64              // entries of the tree
	Root       broker.Hash
	Withheld   broker.Hash // commits to the index of what the law permits not to name, and tells nothing of it
	Unreadable uint64      // events that can't be read: whom they are about isn't known
}

const manifestHeader = "schakel index v1"

// Text gives the manifest's bytes.
func (m Manifest) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nlog %s\nseq %d\nmade %s\nprev %s\n", manifestHeader, m.Log, m.Seq, m.Made.UTC().Format(time.RFC3339), m.Prev)
	for _, w := range slices.Sorted(maps.Keys(m.UpTo)) {
		fmt.Fprintf(&b, "upto %s %s %s\n", w, m.UpTo[w].ID, m.UpTo[w].Hash)
	}
	for _, k := range m.Keys {
		fmt.Fprintf(&b, "key %s\n", k)
	}
	fmt.Fprintf(&b, "index %d %s\nwithheld %s\nunreadable %d\n", m.Size, m.Root, m.Withheld, m.Unreadable)
	return b.Bytes()
}

// Hash is what is sealed.
func (m Manifest) Hash() broker.Hash { return sha256.Sum256(m.Text()) }

// parseManifest takes nothing that Text would not write.
func parseManifest(text []byte) (Manifest, error) {
	m := Manifest{UpTo: map[string]journal.Head{}}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	ok := len(lines) >= 8 && lines[0] == manifestHeader
	for _, line := range lines[min(1, len(lines)):] {
		word, rest, _ := strings.Cut(line, " ")
		args := strings.Split(rest, " ")
		switch word {
		case "log":
			m.Log = rest
		case "seq":
			ok = ok && number(rest, &m.Seq)
		case "made":
			at, err := time.Parse(time.RFC3339, rest)
			m.Made, ok = at.UTC(), ok && err == nil
		case "prev":
			ok = ok && m.Prev.UnmarshalText([]byte(rest)) == nil
		case "upto":
			if len(args) != 3 || !journal.ValidWriter(args[0]) {
				return Manifest{}, errNoManifest
			}
			var head journal.Head
			id, err := journal.ParseID(args[1])
			ok = ok && err == nil && head.Hash.UnmarshalText([]byte(args[2])) == nil
			head.ID = id
			m.UpTo[args[0]] = head
		case "key":
			k, err := keys.ParsePseudonymKey(rest)
			if err != nil {
				return Manifest{}, errNoManifest
			}
			m.Keys = append(m.Keys, k)
		case "index":
			ok = ok && len(args) == 2 && number(args[0], &m.Size) && m.Root.UnmarshalText([]byte(args[1])) == nil
		case "withheld":
			ok = ok && m.Withheld.UnmarshalText([]byte(rest)) == nil
		case "unreadable":
			ok = ok && number(rest, &m.Unreadable)
		}
	}
	if !ok || !bytes.Equal(m.Text(), text) {
		return Manifest{}, errNoManifest
	}
	return m, nil
}

var errNoManifest = errors.New("this is no manifest of an index, or was altered; a newer schakel may have written it")

func number(text string, to *uint64) bool {
	n, err := strconv.ParseUint(text, 10, 63)
	*to = n
	return err == nil
}

// covers tells whether an event of a writer's stream lies in what this index covers, and was not covered before.
func (m Manifest) covers(before *Manifest, writer string, id journal.ID) bool {
	head, known := m.UpTo[writer]
	if !known || head.ID.Less(id) {
		return false
	}
	return before == nil || before.UpTo[writer].ID.Less(id)
}
