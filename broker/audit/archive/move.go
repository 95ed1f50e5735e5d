package archive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// Config says what is moved, and where to.
type Config struct {
	Log   string                         // the log's id
	Store *Store                         // the journal, and the folder, which is of this log alone
	Old   func(journal.Entry) bool       // whether an event may be moved; once one may not, none after it is
	Due   func(first journal.Entry) bool // whether a segment that begins with it is made although it is not full; nil: always
	// Merkle gives the log whose published checkpoint must cover what is dropped: under the keys of the log and of the
	// witnesses that must cosign.
	Merkle func() (*checkpoint.Log, error)
	Wait   time.Duration // for a checkpoint over the new manifests

	Progress func(Moved)      // now and then; may be nil
	Now      func() time.Time // time.Now when nil

	step func(string) error // tests stop here
	full int                // and make small segments; fullSize where zero
}

// Moved is what one Move did.
type Moved struct {
	Segments int    `json:"segments"` // made
	Events   uint64 `json:"events"`   // in them
	Bytes    uint64 `json:"bytes"`    // of their lines
	Stored   uint64 `json:"stored"`   // of their files
	Trimmed  uint64 `json:"trimmed"`  // events dropped from the journal; of segments made before too
	Waiting  int    `json:"waiting"`  // segments that no checkpoint covers yet: they are dropped from the journal next time
}

// ErrBusy tells that another process moves events into this folder now.
var ErrBusy = errors.New("another process archives now; wait until it is done")

// mover is one Move.
type mover struct {
	Config
	places []place
	last   Manifest // the newest
	moved  Moved
}

func (m *mover) dir() string { return m.Store.folder.dir }

// Move writes the events that are old enough into segments, and drops from the journal what the log vouches for. What an
// earlier one left, which may have died at any moment, it takes up.
func Move(ctx context.Context, c Config) (Moved, error) {
	m := &mover{Config: c}
	if m.Now == nil {
		m.Now = time.Now
	}
	m.full = cmp.Or(m.full, fullSize)
	release, err := lock(m.dir())
	if err == nil {
		err = errors.Join(m.run(ctx), release())
	}
	if err != nil {
		return m.moved, fmt.Errorf("archive: %w", err)
	}
	return m.moved, nil
}

// lock takes the folder, makes it where it is not there, and clears what nobody finished.
func lock(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrBusy
	}
	var left []string
	if err == nil {
		left, err = filepath.Glob(filepath.Join(dir, unfinished+"*"))
	}
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil // which lets go of the lock
}

func (m *mover) run(ctx context.Context) error {
	var err error
	if m.places, err = m.Store.folder.list(); err != nil {
		return err
	}
	if n := len(m.places); n > 0 {
		if m.last, err = m.Store.folder.manifest(m.places[n-1]); err != nil {
			return err
		}
		if m.last.Seq != uint64(n-1) {
			return fmt.Errorf("%s has %d segments, and the last has number %d: one is missing; put it back, `schakel audit verify` names it", m.dir(), n, m.last.Seq)
		}
		if m.last.Log != m.Log {
			return fmt.Errorf("%s holds segments of another log; name a folder of its own for this one", m.dir())
		}
	}
	writers, err := m.Store.Writers(ctx)
	if err != nil {
		return err
	}
	for _, w := range writers {
		if err := m.write(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", journal.Audit(w), err)
		}
	}
	return m.drop(ctx, writers)
}

// at is where tests stop.
func (m *mover) at(step string) error {
	if m.Progress != nil {
		m.Progress(m.moved)
	}
	if m.step != nil {
		return m.step(step)
	}
	return nil
}

// of gives a writer's segments, in order.
func (m *mover) of(writer string) []place {
	var out []place
	for _, p := range m.places {
		if p.writer == writer {
			out = append(out, p)
		}
	}
	return out
}

