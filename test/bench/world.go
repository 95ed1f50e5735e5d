package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/test/agencies"
)

const (
	audience     = "https://schakel.example"
	municipality = "0599"
	teams        = 40 // workers of each post; the cases are spread over them
)

// post is a kind of worker who asks: where, in which role, for which purpose, and fields of which domains.
type post struct {
	kind    broker.AgencyKind
	role    broker.Role
	purpose broker.Purpose
	domains string
}

func posts() []post {
	return []post{
		{"gemeente", "wijkteammedewerker", "ontruiming-voorkomen", "persoon huishouden contact schulden huur ggz"},
		{"gemeente", "wijkteammedewerker", "afsluiting-voorkomen", "persoon huishouden contact schulden energie water"},
		{"gemeente", "schuldhulpverlener", "schuldhulp-toegang", "persoon huishouden inkomen uitkering schulden huur energie"},
		{"gemeente", "schuldhulpverlener", "schuldhulp-uitvoering", "persoon inkomen schulden huur energie zorgverzekering"},
		{"gemeente", "inkomensconsulent", "bijstand-beoordelen", "persoon huishouden inkomen uitkering schulden"},
		{"gemeente", "medewerker-minimaregelingen", "kindregeling", "huishouden inkomen persoon"},
		{"gemeente", "wmo-consulent", "wmo-onderzoek", "persoon huishouden contact wmo ggz"},
		{"gemeente", "jeugdconsulent", "jeugdhulp-toegang", "persoon contact jeugd onderwijs ggz"},
		{"gemeente", "leerplichtambtenaar", "schoolverzuim-aanpak", "persoon contact jeugd onderwijs"},
		{"gecertificeerde-instelling", "jeugdbeschermer", "ondertoezichtstelling", "persoon huishouden contact jeugd ggz onderwijs"},
	}
}

// world is the agencies, the households and the questions of one run, the same for a seed.
type world struct {
	town    []agencies.Agency
	signers map[broker.OIN]keys.Signer
	public  map[broker.OIN]json.RawMessage
	fields  map[string][]string // catalog paths by domain
}

// townOnly lists who there is. The bench has holders of its own, who know everyone.
func townOnly() ([]agencies.Agency, error) {
	town, err := agencies.Start(agencies.Config{})
	if err != nil {
		return nil, err
	}
	return town.Agencies(), town.Close()
}

func newWorld(catalog *broker.Catalog) (*world, error) {
	town, err := townOnly()
	if err != nil {
		return nil, err
	}
	w := &world{town: town, signers: map[broker.OIN]keys.Signer{}, public: map[broker.OIN]json.RawMessage{}, fields: map[string][]string{}}
	for _, a := range w.town {
		public, private, err := keys.NewAgencyKey(keys.ES256)
		if err != nil {
			return nil, err
		}
		if w.signers[a.OIN], err = keys.ParseSigner(private); err != nil {
			return nil, err
		}
		w.public[a.OIN] = public
	}
	for _, f := range catalog.Fields {
		w.fields[string(f.Domain)] = append(w.fields[string(f.Domain)], string(f.Path))
	}
	return w, nil
}

func (w *world) agency(kind broker.AgencyKind) agencies.Agency {
	return w.town[slices.IndexFunc(w.town, func(a agencies.Agency) bool { return a.Kind == kind })]
}

// parties are the commands that make agencies and their agreements known.
func (w *world) parties() ([]register.Command, error) {
	var out []register.Command
	for _, a := range w.town {
		out = append(out, register.AddAgency{Agency: broker.Agency{OIN: a.OIN, Name: a.Name, Kind: a.Kind, Mandates: a.Mandates,
			Municipality: a.Municipality, Roles: a.Roles, Keys: []broker.AgencyKey{{ID: w.signers[a.OIN].ID(), JWK: w.public[a.OIN]}}}})
	}
	purposes := map[broker.AgencyKind][]broker.Purpose{}
	for _, p := range posts() {
		if !slices.Contains(purposes[p.kind], p.purpose) {
			purposes[p.kind] = append(purposes[p.kind], p.purpose)
		}
	}
	for _, holder := range w.town {
		if holder.Protocol == "" {
			continue
		}
		for _, recipient := range w.town {
			if len(purposes[recipient.Kind]) == 0 {
				continue
			}
			a := register.Agreement{ID: fmt.Sprintf("%s-%s", holder.Kind, recipient.Kind), Holder: holder.OIN, Recipient: recipient.OIN,
				Purposes: purposes[recipient.Kind], Domains: holder.Domains, From: broker.Date{Year: 2026, Month: 1, Day: 1}}
			var err error
			if a.Signature, err = seal.SignAgreement(w.signers[holder.OIN], a.Payload()); err != nil {
				return nil, err
			}
			out = append(out, register.AddAgreement{Agreement: a})
		}
	}
	return out, nil
}

// bsn gives the number of a person: of the range for tests, made to pass the 11-test by its last digit.
func bsn(household, person int) broker.BSN {
	for n := household*5 + person; ; n += 100_000_000 / 2 {
		digits := fmt.Sprintf("%08d", n%100_000_000)
		sum := 0
		for i, d := range digits {
			sum += (9 - i) * int(d-'0')
		}
		if last := sum % 11; last < 10 && n > 0 {
			return broker.BSN(fmt.Sprintf("%s%d", digits, last))
		}
	}
}

