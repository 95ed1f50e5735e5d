package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/schakel/schakel/broker/journal"
)

// Folder reads the streams of a backup as those of a journal, so that it can be verified like one. It has no other methods of a
// journal than those that read streams.
type Folder struct {
	journal.Store
	dir     string
	streams map[journal.Stream]Stream

	mu   sync.Mutex
	open map[journal.Stream]*folderReader
}

// folderReader is where in a stream was read last.
type folderReader struct {
	in   *streamReader
	last journal.ID
}

// OpenFolder gives the streams of a backup.
func OpenFolder(dir string, m Manifest) *Folder {
	f := &Folder{dir: dir, streams: map[journal.Stream]Stream{}, open: map[journal.Stream]*folderReader{}}
	for _, s := range m.Streams {
		f.streams[s.Stream] = s
	}
	return f
}

// Writers implements journal.Store.
func (f *Folder) Writers(context.Context) ([]string, error) {
	var out []string
	for s := range f.streams {
		if w, ok := strings.CutPrefix(string(s), "audit:"); ok {
			out = append(out, w)
		}
	}
	return out, nil
}

// Head implements journal.Store.
func (f *Folder) Head(_ context.Context, s journal.Stream) (journal.Head, error) {
	h := f.streams[s].Head
	return journal.Head{ID: journal.ID(h.ID), Hash: h.Hash}, nil
}

// Read implements journal.Store. It is quick where a stream is read in order.
func (f *Folder) Read(_ context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stream, there := f.streams[s]
	if !there {
		return nil, nil
	}
	r := f.open[s]
	if r == nil || after.Less(r.last) {
		if r != nil {
			r.in.close()
		}
		in, err := openStream(f.dir, stream)
		if err != nil {
			return nil, err
		}
		r = &folderReader{in: in}
		f.open[s] = r
	}
	var out []journal.Entry
	for len(out) < max {
		e, err := r.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s of the backup: %w", s, err)
		}
		if r.last = e.ID; after.Less(e.ID) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Close lets the files go.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.open {
		r.in.close()
	}
	return nil
}

// lines gives each line of a file of the folder.
func lines[T any](dir string, f File, take func(T) error) error {
	in, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	d := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	for {
		var v T
		err := d.Decode(&v)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = take(v)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
}

// streamReader reads a stream of the folder from its begin.
type streamReader struct {
	file *os.File
	d    *json.Decoder
}

func openStream(dir string, s Stream) (*streamReader, error) {
	f, err := os.Open(filepath.Join(dir, s.Name))
	if err != nil {
		return nil, err
	}
	return &streamReader{f, json.NewDecoder(bufio.NewReaderSize(f, 1<<18))}, nil
}

// next gives the next entry; io.EOF at the end.
func (s *streamReader) next() (journal.Entry, error) {
	var l entryLine
	if err := s.d.Decode(&l); err != nil {
		return journal.Entry{}, err
	}
	return l.entry(), nil
}

func (s *streamReader) close() { _ = s.file.Close() }
