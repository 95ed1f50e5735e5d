package broker

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Identifiers. Each has its own type, so that one can't be passed for another. None of them but BSN is a value about a
// data subject; WorkerID names a member of staff and is never written in clear.
type (
	// OIN is the organisatie-identificatienummer of an agency: 20 digits (Digikoppeling).
	OIN string
	// WorkerID is how an agency names its own member of staff; opaque to Schakel.
	WorkerID string
	// CaseID names a case (a dossier around one household) in the register.
	CaseID string
	// RequestID names one request and its answer: a UUIDv7.
	RequestID string
	// Revision is a policy revision: 64 lower-case hex digits (see policies.Revision).
	Revision string
	// Touch is an opaque key of something a register entry changed and facts rested on: a case, worker, team or
	// agency. TouchAll stands for the policy, which everything rests on.
	Touch string
	// Position counts register entries, the genesis included: facts at position n are true after n entries, and the
	// first entry after it has seq n.
	Position uint64
)

// TouchAll is touched by entries that concern every request, such as the activation of a policy revision.
const TouchAll Touch = "*"

// Words of the policy, from closed lists in the policy data (policies/). Their values are Dutch, as in the law.
type (
	AgencyKind string // gemeente, woningcorporatie, …
	Mandate    string // wgs, wmo, jeugdwet, participatiewet, leerplicht
	Role       string // wijkteammedewerker, casusregisseur, …
	Purpose    string // ontruiming-voorkomen, …
	Domain     string // persoon, huur, ggz, …: the first segment of a field path
	Field      string // huur.achterstand.bedrag: a path in the catalog
	Form       string // how a value is given, see the Form constants
	Basis      string // legal basis of a grant
	Reason     string // why a field was withheld
	Obligation string // what the asker must do after the answer
	Class      string // how sensitive a field is, see the Class constants
)

// The forms a value can be given in (closed list).
const (
	FormExact      Form = "exact"
	FormYesNo      Form = "yes-no"
	FormYear       Form = "year"
	FormAgeBand    Form = "age-band"
	FormAmountBand Form = "amount-band"
	FormInitials   Form = "initials"
	FormMasked     Form = "masked"
	FormPseudonym  Form = "pseudonym"
)

// The classes of fields: AVG 9 (special categories), AVG 10 (criminal data) and UAVG 46 (BSN) set three apart.
const (
	ClassOrdinary  Class = "gewoon"
	ClassSensitive Class = "gevoelig"
	ClassSpecial   Class = "bijzonder"
	ClassCriminal  Class = "strafrechtelijk"
	ClassBSN       Class = "bsn"
)

// Reasons that the flow itself gives; all others come from policy.
const (
	// ReasonChanged: a fact changed between the decision and its record, so the field was held back.
	ReasonChanged Reason = "changed"
	// ReasonNoAgreement: no holder of this field is named for this household with a valid agreement.
	ReasonNoAgreement Reason = "no-agreement"
	// ReasonForm: the holder is asked by name, birth date and address, and may not get those in full.
	ReasonForm Reason = "form-unavailable"
	// ReasonProcessingRestricted: an officer restricted the processing of this person's data (AVG 18), or of somebody's in the
	// household. It holds under every policy.
	ReasonProcessingRestricted Reason = "processing-restricted"
)

// RoleHolder is the role in which a data holder receives the name, birth date and address it is asked by.
const RoleHolder Role = "gegevenshouder"

// KindRegister is the holder of what Schakel's own register knows: the composition of a household.
const KindRegister AgencyKind = "register"

// KindRvIG is the civil registry (BRP), reached over Haal Centraal.
const KindRvIG AgencyKind = "rvig"

// ParseOIN checks that s is 20 digits.
func ParseOIN(s string) (OIN, error) {
	if len(s) != 20 || !digits(s) {
		return "", errors.New("an OIN is 20 digits")
	}
	return OIN(s), nil
}

// BSN is a burgerservicenummer: 9 digits that satisfy the 11-test. It prints as dots whatever the verb, so that it
// can't slip into a log line or an error; Reveal gives the digits. JSON encoding gives the digits too, since it is how
// a BSN is sent to a holder that may have it.
type BSN string

// ParseBSN checks length, digits and the 11-test. Its error never repeats the input.
func ParseBSN(s string) (BSN, error) {
	if len(s) != 9 || !digits(s) {
		return "", errors.New("a BSN is 9 digits")
	}
	sum := -int(s[8] - '0')
	for i := range 8 {
		sum += (9 - i) * int(s[i]-'0')
	}
	if sum%11 != 0 || s == "000000000" {
		return "", errors.New("this BSN fails the 11-test; check the digits")
	}
	return BSN(s), nil
}

// Reveal gives the digits. Call it only to send the BSN to a holder with a ground or to compute a keyed pseudonym.
func (b BSN) Reveal() string { return string(b) }

// Format implements fmt.Formatter: always dots.
func (BSN) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "•••••••••") }

// LogValue implements slog.LogValuer: a JSON log handler would encode the digits.
func (BSN) LogValue() slog.Value { return slog.StringValue("•••••••••") }

// Hash is a SHA-256 digest; its text is lower-case hex.
type Hash [32]byte

// String gives 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return errors.New("a hash is 64 hex digits")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return errors.New("a hash is 64 hex digits")
	}
	return nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
