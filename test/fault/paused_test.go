package fault

import (
	"net/http"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestRedisHangs stops Redis with SIGSTOP while clients ask: its connections stay open and nothing answers. Every question
// gets 503 while it hangs, and no data. What was sent to Redis and not answered lands when it goes on; it must not
// land twice, and no receipt may be missing.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	chance := newChance(t)
	log := &reader{d: d}
	log.next(t)
	events, receipts, client := 0, 0, &http.Client{Timeout: soon}
	for round, away := range []time.Duration{100 * time.Millisecond, 800 * time.Millisecond, 2500 * time.Millisecond, 300 * time.Millisecond} {
		c := d.ask(t, 4, lead)
		time.Sleep(chance.between(200*time.Millisecond, 400*time.Millisecond))
		d.redis.Pause(t)
		paused := time.Now()
		for n := 0; n < 5 || time.Since(paused) < away; n++ {
			worker, question := d.question(n)
			h, err := d.post(t.Context(), client, d.token(worker), question)
			c.sent.Add(1)
			switch {
			case err != nil:
				t.Fatal(err)
			case h.status != http.StatusServiceUnavailable || h.signature != "" || h.code == "":
				t.Errorf("%v into the pause: %d %.200s", time.Since(paused), h.status, h.body)
			case h.took > limit:
				t.Errorf("503 %s after %v", h.code, h.took)
			}
			time.Sleep(lead)
		}
		c.turns(t, 2) // the clients' too
		if away > 2*time.Second && d.ready() {
			t.Error("ready without a journal")
		}
		d.redis.Resume(t)
		back := c.more(t, 20)
		c.stop(t)
		if c.slow() > limit {
			t.Errorf("a 503 took %v", c.slow())
		}
		added := log.next(t)
		added.crashes(t, 0)
		added.holds(t, c)
		d.clean(t, c.dir)
		events, receipts = events+added.asked, receipts+len(c.receipts)
		t.Logf("pause %d of %v: %v; 20 answers after %v more", round, away, c, back.Round(time.Millisecond))
	}
	if events == receipts {
		t.Error("no append was left without an answer: the pauses did not test what they are for")
	}
	t.Logf("%d events, %d receipts", events, receipts)
	d.onceEach(t)
	d.end(t)
}
