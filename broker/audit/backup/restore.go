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
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Note is the name under which a journal remembers that it is being put back. No gateway may have it.
const Note = "restore"

const (
	begun = "begun "
	done  = "done "
)

// Unfinished tells whether a restore into this journal was begun and not finished: nothing may serve from it.
func Unfinished(ctx context.Context, store journal.Notebook) (bool, error) {
	notes, err := store.Notes(ctx)
	return strings.HasPrefix(string(notes[Note]), begun), err
}

// RestoreConfig says what to put back, and where.
type RestoreConfig struct {
	Dir   string
	Store journal.Store // empty, or what an interrupted restore of this very backup left
	// Dead tells of a wrapped key that nothing unwraps any more, since what wrapped it was destroyed by an erasure after the
	// backup was made: it is left out. Nil: none.
	Dead     func(wrapped []byte) bool
	Now      func() time.Time         // time.Now when nil
	Progress func(what string, n int) // now and then; may be nil
}

// Restored tells what was put back.
type Restored struct {
	Name    string // that what goes on from here has (Name)
	Number  int    // of this restore: one more than those that the backup remembers
	Entries int
	Keys    int
	Dead    int // keys left out: what they encrypted was erased since, or shared the fate of what was
	Blobs   int
}

// restoredBlobs is what the names of the blobs begin with by which a journal remembers that it was put back, for ever.
const restoredBlobs = "restored/"

// nameLayout is that of a Name, by when a restore began: the same backup may be put back twice.
const nameLayout = "restored-20060102T150405Z"

// IsName tells whether something is a Name.
func IsName(s string) bool {
	_, err := time.Parse(nameLayout, s)
	return err == nil
}

// Name gives the name that a log has since it was put back last; "" where it never was. A log that was put back goes on otherwise
// than it did before, so whatever is published of it goes by another name from then on, and into another folder.
func Name(ctx context.Context, store journal.Store) (string, error) {
	names, err := store.BlobNames(ctx)
	if err != nil {
		return "", err
	}
	n := 0
	for _, name := range names {
		if strings.HasPrefix(name, restoredBlobs) {
			n++
		}
	}
	if n == 0 {
		return "", nil
	}
	name, err := store.Blob(ctx, restoredBlob(n))
	if err == nil && !IsName(string(name)) {
		err = errors.New("the name that this log has since it was put back is damaged; put back a backup")
	}
	return string(name), err
}

func restoredBlob(number int) string { return fmt.Sprintf("%s%d", restoredBlobs, number) }

