package fault

import (
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// fewArchived is the rounds of a short run.
const fewArchived = 1

// TestArchivedUnderKills moves events into files all the time, as young as they are, and kills the gateway that does, Redis, and
// both, at random moments. Every receipt has its event once, in the journal or in the archive; every segment is the one that was
// sealed, and moving goes on.
func TestArchivedUnderKills(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	d.reconfigure(t, func(c map[string]any) {
		d.end(t) // now already
		recordLooks(t, d.redis.Addr, d.shard, d.dir, d.writer, 300)
		c["checkpoints"] = map[string]any{"folder": "checkpoints"}
		c["archive"] = map[string]any{"folder": "archive", "older": "1ms", "every": "100ms"}
	})
	chance := newChance(t)
	segments, trimmed := 0, ""
	for round := range many(fewArchived) {
		d.renew(t)
		c := d.ask(t, 2, lead)
		time.Sleep(chance.between(200*time.Millisecond, 1200*time.Millisecond))
		victim := []string{"both", "gateway", "Redis"}[round%3]
		if victim != "Redis" {
			d.kill(t)
		}
		if victim != "gateway" {
			d.redis.Kill(t)
			d.redis.Restart(t)
		}
		if victim != "Redis" {
			d.start(t)
		}
		d.waitReady(t)
		c.more(t, 20)
		c.stop(t)
		d.clean(t, c.dir)
		more, upTo := d.archived(t, segments, trimmed)
		t.Logf("round %d, %s: %d segments, dropped up to %s; %v", round, victim, more, upTo, c)
		segments, trimmed = more, upTo
		if t.Failed() {
			t.FailNow()
		}
	}
	until(t, "the metrics of the last process tell of it", func() bool {
		m := d.metrics(t)
		return m["schakel_archived_events_total"] > 0 && m["schakel_archive_dropped_events_total"] > 0 && m["schakel_archive_age_seconds"] > 0 && m["schakel_archive_age_seconds"] < 60
	})
	d.end(t)
}

// archived waits until there are more segments than there were, and more was dropped from the journal.
func (d *deployment) archived(t *testing.T, segments int, trimmed string) (int, string) {
	t.Helper()
	var held struct {
		Segments int
		Streams  []struct{ Writer, Archived, Trimmed string }
	}
	for end := time.Now().Add(soon); ; time.Sleep(time.Second) { // a lease of who was killed has to end
		out, err := d.schakel("audit", "archive", "--json")
		if err == nil {
			err = json.Unmarshal([]byte(out), &held)
		}
		for _, s := range held.Streams {
			if s.Writer == d.writer && err == nil && held.Segments > segments && s.Trimmed != trimmed && s.Trimmed != "" {
				return held.Segments, s.Trimmed
			}
		}
		if time.Now().After(end) {
			t.Fatalf("nothing more is archived: %v, %s", err, out)
		}
	}
}

// recordLooks records n looks in a stopped gateway's stream, so that there is more of it than a last batch. That is quicker than asking.
func recordLooks(t *testing.T, address, shard, dir, writer string, n int) {
	t.Helper()
	store, err := redisstream.Open(t.Context(), redisstream.Config{Addrs: []string{address}, Shard: shard, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	passphrase, err := keys.Passphrase(filepath.Join(dir, "passphrase"), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Load(keys.Config{Path: filepath.Join(dir, "keys.jwe"), Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	genesis, err := store.Read(t.Context(), journal.Register, journal.ID{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	log, err := register.LogOf(genesis[0])
	if err != nil {
		t.Fatal(err)
	}
	w, err := audit.Open(t.Context(), audit.Config{Store: store, Writer: writer, Log: log, Vault: keys.NewVault(store, ring), Limit: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var looks sync.WaitGroup
	for range n {
		looks.Go(func() {
			if err := w.View(t.Context(), audit.Viewed{How: "test"}, broker.Staff{Worker: "auditor-1", Purpose: "controle", Ground: "AVG 39", Sought: "nothing"}); err != nil {
				t.Error(err)
			}
		})
	}
	looks.Wait()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
