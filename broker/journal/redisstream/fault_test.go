package redisstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/journaltest"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

var genesis = journaltest.Entry(journal.ID{Epoch: 1}, []byte("genesis"))

// ready opens a shard that has its genesis.
func ready(t testing.TB, cfg Config) *Store {
	t.Helper()
	s := open(t, cfg)
	if err := s.Init(t.Context(), genesis); err != nil && !errors.Is(err, journal.ErrExists) {
		t.Fatal(err)
	}
	return s
}

// event makes a batch of one event for writer "a".
func event(after journal.Head, text string) journal.Batch {
	id := journal.ID{Epoch: 1}
	if after != (journal.Head{}) {
		id.Seq = after.ID.Seq + 1
	}
	return journal.Batch{Writer: "a", After: after, Position: 1, Events: []journal.Entry{journaltest.Entry(id, []byte(text))}}
}

func tip(b journal.Batch) journal.Head {
	e := b.Events[len(b.Events)-1]
	return journal.Head{ID: e.ID, Hash: e.Hash}
}

func want(t testing.TB, s journal.Store, b journal.Batch, outcomes ...journal.Outcome) {
	t.Helper()
	got, err := s.Append(t.Context(), b)
	for _, o := range outcomes {
		if err == nil && got == o {
			return
		}
	}
	t.Fatalf("append gave %q, %v; want one of %q", got, err, outcomes)
}

func wantError(t *testing.T, err error, kind error, words ...string) {
	t.Helper()
	if err == nil || (kind != nil && !errors.Is(err, kind)) {
		t.Fatalf("error is %v; want one that is %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// wantOnce demands that exactly these events are in writer a's stream, in order.
func wantOnce(t *testing.T, s journal.Store, batches []journal.Batch) {
	t.Helper()
	var wanted, got []string
	for _, b := range batches {
		for _, e := range b.Events {
			wanted = append(wanted, e.ID.String()+string(e.Bytes))
		}
	}
	entries, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.ID.String()+string(e.Bytes))
	}
	if strings.Join(got, "\n") != strings.Join(wanted, "\n") {
		t.Fatalf("the stream holds %d events; want %d, each once:\n%q\n%q", len(got), len(wanted), got, wanted)
	}
}

// TestKilled kills Redis with SIGKILL at random moments of appending and starts it again. Each batch is sent until there
// is an outcome; in the end each must be there once, whatever became of the sendings that got no answer.
func TestKilled(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}, Timeout: 500 * time.Millisecond})
	random := rand.New(rand.NewPCG(1, 2))

	var sent []journal.Batch
	var after journal.Head
	unknown := 0
	for range 6 {
		killed := make(chan struct{})
		go func() {
			time.Sleep(time.Duration(random.IntN(15_000)) * time.Microsecond)
			server.Kill(t)
			close(killed)
		}()
		for down := false; !down; {
			b := event(after, fmt.Sprintf("event %d", len(sent)))
			b.RegisterAfter = journal.Head{ID: genesis.ID, Hash: genesis.Hash}
			if len(sent) > 0 {
				r := sent[len(sent)-1].Register[0]
				b.RegisterAfter = journal.Head{ID: r.ID, Hash: r.Hash}
			}
			b.Position = broker.Position(b.RegisterAfter.ID.Seq + 1)
			b.Register = []journal.Entry{journaltest.Entry(journal.ID{Epoch: 1, Seq: b.RegisterAfter.ID.Seq + 1}, []byte("change"))}
			sent, after = append(sent, b), tip(b)
			if _, err := s.Append(t.Context(), b); err == nil {
				continue
			}
			unknown++
			<-killed
			server.Restart(t)
			// Another run id is trusted only after it was looked at.
			_, err := s.Append(t.Context(), b)
			wantError(t, err, journal.ErrUnsafe, "run id")
			wantError(t, s.Check(t.Context()), journal.ErrUnsafe, "run id")
			if err := s.Reverify(t.Context()); err != nil {
				t.Fatal(err)
			}
			want(t, s, b, journal.Already, journal.Appended)
			want(t, s, b, journal.Already)
			down = true
		}
	}
	wantOnce(t, s, sent)
	register, err := s.Read(t.Context(), journal.Register, journal.ID{}, 1<<20)
	if err != nil || len(register) != len(sent)+1 {
		t.Fatalf("%d register entries, %v; want %d", len(register), err, len(sent)+1)
	}
	if unknown == 0 {
		t.Fatal("no append was interrupted")
	}
	t.Logf("%d batches, %d interrupted", len(sent), unknown)
}

// TestPaused stops Redis with SIGSTOP, so that batches wait in its sockets: each sending fails within the timeout, and
// when Redis goes on it takes them all; still the batch is there once.
func TestPaused(t *testing.T) {
	server := redistest.Start(t)
	const timeout = 150 * time.Millisecond
	s := ready(t, Config{Addrs: []string{server.Addr}, Timeout: timeout})
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)

	server.Pause(t)
	second := event(tip(first), "second")
	for range 3 {
		start := time.Now()
		_, err := s.Append(t.Context(), second)
		wantError(t, err, nil)
		if d := time.Since(start); d > 4*timeout { // a busy machine may be late, but not seconds
			t.Fatalf("an append without an answer took %v; the timeout is %v", d, timeout)
		}
	}
	// A context shorter than the timeout ends it sooner.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Append(ctx, second)
	wantError(t, err, nil)
	if d := time.Since(start); d > timeout {
		t.Fatalf("a context of 20 ms ended an append after %v", d)
	}
	server.Resume(t)

	patient := open(t, Config{Addrs: []string{server.Addr}})
	want(t, patient, second, journal.Already, journal.Appended)
	want(t, patient, second, journal.Already)
	third := event(tip(second), "third")
	want(t, patient, third, journal.Appended)
	want(t, patient, second, journal.Fenced)
	wantOnce(t, patient, []journal.Batch{first, second, third})
}

