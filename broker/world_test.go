package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A world is everything around a Broker, in memory: each port is a fake that counts its calls and checks what it is
// given. What a test wants otherwise it sets before calling disclose.
type world struct {
	t        testingT
	catalogs map[Revision]*Catalog
	agencies map[OIN]Agency
	facts    []Facts // one for each time the register is asked; the last stays true
	decide   func(Revision, Query) Decision
	sources  map[OIN]*fakeSource
	appends  []error // what the journal answers, one each; after that nil
	pseudo   func(OIN, BSN) string
	seed     byte
	timeout  time.Duration

	mu     sync.Mutex
	calls  map[string]int
	rounds []round          // what was decided, in order
	asks   []asked          // what holders saw
	used   []Facts          // what the register answered, in order
	shown  map[BSN]sighting // what holders showed in time, when asked by BSN
	later  map[BSN]sighting // likewise, when asked by identity
	events []Event          // every append, also those that were stale
	sealed []Sealing
}

// testingT is what testing.T and rapid.T have in common.
type testingT interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

type round struct {
	revision Revision
	query    Query
	decision Decision
}

type asked struct {
	holder OIN
	ask    Ask
}

const (
	wijk    OIN = "00000001000000000001" // municipality, asks
	corpo   OIN = "00000001000000000002" // housing corporation, asked by identity
	rvig    OIN = "00000001000000000003"
	gem     OIN = "00000001000000000004" // municipality as a holder
	ggz     OIN = "00000001000000000005"
	krediet OIN = "00000001000000000006"
	corpo2  OIN = "00000001000000000007"
)

var testBSNs = []BSN{"999990007", "999990019", "999990020", "999990032", "999990044", "999990056"}

const rev1, rev2 = Revision("1111111111111111111111111111111111111111111111111111111111111111"),
	Revision("2222222222222222222222222222222222222222222222222222222222222222")

// noon is the moment in every test that does not say another.
var noon = time.Date(2026, 3, 14, 11, 0, 0, 0, time.UTC)

func testCatalog() *Catalog {
	c := &Catalog{
		Purposes: []Term{{ID: "ontruiming-voorkomen"}, {ID: "handhaving"}},
		AgencyKinds: []KindInfo{{ID: "gemeente", BSN: BSNAlways}, {ID: "rvig", BSN: BSNAlways}, {ID: "ggz-aanbieder", BSN: BSNAlways},
			{ID: "kredietbank", BSN: BSNMandated}, {ID: "woningcorporatie", BSN: BSNNever}, {ID: "register", BSN: BSNNever}},
	}
	field := func(path string, subject SubjectKind, forms string, holders ...AgencyKind) {
		f := FieldInfo{Path: Field(path), Subject: subject, Domain: Domain(strings.Split(path, ".")[0]), Holders: holders}
		for _, form := range strings.Fields(forms) {
			f.Forms = append(f.Forms, Form(form))
		}
		c.Fields = append(c.Fields, f)
	}
	field("persoon.burgerservicenummer", SubjectPerson, "exact pseudonym", "rvig")
	field("persoon.naam.voornamen", SubjectPerson, "exact initials", "rvig")
	field("persoon.naam.voorvoegsel", SubjectPerson, "exact", "rvig")
	field("persoon.naam.geslachtsnaam", SubjectPerson, "exact", "rvig")
	field("persoon.geboorte.datum", SubjectPerson, "exact year age-band", "rvig")
	field("persoon.leeftijd", SubjectPerson, "exact age-band", "rvig")
	field("persoon.adressering.adresregel1", SubjectPerson, "exact", "rvig")
	field("persoon.adressering.adresregel2", SubjectPerson, "exact", "rvig")
	field("persoon.verblijfplaats.verblijfadres.postcode", SubjectPerson, "exact masked", "rvig")
	field("persoon.overlijden.datum", SubjectPerson, "exact yes-no", "rvig")
	field("huishouden.aantalPersonen", SubjectHousehold, "exact", KindRegister)
	field("huishouden.minderjarigenAanwezig", SubjectHousehold, "yes-no", KindRegister)
	field("huishouden.leeftijdenKinderen", SubjectHousehold, "age-band", KindRegister)
	field("contact.telefoonnummer", SubjectPerson, "exact masked", "gemeente")
	field("contact.emailadres", SubjectPerson, "exact masked", "gemeente")
	field("huur.achterstand.bedrag", SubjectHousehold, "exact amount-band", "woningcorporatie")
	field("huur.ontruiming.vonnis", SubjectHousehold, "yes-no", "woningcorporatie")
	field("schulden.totaalbedrag", SubjectPerson, "exact amount-band", "kredietbank", "woningcorporatie")
	field("ggz.behandelaar.contact", SubjectPerson, "exact", "ggz-aanbieder")
	for _, k := range []string{"geheimhoudingPersoonsgegevens persoon", "inOnderzoek persoon", "naam.inOnderzoek persoon.naam",
		"opschortingBijhouding persoon", "adressering.inOnderzoek persoon.adressering"} {
		path, with, _ := strings.Cut(k, " ")
		c.Companions = append(c.Companions, Companion{Path: Field("persoon." + path), With: Field(with)})
	}
	return c
}

