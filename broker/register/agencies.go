package register

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// AddAgency makes an agency known, or replaces what is known of it. A suspension of the agency or of a key stays: only
// ResumeAgency lifts one, and a suspended key is never good again.
type AddAgency struct{ broker.Agency }

func (AddAgency) kind() string                           { return "agency.added" }
func (AddAgency) key(TouchFunc) (string, string)         { return "", "" }
func (c AddAgency) touches(e env) []broker.Touch         { return []broker.Touch{e.touch.ofAgency(c.OIN)} }
func (c AddAgency) apply(e env, _ broker.Position) error { return e.setAgency(c.Agency, e.touch) }

// UnmarshalJSON reads what older versions wrote as well: certificate, true, is what the binding mtls is now. Unknown
// members are refused here, since the decoder around it does not do so inside.
func (c *AddAgency) UnmarshalJSON(data []byte) error {
	var read struct {
		broker.Agency
		Certificate bool `json:"certificate"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil {
		return err
	}
	if c.Agency = read.Agency; read.Certificate && c.Binding == broker.BindingNone {
		c.Binding = broker.BindingCertificate
	}
	if !c.Binding.Valid() { // fail closed: it asks for a protection that is not known here
		return fmt.Errorf("its binding %.40q is unknown: use a newer version of Schakel", c.Binding)
	}
	return nil
}

func (c AddAgency) check(e env) (Command, error) {
	bad := func(format string, a ...any) (Command, error) {
		return nil, fmt.Errorf("add agency: "+format, a...)
	}
	if _, err := broker.ParseOIN(string(c.OIN)); err != nil {
		return bad("%w", err)
	}
	if c.Name == "" || len(c.Name) > 200 {
		return bad("%s needs a name of 1 to 200 bytes", c.OIN)
	}
	if e.catalog == nil {
		return bad("there is no policy to take the kinds, mandates and roles from; give one first")
	}
	if !slices.ContainsFunc(e.catalog.AgencyKinds, func(k broker.KindInfo) bool { return k.ID == c.Kind }) {
		return bad("%.40q is no kind of agency; `schakel policy show` lists them", c.Kind)
	}
	if err := known("mandate", c.Mandates, e.catalog.Mandates); err != nil {
		return bad("%w", err)
	}
	if err := known("role", c.Roles, e.catalog.Roles); err != nil {
		return bad("%w", err)
	}
	if c.Municipality != "" && !isMunicipality(c.Municipality) {
		return bad("the municipality is the CBS code, four digits")
	}
	if !c.Binding.Valid() {
		return bad("the binding is mtls, dpop, or left out")
	}
	old := e.agencies.get(c.OIN)
	if old != nil {
		c.Suspended = old.Suspended
	}
	c.Keys = slices.Clone(c.Keys)
	for i, k := range c.Keys {
		if err := checkKey(k); err != nil {
			return bad("%w", err)
		}
		if keyIndex(c.Keys[:i], k.ID) >= 0 {
			return bad("two keys have the same id; each needs its own kid")
		}
	}
	if old != nil {
		c.Keys = keepSuspended(old.Keys, c.Keys)
	}
	if len(c.EncryptionKey) > 0 {
		if err := publicJWK(c.EncryptionKey); err != nil {
			return bad("encryption key: %w", err)
		}
	}
	return c, nil
}

// SuspendAgency makes an agency a stranger until it is resumed: nothing binds it to any household, and its agreements as a
// holder give nothing.
type SuspendAgency struct {
	OIN broker.OIN `json:"oin"`
}

func (SuspendAgency) kind() string                   { return "agency.suspended" }
func (SuspendAgency) key(TouchFunc) (string, string) { return "", "" }
func (c SuspendAgency) touches(e env) []broker.Touch { return []broker.Touch{e.touch.ofAgency(c.OIN)} }

func (c SuspendAgency) check(e env) (Command, error) {
	a, err := e.knownAgency(c.OIN)
	if err == nil && a.Suspended {
		err = fmt.Errorf("agency %s is suspended already", c.OIN)
	}
	if err != nil {
		return nil, fmt.Errorf("suspend agency: %w", err)
	}
	return c, nil
}

func (c SuspendAgency) apply(e env, _ broker.Position) error {
	return e.changeAgency(c.OIN, e.touch, func(a *broker.Agency) { a.Suspended = true })
}

// ResumeAgency ends the suspension of an agency.
type ResumeAgency struct {
	OIN broker.OIN `json:"oin"`
}

func (ResumeAgency) kind() string                   { return "agency.resumed" }
func (ResumeAgency) key(TouchFunc) (string, string) { return "", "" }
func (c ResumeAgency) touches(e env) []broker.Touch { return []broker.Touch{e.touch.ofAgency(c.OIN)} }

func (c ResumeAgency) check(e env) (Command, error) {
	a, err := e.knownAgency(c.OIN)
	if err == nil && !a.Suspended {
		err = fmt.Errorf("agency %s is not suspended", c.OIN)
	}
	if err != nil {
		return nil, fmt.Errorf("resume agency: %w", err)
	}
	return c, nil
}

func (c ResumeAgency) apply(e env, _ broker.Position) error {
	return e.changeAgency(c.OIN, e.touch, func(a *broker.Agency) { a.Suspended = false })
}

// AddKey gives an agency one more public key to sign its tokens with.
type AddKey struct {
	OIN broker.OIN       `json:"oin"`
	Key broker.AgencyKey `json:"key"`
}

func (AddKey) kind() string                   { return "key.added" }
func (AddKey) key(TouchFunc) (string, string) { return "", "" }
func (c AddKey) touches(e env) []broker.Touch { return []broker.Touch{e.touch.ofAgency(c.OIN)} }

func (c AddKey) check(e env) (Command, error) {
	a, err := e.knownAgency(c.OIN)
	if err == nil {
		err = checkKey(c.Key)
	}
	if err == nil && keyIndex(a.Keys, c.Key.ID) >= 0 {
		err = errors.New("the agency has a key with this id; give the new one another kid")
	}
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	c.Key.Suspended = false
	return c, nil
}

func (c AddKey) apply(e env, _ broker.Position) error {
	return e.changeAgency(c.OIN, e.touch, func(a *broker.Agency) { a.Keys = append(slices.Clone(a.Keys), c.Key) })
}

// SuspendKey makes a key of an agency worthless, for ever.
type SuspendKey struct {
	OIN broker.OIN `json:"oin"`
	ID  string     `json:"kid"`
}

func (SuspendKey) kind() string                   { return "key.suspended" }
func (SuspendKey) key(TouchFunc) (string, string) { return "", "" }
func (c SuspendKey) touches(e env) []broker.Touch { return []broker.Touch{e.touch.ofAgency(c.OIN)} }

func (c SuspendKey) check(e env) (Command, error) {
	a, err := e.knownAgency(c.OIN)
	if err == nil {
		switch i := keyIndex(a.Keys, c.ID); {
		case i < 0:
			err = errors.New("the agency has no key with this id; `schakel register agency list --json` shows its keys")
		case a.Keys[i].Suspended:
			err = errors.New("this key is suspended already")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("suspend key: %w", err)
	}
	return c, nil
}

func (c SuspendKey) apply(e env, _ broker.Position) error {
	return e.changeAgency(c.OIN, e.touch, func(a *broker.Agency) {
		a.Keys = slices.Clone(a.Keys)
		if i := keyIndex(a.Keys, c.ID); i >= 0 {
			a.Keys[i].Suspended = true
		}
	})
}

func (s *state) knownAgency(oin broker.OIN) (*agency, error) {
	if _, err := broker.ParseOIN(string(oin)); err != nil {
		return nil, err
	}
	a := s.agencies.get(oin)
	if a == nil {
		return nil, fmt.Errorf("agency %s is unknown; add it first with `schakel register agency add`", oin)
	}
	return a, nil
}

func (s *state) setAgency(a broker.Agency, touch TouchFunc) error {
	s.agencies.put(a.OIN, &agency{Agency: a, touch: touch.ofAgency(a.OIN)})
	return nil
}

func (s *state) changeAgency(oin broker.OIN, touch TouchFunc, change func(*broker.Agency)) error {
	old := s.agencies.get(oin)
	if old == nil {
		return errors.New("it is about an agency that was never added")
	}
	a := old.Agency
	change(&a)
	return s.setAgency(a, touch)
}

func keyIndex(list []broker.AgencyKey, id string) int {
	return slices.IndexFunc(list, func(k broker.AgencyKey) bool { return k.ID == id })
}

func checkKey(k broker.AgencyKey) error {
	if k.ID == "" || len(k.ID) > 100 {
		return errors.New("a key needs an id (kid) of 1 to 100 bytes")
	}
	return publicJWK(k.JWK)
}

// publicJWK refuses what must never come here: a private or symmetric key. Whether the key is any good is found out by
// whoever uses it.
func publicJWK(data json.RawMessage) error {
	obj, err := broker.ParseObject(data)
	if err != nil || len(data) > 8<<10 {
		return errors.New("a key is a JSON Web Key (RFC 7517), one JSON object of at most 8 KB")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := obj[private]; there {
			return errors.New("this is a private key: give the public part only, and replace the key, since it was shown")
		}
	}
	if kty, _ := obj["kty"].(string); !slices.Contains([]string{"EC", "RSA", "OKP"}, kty) {
		return errors.New("a key needs a kty of EC, RSA or OKP")
	}
	return nil
}

// keepSuspended gives the new keys, and the old ones that are suspended as they are: an id that was suspended can't come
// back as another key.
func keepSuspended(old, keys []broker.AgencyKey) []broker.AgencyKey {
	for _, k := range old {
		if !k.Suspended {
			continue
		}
		if i := keyIndex(keys, k.ID); i >= 0 {
			keys[i] = k
		} else {
			keys = append(keys, k)
		}
	}
	return keys
}

// known checks words against a closed list of the policy.
func known[T ~string](what string, words []T, list []broker.Term) error {
	for _, w := range words {
		if !broker.HasTerm(list, string(w)) {
			return fmt.Errorf("%.40q is no %s; `schakel policy show` lists them", string(w), what)
		}
	}
	return nil
}

func isMunicipality(code string) bool {
	return len(code) == 4 && !slices.ContainsFunc([]byte(code), func(c byte) bool { return c < '0' || c > '9' })
}
