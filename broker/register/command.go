package register

import (
	"encoding/json"
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
	signed  func(kind string, keys []json.RawMessage, payload []byte, signature string) error
	catalog *broker.Catalog
	view    *state // the view itself, also where state lies over it
	now     time.Time
	when    time.Time // of the entry
}

// TouchFunc makes the opaque key of a thing facts rest on: a keyed hash, the same in every process of a deployment.
type TouchFunc func(kind, value string) broker.Touch

func (t TouchFunc) ofCase(id broker.CaseID) broker.Touch { return t("case", string(id)) }
func (t TouchFunc) ofAgency(oin broker.OIN) broker.Touch { return t("agency", string(oin)) }
func (t TouchFunc) ofWorker(w Worker) broker.Touch {
	return t("worker", string(w.Agency)+"/"+string(w.Worker))
}
func (t TouchFunc) ofTeam(m Team) broker.Touch            { return t("team", string(m.Agency)+"/"+m.Team) }
func (t TouchFunc) ofOfficer(id OfficerID) broker.Touch   { return t("officer", string(id)) }
func (t TouchFunc) ofSubject(bsn broker.BSN) broker.Touch { return t("subject", bsn.Reveal()) }

// form is how entries of a kind are stored: in which kind of part, "" for in clear, and how that is read.
type form struct {
	part string
	read func([]byte) (Command, error)
}

// formFor finds the form of a kind.
func formFor(kind string) (form, error) {
	switch kind {
	case "agency.added":
		return formOf[AddAgency](), nil
	case "agency.suspended":
		return formOf[SuspendAgency](), nil
	case "agency.resumed":
		return formOf[ResumeAgency](), nil
	case "key.added":
		return formOf[AddKey](), nil
	case "key.suspended":
		return formOf[SuspendKey](), nil
	case "team.set":
		return formOf[SetTeam](), nil
	case "case.opened":
		return formOf[OpenCase](), nil
	case "case.assigned":
		return formOf[Assign](), nil
	case "case.unassigned":
		return formOf[Unassign](), nil
	case "case.closed":
		return formOf[CloseCase](), nil
	case "agreement.added":
		return formOf[AddAgreement](), nil
	case "agreement.withdrawn":
		return formOf[WithdrawAgreement](), nil
	case "consent.given":
		return formOf[GiveConsent](), nil
	case "consent.withdrawn":
		return formOf[WithdrawConsent](), nil
	case "emergency.declared":
		return formOf[DeclareEmergency](), nil
	case "emergency.ended":
		return formOf[EndEmergency](), nil
	case "officer.added":
		return formOf[AddOfficer](), nil
	case "officer.named":
		return formOf[NameOfficer](), nil
	case "officer.suspended":
		return formOf[SuspendOfficer](), nil
	case "request.made":
		return formOf[MakeRequest](), nil
	case "request.extended":
		return formOf[ExtendRequest](), nil
	case "request.answered":
		return formOf[AnswerRequest](), nil
	case "processing.restricted":
		return formOf[RestrictProcessing](), nil
	case "processing.lifted":
		return formOf[LiftRestriction](), nil
	case "representation.added":
		return formOf[AddRepresentation](), nil
	case "representation.ended":
		return formOf[EndRepresentation](), nil
	case "policy.drafted":
		return formOf[DraftPolicy](), nil
	case "policy.checked":
		return formOf[CheckPolicy](), nil
	case "policy.approved":
		return formOf[ApprovePolicy](), nil
	case "policy.agreed":
		return formOf[AgreePolicy](), nil
	case "policy.activated":
		return formOf[ActivatePolicy](), nil
	case "policy.stopped":
		return formOf[StopPolicy](), nil
	case "log.restored":
		return formOf[RestoreLog](), nil
	case "erasure.begun":
		return formOf[BeginErasure](), nil
	case "erasure.ended":
		return formOf[EndErasure](), nil
	}
	return form{}, fmt.Errorf("its kind %.40q is unknown: use a newer version of Schakel", kind)
}

func formOf[T Command]() form {
	var zero T
	_, part := zero.key(func(string, string) broker.Touch { return "" })
	return form{part: part, read: func(data []byte) (Command, error) {
		c, err := decode[T](data)
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
}