// TestLateCopy sends a batch that only then arrives a first time, after its writer was fenced and after it went on.
func TestLateCopy(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)

	late := event(tip(first), "late")
	claim := event(tip(first), "claim")
	claim.Events[0] = journaltest.Entry(journal.ID{Epoch: 2}, []byte("claim"))
	want(t, s, claim, journal.Appended)
	want(t, s, late, journal.Fenced)
	wantOnce(t, s, []journal.Batch{first, claim})
}

// TestLost empties Redis, as a failover to an empty replica would, and removes the last entry of a stream.
func TestLost(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	raw := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = raw.Close() }()
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)
	second := event(tip(first), "second")
	want(t, s, second, journal.Appended)

	if err := raw.XDel(t.Context(), s.keys.audit+"a", "1-1").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Head(t.Context(), journal.Audit("a"))
	wantError(t, err, nil, "1-1", "removed")
	want(t, s, second, journal.Fenced)
	want(t, s, event(tip(second), "third"), journal.Fenced)
	want(t, s, event(tip(first), "other second"), journal.Fenced)

	// The register lost its last entry: nobody's facts are sure any more.
	other := event(journal.Head{}, "other")
	other.Writer = "b"
	if err := raw.XAdd(t.Context(), &redis.XAddArgs{Stream: s.keys.register, ID: "1-1", Values: []string{"h", "x", "b", "y"}}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := raw.XDel(t.Context(), s.keys.register, "1-1").Err(); err != nil {
		t.Fatal(err)
	}
	for other.Position = range broker.Position(4) {
		want(t, s, other, journal.Fenced)
	}

	if err := raw.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	want(t, s, second, journal.Fenced)
	want(t, s, event(journal.Head{}, "anew"), journal.Fenced) // its facts are from a register that is gone

	// A foreign entry comes with its id alone: it has the hash of no bytes.
	if err := raw.XAdd(t.Context(), &redis.XAddArgs{Stream: s.keys.register, ID: "1-0", Values: []string{"x", "y"}}).Err(); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Read(t.Context(), journal.Register, journal.ID{}, 1)
	if foreign := (journal.Entry{ID: journal.ID{Epoch: 1}}); err != nil || len(entries) != 1 || !reflect.DeepEqual(entries[0], foreign) {
		t.Errorf("read %+v and %v; want an entry with its id alone", entries, err)
	}
}

// TestScriptLost empties Redis's cache of scripts, as a new master's is.
func TestScriptLost(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)
	if err := s.rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	want(t, s, event(tip(first), "second"), journal.Appended)
}

// TestNotWritable meets what Redis refuses by itself: full memory, and a key of another type. All or nothing.
func TestNotWritable(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	raw := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = raw.Close() }()
	first := event(journal.Head{}, "first")
	want(t, s, first, journal.Appended)
	second := event(tip(first), "second")

	for name, c := range map[string]struct{ spoil, repair func() error }{
		"full": {
			func() error { return raw.ConfigSet(t.Context(), "maxmemory", "1mb").Err() },
			func() error { return raw.ConfigSet(t.Context(), "maxmemory", "0").Err() },
		},
		"type": {
			func() error {
				return errors.Join(raw.Rename(t.Context(), s.keys.writers, "away").Err(), raw.Set(t.Context(), s.keys.writers, "x", 0).Err())
			},
			func() error { return raw.Rename(t.Context(), "away", s.keys.writers).Err() },
		},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if o, err := s.Append(t.Context(), second); err == nil {
			t.Fatalf("%s: append gave %q", name, o)
		}
		if h, err := s.Head(t.Context(), journal.Audit("a")); err != nil || h != tip(first) {
			t.Fatalf("%s: head %v, %v; want %v", name, h, err, tip(first))
		}
		if err := c.repair(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, second, journal.Appended)
}

func TestOpenAndWaitWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, Config{Addrs: []string{server.Addr}})
	waiting := make(chan error, 1)
	go func() { waiting <- s.Wait(context.Background(), journal.Register, genesis.ID) }()
	time.Sleep(20 * time.Millisecond)
	server.Kill(t)
	wantError(t, <-waiting, nil)
	_, err := Open(t.Context(), Config{Addrs: []string{server.Addr}, Shard: "test"})
	wantError(t, err, nil, "no answer", server.Addr)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"address": {Shard: "a"}, "shard": {Addrs: []string{"x:1"}, Shard: "a}b"}, "both": {Addrs: []string{"x:1"}, Shard: "a", Cluster: true, MasterName: "m"},
	} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("a configuration without a right %s was taken", name)
		}
	}
}
