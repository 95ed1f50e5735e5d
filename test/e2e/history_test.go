package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
)

// TestHistories: invariant 8 over two and three gateways on one Redis. Consents, assignments, agreements, suspensions and
// policies change while workers ask, on gateways that are near Redis and gateways that are not; what they were given must
// be as if all had happened one after another, where an answer happens between the moment its event was made and the
// moment it came. A history from the asker's side alone could not tell: an answer on facts that were true when it was
// asked would pass, withdrawn or not.
func TestHistories(t *testing.T) {
	t.Parallel()
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer w.stop(t)
	h := newHistories(t, w)
	n := max(2, *rounds)
	for round := range n {
		h.round(t, h.gateways[:2+round%2], *seed+uint64(round))
		if t.Failed() {
			return
		}
	}
	t.Logf("seed %d, %d rounds: %v", *seed, n, h.count)
	if h.count["gave clinic"] < 20*n || h.count["gave debts"] < 20*n || h.count["gave neither"] < 5*n {
		t.Errorf("too few answers of a kind to prove anything: %v", h.count)
	}
}

type histories struct {
	w        *world
	gateways []string
	start    truth
	cases    []house
	admins   []*registrar
	token    string
	bank     keys.Signer
	oin      map[string]broker.OIN
	policy   [2]broker.Revision
	officers *officers
	deal     int // number of the agreement in force

	mu    sync.Mutex
	count map[string]int
	ops   []porcupine.Operation
	given []given
}

// house is a case, the adult it is about and the worker who asks.
type house struct {
	id     broker.CaseID
	head   broker.BSN
	worker broker.WorkerID
}

// given is an answer on its way to the history: its event tells when it was made.
type given struct {
	hash   broker.Hash
	answer answer
	done   int64
}