func newWorld(t testingT) *world {
	w := &world{
		t: t, catalogs: map[Revision]*Catalog{rev1: testCatalog(), rev2: testCatalog()},
		agencies: map[OIN]Agency{wijk: {OIN: wijk, Kind: "gemeente", Mandates: []Mandate{"wgs"}}},
		sources:  map[OIN]*fakeSource{}, calls: map[string]int{}, shown: map[BSN]sighting{}, later: map[BSN]sighting{}, timeout: 50 * time.Millisecond,
		pseudo: func(_ OIN, b BSN) string { return fmt.Sprintf("pseudonym-%d", slices.Index(testBSNs, b)) },
	}
	for oin, key := range map[OIN]KeyKind{corpo: KeyIdentity, corpo2: KeyIdentity, rvig: KeyBSN, gem: KeyBSN, ggz: KeyBSN, krediet: KeyBSN} {
		w.sources[oin] = &fakeSource{w: w, oin: oin, key: key}
	}
	return w
}

func (w *world) broker() *Broker {
	w.t.Helper()
	b, err := New(Config{
		Opener: ports{w}, Register: ports{w}, Decider: ports{w}, Sources: ports{w}, Journal: ports{w}, Sealer: ports{w},
		Now:   func() time.Time { w.count("Now"); return noon },
		NewID: func() RequestID { w.count("NewID"); return "0195f000-0000-7000-8000-000000000000" },
		Rand:  counted{w, rand.NewChaCha8([32]byte{w.seed})}, Pseudonym: w.pseudo, SourceTimeout: w.timeout,
		Admit: func(OIN) bool { w.count("Admit"); return true },
	})
	if err != nil {
		w.t.Fatalf("new broker: %v", err)
	}
	return b
}

// disclose asks as the wijkteam does, with an idempotency key and a trace.
func (w *world) disclose(ctx context.Context, body string) (Envelope, error) {
	w.t.Helper()
	return w.broker().Disclose(ctx, Call{Token: "token", Body: []byte(body), Language: "nl", IdempotencyKey: "key-1",
		TraceID: strings.Repeat("a", 32), SpanID: strings.Repeat("b", 16)})
}

func (w *world) count(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[call]++
}

type counted struct {
	w *world
	r io.Reader
}

func (c counted) Read(p []byte) (int, error) { c.w.count("Rand"); return c.r.Read(p) }

// ports implements every port of a Broker but Source.
type ports struct{ w *world }

func (p ports) Open(context.Context, string, Channel) (Caller, error) {
	p.w.count("Open")
	return Caller{Agency: wijk, Worker: "w-canary-1", Role: "wijkteammedewerker", Key: "k1"}, nil
}

