package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// refusesToStart starts the gateway, which must end by itself and say why.
func (d *deployment) refusesToStart(t *testing.T, why string) {
	t.Helper()
	out, err := command(d.args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), why) {
		t.Errorf("a start that must fail and say %q: %v, %s", why, err, out)
	}
}

// signed waits until the gateway has signed a head over all that is in its stream now. It signs one each second.
func (d *deployment) signed(t *testing.T) {
	t.Helper()
	head, err := d.store(t).Head(t.Context(), journal.Audit(d.writer))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a head is signed", func() bool {
		heads, err := audit.ReadHeads(filepath.Join(d.dir, "heads"), d.writer)
		if err != nil {
			t.Fatal(err)
		}
		return len(heads) > 0 && !(journal.ID{Epoch: heads[len(heads)-1].Epoch, Seq: heads[len(heads)-1].Seq}).Less(head.ID)
	})
}

// silent checks that for a while nothing is answered but 503, whether the gateway ends or goes on.
func (d *deployment) silent(t *testing.T, c *clients) {
	t.Helper()
	c.turns(t, 0) // answers whose event was durable before
	n := c.count()
	for began := time.Now(); time.Since(began) < time.Second; { // in which it could come to itself
		c.turns(t, 5)
	}
	if more := c.count() - n; more > 0 {
		t.Errorf("%d answers on a journal that lost its past", more)
	}
	if d.alive() && d.ready() {
		t.Error("ready on a journal that lost its past")
	}
}

// TestRedisWiped empties Redis under a gateway. It stops, does not begin anew, and the receipts tell what is gone, even
// after an operator begins a new log.
func TestRedisWiped(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"FLUSHALL", "empty folder"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			d := onRedis(t, redis)
			c := d.ask(t, 4, lead)
			c.more(t, 100)
			d.signed(t)
			if how == "FLUSHALL" {
				redis.Do(t, "FLUSHALL")
			} else {
				redis.Kill(t)
				if err := os.RemoveAll(filepath.Join(redis.Dir, "appendonlydir")); err != nil {
					t.Fatal(err)
				}
				redis.Restart(t)
			}
			d.silent(t, c)
			code := d.waitEnd(t)
			c.stop(t)
			t.Logf("%v; exit %d", c, code)
			if code != 1 || !strings.Contains(d.output.String(), "lost e") {
				t.Errorf("exit %d, and no word of lost events or entries:\n%s", code, tail(d.output.String()))
			}
			d.refusesToStart(t, "is absent: is this the right Redis?")
			r := d.verify(t, c.dir, "--redis", d.redisURL)
			if r.OK || r.Receipts != 0 || !r.has("missing", "there is no genesis") || !r.has("missing", "audit:gw1") || !r.has("receipt", "no event has the hash") {
				t.Errorf("verify on nothing: ok %v, %d receipts, %.1000v", r.OK, r.Receipts, r.Faults)
			}
			// A new log is not begun in passing. Whoever moves the proof away can begin one, and is not rid of the old one:
			// heads and receipts are of another log.
			begin := []string{"init", "--config", filepath.Join(d.dir, "schakel.yaml")}
			heads, aside := filepath.Join(d.dir, "heads"), filepath.Join(t.TempDir(), "heads")
			if out, err := command(begin...).CombinedOutput(); err == nil || !strings.Contains(string(out), "holds signed heads of log") {
				t.Errorf("a second beginning: %v, %s", err, out)
			}
			if err := os.Rename(heads, aside); err != nil {
				t.Fatal(err)
			}
			if out, err := command(begin...).CombinedOutput(); err != nil {
				t.Errorf("a second beginning, with the heads away: %s", out)
			}
			if err := os.RemoveAll(heads); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(aside, heads); err != nil {
				t.Fatal(err)
			}
			r = d.verify(t, c.dir, "--redis", d.redisURL)
			if r.OK || r.Receipts != 0 || !r.has("receipt", "is of log") || !r.has("head", "is of log") {
				t.Errorf("verify on a new log: ok %v, %d receipts, %.1000v", r.OK, r.Receipts, r.Faults)
			}
		})
	}
}

