package agencies

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/source"
	"github.com/schakel/schakel/broker/source/rest"
)

// Protocols an agency speaks as a holder of data.
const (
	ProtocolHaalCentraal = "haalcentraal"
	ProtocolREST         = "rest"
)

// Agency describes one, with all that is needed to register it, to agree with it and to configure its source.
type Agency struct {
	OIN          broker.OIN
	Name         string
	Kind         broker.AgencyKind
	Mandates     []broker.Mandate
	Municipality string // CBS code it works for, where it works for one
	Roles        []broker.Role
	// As a holder of data. Protocol is "" where it holds none.
	Protocol string
	BaseURL  string // Endpoint.URL of its source
	Key      broker.KeyKind
	Header   map[string]string // Endpoint.Header: its API key
	Domains  []broker.Domain   // of its fields
	Fields   map[broker.Field]rest.Field

	facts []fact
}

// fact is one field that a holder keeps.
type fact struct {
	path  broker.Field
	name  string // in its own words
	kind  source.Type
	value func(d dice) any // nil: it has no value for this person
}

func (a Agency) path() string {
	if a.Protocol == ProtocolHaalCentraal {
		return strings.TrimSuffix(registryPath, "/personen")
	}
	return "/v1/gegevens"
}

func (a Agency) questionPath() string {
	if a.Protocol == ProtocolHaalCentraal {
		return registryPath
	}
	return a.path()
}

// register lists the agencies of a municipality, in a fixed order. The OINs are from the range for tests.
func register(municipality string) []Agency {
	agencies := []Agency{
		{Kind: broker.KindRvIG, Name: "Basisregistratie Personen (proef)", Protocol: ProtocolHaalCentraal, Domains: []broker.Domain{"persoon"}},
		{Kind: "gemeente", Name: "Gemeente (proef)", Municipality: municipality, facts: slices.Concat(ofGemeente(),
			known("uwv", ofUWV(), "uitkering."), known("dienst-toeslagen", ofToeslagen(), "uitkering.")),
			Mandates: []broker.Mandate{"jeugdwet", "leerplicht", "participatiewet", "wgs", "wmo"},
			Roles: []broker.Role{"wijkteammedewerker", "casusregisseur", "schuldhulpverlener", "inkomensconsulent",
				"medewerker-minimaregelingen", "medewerker-vroegsignalering", "wmo-consulent", "jeugdconsulent",
				"leerplichtambtenaar", "sociaal-rechercheur"}},
		{Kind: "uwv", Name: "UWV (proef)", facts: slices.Concat(ofUWV(), known("belastingdienst", ofBelastingdienst(), "inkomen."),
			known("gemeente", ofGemeente(), "uitkering."), known("dienst-toeslagen", ofToeslagen(), "uitkering."))},
		{Kind: "belastingdienst", Name: "Belastingdienst (proef)", Roles: []broker.Role{"medewerker-invordering"},
			facts: slices.Concat(ofBelastingdienst(), known("uwv", ofUWV(), "inkomen."))},
		{Kind: "dienst-toeslagen", Name: "Dienst Toeslagen (proef)", facts: slices.Concat(ofToeslagen(),
			known("gemeente", ofGemeente(), "uitkering."), known("uwv", ofUWV(), "uitkering."))},
		{Kind: "kredietbank", Name: "Kredietbank (proef)", Mandates: []broker.Mandate{"wgs"}, facts: ofKredietbank()},
		{Kind: "woningcorporatie", Name: "Woningcorporatie (proef)", Key: broker.KeyIdentity, facts: ofWoningcorporatie(),
			Roles: []broker.Role{"medewerker-sociale-incasso"}},
		{Kind: "energieleverancier", Name: "Energieleverancier (proef)", Key: broker.KeyIdentity, facts: ofEnergie()},
		{Kind: "drinkwaterbedrijf", Name: "Drinkwaterbedrijf (proef)", Key: broker.KeyIdentity, facts: ofWater()},
		{Kind: "zorgverzekeraar", Name: "Zorgverzekeraar (proef)", facts: ofZorgverzekeraar()},
		{Kind: "jeugdhulpaanbieder", Name: "Jeugdhulpaanbieder (proef)", facts: ofJeugdhulp()},
		{Kind: "ggz-aanbieder", Name: "Ggz-aanbieder (proef)", facts: ofGGZ(), Roles: []broker.Role{"ggz-behandelaar"}},
		{Kind: "onderwijsinstelling", Name: "School (proef)", facts: ofSchool()},
		{Kind: "dji", Name: "Dienst Justitiële Inrichtingen (proef)", facts: ofDJI()},
		{Kind: "gecertificeerde-instelling", Name: "Gecertificeerde instelling (proef)", Municipality: municipality,
			Roles: []broker.Role{"jeugdbeschermer"}},
	}
	for i := range agencies {
		a := &agencies[i]
		a.OIN = broker.OIN("000000990000000" + string('1'+rune(i/10)) + string('0'+rune(i%10)) + "000")
		if len(a.facts) > 0 {
			a.Protocol = ProtocolREST
			a.Fields = map[broker.Field]rest.Field{}
		}
		if a.Protocol == "" {
			continue
		}
		if a.Key == "" {
			a.Key = broker.KeyBSN
		}
		a.Header = map[string]string{"X-API-KEY": "proef-" + string(a.Kind)}
		for _, f := range a.facts {
			a.Fields[f.path] = rest.Field{Name: f.name, Type: f.kind}
			domain, _, _ := strings.Cut(string(f.path), ".")
			if !slices.Contains(a.Domains, broker.Domain(domain)) {
				a.Domains = append(a.Domains, broker.Domain(domain))
			}
		}
	}
	return agencies
}