// write makes segments of what of a stream may be moved.
func (m *mover) write(ctx context.Context, writer string) error {
	var before journal.Head
	if list := m.of(writer); len(list) > 0 {
		last, err := m.Store.folder.manifest(list[len(list)-1])
		if err != nil {
			return err
		}
		before = last.Last
	}
	for {
		run, err := m.next(ctx, writer, before)
		if err != nil || len(run) == 0 {
			return err
		}
		lines, n := []byte(nil), 0
		for n < len(run) && len(lines) < m.full {
			if lines, err = appendLine(lines, run[n]); err != nil {
				return fmt.Errorf("event %s: %w", run[n].ID, err)
			}
			n++
		}
		if len(lines) < m.full && m.Due != nil && !m.Due(run[0]) {
			return nil
		}
		end := run[n-1]
		s := Manifest{Log: m.Log, Made: m.Now().UTC().Truncate(time.Second), Writer: writer, Before: before, First: run[0].ID,
			Last: journal.Head{ID: end.ID, Hash: end.Hash}, Count: uint64(n), Size: uint64(len(lines)), Digest: sha256.Sum256(lines)}
		if len(m.places) > 0 {
			s.Seq, s.Prev = m.last.Seq+1, m.last.Hash()
		}
		if err := m.put(s, lines); err != nil {
			return err
		}
		before = s.Last
	}
}

// page is how many events are read at a time: more than a batch.
const page = 2 * journal.MaxEvents

func sizeOf(entries []journal.Entry) (size int) {
	for _, e := range entries {
		size += len(e.Bytes)
	}
	return size
}

// next gives the events after one that may be moved, as many as make a segment full and no more: old, under the checkpoint, and
// not the writer's last batch.
func (m *mover) next(ctx context.Context, writer string, before journal.Head) ([]journal.Entry, error) {
	stream := journal.Audit(writer)
	run, err := m.after(ctx, stream, before)
	if err != nil || len(run) == 0 {
		return nil, err
	}
	// As far as it needs to know that a batch follows.
	for more := run; len(more) == page && sizeOf(run[:len(run)-journal.MaxEvents]) < m.full; {
		if more, err = m.Store.Read(ctx, stream, run[len(run)-1].ID, page); err != nil {
			return nil, err
		}
		run = append(run, more...)
	}
	run = run[:max(0, len(run)-journal.MaxEvents)]
	last := before.ID
	for i, e := range run {
		if !e.ID.Follows(last) {
			return nil, fmt.Errorf("event %s does not follow %s; run `schakel audit verify`", e.ID, last)
		}
		if last = e.ID; !m.Old(e) {
			run = run[:i]
			break
		}
	}
	if len(run) == 0 {
		return nil, nil
	}
	log, c, err := m.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	n, err := log.Covers(ctx, c, leavesOf(stream, run))
	return run[:n], err
}

// after reads the first page after the last event that was moved, which must still be the one it was.
func (m *mover) after(ctx context.Context, stream journal.Stream, before journal.Head) ([]journal.Entry, error) {
	if before == (journal.Head{}) {
		return m.Store.Read(ctx, stream, journal.ID{}, page)
	}
	run, err := m.Store.Read(ctx, stream, before.ID.Before(), 1)
	if err != nil {
		return nil, err
	}
	if len(run) == 0 || run[0].ID != before.ID || run[0].Hash != before.Hash {
		return nil, fmt.Errorf("event %s was archived, and the journal has another in its place or none: it was put back or rewritten; run `schakel audit verify`. `schakel restore` is the way to put back a backup", before.ID)
	}
	return m.Store.Read(ctx, stream, before.ID, page)
}

func leavesOf(stream journal.Stream, entries []journal.Entry) []checkpoint.Leaf {
	out := make([]checkpoint.Leaf, len(entries))
	for i, e := range entries {
		out[i] = checkpoint.Leaf{Stream: stream, ID: e.ID, Hash: e.Hash}
	}
	return out
}

// checkpoint gives the published checkpoint, which the witnesses cosigned.
func (m *mover) checkpoint(ctx context.Context) (*checkpoint.Log, checkpoint.Checkpoint, error) {
	log, err := m.Merkle()
	if err != nil {
		return nil, checkpoint.Checkpoint{}, err
	}
	c, err := log.Latest(ctx)
	return log, c, err
}

// put writes a segment to disk, under its name once it is whole.
func (m *mover) put(s Manifest, lines []byte) (err error) {
	file, err := pack(s, lines)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(m.dir(), unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.Remove(f.Name()); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}()
	_, err = f.Write(file)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := m.at("written"); err != nil {
		return err
	}
	if err := os.Link(f.Name(), filepath.Join(m.dir(), s.place().name())); err != nil { // unlike a rename, it replaces nothing
		return err
	}
	if err := syncFolder(m.dir()); err != nil {
		return err
	}
	m.places, m.last = append(m.places, s.place()), s
	m.moved.Segments++
	m.moved.Events += s.Count
	m.moved.Bytes += s.Size
	m.moved.Stored += uint64(len(file))
	return m.at("named")
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
