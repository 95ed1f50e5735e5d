package index

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// An index is one file: the manifest, an empty line, an entry a line, an empty line, the encrypted index of what is not named on
// a line, the hashes of the tree (as tlog stores them) and the encrypted places of events. Files of before lack those two. It
// names no person and no event, and who has it can tell whether a pseudonym that they know is in it.
const suffix = ".index"

func fileName(seq uint64) string { return fmt.Sprintf("%06d%s", seq, suffix) }

// entryLine is the length of an entry with the end of its line.
const entryLine = 2*(2*len(broker.Hash{})) + 2

// writeFile puts a whole new file in place, or none; ErrBuilt where there is one.
func writeFile(dir string, m Manifest, t *tree, notNamed, places []byte) error {
	b := bytes.NewBuffer(append(m.Text(), '\n'))
	for _, e := range t.entries {
		b.Write(append(e.text(), '\n'))
	}
	b.WriteByte('\n')
	b.Write(append(notNamed, '\n'))
	for _, h := range t.hashes {
		b.Write(h[:])
	}
	b.Write(places)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	err = os.Link(f.Name(), filepath.Join(dir, fileName(m.Seq))) // unlike a rename, it fails where there is one
	if errors.Is(err, fs.ErrExist) {
		return ErrBuilt
	}
	return err
}

// readSealed reads the encrypted index of what is not named.
func readSealed(dir string, seq uint64) (line []byte, err error) {
	d, err := openDay(dir, seq)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return d.notNamed, nil
}

// day is an index that is open to be looked up in. Nothing that it has is sure but by a proof up to the root of its manifest.
type day struct {
	leaves
	manifest Manifest
	notNamed []byte

	file    *os.File
	entries int64 // where they begin
	hashes  int64
	places  int64
}

func openDay(dir string, seq uint64) (d *day, err error) {
	d = &day{}
	if d.file, err = os.Open(filepath.Join(dir, fileName(seq))); err != nil {
		return nil, fmt.Errorf("read index %d: %w", seq, err)
	}
	whole, err := d.open()
	if err == nil && d.manifest.Seq != seq {
		err = errors.New("its manifest has another number")
	}
	if err == nil && !whole { // a file of before
		var t *tree
		_, t, err = readFile(dir, seq)
		d.leaves = t
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read index %d: %w", seq, err), d.close())
	}
	return d, nil
}

// open finds where everything is; not whole where there are no hashes.
func (d *day) open() (whole bool, err error) {
	if d.manifest, err = manifestOf(d.file); err != nil {
		return false, err
	}
	d.leaves, d.entries = inFile{d}, int64(len(d.manifest.Text()))+1
	after := d.entries + int64(d.manifest.Size)*int64(entryLine) + 1
	info, err := d.file.Stat()
	if err != nil {
		return false, err
	}
	if d.manifest.Size > uint64(info.Size()) || after > info.Size() {
		return false, errShort
	}
	if d.notNamed, err = bufio.NewReader(io.NewSectionReader(d.file, after, info.Size()-after)).ReadBytes('\n'); err != nil {
		return false, errShort
	}
	d.hashes = after + int64(len(d.notNamed))
	d.places = d.hashes + tlog.StoredHashCount(int64(d.manifest.Size))*tlog.HashSize
	d.notNamed = d.notNamed[:len(d.notNamed)-1]
	if d.hashes == info.Size() && d.manifest.Size > 0 {
		return false, nil
	}
	if d.places > info.Size() {
		return false, errShort
	}
	return true, nil
}

var errShort = errors.New("it ends too early: the file was altered")

func (d *day) close() error { return d.file.Close() }

// readPlaces gives the encrypted places; nothing in a file of before.
func (d *day) readPlaces() ([]byte, error) {
	if _, is := d.leaves.(inFile); !is {
		return nil, nil
	}
	if _, err := d.file.Seek(d.places, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(d.file)
}

// inFile are the leaves of a day as they stand in its file.
type inFile struct{ *day }

func (f inFile) size() int { return int(f.manifest.Size) }

func (f inFile) entry(i int) (entry, error) {
	line := make([]byte, entryLine)
	if _, err := f.file.ReadAt(line, f.entries+int64(i)*int64(entryLine)); err != nil {
		return entry{}, errShort
	}
	return parseEntry(line)
}

// ReadHashes implements tlog.HashReader.
func (f inFile) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if _, err := f.file.ReadAt(out[i][:], f.hashes+n*tlog.HashSize); err != nil {
			return nil, errShort
		}
	}
	return out, nil
}

// parseEntry reads one line.
func parseEntry(line []byte) (e entry, err error) {
	key, digest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if errors.Join(e.key.UnmarshalText(key), e.digest.UnmarshalText(digest)) != nil {
		return e, errors.New("an entry was altered")
	}
	return e, nil
}

