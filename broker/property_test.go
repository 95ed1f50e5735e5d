package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyTable draws a policy: a pure function of revision, query and field, without sense.
func anyTable(t *rapid.T, generous int) func(Revision, Query) Decision {
	seed := rapid.Uint64().Draw(t, "policy")
	return func(rev Revision, q Query) Decision {
		d := Decision{Grants: map[Field]Grant{}, Refusals: map[Field][]Reason{}}
		fields := q.Fields
		q.Fields = nil
		base := fmt.Sprint(seed, rev) + string(q.Bytes())
		for _, f := range fields {
			h := fnv.New64a()
			_, _ = h.Write([]byte(base + string(f)))
			n := h.Sum64()
			n ^= n >> 29
			info, _ := testCatalog().Field(f)
			switch {
			case q.Relation.None() && !q.Emergency.Active, int(n%100) >= generous:
				d.Refusals[f] = []Reason{[]Reason{"release-missing", "consent-missing"}[n>>8%2]}
			case q.Role == RoleHolder && n>>8%20 > 0:
				d.Grants[f] = Grant{FormExact, "wgs-8"}
			default:
				d.Grants[f] = Grant{info.Forms[n>>16%uint64(len(info.Forms))], Basis("basis-" + strconv.Itoa(int(n>>24%2)))}
				if n>>32%4 == 0 {
					d.Obligations = append(d.Obligations, "inform-household")
				}
			}
		}
		return d.Canonical()
	}
}

var testDomains = []Domain{"contact", "ggz", "huur", "persoon", "schulden"}

// fewOf draws a subset.
func fewOf[T any](t *rapid.T, name string, from []T) []T {
	var out []T
	for _, v := range from {
		if rapid.Bool().Draw(t, name) {
			out = append(out, v)
		}
	}
	return out
}

func anyFacts(t *rapid.T) Facts {
	f := Facts{Position: 7, Touches: []Touch{"t"}, Revision: rev1, Agency: Agency{OIN: wijk, Kind: "gemeente", Mandates: []Mandate{"wgs"}},
		Relation: Relation{Case: CaseAssigned, Municipality: MunicipalitySame}, Case: "case-canary"}
	for i := range rapid.IntRange(1, 4).Draw(t, "persons") {
		f.Household = append(f.Household, anyPerson(t, i))
	}
	for _, h := range []Holder{{OIN: rvig, Kind: "rvig"}, {OIN: corpo, Kind: "woningcorporatie"}, {OIN: corpo2, Kind: "woningcorporatie"},
		{OIN: gem, Kind: "gemeente"}, {OIN: ggz, Kind: "ggz-aanbieder"}, {OIN: krediet, Kind: "kredietbank"}} {
		if rapid.IntRange(0, 5).Draw(t, "named") == 0 {
			continue
		}
		h.Domains = testDomains
		if rapid.IntRange(0, 3).Draw(t, "agreed") == 0 {
			h.Domains = fewOf(t, "domain", testDomains)
		}
		h.Mandates = fewOf(t, "mandate", []Mandate{"wgs"})
		if rapid.IntRange(0, 3).Draw(t, "some") == 0 {
			h.Persons = rapid.SliceOfNDistinct(rapid.IntRange(0, len(f.Household)-1), 1, -1, rapid.ID[int]).Draw(t, "holder persons")
		}
		f.Holders = append(f.Holders, h)
	}
	if rapid.IntRange(0, 9).Draw(t, "emergency") == 0 {
		f.Emergency = QueryEmergency{Active: true, Domains: fewOf(t, "sharing", testDomains)}
	}
	return f
}

func anyPerson(t *rapid.T, i int) Person {
	births := []Date{{}, {1980 + i, 2, 3}, {2010, 0, 0}, {2012, 3, 15}, {2013, 0, 0}}
	return Person{BSN: testBSNs[i], Birth: rapid.SampledFrom(births).Draw(t, "birth"), Restricted: rapid.IntRange(0, 4).Draw(t, "restricted") == 0,
		Consent: fewOf(t, "consent", testDomains), Release: fewOf(t, "release", testDomains),
		ProcessingRestricted: rapid.IntRange(0, 14).Draw(t, "processing restricted") == 0}
}

// moved draws what the register may say next: consents, agreements, persons, the relation or the policy changed.
func moved(t *rapid.T, f Facts) Facts {
	f.Position++
	f.Household, f.Holders = slices.Clone(f.Household), slices.Clone(f.Holders)
	if len(f.Household) == 0 {
		return f
	}
	switch rapid.SampledFrom([]string{"same", "consent", "agreement", "leaves", "joins", "order", "relation", "policy", "restricted", "processing"}).Draw(t, "moved") {
	case "consent":
		f.Household[0].Consent = fewOf(t, "consent", testDomains)
	case "restricted":
		f.Household[0].Restricted = !f.Household[0].Restricted
	case "processing":
		f.Household[0].ProcessingRestricted = !f.Household[0].ProcessingRestricted
	case "agreement":
		for i := range f.Holders {
			f.Holders[i].Domains = fewOf(t, "domain", f.Holders[i].Domains)
		}
	case "leaves":
		n := rapid.IntRange(0, len(f.Household)-1).Draw(t, "leaver")
		f.Household = slices.Delete(f.Household, n, n+1)
		f = unnamed(f)
	case "joins":
		f.Household = append(f.Household, anyPerson(t, len(f.Household)))
	case "order":
		slices.Reverse(f.Household)
		f = unnamed(f)
	case "relation":
		f.Relation = Relation{Case: CaseNone, Municipality: MunicipalityUnknown}
	case "policy":
		f.Revision = rev2
	}
	if len(f.Household) == 0 {
		f.Relation = Relation{Case: CaseNone, Municipality: MunicipalityUnknown}
	}
	return f
}

