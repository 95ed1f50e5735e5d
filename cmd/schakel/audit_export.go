package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// manifest says what an export is of, and binds its files. It is written last: a folder without it is no export.
type manifest struct {
	Version int                `json:"version"`
	Format  audit.ExportFormat `json:"format"`
	Log     string             `json:"log"`
	Holder  broker.OIN         `json:"holder,omitempty"` // it has only what was asked of this agency
	Since   *time.Time         `json:"since"`            // included; null: from the beginning
	Until   *time.Time         `json:"until"`            // not included; null: until the heads
	Made    time.Time          `json:"made"`
	Program string             `json:"program"`
	Files   []manifestFile     `json:"files"`
	Heads   []manifestHead     `json:"heads"` // of every stream, as they were before it was read
	audit.ExportReport
}

// exported is what an export printed as JSON says: the manifest, and how many records a collector acknowledged.
type exported struct {
	manifest
	Acknowledged *int `json:"acknowledged,omitempty"`
}

type manifestFile struct {
	Name   string      `json:"name"`
	Bytes  int64       `json:"bytes"`
	SHA256 broker.Hash `json:"sha256"`
}

type manifestHead struct {
	Stream journal.Stream `json:"stream"`
	audit.Ref
}

const manifestVersion = 1

// ldvFile is the file of records of the Logboek Dataverwerkingen.
const ldvFile = "ldv.otlp.jsonl"

// exporter is one run of `audit export`.
type exporter struct {
	look                                        lookOver
	format, since, until, out, holder, activity string
	to                                          collector
}

