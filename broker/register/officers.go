package register

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
)

// OfficerID is the name by which an organisation knows an officer. It stands encrypted in the log.
type OfficerID string

// OfficerRef stands for an officer in clear: a keyed hash of their id. Whoever can read the log and not the ring learns
// that one officer wrote and another approved, and not who.
type OfficerRef string

// OfficerRole says what an officer may do with policy. None of them gets household data.
type OfficerRole string

// Closed list of OfficerRole.
const (
	RolePrivacyOfficer OfficerRole = "privacy-officer"                  // writes rules, and approves those of another
	RoleJurist         OfficerRole = "jurist"                           // the same of guardrails: rules about rules
	RoleFG             OfficerRole = "functionaris-gegevensbescherming" // reads everything; authors and approves nothing (AVG 38)
	RoleAuditor        OfficerRole = "auditor"                          // reads the log
)

// OfficerRoles lists them.
func OfficerRoles() []OfficerRole {
	return []OfficerRole{RolePrivacyOfficer, RoleJurist, RoleFG, RoleAuditor}
}

// Officer is someone who has to do with policy.
type Officer struct {
	Ref       OfficerRef      `json:"ref"`
	ID        OfficerID       `json:"id,omitempty"` // empty once it was erased
	Role      OfficerRole     `json:"role"`
	Key       json.RawMessage `json:"key"` // public JWK that they sign with
	Suspended bool            `json:"suspended,omitempty"`
}

// NewOfficer gives the commands that make an officer known, for one DoAll: what must stay readable for as long as what
// they sign (role and key), and their id, which can be erased.
func (r *Register) NewOfficer(id OfficerID, role OfficerRole, key json.RawMessage) []Command {
	ref := r.OfficerRef(id)
	return []Command{AddOfficer{Officer: ref, Role: role, Key: key}, NameOfficer{Officer: ref, ID: id}}
}

// OfficerRef gives what stands for an officer.
func (r *Register) OfficerRef(id OfficerID) OfficerRef { return OfficerRef(r.cfg.Touch.ofOfficer(id)) }

// Officer finds an officer by what stands for them, suspended or not.
func (r *Register) Officer(ref OfficerRef) (Officer, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if o := r.state.officers.get(ref); o != nil {
		return *o, true
	}
	return Officer{}, false
}

// Officers lists all officers, by id.
func (r *Register) Officers() []Officer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Officer, 0, len(r.state.officers.own))
	for _, o := range r.state.officers.own {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Officer) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Ref, b.Ref)) })
	return out
}

// AddOfficer makes an officer known, or gives a known one another role or key. What they signed before stands.
type AddOfficer struct {
	Officer OfficerRef      `json:"officer"`
	Role    OfficerRole     `json:"role"`
	Key     json.RawMessage `json:"key"`
}

func (AddOfficer) kind() string                   { return "officer.added" }
func (AddOfficer) key(TouchFunc) (string, string) { return "", "" }
func (AddOfficer) touches(env) []broker.Touch     { return nil }

func (c AddOfficer) check(e env) (Command, error) {
	bad := func(err error) (Command, error) { return nil, fmt.Errorf("add officer: %w", err) }
	if !slices.Contains(OfficerRoles(), c.Role) {
		return bad(fmt.Errorf("the role is one of %s", joined(OfficerRoles())))
	}
	if err := publicJWK(c.Key); err != nil {
		return bad(err)
	}
	for _, o := range e.allOfficers() {
		if o.Ref == c.Officer && o.Suspended {
			return bad(errors.New("this officer is suspended, for ever; add them under another id and with another key"))
		}
		if o.Ref != c.Officer && sameKey(o.Key, c.Key) {
			return bad(errors.New("another officer has this key; each needs their own, or one could approve their own work"))
		}
	}
	return c, nil
}

func (c AddOfficer) apply(e env, _ broker.Position) error {
	o := Officer{Ref: c.Officer, Role: c.Role, Key: c.Key}
	if old := e.officers.get(c.Officer); old != nil {
		o.ID, o.Suspended = old.ID, old.Suspended
	}
	e.officers.put(c.Officer, &o)
	return nil
}

