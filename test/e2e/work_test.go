package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
)

// TestSameWork: invariant 6, by the work done. A household that does not exist and one that the asker may not know cost
// the same evaluations, the same looks into the register, the same bytes in the log and the same allocations. (By the
// clock: TestSameTime.)
func TestSameWork(t *testing.T) {
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	startRedis(t, w)
	defer w.stop(t)
	s := newScale(t, w)
	strangers, nobody := s.questions(t)

	weighed := map[string]work{}
	for _, group := range []struct {
		name  string
		calls []broker.Call
	}{{"forbidden", strangers}, {"unknown", nobody}} {
		for i, call := range group.calls {
			got := s.weigh(t, call)
			if was, there := weighed[fmt.Sprint(i%2)]; there && !reflect.DeepEqual(was, got) {
				t.Errorf("%s household, question %d took other work: %+v, want %+v", group.name, i, got, was)
			} else if !there {
				weighed[fmt.Sprint(i%2)] = got
			}
		}
	}
	t.Logf("work for a household by BSN %+v, by case %+v", weighed["0"], weighed["1"])

	const noise = 12 // of what else this process does, most under the race detector: it empties pools at random
	forbidden, unknown := s.allocations(t, strangers, nobody)
	t.Logf("allocations: forbidden %d, unknown %d", forbidden, unknown)
	if d := forbidden - unknown; d > noise || d < -noise {
		t.Errorf("allocations differ: forbidden %d, unknown %d", forbidden, unknown)
	}

	// What must differ does, or nothing is measured here.
	s.leak = true
	if forbidden, unknown = s.allocations(t, strangers, nobody); forbidden-unknown <= noise {
		t.Errorf("%d allocations more for a household that is there are not seen: %d, %d", leaked, forbidden, unknown)
	}
	s.leak = false
	known := s.call(t, s.worker, `{"case":"`+s.known+`"}`)
	if got := s.weigh(t, known); reflect.DeepEqual(got, weighed["1"]) {
		t.Errorf("a household that may be known takes the same work: %+v", got)
	}
}

// work is what one request costs, as far as it can be counted.
type work struct {
	Facts, Agency, Revision, Catalog, Decide, Source int
	Touches, Event, Common, Staff, Subjects, Body    int
}

// leaked is how many allocations a household that is there costs more in the control.
const leaked = 32

// scale is a broker of real parts in this process, that counts.
type scale struct {
	*registrar
	broker *broker.Broker
	worker string
	known  string // a case of the worker
	count  work
	leak   bool // allocate more for a household that is there
	w      *world
	signer keys.Signer
	tokens map[string]string
	kept   [][]byte
}

