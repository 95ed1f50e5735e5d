package broker

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
)

// Event is what the log says about one request. It is built by allow-list: names of fields, never values. The common
// part is stored in clear and holds no identifier; the staff part and each data subject's part are encrypted under keys
// of their own (package audit).
type Event struct {
	Position Position
	Touches  []Touch // not stored: what would make the facts stale

	Common   Common
	Staff    Staff
	Subjects []SubjectPart
}

// Common is the clear part. Replay of the decisions needs nothing else.
type Common struct {
	Queries     []json.RawMessage `json:"queries"`   // canonical bytes, equal ones once
	Decisions   []json.RawMessage `json:"decisions"` // one for each query, canonical bytes
	Policy      PolicyRef         `json:"policy"`
	Revisions   []Revision        `json:"revisions,omitempty"` // one for each decision, where not all are Policy's
	Subjects    []SubjectQueries  `json:"subjects"`
	Asked       []AskedKind       `json:"asked"`
	Released    []Released        `json:"released"`
	Withheld    []Withheld        `json:"withheld"`
	Unavailable []Unreached       `json:"unavailable"`
	Obligations []Obligation      `json:"obligations"`
	Request     Hash              `json:"requestDigest"` // Nonce.Digest of the request body
	Answer      Hash              `json:"answerDigest"`  // Nonce.Digest of the answer's body
	Refused     bool              `json:"refused"`
}

// PolicyRef names what decided.
type PolicyRef struct {
	Revision Revision `json:"revision"`
	Engine   string   `json:"engine"`
}

// SubjectQueries says which of the queries were about a subject; what was released to it is what all of them granted.
// Lookup queries (may this holder get the name, birth date and address it is asked by) carry the holder's kind.
type SubjectQueries struct {
	Subject Subject    `json:"subject"`
	Queries []int      `json:"queries"`
	Lookup  AgencyKind `json:"lookup,omitempty"`
}

// Subject names a data subject within one answer: household, p1, p2, …; the numbers are random in order and good for
// one answer only.
type Subject string

// Household is the subject of fields about the household as a whole, and of what is said of persons that don't appear.
const Household Subject = "household"

// AskedKind is one question to a holder, without its name.
type AskedKind struct {
	Holder  AgencyKind `json:"holder"`
	Key     KeyKind    `json:"key"`
	Subject Subject    `json:"subject"`
	Fields  []Field    `json:"fields"`
}

// Released is one granted field of the answer.
type Released struct {
	Field   Field   `json:"field"`
	Subject Subject `json:"subject"`
	Form    Form    `json:"form"`
	Basis   Basis   `json:"basis"`
}

// Withheld is one field that was not given, and why.
type Withheld struct {
	Field   Field    `json:"field"`
	Subject Subject  `json:"subject"`
	Reasons []Reason `json:"reasons"`
}

// Unreached is one granted field whose holder failed to answer; the clear part has the holder's kind, the answer its OIN.
type Unreached struct {
	Field   Field   `json:"field"`
	Subject Subject `json:"subject"`
	Holder  string  `json:"holder"`
}

// Staff is the part about who asked. An officer who looks at the log instead of asking for data has Worker and Purpose, and
// over many events a Ground and what was Sought.
type Staff struct {
	Agency      OIN         `json:"agency"`
	Worker      WorkerID    `json:"worker"`
	Role        Role        `json:"role"`
	Purpose     Purpose     `json:"purpose"`
	Case        CaseID      `json:"case,omitempty"`
	Request     RequestID   `json:"request"`
	TraceID     string      `json:"trace_id,omitempty"`
	SpanID      string      `json:"span_id,omitempty"`
	Asked       []AskedName `json:"asked,omitempty"`
	Idempotency string      `json:"idempotency,omitempty"` // digest of the Idempotency-Key: repeats carry the same
	Key         string      `json:"kid,omitempty"`         // of the agency's key that signed the token; kids are unique within an agency
	Ground      string      `json:"ground,omitempty"`      // why an officer looks: the law, and a reference of their own file
	Sought      string      `json:"sought,omitempty"`      // what an officer looks for: a worker, a key, an agency, a pseudonym
}

