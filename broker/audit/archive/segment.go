package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Limits of a segment.
const (
	fullSize = 8 << 20  // of lines, in bytes: a segment that has as many is full
	maxSize  = 12 << 20 // no segment has more: whole batches of events, and what is around them
)

// skippable begins a frame that zstd passes over (RFC 8878, 3.1.2); its length follows. The manifest stands in one.
const skippable = 0x184D2A50

// appendLine adds an event as a line of JSON, with its bytes as they are.
func appendLine(lines []byte, e journal.Entry) ([]byte, error) {
	switch {
	case e.Hash != broker.Hash(sha256.Sum256(e.Bytes)):
		return lines, errors.New("its bytes have another hash than the store gives: it was altered; run `schakel audit verify`")
	case !bytes.HasPrefix(e.Bytes, []byte("{")) || !bytes.HasSuffix(e.Bytes, []byte("}")) || bytes.IndexByte(e.Bytes, '\n') >= 0 || !json.Valid(e.Bytes) || len(e.Touches) > 0:
		return lines, errors.New("it is no event: not one line of JSON; run `schakel audit verify`")
	}
	lines = append(append(append(lines, lineID...), e.ID.String()...), lineHash...)
	lines = append(hex.AppendEncode(lines, e.Hash[:]), lineEvent...)
	return append(append(lines, e.Bytes...), lineEnd...), nil
}

// What stands around an id, a hash and an event in a line.
const (
	lineID    = `{"id":"`
	lineHash  = `","hash":"`
	lineEvent = `","event":`
	lineEnd   = "}\n"
)

var errLine = errors.New("a line of it was altered")

// parseLine reads the first line and gives the rest. It takes nothing that appendLine would not write, but for what is in the
// event's bytes: whoever reads an event holds those against its hash. They are not copied.
func parseLine(lines []byte) (e journal.Entry, rest []byte, err error) {
	end := bytes.IndexByte(lines, '\n')
	if end < 0 {
		return e, nil, errLine
	}
	line, rest := lines[:end+1], lines[end+1:]
	line, ok1 := bytes.CutPrefix(line, []byte(lineID))
	id, line, ok2 := bytes.Cut(line, []byte(lineHash))
	hash, line, ok3 := bytes.Cut(line, []byte(lineEvent))
	event, ok4 := bytes.CutSuffix(line, []byte(lineEnd))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return e, rest, errLine
	}
	e.ID, err = journal.ParseID(string(id))
	if err = errors.Join(err, e.Hash.UnmarshalText(hash)); err != nil || e.ID.String() != string(id) {
		return journal.Entry{}, rest, errLine
	}
	e.Bytes = event[:len(event):len(event)]
	return e, rest, nil
}

// pack gives a segment's file.
func pack(m Manifest, lines []byte) ([]byte, error) {
	text := m.Text()
	file := binary.LittleEndian.AppendUint32(nil, skippable)
	file = append(binary.LittleEndian.AppendUint32(file, uint32(len(text))), text...)
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(lines, file), w.Close()
}

// readManifest reads what begins a segment's file.
func readManifest(r io.Reader) (Manifest, error) {
	var begin [8]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return Manifest{}, errNoManifest
	}
	length := binary.LittleEndian.Uint32(begin[4:])
	if binary.LittleEndian.Uint32(begin[:]) != skippable || length > 4<<10 {
		return Manifest{}, errNoManifest
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return Manifest{}, errNoManifest
	}
	return parseManifest(text)
}

// load reads a segment and makes sure that it is the one that its name and its manifest say. With an error come the manifest,
// where it could be read, and the events before the first that can't be: not held against anything.
func load(dir string, p place) (m Manifest, entries []journal.Entry, err error) {
	f, err := os.Open(filepath.Join(dir, p.name()))
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if m, err = readManifest(f); err != nil {
		return m, nil, err
	}
	if p != m.place() {
		return m, nil, errors.New("its manifest is of another segment")
	}
	if m.Size > maxSize || m.Count > m.Size {
		return m, nil, errNoManifest
	}
	lines, err := unpack(f, m.Size)
	entries = make([]journal.Entry, 0, m.Count)
	for rest := lines; len(rest) > 0; {
		var e journal.Entry
		var bad error
		if e, rest, bad = parseLine(rest); bad != nil {
			return m, entries, errors.Join(err, bad)
		}
		entries = append(entries, e)
	}
	switch {
	case err != nil:
		return m, entries, err
	case sha256.Sum256(lines) != m.Digest || uint64(len(lines)) != m.Size:
		return m, entries, errors.New("its lines are not those of its manifest")
	}
	return m, entries, m.fits(entries)
}

// unpack decompresses the lines; with an error, as many as could be.
func unpack(r io.Reader, size uint64) (lines []byte, err error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxSize))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err = io.Copy(b, io.LimitReader(d, int64(size)+1)); err != nil {
		err = fmt.Errorf("it can't be decompressed: %w", err)
	}
	return b.Bytes(), err
}

// fits tells whether these are the events of which a manifest speaks.
func (m Manifest) fits(entries []journal.Entry) error {
	last := m.Before.ID
	for _, e := range entries {
		if !e.ID.Follows(last) {
			return fmt.Errorf("%s does not follow %s", e.ID, last)
		}
		last = e.ID
	}
	if n := len(entries); n == 0 || uint64(n) != m.Count || entries[0].ID != m.First || m.Last != (journal.Head{ID: last, Hash: entries[n-1].Hash}) {
		return errors.New("its events are not those of its manifest")
	}
	return nil
}
