package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/broker/seal"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/test/agencies"
)

// demoInfo is demo.json: what a script needs to try things.
type demoInfo struct {
	Server      string       `json:"server"`
	Checkpoints string       `json:"checkpoints,omitempty"` // where the Merkle log is served
	Residents   string       `json:"residents,omitempty"`   // the site where residents see who asked for their data
	Agencies    []demoAgency `json:"agencies"`
	Workers     []demoWorker `json:"workers"`
	Cases       []demoCase   `json:"cases"`
}

type demoAgency struct {
	OIN      broker.OIN        `json:"oin"`
	Name     string            `json:"name"`
	Kind     broker.AgencyKind `json:"kind"`
	Mandates []broker.Mandate  `json:"mandates"`
}

type demoWorker struct {
	Agency broker.OIN      `json:"agency"`
	ID     broker.WorkerID `json:"id"`
	Role   broker.Role     `json:"role"`
}

type demoCase struct {
	ID       broker.CaseID     `json:"id"`
	BSNs     []broker.BSN      `json:"bsns"`
	Workers  []broker.WorkerID `json:"workers"`
	Purposes []broker.Purpose  `json:"purposes"`
}

func readDemo(data string) (demoInfo, error) {
	var d demoInfo
	if data == "" {
		return d, errors.New("no data folder")
	}
	raw, err := os.ReadFile(filepath.Join(data, demoFile))
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	return d, err
}

// post is a kind of worker of the demo: where, in which role, for which purposes.
type post struct {
	kind     broker.AgencyKind
	role     broker.Role
	name     string
	count    int
	purposes []broker.Purpose
}

// posts lists them. The first two carry every case; the others are on it too, but the social detective: being on the
// case is not a ground.
func posts() []post {
	return []post{
		{"gemeente", "wijkteammedewerker", "wijkteam", 3, []broker.Purpose{"ontruiming-voorkomen", "afsluiting-voorkomen"}},
		{"gemeente", "casusregisseur", "regisseur", 1, []broker.Purpose{"ontruiming-voorkomen", "gecoordineerde-aanpak"}},
		{"gemeente", "schuldhulpverlener", "schuldhulp", 1, []broker.Purpose{"schuldhulp-toegang", "schuldhulp-uitvoering"}},
		{"gemeente", "inkomensconsulent", "inkomen", 1, []broker.Purpose{"bijstand-beoordelen"}},
		{"gemeente", "medewerker-minimaregelingen", "minima", 1, []broker.Purpose{"kindregeling"}},
		{"gemeente", "wmo-consulent", "wmo", 1, []broker.Purpose{"wmo-onderzoek"}},
		{"gemeente", "jeugdconsulent", "jeugd", 1, []broker.Purpose{"jeugdhulp-toegang"}},
		{"gemeente", "leerplichtambtenaar", "leerplicht", 1, []broker.Purpose{"schoolverzuim-aanpak"}},
		{"gemeente", "sociaal-rechercheur", "recherche", 1, []broker.Purpose{"handhaving"}},
		{"gecertificeerde-instelling", "jeugdbeschermer", "jeugdbescherming", 1, []broker.Purpose{"ondertoezichtstelling"}},
		{"ggz-aanbieder", "ggz-behandelaar", "behandelaar", 1, []broker.Purpose{"behandeling-afstemmen"}},
		{"gemeente", "medewerker-vroegsignalering", "vroegsignalering", 1, []broker.Purpose{"vroegsignalering"}},
		{"woningcorporatie", "medewerker-sociale-incasso", "incasso", 1, []broker.Purpose{"ontruiming-voorkomen"}},
		{"belastingdienst", "medewerker-invordering", "invordering", 1, []broker.Purpose{"invordering-opschorten"}},
	}
}

// seeder fills an empty register with the stand-in agencies, their agreements, and a case for each household.
type seeder struct {
	town     []agencies.Agency
	people   agencies.Population
	keyDir   string // where each agency's private key goes, as an agency would keep its own
	signers  map[broker.OIN]keys.Signer
	today    broker.Date
	info     demoInfo
	commands []register.Command
}

func newSeeder(town []agencies.Agency, people agencies.Population, keyDir string, now time.Time) *seeder {
	local := now.In(broker.Amsterdam())
	return &seeder{town: town, people: people, keyDir: keyDir, signers: map[broker.OIN]keys.Signer{},
		today: broker.Date{Year: local.Year(), Month: int(local.Month()), Day: local.Day()}}
}

// seed makes every register entry of the example.
func (s *seeder) seed(ctx context.Context, d *desk, a register.Appender) error {
	if err := s.agencies(); err != nil {
		return err
	}
	if err := s.agreements(); err != nil {
		return err
	}
	if err := s.officers(d); err != nil {
		return err
	}
	s.households()
	return d.register.DoAll(ctx, a, register.Operator{Name: "demo"}, s.commands)
}