// NameOfficer says who an officer is.
type NameOfficer struct {
	Officer OfficerRef `json:"officer"`
	ID      OfficerID  `json:"id"`
}

func (NameOfficer) kind() string               { return "officer.named" }
func (NameOfficer) touches(env) []broker.Touch { return nil }

func (c NameOfficer) key(TouchFunc) (keyID, part string) { return keyOfOfficer(c.Officer), "officer" }

func keyOfOfficer(ref OfficerRef) string { return officerKeys + string(ref) }

func (c NameOfficer) check(e env) (Command, error) {
	err := checkName("officer", string(c.ID))
	if err == nil && c.Officer != OfficerRef(e.touch.ofOfficer(c.ID)) {
		err = errors.New("this id is not of this officer")
	}
	if err == nil && e.officers.get(c.Officer) == nil {
		err = errUnknownOfficer
	}
	if err != nil {
		return nil, fmt.Errorf("name officer: %w", err)
	}
	return c, nil
}

func (c NameOfficer) apply(e env, _ broker.Position) error {
	old := e.officers.get(c.Officer)
	if old == nil {
		return errors.New("it names an officer who was never added")
	}
	o := *old
	o.ID = c.ID
	e.officers.put(c.Officer, &o)
	return nil
}

// SuspendOfficer makes an officer's key worthless, for ever: nothing new counts, nor does an approval of a draft that is
// not live yet.
type SuspendOfficer struct {
	Officer OfficerRef `json:"officer"`
}

func (SuspendOfficer) kind() string                   { return "officer.suspended" }
func (SuspendOfficer) key(TouchFunc) (string, string) { return "", "" }
func (SuspendOfficer) touches(env) []broker.Touch     { return nil }

func (c SuspendOfficer) check(e env) (Command, error) {
	o := e.officers.get(c.Officer)
	switch {
	case o == nil:
		return nil, fmt.Errorf("suspend officer: %w", errUnknownOfficer)
	case o.Suspended:
		return nil, errors.New("suspend officer: this officer is suspended already")
	}
	return c, nil
}

func (c SuspendOfficer) apply(e env, _ broker.Position) error {
	old := e.officers.get(c.Officer)
	if old == nil {
		return errors.New("it suspends an officer who was never added")
	}
	o := *old
	o.Suspended = true
	e.officers.put(c.Officer, &o)
	return nil
}

var errUnknownOfficer = errors.New("this officer is unknown; `schakel register officer list` shows them, `… officer add` adds one")

// acting gives an officer who may act in one of these roles.
func (e env) acting(ref OfficerRef, what broker.Text, roles ...OfficerRole) (*Officer, error) {
	o := e.officers.get(ref)
	switch {
	case o == nil:
		return nil, errUnknownOfficer
	case o.Suspended:
		return nil, errors.New("this officer is suspended; another must do it")
	case !slices.Contains(roles, o.Role):
		return nil, broker.Told(fmt.Sprintf("Een %s mag dit niet (%s); dat is voor een %s.", o.Role, what.NL, either(roles, "of")),
			fmt.Sprintf("a %s may not %s; that is for a %s", o.Role, what.EN, joined(roles)))
	}
	return o, nil
}

// allOfficers gives every officer of a state, also of those that lie over another.
func (s *state) allOfficers() []*Officer {
	seen := map[OfficerRef]*Officer{}
	for l := &s.officers; l != nil; l = l.below {
		for ref, o := range l.own {
			if seen[ref] == nil {
				seen[ref] = o
			}
		}
	}
	out := make([]*Officer, 0, len(seen))
	for _, o := range seen {
		out = append(out, o)
	}
	return out
}

// sameKey tells whether two public JWKs are of one key, whatever else stands in them.
func sameKey(a, b json.RawMessage) bool {
	x, err1 := broker.ParseObject(a)
	y, err2 := broker.ParseObject(b)
	if err1 != nil || err2 != nil {
		return false
	}
	for _, part := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if x[part] != y[part] {
			return false
		}
	}
	return true
}

func joined[T ~string](list []T) string { return either(list, "or") }

func either[T ~string](list []T, or string) string {
	words := make([]string, 0, len(list))
	for _, w := range list {
		words = append(words, string(w))
	}
	return strings.Join(words, " "+or+" ")
}
