package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/socket"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// restoreRequest is what `schakel restore` is asked.
type restoreRequest struct {
	heads, checkpoints, origin string
	receipts                   []string
	json                       bool
}

// restoredJSON is what it says.
type restoredJSON struct {
	backup.Restored
	Backup  broker.Hash    `json:"backup"`
	Missing []audit.Fault  `json:"missing"` // what heads, receipts and the Merkle log of before vouch for, and the backup lacks
	More    int            `json:"more"`    // beyond those listed
	Held    map[string]int `json:"held"`    // how many of each do match

	Before   []string          `json:"before"`          // folders of before, which stay as they are
	Archived map[string]string `json:"archived"`        // of each stream of which the archive of before has events that the log lacks now, the last
	Origin   string            `json:"origin"`          // the log's name in its checkpoints from now on
	Verifier []string          `json:"newVerifierKeys"` // what witnesses must be given
}

func newRestore() *cobra.Command {
	w := &where{}
	var q restoreRequest
	c := &cobra.Command{
		Use:   "restore FOLDER --data DIR | --redis URL",
		Short: "Put a backup back into an empty journal, and name what is missing since",
		Long: `Puts a backup back, byte for byte, after it verified it. The journal must be empty. The key ring is needed too: put its newest
copy in place first (keys.jwe in the data folder, or --keys), never an older one than erasures were done with.

What was recorded after the backup is lost, and must not be passed over in silence: give the signed heads (--heads, a copy of
heads/ of each gateway), kept answers (--receipt) and the Merkle log (--checkpoints) of before, and what they vouch for and the
backup lacks is named; what of these is in the data folder is found there. That the log was put back is recorded in it. Heads that
are given are put in the data folder, so that the next start of each gateway names in its start event what it lost.

The Merkle log and the archive of before end here and stay where they are, untouched: they show what there was. The events that
the archive has are in the backup, and in the journal again. The log goes on under another name in its checkpoints, and inside the
same folders in a folder of that name; a server that starts knows both. Witnesses must be given its new verifier key.

Interrupted, it goes on when the same command is given again; until it is done nothing serves from that journal.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return w.restore(c, args[0], q) },
	}
	w.flags(c)
	f := c.Flags()
	f.StringVar(&q.heads, "heads", "", "folder with copies of the signed heads of before (heads/ of each gateway)")
	f.StringArrayVar(&q.receipts, "receipt", nil, "a kept answer (ask --save) or a folder of them")
	f.StringVar(&q.checkpoints, "checkpoints", "", "folder of the Merkle log of before")
	f.StringVar(&q.origin, "origin", "", "its name in its checkpoints as checkpoints.origin configures it; default schakel/ and the log's id")
	jsonFlag(c, &q.json)
	return c
}

func (w *where) restore(c *cobra.Command, dir string, q restoreRequest) error {
	ctx := c.Context()
	m, digest, err := backup.Read(dir)
	if err != nil {
		return err
	}
	ring, err := w.openRing()
	if err != nil {
		return fmt.Errorf("%w; put the key ring of this log in place first: without it nothing that is encrypted can be read", err)
	}
	if err := ringFits(m, ring); err != nil {
		return err
	}
	store, err := w.openEmpty(ctx)
	if err != nil {
		return err
	}
	dead := func(wrapped []byte) bool { _, err := ring.Unwrap(wrapped); return errors.Is(err, keys.ErrDestroyed) }
	done, err := backup.Restore(ctx, backup.RestoreConfig{Dir: dir, Store: store, Dead: dead, Progress: progressOn(c, q.json)})
	said := restoredJSON{Restored: done, Backup: digest, Missing: []audit.Fault{}, Held: map[string]int{}, Before: []string{}, Archived: map[string]string{}}
	for _, step := range []func() error{
		func() error { return w.placeHeads(dir, q.heads) },
		func() error { return w.missing(c, q, store, ring, &said) },
		func() error { return w.stays(ctx, q, store, ring, &said) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	// It is recorded by a start of its own, which names what that stream lost.
	err = w.write(ctx, adminWriter, func(d *desk, writer *audit.Writer) error {
		if d.register.Restores() < done.Number {
			err := d.register.Do(ctx, appender(writer), register.Operator{Name: operator()}, register.RestoreLog{Number: done.Number, Backup: digest, Taken: m.Taken})
			if err != nil {
				return err
			}
		}
		return backup.Finish(ctx, d.store, digest)
	})
	if err != nil {
		return fmt.Errorf("record that the log was put back: %w; give the same command again", err)
	}
	if q.json {
		return printJSON(c.OutOrStdout(), said)
	}
	_, err = fmt.Fprint(c.OutOrStdout(), said.text())
	return err
}

// ringFits makes sure that the ring knows every generation that wraps keys of the backup, be it as destroyed.
func ringFits(m backup.Manifest, ring *keys.Ring) error {
	known := append(ring.Generations(), ring.Destroyed()...)
	for g, n := range m.Keys.Generations {
		if !slices.Contains(known, g) {
			return fmt.Errorf("this key ring does not have generation %s, which wraps %d keys of the backup: it is older than the backup, or another's; put its newest copy in place", g, n)
		}
	}
	return nil
}

// openEmpty opens the journal that a backup is put back into, and makes it where it is a file.
func (w *where) openEmpty(ctx context.Context) (journal.Store, error) {
	if w.redis != "" || w.data == "" {
		return w.openJournal(ctx, false)
	}
	if err := os.MkdirAll(w.data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if other, err := socket.Dial(filepath.Join(w.data, socketFile)); err == nil {
		return nil, errors.Join(errors.New("a server runs in this folder: stop it first"), other.Close())
	}
	store, err := bolt.Open(bolt.Config{Path: filepath.Join(w.data, journalFile)})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// placeHeads puts the signed heads of before where the next start of a gateway looks for them: those that are given, or those
// of the backup.
func (w *where) placeHeads(dir, given string) error {
	if w.data == "" {
		return nil
	}
	from, to := given, filepath.Join(w.data, headsFolder)
	if from == "" {
		from = backup.HeadsFolder(dir)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.jsonl"))
	if err != nil || (given != "" && len(files) == 0) {
		return fmt.Errorf("there are no signed heads in %s", from)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		path := filepath.Join(to, filepath.Base(file))
		if _, err := os.Stat(path); err == nil {
			continue // they are of this machine, and newer
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("put back signed heads: %w", err)
		}
	}
	return nil
}

// missing holds the log that was put back against what is left of what came after.
func (w *where) missing(c *cobra.Command, q restoreRequest, store journal.Store, ring *keys.Ring, said *restoredJSON) error {
	cfg := audit.VerifyConfig{Store: store}
	if err := w.anchors(&cfg, ring, q.receipts); err != nil {
		return err
	}
	if q.heads != "" {
		heads, err := audit.ReadHeads(q.heads, "")
		if err != nil {
			return err
		}
		cfg.Heads, cfg.VerifyHead = heads, verifyHeadBy(ring)
	}
	origin, err := q.configured(c.Context(), store)
	if err != nil {
		return err
	}
	before := merkle{folder: q.checkpoints, origin: originAfter(origin, lastIn(w.merkleFolder(q.checkpoints, ""), said.Name))}
	if _, err := w.sealed(c, &cfg, &before, ring, store); err != nil {
		if q.checkpoints != "" {
			return err
		}
		_, _ = fmt.Fprintln(c.ErrOrStderr(), "nothing is held against the Merkle log of before:", err)
	}
	report, err := audit.Verify(c.Context(), cfg)
	if err != nil {
		return err
	}
	said.Missing, said.More = report.Faults, report.More
	said.Held = map[string]int{"heads": report.Heads, "receipts": report.Receipts, "sealed": int(report.Sealed)}
	return nil
}

// configured is the name that the log had in its checkpoints before it was ever put back.
func (q restoreRequest) configured(ctx context.Context, store journal.Store) (string, error) {
	if q.origin != "" {
		return q.origin, nil
	}
	log, err := logOf(ctx, store)
	return "schakel/" + log, err
}

// lastIn tells which restore was the last that a folder of the Merkle log or the archive knows, but for one; "" for none.
func lastIn(folder, but string) string {
	if is := restoredIn(folder); is != "" {
		return is
	}
	inside, _ := os.ReadDir(folder) // sorted; what can't be read is held against nothing
	for _, e := range slices.Backward(inside) {
		if backup.IsName(e.Name()) && e.Name() != but {
			return e.Name()
		}
	}
	return ""
}

// stays tells what of before stays as it is, and by what name the log goes on.
func (w *where) stays(ctx context.Context, q restoreRequest, store journal.Store, ring *keys.Ring, said *restoredJSON) error {
	origin, err := q.configured(ctx, store)
	if err != nil {
		return err
	}
	said.Origin = originAfter(origin, said.Name)
	for _, public := range ring.CheckpointKeys() {
		key, err := checkpoint.VerifierKey(said.Origin, public)
		if err != nil {
			return err
		}
		said.Verifier = append(said.Verifier, key)
	}
	for _, folder := range []string{w.merkleFolder(q.checkpoints, ""), w.archiveFolder()} {
		if _, err := os.Stat(folder); err == nil {
			said.Before = append(said.Before, folder)
		}
	}
	_, upTo, err := archive.OpenFolder(folderAfter(w.archiveFolder(), lastIn(w.archiveFolder(), said.Name))).Holds()
	for writer, last := range upTo {
		stream := journal.Audit(writer)
		head, e := store.Head(ctx, stream)
		if err = errors.Join(err, e); head.ID.Less(last) {
			said.Archived[string(stream)] = last.String()
		}
	}
	return err
}

func (r restoredJSON) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\rput back: %d entries, %d data keys, %d blobs; recorded as restore %d, of backup %s\n", r.Entries, r.Keys, r.Blobs, r.Number, r.Backup)
	if r.Dead > 0 {
		fmt.Fprintf(&b, "%d data keys were left out: since the backup an erasure destroyed what wrapped them, and what they encrypted can't be read\n", r.Dead)
	}
	fmt.Fprintf(&b, "that match: %d signed heads, %d receipts, %d sealed entries\n", r.Held["heads"], r.Held["receipts"], r.Held["sealed"])
	for _, f := range r.Missing {
		fmt.Fprintf(&b, "MISSING %s\n", f)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "… and %d more\n", r.More)
	}
	switch {
	case len(r.Missing) > 0:
		b.WriteString("what is named above was recorded after the backup, or is not as it was: tell the agencies whose answers it is about\n")
	case r.Held["heads"]+r.Held["receipts"]+r.Held["sealed"] == 0:
		b.WriteString("whether anything was recorded after the backup is not known: nothing of after it was given (--heads, --receipt, --checkpoints)\n")
	default:
		b.WriteString("nothing that was given tells of anything after the backup\n")
	}
	for _, folder := range r.Before {
		fmt.Fprintf(&b, "%s stays as it is and shows what there was: keep it; the log goes on in %s\n", folder, folderAfter(folder, r.Name))
	}
	for _, stream := range slices.Sorted(maps.Keys(r.Archived)) {
		fmt.Fprintf(&b, "%s: the archive of before has events that the log lacks now, up to %s\n", stream, r.Archived[stream])
	}
	fmt.Fprintf(&b, "its name in its checkpoints is %s from now on; a witness that cosigns must be given its key:\n%s\n", r.Origin, strings.Join(r.Verifier, "\n"))
	return b.String()
}

// refuseUnfinished: half a log serves nobody.
func refuseUnfinished(ctx context.Context, store journal.Store) error {
	unfinished, err := backup.Unfinished(ctx, store)
	if err == nil && unfinished {
		err = errors.New("a restore into this journal was begun and not finished; give that command again")
	}
	return err
}
