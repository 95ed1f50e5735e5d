package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// An index is one file: the manifest, an empty line, an entry a line, an empty line, and the encrypted index of what is not
// named. It names no person and no event, and who has it can tell whether a pseudonym that they know is in it.
const suffix = ".index"

func fileName(seq uint64) string { return fmt.Sprintf("%06d%s", seq, suffix) }

// writeFile puts a whole new file in place, or none; ErrBuilt where there is one.
func writeFile(dir string, m Manifest, entries []entry, sealed []byte) error {
	b := bytes.NewBuffer(append(m.Text(), '\n'))
	for _, e := range entries {
		b.Write(append(e.text(), '\n'))
	}
	b.WriteByte('\n')
	b.Write(append(sealed, '\n'))
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
func readSealed(dir string, seq uint64) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileName(seq)))
	if err != nil {
		return nil, err
	}
	return data[bytes.LastIndex(data, []byte("\n{"))+1:], nil
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
	m, err := parseManifest(append(head, '\n'))
	if err != nil {
		return fail(err)
	}
	list, _, _ := strings.Cut("\n"+string(rest), "\n\n")
	var entries []entry
	for line := range strings.Lines(strings.TrimPrefix(list, "\n")) {
		var e entry
		key, digest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := errors.Join(e.key.UnmarshalText([]byte(key)), e.digest.UnmarshalText([]byte(digest))); err != nil {
			return fail(errors.New("an entry was altered"))
		}
		entries = append(entries, e)
	}
	t, err := newTree(entries)
	if err != nil {
		return fail(err)
	}
	if t.root != m.Root || uint64(len(entries)) != m.Size || m.Seq != seq {
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
func readManifest(dir string, seq uint64) (Manifest, error) {
	f, err := os.Open(filepath.Join(dir, fileName(seq)))
	if err != nil {
		return Manifest{}, err
	}
	defer f.Close()
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
