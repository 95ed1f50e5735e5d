package search

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
)

// Store is what an index is made of (journal.Store).
type Store interface {
	audit.Source
	Head(ctx context.Context, s journal.Stream) (journal.Head, error)
	Keys(ctx context.Context, ids []string) ([][]byte, error)
}

// Config says where an index is and what it is made of.
type Config struct {
	Dir   string // of the index alone; it is made
	Log   string // the log's id
	Store Store
	Vault Vault   // opens the staff parts
	Ring  Wrapper // keeps the index's key
}

// Vault opens parts, and drops a data key from memory after it was deleted from the store (keys.Vault).
type Vault interface {
	audit.Opener
	Forget(keyID string)
}

// Wrapper encrypts a key and gives it back (keys.Ring).
type Wrapper interface {
	Wrap(key []byte) ([]byte, error)
	Unwrap(wrapped []byte) ([]byte, error)
}

// Names in the folder.
const (
	indexFile  = "index.db"
	lockFile   = "lock"
	markerFile = "rebuild" // asks whoever has the index open to make it again
)

// version is that of the file. Another one is made again.
const version = "3"

const schema = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE writer (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE TABLE event (n INTEGER PRIMARY KEY, writer INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE block (n INTEGER PRIMARY KEY, events INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE staff (key TEXT NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (key, block)) WITHOUT ROWID;
CREATE TABLE word (block INTEGER NOT NULL, token INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (block, token)) WITHOUT ROWID;
`

// Index is an open index. Its methods may be called concurrently.
type Index struct {
	cfg  Config
	lock *os.File

	writing sync.Mutex   // one update at a time
	mu      sync.RWMutex // held by readers, and by who replaces db and key
	db      *sql.DB
	key     []byte

	reader reader
	tokens map[word]int64
	idle   map[string]journal.ID // how far each stream was read, disclosures or not

	current atomic.Bool // the last update came to the end of the log
	stale   atomic.Bool // an event was not as the index has it: it is to be made again
	unread  atomic.Int64
}

// ErrInUse tells that another process has the index open.
var ErrInUse = errors.New("another process has the search index open")

// Open opens the index of a folder, or begins a new one where there is none that can be used; Update fills it. ErrInUse
// where another process has it.
func Open(ctx context.Context, c Config) (*Index, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open search index: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open search index: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, lock.Close())
	}
	x := &Index{cfg: c, lock: lock}
	err = x.openFile()
	if err == nil {
		err = x.trusted(ctx)
	}
	if err == nil {
		err = x.forgetErased(ctx, false)
	}
	if errors.Is(err, errUnusable) {
		err = x.anew()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open search index: %w", err), x.Close())
	}
	return x, nil
}

// errUnusable tells that the file is to be made again.
var errUnusable = errors.New("the search index can't be used")

func unusable(why error) error { return fmt.Errorf("%w: %w", errUnusable, why) }

// openFile opens the file that is there.
func (x *Index) openFile() error {
	path := filepath.Join(x.cfg.Dir, indexFile)
	if _, err := os.Stat(path); err != nil {
		return unusable(err)
	}
	db, err := open(path)
	if err != nil {
		return unusable(err)
	}
	x.db = db
	for name, want := range map[string]string{"version": version, "log": x.cfg.Log} {
		var have []byte
		if err := db.QueryRow("SELECT value FROM meta WHERE name = ?", name).Scan(&have); err != nil {
			return unusable(err)
		}
		if string(have) != want {
			return unusable(fmt.Errorf("its %s is another", name))
		}
	}
	var wrapped []byte
	if err := db.QueryRow("SELECT value FROM meta WHERE name = 'key'").Scan(&wrapped); err != nil {
		return unusable(err)
	}
	if x.key, err = x.cfg.Ring.Unwrap(wrapped); err != nil {
		return unusable(err)
	}
	x.forget()
	return nil
}

// open opens a file of SQLite. What was written last may be lost with the power: it is read from the log again.
func open(path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-16384)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	return db, nil
}

// forget drops what is remembered of the file that was open before.
func (x *Index) forget() {
	x.tokens, x.idle = map[word]int64{}, map[string]journal.ID{}
	x.current.Store(false)
	x.stale.Store(false)
	x.unread.Store(0)
}

// anew begins an empty index in the place of what is there.
func (x *Index) anew() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db != nil {
		_ = x.db.Close() // it is thrown away
		x.db = nil
	}
	path := filepath.Join(x.cfg.Dir, indexFile)
	for _, tail := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + tail); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("make search index: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // its other files get the same mode
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("make search index: %w", err)
	}
	x.key = make([]byte, 32)
	_, _ = rand.Read(x.key) // never fails
	wrapped, err := x.cfg.Ring.Wrap(x.key)
	if err != nil {
		return fmt.Errorf("make search index: %w", err)
	}
	if x.db, err = open(path); err == nil {
		_, err = x.db.Exec(schema+"INSERT INTO meta VALUES ('version', ?), ('log', ?), ('key', ?)", []byte(version), []byte(x.cfg.Log), wrapped)
	}
	if err != nil {
		return fmt.Errorf("make search index: %w", err)
	}
	x.forget()
	return nil
}

// trusted makes sure that the log still holds what the index was made of.
func (x *Index) trusted(ctx context.Context) error {
	cursors, err := x.cursors(ctx)
	if err != nil {
		return unusable(err)
	}
	for name, c := range cursors {
		page, err := x.cfg.Store.Read(ctx, journal.Audit(name), c.ID.Before(), 1)
		if err != nil {
			return err
		}
		if len(page) == 0 || page[0].ID != c.ID || page[0].Hash != c.Hash {
			return unusable(fmt.Errorf("the log of %s has no longer what was indexed last", name))
		}
	}
	return nil
}

// cursor is how far a stream was indexed: its last disclosure in the index.
type cursor struct {
	n int64
	journal.Head
}

func (x *Index) cursors(ctx context.Context) (map[string]cursor, error) {
	rows, err := x.db.QueryContext(ctx, "SELECT n, name, epoch, seq, hash FROM writer")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[string]cursor{}
	for rows.Next() {
		var name string
		var c cursor
		var hash []byte
		if err := rows.Scan(&c.n, &name, &c.ID.Epoch, &c.ID.Seq, &hash); err != nil {
			return nil, err
		}
		copy(c.Hash[:], hash)
		out[name] = c
	}
	return out, rows.Err()
}

// token gives what the index has in the place of a word. The caller has x.mu or x.writing.
func token(key []byte, w word) int64 {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write([]byte(w.kind))
	_, _ = m.Write([]byte{0})
	_, _ = m.Write([]byte(w.value))
	return int64(binary.BigEndian.Uint64(m.Sum(nil)))
}

// State is how far an index is.
type State struct {
	Events  int       // disclosures in it
	Until   time.Time // of the newest
	Current bool      // it came to the end of the log a moment ago
	Unread  int       // disclosures that can't be read, found since it was opened: `schakel audit verify` names them
}

// State tells how far the index is.
func (x *Index) State(ctx context.Context) (State, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := State{Current: x.current.Load(), Unread: int(x.unread.Load())}
	if x.db == nil {
		return s, errors.New("read search index: it could not be made")
	}
	var last sql.NullInt64
	var events sql.NullInt64
	if err := x.db.QueryRowContext(ctx, "SELECT sum(events), max(last) FROM block").Scan(&events, &last); err != nil {
		return s, fmt.Errorf("read search index: %w", err)
	}
	s.Events = int(events.Int64)
	if last.Valid {
		s.Until = time.Unix(0, last.Int64).UTC()
	}
	return s, nil
}

// Close lets go of the index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if x.db != nil {
		err = x.db.Close()
	}
	return errors.Join(err, x.lock.Close()) // which lets go of the lock
}
