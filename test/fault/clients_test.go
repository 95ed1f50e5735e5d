package fault

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/seal"
)

// clients ask without end, and keep every receipt that they get.
type clients struct {
	d      *deployment
	dir    string // kept evidence, as `schakel audit verify --receipt` reads it
	cancel context.CancelFunc
	wait   sync.WaitGroup
	every  time.Duration // between the starts of two questions of one client, where it is not 0

	begun                             []atomic.Int64 // questions, by client
	sent, refused503, unanswered, cut atomic.Int64

	mu       sync.Mutex
	receipts map[broker.Hash]int
	strange  []string      // answers that should not be
	slowest  time.Duration // of the 503s
}

// ask starts n clients. Each waits a moment between two questions, so that a test leaves the machine to others.
func (d *deployment) ask(t *testing.T, n int, pause time.Duration) *clients {
	t.Helper()
	return d.askEach(t, n, n, pause)
}

// askEach is ask, where each client leaves out all but each step-th question.
func (d *deployment) askEach(t *testing.T, n, step int, pause time.Duration) *clients {
	t.Helper()
	return d.asking(t, n, step, pause, 0)
}

// askEvery starts n clients, each of which begins a question so often, if it gets its answers in time.
func (d *deployment) askEvery(t *testing.T, n int, every time.Duration) *clients {
	t.Helper()
	return d.asking(t, n, n, 0, every)
}

func (d *deployment) asking(t *testing.T, n, step int, pause, every time.Duration) *clients {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &clients{d: d, dir: t.TempDir(), cancel: cancel, every: every, begun: make([]atomic.Int64, n), receipts: map[broker.Hash]int{}}
	for i := range n {
		c.wait.Go(func() { c.run(ctx, i, step, pause) })
	}
	return c
}

func (c *clients) run(ctx context.Context, first, step int, pause time.Duration) {
	client := c.d.host.client(10 * time.Second)
	defer client.CloseIdleConnections()
	for n := first; ctx.Err() == nil; n += step {
		began := time.Now()
		worker, question := c.d.question(n)
		c.sent.Add(1)
		c.begun[first].Add(1)
		// Not with ctx: what was asked is waited for, so that no receipt goes unseen.
		h, err := c.d.post(context.WithoutCancel(ctx), client, c.d.token(worker), question)
		if err != nil {
			c.unanswered.Add(1)
		} else {
			c.keep(h)
		}
		wait := pause
		if c.every > 0 {
			wait = time.Until(began.Add(c.every))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (c *clients) keep(h held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.signature == "" {
		switch {
		case h.status == http.StatusServiceUnavailable && h.code != "" && !h.cut:
			c.refused503.Add(1)
			c.slowest = max(c.slowest, h.took)
		case h.status >= 500 && h.cut:
			c.unanswered.Add(1)
		default:
			c.strange = append(c.strange, fmt.Sprintf("%d without a signature: %.300s", h.status, h.body))
		}
		return
	}
	hash, err := receiptOf(h.signature)
	if err != nil {
		c.strange = append(c.strange, err.Error())
		return
	}
	c.receipts[hash]++
	if h.cut { // the receipt is out, but without the body its signature can't be checked
		c.cut.Add(1)
		return
	}
	data, err := seal.Evidence{Body: h.body, Signature: h.signature}.Encode()
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, hash.String()+".json"), data, 0o600)
	}
	if err != nil {
		c.strange = append(c.strange, err.Error())
	}
}

// receiptOf reads the receipt in the protected header of a signature.
func receiptOf(signature string) (broker.Hash, error) {
	header, _, _ := strings.Cut(signature, ".")
	data, err := base64.RawURLEncoding.DecodeString(header)
	var h struct{ Receipt broker.Receipt }
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err == nil && h.Receipt.Hash == (broker.Hash{}) {
		err = fmt.Errorf("a signature without a receipt")
	}
	return h.Receipt.Hash, err
}

// turns waits until what each client asks now is answered, and n questions of each after that.
func (c *clients) turns(t *testing.T, n int64) {
	t.Helper()
	for i := range c.begun {
		last := c.begun[i].Load() + n
		until(t, "the clients go on", func() bool { return c.begun[i].Load() > last })
	}
}

// slow is how long the slowest 503 took.
func (c *clients) slow() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slowest
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.receipts)
}

// more waits until n more receipts were handed out: the deployment answers again, by itself.
func (c *clients) more(t *testing.T, n int) time.Duration {
	t.Helper()
	began, before := time.Now(), c.count()
	for c.count() < before+n {
		if time.Since(began) > soon || !c.d.alive() {
			t.Fatalf("no recovery: %d receipts, %d × 503 since %v; ready %v; the gateway runs %v\n%s",
				c.count()-before, c.refused503.Load(), time.Since(began), c.d.ready(), c.d.alive(), tail(c.d.output.String()))
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// stop waits for the answers under way and tells what was strange.
func (c *clients) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	c.wait.Wait()
	for i, s := range c.strange {
		if i == 5 {
			t.Errorf("and %d more", len(c.strange)-i)
			break
		}
		t.Errorf("an answer that should not be: %s", s)
	}
	for hash, n := range c.receipts {
		if n > 1 {
			t.Errorf("%d answers carry the receipt %s", n, hash)
		}
	}
}

func (c *clients) String() string {
	return fmt.Sprintf("%d asked, %d receipts (%d cut off after the signature), %d × 503 (slowest %v), %d unanswered",
		c.sent.Load(), c.count(), c.cut.Load(), c.refused503.Load(), c.slow().Round(time.Millisecond), c.unanswered.Load())
}
