package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// Manifest says what one segment holds. Its hash is sealed in the Merkle log, at seq Seq of the stream checkpoint.Archive.
type Manifest struct {
	Log    string       // the log's id
	Seq    uint64       // the number of this segment, from 0, over all streams
	Made   time.Time    // UTC, in seconds
	Prev   broker.Hash  // of the manifest before; zero for the first
	Writer string       // whose stream it is of
	Before journal.Head // the event before its first; zero for the first of a stream
	First  journal.ID
	Last   journal.Head
	Count  uint64
	Size   uint64      // of the lines, in bytes
	Digest broker.Hash // SHA-256 of the lines
}

const manifestHeader = "schakel archive v1"

// Text gives the manifest's bytes.
func (m Manifest) Text() []byte {
	return fmt.Appendf(nil, "%s\nlog %s\nseq %d\nmade %s\nprev %s\nwriter %s\nbefore %s %s\nfirst %s\nlast %s %s\ncount %d\nsize %d\nsha256 %s\n",
		manifestHeader, m.Log, m.Seq, m.Made.UTC().Format(time.RFC3339), m.Prev, m.Writer, m.Before.ID, m.Before.Hash, m.First,
		m.Last.ID, m.Last.Hash, m.Count, m.Size, m.Digest)
}

// Hash is what is sealed.
func (m Manifest) Hash() broker.Hash { return sha256.Sum256(m.Text()) }

// leaf is what the Merkle log has of it.
func (m Manifest) leaf() checkpoint.Leaf {
	return checkpoint.Leaf{Stream: checkpoint.Archive, ID: m.id(), Hash: m.Hash()}
}

// id is the manifest's place in the stream of manifests.
func (m Manifest) id() journal.ID { return journal.ID{Epoch: 1, Seq: m.Seq} }

// errNoManifest tells that what begins a file is no manifest.
var errNoManifest = errors.New("its manifest was altered, or a newer schakel wrote it")

// parseManifest takes nothing that Text would not write.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	lines := strings.Split(string(text), "\n")
	words := []string{"log", "seq", "made", "prev", "writer", "before", "first", "last", "count", "size", "sha256"}
	if len(lines) != len(words)+2 {
		return m, errNoManifest
	}
	for i, word := range words {
		rest, ok := strings.CutPrefix(lines[i+1], word+" ")
		var err error
		switch word {
		case "log":
			m.Log = rest
		case "seq":
			m.Seq, err = strconv.ParseUint(rest, 10, 63)
		case "made":
			m.Made, err = time.Parse(time.RFC3339, rest)
			m.Made = m.Made.UTC()
		case "prev":
			err = m.Prev.UnmarshalText([]byte(rest))
		case "writer":
			m.Writer, ok = rest, ok && journal.ValidWriter(rest)
		case "before":
			m.Before, err = parseHead(rest)
		case "first":
			m.First, err = journal.ParseID(rest)
		case "last":
			m.Last, err = parseHead(rest)
		case "count":
			m.Count, err = strconv.ParseUint(rest, 10, 63)
		case "size":
			m.Size, err = strconv.ParseUint(rest, 10, 63)
		case "sha256":
			err = m.Digest.UnmarshalText([]byte(rest))
		}
		if err != nil || !ok {
			return Manifest{}, errNoManifest
		}
	}
	if !bytes.Equal(m.Text(), text) {
		return Manifest{}, errNoManifest
	}
	return m, nil
}

func parseHead(text string) (journal.Head, error) {
	id, hash, _ := strings.Cut(text, " ")
	var h journal.Head
	var err error
	h.ID, err = journal.ParseID(id)
	return h, errors.Join(err, h.Hash.UnmarshalText([]byte(hash)))
}
