package fault

import (
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// split is a deployment over two hosts: the master, a Sentinel and gw1 in one; two replicas, two Sentinels and gw2 in the
// other.
type split struct {
	a, b     *host
	w        *watched
	gw1, gw2 *deployment
}

func splitUp(t *testing.T, replicas int) *split {
	t.Helper()
	a, b := twoHosts(t)
	s := &split{a: a, b: b}
	s.w = watch(t, replicas, []redistest.Place{a.place(), b.place(), b.place()}, []redistest.Place{a.place(), b.place(), b.place()})
	section, url := s.w.config(replicas)
	s.gw1 = onStore(t, a, section, nil)
	s.gw1.redisURL = url + s.gw1.shard
	s.gw2 = s.gw1.another(t, "gw2", b)
	return s
}

// part cuts the cable and waits until the other side has a master of its own.
func (s *split) part(t *testing.T) {
	t.Helper()
	s.a.cut(t)
	until(t, "the replica's side has a master", func() bool {
		return s.w.master(t, s.w.sentinels[1]) != s.w.servers[0] && s.w.master(t, s.w.sentinels[2]) != s.w.servers[0]
	})
	if redisInfo(t, s.w.servers[0], "replication", "role") != "master" {
		t.Error("the old master is no master any more: nothing is tested")
	}
}

// join puts the cable back and waits until the old master is a replica.
func (s *split) join(t *testing.T) {
	t.Helper()
	s.a.mend(t)
	until(t, "the old master is a replica", func() bool { return follows(s.w.servers[0]) })
}

// TestPartitionWithReplicas: the old master stays alive, and a gateway and a Sentinel with it, while the other side has
// promoted a replica. With WAIT 1 the gateway on the wrong side gives nothing; the other goes on; when they meet again
// the first goes on by itself, nothing is lost, and what was left half done on the old master harms nobody: not the keys
// that were put there and nowhere else either.
func TestPartitionWithReplicas(t *testing.T) {
	t.Parallel()
	s := splitUp(t, 1)
	logs := []*reader{{d: s.gw1}, {d: s.gw2}}
	for _, l := range logs {
		l.next(t)
	}
	// Before the cable is cut gw1 is asked about one household only: it needs keys for others while it is alone.
	before := s.gw1.askEach(t, 1, len(s.gw1.info.Cases), 3*lead)
	before.more(t, 10)
	before.stop(t)
	wrong, right := s.gw1.askEach(t, 3, 3, 3*lead), s.gw2.ask(t, 2, 3*lead)
	right.more(t, 10)
	consents, command := s.gw2.recorded(t), s.gw1.record(t)
	s.part(t)
	wrong.turns(t, 0) // what was confirmed before
	alone := wrong.count()
	right.more(t, 50)
	wrong.turns(t, 5)
	if n := wrong.count(); n != alone {
		t.Errorf("%d answers of a gateway that only the old master hears", n-alone)
	}
	if s.gw1.ready() {
		t.Error("a gateway that only the old master hears says that it is ready")
	}
	s.join(t)
	back := wrong.more(t, 50)
	right.more(t, 20)
	command.stop()
	wrong.stop(t)
	right.stop(t)
	t.Logf("gw1: %v, 50 answers %v after the old master was a replica; gw2: %v", wrong, back.Round(time.Millisecond), right)
	first, second := logs[0].next(t), logs[1].next(t)
	first.crashes(t, 0)
	second.crashes(t, 0)
	second.holds(t, right)
	for _, c := range []*clients{before, wrong} {
		for hash := range c.receipts {
			if first.events[hash] != 1 {
				t.Errorf("%d events for the receipt %s", first.events[hash], hash)
			}
		}
		s.gw1.clean(t, c.dir)
	}
	s.gw2.clean(t, right.dir)
	if n := s.gw2.recorded(t) - consents; n < command.done || n > command.tried {
		t.Errorf("%d consents in the register; %d commands said that they recorded one, of %d", n, command.done, command.tried)
	}
	s.gw1.onceEach(t)
	s.gw1.end(t)
	s.gw2.end(t)
}

// TestPartitionWithoutReplicas is the same without WAIT: the gateway on the wrong side goes on, and what it gives is
// lost. It must stop when the sides meet, fork nothing, and name what is lost when it is started again; the receipts name
// the rest.
func TestPartitionWithoutReplicas(t *testing.T) {
	t.Parallel()
	s := splitUp(t, 0)
	right := s.gw2.ask(t, 2, 3*lead)
	right.more(t, 10)
	lost := s.gw1.ask(t, 2, 3*lead)
	lost.more(t, 10)
	s.part(t)
	began := lost.count()
	lost.more(t, 20)
	right.more(t, 20)
	consent := func(d *deployment) {
		t.Helper()
		if out, err := d.consent(); err != nil {
			t.Errorf("a consent on %s: %v, %s", d.writer, err, out)
		}
	}
	consent(s.gw1) // will be lost
	consent(s.gw2) // in its place
	s.gw1.signed(t)
	if n := lost.count() - began; n < 20 {
		t.Fatalf("only %d answers that will be lost", n)
	}
	s.join(t)
	s.gw1.silent(t, lost)
	lost.stop(t)
	right.more(t, 20)
	right.stop(t)
	s.gw1.stopped()
	if said := s.gw1.output.String(); !strings.Contains(said, "lost e") && !strings.Contains(said, "another past") {
		t.Errorf("no word of lost events or entries:\n%s", tail(said))
	}
	log := &reader{d: s.gw2, writer: s.gw1.writer}
	s.gw1.start(t)
	s.gw1.waitReady(t)
	again := s.gw1.ask(t, 2, 3*lead)
	again.more(t, 20)
	consent(s.gw1) // commands have a stream of their own, and name what of it is lost when they next write
	again.stop(t)
	told := log.next(t)
	start := told.starts[len(told.starts)-1]
	if start.Reason != audit.ReasonCrash || len(start.Lost) == 0 {
		t.Errorf("the new epoch says %q and lost %v", start.Reason, start.Lost)
	}
	missing := 0
	for hash := range lost.receipts {
		if told.events[hash] == 0 {
			missing++
		}
	}
	r := s.gw1.verify(t, lost.dir)
	if missing == 0 || r.Receipts != len(lost.receipts)-missing || !r.has("receipt", "no event has the hash") || !r.has("lost", "audit:gw1") {
		t.Errorf("%d of %d receipts are not in the log; verify found %d: %.1000v", missing, len(lost.receipts), r.Receipts, r.Faults)
	}
	for _, f := range r.Faults {
		if f.Code != "lost" && f.Code != "receipt" {
			t.Errorf("fault %v", f)
		}
	}
	for _, c := range []*clients{again, right} {
		if r := s.gw2.verify(t, c.dir); r.Receipts != len(c.receipts) {
			t.Errorf("%d of %d receipts are in the log: %.500v", r.Receipts, len(c.receipts), r.Faults)
		}
	}
	t.Logf("gw1: %v, %d of them lost; the new epoch names %v; gw2: %v", lost, missing, start.Lost, right)
	s.gw2.onceEach(t)
	s.gw1.end(t)
	s.gw2.end(t)
}
