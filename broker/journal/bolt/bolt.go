// Package bolt keeps a journal in one file, with bbolt: the embedded backend, for the demo and for a deployment with a
// single gateway.
//
// One Append is one bbolt transaction, synced to disk before it returns. One process at a time may write the file; other
// processes reach it through the socket of the one that has it (package socket). It refuses to run without syncing, to
// share the file, and to answer anything after a failed commit before it knows what the disk holds. It does not judge
// what it stores: who reads an entry compares its bytes with its hash and its hash with the chain.
//
// Only cmd, and tests, may import it.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/schakel/schakel/broker/journal"
)

// Config says which file. Path is required; its folder must exist.
type Config struct {
	Path string
	// ReadOnly opens an existing file for reading, next to other readers. It needs no permission to write; every
	// method that writes fails.
	ReadOnly bool
	// Timeout is how long to wait for a process that has the file open; 0 means one second.
	Timeout time.Duration
}

// Store is a journal.Store in one file.
type Store struct {
	cfg  Config
	db   *bbolt.DB
	file *os.File // bbolt's own

	// commit is (*bbolt.Tx).Commit; tests put failures in its place.
	commit func(*bbolt.Tx) error

	writing chan struct{} // holds one token while a transaction writes; a context can stop waiting for it

	mu      sync.Mutex
	suspect error         // why the last commit failed, until settle has made sure what the disk holds
	changed chan struct{} // closed and replaced after every commit
	closed  chan struct{}
}

var _ journal.Store = (*Store)(nil)

// Open opens the file, and makes it with mode 0600 where it is absent and ReadOnly is not set.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("open journal: no path given")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	if _, err := os.Stat(cfg.Path); cfg.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open journal: there is no %s: name the data folder of a Schakel that has run: %w", cfg.Path, journal.ErrAbsent)
	}
	var file *os.File
	db, err := bbolt.Open(cfg.Path, 0o600, &bbolt.Options{
		Timeout:      cfg.Timeout,
		ReadOnly:     cfg.ReadOnly,
		FreelistType: bbolt.FreelistMapType, // the array type slows down as the file grows
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open journal: another process has %s open: let the running server do it, through the socket in its data folder, or stop that server first: %w", cfg.Path, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("open journal: %s is not a journal, or is damaged: restore it from a backup: %w", cfg.Path, err)
	case err != nil:
		return nil, fmt.Errorf("open journal: %w", err)
	}
	s := &Store{
		cfg:     cfg,
		db:      db,
		file:    file,
		commit:  (*bbolt.Tx).Commit,
		writing: make(chan struct{}, 1),
		changed: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", cfg.Path, err), db.Close())
	}
	return s, nil
}

// prepare does once what every later call rests on.
func (s *Store) prepare() error {
	if s.cfg.ReadOnly {
		return nil
	}
	if err := s.file.Chmod(0o600); err != nil { // it may have been copied here with another mode
		return err
	}
	// A new file is only there after a power cut if its folder was synced too.
	dir, err := os.Open(filepath.Dir(s.cfg.Path))
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketRegister, bucketAudit, bucketBlobs, bucketKeys, bucketSnapshots, bucketNotes, bucketLeases, bucketTrimmed} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle makes sure that what can be read is what the disk holds. bbolt syncs the pages of a transaction first, then
// writes and syncs the meta page that makes them count. When that last sync fails, the meta page may be in the system's
// memory only, marked as clean: it reads back as if committed, no later sync would write it, and the next transaction
// would overwrite pages that the meta page on disk still needs. Writing the same bytes again and syncing settles it.
func (s *Store) settle() error {
	metas := make([]byte, 2*s.db.Info().PageSize)
	if _, err := s.file.ReadAt(metas, 0); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(metas, 0); err != nil {
		return err
	}
	return s.file.Sync()
}

// lock waits for the turn to write, and settles what a failed commit left open.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return berrors.ErrDatabaseNotOpen
	}
	if err := s.failed(); err != nil {
		if err := s.settle(); err != nil {
			<-s.writing
			return fmt.Errorf("make sure what %s holds after a failed commit; check the disk and its free space: %w", s.cfg.Path, err)
		}
		s.setFailed(nil)
	}
	return nil
}

// update runs change in one transaction and commits it when change says that it changed anything.
func (s *Store) update(ctx context.Context, change func(*bbolt.Tx) (bool, error)) error {
	if s.cfg.ReadOnly {
		return fmt.Errorf("%s was opened for reading only: %w", s.cfg.Path, errors.ErrUnsupported)
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer func() { <-s.writing }()
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it has nothing to do
	if changed, err := change(tx); err != nil || !changed {
		return err
	}
	if err := s.commit(tx); err != nil {
		s.setFailed(err)
		return fmt.Errorf("commit to %s, which may or may not hold it now; check the disk and its free space: %w", s.cfg.Path, err)
	}
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	return nil
}

// view runs read in a transaction of its own, on a state that is known to be on disk.
func (s *Store) view(ctx context.Context, read func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.failed() != nil {
		if err := s.lock(ctx); err != nil {
			return err
		}
		<-s.writing
	}
	return s.db.View(read)
}

func (s *Store) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspect
}

func (s *Store) setFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspect = err
}

// Check tells whether the file is still the one that was opened, and whether what it reads back is on disk.
func (s *Store) Check(ctx context.Context) error {
	named, err := os.Stat(s.cfg.Path)
	mine, err2 := s.file.Stat()
	if err != nil || err2 != nil || !os.SameFile(named, mine) {
		return fmt.Errorf("check journal: %s was removed or replaced while it was open, and must be the same file; put it back and start again: %w", s.cfg.Path, journal.ErrUnsafe)
	}
	if err := s.view(ctx, func(*bbolt.Tx) error { return nil }); err != nil {
		return fmt.Errorf("check journal: %w", err)
	}
	return nil
}

// Close waits for the transaction under way and lets the file go.
func (s *Store) Close() error {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	return s.db.Close()
}
