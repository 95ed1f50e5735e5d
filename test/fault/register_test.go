package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// knows waits until the gateway answers by facts of the whole register: its events say at which position they were true.
func (d *deployment) knows(t *testing.T) {
	t.Helper()
	head, err := d.store(t).Head(t.Context(), journal.Register)
	if err != nil {
		t.Fatal(err)
	}
	c := d.ask(t, 1, lead)
	log, known := &reader{d: d}, broker.Position(0)
	until(t, "the gateway knows the register", func() bool {
		d.read(t, journal.Audit(d.writer), log.last.ID, func(e journal.Entry) {
			event, err := audit.Decode(e.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			log.last.ID, known = e.ID, max(known, event.Position)
		})
		return known > broker.Position(head.ID.Seq)
	})
	c.stop(t)
}

// TestRegisterPutBack brings back a copy of the append-only file that lacks nothing but a change of the register: no
// event of the gateways' own is gone, and still neither of two may go on by what it remembers. Started again they go by
// what is there, and the next command names what is lost of its stream.
func TestRegisterPutBack(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	d := onRedis(t, redis)
	g := gateways{d, d.another(t, "gw2", nil)}
	consent := func() {
		t.Helper()
		if out, err := d.consent(); err != nil {
			t.Fatalf("consent: %v, %s", err, out)
		}
	}
	consent()
	consents := d.recorded(t)
	aof, backup := filepath.Join(redis.Dir, "appendonlydir"), filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(aof)); err != nil {
		t.Fatal(err)
	}
	consent()
	for _, d := range g {
		d.knows(t)
	}
	redis.Kill(t)
	if err := os.RemoveAll(aof); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(aof, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	redis.Restart(t)
	all := g.ask(t, 2, 3*lead)
	for i, c := range all {
		g[i].silent(t, c)
		c.stop(t)
		if n := c.count(); n > 0 {
			t.Errorf("%s: %d answers by a register that is gone", g[i].writer, n)
		}
		if code := g[i].waitEnd(t); code != 1 || !strings.Contains(g[i].output.String(), "another past") {
			t.Errorf("%s: exit %d:\n%s", g[i].writer, code, tail(g[i].output.String()))
		}
		g[i].start(t)
		g[i].waitReady(t)
	}
	if n := d.recorded(t); n != consents {
		t.Errorf("%d consents, want %d", n, consents)
	}
	all = g.ask(t, 2, 3*lead)
	for _, c := range all {
		c.more(t, 20)
		c.stop(t)
	}
	if r := d.verify(t, all[0].dir); r.OK || r.Receipts != all[0].count() || !r.has("missing", "audit:admin") {
		t.Errorf("verify: ok %v, %d receipts, %.1000v", r.OK, r.Receipts, r.Faults)
	}
	consent()
	if r := d.verify(t, all[0].dir); r.OK || r.Receipts != all[0].count() || !r.has("lost", "audit:admin") {
		t.Errorf("verify after the next command: ok %v, %d receipts, %.1000v", r.OK, r.Receipts, r.Faults)
	}
	for _, d := range g {
		d.end(t)
	}
}