func newAuditExport(w *where) *cobra.Command {
	var x exporter
	var asJSON bool
	c := &cobra.Command{
		Use:   "export --format ldv|adl|csv --out FOLDER",
		Short: "Write the disclosures for other tools and people, with a manifest",
		Long: `Writes the disclosures of a window into a new folder, with a manifest: digests, counts, window, the heads of all streams and the
last checkpoint.
ldv  Logboek Dataverwerkingen: a record for each disclosure and data subject, as OTLP/JSON lines; no worker is in it
adl  Authorization Decision Log, level 4: a record for each decision, with policy, information and engine by reference
csv  for people: a row for each disclosure
ldv goes on to a collector with --otlp, over OTLP/HTTP, once it is whole; every record is acknowledged or the command fails. After
that, run it again: a record has the same span id each time.
With --holder only what was asked of that agency, by which agency and for what (ldv and csv), for it to see. There is no BSN in
any of it; data subjects have the pseudonym of this log. An officer who may looks, and that is recorded first. Exit code 1 when
an event can't be read.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := x.run(c.Context(), w)
			if err != nil {
				return err
			}
			told := exported{manifest: m}
			if x.to.url != "" {
				n, err := x.to.push(c.Context(), filepath.Join(x.out, ldvFile))
				if err != nil {
					return fmt.Errorf("%w; %d of %d records were acknowledged, and all stand in %s", err, n, m.Records, x.out)
				}
				told.Acknowledged = &n
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), told)
			} else {
				_, err = fmt.Fprint(c.OutOrStdout(), told.text(x.out))
			}
			if err == nil && len(m.Damaged) > 0 {
				return &exitError{code: exitFailure}
			}
			return err
		},
	}
	x.look.flags(c)
	jsonFlag(c, &asJSON)
	windowFlags(c, &x.since, &x.until)
	f := c.Flags()
	f.StringVar(&x.format, "format", "", "ldv, adl or csv")
	f.StringVar(&x.out, "out", "", "folder to make")
	f.StringVar(&x.to.url, "otlp", "", "for ldv: send the records to this collector too (https://logboek.example)")
	f.StringVar(&x.to.header, "otlp-header-file", "", "file with a header line that the collector asks for, such as Authorization: Bearer …")
	f.StringVar(&x.holder, "holder", "", "only what was asked of this agency (its OIN)")
	f.StringVar(&x.activity, "activities", "urn:schakel:verwerking:",
		"for ldv: what stands before the purpose in the URI of its processing activity, such as https://register.example.nl/verwerkingen/")
	_ = c.MarkFlagRequired("format")
	_ = c.MarkFlagRequired("out")
	return c
}

func (x *exporter) run(ctx context.Context, w *where) (m manifest, err error) {
	format := audit.ExportFormat(x.format)
	if !slices.Contains([]audit.ExportFormat{audit.ExportLDV, audit.ExportADL, audit.ExportCSV}, format) || (format == audit.ExportADL && x.holder != "") {
		return m, &exitError{exitUsage, errors.New("--format is ldv, adl or csv; with --holder ldv or csv")}
	}
	if x.to.url != "" {
		if format != audit.ExportLDV {
			return m, &exitError{exitUsage, errors.New("only --format ldv goes to a collector")}
		}
		if _, _, err := x.to.check(); err != nil {
			return m, &exitError{exitUsage, err}
		}
	}
	from, to, err := window(x.since, x.until)
	if err != nil {
		return m, err
	}
	if left, err := os.ReadDir(x.out); !errors.Is(err, os.ErrNotExist) && (err != nil || len(left) > 0) {
		return m, &exitError{exitUsage, fmt.Errorf("%s is there already: name a new folder with --out", x.out)}
	}
	m = manifest{Version: manifestVersion, Format: format, Holder: broker.OIN(x.holder), Since: known(from), Until: known(to), Made: time.Now().UTC(), Program: version()}
	cfg := audit.ExportConfig{Format: format, Holder: m.Holder,
		Activity: func(p broker.Purpose) string { return x.activity + string(p) }}
	sought := x.format
	if x.holder != "" {
		sought += ", of holder " + x.holder
	}
	if x.to.url != "" {
		sought += ", to a collector at " + x.to.url
	}
	var ring *keys.Ring
	w.anyPolicy = true
	err = w.write(ctx, adminWriter, func(d *desk, writer *audit.Writer) error {
		ring, cfg.Names = d.ring, d.names()
		if _, err := d.agencyOf(m.Holder, ""); err != nil {
			return err
		}
		return x.look.record(ctx, d, writer, w.data, audit.Viewed{How: "audit export", Since: from, Until: to}, sought)
	})
	if err != nil {
		return m, err
	}
	store, err := w.openStore(ctx, true)
	if err != nil {
		return m, err
	}
	defer func() { _ = store.Close() }()
	if m.Log, m.Heads, err = headsOf(ctx, store); err != nil {
		return m, err
	}
	cfg.Log = m.Log
	cfg.Window = audit.RequestsConfig{Store: store, Vault: keys.NewVault(store, ring), Since: from, Until: to}
	if err := os.MkdirAll(x.out, 0o700); err != nil {
		return m, fmt.Errorf("make export: %w", err)
	}
	name := map[audit.ExportFormat]string{audit.ExportLDV: ldvFile, audit.ExportADL: "adl.jsonl", audit.ExportCSV: "verstrekkingen.csv"}[format]
	err = m.file(x.out, name, func(out io.Writer) (err error) {
		m.ExportReport, err = audit.Export(ctx, cfg, out)
		return err
	})
	if err != nil {
		return m, err
	}
	sealed, err := readSeal(ctx, store)
	if err != nil {
		return m, err
	}
	if note := sealed.Checkpoint; note != nil { // a log that is not sealed has none
		if err := m.file(x.out, "checkpoint", func(out io.Writer) error { _, err := out.Write(note); return err }); err != nil {
			return m, err
		}
	}
	bound := m // of the manifest itself there is no digest
	return m, bound.file(x.out, "manifest.json", func(out io.Writer) error { return printJSON(out, m) })
}

// headsOf gives the log's id, and where each of its streams ends.
func headsOf(ctx context.Context, store journal.Store) (log string, heads []manifestHead, err error) {
	first, err := store.Read(ctx, journal.Register, journal.ID{}, 1)
	if err != nil || len(first) == 0 {
		return "", nil, errors.Join(err, errors.New("the register is empty; is this the right Schakel?"))
	}
	if log, err = register.LogOf(first[0]); err != nil {
		return "", nil, err
	}
	writers, err := store.Writers(ctx)
	if err != nil {
		return "", nil, err
	}
	streams := []journal.Stream{journal.Register}
	for _, name := range writers {
		streams = append(streams, journal.Audit(name))
	}
	for _, s := range streams {
		h, err := store.Head(ctx, s)
		if err != nil {
			return "", nil, err
		}
		heads = append(heads, manifestHead{s, audit.Ref{ID: audit.ID(h.ID), Hash: h.Hash}})
	}
	return log, heads, nil
}

// file writes a file of the export, for its owner alone, and lists it.
func (m *manifest) file(folder, name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	sum := &summed{hash: sha256.New()}
	out := bufio.NewWriter(io.MultiWriter(f, sum))
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write export %s: %w; what stands in %s is not whole, and has no manifest", name, err, folder)
	}
	m.Files = append(m.Files, manifestFile{name, sum.bytes, broker.Hash(sum.hash.Sum(nil))})
	return nil
}

// summed counts and hashes what is written.
type summed struct {
	hash  hash.Hash
	bytes int64
}

func (s *summed) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return s.hash.Write(p)
}

func (m exported) text(folder string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records of %d disclosures of log %s in %s\n", m.Records, m.Events, m.Log, folder)
	for _, f := range m.Files {
		fmt.Fprintf(&b, "  %s %s (%d bytes)\n", f.SHA256, f.Name, f.Bytes)
	}
	if m.Acknowledged != nil {
		fmt.Fprintf(&b, "the collector acknowledged %d records\n", *m.Acknowledged)
	}
	if m.Erased > 0 {
		fmt.Fprintf(&b, "not in it: %d parts of which the key was deleted\n", m.Erased)
	}
	if len(m.Damaged) > 0 {
		fmt.Fprintf(&b, "NOT READ, in whole or in part: %s; `schakel audit verify` says what is wrong\n", events(m.Damaged))
	}
	return b.String()
}
