package fault

import (
	"strings"
	"syscall"
	"testing"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestGatewayReplacedWhileItSleeps: a gateway is stopped in the middle of its work (SIGSTOP, as a machine that hangs) and
// another takes over its stream. When the first wakes up it must add nothing more, give out no receipt for what is not in
// the log, and end.
func TestGatewayReplacedWhileItSleeps(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	next := d.beside(t, d.writer, nil)
	log := &reader{d: next}
	first := d.ask(t, 4, lead)
	first.more(t, 50)
	if err := d.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next.start(t)
	next.waitReady(t)
	second := next.ask(t, 4, lead)
	second.more(t, 50)
	if err := d.process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	code := d.waitEnd(t)
	second.more(t, 20)
	first.stop(t)
	second.stop(t)
	if code != 1 || !strings.Contains(d.output.String(), "another process claimed") {
		t.Errorf("exit %d:\n%s", code, tail(d.output.String()))
	}
	told := log.next(t)
	for _, c := range []*clients{first, second} {
		for hash := range c.receipts {
			if told.events[hash] != 1 {
				t.Errorf("%d events for the receipt %s", told.events[hash], hash)
			}
		}
		d.clean(t, c.dir, "--redis", d.redisURL)
	}
	if n := int(first.sent.Load() + second.sent.Load()); told.asked > n {
		t.Errorf("%d events for %d questions", told.asked, n)
	}
	next.end(t)
	t.Logf("before: %v; after: %v", first, second)
}
