package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const askPhone = `{"household":{"bsn":"999990007"},"purpose":"ontruiming-voorkomen","fields":["contact.telefoonnummer"]}`

// simple is a world of one person, whose telephone number is granted.
func simple(t testingT) *world {
	w := newWorld(t)
	w.decide = table("grant * exact wgs-8")
	w.facts = []Facts{{Revision: rev1, Agency: w.agencies[wijk], Relation: Relation{Case: CaseAssigned, Municipality: MunicipalitySame},
		Household: []Person{{BSN: testBSNs[0], Birth: Date{1980, 2, 3}}}, Holders: []Holder{{OIN: gem, Kind: "gemeente", Domains: []Domain{"contact"}}}}}
	w.sources[gem].records = map[string]Record{"999990007": {Values: map[Field]any{"contact.telefoonnummer": "0612345678"}}}
	return w
}

// TestAskerGoesAway: a holder that was asked learned something, so that is recorded though nobody waits for the answer;
// before anybody was asked there is nothing to record.
func TestAskerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simple(t)
		w.sources[gem].behaviour = "hang"
		ctx, leave := context.WithTimeout(context.Background(), w.timeout/2)
		defer leave()
		env, err := w.disclose(ctx, askPhone)
		if err != nil || len(w.asks) != 1 || len(w.events) != 1 || len(w.events[0].Common.Asked) != 1 {
			t.Errorf("%d asked, %d events, %v", len(w.asks), len(w.events), err)
		}
		if env.Summary.Unavailable != 1 {
			t.Errorf("a number came from a holder that did not answer: %s", env.Body)
		}
		w = simple(t)
		gone, leave := context.WithCancel(context.Background())
		leave()
		if _, _ = w.disclose(gone, askPhone); len(w.asks) != 0 {
			t.Errorf("a holder was asked for nobody")
		}
	})
}

// TestLateHolderKeepsWriting: an answer that comes too late is dropped unseen, and so is whatever its source does to it
// then (the race detector looks on).
func TestLateHolderKeepsWriting(t *testing.T) {
	w := simple(t)
	w.timeout = 20 * time.Millisecond
	values := map[Field]any{}
	stop, done := make(chan struct{}), make(chan struct{})
	b, err := New(Config{Opener: ports{w}, Register: ports{w}, Decider: ports{w}, Journal: ports{w}, Sealer: ports{w}, SourceTimeout: w.timeout,
		Now: func() time.Time { return noon }, NewID: func() RequestID { return "1" }, Rand: strings.NewReader(strings.Repeat("r", 99)),
		Sources: fixedSource{funcSource(func(context.Context, Ask) (Record, error) {
			defer close(done)
			for {
				select {
				case <-stop:
					return Record{Values: values}, nil
				default:
					values["contact.telefoonnummer"] = "canary"
				}
			}
		})}})
	if err != nil {
		t.Fatal(err)
	}
	env, err := b.Disclose(context.Background(), Call{Body: []byte(askPhone)})
	close(stop)
	<-done
	if err != nil || strings.Contains(string(env.Body), "canary") || env.Summary.Unavailable != 1 {
		t.Errorf("%s %v", env.Body, err)
	}
}

type fixedSource struct{ only Source }

func (f fixedSource) Source(OIN) (Source, bool) { return f.only, true }

type funcSource func(context.Context, Ask) (Record, error)

func (funcSource) Key() KeyKind                                       { return KeyBSN }
func (f funcSource) Fetch(ctx context.Context, a Ask) (Record, error) { return f(ctx, a) }

// TestManyAtOnce: one Broker, many requests, one set of facts.
func TestManyAtOnce(t *testing.T) {
	w := simple(t)
	b, err := New(Config{Opener: ports{w}, Register: fixedRegister{w.facts[0]}, Decider: pureDecider{w.catalogs[rev1], w.decide}, Sources: ports{w},
		Journal: fixedJournal{}, Sealer: fixedJournal{}, Now: func() time.Time { return noon }, NewID: func() RequestID { return "1" },
		Rand: zeros{}, SourceTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			env, err := b.Disclose(context.Background(), Call{Body: []byte(askPhone)})
			if err != nil || !strings.Contains(string(env.Body), "0612345678") {
				t.Errorf("%s %v", env.Body, err)
			}
		})
	}
	wg.Wait()
}

