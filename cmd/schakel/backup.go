package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
)

// backupJSON is what the backup commands say with --json.
type backupJSON struct {
	Folder string      `json:"folder"`
	Digest broker.Hash `json:"digest"` // of the manifest: by it this backup is known
	backup.Manifest
	Report *audit.Report `json:"report,omitempty"` // of backup verify
}

func newBackup() *cobra.Command {
	w := &where{}
	var out, ring string
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup --out FOLDER",
		Short: "Copy the journal, with its archive, into a new folder; beside a running server, a stopped one, or Redis",
		Long: `Copies every stream up to one moment, the wrapped data keys, the policies and the signed heads on this machine, with a manifest
of numbers, heads and digests. A server may go on meanwhile. The key ring is not in it: whoever has both can read everything.
--ring writes the ring apart, encrypted as it is; keep it, and its passphrase, on another medium.

A backup is of the log as it was: ` + "`schakel restore`" + ` puts it back into an empty journal. After an erasure make a new one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case out == "":
				return &exitError{exitUsage, errors.New("where to? Name a new folder with --out")}
			case ring != "" && within(ring, out):
				return &exitError{exitUsage, errors.New("the key ring does not belong with the backup: name another place with --ring")}
			}
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			cfg := backup.Config{Store: store, Dir: out, Program: version(), Now: time.Now, Progress: progressOn(c, asJSON)}
			if cfg.Log, cfg.Shard, err = originOfRegister(c, store); err != nil {
				return err
			}
			if w.data != "" {
				cfg.HeadsDir = filepath.Join(w.data, headsFolder)
			}
			seal, err := readSeal(c.Context(), store)
			if err != nil {
				return err
			}
			cfg.Checkpoint = seal.Checkpoint
			if ring != "" { // first: a backup that has its ring nowhere is worth nothing
				if err := w.copyRing(ring); err != nil {
					return err
				}
			}
			m, digest, err := backup.Take(c.Context(), cfg)
			if err != nil {
				return err
			}
			said := backupJSON{Folder: out, Digest: digest, Manifest: m}
			if asJSON {
				return printJSON(c.OutOrStdout(), said)
			}
			text := said.text()
			if ring == "" {
				text += "the key ring is NOT in it: copy it, and its passphrase, elsewhere (--ring FILE writes it apart)\n"
			} else {
				text += "key ring: " + ring + " (encrypted; its passphrase is not in it): keep it apart from this folder\n"
			}
			_, err = fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	w.flags(c)
	c.Flags().StringVar(&out, "out", "", "a new folder")
	c.Flags().StringVar(&ring, "ring", "", "also copy the key ring to this new file, on another medium")
	jsonFlag(c, &asJSON)
	c.AddCommand(newBackupVerify())
	return c
}

func newBackupVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Read every byte of a backup, and verify the log in it; no server and no key ring is needed",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			m, digest, err := backup.Read(args[0])
			if err == nil {
				err = backup.Verify(args[0], m)
			}
			if err != nil {
				return err
			}
			folder := backup.OpenFolder(args[0], m)
			defer func() { _ = folder.Close() }()
			report, err := audit.Verify(c.Context(), audit.VerifyConfig{Store: folder})
			if err != nil {
				return err
			}
			said := backupJSON{Folder: args[0], Digest: digest, Manifest: m, Report: &report}
			if asJSON {
				err = printJSON(c.OutOrStdout(), said)
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), said.text()+reportText(report, nil, nil))
			}
			if err == nil && !report.OK {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (b backupJSON) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "\rbackup of log %s of shard %s, of %s\n", b.Log, b.Shard, b.Taken.Format(time.RFC3339))
	for _, m := range b.Streams {
		fmt.Fprintf(&s, "%-16s %6d entries, head %s %s\n", m.Stream, m.Lines, m.Head.ID, m.Head.Hash)
	}
	var generations []string
	for g, n := range b.Keys.Generations {
		generations = append(generations, fmt.Sprintf("%d by %s", n, g))
	}
	slices.Sort(generations)
	fmt.Fprintf(&s, "%d data keys (wrapped: %s), %d blobs, %d files of signed heads\n", b.Keys.Lines, strings.Join(generations, ", "), b.Blobs.Lines, len(b.Heads))
	fmt.Fprintf(&s, "%s: %s\n", b.Folder, b.Digest)
	return s.String()
}

// progressOn tells how far long work is, on standard error.
func progressOn(c *cobra.Command, asJSON bool) func(string, int) {
	if asJSON {
		return nil
	}
	return func(what string, n int) { _, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%s: %d", what, n) }
}

// originOfRegister gives the id and the shard of a journal's log.
func originOfRegister(c *cobra.Command, store journal.Store) (log, shard string, err error) {
	page, err := store.Read(c.Context(), journal.Register, journal.ID{}, 1)
	if err != nil {
		return "", "", err
	}
	if len(page) == 0 {
		return "", "", errors.New("this journal has no log yet: there is nothing to back up")
	}
	return register.OriginOf(page[0])
}

// within tells whether a file lies in a folder.
func within(file, folder string) bool {
	a, err1 := filepath.Abs(file)
	b, err2 := filepath.Abs(folder)
	if err1 != nil || err2 != nil {
		return true
	}
	rel, err := filepath.Rel(b, a)
	return err == nil && filepath.IsLocal(rel)
}

// copyRing copies the file of the key ring as it is, after making sure that it can be opened.
func (w *where) copyRing(to string) error {
	if _, err := w.openRing(); err != nil {
		return err
	}
	from := w.keys
	if from == "" {
		from = filepath.Join(w.data, ringFile)
	}
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy key ring: %w", err)
	}
	defer func() { _ = in.Close() }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy key ring: %w", err)
	}
	_, err = io.Copy(f, in)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("copy key ring: %w", err)
	}
	return nil
}
