package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/audit/index"
	"github.com/schakel/schakel/keys"
)

// indexFolder holds the daily indexes, in the folder of the Merkle log. It is not served.
const indexFolder = ".index"

// indexOf says where the indexes beside a Merkle log are, and what they are made of.
func (d *desk) indexOf(merkle string) index.Config {
	log, _ := d.register.Log()
	return index.Config{Dir: filepath.Join(merkle, indexFolder), Log: log, Store: d.store, Ring: d.ring, Vault: d.vault, NotNamed: d.notNamed}
}

// streams is what this server seals: the journal, the indexes and the segments of the archive.
func (s *server) streams() checkpoint.Streams {
	streams := index.Streams{Streams: s.cfg.store, Dir: s.desk.indexOf(s.cfg.sealing.dir).Dir}
	folder := s.cfg.store.Folder()
	if folder.Dir() == "" {
		return streams
	}
	return archive.Streams{Streams: streams, Folder: folder}
}

// keepIndex makes an index each day.
func (s *server) keepIndex() {
	index.Keep(s.background, s.desk.indexOf(s.cfg.sealing.dir), func(err error) {
		s.cfg.log.Error("no index of data subjects for now; tried again", "error", err)
	})
}

func newAuditIndex(w *where) *cobra.Command {
	c := &cobra.Command{Use: "index", Short: "The daily index of data subjects, by which a resident can see that all is named that must be"}
	c.AddCommand(newIndexBuild(w), newIndexVerify(w), newIndexKeys(w), newIndexCheck(), newIndexNotNamed(w))
	return c
}

func newIndexBuild(w *where) *cobra.Command {
	var m merkle
	c := &cobra.Command{
		Use:   "build",
		Short: "Make an index of what was recorded since the last one, now",
		Long: `A server makes one each day. Whoever is asked for a resident's file today makes one first, so that it goes up to now. It
is sealed with the next checkpoint.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := w.openDesk(c.Context(), false)
			if err != nil {
				return err
			}
			defer func() { _ = d.store.Close() }()
			cfg, err := d.indexBeside(c.Context(), w, m)
			if err != nil {
				return err
			}
			made, err := index.Build(c.Context(), cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "index %d: %d entries\n", made.Seq, made.Size)
			return err
		},
	}
	m.flags(c)
	return c
}

func newIndexVerify(w *where) *cobra.Command {
	var m merkle
	c := &cobra.Command{
		Use:   "verify",
		Short: "Make every index again from the log, and hold it against the folder and the Merkle log",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := w.openDesk(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = d.store.Close() }()
			by, err := w.indexed(c.Context(), d, m)
			if err != nil {
				return err
			}
			sealed, err := sealedIndexes(c.Context(), by.log)
			if err != nil {
				return err
			}
			cfg, err := d.indexBeside(c.Context(), w, m)
			if err != nil {
				return err
			}
			n, err := index.Check(c.Context(), cfg, sealed)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d indexes are what the log says, %d of them sealed\n", n, len(sealed))
			return err
		},
	}
	m.flags(c)
	return c
}

// indexBeside is indexOf for the Merkle log that a command means.
func (d *desk) indexBeside(ctx context.Context, w *where, m merkle) (index.Config, error) {
	k, err := m.keys(ctx, d.store, d.ring)
	if err != nil {
		return index.Config{}, err
	}
	folder := w.merkleFolder(m.folder, k.Origin())
	if folder == "" {
		return index.Config{}, errNoMerkle()
	}
	return d.indexOf(folder), nil
}

// sealedIndexes gives the hashes of the manifests that the Merkle log has.
func sealedIndexes(ctx context.Context, log *checkpoint.Log) (map[uint64]broker.Hash, error) {
	c, err := log.Latest(ctx)
	if err != nil {
		return nil, err
	}
	out := map[uint64]broker.Hash{}
	for leaf, err := range log.Leaves(ctx, c) {
		if err != nil {
			return nil, err
		}
		if leaf.Stream == checkpoint.Index {
			out[leaf.ID.Seq] = leaf.Hash
		}
	}
	return out, nil
}

func newIndexKeys(w *where) *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "The public keys of pseudonyms, which `schakel audit index check` needs",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ring, err := w.openRing()
			if err != nil {
				return err
			}
			for _, k := range ring.PseudonymKeys() {
				if _, err := fmt.Fprintln(c.OutOrStdout(), k); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newIndexCheck() *cobra.Command {
	var logKeys, pseudonymKeys, witnesses []string
	var quorum int
	var bsn, report string
	c := &cobra.Command{
		Use:   "check FILE --log-key KEY --pseudonym-key KEY --bsn -",
		Short: "Check a resident's file: that it names every event about a BSN that must be named",
		Long: `Needs nothing but the file, the public keys of the log (` + "`schakel audit key`" + `) and of pseudonyms (` + "`schakel audit index keys`" + `), and
the BSN on standard input: no server, no folder, no network. With --report it holds the report, as audit subject --json wrote
it, against the file: every event that is proved stands in it, and no other of that time.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := checkpoint.ParseKeys(logKeys, witnesses, quorum)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			var public []keys.PseudonymKey
			for _, text := range pseudonymKeys {
				p, err := keys.ParsePseudonymKey(text)
				if err != nil {
					return &exitError{exitUsage, err}
				}
				public = append(public, p)
			}
			who, err := readSubject(c, bsn)
			if err != nil {
				return err
			}
			file, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			got, err := index.Verify(file, k, public, who)
			if err == nil && report != "" {
				err = heldAgainst(report, got)
			}
			if err != nil {
				return &exitError{exitUnverifiable, fmt.Errorf("NOT VERIFIED: %w", err)}
			}
			return say(c, got)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&logKeys, "log-key", nil, "a verifier key of the log, as `schakel audit key` prints it")
	f.StringArrayVar(&pseudonymKeys, "pseudonym-key", nil, "a public key of pseudonyms, as `schakel audit index keys` prints it")
	f.StringArrayVar(&witnesses, "witness", nil, "a verifier key of a witness")
	f.IntVar(&quorum, "quorum", 0, "how many of the witnesses must have cosigned")
	f.StringVar(&bsn, "bsn", "", "- : read the BSN from standard input")
	f.StringVar(&report, "report", "", "the report that the file was given with (JSON)")
	return c
}