type fixedRegister struct{ f Facts }

func (r fixedRegister) Agency(OIN) (Agency, bool)                     { return r.f.Agency, true }
func (r fixedRegister) Revision() (Revision, bool)                    { return r.f.Revision, true }
func (r fixedRegister) Facts(context.Context, Request) (Facts, error) { return r.f, nil }

type pureDecider struct {
	c *Catalog
	f func(Revision, Query) Decision
}

func (d pureDecider) Catalog(Revision) (*Catalog, error) { return d.c, nil }
func (d pureDecider) Engine() string                     { return "table 1" }
func (d pureDecider) Decide(_ context.Context, r Revision, q Query) (Decision, error) {
	return d.f(r, q), nil
}

type fixedJournal struct{}

func (fixedJournal) Append(context.Context, Event) (Receipt, error) { return Receipt{}, nil }
func (fixedJournal) Seal(_ context.Context, s Sealing) (Envelope, error) {
	return Envelope{Body: s.Body}, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestKeyNone: a source that is asked by nothing is never sent a BSN.
func TestKeyNone(t *testing.T) {
	w := simple(t)
	w.sources[gem].key = KeyNone
	env, err := w.disclose(context.Background(), askPhone)
	if err != nil || !env.Refusal || len(w.asks) > 0 {
		t.Errorf("%d asked: %s %v", len(w.asks), env.Body, err)
	}
}

// TestNobodyAskedForARefusal: with onRefusal fail, a field that policy grants and that has no holder with an agreement, or
// whose holder may not be sent the name and address, makes the answer a refusal before anybody is asked.
func TestNobodyAskedForARefusal(t *testing.T) {
	for name, field := range map[string]string{"no agreement": "ggz.behandelaar.contact", "no lookup": "huur.achterstand.bedrag", "neither": "contact.emailadres"} {
		w := simple(t)
		w.decide = table("refuse persoon.* disclosure-restricted \"role\":\"gegevenshouder\"\ngrant * exact wgs-8")
		w.facts[0].Holders = append(w.facts[0].Holders, Holder{OIN: rvig, Kind: "rvig", Domains: []Domain{"persoon"}},
			Holder{OIN: corpo, Kind: "woningcorporatie", Domains: []Domain{"huur"}})
		body := strings.Replace(askPhone, `"contact.telefoonnummer"]`, `"contact.telefoonnummer","`+field+`"],"onRefusal":"fail"`, 1)
		env, err := w.disclose(context.Background(), body)
		if want := name != "neither"; err != nil || env.Refusal != want || (len(w.asks) == 0) != want || len(w.events) != 1 {
			t.Errorf("%s: %d asked, refused %v, %d events, %v", name, len(w.asks), env.Refusal, len(w.events), err)
		}
	}
}

// TestHolderNamedForOne: a holder is asked about the persons it is named for, and about nobody else.
func TestHolderNamedForOne(t *testing.T) {
	w := simple(t)
	w.facts[0].Household = append(w.facts[0].Household, Person{BSN: testBSNs[1]})
	w.facts[0].Holders[0].Persons = []int{1}
	w.sources[gem].records["999990019"] = w.sources[gem].records["999990007"]
	env, err := w.disclose(context.Background(), askPhone)
	if err != nil || len(w.asks) != 1 || w.asks[0].ask.BSN != testBSNs[1] || !strings.Contains(string(env.Body), `"withheld":[{"field":"contact.telefoonnummer","subject":"household","reasons":["no-agreement"]}]`) {
		t.Errorf("%d asked: %s %v", len(w.asks), env.Body, err)
	}
}

// TestHolderNamedForNobodyHere: an index that no person has, from a careless register.
func TestHolderNamedForNobodyHere(t *testing.T) {
	w := simple(t)
	w.facts[0].Holders = []Holder{{OIN: rvig, Kind: "rvig", Domains: []Domain{"persoon"}}, {OIN: corpo, Kind: "woningcorporatie", Domains: []Domain{"huur"}, Persons: []int{5}}}
	env, err := w.disclose(context.Background(), strings.Replace(askPhone, "contact.telefoonnummer", "huur", 1))
	if err != nil || !env.Refusal || len(w.asks) > 0 {
		t.Errorf("%d asked: %s %v", len(w.asks), env.Body, err)
	}
}

// TestRevisionBetween: another revision is activated between reading the request and taking the facts. Its catalog reads
// the request again: a field it does not have is an unknown field.
func TestRevisionBetween(t *testing.T) {
	w := simple(t)
	w.facts[0].Revision = rev2
	w.catalogs[rev2].Fields = w.catalogs[rev2].Fields[:3]
	_, err := w.disclose(context.Background(), askPhone)
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindInvalid || len(w.rounds) > 0 {
		t.Errorf("got %v after %d decisions", err, len(w.rounds))
	}
}

// TestPortsFail: each failing port ends the request with an *Error, and nothing is sealed; an unknown error is internal.
func TestPortsFail(t *testing.T) {
	secret := errors.New("boom")
	for name, breakIt := range map[string]func(*Config){
		"Facts":   func(c *Config) { c.Register = failing{Register: c.Register, err: secret} },
		"Decide":  func(c *Config) { c.Decider = failing{Decider: c.Decider, err: secret} },
		"Append":  func(c *Config) { c.Journal = failing{err: secret} },
		"Rand":    func(c *Config) { c.Rand = strings.NewReader("") },
		"Open":    func(c *Config) { c.Opener = failing{err: Fail(KindUnauthenticated, "token-expired", nil)} },
		"Admit":   func(c *Config) { c.Admit = func(OIN) bool { return false } },
		"Catalog": func(c *Config) { c.Register = fixedRegister{Facts{Revision: "unknown"}} },
	} {
		w := simple(t)
		c := w.broker().cfg
		breakIt(&c)
		b, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		env, err := b.Disclose(context.Background(), Call{Body: []byte(askPhone)})
		var e *Error
		if !errors.As(err, &e) || env.Body != nil || len(w.sealed) > 0 {
			t.Errorf("%s: %v %s", name, err, env.Body)
			continue
		}
		if errors.Is(err, secret) && e.Kind != KindInternal {
			t.Errorf("%s: kind %d", name, e.Kind)
		}
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a broker of nothing: %v", err)
	}
}

type failing struct {
	Register
	Decider
	err error
}

func (f failing) Open(context.Context, string, Channel) (Caller, error)     { return Caller{}, f.err }
func (f failing) Facts(context.Context, Request) (Facts, error)             { return Facts{}, f.err }
func (f failing) Decide(context.Context, Revision, Query) (Decision, error) { return Decision{}, f.err }
func (f failing) Append(context.Context, Event) (Receipt, error)            { return Receipt{}, f.err }

// TestOrderTellsNothing: over many requests no place in the register keeps a number, in the answer or in the clear record.
func TestOrderTellsNothing(t *testing.T) {
	first, asked := map[string]int{}, map[string]int{}
	for seed := range 60 {
		w := simple(t)
		w.seed = byte(seed)
		w.facts[0].Household = append(w.facts[0].Household, Person{BSN: testBSNs[1]}, Person{BSN: testBSNs[2]})
		for i, b := range testBSNs[:3] {
			w.sources[gem].records[b.Reveal()] = Record{Values: map[Field]any{"contact.telefoonnummer": fmt.Sprint(i)}}
		}
		env, err := w.disclose(context.Background(), askPhone)
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			Persons []struct{ Contact map[string]string }
		}
		if err := json.Unmarshal(env.Body, &a); err != nil || len(a.Persons) != 3 {
			t.Fatalf("%v %s", err, env.Body)
		}
		first[a.Persons[0].Contact["telefoonnummer"]]++
		for _, p := range w.events[0].Subjects {
			if p.Subject == w.events[0].Common.Asked[0].Subject {
				asked[p.BSN.Reveal()]++
			}
		}
	}
	for name, seen := range map[string]map[string]int{"first in the answer": first, "asked about first": asked} {
		if len(seen) != 3 || maxOf(seen) > 40 {
			t.Errorf("%s: %v", name, seen)
		}
	}
}

func maxOf(m map[string]int) int {
	n := 0
	for v := range maps.Values(m) {
		n = max(n, v)
	}
	return n
}
