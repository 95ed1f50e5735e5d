package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Head is what a writer vouches for by its signature: its stream up to an event, and so everything before.
type Head struct {
	Log    string      `json:"log"`
	Writer string      `json:"writer"`
	Epoch  uint64      `json:"epoch"`
	Seq    uint64      `json:"seq"`
	Hash   broker.Hash `json:"hash"`
	Time   time.Time   `json:"time"`
}

// ID is the id of the head's event.
func (h Head) ID() journal.ID { return journal.ID{Epoch: h.Epoch, Seq: h.Seq} }

// SignedHead is one line of a heads file. The signature carries the head too; Head is there to be read by eye.
type SignedHead struct {
	Head
	Signature string `json:"signature"`
}

const (
	headsEvery = time.Second
	headsSize  = 4 << 20 // of one file; the one before is kept
)

// ReadHeads gives the signed heads a folder has of one writer, or of all for "", oldest first for each writer. Nothing
// for a folder that doesn't exist. A last line without its end, from a crash, is left out; any other damaged line is an
// error that names it. Signatures are not verified here.
func ReadHeads(dir, writer string) ([]SignedHead, error) {
	names := []string{writer}
	if writer == "" {
		names = nil
		found, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read heads: %w", err)
		}
		for _, f := range found {
			if name, ok := strings.CutSuffix(f.Name(), ".jsonl"); ok && journal.ValidWriter(name) {
				names = append(names, name)
			}
		}
	}
	var out []SignedHead
	for _, name := range names {
		for _, path := range []string{olderHeads(dir, name), headsPath(dir, name)} {
			heads, err := readHeadsFile(path)
			if err != nil {
				return nil, err
			}
			out = append(out, heads...)
		}
	}
	return out, nil
}

func headsPath(dir, writer string) string  { return filepath.Join(dir, writer+".jsonl") }
func olderHeads(dir, writer string) string { return filepath.Join(dir, writer+".older.jsonl") }

func readHeadsFile(path string) ([]SignedHead, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read heads: %w", err)
	}
	var out []SignedHead
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return out, nil
		}
		var h SignedHead
		if err := json.Unmarshal(line, &h); err != nil || h.Signature == "" {
			return nil, fmt.Errorf("read heads: line %d of %s is damaged; keep a copy and move it away", n, path)
		}
		out, data = append(out, h), rest
	}
}

// headsFile is the file a writer appends its signed heads to.
type headsFile struct {
	dir, writer string
	f           *os.File
	size        int64
	last        journal.Head
}

func openHeads(dir, writer string) (*headsFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open heads: %w", err)
	}
	h := &headsFile{dir: dir, writer: writer}
	return h, h.open()
}

// open opens the file for appending, and cuts off a line that a crash left half written.
func (h *headsFile) open() error {
	f, err := os.OpenFile(headsPath(h.dir, h.writer), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open heads: %w", err)
	}
	data, err := os.ReadFile(f.Name())
	if err == nil {
		h.size = int64(bytes.LastIndexByte(data, '\n') + 1)
		err = f.Truncate(h.size)
	}
	if err == nil {
		err = syncDir(h.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open heads: %w", err), f.Close())
	}
	h.f = f
	return nil
}

func (h *headsFile) append(s SignedHead) error {
	line, err := marshal(s)
	if err != nil {
		return err
	}
	if h.f == nil || h.size+int64(len(line)) > headsSize {
		if err := h.rotate(); err != nil {
			return err
		}
	}
	if _, err = h.f.Write(append(line, '\n')); err == nil {
		err = h.f.Sync()
	}
	if err != nil { // maybe half written: opening again cuts that off
		err = errors.Join(err, h.f.Close())
		h.f = nil
		return fmt.Errorf("keep head: %w", err)
	}
	h.size += int64(len(line)) + 1
	return nil
}

// rotate starts a new file where this one is full. The newest head is always in one of the two.
func (h *headsFile) rotate() error {
	if h.f != nil {
		if err := h.f.Close(); err != nil {
			return fmt.Errorf("rotate heads: %w", err)
		}
		h.f = nil
		if err := os.Rename(headsPath(h.dir, h.writer), olderHeads(h.dir, h.writer)); err != nil {
			return fmt.Errorf("rotate heads: %w", err)
		}
	}
	return h.open()
}

func (h *headsFile) close() error {
	if h == nil || h.f == nil {
		return nil
	}
	return h.f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepHeads signs the head each second when it moved, and once more at the end.
func (w *Writer) keepHeads(file *headsFile) {
	tick := time.NewTicker(headsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.signHead(file)
		case <-w.ended:
			w.signHead(file)
			_ = file.close() // every line was synced
			return
		}
	}
}

func (w *Writer) signHead(file *headsFile) {
	head := w.Head()
	if head == file.last {
		return
	}
	s := SignedHead{Head: Head{
		Log: w.cfg.Log, Writer: w.cfg.Writer, Epoch: head.ID.Epoch, Seq: head.ID.Seq, Hash: head.Hash,
		Time: w.cfg.Now().UTC(),
	}}
	var err error
	if s.Signature, err = w.cfg.SignHead(s.Head); err == nil {
		err = file.append(s)
	}
	if err == nil {
		file.last = head
	} else {
		err = fmt.Errorf("sign head: %w", err)
	}
	w.mu.Lock()
	w.headErr = err
	w.mu.Unlock()
}
