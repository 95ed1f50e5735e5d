package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// savedFile is a file with an answer that was kept.
type savedFile struct {
	name     string
	verified seal.Verified
	err      error // it can't be read, or its signature does not fit
}

// readSaved reads a kept answer, or all below a folder (.json and .jws), and verifies each on all cores. The error tells only
// that nothing can be read there; what is wrong with a file stands beside it.
func readSaved(path string, jwks []byte) ([]savedFile, error) {
	var out []savedFile
	err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (name == path || slices.Contains([]string{".json", ".jws"}, filepath.Ext(name))) {
			out = append(out, savedFile{name: name})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	var next atomic.Int64
	var cores sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		cores.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(out); i = int(next.Add(1)) - 1 {
				out[i].read(jwks)
			}
		})
	}
	cores.Wait()
	return out, nil
}

func (f *savedFile) read(jwks []byte) {
	data, err := os.ReadFile(f.name)
	if err == nil {
		var evidence seal.Evidence
		if evidence, err = seal.ReadEvidence(data); err == nil {
			f.verified, err = seal.Verify(evidence, jwks)
		}
	}
	if err != nil {
		f.err = fmt.Errorf("receipt %s: %w", f.name, err)
	}
}

// receiptsReport is what `audit receipts` says.
type receiptsReport struct {
	OK       bool          `json:"ok"`
	Log      string        `json:"log"`
	Files    int           `json:"files"`
	Held     int           `json:"held"`    // files whose answer is in the log exactly once
	Answers  int           `json:"answers"` // different ones among Held: one can be kept twice
	Problems []receiptFile `json:"problems"`
}

type receiptFile struct {
	File    string             `json:"file"`
	State   audit.HoldingState `json:"state"` // or "unverified"
	What    string             `json:"what"`
	Receipt string             `json:"receipt,omitempty"` // the hash
	Events  []string           `json:"events"`
}

func newAuditReceipts(w *where) *cobra.Command {
	var jwks string
	var asJSON bool
	c := &cobra.Command{
		Use:   "receipts FILE|FOLDER...",
		Short: "Hold kept answers against the log: each must be there exactly once",
		Long: `Holds answers that an agency kept (ask --save, or the evidence it keeps itself) against the log: of each the signature is
verified, its receipt must be in the log exactly once, and the event must be of this very answer. Of folders all .json and .jws
files below them are taken. Exit code 1 when a file is not held. Refusals are answers too.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := w.openStore(c.Context(), true)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			set, err := w.answerKeys(c.Context(), jwks)
			if err != nil {
				return err
			}
			var files []savedFile
			for _, path := range args {
				found, err := readSaved(path, set)
				if err != nil {
					return err
				}
				files = append(files, found...)
			}
			if len(files) == 0 {
				return errors.New("there is no kept answer: name files that `schakel ask --save` wrote, or their folder")
			}
			progress := func(uint64) {}
			if !asJSON {
				progress = func(n uint64) { _, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%d events read", n) }
			}
			report, err := holdReceipts(c.Context(), store, files, progress)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), report)
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), "\r"+receiptsText(report))
			}
			if err == nil && !report.OK {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	jsonFlag(c, &asJSON)
	c.Flags().StringVar(&jwks, "jwks", "", "the server's public keys (a file, or the URL …/.well-known/jwks.json) instead of those of the key ring")
	return c
}

// answerKeys gives the public keys that answers are verified with.
func (w *where) answerKeys(ctx context.Context, jwks string) ([]byte, error) {
	if jwks != "" {
		return readJWKS(ctx, callerTLS{}, jwks)
	}
	ring, err := w.openRing()
	if err != nil {
		return nil, fmt.Errorf("to trust a receipt its signature is verified: %w; or name the server's public keys with --jwks", err)
	}
	return ring.JWKS(keys.Answers), nil
}

func holdReceipts(ctx context.Context, store journal.Store, files []savedFile, progress func(uint64)) (receiptsReport, error) {
	first, err := store.Read(ctx, journal.Register, journal.ID{}, 1)
	if err != nil || len(first) == 0 {
		return receiptsReport{}, errors.Join(err, errors.New("the register is empty; is this the right Schakel?"))
	}
	r := receiptsReport{Files: len(files), Problems: []receiptFile{}}
	if r.Log, err = register.LogOf(first[0]); err != nil {
		return r, err
	}
	var saved []audit.Saved
	var of []savedFile
	for _, f := range files {
		if f.err != nil {
			r.Problems = append(r.Problems, receiptFile{File: f.name, State: "unverified", What: f.err.Error(), Events: []string{}})
			continue
		}
		saved = append(saved, audit.Saved{Receipt: f.verified.Receipt, Answer: f.verified.Nonce.Digest(f.verified.Body)})
		of = append(of, f)
	}
	held, err := audit.HoldReceipts(ctx, store, r.Log, saved, progress)
	if err != nil {
		return r, err
	}
	different := map[string]bool{}
	for i, h := range held {
		hash := saved[i].Receipt.Hash.String()
		if h.State == audit.HoldingOnce {
			r.Held++
			different[hash] = true
			continue
		}
		what := map[audit.HoldingState]string{
			audit.HoldingMissing:   "no event of the log has its hash: it was removed, or this is an older copy of the log",
			audit.HoldingTwice:     "more than one event has its hash",
			audit.HoldingAltered:   "the event that it is the receipt of was altered",
			audit.HoldingOtherwise: "the event it is the receipt of recorded another answer",
			audit.HoldingForeign:   "it is a receipt of log " + saved[i].Receipt.Log,
		}[h.State]
		r.Problems = append(r.Problems, receiptFile{of[i].name, h.State, what, hash, h.Events})
	}
	r.Answers, r.OK = len(different), len(r.Problems) == 0
	return r, nil
}

func receiptsText(r receiptsReport) string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "%s: %s: %s", strings.ToUpper(string(p.State)), p.File, p.What)
		if p.Receipt != "" {
			fmt.Fprintf(&b, " (%s)", p.Receipt)
		}
		if len(p.Events) > 0 {
			b.WriteString(": " + events(p.Events))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d of %d kept answers are in log %s exactly once (%d different ones)\n", r.Held, r.Files, r.Log, r.Answers)
	return b.String()
}
