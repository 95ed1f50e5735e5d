package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Files that stand in the log's folder beside the tiles. None is served.
const (
	progressFile = ".progress.json"
	fenceFile    = ".fence"
)

// progress is how far a published tree goes. It saves reading the whole log at a start, and can be thrown away.
type progress struct {
	Size    uint64
	Streams streams
}

// progressJSON is how it is written.
type progressJSON struct {
	Size    uint64                       `json:"size"`
	Streams map[journal.Stream]savedHead `json:"streams"`
}

type savedHead struct {
	ID   string      `json:"id"`
	Hash broker.Hash `json:"hash"`
}

func readProgress(dir string) (progress, error) {
	p := progress{Streams: streams{}}
	data, err := os.ReadFile(filepath.Join(dir, progressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	var saved progressJSON
	if err := json.Unmarshal(data, &saved); err != nil {
		return p, fmt.Errorf("%s is damaged; remove it, and the log is read from its beginning", filepath.Join(dir, progressFile))
	}
	p.Size = saved.Size
	for s, h := range saved.Streams {
		id, err := journal.ParseID(h.ID)
		if err != nil {
			return p, fmt.Errorf("%s is damaged; remove it, and the log is read from its beginning", filepath.Join(dir, progressFile))
		}
		p.Streams[s] = journal.Head{ID: id, Hash: h.Hash}
	}
	return p, nil
}

func (p progress) write(dir string) error {
	saved := progressJSON{Size: p.Size, Streams: map[journal.Stream]savedHead{}}
	for s, h := range p.Streams {
		saved.Streams[s] = savedHead{h.ID.String(), h.Hash}
	}
	data, err := json.Marshal(saved)
	if err == nil {
		err = replaceFile(filepath.Join(dir, progressFile), data)
	}
	if err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}

// replaceFile puts data in the place of a file: after a crash it is the old one or the new one.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