// unnamed: indexes of persons moved, so each holder is named for all.
func unnamed(f Facts) Facts {
	for i := range f.Holders {
		f.Holders[i].Persons = nil
	}
	return f
}

// anyValue draws what no holder should send.
func anyValue(r *rand.Rand) any {
	values := []any{nil, true, "", "canary text", "06-12345678", "1985-02-30", "19850203", "canary.jan@example.nl", "1234AB",
		"\xff\xfe", json.Number("12.5"), json.Number("1e999"), json.Number("canary"), math.NaN(), math.Inf(1), 3.5, -1, struct{ Canary string }{"canary"},
		[]any{"1990-01-01", "canary"}, []any{}, map[string]any{"canary": map[string]any{"canary": "canary"}}, map[string]any{"type": "Datum", "datum": "1980-02-03"},
		map[string]any{"type": "JaarDatum", "jaar": json.Number("999990007")}, []byte("canary"), make(chan int)}
	return values[r.IntN(len(values))]
}

func (w *world) anyHolders(t *rapid.T) {
	seed := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "records"))) // drawn one by one they would take most of the time
	one := func(in int) bool { return seed.IntN(in) == 0 }
	for _, oin := range []OIN{rvig, corpo, corpo2, gem, ggz, krediet} {
		s := w.sources[oin]
		s.behaviour = rapid.SampledFrom([]string{"", "", "", "more", "more", "error", "panic", "hang", "deaf"}).Draw(t, "behaviour")
		s.records = map[string]Record{}
		for i, bsn := range testBSNs {
			rec := registryRecord(i)
			for _, f := range testCatalog().Fields {
				if _, has := rec.Values[f.Path]; !has || oin != rvig {
					rec.Values[f.Path] = fmt.Sprintf("canary %s %d %s", f.Path, i, oin)
				}
				if one(10) && !slices.Contains(identityFields, f.Path) {
					rec.Values[f.Path] = anyValue(seed)
				}
			}
			rec.Values["canary.not.asked"] = "canary"
			rec.Companions["persoon.inOnderzoek"] = map[string]any{"leeftijd": true, "canary": true, "datumIngangOnderzoekCanary": "canary"}
			rec.Companions["canary.companion"] = "canary"
			rec.Restricted = one(8)
			rec.Deceased = one(10)
			if one(10) {
				rec.Birth = Date{2015, 1, 1}
			}
			who := bsn.Reveal()
			if s.key == KeyIdentity {
				who = fmt.Sprintf("canary Naam %d", i)
			}
			s.records[who] = rec
		}
	}
}

func anyRequest(t *rapid.T) string {
	paths := []string{"persoon", "huishouden", "contact", "huur", "persoon.naam"}
	for _, f := range testCatalog().Fields {
		paths = append(paths, string(f.Path))
	}
	fields := rapid.SliceOfNDistinct(rapid.SampledFrom(paths), 1, 12, rapid.ID[string]).Draw(t, "fields")
	return fmt.Sprintf(`{"household":{"bsn":"999990007"},"purpose":"ontruiming-voorkomen","fields":["%s"],"onRefusal":"%s"}`,
		strings.Join(fields, `","`), rapid.SampledFrom([]string{"omit", "omit", "omit", "fail"}).Draw(t, "onRefusal"))
}

// TestInvariants draws a policy, a household, lying and failing holders and a register that moves, and holds one call to
// invariants 1, 3 and 5 and to what an answer and its event must say.
func TestInvariants(t *testing.T) {
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			w := newWorld(t)
			w.seed = rapid.Byte().Draw(t, "seed")
			w.decide = anyTable(t, rapid.SampledFrom([]int{50, 85, 97}).Draw(t, "generous"))
			w.catalogs[rev2].Fields = slices.DeleteFunc(w.catalogs[rev2].Fields, func(f FieldInfo) bool { return f.Path == "contact.emailadres" })
			w.facts = []Facts{anyFacts(t)}
			for range rapid.IntRange(0, 3).Draw(t, "stale") {
				w.facts = append(w.facts, moved(t, w.facts[len(w.facts)-1]))
				w.appends = append(w.appends, ErrStale)
			}
			if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
				w.appends = append(w.appends, Fail(KindUnavailable, "journal", nil))
			}
			w.anyHolders(t)
			body := anyRequest(t)
			r, err := ReadRequest([]byte(body), Caller{Agency: wijk, Role: "wijkteammedewerker"}, testCatalog(), true)
			if err != nil {
				t.Fatal(err)
			}
			env, err := w.disclose(context.Background(), body)
			w.verify(r, env, err)
			switch {
			case err != nil:
				outcomes["error"]++
			case env.Refusal:
				outcomes["refused"]++
			default:
				outcomes["answered"]++
			}
			time.Sleep(time.Minute) // whoever is late must be late in vain
		})
	})
	if t.Failed() {
		return
	}
	t.Log(outcomes)
	for _, o := range []string{"error", "refused", "answered"} {
		if outcomes[o] == 0 {
			t.Errorf("no case drawn that ends %s: the property proves less than it says", o)
		}
	}
}
