package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
)

// Version is the version of the folder's format.
const Version = 1

// Names in the folder.
const (
	manifestFile = "manifest.json"
	keysFile     = "keys.jsonl"
	blobsFile    = "blobs.jsonl"
	headsFolder  = "heads"
)

// Manifest says what a backup holds.
type Manifest struct {
	V          int       `json:"v"`
	Log        string    `json:"log"`
	Shard      string    `json:"shard"`
	Taken      time.Time `json:"taken"`
	Program    string    `json:"program,omitempty"`
	Streams    []Stream  `json:"streams"` // the register first
	Keys       Keys      `json:"keys"`
	Blobs      File      `json:"blobs"`
	Heads      []File    `json:"heads"`                // signed heads of the machine on which it was made
	Checkpoint string    `json:"checkpoint,omitempty"` // the last that was published then
	KeyRing    bool      `json:"keyRing"`              // always false: it is not in here
}

// Stream is one stream of the backup.
type Stream struct {
	File
	Stream journal.Stream `json:"stream"`
	Head   audit.Ref      `json:"head"`
}

// Keys are the wrapped data keys.
type Keys struct {
	File
	Generations map[string]int `json:"generations"` // how many each key-encryption key of the ring wraps
}

// File is one file of the folder: a line of JSON an entry.
type File struct {
	Name   string      `json:"file"`
	Lines  int         `json:"lines"`
	Bytes  int64       `json:"bytes"`
	SHA256 broker.Hash `json:"sha256"`
}

// entryLine is an entry of a stream.
type entryLine struct {
	ID      audit.ID    `json:"id"`
	Hash    broker.Hash `json:"hash"`
	Touches [][]byte    `json:"touches,omitempty"`
	Bytes   []byte      `json:"bytes"`
}

// namedLine is a key or a blob.
type namedLine struct {
	Name []byte `json:"name"`
	Data []byte `json:"data"`
}

// Read reads the manifest of a backup, and its digest, by which it can be told from any other. It reads no other file: Verify
// does.
func Read(dir string) (Manifest, broker.Hash, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, broker.Hash{}, fmt.Errorf("read backup: %s has no %s: it is no backup, or one that was not finished", dir, manifestFile)
	}
	if err != nil {
		return Manifest{}, broker.Hash{}, fmt.Errorf("read backup: %w", err)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil || m.V != Version || len(m.Streams) == 0 || m.Streams[0].Stream != journal.Register {
		return Manifest{}, broker.Hash{}, fmt.Errorf("read backup: %s is damaged, or of another version of schakel", filepath.Join(dir, manifestFile))
	}
	return m, sha256.Sum256(data), nil
}

// files lists every file of a backup but the manifest.
func (m Manifest) files() []File {
	out := []File{m.Keys.File, m.Blobs}
	for _, s := range m.Streams {
		out = append(out, s.File)
	}
	return append(out, m.Heads...)
}

// Verify reads every byte of a backup and tells the first file that is not what the manifest says.
func Verify(dir string, m Manifest) error {
	for _, f := range m.files() {
		if err := f.verify(dir); err != nil {
			return fmt.Errorf("verify backup: %s: %w", f.Name, err)
		}
	}
	return nil
}

func (f File) verify(dir string) error {
	if !filepath.IsLocal(f.Name) {
		return errors.New("it is in no backup")
	}
	in, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, in)
	if err != nil {
		return err
	}
	if n != f.Bytes || broker.Hash(sum.Sum(nil)) != f.SHA256 {
		return errors.New("it was altered, or cut short; use another backup")
	}
	return nil
}

// HeadsFolder is where the signed heads of a backup are.
func HeadsFolder(dir string) string { return filepath.Join(dir, headsFolder) }
