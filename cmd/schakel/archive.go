package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// archiveFolder is where the old part of the log is, in the data folder.
const archiveFolder = "archive"

// archiveConfig says where events go that are older than a limit. Every gateway of a deployment names the same folder, for it
// reads there what Redis no longer has; the one that seals checkpoints moves them.
type archiveConfig struct {
	Folder string        `yaml:"folder"` // of this log alone, on a disk that all gateways see; without it nothing is moved
	Older  time.Duration `yaml:"older"`  // how old an event is when it may be moved; default 720h
	Every  time.Duration `yaml:"every"`  // how often it is looked; default 1h
}

func (c *archiveConfig) defaults() {
	if c.Folder == "" {
		return
	}
	if c.Older == 0 {
		c.Older = 720 * time.Hour
	}
	if c.Every == 0 {
		c.Every = time.Hour
	}
}

func (c *archiveConfig) check() error {
	switch {
	case c.Folder == "" && (c.Older != 0 || c.Every != 0):
		return errors.New("archive: older and every need archive.folder")
	case c.Older < 0 || c.Every < 0:
		return errors.New("archive.older and archive.every must be above zero; leave them out for the default")
	}
	return nil
}

// olderThan tells whether an event is older than a limit; what can't be read stays where it is.
func olderThan(limit time.Duration) func(journal.Entry) bool {
	return func(e journal.Entry) bool {
		event, err := audit.Decode(e.Bytes)
		return err == nil && time.Since(event.Time) >= limit
	}
}

// patient is how much longer than it must an event waits at most for a segment to be full: a day, or as long again where the
// limit is less.
func patient(limit time.Duration) time.Duration { return limit + min(limit, 24*time.Hour) }

// keepArchive moves what is old enough, as long as this gateway is the one that seals.
func (s *server) keepArchive() {
	c := s.cfg.archive
	log, _ := s.desk.register.Log()
	move := archive.Config{
		Log: log, Store: s.cfg.store, Old: olderThan(c.Older), Due: olderThan(patient(c.Older)), Wait: time.Minute,
		Merkle: func() (*checkpoint.Log, error) {
			k, err := checkpoint.NewKeys(s.desk.originOf(s.cfg.sealing.origin), s.cfg.ring.CheckpointKeys(), s.cfg.sealing.witnessKeys, s.cfg.sealing.quorum)
			return checkpoint.OpenLog(s.cfg.sealing.dir, k), err
		},
	}
	for {
		select {
		case <-s.background.Done():
			return
		case <-time.After(c.Every):
		}
		if until := s.leads.Load(); until == nil || time.Now().After(*until) {
			s.archiving.rests()
			continue
		}
		s.archiving.begins(time.Now())
		moved, err := archive.Move(s.background, move)
		switch {
		case errors.Is(err, archive.ErrBusy) || s.background.Err() != nil:
			continue
		case err != nil:
			s.cfg.log.Error("old events are not archived for now; tried again", "error", err)
		case moved != archive.Moved{}:
			s.cfg.log.Info("archived", "segments", moved.Segments, "events", moved.Events, "dropped", moved.Trimmed, "waiting", moved.Waiting)
		}
		s.archiving.did(moved, err, time.Now())
	}
}

// archiving is what came of moving old events in this process.
type archiving struct {
	events, dropped, failures, waiting atomic.Uint64
	since                              atomic.Pointer[time.Time] // the last time that it worked, or was begun; nil where another does it
}

// rests: another gateway moves them now.
func (a *archiving) rests() {
	a.since.Store(nil)
	a.waiting.Store(0)
}

func (a *archiving) begins(now time.Time) { a.since.CompareAndSwap(nil, &now) }

// did counts what one Move did, also where it failed half way.
func (a *archiving) did(m archive.Moved, err error, now time.Time) {
	a.events.Add(m.Events)
	a.dropped.Add(m.Trimmed)
	if err != nil {
		a.failures.Add(1)
		return
	}
	a.waiting.Store(uint64(m.Waiting))
	a.since.Store(&now)
}

// metrics is what an operator watches of the archive.
func (a *archiving) metrics() []prometheus.Collector {
	count := func(name, help string, of *atomic.Uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of.Load()) })
	}
	return []prometheus.Collector{
		count("schakel_archived_events_total", "Events that this gateway wrote into segments of the archive.", &a.events),
		count("schakel_archive_dropped_events_total", "Events that this gateway dropped from the journal after they were archived, sealed and read back.", &a.dropped),
		count("schakel_archive_failures_total", "Times that old events could not be archived; the log says why.", &a.failures),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "schakel_archive_waiting_segments",
			Help: "Segments that no checkpoint covered at the last look: their events are in the journal still."}, func() float64 { return float64(a.waiting.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "schakel_archive_age_seconds",
			Help: "Time since this gateway last moved all that was old enough, or first tried to; 0 where another gateway does."}, func() float64 {
			if since := a.since.Load(); since != nil {
				return time.Since(*since).Seconds()
			}
			return 0
		}),
	}
}

// archiveFolder is where the archive is.
func (w *where) archiveFolder() string {
	if w.archived != "" || w.data == "" {
		return w.archived
	}
	return filepath.Join(w.data, archiveFolder)
}

