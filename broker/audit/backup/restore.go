package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
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

func (r *restoring) progress(what string, n int) {
	if r.Progress != nil {
		r.Progress(what, n)
	}
}
