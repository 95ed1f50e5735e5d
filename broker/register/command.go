package register

import (
	"errors"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
)

// Command is one change of the register. The exported types of this package that can be given to Do are the closed list;
// their JSON is what the entry holds.
type Command interface {
	kind() string
	// check says what is wrong with the command where e.state is true, and gives the form in which it is stored.
	check(e env) (Command, error)
	// touches says which facts it changes, in the state before it.
	touches(e env) []broker.Touch
	// key names the key it is encrypted under and the kind of part; both "" for what is stored in clear.
	key(touch TouchFunc) (keyID, part string)
	// apply makes it so. It fails only where an entry could not have been written by Do.
	apply(e env, at broker.Position) error
}

// env is what a command is checked against and applied to.
type env struct {
	*state
	touch   TouchFunc
	verify  func(holder broker.Agency, a Agreement) error
	catalog *broker.Catalog
	now     time.Time
}

// TouchFunc makes the opaque key of a thing facts rest on: a keyed hash, the same in every process of a deployment.
type TouchFunc func(kind, value string) broker.Touch

func (t TouchFunc) ofCase(id broker.CaseID) broker.Touch { return t("case", string(id)) }
func (t TouchFunc) ofAgency(oin broker.OIN) broker.Touch { return t("agency", string(oin)) }
func (t TouchFunc) ofWorker(w Worker) broker.Touch {
	return t("worker", string(w.Agency)+"/"+string(w.Worker))
}
func (t TouchFunc) ofTeam(m Team) broker.Touch            { return t("team", string(m.Agency)+"/"+m.Team) }
func (t TouchFunc) ofSubject(bsn broker.BSN) broker.Touch { return t("subject", bsn.Reveal()) }

// decodeCommand reads the body or the opened part of an entry.
func decodeCommand(kind string, data []byte) (Command, error) {
	switch kind {
	case "agency.added":
		return decodeAs[AddAgency](data)
	case "agency.suspended":
		return decodeAs[SuspendAgency](data)
	case "agency.resumed":
		return decodeAs[ResumeAgency](data)
	case "key.added":
		return decodeAs[AddKey](data)
	case "key.suspended":
		return decodeAs[SuspendKey](data)
	case "team.set":
		return decodeAs[SetTeam](data)
	case "case.opened":
		return decodeAs[OpenCase](data)
	case "case.assigned":
		return decodeAs[Assign](data)
	case "case.unassigned":
		return decodeAs[Unassign](data)
	case "case.closed":
		return decodeAs[CloseCase](data)
	case "agreement.added":
		return decodeAs[AddAgreement](data)
	case "agreement.withdrawn":
		return decodeAs[WithdrawAgreement](data)
	case "consent.given":
		return decodeAs[GiveConsent](data)
	case "consent.withdrawn":
		return decodeAs[WithdrawConsent](data)
	case "emergency.declared":
		return decodeAs[DeclareEmergency](data)
	case "emergency.ended":
		return decodeAs[EndEmergency](data)
	case "policy.activated":
		return decodeAs[ActivatePolicy](data)
	}
	return nil, fmt.Errorf("its kind %.40q is unknown: use a newer version of Schakel", kind)
}

func decodeAs[T Command](data []byte) (Command, error) {
	c, err := decode[T](data)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ActivatePolicy makes a revision the one that decides, on every gateway at once.
type ActivatePolicy struct {
	Revision broker.Revision `json:"revision"`
}

func (ActivatePolicy) kind() string                   { return "policy.activated" }
func (ActivatePolicy) key(TouchFunc) (string, string) { return "", "" }
func (ActivatePolicy) touches(env) []broker.Touch     { return []broker.Touch{broker.TouchAll} }

func (c ActivatePolicy) check(e env) (Command, error) {
	var h broker.Hash
	switch {
	case h.UnmarshalText([]byte(c.Revision)) != nil || h.String() != string(c.Revision):
		return nil, errors.New("activate policy: a revision is 64 lower-case hex digits; `schakel policy check` prints it")
	case c.Revision == e.revision:
		return nil, errors.New("activate policy: this revision is the active one already")
	}
	return c, nil
}

func (c ActivatePolicy) apply(e env, _ broker.Position) error {
	e.revision = c.Revision
	return nil
}
