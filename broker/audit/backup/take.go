package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Config says what to copy, and where to.
type Config struct {
	Store      journal.Store
	Dir        string // new, or empty
	Log, Shard string
	Program    string
	HeadsDir   string // of the signed heads on this machine; "" for none
	Checkpoint []byte // the last that was published; nil for none
	Now        func() time.Time
	Progress   func(what string, n int) // now and then; may be nil
}

const (
	pageSize = 512
	keyPage  = 1000
)

// Take makes a backup. It may run beside gateways. A folder without a manifest is what one that was interrupted left.
func Take(ctx context.Context, c Config) (Manifest, broker.Hash, error) {
	t := &taking{Config: c, m: Manifest{V: Version, Log: c.Log, Shard: c.Shard, Taken: c.Now().UTC().Truncate(time.Second), Program: c.Program,
		Checkpoint: string(c.Checkpoint), Heads: []File{}}}
	digest, err := t.take(ctx)
	if err != nil {
		return Manifest{}, broker.Hash{}, fmt.Errorf("make backup: %w", err)
	}
	return t.m, digest, nil
}

type taking struct {
	Config
	m        Manifest
	register journal.Head
	recorded []bool // by register seq
}

func (t *taking) take(ctx context.Context) (broker.Hash, error) {
	if err := emptyFolder(t.Dir); err != nil {
		return broker.Hash{}, err
	}
	// The register's end first: whatever recorded an entry up to it was added in the same step, and so stands before the
	// writers' ends that are looked up later.
	var err error
	if t.register, err = t.Store.Head(ctx, journal.Register); err != nil {
		return broker.Hash{}, err
	}
	if t.register == (journal.Head{}) {
		return broker.Hash{}, errors.New("there is no register here")
	}
	t.recorded = make([]bool, t.register.ID.Seq+1)
	t.recorded[0] = true // the genesis
	writers, err := t.Store.Writers(ctx)
	if err != nil {
		return broker.Hash{}, err
	}
	if err := t.stream(ctx, journal.Register, t.register); err != nil {
		return broker.Hash{}, err
	}
	for _, w := range writers {
		if !journal.ValidWriter(w) {
			return broker.Hash{}, fmt.Errorf("there is a stream %q that no writer can have; run schakel audit verify", w)
		}
		head, err := t.Store.Head(ctx, journal.Audit(w))
		if err == nil {
			err = t.stream(ctx, journal.Audit(w), head)
		}
		if err != nil {
			return broker.Hash{}, err
		}
	}
	for seq, is := range t.recorded {
		if !is {
			return broker.Hash{}, fmt.Errorf("no event recorded the register's entry 1-%d: run schakel audit verify; what is not whole could not be put back", seq)
		}
	}
	for _, copyAll := range []func(context.Context) error{t.keys, t.blobs, t.heads} { // keys after the events that use them
		if err := copyAll(ctx); err != nil {
			return broker.Hash{}, err
		}
	}
	return t.finish()
}

// emptyFolder makes sure that nothing is lost by writing into it.
func emptyFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s has something in it; name a new folder", dir)
	}
	return err
}

// stream copies a stream up to a head, but nothing that rests on more of the register than is copied.
func (t *taking) stream(ctx context.Context, s journal.Stream, head journal.Head) error {
	out := Stream{Stream: s}
	f, err := t.create(strings.ReplaceAll(string(s), ":", "-") + ".jsonl")
	if err != nil {
		return err
	}
	defer func() { _ = f.file.Close() }()
	last := journal.Head{}
	for done := false; !done && last != head; {
		page, err := t.Store.Read(ctx, s, last.ID, pageSize)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("%s ends at %s, and its head is %s; run schakel audit verify", s, last.ID, head.ID)
		}
		for _, e := range page {
			if e.Hash != broker.Hash(sha256.Sum256(e.Bytes)) || !e.ID.Follows(last.ID) {
				return fmt.Errorf("%s is not whole at %s: run schakel audit verify; what is not whole could not be put back", s, e.ID)
			}
			if s != journal.Register {
				if done, err = t.beyond(e); err != nil {
					return fmt.Errorf("event %s of %s: %w", e.ID, s, err)
				}
			}
			if done {
				break
			}
			if err := f.line(lineOf(e)); err != nil {
				return err
			}
			last = journal.Head{ID: e.ID, Hash: e.Hash}
			if f.Lines%10_000 == 0 {
				t.progress(string(s), f.Lines)
			}
			if last.ID == head.ID {
				break
			}
		}
	}
	out.Head = audit.Ref{ID: audit.ID(last.ID), Hash: last.Hash}
	if out.File, err = f.end(); err == nil && last != (journal.Head{}) {
		t.m.Streams = append(t.m.Streams, out)
	}
	return err
}