// TestRedisPutBack brings an old copy of the append-only file back. A gateway that runs gives nothing more; started again
// it goes on in a new epoch, whose start names what its signed heads acknowledge and the stream lacks. Receipts name the
// rest. No event's place is taken by another unseen.
func TestRedisPutBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		running bool // the gateway runs while the copy is brought back
		epochs  bool // the copy is from before the running epoch
		heads   bool // there was time to sign a head over what is lost
		long    bool // only with -rounds
	}{
		{name: "under a running gateway", running: true, heads: true},
		{name: "while the gateway was down", heads: true, long: true},
		{name: "from an epoch before", epochs: true, heads: true},
		{name: "of a moment"}, // most often no head tells of it: the receipts do
	} {
		if c.long && *rounds == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			d := onRedis(t, redis)
			kept := d.ask(t, 4, lead)
			kept.more(t, 50)
			kept.stop(t)
			if !c.heads {
				d.signed(t) // over what is kept, so that none is due
			}
			aof, backup := filepath.Join(redis.Dir, "appendonlydir"), filepath.Join(t.TempDir(), "backup")
			if err := os.CopyFS(backup, os.DirFS(aof)); err != nil {
				t.Fatal(err)
			}
			if c.epochs {
				d.end(t)
				d.start(t)
				d.waitReady(t)
			}
			lost := d.ask(t, 4, lead)
			lost.more(t, 50)
			if c.heads {
				d.signed(t)
			}
			if !c.running {
				d.kill(t)
				lost.stop(t)
			}
			redis.Kill(t)
			if err := os.RemoveAll(aof); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(aof, os.DirFS(backup)); err != nil {
				t.Fatal(err)
			}
			redis.Restart(t)
			if c.running {
				d.silent(t, lost)
				lost.stop(t)
				if !strings.Contains(d.output.String(), "lost e") {
					t.Errorf("no word of lost events:\n%s", tail(d.output.String()))
				}
				d.stopped()
			}
			log := &reader{d: d}
			d.start(t)
			d.waitReady(t)
			again := d.ask(t, 4, lead)
			again.more(t, 50)
			again.stop(t)
			told := log.next(t)
			for hash := range again.receipts {
				if told.events[hash] != 1 {
					t.Errorf("%d events for the receipt %s", told.events[hash], hash)
				}
			}
			start := told.starts[len(told.starts)-1]
			if start.Reason == audit.ReasonFirst || (c.heads && len(start.Lost) == 0) {
				t.Errorf("the new epoch says %q and lost %v", start.Reason, start.Lost)
			}
			t.Logf("%d receipts before, %d lost, %d after; the new epoch says %q, lost %v", len(kept.receipts), len(lost.receipts), len(again.receipts), start.Reason, start.Lost)

			for _, part := range []struct {
				name string
				from *clients
				want int
			}{{"kept", kept, len(kept.receipts)}, {"lost", lost, 0}, {"after", again, len(again.receipts)}} {
				r := d.verify(t, part.from.dir)
				if r.Receipts != part.want {
					t.Errorf("%s: %d of %d receipts match", part.name, r.Receipts, len(part.from.receipts))
				}
				for _, f := range r.Faults {
					if f.Code != "lost" && (f.Code != "receipt" || part.from != lost) {
						t.Errorf("%s: fault %v", part.name, f)
					}
				}
				if r.has("lost", "") != (len(start.Lost) > 0) || (part.from == lost && !r.has("receipt", "no event has the hash")) {
					t.Errorf("%s: what is lost is not named: %.500v", part.name, r.Faults)
				}
			}

			// The loss stands in the log from now on, and is not found again by the next start.
			d.end(t)
			d.start(t)
			d.waitReady(t)
			next := log.next(t)
			if len(next.starts) != 1 || next.starts[0].Reason != audit.ReasonClean || len(next.starts[0].Lost) > 0 {
				t.Errorf("the epoch after: %+v", next.starts)
			}
			d.end(t)
		})
	}
}
