package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/gateway"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/socket"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// serverConfig is what a running gateway is made of; demo and serve fill it.
type serverConfig struct {
	store    *archive.Store // the journal, and the archive of its older events
	ring     *keys.Ring
	sources  broker.Sources
	dir      string // heads/ and the administration socket
	writer   string
	listener net.Listener
	audience string // "" is the URL of the listener
	tls      *tls.Config
	require  bool // every token must be bound to a client certificate
	limits   limitsConfig
	log      *slog.Logger

	metricsFrom []netip.Prefix // networks that may read /metrics; nil is this machine
	console     *consoleSite   // nil: no console
	residents   *residentsSite // nil: no site for residents
	sealing     *sealing       // nil: no checkpoints
	archive     archiveConfig  // when events move into the store's archive; where that has no folder, never
}

// server is one gateway: register view, writer, broker and listeners, wired.
type server struct {
	cfg    serverConfig
	desk   *desk
	writer *audit.Writer
	socket *socket.Listener
	http   *http.Server
	url    string

	unsealed  unsealed
	archiving archiving
	leads     atomic.Pointer[time.Time] // until when this process is the one that seals; nil: it never was

	failed     chan error
	wait       sync.WaitGroup // what runs until background ends
	background context.Context
	stop       context.CancelFunc
}

// listen takes the address before anything is done that a port in use would leave half done.
func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address (demo: --listen, serve: listen in the configuration)", err)
	}
	return l, nil
}

// newServer opens the register and claims the writer's stream. It answers after serve.
func newServer(ctx context.Context, cfg serverConfig) (*server, error) {
	if err := cfg.store.Check(ctx); err != nil {
		return nil, err
	}
	if err := refuseUnfinished(ctx, cfg.store); err != nil {
		return nil, err
	}
	d, err := newDesk(ctx, cfg.store, cfg.ring)
	if err != nil {
		return nil, err
	}
	if _, ignored := d.register.Snapshot(); ignored != nil {
		cfg.log.Error("snapshot not used", "error", ignored)
	}
	if d.unready != nil {
		cfg.log.Error("policy not loaded: this gateway answers 503 until it is", "error", d.unready)
	}
	if cfg.sealing != nil {
		cfg.sealing.dir = folderAfter(cfg.sealing.dir, d.restored)
	}
	s := &server{cfg: cfg, desk: d, failed: make(chan error, 9)}
	// Before the stream is claimed: a second start in the same folder must not push out the first and then fail.
	if s.socket, err = socket.Listen(filepath.Join(cfg.dir, socketFile)); err != nil {
		return nil, err
	}
	w := d.writerConfig(cfg.writer, cfg.dir)
	w.Admit = s.covered
	if s.writer, err = audit.Open(ctx, w); err != nil {
		return nil, errors.Join(err, s.socket.Close())
	}
	s.url = "http://" + cfg.listener.Addr().String()
	if cfg.tls != nil {
		s.url = "https://" + cfg.listener.Addr().String()
	}
	s.background, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// serve answers requests and follows the register, the ring and the store, until ctx ends or something fails that must
// not go on. It finishes and records what is in flight.
func (s *server) serve(ctx context.Context) error {
	g, err := s.gateway()
	if err != nil {
		s.stop()
		return errors.Join(err, s.writer.Close(ctx), s.socket.Close())
	}
	s.http = g.Server("")
	go func() {
		if err := s.listenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	s.wait.Go(func() { s.failed <- s.socket.Serve(s.background, s.cfg.store.Store) })
	s.wait.Go(func() { s.failed <- s.desk.register.Follow(s.background) })
	s.wait.Go(func() { s.desk.register.KeepSnapshots(s.background, s.cfg.limits.SnapshotEvery, s.snapshotMade) })
	s.wait.Go(func() {
		s.cfg.ring.Watch(s.background, time.Second, func(err error) { s.cfg.log.Error("key ring not taken up", "error", err) })
	})
	s.wait.Go(s.follow)
	if sealing := s.cfg.sealing; sealing != nil {
		if sealing.dir != "" {
			s.wait.Go(func() {
				if err := s.seal(); err != nil {
					s.failed <- err
				}
			})
		}
		if sealing.maxUnsealed > 0 {
			s.wait.Go(s.watchTail)
		}
	}
	if s.cfg.console != nil {
		s.wait.Go(func() { s.failed <- s.serveConsole(s.cfg.console) })
	}
	if s.cfg.residents != nil {
		s.wait.Go(func() { s.failed <- s.serveResidents(s.cfg.residents) })
	}

	select {
	case <-ctx.Done():
		err = nil
	case err = <-s.failed:
	case <-s.writer.Fenced():
		err = errors.New("another process claimed this writer's stream, or the store lost events: this gateway stops")
	}
	return errors.Join(err, s.close())
}

func (s *server) listenAndServe() error {
	if s.cfg.tls != nil {
		return s.http.ServeTLS(s.cfg.listener, "", "") // the certificate is in the gateway's TLS configuration
	}
	return s.http.Serve(s.cfg.listener)
}

// close takes no new requests, finishes those in flight, records the end of the epoch and lets everything go.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.background), s.cfg.limits.ShutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	err = errors.Join(err, s.writer.Close(ctx))
	s.stop()
	s.wait.Wait() // the socket is gone, and nothing uses the store any more
	return err
}

func (s *server) snapshotMade(at broker.Position, err error) {
	if err != nil {
		s.cfg.log.Error("snapshot not made", "error", err)
		return
	}
	s.cfg.log.Info("snapshot made", "position", at)
}

func (s *server) gateway() (*gateway.Gateway, error) {
	audience := s.cfg.audience
	if audience == "" {
		audience = s.url
	}
	opener, err := seal.NewOpener(seal.OpenerConfig{Agencies: s.desk.register.Agency, Audience: []string{audience},
		RequireCertificate: s.cfg.require, MACNonce: s.cfg.ring.MACNonce})
	if err != nil {
		return nil, err
	}
	sealer, err := seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return s.cfg.ring.Signer(keys.Answers) }})
	if err != nil {
		return nil, err
	}
	b, err := broker.New(broker.Config{
		Opener: opener, Register: s.desk.register, Decider: s.desk.decider, Sources: s.cfg.sources, Journal: s.writer,
		Sealer: sealer, Now: time.Now, NewID: newRequestID, Rand: rand.Reader, Pseudonym: s.cfg.ring.RecipientPseudonym,
		Admit:         gateway.NewLimiter(s.cfg.limits.RequestsPerSecond, s.cfg.limits.Burst),
		SourceTimeout: s.cfg.limits.SourceTimeout,
	})
	if err != nil {
		return nil, err
	}
	metrics := prometheus.NewRegistry()
	for _, m := range slices.Concat(s.unsealed.metrics(), s.archiving.metrics()) {
		if err := metrics.Register(m); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return gateway.New(gateway.Config{
		Metrics: metrics,
		Broker:  b, JWKS: func() []byte { return s.cfg.ring.JWKS(keys.Answers) }, Ready: s.ready, Log: s.cfg.log,
		Stopped: func() bool { return s.desk.register.Policy().Stop != nil },
		Version: version(), TLS: s.cfg.tls, MetricsFrom: s.cfg.metricsFrom, PublicURL: audience, Nonce: opener.Nonce,
		MaxConnections: s.cfg.limits.Connections,
		// Two rounds of questions, and the record: the connection must last longer than what is done for it.
		RequestTimeout: 2*s.cfg.limits.SourceTimeout + 10*time.Second,
	})
}

