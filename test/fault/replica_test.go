package fault

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestReplicaGone: a gateway that must have each event on a replica, and the replica hangs, or is gone. 503 and no data
// while it is; when the replica is back the gateway goes on by itself, and what was left unconfirmed on the
// master stands in the log once.
func TestReplicaGone(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "--repl-diskless-sync-delay", "0", "--min-replicas-to-write", "1")
	replica := redistest.Start(t, "--replicaof", strings.Replace(master.Addr, ":", " ", 1))
	until(t, "the replica follows", func() bool { return follows(replica) })
	d := onStore(t, nil, map[string]any{"addresses": []string{master.Addr}, "waitReplicas": 1}, nil)
	d.redis, d.redisURL = master, "redis://"+master.Addr+"?replicas=1&shard="+d.shard
	log := &reader{d: d}
	log.next(t)
	left := 0
	for round := range many(2) {
		c := d.ask(t, 3, lead)
		c.more(t, 20)
		how := []string{"hangs", "is gone"}[round%2]
		if how == "hangs" {
			replica.Pause(t)
		} else {
			replica.Kill(t)
		}
		c.turns(t, 0) // answers under way
		answers := c.count()
		c.refused(t)
		for n := range 10 {
			worker, question := d.question(n)
			h, err := d.post(t.Context(), http.DefaultClient, d.token(worker), question)
			c.sent.Add(1)
			if err != nil || h.status != http.StatusServiceUnavailable || h.signature != "" || h.code == "" {
				t.Errorf("the replica %s: %d %.200s, %v", how, h.status, h.body, err)
			}
		}
		if n := c.count(); n != answers {
			t.Errorf("the replica %s: %d answers that it did not confirm", how, n-answers)
		}
		if c.slow() > limit {
			t.Errorf("a 503 took %v", c.slow())
		}
		if how == "hangs" {
			replica.Resume(t)
		} else {
			replica.Restart(t)
		}
		back := c.more(t, 20)
		c.stop(t)
		added := log.next(t)
		added.crashes(t, 0)
		added.holds(t, c)
		left += added.asked - len(c.receipts)
		d.clean(t, c.dir)
		t.Logf("the replica %s: %v; 20 answers %v after it was back", how, c, back.Round(time.Millisecond))
	}
	if left == 0 {
		t.Error("no event was left unconfirmed: this did not test what it is for")
	}
	d.onceEach(t)
	d.end(t)
}