// round records one history and judges it. Everything is as in h.start before and after it.
func (h *histories) round(t *testing.T, gateways []string, seed uint64) {
	t.Helper()
	h.ops, h.given = nil, nil
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	before := h.counted()
	time.AfterFunc(2500*time.Millisecond, func() { // and on a busy machine until there is something to judge
		for ctx.Err() == nil {
			if now := h.counted(); now[0]-before[0] >= 20 && now[1]-before[1] >= 20 && now[2]-before[2] >= 5 {
				cancel()
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	var wait sync.WaitGroup
	for i, facts := range [][]set{ // each fact has one administrator
		{{fact: released, house: 0}, {fact: released, house: 1}, {fact: released, house: 2}},
		{{fact: agreed}, {fact: assigned, house: 0}, {fact: assigned, house: 1}, {fact: assigned, house: 2}},
		{{fact: stricter}, {fact: clinic}, {fact: asker}},
	} {
		wait.Go(func() { h.change(t, ctx, h.admins[i], facts, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	for i := range 2 * len(gateways) {
		wait.Go(func() { h.ask(t, ctx, gateways[i%len(gateways)], rand.New(rand.NewPCG(seed, uint64(10+i)))) })
	}
	wait.Wait()
	if t.Failed() {
		return
	}
	h.join(t)
	judge(t, h.start, h.ops, time.Minute)
	h.everythingIsGiven(t, gateways)
}

// counted gives how many answers held each field, and neither.
func (h *histories) counted() [3]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return [3]int{h.count["gave clinic"], h.count["gave debts"], h.count["gave neither"]}
}

// change turns facts on and off until the time is over, and leaves them as they were at the start.
func (h *histories) change(t *testing.T, ctx context.Context, r *registrar, facts []set, rnd *rand.Rand) {
	now := make([]bool, len(facts))
	was := make([]bool, len(facts))
	for i, f := range facts {
		was[i] = f.fact != released && f.fact != stricter
		now[i] = was[i]
	}
	put := func(i int, to bool) {
		c := facts[i]
		c.to = to
		at, err := r.do(context.WithoutCancel(ctx), h.commands(t, c)...)
		if errors.Is(err, register.ErrNotMade) { // the others were quicker, ten times
			return
		}
		if err != nil {
			t.Errorf("change: %v", err)
			return
		}
		now[i] = to
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ops = append(h.ops, porcupine.Operation{ClientId: 100, Input: c, Call: at.call, Return: at.done})
		h.count["changes"]++
	}
	pause := func(least, most int) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(least+rnd.IntN(most-least)) * time.Millisecond):
		}
	}
	for ctx.Err() == nil && !t.Failed() {
		i := rnd.IntN(len(facts))
		open := facts[i].fact != stricter // what lets most be given
		if facts[i].fact == asker && rnd.IntN(3) > 0 {
			continue // while the municipality is suspended nobody learns anything
		}
		if now[i] == open {
			put(i, !open)
			pause(2, 20)
		}
		if now[i] != open {
			put(i, open)
		}
		pause(10, 50)
	}
	for i := range facts {
		for now[i] != was[i] && !t.Failed() {
			put(i, was[i])
		}
	}
}

// ask asks one gateway about one household after another.
func (h *histories) ask(t *testing.T, ctx context.Context, gateway string, rnd *rand.Rand) {
	for ctx.Err() == nil && !t.Failed() {
		if err := h.once(t, gateway, rnd.IntN(households)); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond) // who is refused everything must not keep others from asking
	}
}

// once asks about a household, and keeps what was given. What is not given for the moment (suspended, too many changes, a
// policy not compiled yet) says nothing and is only counted.
func (h *histories) once(t *testing.T, gateway string, house int) error {
	body := fmt.Appendf(nil, `{"household":{"case":%q},"purpose":"ontruiming-voorkomen","fields":["ggz.behandelaar.contact","schulden.totaalbedrag"]}`, h.cases[house].id)
	resp := h.w.post(t, gateway, h.token, body, nil)
	data, err := io.ReadAll(resp.Body)
	done := time.Now().UnixNano()
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	var a struct {
		Code    string
		Policy  struct{ Revision broker.Revision }
		Granted []struct{ Field, Subject string }
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if resp.StatusCode != 200 {
		h.count[fmt.Sprint(resp.StatusCode, " ", a.Code)]++
		if resp.StatusCode == 403 || resp.StatusCode == 401 && a.Code == "agency-suspended" || resp.StatusCode == 503 {
			h.count["gave neither"]++
			return nil
		}
		return fmt.Errorf("status %d, %s", resp.StatusCode, a.Code)
	}
	g := given{done: done, answer: answer{house: house, stricter: a.Policy.Revision == h.policy[1]}}
	for _, f := range a.Granted {
		switch f.Field {
		case "ggz.behandelaar.contact":
			g.answer.clinic = true
		case "schulden.totaalbedrag":
			g.answer.debts = true
		}
	}
	if g.answer.clinic {
		h.count["gave clinic"]++
	}
	if g.answer.debts {
		h.count["gave debts"]++
	}
	g.hash, err = receiptOf(resp.Header.Get("Payload-Signature"))
	h.given = append(h.given, g)
	return err
}

// receiptOf reads the receipt in a signature's protected header.
func receiptOf(signature string) (broker.Hash, error) {
	var header struct{ Receipt broker.Receipt }
	protected, _, _ := strings.Cut(signature, ".")
	data, err := base64.RawURLEncoding.DecodeString(protected)
	if err == nil {
		err = json.Unmarshal(data, &header)
	}
	if err == nil && header.Receipt.Hash == (broker.Hash{}) {
		err = errors.New("an answer without a receipt")
	}
	return header.Receipt.Hash, err
}

// join makes operations of the answers. An answer's event says when the gateway made it, right before it was appended:
// every change that was acknowledged earlier must be honoured.
func (h *histories) join(t *testing.T) {
	t.Helper()
	times := map[broker.Hash]time.Time{}
	for _, writer := range []string{"gw1", "gw2", "gw3"} {
		after := journal.ID{}
		for {
			entries, err := h.admins[0].store.Read(t.Context(), journal.Audit(writer), after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				event, err := audit.Decode(e.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				times[e.Hash], after = event.Time, e.ID
			}
			if len(entries) == 0 {
				break
			}
		}
	}
	for _, g := range h.given {
		at, ok := times[g.hash]
		if !ok {
			t.Fatal("an answer whose event is not in the log")
		}
		if at.UnixNano() > g.done {
			t.Fatal("an answer that came before its event was made")
		}
		h.ops = append(h.ops, porcupine.Operation{Input: g.answer, Call: at.UnixNano(), Return: g.done})
	}
}

// everythingIsGiven: when nothing changes any more, what is released is given, on every gateway. A broker that gives
// nothing has no wrong history either.
func (h *histories) everythingIsGiven(t *testing.T, gateways []string) {
	t.Helper()
	for i := range h.cases {
		h.do(t, h.release(i, true))
	}
	for _, g := range gateways {
		for i := range h.cases {
			deadline := time.Now().Add(soon)
			for {
				h.given = nil
				if err := h.once(t, g, i); err != nil {
					t.Fatal(err)
				}
				if len(h.given) == 1 && h.given[0].answer.clinic && h.given[0].answer.debts {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s does not give what is allowed: %+v, %v", g, h.given, h.count)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	for i := range h.cases {
		h.do(t, h.release(i, false))
	}
}