func newAuditArchive(w *where) *cobra.Command {
	var m merkle
	var now, asJSON bool
	var older time.Duration
	c := &cobra.Command{
		Use:   "archive [--now]",
		Short: "Where the old part of the log is; with --now, move it there",
		Long: `Events older than a limit move from the journal into segments: files of lines (JSON, zstd), with a manifest whose hash is in
the Merkle log. They are dropped from the journal once a checkpoint, with the cosignatures that --quorum asks, covers them and
they were read back. A writer's last 256 events always stay. A server does it every hour where archive.folder is configured; with
--now it is done now, and a server that seals must run. Every command reads both parts as one log.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if now && w.archiveFolder() == "" {
				return &exitError{exitUsage, errors.New("where to? Name the folder of the archive with --archive, or the data folder with --data")}
			}
			store, err := w.openStore(c.Context(), !now)
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			var moved archive.Moved
			if now {
				cfg := archive.Config{Store: store, Old: olderThan(older), Wait: 15 * time.Second}
				if cfg.Merkle, err = w.cosigned(c.Context(), store, m); err != nil {
					return err
				}
				if cfg.Log, err = logOf(c.Context(), store); err != nil {
					return err
				}
				if !asJSON {
					cfg.Progress = func(m archive.Moved) {
						_, _ = fmt.Fprintf(c.ErrOrStderr(), "\r%d events in %d segments, %d dropped from the journal", m.Events, m.Segments, m.Trimmed)
					}
				}
				if moved, err = archive.Move(c.Context(), cfg); err != nil {
					return err
				}
			}
			held, err := held(c.Context(), store)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), struct {
					Moved *archive.Moved `json:"moved"` // null without --now
					heldJSON
				}{pointerIf(now, moved), held})
			}
			return held.say(c.OutOrStdout(), now, moved)
		},
	}
	m.flags(c)
	jsonFlag(c, &asJSON)
	c.Flags().BoolVar(&now, "now", false, "move what is old enough now")
	c.Flags().DurationVar(&older, "older", 720*time.Hour, "how old an event is when it may be moved")
	return c
}

// cosigned gives the Merkle log whose checkpoints cover what may be dropped.
func (w *where) cosigned(ctx context.Context, store journal.Store, m merkle) (func() (*checkpoint.Log, error), error) {
	ring, err := w.openRing()
	if err != nil {
		return nil, err
	}
	k, err := m.keys(ctx, store, ring)
	if err != nil {
		return nil, err
	}
	log, err := w.merkleLog(m.folder, k)
	return func() (*checkpoint.Log, error) { return log, nil }, err
}

func pointerIf[T any](is bool, v T) *T {
	if !is {
		return nil
	}
	return &v
}

// heldJSON is what the archive holds, and how far each stream was dropped from the journal.
type heldJSON struct {
	Folder   string       `json:"folder"`
	Segments int          `json:"segments"`
	Streams  []heldStream `json:"streams"`
}

type heldStream struct {
	Writer   string `json:"writer"`
	Archived string `json:"archived,omitempty"` // the last event in a segment
	Trimmed  string `json:"trimmed,omitempty"`  // the last event that was dropped from the journal
}

func held(ctx context.Context, store *archive.Store) (heldJSON, error) {
	out := heldJSON{Folder: store.Folder().Dir(), Streams: []heldStream{}}
	segments, upTo, err := store.Folder().Holds()
	if err != nil {
		return out, err
	}
	out.Segments = segments
	writers, err := store.Writers(ctx)
	if err != nil {
		return out, err
	}
	for _, name := range writers {
		trimmed, err := store.Trimmed(ctx, journal.Audit(name))
		if err != nil {
			return out, err
		}
		h := heldStream{Writer: name}
		if id, is := upTo[name]; is {
			h.Archived = id.String()
		}
		if trimmed != (journal.Head{}) {
			h.Trimmed = trimmed.ID.String()
		}
		out.Streams = append(out.Streams, h)
	}
	return out, nil
}

func (h heldJSON) say(out io.Writer, now bool, moved archive.Moved) error {
	var b strings.Builder
	if now {
		fmt.Fprintf(&b, "\rmoved %d events into %d segments (%d bytes, %d on disk); %d dropped from the journal\n",
			moved.Events, moved.Segments, moved.Bytes, moved.Stored, moved.Trimmed)
		if moved.Waiting > 0 {
			fmt.Fprintf(&b, "%d segments wait for a checkpoint: their events are dropped next time; does a server run that seals?\n", moved.Waiting)
		}
	}
	fmt.Fprintf(&b, "%s: %d segments\n", h.Folder, h.Segments)
	for _, s := range h.Streams {
		if s.Archived != "" || s.Trimmed != "" {
			fmt.Fprintf(&b, "%-16s archived up to %s, dropped from the journal up to %s\n", s.Writer, orNothing(s.Archived), orNothing(s.Trimmed))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func orNothing(id string) string {
	if id == "" {
		return "nothing"
	}
	return id
}

// checkArchive holds the archive against the Merkle log once that was read, and gives its faults to what verifies the log. Dropped
// was read before the Merkle log.
func checkArchive(store *archive.Store, dropped archive.Dropped, sealed *checkpointJSON, found *archive.Checked) func(context.Context) ([]audit.Fault, error) {
	return func(ctx context.Context) ([]audit.Fault, error) {
		log, err := logOf(ctx, store)
		if err != nil { // verification names a genesis that is damaged or missing
			return nil, nil
		}
		var manifests map[uint64]broker.Hash
		if sealed != nil {
			manifests = sealed.archived
		}
		if *found, err = archive.Check(ctx, store, log, dropped, manifests); err != nil {
			return nil, err
		}
		var faults []audit.Fault
		for _, f := range found.Faults {
			fault := audit.Fault{Code: audit.FaultArchive, Stream: f.Stream, What: f.What}
			if f.ID != (journal.ID{}) {
				fault.ID = (*audit.ID)(&f.ID)
			}
			faults = append(faults, fault)
		}
		return faults, nil
	}
}