func newScale(t *testing.T, w *world) *scale {
	v := w.vars(t)
	ring := w.openRing(t)
	d, _ := shippedDecider(t)
	s := &scale{registrar: w.newRegistrar(t, ring, shippedCatalog(t), "weegschaal"), w: w, known: v["CASE"], worker: v["WORKER"], tokens: map[string]string{},
		signer: w.agencyKey(t, broker.OIN(v["GEMEENTE"]))}
	opener, err := seal.NewOpener(seal.OpenerConfig{Agencies: s.register.Agency, Audience: []string{"proef"}})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.NewSealer(seal.SealerConfig{Signer: func() (keys.Signer, error) { return ring.Signer(keys.Answers) }})
	if err != nil {
		t.Fatal(err)
	}
	s.broker, err = broker.New(broker.Config{Opener: opener, Register: scaleRegister{s}, Decider: scaleDecider{d, s}, Sources: scaleSources{s}, Journal: scaleJournal{s},
		Sealer: sealer, Now: time.Now, NewID: func() broker.RequestID { return broker.RequestID(uuid.Must(uuid.NewV7()).String()) }, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type (
	scaleRegister struct{ *scale }
	scaleSources  struct{ *scale }
	scaleJournal  struct{ *scale }
	scaleDecider  struct {
		*decide.Decider
		s *scale
	}
)

func (s scaleRegister) Agency(oin broker.OIN) (broker.Agency, bool) {
	s.count.Agency++
	return s.register.Agency(oin)
}

func (s scaleRegister) Revision() (broker.Revision, bool) {
	s.count.Revision++
	return s.register.Revision()
}

func (s scaleRegister) Facts(ctx context.Context, r broker.Request) (broker.Facts, error) {
	s.count.Facts++
	if _, there := s.w.people.Person(r.Household.BSN); s.leak && (there || strings.HasPrefix(string(r.Case), "zaak")) {
		for range leaked {
			s.kept = append(s.kept[:0], make([]byte, 64))
		}
	}
	return s.register.Facts(ctx, r)
}

func (d scaleDecider) Catalog(r broker.Revision) (*broker.Catalog, error) {
	d.s.count.Catalog++
	return d.Decider.Catalog(r)
}

func (d scaleDecider) Decide(ctx context.Context, r broker.Revision, q broker.Query) (broker.Decision, error) {
	d.s.count.Decide++
	return d.Decider.Decide(ctx, r, q)
}

func (s scaleSources) Source(broker.OIN) (broker.Source, bool) {
	s.count.Source++
	return nil, false
}

func (s scaleJournal) Append(ctx context.Context, e broker.Event) (broker.Receipt, error) {
	s.count.Touches += len(e.Touches)
	return s.writer.Append(ctx, e)
}

// call makes a request for a household, named as in JSON.
func (s *scale) call(t *testing.T, worker, household string) broker.Call {
	t.Helper()
	token, there := s.tokens[worker]
	if !there {
		var err error
		token, err = seal.SignToken(s.signer, seal.TokenClaims{Agency: "00000099000000011000", Worker: broker.WorkerID(worker), Role: "wijkteammedewerker", Audience: "proef", IssuedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		s.tokens[worker] = token
	}
	return broker.Call{Token: token, Language: "nl", TraceID: strings.Repeat("a", 32), SpanID: strings.Repeat("b", 16),
		Body: []byte(`{"household":` + household + `,"purpose":"ontruiming-voorkomen","fields":["huur","schulden","ggz.behandelaar.contact","persoon.naam"]}`)}
}

// questions gives as many about households that are there and not the worker's, as about ones that are not there: by
// BSN and by case in turn.
func (s *scale) questions(t *testing.T) (strangers, nobody []broker.Call) {
	t.Helper()
	forbidden, unknown := pools(t, s.w, s.worker)
	for i := range forbidden {
		strangers = append(strangers, s.call(t, s.worker, forbidden[i]))
		nobody = append(nobody, s.call(t, s.worker, unknown[i]))
	}
	return strangers, nobody
}

// pools gives households as JSON, by BSN and by case in turn: others' that are there, and as many that are not.
func pools(t testing.TB, w *world, worker string) (forbidden, unknown []string) {
	t.Helper()
	info, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	mine := map[broker.BSN]bool{}
	for _, c := range info.Cases {
		if slices.Contains(c.Workers, worker) {
			for _, b := range c.BSNs {
				mine[b] = true
			}
		}
	}
	n := 999950000
	for i, c := range info.Cases {
		if slices.Contains(c.Workers, worker) || mine[c.BSNs[0]] || !strings.HasPrefix(c.ID, "zaak") || len(forbidden) == 24 {
			continue
		}
		for ; ; n++ {
			b, err := broker.ParseBSN(fmt.Sprint(n))
			if _, there := w.people.Person(b); err == nil && !there {
				break
			}
		}
		forbidden = append(forbidden, `{"bsn":"`+c.BSNs[0].Reveal()+`"}`, `{"case":"`+c.ID+`"}`)
		unknown = append(unknown, fmt.Sprintf(`{"bsn":"%d"}`, n), fmt.Sprintf(`{"case":"zaak-%d"}`, 900+i))
		n++
	}
	if len(forbidden) < 16 {
		t.Fatalf("only %d households of others", len(forbidden))
	}
	return forbidden, unknown
}

// weigh asks, and counts what it took.
func (s *scale) weigh(t *testing.T, call broker.Call) work {
	t.Helper()
	if err := s.register.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.writer.Head().ID
	s.count = work{}
	envelope, err := s.broker.Disclose(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	got := s.count
	entries, err := s.store.Read(t.Context(), journal.Audit("weegschaal"), before, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		event, err := audit.Decode(e.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		got.Event++
		got.Common += len(event.Common)
		got.Staff += len(event.Staff.Box)
		got.Subjects += len(event.Subjects)
	}
	var body map[string]any
	if err := json.Unmarshal(envelope.Body, &body); err != nil {
		t.Fatal(err)
	}
	got.Body = len(envelope.Body)
	return got
}

// allocations counts those of a request, for two groups of them: the fewest that any batch took for each, since others in
// the process can only add to it.
func (s *scale) allocations(t *testing.T, groups ...[]broker.Call) (first, second int) {
	t.Helper()
	if err := s.register.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	least := [2]int{1 << 30, 1 << 30}
	for range 16 {
		for g, calls := range groups {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, c := range calls {
				if _, err := s.broker.Disclose(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			least[g] = min(least[g], int(after.Mallocs-before.Mallocs)/len(calls))
		}
	}
	return least[0], least[1]
}
