package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// checkpointJSON is the checkpoint that a log was held against.
type checkpointJSON struct {
	Origin    string      `json:"origin"`
	Size      uint64      `json:"size"`
	Root      broker.Hash `json:"root"`
	Witnesses []string    `json:"witnesses"`
	Extends   int         `json:"extends"`  // checkpoints given that it extends
	Indexes   uint64      `json:"indexes"`  // entries that are daily indexes; `audit index verify` holds these against the log
	Segments  uint64      `json:"segments"` // entries that are segments of the archive

	archived map[uint64]broker.Hash // manifests of segments, by number
}

// verifyJSON is what verification found, and the checkpoint it went by; null where there was none.
type verifyJSON struct {
	audit.Report
	Checkpoint *checkpointJSON  `json:"checkpoint"`
	Archive    *archive.Checked `json:"archive"` // null where nothing was moved
}

// sealed makes verification hold the log against the Merkle log. Where there is none it says so; what is asked for by name
// must be there.
func (w *where) sealed(c *cobra.Command, cfg *audit.VerifyConfig, m *merkle, ring *keys.Ring, store journal.Store) (*checkpointJSON, error) {
	none := func(why error) (*checkpointJSON, error) {
		if m.folder != "" || len(m.older) > 0 || m.quorum > 0 {
			return nil, why
		}
		if asJSON, err := c.Flags().GetBool("json"); err != nil || !asJSON { // in JSON the checkpoint is null
			_, _ = fmt.Fprintln(c.ErrOrStderr(), "no checkpoint is held against the log:", why)
		}
		return nil, nil
	}
	if m.folder == "" && w.data == "" {
		return none(errors.New("the Merkle log is in another place; name its folder with --checkpoints"))
	}
	k, err := m.keys(c.Context(), store, ring)
	if err != nil {
		return none(err)
	}
	folder := w.merkleFolder(m.folder, k.Origin())
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return none(fmt.Errorf("there is no folder %s", folder))
	}
	log, err := w.merkleLog(m.folder, k)
	if err != nil {
		return nil, err
	}
	remembered, err := m.remembered(c.Context(), store, ring) // before the last one is read, which may be newer
	if err != nil {
		return nil, err
	}
	last, err := log.Latest(c.Context())
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return none(err)
	}
	if err != nil {
		return nil, err
	}
	out := heldTo(c.Context(), cfg, log, last)
	if remembered != nil {
		if err := log.Consistent(c.Context(), *remembered, last); err != nil {
			return nil, fmt.Errorf("the Merkle log does not go on from what the journal remembers of it: the folder was put back or altered: %w", err)
		}
	}
	for _, file := range m.older {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read checkpoint: %w", err)
		}
		older, err := k.Open(data)
		if err == nil {
			err = log.Consistent(c.Context(), older, last)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out.Extends++
	}
	return out, nil
}

// remembered gives the last checkpoint that the journal knows of; nil for none, and where the Merkle log is one of before the log
// was put back.
func (m *merkle) remembered(ctx context.Context, store journal.Store, ring *keys.Ring) (*checkpoint.Checkpoint, error) {
	seal, err := readSeal(ctx, store)
	if err != nil || len(seal.Checkpoint) == 0 {
		return nil, err
	}
	restored, err := backup.Name(ctx, store)
	if err != nil || (m.origin != "" && restoredIn(m.origin) != restored) {
		return nil, err
	}
	unwitnessed := merkle{origin: m.origin} // it is kept as it was before witnesses saw it
	k, err := unwitnessed.keys(ctx, store, ring)
	if err != nil {
		return nil, err
	}
	c, err := k.Open(seal.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint that the journal remembers: %w", err)
	}
	return &c, nil
}

// heldTo makes verification hold the log against one verified checkpoint of a Merkle log.
func heldTo(ctx context.Context, cfg *audit.VerifyConfig, log *checkpoint.Log, last checkpoint.Checkpoint) *checkpointJSON {
	out := &checkpointJSON{Origin: last.Origin, Size: last.Size, Root: last.Root, Witnesses: last.Witnesses, archived: map[uint64]broker.Hash{}}
	cfg.Sealed = func(yield func(audit.Sealed, error) bool) {
		for leaf, err := range log.Leaves(ctx, last) {
			if err != nil {
				err = fmt.Errorf("%w: %w", audit.ErrSealBroken, err)
			}
			switch {
			case err != nil:
			case leaf.Stream == checkpoint.Index:
				out.Indexes++
				continue
			case leaf.Stream == checkpoint.Archive:
				out.Segments++
				out.archived[leaf.ID.Seq] = leaf.Hash
				continue
			}
			if !yield(audit.Sealed(leaf), err) {
				return
			}
		}
	}
	return out
}

// text says against which checkpoint the log was held, and how much of it fits.
func (c *checkpointJSON) text(matched uint64) string {
	if c == nil {
		return ""
	}
	s := fmt.Sprintf("checkpoint of %s: %d entries, of which %d match", c.Origin, c.Size, matched)
	if c.Indexes > 0 {
		s += fmt.Sprintf("; %d are daily indexes (audit index verify)", c.Indexes)
	}
	if c.Segments > 0 {
		s += fmt.Sprintf("; %d are segments of the archive", c.Segments)
	}
	if len(c.Witnesses) > 0 {
		s += "; cosigned by " + strings.Join(c.Witnesses, ", ")
	}
	if c.Extends > 0 {
		s += fmt.Sprintf("; it extends %d kept before", c.Extends)
	}
	return s + "\n"
}

// archiveText says what of the archive was checked.
func archiveText(a *archive.Checked) string {
	if a == nil {
		return ""
	}
	s := fmt.Sprintf("archive: %d events in %d segments, of which the checkpoint has %d", a.Events, a.Segments, a.Sealed)
	if a.Waiting > 0 {
		s += fmt.Sprintf("; %d wait for one", a.Waiting)
	}
	return s + "\n"
}
