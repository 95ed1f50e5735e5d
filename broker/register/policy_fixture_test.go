package register

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/schakel/schakel/broker"
)

// The officers of these tests, and the revisions after the first.
const (
	petra  OfficerID = "petra.vermeer"
	pieter OfficerID = "pieter.maes"
	jorien OfficerID = "jorien.blok" // jurists
	jelle  OfficerID = "jelle.stam"
	fatima OfficerID = "fatima.haddad" // the functionaris-gegevensbescherming

	second = broker.Revision("2222222222222222222222222222222222222222222222222222222222222222")
	third  = broker.Revision("3333333333333333333333333333333333333333333333333333333333333333")
)

func ref(id OfficerID) OfficerRef { return OfficerRef(testTouch("officer", string(id))) }

func keyOf(id OfficerID) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%x"}`, sha256.Sum256([]byte(id))))
}

// verifyStep takes a digest of the kind, key and payload for a signature.
func verifyStep(kind string, keys []json.RawMessage, payload []byte, signature string) error {
	for _, k := range keys {
		if signature == signedWith(kind, k, payload) {
			return nil
		}
	}
	return errors.New("no key fits")
}

func signedWith(kind string, key json.RawMessage, payload []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(kind+string(key)+string(payload))))
}

func officer(id OfficerID, role OfficerRole) []Command {
	return []Command{AddOfficer{ref(id), role, keyOf(id)}, NameOfficer{ref(id), id}}
}

// officers are two of each who may act, and one who may not.
func officers() []Command {
	var out []Command
	for id, role := range map[OfficerID]OfficerRole{petra: RolePrivacyOfficer, pieter: RolePrivacyOfficer, jorien: RoleJurist,
		jelle: RoleJurist, fatima: RoleFG} {
		out = append(out, officer(id, role)...)
	}
	return out
}

var reports = Reports{Tests: sha256.Sum256([]byte("tests")), Difference: sha256.Sum256([]byte("difference")), Impact: sha256.Sum256([]byte("impact"))}

func drafted(n int, base, to broker.Revision, author OfficerID, change func(*DraftPolicy)) DraftPolicy {
	d := DraftPolicy{Draft: n, Revision: to, Base: base, Title: "kinderen in leeftijdsgroepen", Rules: true, Author: ref(author)}
	if change != nil {
		change(&d)
	}
	d.Signature = signedWith(d.kind(), keyOf(author), d.Payload())
	return d
}

func checked(n int, base, to broker.Revision, widens ...Widening) CheckPolicy {
	return CheckPolicy{Draft: n, Revision: to, Base: base, Reports: reports, Widens: widens}
}

func approve(n int, base, to broker.Revision, by OfficerID) ApprovePolicy {
	a := ApprovePolicy{Draft: n, Revision: to, Base: base, Reports: reports, Approver: ref(by)}
	a.Signature = signedWith(a.kind(), keyOf(by), a.Payload())
	return a
}

func holderAgrees(n int, base, to broker.Revision, holder broker.OIN, key json.RawMessage) AgreePolicy {
	a := AgreePolicy{Draft: n, Revision: to, Base: base, Reports: reports, Holder: holder}
	a.Signature = signedWith(a.kind(), key, a.Payload())
	return a
}

func activate(n int, base, to broker.Revision) ActivatePolicy {
	return ActivatePolicy{Draft: n, Revision: to, Base: base}
}

func stop(base, to broker.Revision) StopPolicy {
	s := StopPolicy{Revision: to, Base: base, Reason: "er ging iets mis", Officer: ref(petra)}
	s.Signature = signedWith(s.kind(), keyOf(petra), s.Payload())
	return s
}

// approved are the officers and a draft that can be activated.
func approved(n int, base, to broker.Revision) []Command {
	return append(officers(), drafted(n, base, to, petra, nil), checked(n, base, to), approve(n, base, to, pieter))
}

var verhuurKey = json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"CC"}`)

// widened is what a housing corporation would give more of.
var widened = Widening{Field: "huur.achterstand.bedrag", Domain: "huur", Kinds: []broker.AgencyKind{"woningcorporatie"}}

// policySteps is one of every kind, where verhuurT has an agreement about huur.
func policySteps() []Command {
	return append(officers(), AddKey{verhuurT, broker.AgencyKey{ID: "v1", JWK: verhuurKey}},
		drafted(1, revision, second, petra, nil), checked(1, revision, second, widened), approve(1, revision, second, pieter),
		holderAgrees(1, revision, second, verhuurT, verhuurKey), activate(1, revision, second), stop(second, third),
		SuspendOfficer{ref(jelle)})
}
