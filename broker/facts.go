package broker

import (
	"encoding/json"
	"slices"
)

// Facts is what the register knows that may matter to one request, true at Position. An empty Household means that
// nothing binds the asker to any household: it does not exist, or the asker may not know that it does.
type Facts struct {
	Position  Position
	Touches   []Touch // a later register entry with one of these makes the facts stale
	Revision  Revision
	Agency    Agency
	Relation  Relation
	Case      CaseID
	Household []Person // the reference person first
	Holders   []Holder // only those the case names
	Emergency QueryEmergency
}

// Person is one member of the household, as the register knows them.
type Person struct {
	BSN        BSN
	Birth      Date
	Restricted bool // verstrekkingsbeperking as last known; a source answer may make it stricter
	Deceased   bool
	Consent    []Domain // for this agency and purpose
	Release    []Domain

	ProcessingRestricted bool // nothing of them is given (AVG 18); decided by an officer, on their request
}

// Agency is a party to Schakel: it asks, holds data, or both.
type Agency struct {
	OIN           OIN             `json:"oin"`
	Name          string          `json:"name"`
	Kind          AgencyKind      `json:"kind"`
	Mandates      []Mandate       `json:"mandates,omitempty"`
	Municipality  string          `json:"municipality,omitempty"` // CBS code it works for, four digits
	Roles         []Role          `json:"roles,omitempty"`        // that it may assert for its workers
	Keys          []AgencyKey     `json:"keys,omitempty"`         // that sign its tokens
	EncryptionKey json.RawMessage `json:"encryptionKey,omitempty"`
	Binding       Binding         `json:"binding,omitempty"` // what its tokens must be bound to
	Suspended     bool            `json:"suspended,omitempty"`
}

// Binding is what the tokens of an agency must be bound to, so that a stolen one is worth nothing.
type Binding string

// Closed list of Binding.
const (
	BindingNone        Binding = ""     // a token is good for whoever has it, unless it says otherwise itself
	BindingCertificate Binding = "mtls" // to the client certificate of the connection (RFC 8705)
	BindingDPoP        Binding = "dpop" // to a key, of which every request proves possession (RFC 9449)
)

// Valid tells whether b is in the list.
func (b Binding) Valid() bool {
	return b == BindingNone || b == BindingCertificate || b == BindingDPoP
}

// AgencyKey is a public key of an agency.
type AgencyKey struct {
	ID        string          `json:"kid"`
	JWK       json.RawMessage `json:"jwk"` // public part only (RFC 7517)
	Suspended bool            `json:"suspended,omitempty"`
}

// Holder is an agency that a case names as holding data about this household.
type Holder struct {
	OIN      OIN
	Kind     AgencyKind
	Mandates []Mandate
	Domains  []Domain // of its valid agreements with the asker, for this purpose
	Persons  []int    // indexes in Facts.Household it holds data about; empty: all, and the household as a whole
}

// holds tells whether h is named for person i (-1: the household as a whole).
func (h Holder) holds(i int) bool {
	return len(h.Persons) == 0 || i < 0 || slices.Contains(h.Persons, i)
}

// askedBy gives the person whose BSN or identity h is asked by: the person it is about, or for the household as a whole
// the first that h is named for. Another member is not known to h, and must not become so by our question.
func (h Holder) askedBy(i int) int {
	switch {
	case i >= 0:
		return i
	case len(h.Persons) == 0:
		return 0
	}
	return slices.Min(h.Persons)
}
