package journal

import (
	"context"
	"errors"
	"fmt"
)

// Snapshot is a copy of a view, from which a reader of the register may start. A store keeps one, the last that was
// finished, and knows nothing of what is in it: whoever reads it MUST find out whether it can be trusted.
type Snapshot struct {
	ID     string // 1 to 32 of a-z, 0-9 and '-'
	Chunks int
	Head   []byte // what it says of itself
}

// MaxChunk bounds a chunk and a head, so that no value is huge.
const MaxChunk = 1 << 20

// Snapshots keeps the snapshot beside the log.
type Snapshots interface {
	// PutChunk keeps a chunk of a snapshot that is being made. Chunks count from 0.
	PutChunk(ctx context.Context, snapshot string, n int, data []byte) error
	// PutSnapshot makes a snapshot the one that is kept, and drops all others, finished or not, in one step. ErrAbsent
	// where one of its chunks is not there: another was finished in between.
	PutSnapshot(ctx context.Context, s Snapshot) error
	// Snapshot gives the one that is kept, or ErrAbsent.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Chunk gives a chunk, or ErrAbsent: another snapshot may have taken its place.
	Chunk(ctx context.Context, snapshot string, n int) ([]byte, error)
}

// Validate checks what every backend demands of a snapshot.
func (s Snapshot) Validate() error {
	if !ValidWriter(s.ID) || s.Chunks < 0 || len(s.Head) > MaxChunk {
		return fmt.Errorf("put snapshot: its id, number of chunks or length of its head: %w", errors.ErrUnsupported)
	}
	return nil
}

// ValidateChunk checks what every backend demands of a chunk.
func ValidateChunk(snapshot string, n int, data []byte) error {
	if !ValidWriter(snapshot) || n < 0 || len(data) > MaxChunk {
		return fmt.Errorf("put chunk: the snapshot's id, its number or its length: %w", errors.ErrUnsupported)
	}
	return nil
}