func (p ports) Agency(oin OIN) (Agency, bool) {
	p.w.count("Agency")
	a, ok := p.w.agencies[oin]
	return a, ok
}

func (p ports) Revision() (Revision, bool) { p.w.count("Revision"); return rev1, true }

func (p ports) Facts(context.Context, Request) (Facts, error) {
	p.w.count("Facts")
	f := p.w.facts[0]
	if len(p.w.facts) > 1 {
		p.w.facts = p.w.facts[1:]
	}
	p.w.used = append(p.w.used, f)
	return f, nil
}

func (p ports) Catalog(r Revision) (*Catalog, error) {
	p.w.count("Catalog")
	if c := p.w.catalogs[r]; c != nil {
		return c, nil
	}
	return nil, Fail(KindUnavailable, "no-policy", nil)
}

func (p ports) Decide(_ context.Context, r Revision, q Query) (Decision, error) {
	p.w.count("Decide")
	if string(mustJSON(q)) != string(q.Bytes()) {
		p.w.t.Errorf("a query that is not canonical: %s", mustJSON(q))
	}
	d := p.w.decide(r, q)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.rounds = append(p.w.rounds, round{r, q, d})
	return d, nil
}

func (p ports) Engine() string { p.w.count("Engine"); return "table 1" }

func (p ports) Source(holder OIN) (Source, bool) {
	s, ok := p.w.sources[holder]
	return s, ok
}

// Append checks that nothing was sealed yet, and answers as the test wants.
func (p ports) Append(ctx context.Context, e Event) (Receipt, error) {
	p.w.count("Append")
	if err := ctx.Err(); err != nil {
		return Receipt{}, Fail(KindUnavailable, "journal", err)
	}
	if len(p.w.sealed) > 0 {
		p.w.t.Errorf("an answer was sealed before its event was appended")
	}
	if len(e.Common.Queries) != len(e.Common.Decisions) {
		p.w.t.Errorf("%d queries and %d decisions", len(e.Common.Queries), len(e.Common.Decisions))
	}
	p.w.events = append(p.w.events, e)
	if n := len(p.w.events); n <= len(p.w.appends) && p.w.appends[n-1] != nil {
		return Receipt{}, p.w.appends[n-1]
	}
	return Receipt{Log: "log-1", Hash: Nonce{}.Digest(mustJSON(e))}, nil
}

// Seal checks that the body is the one whose event was appended last, and that the receipt is of that event.
func (p ports) Seal(_ context.Context, s Sealing) (Envelope, error) {
	p.w.count("Seal")
	p.w.sealed = append(p.w.sealed, s)
	if len(p.w.events) == 0 {
		p.w.t.Errorf("sealed without an event")
		return Envelope{}, errors.New("no event")
	}
	e := p.w.events[len(p.w.events)-1]
	if s.Nonce.Digest(s.Body) != e.Common.Answer || s.Receipt.Hash != (Nonce{}).Digest(mustJSON(e)) || s.Refusal != e.Common.Refused {
		p.w.t.Errorf("what is sealed is not what was recorded")
	}
	return Envelope{Body: s.Body, Signature: "sealed"}, nil
}

// fakeSource answers from records by BSN, or by family name, and behaves as told.
type fakeSource struct {
	w         *world
	oin       OIN
	key       KeyKind
	behaviour string // "" answers; error, panic, hang, deaf (hangs and does not listen to the context), more (everything it has)
	records   map[string]Record
}

func (s *fakeSource) Key() KeyKind { return s.key }

func (s *fakeSource) Fetch(ctx context.Context, a Ask) (Record, error) {
	s.w.count("Fetch " + string(s.oin))
	s.w.mu.Lock()
	s.w.asks = append(s.w.asks, asked{s.oin, a})
	s.w.mu.Unlock()
	who := a.BSN.Reveal()
	if a.Identity != nil {
		who = a.Identity.FamilyName
	}
	rec, ok := s.records[who]
	switch s.behaviour {
	case "error":
		return rec, errors.New("holder failed")
	case "panic":
		panic("holder panicked")
	case "hang":
		<-ctx.Done()
		return rec, nil
	case "deaf":
		time.Sleep(20 * s.w.timeout)
		return rec, nil
	case "more":
		s.show(a, rec)
		return rec, nil
	}
	if !ok {
		return Record{}, errors.New("not found")
	}
	out := rec
	out.Values = map[Field]any{}
	for _, f := range a.Fields {
		if v, ok := rec.Values[f]; ok {
			out.Values[f] = v
		}
	}
	s.show(a, rec)
	return out, nil
}

