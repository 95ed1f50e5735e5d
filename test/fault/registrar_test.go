package fault

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// registrar records consents by command, over the gateway's socket, while things are broken. What a command said it did
// must be in the register; what it said it did not do may be.
type registrar struct {
	d           *deployment
	cancel      context.CancelFunc
	wait        sync.WaitGroup
	tried, done int
}

func (d *deployment) record(t *testing.T) *registrar {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &registrar{d: d, cancel: cancel}
	r.wait.Go(func() {
		for ctx.Err() == nil {
			r.tried++
			_, err := d.consent()
			if err == nil {
				r.done++
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	return r
}

// consent records one by command.
func (d *deployment) consent() (string, error) {
	municipality := ""
	for _, a := range d.info.Agencies {
		if a.Kind == "gemeente" {
			municipality = a.OIN
		}
	}
	c := d.info.Cases[0]
	return d.schakel("register", "consent", "give", "--case", c.ID, "--person", "bsn:"+c.BSNs[0], "--kind", "release",
		"--domain", "ggz", "--recipient", municipality, "--purposes", "ontruiming-voorkomen")
}

func (r *registrar) stop() {
	r.cancel()
	r.wait.Wait()
}

// recorded counts the consents in the register. That each entry has its one event is for `audit verify` to check.
func (d *deployment) recorded(t *testing.T) int {
	t.Helper()
	n := 0
	d.read(t, journal.Register, journal.ID{}, func(e journal.Entry) {
		var h struct{ Kind string }
		if err := json.Unmarshal(e.Bytes, &h); err != nil {
			t.Errorf("register entry %s: %v", e.ID, err)
		}
		if h.Kind == "consent.given" {
			n++
		}
	})
	return n
}
