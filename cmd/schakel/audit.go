package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

func newAudit() *cobra.Command {
	w := &where{}
	c := &cobra.Command{Use: "audit", Short: "Read and verify the log"}
	w.flags(c)
	c.AddCommand(newAuditLog(w), newAuditSubject(w), newAuditIndex(w), newAuditLooks(w), newAuditVerify(w), newAuditReplay(w), newAuditSearch(w), newAuditReceipts(w), newAuditBreach(w), newAuditExport(w), newAuditProve(w), newAuditKey(w), newAuditArchive(w))
	return c
}

func newAuditLog(w *where) *cobra.Command {
	var look lookOver
	var asJSON, follow bool
	c := &cobra.Command{
		Use:   "log",
		Short: "One event a line, oldest first, with its hash",
		Long: `One event a line, oldest first, with its hash. The encrypted parts, about staff and data subjects, stay closed, and need no
key ring. An officer whom the policy permits it opens them with --officer, --purpose and --ground; that they look is recorded
first. With --follow it outlives a server that stops and starts again, or a Redis that is away for a while, and says on standard
error that it waits.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opens := look != (lookOver{})
			if opens && follow {
				return &exitError{exitUsage, errors.New("what is to come can't be opened beforehand: leave --follow out, or --officer, --purpose and --ground")}
			}
			store := &followed{where: w, say: c.ErrOrStderr()}
			defer store.close()
			cfg := audit.LogConfig{Store: store, Follow: follow, End: store.end, Failed: store.failed}
			if opens {
				var ring *keys.Ring
				err := w.write(c.Context(), adminWriter, func(d *desk, writer *audit.Writer) error {
					ring = d.ring
					return look.record(c.Context(), d, writer, w.data, audit.Viewed{How: "audit log"}, "the whole log")
				})
				if err != nil {
					return err
				}
				whole, err := w.openStore(c.Context(), true)
				if err != nil {
					return err
				}
				defer func() { _ = whole.Close() }()
				cfg = audit.LogConfig{Store: whole, Vault: keys.NewVault(whole, ring)}
			} else if _, err := store.open(c.Context()); err != nil {
				return err
			}
			out := c.OutOrStdout()
			for e, err := range audit.Log(c.Context(), cfg) {
				if err != nil {
					if follow && c.Context().Err() != nil {
						return nil
					}
					return err
				}
				if asJSON {
					err = json.NewEncoder(out).Encode(e)
				} else {
					_, err = fmt.Fprintln(out, e.Line())
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	look.flags(c)
	jsonFlag(c, &asJSON)
	c.Flags().BoolVar(&follow, "follow", false, "wait for new events, until Ctrl-C")
	return c
}

func newAuditVerify(w *where) *cobra.Command {
	var asJSON bool
	var receipts []string
	var m merkle
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the log is whole and untouched, or name the first fault",
		Long: `Checks every hash, the chain, gaps and order of every stream, the register against the events that
recorded it, the signed heads on this machine, the receipts given, the archive, and the Merkle log: every entry that its newest
checkpoint vouches for must be there, as it was. With --since-checkpoint the log must also extend checkpoints that were kept before. A
copied folder is verified the same way. Exit code 1 on any fault.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			loose := store.Loose() // what can't be read is named
			cfg := audit.VerifyConfig{Store: loose}
			dropped, err := archive.DroppedFrom(c.Context(), loose)
			if err != nil {
				return err
			}
			var sealed *checkpointJSON
			var archived archive.Checked
			ring, err := w.openRing()
			if err != nil {
				_, _ = fmt.Fprintln(c.ErrOrStderr(), "the signed heads on this machine are not checked:", err)
			}
			if err := w.anchors(&cfg, ring, receipts); err != nil {
				return err
			}
			if ring != nil {
				if sealed, err = w.sealed(c, &cfg, &m, ring, store); err != nil {
					return err
				}
			}
			cfg.Archive = checkArchive(loose, dropped, sealed, &archived)
			if !asJSON {
				cfg.Progress = func(s journal.Stream, n uint64) { _, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%s: %d", s, n) }
			}
			report, err := audit.Verify(c.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), verifyJSON{report, sealed, pointerIf(archived.Any(), archived)})
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), reportText(report, sealed, pointerIf(archived.Any(), archived)))
			}
			if err == nil && !report.OK {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	m.flags(c)
	c.Flags().StringArrayVar(&m.older, "since-checkpoint", nil, "file with a checkpoint that was kept before; the log must extend it")
	c.Flags().StringArrayVar(&receipts, "receipt", nil, "a kept answer (ask --save) or a folder of them: each must be in the log exactly once")
	return c
}

// anchors gathers what the log is held against: signed heads on this machine, and receipts of kept answers.
// Without the ring (nil) signatures can't be checked, and the chain is all there is.
func (w *where) anchors(cfg *audit.VerifyConfig, ring *keys.Ring, receipts []string) error {
	if w.data != "" && ring != nil {
		heads, err := audit.ReadHeads(filepath.Join(w.data, headsFolder), "")
		if err != nil {
			return err
		}
		cfg.Heads, cfg.VerifyHead = heads, verifyHeadBy(ring)
	}
	for _, path := range receipts {
		found, err := readReceipts(path, ring)
		if err != nil {
			return err
		}
		cfg.Receipts = append(cfg.Receipts, found...)
	}
	return nil
}

// verifyHeadBy verifies signatures of heads with the keys of a ring.
func verifyHeadBy(ring *keys.Ring) func(signature string) (audit.Head, error) {
	jwks := ring.JWKS(keys.Heads)
	return func(signature string) (audit.Head, error) {
		h, err := seal.VerifyHead(signature, jwks)
		return audit.Head(h), err
	}
}

func readReceipts(path string, ring *keys.Ring) ([]broker.Receipt, error) {
	if ring == nil {
		return nil, errors.New("to trust a receipt its signature is checked: name the key ring with --keys or --data")
	}
	files, err := readSaved(path, ring.JWKS(keys.Answers))
	if err != nil {
		return nil, err
	}
	var out []broker.Receipt
	for _, f := range files {
		if f.err != nil {
			return nil, f.err
		}
		out = append(out, f.verified.Receipt)
	}
	return out, nil
}

// reportText says what was checked, how many, and what could not be anchored.
func reportText(r audit.Report, c *checkpointJSON, a *archive.Checked) string {
	var b strings.Builder
	b.WriteString("\r")
	for _, s := range append([]audit.StreamReport{r.Register}, r.Writers...) {
		head := "empty"
		if s.Head != nil {
			head = fmt.Sprintf("head %s %s", s.Head.ID, s.Head.Hash)
		}
		fmt.Fprintf(&b, "%-16s %6d entries, %d epochs, %s", s.Stream, s.Entries, s.Epochs, head)
		if s.Unanchored > 0 {
			fmt.Fprintf(&b, "; the last %d not covered by a signed head, receipt or checkpoint", s.Unanchored)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "signed heads that match: %d; receipts that match: %d\n", r.Heads, r.Receipts)
	b.WriteString(c.text(r.Sealed))
	b.WriteString(archiveText(a))
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "FAULT %s\n", f)
	}
	if r.More > 0 {
		fmt.Fprintf(&b, "… and %d more\n", r.More)
	}
	if r.OK {
		b.WriteString("the log is whole: no fault found\n")
	} else {
		b.WriteString("the log is NOT whole: start at the first fault above\n")
	}
	return b.String()
}
