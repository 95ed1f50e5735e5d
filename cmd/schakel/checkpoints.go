package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// checkpointsFolder is where the Merkle log is, in the data folder.
const checkpointsFolder = "checkpoints"

// sealNote is the name under which the journal remembers the last checkpoint. No gateway may have it.
const sealNote = "checkpoints"

// Of the lease: how long it lasts, and how much sooner its holder thinks that it ends.
const (
	leaseTime   = 10 * time.Second
	leaseMargin = 2 * time.Second
)

// checkpointsConfig says where this gateway's Merkle log is, and who cosigns it. Several gateways may have the same folder:
// one of them seals, and another takes over.
type checkpointsConfig struct {
	Folder  string `yaml:"folder"` // of the log's tiles; without it this gateway never seals
	Origin  string `yaml:"origin"` // the log's name in its checkpoints; default schakel/ and the log's id
	Listen  string `yaml:"listen"` // host:port where anybody may read it (C2SP tlog-tiles); without it, nowhere
	Quorum  int    `yaml:"quorum"` // of the witnesses that must cosign; default all
	Witness []struct {
		VerifierKey string `yaml:"verifierKey"` // as `schakel witness key` prints it
		URL         string `yaml:"url"`         // before /add-checkpoint
	} `yaml:"witnesses"`
	// MaxUnsealed is how old the oldest event of this gateway may grow that no checkpoint covers; then it stops answering.
	// Default 5m where there is a folder; without one, none.
	MaxUnsealed time.Duration `yaml:"maxUnsealed"`
}

func (c *checkpointsConfig) defaults() {
	if c.Folder != "" && c.MaxUnsealed == 0 {
		c.MaxUnsealed = 5 * time.Minute
	}
	if c.Quorum == 0 {
		c.Quorum = len(c.Witness)
	}
}

func (c *checkpointsConfig) check() error {
	switch {
	case c.Folder == "" && (c.Listen != "" || len(c.Witness) > 0 || c.Origin != ""):
		return errors.New("checkpoints: origin, listen and witnesses need checkpoints.folder")
	case c.Quorum < 0 || c.Quorum > len(c.Witness):
		return fmt.Errorf("checkpoints.quorum: %d of %d witnesses can't be; leave it out for all", c.Quorum, len(c.Witness))
	case c.MaxUnsealed < 0:
		return errors.New("checkpoints.maxUnsealed must be above zero; leave it out for the default")
	}
	return nil
}

// sealing is what a gateway seals with.
type sealing struct {
	dir, origin string
	quorum      int
	witnesses   []checkpoint.Witness
	witnessKeys []string     // their verifier keys
	listener    net.Listener // nil: the log is served by nobody
	maxUnsealed time.Duration
}

func (c *checkpointsConfig) sealing(ctx context.Context) (*sealing, error) {
	s := &sealing{dir: c.Folder, origin: c.Origin, quorum: c.Quorum, maxUnsealed: c.MaxUnsealed}
	for _, w := range c.Witness {
		witness, err := checkpoint.NewWitness(w.VerifierKey, w.URL)
		if err != nil {
			return nil, fmt.Errorf("checkpoints.witnesses: %w", err)
		}
		s.witnesses = append(s.witnesses, witness)
		s.witnessKeys = append(s.witnessKeys, w.VerifierKey)
	}
	if c.Listen == "" {
		return s, nil
	}
	var err error
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); err != nil {
		return nil, fmt.Errorf("checkpoints: %w; choose another checkpoints.listen", err)
	}
	return s, nil
}

// originOf names a log in its checkpoints.
func (d *desk) originOf(configured string) string {
	log, _ := d.register.Log()
	return originAfter(cmp.Or(configured, "schakel/"+log), d.restored)
}

// originAfter names a log in its checkpoints after it was put back from a backup (backup.Name). What was published before under
// the name without it must never be contradicted under the same name.
func originAfter(origin, restored string) string {
	if restored == "" {
		return origin
	}
	return origin + "/" + restored
}