// birth follows from the number, so that a holder that knows only that says the same as the register.
func birth(b broker.BSN) broker.Date {
	n := 0
	for _, d := range b.Reveal() {
		n = (n*31 + int(d-'0')) % 1_000_003
	}
	return broker.Date{Year: 1945 + n%78, Month: 1 + n%12, Day: 1 + n%28}
}

// members of a household: one to four persons, 2.3 on average.
func members(household int) []broker.BSN {
	var out []broker.BSN
	for p := range []int{1, 2, 3, 4, 2, 1, 3, 2, 2, 3}[household%10] {
		out = append(out, bsn(household, p))
	}
	return out
}

func caseID(household int) broker.CaseID { return broker.CaseID(fmt.Sprintf("zaak-%07d", household)) }

func worker(p post, team int) broker.WorkerID {
	return broker.WorkerID(fmt.Sprintf("%s-%02d", p.role, team))
}

// onCase are the posts that work on a household's case: four in a row of the list.
func onCase(household int) []post {
	all := posts()
	var out []post
	for i := range 4 {
		out = append(out, all[(household+i)%len(all)])
	}
	return out
}

// household gives the commands that bring one into the register. One in ten gave consent and release.
func (w *world) household(n int) []register.Command {
	municipal := w.agency("gemeente")
	c := register.Case{ID: caseID(n), Kind: register.KindCase, Agency: municipal.OIN, Municipality: municipality}
	for _, b := range members(n) {
		c.Persons = append(c.Persons, register.Person{BSN: b, Birth: birth(b)})
	}
	for _, p := range onCase(n) {
		wk := register.Worker{Agency: w.agency(p.kind).OIN, Worker: worker(p, n%teams)}
		if !slices.Contains(c.Workers, wk) {
			c.Workers = append(c.Workers, wk)
		}
	}
	for _, a := range w.town {
		if a.Protocol != "" {
			c.Holders = append(c.Holders, register.Holder{OIN: a.OIN})
		}
	}
	out := []register.Command{register.OpenCase{Case: c}}
	if n%10 == 0 {
		today := broker.Date{Year: 2026, Month: 1, Day: 1}
		for _, k := range []struct {
			kind   register.ConsentKind
			domain broker.Domain
			for_   broker.Purpose
		}{{register.KindRelease, "ggz", "ontruiming-voorkomen"}, {register.KindRelease, "wmo", "schuldhulp-uitvoering"}} {
			if birth(c.Persons[0].BSN).Year < 2005 {
				out = append(out, register.GiveConsent{Consent: register.Consent{Case: c.ID, Person: c.Persons[0].BSN, Kind: k.kind,
					Domain: k.domain, Recipient: municipal.OIN, Purposes: []broker.Purpose{k.for_}, From: today, GivenBy: register.BySelf}})
			}
		}
	}
	return out
}

// question is one request of the mix.
type question struct {
	post   post
	worker broker.WorkerID
	body   []byte
}

// mix makes distinct questions over so many households: mostly by who works on the case, three to eight fields mostly of
// the domains of the purpose; one in twenty by somebody who is not on the case.
func (w *world) mix(count, households int, seed uint64) []question {
	r := rand.New(rand.NewPCG(seed, 0xbe9c4))
	seen := map[string]bool{}
	var anything []string
	for _, d := range slices.Sorted(mapsKeys(w.fields)) {
		anything = append(anything, w.fields[d]...)
	}
	var out []question
	for len(out) < count {
		n := r.IntN(households)
		on := onCase(n)
		p := on[r.IntN(len(on))]
		team := n % teams
		if r.IntN(20) == 0 {
			team = (n + 1) % teams
		}
		fields := map[string]bool{}
		domains := strings.Fields(p.domains)
		for want := 3 + r.IntN(6); len(fields) < want; {
			from := w.fields[domains[r.IntN(len(domains))]]
			if r.IntN(10) == 0 {
				from = anything
			}
			fields[from[r.IntN(len(from))]] = true
		}
		body, _ := json.Marshal(map[string]any{"household": map[string]any{"case": caseID(n)}, "purpose": p.purpose,
			"fields": slices.Sorted(mapsKeys(fields))})
		q := question{p, worker(p, team), body}
		if key := string(p.role) + string(q.worker) + string(body); !seen[key] {
			seen[key] = true
			out = append(out, q)
		}
	}
	return out
}

// tokens signs one token for each worker that asks.
func (w *world) tokens(questions []question, now time.Time) (map[broker.WorkerID]string, error) {
	out := map[broker.WorkerID]string{}
	for _, q := range questions {
		if out[q.worker] != "" {
			continue
		}
		a := w.agency(q.post.kind)
		t, err := seal.SignToken(w.signers[a.OIN], seal.TokenClaims{Agency: a.OIN, Worker: q.worker, Role: q.post.role,
			Audience: audience, IssuedAt: now})
		if err != nil {
			return nil, err
		}
		out[q.worker] = t
	}
	return out, nil
}