// officers are two privacy officers and two jurists, so that one can approve what the other wrote, and who watches them.
// Each would keep their own private key; here they lie beside those of the agencies.
func (s *seeder) officers(d *desk) error {
	data := filepath.Dir(s.keyDir)
	if err := os.MkdirAll(filepath.Join(data, officersFolder), 0o700); err != nil {
		return fmt.Errorf("make folder of officers' keys: %w", err)
	}
	for _, o := range []struct {
		id   register.OfficerID
		role register.OfficerRole
	}{{"privacy-1", register.RolePrivacyOfficer}, {"privacy-2", register.RolePrivacyOfficer}, {"jurist-1", register.RoleJurist},
		{"jurist-2", register.RoleJurist}, {"fg-1", register.RoleFG}, {"auditor-1", register.RoleAuditor}} {
		public, private, err := keys.NewAgencyKey(keys.ES256)
		if err == nil {
			err = os.WriteFile(officerFile(data, string(o.id)), private, 0o600)
		}
		if err != nil {
			return fmt.Errorf("make key of officer: %w", err)
		}
		s.commands = append(s.commands, d.register.NewOfficer(o.id, o.role, public)...)
	}
	return nil
}

func (s *seeder) agency(kind broker.AgencyKind) agencies.Agency {
	i := slices.IndexFunc(s.town, func(a agencies.Agency) bool { return a.Kind == kind })
	return s.town[i]
}

func (s *seeder) agencies() error {
	if err := os.MkdirAll(s.keyDir, 0o700); err != nil {
		return fmt.Errorf("make folder of agency keys: %w", err)
	}
	for _, a := range s.town {
		public, private, err := keys.NewAgencyKey(keys.ES256)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.keyDir, string(a.OIN)+".jwk"), private, 0o600); err != nil {
			return fmt.Errorf("keep agency key: %w", err)
		}
		signer, err := keys.ParseSigner(private)
		if err != nil {
			return err
		}
		s.signers[a.OIN] = signer
		s.commands = append(s.commands, register.AddAgency{Agency: broker.Agency{
			OIN: a.OIN, Name: a.Name, Kind: a.Kind, Mandates: a.Mandates, Municipality: a.Municipality, Roles: a.Roles,
			Keys: []broker.AgencyKey{{ID: signer.ID(), JWK: public}},
		}})
	}
	return nil
}

// agreements: every holder agrees with the agencies that have workers, each for the purposes of those workers. Two do
// not: the water company and the judicial institutions, so that the demo shows what happens then.
func (s *seeder) agreements() error {
	purposes := map[broker.AgencyKind][]broker.Purpose{}
	for _, p := range posts() {
		for _, purpose := range p.purposes {
			if !slices.Contains(purposes[p.kind], purpose) {
				purposes[p.kind] = append(purposes[p.kind], purpose)
			}
		}
	}
	for _, holder := range s.town {
		if holder.Protocol == "" || holder.Kind == "drinkwaterbedrijf" || holder.Kind == "dji" {
			continue
		}
		for _, recipient := range s.town {
			if len(purposes[recipient.Kind]) == 0 {
				continue
			}
			a := register.Agreement{ID: fmt.Sprintf("%s-%s", holder.Kind, recipient.Kind), Holder: holder.OIN,
				Recipient: recipient.OIN, Purposes: purposes[recipient.Kind], Domains: holder.Domains,
				From: broker.Date{Year: 2026, Month: 1, Day: 1}}
			signature, err := seal.SignAgreement(s.signers[holder.OIN], a.Payload())
			if err != nil {
				return err
			}
			a.Signature = signature
			s.commands = append(s.commands, register.AddAgreement{Agreement: a})
		}
	}
	return nil
}

// households opens a case for each household of more than one person; for every third one an early signal and claims
// too, and in every second one consent and release were given. The official test set has persons of 42 municipalities;
// the demo's one takes them all on.
func (s *seeder) households() {
	municipal := s.agency("gemeente")
	for i, h := range s.people.Households() {
		c := register.Case{ID: broker.CaseID(fmt.Sprintf("zaak-%03d", i+1)), Kind: register.KindCase, Agency: municipal.OIN,
			Municipality: municipal.Municipality, Holders: s.holders(h)}
		var bsns []broker.BSN
		for _, p := range h.Persons {
			c.Persons = append(c.Persons, register.Person{BSN: p.BSN, Birth: p.Birth})
			bsns = append(bsns, p.BSN)
		}
		for _, p := range posts() {
			if p.role == "medewerker-vroegsignalering" || p.role == "medewerker-sociale-incasso" || p.role == "medewerker-invordering" {
				continue
			}
			w := register.Worker{Agency: s.agency(p.kind).OIN, Worker: p.worker(i)}
			if p.role == "casusregisseur" {
				c.Coordinator = w
				continue
			}
			c.Workers = append(c.Workers, w)
		}
		s.open(c, bsns)
		if i%3 == 0 {
			s.special(c, bsns, register.KindSignal, "signaal", "medewerker-vroegsignalering", i)
			rent := s.special(c, bsns, register.KindClaim, "vordering-huur", "medewerker-sociale-incasso", i)
			tax := s.special(c, bsns, register.KindClaim, "vordering-belasting", "medewerker-invordering", i)
			if i%2 == 1 {
				s.give(rent, h, register.KindConsent, "schulden", "woningcorporatie", "ontruiming-voorkomen")
				s.give(tax, h, register.KindConsent, "schulden", "belastingdienst", "invordering-opschorten")
			}
		}
		if i%2 == 1 {
			s.consent(c, h)
		}
	}
	for _, p := range posts() {
		for n := range p.count {
			s.info.Workers = append(s.info.Workers, demoWorker{s.agency(p.kind).OIN, p.worker(n), p.role})
		}
	}
	for _, a := range s.town {
		s.info.Agencies = append(s.info.Agencies, demoAgency{a.OIN, a.Name, a.Kind, append([]broker.Mandate{}, a.Mandates...)})
	}
}