// Restore puts a backup back, after it verified every byte. What it leaves when it is interrupted, it goes on with when it is
// called again. It is over when Finish was called; until then nothing may serve from the journal.
func Restore(ctx context.Context, c RestoreConfig) (Restored, error) {
	m, digest, err := Read(c.Dir)
	if err == nil {
		err = Verify(c.Dir, m)
	}
	if err != nil {
		return Restored{}, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &restoring{RestoreConfig: c, m: m}
	if err := r.begin(ctx, digest); err != nil {
		return r.out, fmt.Errorf("restore: %w", err)
	}
	for _, step := range []func(context.Context) error{r.keys, r.blobs, r.streams} {
		if err := step(ctx); err != nil {
			return r.out, fmt.Errorf("restore: %w; give the same command again, and it goes on from here", err)
		}
	}
	if err := c.Store.PutBlob(ctx, restoredBlob(r.out.Number), []byte(r.out.Name)); err != nil {
		return r.out, fmt.Errorf("restore: %w; give the same command again", err)
	}
	return r.out, nil
}

// Finish says that a restore is over.
func Finish(ctx context.Context, store journal.Notebook, digest broker.Hash) error {
	return store.PutNote(ctx, Note, []byte(done+digest.String()))
}

type restoring struct {
	RestoreConfig
	m   Manifest
	out Restored
}

// begin makes sure that nothing is in the way, and says that a restore is under way.
func (r *restoring) begin(ctx context.Context, digest broker.Hash) error {
	notes, err := r.Store.Notes(ctx)
	if err != nil {
		return err
	}
	r.out.Name = r.Now().UTC().Format(nameLayout)
	if note, is := strings.CutPrefix(string(notes[Note]), begun); is {
		if of, name, _ := strings.Cut(note, " "); of == digest.String() && IsName(name) {
			r.out.Name = name
			return nil
		}
		return errors.New("the restore of another backup into this journal was interrupted; finish that one, or make the journal empty")
	}
	if err := r.empty(ctx); err != nil {
		return err
	}
	return r.Store.PutNote(ctx, Note, []byte(begun+digest.String()+" "+r.out.Name))
}

func (r *restoring) empty(ctx context.Context) error {
	head, err1 := r.Store.Head(ctx, journal.Register)
	writers, err2 := r.Store.Writers(ctx)
	some, next, err3 := r.Store.ScanKeys(ctx, "", 1)
	blobs, err4 := r.Store.BlobNames(ctx)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	if head != (journal.Head{}) || len(writers)+len(some)+len(blobs) > 0 || next != "" {
		return errors.New("the journal is not empty: a backup is put back into an empty one only. Keep what is there: it may hold what the backup lacks")
	}
	return nil
}

func (r *restoring) keys(ctx context.Context) error {
	var run []journal.WrappedKey
	put := func() error {
		if len(run) == 0 {
			return nil
		}
		_, err := r.Store.PutKeys(ctx, run)
		r.out.Keys += len(run)
		run = run[:0]
		r.progress("keys", r.out.Keys)
		return err
	}
	err := lines(r.Dir, r.m.Keys.File, func(l namedLine) error {
		if r.Dead != nil && r.Dead(l.Data) {
			r.out.Dead++
			return nil
		}
		if run = append(run, journal.WrappedKey{ID: string(l.Name), Wrapped: l.Data}); len(run) < keyPage {
			return nil
		}
		return put()
	})
	return errors.Join(err, put())
}

func (r *restoring) blobs(ctx context.Context) error {
	r.out.Number = 1
	return lines(r.Dir, r.m.Blobs, func(l namedLine) error {
		if r.out.Blobs++; strings.HasPrefix(string(l.Name), restoredBlobs) {
			r.out.Number++
		}
		return r.Store.PutBlob(ctx, string(l.Name), l.Data)
	})
}

// streams appends every entry as it was appended: each entry of the register in one step with the event that recorded it.
func (r *restoring) streams(ctx context.Context) error {
	register, err := openStream(r.Dir, r.m.Streams[0])
	if err != nil {
		return err
	}
	defer register.close()
	genesis, err := register.next()
	if err != nil {
		return err
	}
	if err := r.Store.Init(ctx, genesis); err != nil && !errors.Is(err, journal.ErrExists) {
		return err
	}
	recorder, err := r.recorders()
	if err != nil {
		return err
	}
	writers := make([]*writerCopy, len(r.m.Streams))
	for i, s := range r.m.Streams[1:] {
		in, err := openStream(r.Dir, s)
		if err != nil {
			return err
		}
		defer in.close()
		writers[i+1] = &writerCopy{restoring: r, in: in, writer: strings.TrimPrefix(string(s.Stream), "audit:")}
		if err := writers[i+1].skip(ctx); err != nil {
			return err
		}
	}
	r.out.Entries++
	at := journal.Head{ID: genesis.ID, Hash: genesis.Hash}
	there, err := r.Store.Head(ctx, journal.Register)
	if err != nil {
		return err
	}
	for {
		e, err := register.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		r.out.Entries++
		if !there.ID.Less(e.ID) { // put back before
			if e.ID == there.ID && e.Hash != there.Hash {
				return fmt.Errorf("the journal has another entry %s of the register than the backup", e.ID)
			}
			at = journal.Head{ID: e.ID, Hash: e.Hash}
			continue
		}
		entries := []journal.Entry{e}
		w := writers[recorder[e.ID.Seq]]
		if at, err = w.record(ctx, at, entries, register); err != nil {
			return err
		}
	}
	for _, w := range writers[1:] {
		if err := w.rest(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// recorders tells which stream recorded which entry of the register, by its seq.
func (r *restoring) recorders() ([]int, error) {
	out := make([]int, r.m.Streams[0].Lines)
	for i, s := range r.m.Streams[1:] {
		err := lines(r.Dir, s.File, func(l entryLine) error {
			recorded, _, err := records(l.entry())
			for _, ref := range recorded {
				if ref.ID.Seq >= uint64(len(out)) {
					return fmt.Errorf("%s recorded an entry that the backup lacks", l.ID)
				}
				out[ref.ID.Seq] = i + 1
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for seq, by := range out {
		if by == 0 && seq > 0 {
			return nil, fmt.Errorf("nothing recorded the register's entry 1-%d", seq)
		}
	}
	return out, nil
}

// writerCopy appends the events of one writer.
type writerCopy struct {
	*restoring
	in     *streamReader
	writer string
	head   journal.Head // of the journal
	queue  []journal.Entry
	size   int
}

// skip passes by what was put back before.
func (w *writerCopy) skip(ctx context.Context) error {
	there, err := w.Store.Head(ctx, journal.Audit(w.writer))
	if err != nil {
		return err
	}
	for w.head != there {
		e, err := w.in.next()
		if err != nil || there.ID.Less(e.ID) || (e.ID == there.ID && e.Hash != there.Hash) {
			return errors.Join(err, fmt.Errorf("the stream of %s in the journal is not the begin of that in the backup: something else writes there", w.writer))
		}
		w.head = journal.Head{ID: e.ID, Hash: e.Hash}
		w.out.Entries++
	}
	return nil
}

// record appends this writer's events up to the one that recorded an entry of the register, and with it all that it recorded.
func (w *writerCopy) record(ctx context.Context, at journal.Head, entries []journal.Entry, register *streamReader) (journal.Head, error) {
	for {
		e, err := w.in.next()
		if err != nil {
			return at, fmt.Errorf("the stream of %s does not record the register's entry %s: %w", w.writer, entries[0].ID, err)
		}
		recorded, _, err := records(e)
		if err != nil {
			return at, err
		}
		if len(recorded) == 0 {
			if err := w.add(ctx, at, e); err != nil {
				return at, err
			}
			continue
		}
		if err := w.flush(ctx, at); err != nil {
			return at, err
		}
		for len(entries) < len(recorded) {
			more, err := register.next()
			if err != nil {
				return at, err
			}
			entries = append(entries, more)
			w.out.Entries++
		}
		for i, ref := range recorded {
			if journal.ID(ref.ID) != entries[i].ID || ref.Hash != entries[i].Hash {
				return at, fmt.Errorf("event %s of %s recorded other entries of the register than come next", e.ID, w.writer)
			}
		}
		if err := w.append(ctx, at, []journal.Entry{e}, entries); err != nil {
			return at, err
		}
		last := entries[len(entries)-1]
		return journal.Head{ID: last.ID, Hash: last.Hash}, nil
	}
}

// rest appends what is left.
func (w *writerCopy) rest(ctx context.Context, at journal.Head) error {
	for {
		e, err := w.in.next()
		if err == io.EOF {
			return w.flush(ctx, at)
		}
		if err == nil {
			err = w.add(ctx, at, e)
		}
		if err != nil {
			return err
		}
	}
}

// add queues an event, and appends what is queued where it makes a batch.
func (w *writerCopy) add(ctx context.Context, at journal.Head, e journal.Entry) error {
	if len(w.queue) == journal.MaxEvents || w.size+len(e.Bytes) > journal.MaxBytes {
		if err := w.flush(ctx, at); err != nil {
			return err
		}
	}
	w.queue, w.size = append(w.queue, e), w.size+len(e.Bytes)
	return nil
}

func (w *writerCopy) flush(ctx context.Context, at journal.Head) error {
	if len(w.queue) == 0 {
		return nil
	}
	err := w.append(ctx, at, w.queue, nil)
	w.queue, w.size = nil, 0
	return err
}

// append sends one batch until there is a definite outcome. It rests on the register as it is: it is history.
func (w *writerCopy) append(ctx context.Context, at journal.Head, events, register []journal.Entry) error {
	b := journal.Batch{Writer: w.writer, After: w.head, Events: events, Position: broker.Position(at.ID.Seq + 1)}
	if len(register) > 0 {
		b.RegisterAfter, b.Register = at, register
	}
	for tries := 0; ; tries++ {
		outcome, err := w.Store.Append(ctx, b)
		switch {
		case err != nil && (errors.Is(err, errors.ErrUnsupported) || ctx.Err() != nil || tries == 20):
			return err
		case err != nil:
			time.Sleep(250 * time.Millisecond)
			continue
		case outcome != journal.Appended && outcome != journal.Already:
			return fmt.Errorf("the journal answered %q to events of %s: something else writes there", outcome, w.writer)
		}
		last := events[len(events)-1]
		w.head = journal.Head{ID: last.ID, Hash: last.Hash}
		w.out.Entries += len(events)
		w.progress(w.writer, w.out.Entries)
		return nil
	}
}

func (r *restoring) progress(what string, n int) {
	if r.Progress != nil {
		r.Progress(what, n)
	}
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