// AskedName says which agency a question of Common.Asked went to, at the same index.
type AskedName struct {
	Holder OIN `json:"holder"`
}

// SubjectPart is what concerned one data subject: what a Logboek Dataverwerkingen record of them needs. The BSN serves
// to find the pseudonym and the key; it is never written.
type SubjectPart struct {
	BSN      BSN         `json:"-"`
	Subject  Subject     `json:"subject"`
	Agency   OIN         `json:"agency"`
	Purpose  Purpose     `json:"purpose"`
	Released []Released  `json:"released"`
	Withheld []Withheld  `json:"withheld"`
	Asked    []AskedName `json:"asked,omitempty"`
}

// event builds what the log says about this ruling. Built by allow-list: names, never values.
func (u *ruling) event(call Call, got *fetched, r Release, engine string) Event {
	e := Event{Position: u.facts.Position, Touches: u.facts.Touches}
	e.Common = Common{
		Queries: u.queries, Decisions: u.decisions, Policy: PolicyRef{u.facts.Revision, engine},
		Asked: []AskedKind{}, Released: list(r.granted), Withheld: list(r.withheld), Unavailable: []Unreached{},
		Obligations: u.obligations(), Subjects: []SubjectQueries{},
	}
	e.Staff = Staff{
		Agency: u.request.Agency, Worker: u.request.Worker, Role: u.request.Role, Purpose: u.request.Purpose,
		Case: u.facts.Case, Request: u.request.ID, TraceID: call.TraceID, SpanID: call.SpanID, Key: u.request.Key,
	}
	if call.IdempotencyKey != "" {
		e.Staff.Idempotency = Hash(sha256.Sum256([]byte(string(u.request.Agency) + "\x00" + call.IdempotencyKey))).String()
	}
	if slices.ContainsFunc(u.revisions, func(r Revision) bool { return r != u.facts.Revision }) {
		e.Common.Revisions = u.revisions
	}
	for _, q := range got.asked {
		e.Common.Asked = append(e.Common.Asked, AskedKind{q.holder.Kind, q.key, q.subject.ref, q.fields})
		e.Staff.Asked = append(e.Staff.Asked, AskedName{q.holder.OIN})
	}
	for _, m := range r.unavailable {
		e.Common.Unavailable = append(e.Common.Unavailable, Unreached{m.Field, m.Subject,
			string(cmp.Or(got.kinds[OIN(m.Holder)], KindRegister))})
	}
	for _, s := range u.subjects {
		if len(s.queries) > 0 {
			e.Common.Subjects = append(e.Common.Subjects, SubjectQueries{Subject: s.ref, Queries: s.queries})
		}
		if s.person != wholeHousehold {
			e.Subjects = append(e.Subjects, u.part(s, got, r))
		}
	}
	for _, l := range u.lookups {
		e.Common.Subjects = append(e.Common.Subjects, SubjectQueries{l.subject.ref, []int{l.query}, l.kind})
	}
	return e
}

// part is what concerned one person: what was given of them, and of the household they belong to, and what was withheld.
// What is said of the household in the answer may be about another member, and does not stand here.
func (u *ruling) part(s *subject, got *fetched, r Release) SubjectPart {
	p := SubjectPart{BSN: s.bsn, Subject: s.ref, Agency: u.request.Agency, Purpose: u.request.Purpose,
		Released: []Released{}, Withheld: []Withheld{}}
	for _, g := range r.granted {
		here := func(m Unreached) bool { return m.Field == g.Field && m.Subject == g.Subject }
		if (g.Subject == s.ref || g.Subject == Household) && !slices.ContainsFunc(r.unavailable, here) {
			p.Released = append(p.Released, g)
		}
	}
	for _, about := range []*subject{s, u.subjects[0]} {
		for _, f := range about.fields {
			if _, ok := about.grants[f]; !ok && len(about.refused[f]) > 0 {
				p.Withheld = append(p.Withheld, Withheld{f, about.ref, set(about.refused[f])})
			}
		}
	}
	for _, q := range got.asked {
		if q.subject == s || q.subject.person == wholeHousehold {
			p.Asked = append(p.Asked, AskedName{q.holder.OIN})
		}
	}
	return p
}