func (s *fakeSource) show(a Ask, rec Record) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	into, bsn := s.w.shown, a.BSN
	if a.Identity != nil {
		into, bsn = s.w.later, bsnOf(a)
	}
	seen := into[bsn]
	seen.restricted, seen.deceased = seen.restricted || rec.Restricted, seen.deceased || rec.Deceased
	if s.oin == rvig && rec.Birth.Known() {
		seen.birth = rec.Birth
	}
	into[bsn] = seen
}

// bsnOf tells who was asked about: registryRecord numbers the family names.
func bsnOf(a Ask) BSN {
	if a.Identity == nil {
		return a.BSN
	}
	i := 0
	_, _ = fmt.Sscanf(a.Identity.FamilyName, "canary Naam %d", &i)
	return testBSNs[i]
}

// table makes a decider of lines, the first that fits a field counts:
//
//	grant <field> <form> <basis> [condition…]
//	refuse <field> <reason> [condition…]
//
// where field may end in * and a condition is a JSON text to be found in the query, or not to be found after "!".
func table(lines string) func(Revision, Query) Decision {
	return func(_ Revision, q Query) Decision {
		d := Decision{Grants: map[Field]Grant{}, Refusals: map[Field][]Reason{}}
		text := string(q.Bytes())
		for _, f := range q.Fields {
			d.Refusals[f] = []Reason{"purpose-not-allowed"}
			if q.Relation.None() && !q.Emergency.Active {
				continue
			}
			for line := range strings.Lines(lines) {
				w := strings.Fields(line)
				if len(w) < 3 || strings.HasPrefix(w[0], "#") || !fits(w[1], f) {
					continue
				}
				rest := w[3:]
				if w[0] == "grant" {
					rest = w[4:]
				}
				if slices.ContainsFunc(rest, func(c string) bool {
					bare, not := strings.CutPrefix(c, "!")
					return strings.Contains(text, bare) == not
				}) {
					continue
				}
				if w[0] == "grant" {
					delete(d.Refusals, f)
					d.Grants[f] = Grant{Form(w[2]), Basis(w[3])}
					d.Obligations = append(d.Obligations, "inform-household")
				} else {
					d.Refusals[f] = []Reason{Reason(w[2])}
				}
				break
			}
		}
		return d.Canonical()
	}
}

func fits(pattern string, f Field) bool {
	p, star := strings.CutSuffix(pattern, "*")
	return pattern == string(f) || star && strings.HasPrefix(string(f), p)
}

// person makes a record of the civil registry.
func registryRecord(i int) Record {
	tag := func(what string) string { return fmt.Sprintf("canary %s %d", what, i) }
	return Record{Values: map[Field]any{
		"persoon.burgerservicenummer": testBSNs[i].Reveal(), "persoon.naam.voornamen": tag("Voornaam"), "persoon.naam.voorvoegsel": "van",
		"persoon.naam.geslachtsnaam": tag("Naam"), "persoon.geboorte.datum": map[string]any{"type": "Datum", "datum": fmt.Sprintf("198%d-02-03", i)},
		"persoon.leeftijd": json.Number("40"), "persoon.adressering.adresregel1": tag("Straat"), "persoon.adressering.adresregel2": tag("Plaats"),
		"persoon.verblijfplaats.verblijfadres.postcode": "1234 AB",
	}, Companions: map[Field]any{"persoon.geheimhoudingPersoonsgegevens": true}}
}

var _ testingT = (*testing.T)(nil)