func say(c *cobra.Command, v index.Verified) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "verified: %d events about this BSN up to %s, and no others that must be named; %d indexes, sealed in %s at %d entries\n",
		len(v.Events), v.Until.Format(time.RFC3339), v.Indexes, v.Checkpoint.Origin, v.Checkpoint.Size)
	for _, e := range v.Events {
		if err == nil {
			_, err = fmt.Fprintln(c.OutOrStdout(), e)
		}
	}
	if err == nil && v.Unreadable > 0 {
		_, err = fmt.Fprintf(c.OutOrStdout(), "%d events of the log can't be read: whether they are about this BSN isn't known\n", v.Unreadable)
	}
	return err
}

// heldAgainst makes sure that a report names the events that are proved, and of that time no others.
func heldAgainst(path string, v index.Verified) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var r audit.SubjectReport
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("%s is no report of audit subject --json", path)
	}
	var named []broker.Hash
	for _, a := range r.Acts {
		named = append(named, a.Event)
		if !slices.Contains(v.Events, a.Event) && a.Time.Before(v.Until) {
			return fmt.Errorf("the report names event %s of %s, which is not proved", a.Event, a.Time.Format(time.RFC3339))
		}
	}
	for _, e := range v.Events {
		if !slices.Contains(named, e) {
			return fmt.Errorf("event %s is about this BSN, and the report does not name it", e)
		}
	}
	return nil
}

// proveComplete writes a resident's file, after checking it as its bearer would, and tells up to when it goes.
func (d *desk) proveComplete(ctx context.Context, by indexed, bsn broker.BSN, mentions []audit.Mention, path string) (index.Verified, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return index.Verified{}, &exitError{exitUsage, fmt.Errorf("%s exists already; name a new file with --proof", path)}
	}
	file, got, err := d.proofFile(ctx, by, bsn, mentions)
	if err != nil {
		return index.Verified{}, err
	}
	return got, writeNew(path, file)
}

// proofFile makes a resident's file, and checks it as its bearer would.
func (d *desk) proofFile(ctx context.Context, by indexed, bsn broker.BSN, mentions []audit.Mention) ([]byte, index.Verified, error) {
	file, err := index.Prover{Dir: d.indexOf(by.folder).Dir, Merkle: by.log, Ring: d.ring}.Prove(ctx, bsn, mentions)
	if err != nil {
		return nil, index.Verified{}, err
	}
	got, err := index.Verify(file, by.keys, d.ring.PseudonymKeys(), bsn)
	return file, got, err
}