func (p post) worker(i int) broker.WorkerID {
	return broker.WorkerID(fmt.Sprintf("%s-%d", p.name, i%p.count+1))
}

// special opens a signal or claim beside a case of the same household.
func (s *seeder) special(c register.Case, bsns []broker.BSN, kind register.CaseKind, name string, role broker.Role, i int) register.Case {
	all := posts()
	p := all[slices.IndexFunc(all, func(p post) bool { return p.role == role })]
	c.ID, c.Kind, c.Agency = broker.CaseID(fmt.Sprintf("%s-%03d", name, i+1)), kind, s.agency(p.kind).OIN
	c.Workers, c.Coordinator = []register.Worker{{Agency: c.Agency, Worker: p.worker(i)}}, register.Worker{}
	s.open(c, bsns)
	return c
}

func (s *seeder) open(c register.Case, bsns []broker.BSN) {
	s.commands = append(s.commands, register.OpenCase{Case: c})
	d := demoCase{ID: c.ID, BSNs: bsns}
	on := append([]register.Worker{}, c.Workers...)
	if c.Coordinator != (register.Worker{}) {
		on = append(on, c.Coordinator)
	}
	for _, w := range on {
		d.Workers = append(d.Workers, w.Worker)
		for _, p := range posts() {
			if s.agency(p.kind).OIN == w.Agency && slices.Contains(p.names(), w.Worker) {
				d.Purposes = append(d.Purposes, p.purposes...)
			}
		}
	}
	slices.Sort(d.Purposes)
	d.Purposes = slices.Compact(d.Purposes)
	s.info.Cases = append(s.info.Cases, d)
}

func (p post) names() []broker.WorkerID {
	var out []broker.WorkerID
	for n := range p.count {
		out = append(out, p.worker(n))
	}
	return out
}

// holders names who holds data about this household: youth care and school for the minors, mental health for the
// reference person, the others for all.
func (s *seeder) holders(h agencies.Household) []register.Holder {
	var minors []broker.BSN
	for _, p := range h.Persons {
		if band := p.Birth.AgeBand(time.Now()); band != broker.Age18Plus && band != broker.AgeUnknown {
			minors = append(minors, p.BSN)
		}
	}
	var out []register.Holder
	for _, a := range s.town {
		holder := register.Holder{OIN: a.OIN}
		switch a.Kind {
		case "jeugdhulpaanbieder", "onderwijsinstelling":
			if len(minors) == 0 {
				continue
			}
			holder.Persons = minors
		case "ggz-aanbieder":
			holder.Persons = []broker.BSN{h.Persons[0].BSN}
		}
		if a.Protocol != "" {
			out = append(out, holder)
		}
	}
	return out
}

// consent: the reference person lets the municipality hear from mental health and social care, and the clinic know how
// to reach the household.
func (s *seeder) consent(c register.Case, h agencies.Household) {
	s.give(c, h, register.KindRelease, "ggz", "gemeente", "ontruiming-voorkomen", "wmo-onderzoek", "jeugdhulp-toegang")
	s.give(c, h, register.KindRelease, "wmo", "gemeente", "ontruiming-voorkomen", "schuldhulp-uitvoering")
	s.give(c, h, register.KindConsent, "contact", "ggz-aanbieder", "behandeling-afstemmen")
}

// give records a consent of the reference person, if that is an adult.
func (s *seeder) give(c register.Case, h agencies.Household, kind register.ConsentKind, domain broker.Domain, recipient broker.AgencyKind, purposes ...broker.Purpose) {
	if h.Persons[0].Birth.AgeBand(time.Now()) != broker.Age18Plus {
		return
	}
	s.commands = append(s.commands, register.GiveConsent{Consent: register.Consent{Case: c.ID, Person: h.Persons[0].BSN,
		Kind: kind, Domain: domain, Recipient: s.agency(recipient).OIN, Purposes: purposes, From: s.today, GivenBy: register.BySelf}})
}
