package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrKept tells that entries may not be dropped. The text says why.
var ErrKept = errors.New("they stay")

// Trims lets go of entries that are kept elsewhere.
type Trims interface {
	// Trim drops the entries of a writer's stream up to and including one, and remembers that one, in one step. To do it
	// again, or for an entry that was dropped before, is no error. ErrKept, and nothing is dropped, where the stream has
	// another entry in its place or none, and where fewer than MaxEvents entries follow it: a writer's last batch stays,
	// since an append is re-sent until its outcome is known. The register is never trimmed.
	Trim(ctx context.Context, s Stream, upTo Head) error
	// Trimmed gives the last entry that was dropped; the zero Head where the stream is whole. Whoever reads from an entry
	// before it gets those after it, as if there were no others: see package archive.
	Trimmed(ctx context.Context, s Stream) (Head, error)
}

// ValidateTrim checks what every backend demands of a stream that is trimmed, and gives its writer.
func ValidateTrim(s Stream, upTo Head) (writer string, err error) {
	writer, ok := strings.CutPrefix(string(s), "audit:")
	if !ok || !ValidWriter(writer) || upTo.ID == (ID{}) {
		return "", fmt.Errorf("trim %s: only a writer's stream is trimmed, up to an entry of it: %w", s, errors.ErrUnsupported)
	}
	return writer, nil
}