// readFile reads an index and makes sure that its entries make the root of its manifest.
func readFile(dir string, seq uint64) (Manifest, *tree, error) {
	fail := func(err error) (Manifest, *tree, error) {
		return Manifest{}, nil, fmt.Errorf("read index %d: %w", seq, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName(seq)))
	if err != nil {
		return fail(err)
	}
	head, rest, _ := bytes.Cut(data, []byte("\n\n"))
	m, err := parseManifest(append(bytes.Clone(head), '\n'))
	if err != nil {
		return fail(err)
	}
	if m.Size > uint64(len(rest)) || m.Size*uint64(entryLine) >= uint64(len(rest)) {
		return fail(errShort)
	}
	var entries []entry
	for line := range slices.Chunk(rest[:m.Size*uint64(entryLine)], entryLine) {
		e, err := parseEntry(line)
		if err != nil {
			return fail(err)
		}
		entries = append(entries, e)
	}
	t, err := newTree(entries)
	if err != nil {
		return fail(err)
	}
	if t.root != m.Root || m.Seq != seq || rest[len(entries)*entryLine] != '\n' {
		return fail(errors.New("its entries do not make the root of its manifest: the file was altered"))
	}
	return m, t, nil
}

// numbers lists the indexes of a folder, in order.
func numbers(dir string) ([]uint64, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []uint64
	for _, f := range files {
		if digits, is := strings.CutSuffix(f.Name(), suffix); is {
			n, err := strconv.ParseUint(digits, 10, 63)
			if err != nil || fileName(n) != f.Name() {
				return nil, fmt.Errorf("%s is no index; take it out of the folder", filepath.Join(dir, f.Name()))
			}
			out = append(out, n)
		}
	}
	slices.Sort(out)
	for i, n := range out {
		if n != uint64(i) {
			return nil, fmt.Errorf("index %d is missing in %s; put it back from its backup", i, dir)
		}
	}
	return out, err
}

// readManifest reads the manifest alone.
func readManifest(dir string, seq uint64) (m Manifest, err error) {
	f, err := os.Open(filepath.Join(dir, fileName(seq)))
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return manifestOf(f)
}

// manifestOf reads what a file begins with.
func manifestOf(f *os.File) (Manifest, error) {
	head := make([]byte, 0, 4096)
	for {
		if end := bytes.Index(head, []byte("\n\n")); end >= 0 {
			return parseManifest(head[:end+1])
		}
		head = slices.Grow(head, 4096)
		n, err := f.Read(head[len(head):cap(head)])
		if head = head[:len(head)+n]; n == 0 {
			return Manifest{}, errors.Join(errNoManifest, err)
		}
	}
}

// lastManifest gives the newest; nil where there is none.
func lastManifest(dir string) (*Manifest, error) {
	list, err := numbers(dir)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	m, err := readManifest(dir, list[len(list)-1])
	return &m, err
}

// Streams is a journal with one stream more: that of the manifests in a folder. A checkpointer that is given it seals them.
type Streams struct {
	checkpoint.Streams
	Dir string
}

// Writers implements checkpoint.Streams.
func (s Streams) Writers(ctx context.Context) ([]string, error) {
	writers, err := s.Streams.Writers(ctx)
	own := slices.DeleteFunc(writers, func(w string) bool { return w == checkpoint.IndexWriter })
	return append(own, checkpoint.IndexWriter), err
}

// Head implements checkpoint.Streams.
func (s Streams) Head(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	if stream != checkpoint.Index {
		return s.Streams.Head(ctx, stream)
	}
	m, err := lastManifest(s.Dir)
	if err != nil || m == nil {
		return journal.Head{}, err
	}
	return journal.Head{ID: m.id(), Hash: m.Hash()}, nil
}

// Read implements checkpoint.Streams.
func (s Streams) Read(ctx context.Context, stream journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	if stream != checkpoint.Index {
		return s.Streams.Read(ctx, stream, after, limit)
	}
	list, err := numbers(s.Dir)
	var out []journal.Entry
	for _, n := range list {
		if (journal.ID{Epoch: 1, Seq: n}).Less(after) || (journal.ID{Epoch: 1, Seq: n}) == after || len(out) == limit {
			continue
		}
		m, err := readManifest(s.Dir, n)
		if err != nil {
			return nil, err
		}
		out = append(out, journal.Entry{ID: m.id(), Hash: m.Hash(), Bytes: m.Text()})
	}
	return out, err
}

// id is the manifest's place in the stream of manifests.
func (m Manifest) id() journal.ID { return journal.ID{Epoch: 1, Seq: m.Seq} }

// leaf is what the Merkle log has of it.
func (m Manifest) leaf() checkpoint.Leaf {
	return checkpoint.Leaf{Stream: checkpoint.Index, ID: m.id(), Hash: m.Hash()}
}