// restoredIn gives what originAfter added to a name.
func restoredIn(origin string) string {
	if last := path.Base(origin); backup.IsName(last) {
		return last
	}
	return ""
}

// folderAfter is where the Merkle log is, and the archive, after the log was put back: in a folder of its own inside the one that
// is configured. What there was before stays where it is.
func folderAfter(folder, restored string) string {
	if folder == "" || filepath.Base(folder) == restored {
		return folder
	}
	return filepath.Join(folder, restored)
}

// rememberedSeal is what the journal remembers of the last checkpoint.
type rememberedSeal struct {
	Checkpoint []byte                    `json:"checkpoint"` // as it was published
	Streams    map[journal.Stream]string `json:"streams"`    // "epoch-seq" of the last entry that it covers
}

func readSeal(ctx context.Context, store journal.Store) (rememberedSeal, error) {
	var r rememberedSeal
	notes, err := store.Notes(ctx)
	if err != nil || len(notes[sealNote]) == 0 {
		return r, err
	}
	if err := json.Unmarshal(notes[sealNote], &r); err != nil {
		return r, errors.New("read the last checkpoint in the journal: it is of another version")
	}
	return r, nil
}

// checkpointer makes the one that seals for this server.
func (s *server) checkpointer() (*checkpoint.Checkpointer, error) {
	cfg, d := s.cfg.sealing, s.desk
	origin, lease := d.originOf(cfg.origin), s.lease()
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // tessera's own words: what matters of them, the checkpointer says
	return checkpoint.New(checkpoint.Config{
		Dir: cfg.dir, Origin: origin, Streams: s.streams(), Witnesses: cfg.witnesses, Quorum: cfg.quorum, Lease: lease,
		Key: func() (checkpoint.Key, error) {
			k, err := s.cfg.ring.CheckpointKey()
			return checkpoint.Key{Public: k.Public, Sign: k.Sign}, err
		},
		Keys: func() (checkpoint.Keys, error) {
			return checkpoint.NewKeys(origin, s.cfg.ring.CheckpointKeys(), nil, 0)
		},
		Remembered: func(ctx context.Context) ([]byte, error) {
			r, err := readSeal(ctx, s.cfg.store)
			return r.Checkpoint, err
		},
		Sealed: s.sealed,
		Alarm: func(a checkpoint.Alarm) {
			s.unsealed.alarms.Add(1)
			s.cfg.log.Error("ALARM: the log and its checkpoints contradict each other; run `schakel audit verify`",
				"stream", a.Stream, "id", a.ID.String(), "what", a.What)
		},
		Failed: func(err error) { s.cfg.log.Error("no checkpoint for now; tried again", "error", err) },
	})
}