// beyond tells whether an event rests on more of the register than is copied, and notes what it recorded.
func (t *taking) beyond(e journal.Entry) (bool, error) {
	recorded, position, err := records(e)
	if err != nil {
		return false, err
	}
	if uint64(position) > t.register.ID.Seq+1 {
		return true, nil
	}
	for _, r := range recorded {
		if r.ID.Seq > t.register.ID.Seq {
			return true, nil
		}
	}
	for _, r := range recorded {
		t.recorded[r.ID.Seq] = true
	}
	return false, nil
}

// records gives the register entries that an event recorded, and the position that it was made at.
func records(e journal.Entry) ([]audit.Ref, broker.Position, error) {
	event, err := audit.Decode(e.Bytes)
	if err != nil || event.Kind != audit.KindRegister {
		return nil, event.Position, err
	}
	var r audit.Recorded
	if err := json.Unmarshal(event.Common, &r); err != nil {
		return nil, 0, errors.New("it is no register event, and says it is")
	}
	return r.Entries, event.Position, nil
}

func (t *taking) keys(ctx context.Context) error {
	f, err := t.create(keysFile)
	if err != nil {
		return err
	}
	defer func() { _ = f.file.Close() }()
	t.m.Keys.Generations = map[string]int{}
	seen := map[string]bool{}
	for from := ""; ; {
		page, next, err := t.Store.ScanKeys(ctx, from, keyPage)
		if err != nil {
			return err
		}
		for _, k := range page {
			if seen[k.ID] {
				continue
			}
			seen[k.ID] = true
			generation, err := keys.WrappedBy(k.Wrapped)
			if err != nil {
				return err
			}
			t.m.Keys.Generations[generation]++
			if err := f.line(namedLine{[]byte(k.ID), k.Wrapped}); err != nil {
				return err
			}
		}
		t.progress("keys", f.Lines)
		if from = next; from == "" {
			break
		}
	}
	t.m.Keys.File, err = f.end()
	return err
}

func (t *taking) blobs(ctx context.Context) error {
	f, err := t.create(blobsFile)
	if err != nil {
		return err
	}
	defer func() { _ = f.file.Close() }()
	names, err := t.Store.BlobNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := t.Store.Blob(ctx, name)
		if err == nil {
			err = f.line(namedLine{[]byte(name), data})
		}
		if err != nil {
			return err
		}
	}
	t.m.Blobs, err = f.end()
	return err
}

// heads copies the files of signed heads, as they are.
func (t *taking) heads(context.Context) error {
	if t.HeadsDir == "" {
		return nil
	}
	found, err := os.ReadDir(t.HeadsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(t.Dir, headsFolder), 0o700); err != nil {
		return err
	}
	for _, entry := range found {
		if !strings.HasSuffix(entry.Name(), ".jsonl") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(t.HeadsDir, entry.Name()))
		if err != nil {
			return err
		}
		f, err := t.create(filepath.Join(headsFolder, entry.Name()))
		if err != nil {
			return err
		}
		_, err = f.out.Write(data)
		_, _ = f.sum.Write(data)
		f.Bytes = int64(len(data))
		file, e := f.end()
		if err := errors.Join(err, e); err != nil {
			return err
		}
		t.m.Heads = append(t.m.Heads, file)
	}
	return nil
}

// finish writes the manifest, whole or not at all.
func (t *taking) finish() (broker.Hash, error) {
	data, err := json.MarshalIndent(t.m, "", "  ")
	if err != nil {
		return broker.Hash{}, err
	}
	data = append(data, '\n')
	f, err := os.OpenFile(filepath.Join(t.Dir, manifestFile+".new"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return broker.Hash{}, err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(t.Dir, manifestFile))
	}
	if err == nil {
		var d *os.File
		if d, err = os.Open(t.Dir); err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
	}
	return sha256.Sum256(data), err
}

func (t *taking) progress(what string, n int) {
	if t.Progress != nil {
		t.Progress(what, n)
	}
}

// output is a file of the folder that is being written.
type output struct {
	File
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
}

func (t *taking) create(name string) (*output, error) {
	f, err := os.OpenFile(filepath.Join(t.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &output{File: File{Name: name}, file: f, out: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}, nil
}

func (o *output) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	data = append(data, '\n')
	_, _ = o.sum.Write(data) // never fails (hash.Hash)
	o.Lines, o.Bytes = o.Lines+1, o.Bytes+int64(len(data))
	_, err = o.out.Write(data)
	return err
}

// end makes what was written durable.
func (o *output) end() (File, error) {
	o.SHA256 = broker.Hash(o.sum.Sum(nil))
	return o.File, errors.Join(o.out.Flush(), o.file.Sync(), o.file.Close())
}

func lineOf(e journal.Entry) entryLine {
	l := entryLine{ID: audit.ID(e.ID), Hash: e.Hash, Bytes: e.Bytes}
	for _, t := range e.Touches {
		l.Touches = append(l.Touches, []byte(t))
	}
	return l
}

func (l entryLine) entry() journal.Entry {
	e := journal.Entry{ID: journal.ID(l.ID), Hash: l.Hash, Bytes: l.Bytes}
	for _, t := range l.Touches {
		e.Touches = append(e.Touches, broker.Touch(t))
	}
	return e
}