func (s *server) ready(context.Context) error {
	var missing gateway.NotReady
	if s.writer.Healthy() != nil {
		missing = append(missing, "journal")
	}
	if s.covered() != nil {
		missing = append(missing, "checkpoints")
	}
	if s.desk.register.Ready() != nil {
		missing = append(missing, "register")
	}
	if r, ok := s.desk.register.Revision(); !ok {
		missing = append(missing, "policy")
	} else if _, err := s.desk.decider.Catalog(r); err != nil {
		missing = append(missing, "policy")
	}
	if len(missing) > 0 {
		return missing
	}
	return nil
}

// follow takes up new policy revisions, and a store that came back after a restart.
func (s *server) follow() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	told, adoption := "", newAdoption(s)
	defer adoption.end()
	for {
		select {
		case <-s.background.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(adoption.step(), s.reverify())
		if err != nil && err.Error() != told {
			s.cfg.log.Error("not ready", "error", err)
		}
		told = ""
		if err != nil {
			told = err.Error()
		}
	}
}

// reverify accepts a store that restarted (another run id) only when this writer's stream ends where it may have left it,
// and the register holds everything its view does: a replica that took over may lack entries.
func (s *server) reverify() error {
	store, ok := s.cfg.store.Store.(interface{ Reverify(context.Context) error })
	if !ok || !errors.Is(s.writer.Healthy(), journal.ErrUnsafe) {
		return nil
	}
	if err := s.desk.register.Refresh(s.background); err != nil {
		return err
	}
	head, err := s.cfg.store.Head(s.background, journal.Audit(s.cfg.writer))
	if err != nil {
		return err
	}
	if !s.writer.Left(head) {
		return errors.New("the store's stream does not end where this writer left it: it lost events, or was put back; restart this gateway to name them")
	}
	s.desk.vault.ForgetAll() // it may lack keys that were put, if not the events that need them
	return store.Reverify(s.background)
}

func newRequestID() broker.RequestID {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err) // no randomness: nothing can be done safely
	}
	return broker.RequestID(id.String())
}

// version names this build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
