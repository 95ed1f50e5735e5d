package fault

import (
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

const (
	fewOnRedis = 4
	fewOnBolt  = 2
	lead       = 8 * time.Millisecond // between two questions of one client
)

func many(few int) int {
	if *rounds > 0 {
		return *rounds
	}
	return few
}

// TestKilledOnRedis is invariant 2 under SIGKILL of the gateway, of Redis, and of both.
func TestKilledOnRedis(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	chance := newChance(t)
	log := &reader{d: d}
	log.next(t) // init's epoch and the first of serve
	receipts, tried, done, consents := 0, 0, 0, d.recorded(t)
	for round := range many(fewOnRedis) {
		d.renew(t)
		c, r := d.ask(t, 4, lead), d.record(t)
		time.Sleep(chance.between(30*time.Millisecond, 500*time.Millisecond))
		starts, away := 1, chance.between(0, 300*time.Millisecond)
		// In turn, so that a short run has each; the moments are what is left to chance.
		victim := []string{"gateway", "Redis", "both", "gateway while it starts"}[round%4]
		switch victim {
		case "gateway":
			d.kill(t)
			time.Sleep(away)
			d.start(t)
		case "Redis":
			starts = 0
			d.redis.Kill(t)
			time.Sleep(away)
			d.redis.Restart(t)
		case "both":
			if chance.IntN(2) == 0 {
				d.kill(t)
				d.redis.Kill(t)
			} else {
				d.redis.Kill(t)
				time.Sleep(away / 4)
				d.kill(t)
			}
			d.redis.Restart(t)
			d.start(t)
		case "gateway while it starts":
			d.kill(t)
			d.start(t)
			time.Sleep(chance.between(0, 700*time.Millisecond))
			d.kill(t)
			d.start(t)
			starts = -1 // one or two: the one that was killed may have claimed an epoch
		}
		d.waitReady(t)
		back := c.more(t, 20)
		c.stop(t)
		r.stop()
		tried, done = tried+r.tried, done+r.done
		added := log.next(t)
		if starts < 0 {
			starts = max(1, min(2, len(added.starts)))
		}
		added.crashes(t, starts)
		added.holds(t, c)
		d.clean(t, c.dir)
		receipts += len(c.receipts)
		t.Logf("round %d, %s: %v; 20 answers %v after ready", round, victim, c, back.Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	if n := d.recorded(t) - consents; n < done || n > tried {
		t.Errorf("%d consents in the register; %d commands said that they recorded one, of %d", n, done, tried)
	}
	d.onceEach(t)
	d.end(t)
	t.Logf("%d receipts; %d of %d commands recorded a consent", receipts, done, tried)
}

// TestKilledOnBolt is the same with the embedded journal, whose process is the gateway's.
func TestKilledOnBolt(t *testing.T) {
	t.Parallel()
	d := onBolt(t)
	chance := newChance(t)
	log := &reader{d: d}
	log.next(t)
	receipts := 0
	for round := range many(fewOnBolt) {
		d.renew(t)
		c := d.ask(t, 3, lead)
		time.Sleep(chance.between(30*time.Millisecond, 500*time.Millisecond))
		d.kill(t)
		d.start(t)
		d.waitReady(t)
		c.more(t, 20)
		c.stop(t)
		added := log.next(t)
		added.crashes(t, 1)
		added.holds(t, c)
		d.clean(t, c.dir)
		receipts += len(c.receipts)
		t.Logf("round %d: %v", round, c)
		if t.Failed() {
			t.FailNow()
		}
	}
	d.onceEach(t)
	d.end(t)
	t.Logf("%d receipts", receipts)
}

// TestRedisRestartsUnseen restarts Redis while nobody asks anything. The first questions after that are about households
// that need data keys of their own, so that keys are the first thing the gateway wants to write.
func TestRedisRestartsUnseen(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	log := &reader{d: d}
	log.next(t)
	d.redis.Restart(t)
	c := d.ask(t, 2, 100*time.Millisecond)
	back := c.more(t, 1)
	c.stop(t)
	if n := c.refused503.Load(); n > 100 { // of two clients that wait 100 ms: five seconds, and it looks at Redis every ten
		t.Errorf("the first answer came after %d refusals, %v; ready %v", n, back, d.ready())
	}
	log.next(t).crashes(t, 0)
	d.clean(t, c.dir)
	d.end(t)
	t.Logf("%v; the first answer after %v", c, back)
}
