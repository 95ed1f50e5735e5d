// Package redisstream keeps a journal in Redis Streams: the production backend, for any number of gateways on one shard.
//
// One Append is one Lua script, idempotent, run on the master that owns the shard's hash tag over a single connection
// without any retry by the client: whoever calls decides when to send again. It refuses to acknowledge anything on a
// server that could lose it (Check), and looks again on every new connection, before it trusts what comes over it.
// It does not judge what it stores: who reads an entry compares its bytes with its hash and its hash with the chain.
//
// It needs Redis 6.2 or newer. It is the only package that imports go-redis; only cmd, and tests, may import it.
package redisstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/schakel/schakel/broker/journal"
)

// Config says where the shard is kept. Addrs and Shard are required.
type Config struct {
	// Addrs are host:port: one server, or seeds of a cluster (Cluster), or Sentinels (MasterName).
	Addrs   []string
	Cluster bool
	// MasterName is the name under which Sentinels know the master.
	MasterName                         string
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	TLS                                *tls.Config // nil: no TLS

	// Shard names the deployment (a municipality): 1 to 32 of a-z, 0-9 and '-'. It is part of every key.
	Shard string
	// WaitReplicas is how many replicas must confirm a write before it counts. The server then needs
	// min-replicas-to-write of at least 1.
	WaitReplicas int
	// Timeout ends a write that is not answered; 0 means 200 ms, under the 250 ms an asker waits at most. Reads and
	// large values (policy bundles) get five seconds.
	Timeout time.Duration
}

const (
	defaultTimeout = 200 * time.Millisecond
	slowTimeout    = 5 * time.Second
)

// Store is a journal.Store in Redis.
type Store struct {
	cfg  Config
	rdb  redis.UniversalClient
	keys keys

	connects atomic.Int64 // connections made so far
	verified atomic.Int64 // connects when Check last found all in order; 0 after it did not
	runID    atomic.Pointer[string]
}

var _ journal.Store = (*Store)(nil)

// keys are the names of a shard in Redis. The braces put them in one slot of a cluster, so that one script may use them.
type keys struct {
	register, audit, writers, blobs, wrapped, snapshot, notes, lease, fences, trimmed, nudge string
}

func keysOf(shard string) keys {
	prefix := "schakel:{" + shard + "}:"
	return keys{
		register: prefix + "register", audit: prefix + "audit:", writers: prefix + "writers",
		blobs: prefix + "blobs", wrapped: prefix + "keys", snapshot: prefix + "snapshot", notes: prefix + "notes",
		lease: prefix + "lease:", fences: prefix + "fences", trimmed: prefix + "trimmed", nudge: prefix + "nudge",
	}
}

// Open connects, and fails where nothing answers. It reads no settings: call Check before serving.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	switch {
	case len(cfg.Addrs) == 0:
		return nil, errors.New("open redis journal: no address given")
	case !journal.ValidWriter(cfg.Shard):
		return nil, errors.New("open redis journal: a shard's name is 1 to 32 of a-z, 0-9 and '-'")
	case cfg.Cluster && cfg.MasterName != "":
		return nil, errors.New("open redis journal: choose a cluster or a Sentinel's master name, not both")
	case cfg.WaitReplicas < 0 || cfg.Timeout < 0:
		return nil, errors.New("open redis journal: a number of replicas and a timeout are not negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	s := &Store{cfg: cfg, keys: keysOf(cfg.Shard)}
	s.rdb = redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: cfg.Addrs, IsClusterMode: cfg.Cluster, MasterName: cfg.MasterName,
		Username: cfg.Username, Password: cfg.Password,
		SentinelUsername: cfg.SentinelUsername, SentinelPassword: cfg.SentinelPassword,
		TLSConfig: cfg.TLS,
		Protocol:  2,

		// Nothing is sent twice but by the caller. (A cluster client also repeats under MaxRedirects; that serves
		// reads only, see master.)
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           time.Second,
		DialerRetries:         1,
		ReadTimeout:           slowTimeout,
		WriteTimeout:          slowTimeout,
		PoolSize:              64, // a waiting reader holds one each

		OnConnect: func(context.Context, *redis.Conn) error {
			s.connects.Add(1)
			return nil
		},
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("open redis journal: no answer from %v: start Redis, or correct the address: %w", cfg.Addrs, err), s.rdb.Close())
	}
	return s, nil
}

// Close lets the connections go; calls under way fail.
func (s *Store) Close() error {
	if err := s.rdb.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("close redis journal: %w", err)
	}
	return nil
}

// master gives the client of the one server that keeps the shard. Writes go to it directly: a cluster client would
// repeat a command after a lost connection, and an answer to a repeat says nothing about replicas (WAIT counts for one
// connection). That it would be harmless otherwise rests on the script alone, which asks for "already" first.
func (s *Store) master(ctx context.Context) (*redis.Client, error) {
	switch c := s.rdb.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, s.keys.register)
	}
	return nil, errors.New("find master: unknown kind of client")
}

// write runs a script on the master and returns its answer once it is as durable as the configuration asks.
func (s *Store) write(ctx context.Context, timeout time.Duration, script *redis.Script, keys []string, args ...any) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.guard(ctx); err != nil {
		return "", err
	}
	node, err := s.master(ctx)
	if err != nil {
		return "", err
	}
	answer, err := s.run(ctx, node, script.EvalSha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // a new server, or one that lost its cache; nothing was run
		answer, err = s.run(ctx, node, script.Eval, keys, args)
	}
	if err != nil {
		if c, ok := s.rdb.(*redis.ClusterClient); ok {
			c.ReloadState(ctx) // the slot may have moved; the next try must not ask the old node
		}
		return "", err
	}
	// Where the answer came over a connection made just now, make sure of the server before believing it.
	if err := s.guard(ctx); err != nil {
		return "", err
	}
	return answer, nil
}

type eval func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

// run sends a script, and WAIT behind it over the same connection where replicas must confirm. WAIT promises
// something about the writes of its own connection only, and an answer like "already" is about a write of another; the
// nudge is a write that comes after both.
func (s *Store) run(ctx context.Context, node *redis.Client, send eval, keys []string, args []any) (string, error) {
	if s.cfg.WaitReplicas == 0 {
		return send(ctx, node, keys, args...).Text()
	}
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline) * 3 / 4 // so that Redis answers before the connection is given up
	var cmd, wait *redis.Cmd
	_, err := node.Pipelined(ctx, func(p redis.Pipeliner) error {
		cmd = send(ctx, p, keys, args...)
		p.Set(ctx, s.keys.nudge, "", 0)
		wait = p.Do(ctx, "wait", s.cfg.WaitReplicas, max(left.Milliseconds(), 1)) // 0 would be without end
		return nil
	})
	if err != nil {
		return "", err
	}
	n, err := wait.Int()
	if err != nil {
		return "", err
	}
	if n < s.cfg.WaitReplicas {
		return "", fmt.Errorf("%d of %d replicas confirmed in time, so it may be lost in a failover; check replication", n, s.cfg.WaitReplicas)
	}
	return cmd.Text()
}