// holder answers one question to an agency other than the registry: a key and the names of fields.
func (t *Town) holder(a Agency, body []byte, e *Entry) reply {
	obj, err := broker.ParseObject(body)
	if err != nil {
		return problem(http.StatusBadRequest, "paramsValidation", "Geen geldige JSON.")
	}
	e.Fields = texts(obj["fields"])
	person, known, refusal := t.whom(a, obj, e)
	if known {
		e.Subject = person.BSN
	}
	var facts []fact
	for _, name := range e.Fields {
		i := slices.IndexFunc(a.facts, func(f fact) bool { return f.name == name })
		if i < 0 {
			refusal = "Parameter bevat een niet bestaande veldnaam."
			continue
		}
		facts = append(facts, a.facts[i])
		e.Asked = append(e.Asked, string(a.facts[i].path))
	}
	if len(e.Fields) == 0 {
		refusal = "Geef in fields welke gegevens nodig zijn."
	}
	if refusal != "" {
		return problem(http.StatusBadRequest, "paramsValidation", refusal)
	}
	out := map[string]any{}
	if !known {
		return reply{http.StatusOK, "application/json", out}
	}
	if a.Key == broker.KeyBSN {
		out["bsn"] = string(person.BSN)
	} else {
		out["geslachtsnaam"], out["geboortedatum"] = obj["geslachtsnaam"], obj["geboortedatum"]
	}
	for _, f := range facts {
		d := dice{kind: a.Kind, person: person, now: t.now(), shared: a.Key == broker.KeyIdentity}
		v := f.value(d)
		if t.mark != nil {
			v = t.mark(a.Kind, f.path, f.kind, person.BSN)
		}
		if v != nil {
			plant(out, f.name, v)
		}
	}
	return reply{http.StatusOK, "application/json", out}
}

// whom finds the person a question is about. A holder without a ground for a BSN refuses the question that has one, and
// the other way round.
func (t *Town) whom(a Agency, obj map[string]any, e *Entry) (p Person, known bool, refusal string) {
	bsn, hasBSN := obj["bsn"]
	_, hasName := obj["geslachtsnaam"]
	switch {
	case hasBSN:
		e.Key = broker.KeyBSN
	case hasName:
		e.Key = broker.KeyIdentity
	}
	allowed := []string{"bsn", "fields"}
	if a.Key == broker.KeyIdentity {
		allowed = []string{"voornamen", "voorvoegsel", "geslachtsnaam", "geboortedatum", "adresregel1", "adresregel2", "fields"}
	}
	for k := range obj {
		if !slices.Contains(allowed, k) {
			return Person{}, false, "Een parameter is niet verwacht; deze houder wordt bevraagd op " + string(a.Key) + "."
		}
	}
	if a.Key == broker.KeyBSN {
		s, _ := bsn.(string)
		number, err := broker.ParseBSN(s)
		if err != nil {
			return Person{}, false, "Geef een geldig burgerservicenummer."
		}
		p, known = t.people.Person(number)
		return p, known, ""
	}
	var id broker.Identity
	data, err := json.Marshal(obj)
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err != nil || id.FamilyName == "" || id.AddressLine == "" || obj["geboortedatum"] == nil {
		return Person{}, false, "Geef geslachtsnaam, geboortedatum en adresregel1."
	}
	p, known = t.people.find(id)
	return p, known, ""
}