// lease takes the checkpointer's lease, and asks the store again only in time to keep it.
func (s *server) lease() func(context.Context) (uint64, time.Time, error) {
	var fence uint64
	var until time.Time
	holder := "cp-" + hex.EncodeToString(randomBytes(8))
	return func(ctx context.Context) (uint64, time.Time, error) {
		now := time.Now()
		if now.Add(leaseTime / 2).Before(until) {
			return fence, until, nil
		}
		got, err := s.cfg.store.TakeLease(ctx, sealNote, holder, leaseTime)
		if err != nil {
			return 0, time.Time{}, err
		}
		fence, until = got, now.Add(leaseTime-leaseMargin)
		ends := until
		s.leads.Store(&ends)
		return fence, until, nil
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// sealed remembers a checkpoint in the journal.
func (s *server) sealed(ctx context.Context, seal checkpoint.Seal) error {
	r := rememberedSeal{Checkpoint: seal.Checkpoint.Signed, Streams: map[journal.Stream]string{}}
	for stream, head := range seal.Streams {
		r.Streams[stream] = head.ID.String()
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.cfg.store.PutNote(ctx, sealNote, data)
}

// seal runs the checkpointer and serves its log, until background ends.
func (s *server) seal() error {
	c, err := s.checkpointer()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	if l := s.cfg.sealing.listener; l != nil {
		site := &http.Server{Handler: checkpoint.Handler(s.cfg.sealing.dir), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
			ErrorLog: slog.NewLogLogger(s.cfg.log.Handler(), slog.LevelDebug)}
		running.Go(func() {
			if err := site.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("serve checkpoints: %w", err)
			}
		})
		defer func() { _ = site.Close() }()
	}
	running.Go(s.keepIndex)
	if s.cfg.store.Folder().Dir() != "" {
		running.Go(s.keepArchive)
	}
	c.Run(s.background)
	return nil
}

// unsealed watches over the tail of this gateway's stream that no checkpoint covers.
type unsealed struct {
	since  atomic.Pointer[time.Time] // the oldest event of it; nil where there is none
	alarms atomic.Int64              // contradictions between streams and checkpoints, found by this process
}

// metrics is what an operator watches of the sealing.
func (u *unsealed) metrics() []prometheus.Collector {
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "schakel_log_unsealed_seconds",
		Help: "Age of the oldest event of this gateway that no checkpoint covers; 0 where all are covered."}, func() float64 {
		if since := u.since.Load(); since != nil {
			return time.Since(*since).Seconds()
		}
		return 0
	})
	alarms := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "schakel_checkpoint_alarms_total",
		Help: "Streams that contradict the checkpoints: run schakel audit verify."}, func() float64 { return float64(u.alarms.Load()) })
	return []prometheus.Collector{age, alarms}
}

// watchTail looks each second how old the oldest event is that no checkpoint covers.
func (s *server) watchTail() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.background.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.background, time.Second)
		since, err := s.tail(ctx)
		cancel()
		if err == nil { // while the store is away, what was known before counts on
			s.unsealed.since.Store(since)
		}
	}
}

// tail gives the time of the oldest event of this gateway's stream that no checkpoint covers.
func (s *server) tail(ctx context.Context) (*time.Time, error) {
	r, err := readSeal(ctx, s.cfg.store)
	if err != nil {
		return nil, err
	}
	stream := journal.Audit(s.cfg.writer)
	var last journal.ID
	if text := r.Streams[stream]; text != "" {
		if last, err = journal.ParseID(text); err != nil {
			return nil, err
		}
	}
	if !last.Less(s.writer.Head().ID) {
		return nil, nil
	}
	page, err := s.cfg.store.Read(ctx, stream, last, 1)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	e, err := audit.Decode(page[0].Bytes)
	if err != nil {
		return nil, err
	}
	return &e.Time, nil
}

// covered tells why this gateway answers nothing now: its events wait too long for a checkpoint.
func (s *server) covered() error {
	if s.cfg.sealing == nil || s.cfg.sealing.maxUnsealed == 0 {
		return nil
	}
	since := s.unsealed.since.Load()
	if since == nil || time.Since(*since) <= s.cfg.sealing.maxUnsealed {
		return nil
	}
	return broker.Fail(broker.KindUnavailable, "log-unsealed",
		fmt.Errorf("events since %s wait for a checkpoint; is the checkpointer running, and do its witnesses cosign?", since.UTC().Format(time.RFC3339)))
}

// merkleFolder is where the Merkle log is that goes by a name: in the folder that is given, or in the data folder; "" where
// there is neither.
func (w *where) merkleFolder(folder, origin string) string {
	if folder == "" && w.data != "" {
		folder = filepath.Join(w.data, checkpointsFolder)
	}
	return folderAfter(folder, restoredIn(origin))
}

func errNoMerkle() error {
	return &exitError{exitUsage, errors.New("where is the Merkle log? Name its folder with --checkpoints, or the data folder with --data")}
}

// merkleLog opens the Merkle log of a data folder, or of another folder that is named.
func (w *where) merkleLog(folder string, k checkpoint.Keys) (*checkpoint.Log, error) {
	if folder = w.merkleFolder(folder, k.Origin()); folder == "" {
		return nil, errNoMerkle()
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("there is no Merkle log in %s; name its folder with --checkpoints", folder)
	}
	return checkpoint.OpenLog(folder, k), nil
}
