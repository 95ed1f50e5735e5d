package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// merkle is the Merkle log that a command holds things against.
type merkle struct {
	folder, origin string
	witnesses      []string
	quorum         int
	older          []string // files of checkpoints kept before
}

func (m *merkle) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.folder, "checkpoints", "", "folder of the Merkle log; default: checkpoints in the data folder")
	f.StringVar(&m.origin, "origin", "", "the log's name in its checkpoints; default schakel/ and the log's id")
	f.StringArrayVar(&m.witnesses, "witness", nil, "verifier key of a witness")
	f.IntVar(&m.quorum, "quorum", 0, "how many of the witnesses must have cosigned")
}

// keys gives what a checkpoint of a store's log is held against.
func (m *merkle) keys(ctx context.Context, store journal.Store, ring *keys.Ring) (checkpoint.Keys, error) {
	origin := m.origin
	if origin == "" {
		log, err := logOf(ctx, store)
		if err != nil {
			return checkpoint.Keys{}, err
		}
		restored, err := backup.Name(ctx, store)
		if err != nil {
			return checkpoint.Keys{}, err
		}
		origin = originAfter("schakel/"+log, restored)
	}
	return checkpoint.NewKeys(origin, ring.CheckpointKeys(), m.witnesses, m.quorum)
}

// logOf gives the id of a journal's log.
func logOf(ctx context.Context, store journal.Store) (string, error) {
	page, err := store.Read(ctx, journal.Register, journal.ID{}, 1)
	if err != nil {
		return "", err
	}
	if len(page) == 0 {
		return "", errors.New("this journal has no log yet")
	}
	return register.LogOf(page[0])
}

func newAuditKey(w *where) *cobra.Command {
	var m merkle
	var asJSON bool
	c := &cobra.Command{
		Use:   "key",
		Short: "The log's verifier keys: what `schakel verify` and a witness need",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			ring, err := w.openRing()
			if err != nil {
				return err
			}
			k, err := m.keys(c.Context(), store, ring)
			if err != nil {
				return err
			}
			var list []string
			for _, public := range ring.CheckpointKeys() {
				text, err := checkpoint.VerifierKey(k.Origin(), public)
				if err != nil {
					return err
				}
				list = append(list, text)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string][]string{"verifierKeys": list})
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(list, "\n"))
			return err
		},
	}
	c.Flags().StringVar(&m.origin, "origin", "", "the log's name in its checkpoints; default schakel/ and the log's id")
	jsonFlag(c, &asJSON)
	return c
}

func newAuditProve(w *where) *cobra.Command {
	var m merkle
	var out string
	c := &cobra.Command{
		Use:   "prove WRITER EPOCH-SEQ",
		Short: "Write one offline file that proves that an event is in the log (C2SP tlog-proof)",
		Long: `Writes a C2SP tlog-proof: the event's place in the Merkle log, the hashes up to the root, and the checkpoint with its
signatures. ` + "`schakel verify FILE --log-key …`" + ` checks it with nothing but the log's public key. For an entry of the register,
WRITER is register.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			stream := journal.Audit(args[0])
			if args[0] == "register" {
				stream = journal.Register
			}
			id, err := journal.ParseID(args[1])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			ring, err := w.openRing()
			if err != nil {
				return err
			}
			k, err := m.keys(c.Context(), store, ring)
			if err != nil {
				return err
			}
			log, err := w.merkleLog(m.folder, k)
			if err != nil {
				return err
			}
			e, err := entryAt(c.Context(), store, stream, id)
			if err != nil {
				return err
			}
			leaf := checkpoint.Leaf{Stream: stream, ID: id, Hash: e.Hash}
			file, err := log.Prove(c.Context(), leaf, leaf.Text())
			if err != nil {
				return err
			}
			if out == "" {
				_, err = c.OutOrStdout().Write(file)
				return err
			}
			if err := os.WriteFile(out, file, 0o600); err != nil {
				return fmt.Errorf("write proof: %w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s proves %s %s\n", out, stream, id)
			return err
		},
	}
	m.flags(c)
	c.Flags().StringVar(&out, "out", "", "file to write, such as event.tlog-proof; default: standard output")
	return c
}

// entryAt reads one entry.
func entryAt(ctx context.Context, store journal.Store, stream journal.Stream, id journal.ID) (journal.Entry, error) {
	page, err := store.Read(ctx, stream, id.Before(), 1)
	if err != nil {
		return journal.Entry{}, err
	}
	if len(page) == 0 || page[0].ID != id {
		return journal.Entry{}, fmt.Errorf("%s has no entry %s; `schakel audit log` lists what there is", stream, id)
	}
	return page[0], nil
}

// provenJSON is what a verified proof says.
type provenJSON struct {
	Stream    journal.Stream `json:"stream"`
	ID        string         `json:"id"`
	Hash      broker.Hash    `json:"hash"`
	Log       string         `json:"log"`
	Size      uint64         `json:"size"`
	Index     uint64         `json:"index"`
	Witnesses []string       `json:"witnesses"`
}

// verifyProof checks a C2SP tlog-proof offline.
func verifyProof(file []byte, logKeys, witnesses []string, quorum int) (provenJSON, error) {
	k, err := checkpoint.ParseKeys(logKeys, witnesses, quorum)
	if err != nil {
		return provenJSON{}, &exitError{exitUsage, err}
	}
	p, err := checkpoint.ParseProof(file)
	if err != nil {
		return provenJSON{}, &exitError{exitUnverifiable, err}
	}
	leaf, err := checkpoint.ParseLeaf(p.Extra)
	if err != nil {
		return provenJSON{}, &exitError{exitUnverifiable, err}
	}
	cp, err := p.Verify(k, leaf)
	if err != nil {
		return provenJSON{}, &exitError{exitUnverifiable, fmt.Errorf("NOT VERIFIED: %w", err)}
	}
	return provenJSON{leaf.Stream, leaf.ID.String(), leaf.Hash, cp.Origin, cp.Size, p.Index, cp.Witnesses}, nil
}

// String says it in words.
func (p provenJSON) String() string {
	return fmt.Sprintf("verified: %s %s has the hash %s\nindex %d in the tree of %d leaves of log %s, cosigned by %s\n", p.Stream, p.ID, p.Hash, p.Index, p.Size, p.Log,
		cmp.Or(strings.Join(p.Witnesses, ", "), "no witness whose key was given"))
}
