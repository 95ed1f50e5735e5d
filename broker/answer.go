package broker

import (
	"errors"
	"time"
)

// Heading is what an answer says about itself.
type Heading struct {
	ID          RequestID
	IssuedAt    time.Time
	Recipient   OIN
	Purpose     Purpose
	Revision    Revision
	Obligations []Obligation
	Language    string // nl or en, for the two sentences of a refusal
}

type policyNote struct {
	Revision Revision `json:"revision"`
}

type answer struct {
	ID          RequestID        `json:"id"`
	IssuedAt    string           `json:"issuedAt"`
	Recipient   OIN              `json:"recipient"`
	Purpose     Purpose          `json:"purpose"`
	Policy      policyNote       `json:"policy"`
	Household   map[string]any   `json:"household"`
	Persons     []map[string]any `json:"persons"`
	Granted     []Released       `json:"granted"`
	Withheld    []Withheld       `json:"withheld"`
	Unavailable []Unreached      `json:"unavailable"`
	Obligations []Obligation     `json:"obligations"`
}

// refusal is a problem document (RFC 9457) that is signed like an answer. Its status is the one HTTP status code outside
// the gateway, since the signature covers it.
type refusal struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Detail    string     `json:"detail"`
	Code      string     `json:"code"`
	ID        RequestID  `json:"id"`
	IssuedAt  string     `json:"issuedAt"`
	Recipient OIN        `json:"recipient"`
	Purpose   Purpose    `json:"purpose"`
	Policy    policyNote `json:"policy"`
	Withheld  []Withheld `json:"withheld"`
}

// CodeRefused is the code of a signed refusal.
const CodeRefused = "nothing-disclosed"

// Encode gives the exact bytes of an answer. It refuses a Release that Minimise did not fill.
func Encode(h Heading, r Release) ([]byte, error) {
	if !r.minimised {
		return nil, errors.New("encode answer: the release was not minimised")
	}
	a := answer{
		ID: h.ID, IssuedAt: stamp(h.IssuedAt), Recipient: h.Recipient, Purpose: h.Purpose,
		Policy: policyNote{h.Revision}, Household: r.household, Persons: []map[string]any{},
		Granted: list(r.granted), Withheld: list(r.withheld), Unavailable: list(r.unavailable),
		Obligations: set(h.Obligations),
	}
	for _, p := range r.persons {
		p.values["subject"] = p.subject
		a.Persons = append(a.Persons, p.values)
	}
	return mustJSON(a), nil
}

// EncodeRefusal gives the exact bytes of a refusal: reasons and no values.
func EncodeRefusal(h Heading, r Release) ([]byte, error) {
	if !r.minimised {
		return nil, errors.New("encode refusal: the release was not minimised")
	}
	f := refusal{
		Type: "about:blank", Title: "Er is niets verstrekt", Status: 403, Code: CodeRefused,
		Detail: "Geen van de gevraagde gegevens mag voor dit doel aan u worden verstrekt, of u vroeg om alles of niets. De redenen staan per gegeven in withheld; /v1/catalog legt ze uit.",
		ID:     h.ID, IssuedAt: stamp(h.IssuedAt), Recipient: h.Recipient, Purpose: h.Purpose,
		Policy: policyNote{h.Revision}, Withheld: list(r.withheld),
	}
	if h.Language == "en" {
		f.Title = "Nothing was disclosed"
		f.Detail = "None of the fields may be disclosed to you for this purpose, or you asked for all or nothing. The reasons stand with each field in withheld; /v1/catalog explains them."
	}
	return mustJSON(f), nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// list is never nil, so that it encodes as [].
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
