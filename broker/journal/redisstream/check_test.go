package redisstream

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

func raw(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestCheckSettings meets servers that could lose what they acknowledged: Check names the setting, and nothing is written.
func TestCheckSettings(t *testing.T) {
	for _, c := range []struct{ name, value, must string }{
		{"appendonly", "no", "yes"},
		{"appendfsync", "everysec", "always"},
		{"no-appendfsync-on-rewrite", "yes", "no"},
		{"maxmemory-policy", "allkeys-lru", "noeviction"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t, "--"+c.name, c.value)
			s := open(t, Config{Addrs: []string{server.Addr}})
			says := c.name + " is " + c.value + " and must be " + c.must
			wantError(t, s.Check(t.Context()), journal.ErrUnsafe, says)
			wantError(t, s.Init(t.Context(), genesis), journal.ErrUnsafe, says)
			wantError(t, s.PutBlob(t.Context(), "b", []byte("x")), journal.ErrUnsafe, says)
			_, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k", Wrapped: []byte("x")}})
			wantError(t, err, journal.ErrUnsafe, says)
			if h, err := s.Head(t.Context(), journal.Register); err != nil || h != (journal.Head{}) {
				t.Fatalf("head %v, %v; want that reading works and nothing was written", h, err)
			}
			// Once it is set right, everything works without a new start.
			if err := raw(t, server).ConfigSet(t.Context(), c.name, c.must).Err(); err != nil {
				t.Fatal(err)
			}
			if err := s.Init(t.Context(), genesis); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestCheckSeesAChange changes a setting under a store that was in order: from the Check that sees it, nothing is written.
func TestCheckSeesAChange(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)
	admin := raw(t, server)
	if err := admin.ConfigSet(t.Context(), "appendfsync", "no").Err(); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Check(t.Context()), journal.ErrUnsafe, "appendfsync is no")
	second := event(tip(first), "second")
	_, err := s.Append(t.Context(), second)
	wantError(t, err, journal.ErrUnsafe, "appendfsync is no")
	if err := admin.ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	want(t, s, second, journal.Appended)

	// A new connection is reason enough to look: here all are cut, and the setting is wrong again.
	if err := admin.ConfigSet(t.Context(), "no-appendfsync-on-rewrite", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	third := event(tip(second), "third")
	for range 3 { // the first may fail on the cut connection
		if _, err = s.Append(t.Context(), third); strings.Contains(err.Error(), "rewrite") {
			break
		}
	}
	wantError(t, err, journal.ErrUnsafe, "no-appendfsync-on-rewrite is yes")
}

// TestCheckRunID restarts the server: an error from then on, until a store is opened anew or told to accept it.
func TestCheckRunID(t *testing.T) {
	server := redistest.Start(t)
	cfg := Config{Addrs: []string{server.Addr}}
	s := ready(t, cfg)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Restart(t)
	var err error
	for range 5 { // connections of the old server break first
		if err = s.Check(t.Context()); err != nil && strings.Contains(err.Error(), "run id") {
			break
		}
	}
	wantError(t, err, journal.ErrUnsafe, "run id was", "verify the log")
	wantError(t, s.Check(t.Context()), journal.ErrUnsafe, "run id was")
	_, err = s.Append(t.Context(), event(journal.Head{}, "x"))
	wantError(t, err, journal.ErrUnsafe, "run id was")

	again := open(t, cfg)
	if err := again.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, again, event(journal.Head{}, "x"), journal.Appended)
	if err := s.Reverify(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, s, event(journal.Head{}, "x"), journal.Already)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCheckForbidden meets a user who may not read settings: that is unsafe too, and the error says what to allow.
func TestCheckForbidden(t *testing.T) {
	server := redistest.Start(t)
	admin := raw(t, server)
	set := func(rules ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), append([]any{"acl", "setuser", "schakel", "on", ">secret-word", "~schakel:*", "+@all"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("-config")
	s := open(t, Config{Addrs: []string{server.Addr}, Username: "schakel", Password: "secret-word"})
	err := s.Check(t.Context())
	wantError(t, err, journal.ErrUnsafe, "CONFIG GET", "allow")
	if strings.Contains(err.Error(), "secret-word") {
		t.Fatal("the error has the password")
	}
	set("+config|get")
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Addrs: []string{server.Addr}, Username: "schakel", Password: "wrong-word", Shard: "test"})
	wantError(t, err, nil, "WRONGPASS")
	if strings.Contains(err.Error(), "wrong-word") {
		t.Fatal("the error has the password")
	}
}

// replica starts a server that follows another, and waits until it does.
func replica(t *testing.T, master *redistest.Server) *redistest.Server {
	t.Helper()
	r := redistest.Start(t, "--replicaof", strings.Replace(master.Addr, ":", " ", 1))
	admin := raw(t, r)
	for range 500 {
		info, err := admin.Info(t.Context(), "replication").Result()
		if err == nil && infoLine(info, "master_link_status") == "up" {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the replica does not follow its master")
	return nil
}

// TestReplicas demands that with WaitReplicas nothing is acknowledged that a replica lacks, on a first sending and on a
// repeat over another connection alike.
func TestReplicas(t *testing.T) {
	master := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	follower := replica(t, master)
	cfg := Config{Addrs: []string{master.Addr}, WaitReplicas: 1}

	wantError(t, open(t, cfg).Check(t.Context()), journal.ErrUnsafe, "min-replicas-to-write is 0 and must be 1 or more")
	if err := raw(t, master).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	s := ready(t, cfg)
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)
	if v, err := raw(t, follower).XLen(t.Context(), s.keys.audit+"a").Result(); err != nil || v != 1 {
		t.Fatalf("the replica has %d events, %v; want 1", v, err)
	}

	if _, err := s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k", Wrapped: []byte("wrapped")}}); err != nil {
		t.Fatal(err)
	}

	follower.Pause(t)
	hasty := cfg
	hasty.Timeout = 400 * time.Millisecond
	second := event(tip(first), "second")
	for range 2 { // each over a store, and so a connection, of its own; the first appends, the rest find it there
		s := open(t, hasty)
		_, err := s.Append(t.Context(), second)
		wantError(t, err, nil) // "0 of 1 replicas", or on a busy machine that there was no answer
		_, err = s.PutKeys(t.Context(), []journal.WrappedKey{{ID: "k", Wrapped: []byte("wrapped")}})
		wantError(t, err, nil)
	}
	if h, err := s.Head(t.Context(), journal.Audit("a")); err != nil || h != tip(second) {
		t.Fatalf("head %v, %v; want the event on the master", h, err)
	}
	follower.Resume(t)
	want(t, s, second, journal.Already)
	wantOnce(t, s, []journal.Batch{first, second})

	// A replica itself is no place to write.
	wantError(t, open(t, Config{Addrs: []string{follower.Addr}}).Check(t.Context()), journal.ErrUnsafe, "role is slave and must be master")
}

// TestCluster runs what every backend must pass on a cluster of one node.
func TestCluster(t *testing.T) {
	server := redistest.Start(t, "--cluster-enabled", "yes")
	admin := raw(t, server)
	if err := admin.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		info, err := admin.ClusterInfo(t.Context()).Result()
		if err == nil && infoLine(info, "cluster_state") == "ok" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s := ready(t, Config{Addrs: []string{server.Addr}, Cluster: true})
	if _, ok := s.rdb.(*redis.ClusterClient); !ok {
		t.Fatalf("a cluster is reached by %T", s.rdb)
	}
	first := event(journal.Head{}, "first")
	first.RegisterAfter = journal.Head{ID: genesis.ID, Hash: genesis.Hash}
	want(t, s, first, journal.Appended)
	want(t, s, first, journal.Already)
	if err := s.PutBlob(t.Context(), "b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOnce(t, s, []journal.Batch{first})

	server.Pause(t)
	hasty := s.cfg
	s.cfg.Timeout = 150 * time.Millisecond
	start := time.Now()
	second := event(tip(first), "second")
	_, err := s.Append(t.Context(), second)
	wantError(t, err, nil)
	if d := time.Since(start); d > time.Second {
		t.Fatalf("an append without an answer took %v", d)
	}
	s.cfg = hasty
	server.Resume(t)
	want(t, s, second, journal.Already, journal.Appended)
	wantOnce(t, s, []journal.Batch{first, second})
}
