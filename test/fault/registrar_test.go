package fault

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit"
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
	municipality := ""
	for _, a := range d.info.Agencies {
		if a.Kind == "gemeente" {
			municipality = a.OIN
		}
	}
	c := d.info.Cases[0]
	r.wait.Go(func() {
		for ctx.Err() == nil {
			r.tried++
			_, err := d.schakel("register", "consent", "give", "--case", c.ID, "--person", "bsn:"+c.BSNs[0], "--kind", "release",
				"--domain", "ggz", "--recipient", municipality, "--purposes", "ontruiming-voorkomen")
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

func (r *registrar) stop() {
	r.cancel()
	r.wait.Wait()
}

// recorded counts the consents in the register. That each entry has its one event is for `audit verify` to check.
func (d *deployment) recorded(t *testing.T) int {
	t.Helper()
	n := 0
	err := audit.Read(t.Context(), d.store(t), journal.Register, journal.ID{}, func(e journal.Entry) error {
		var h struct{ Kind string }
		if err := json.Unmarshal(e.Bytes, &h); err != nil {
			return err
		}
		if h.Kind == "consent.given" {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
