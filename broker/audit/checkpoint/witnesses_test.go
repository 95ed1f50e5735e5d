package checkpoint

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/audit/witness"
	"github.com/schakel/schakel/broker/journal"
)

// TestWitnesses: where witnesses must cosign, nothing is published without them, and what is published opens only for who
// asks for as many as did.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	vkey := must(VerifierKey(origin, d.key.Public))
	var down atomic.Bool
	for _, name := range []string{"witness.example/a", "witness.example/b"} {
		secret, public, err := witness.NewKey(name)
		if err != nil {
			t.Fatal(err)
		}
		w, err := witness.New(witness.Config{Dir: t.TempDir(), Key: secret, Logs: []string{vkey}})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if down.Load() {
				http.Error(rw, "down", http.StatusServiceUnavailable)
				return
			}
			w.ServeHTTP(rw, r)
		}))
		t.Cleanup(s.Close)
		d.witness = append(d.witness, public)
		d.cfg.Witnesses = append(d.cfg.Witnesses, must(NewWitness(public, s.URL)))
	}
	d.cfg.Quorum = 2
	d.add(journal.Audit("gw-1"), 5)
	down.Store(true) // from the very first checkpoint on
	d.run("one")
	time.Sleep(500 * time.Millisecond)
	down.Store(false)
	d.until("the first", func() bool { return d.size() == 5 })
	keys := must(NewKeys(origin, d.own, d.witness, 2))
	c, err := OpenLog(d.dir, keys).Latest(t.Context())
	if err != nil || len(c.Witnesses) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	none := must(NewKeys(origin, d.own, []string{must2(witness.NewKey("witness.example/c"))}, 1))
	if _, err := none.Open(c.Signed); err == nil {
		t.Error("it opens for who demands another witness")
	}
	down.Store(true)
	d.add(journal.Audit("gw-1"), 5)
	time.Sleep(time.Second)
	if n := d.size(); n != 5 {
		t.Errorf("published %d leaves without witnesses", n)
	}
	down.Store(false)
	d.until("the rest", func() bool { return d.size() == 10 })
	d.holds()
	if _, err := NewKeys(origin, []ed25519.PublicKey{d.key.Public}, nil, 1); err == nil {
		t.Error("one of no witnesses must cosign")
	}
}

func must2(_, public string, err error) string {
	if err != nil {
		panic(err)
	}
	return public
}
