package journal

import (
	"context"
	"errors"
	"fmt"
)

// MaxNote bounds a note.
const MaxNote = 16 << 10

// Notebook holds notes: short words that writers leave about themselves beside the log, each in the place of its last one: what a
// gateway serves now. They are no part of the log, and nothing rests on them but what an operator is shown.
type Notebook interface {
	// PutNote keeps the note of a writer in the place of the one before.
	PutNote(ctx context.Context, writer string, note []byte) error
	// Notes gives the last note of every writer that left one.
	Notes(ctx context.Context) (map[string][]byte, error)
}

// ValidateNote checks what every backend demands of a note.
func ValidateNote(writer string, note []byte) error {
	if !ValidWriter(writer) || len(note) > MaxNote {
		return fmt.Errorf("put note: its writer or its length: %w", errors.ErrUnsupported)
	}
	return nil
}
