package decide

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/schakel/schakel/broker"
)

// ruling is the decision on one field. It is shared by all who ask the same, so nobody may change it.
type ruling struct {
	granted     bool
	grant       broker.Grant
	reasons     []broker.Reason
	obligations []broker.Obligation
}

func malformed(cause error) error {
	return broker.Fail(broker.KindInternal, "policy-result-malformed", cause)
}

// parse reads what the engine said about the one field of q. Anything but exactly one grant or refusal, in words of the
// catalog's closed lists, is an error.
func parse(result any, q broker.Query, c *broker.Catalog) (ruling, error) {
	r, err := parseRuling(result, q, c)
	if err != nil {
		return ruling{}, malformed(err)
	}
	return r, nil
}

func parseRuling(result any, q broker.Query, c *broker.Catalog) (ruling, error) {
	top, err := object(result, "decision", "grants", "refusals", "obligations")
	if err != nil {
		return ruling{}, err
	}
	field := q.Fields[0]
	grants, ok1 := top["grants"].(map[string]any)
	refusals, ok2 := top["refusals"].(map[string]any)
	if !ok1 || !ok2 {
		return ruling{}, errors.New("grants and refusals must be objects")
	}
	grant, isGranted := grants[string(field)]
	refusal, isRefused := refusals[string(field)]
	if len(grants)+len(refusals) != 1 || isGranted == isRefused {
		return ruling{}, errors.New("the asked field, and no other, must be in grants or in refusals")
	}
	r := ruling{granted: isGranted}
	if r.obligations, err = words[broker.Obligation](top["obligations"], "obligations", c.Obligations); err != nil {
		return ruling{}, err
	}
	if isRefused {
		r.reasons, err = words[broker.Reason](refusal, "reasons", c.Reasons)
		if err == nil && len(r.reasons) == 0 {
			err = errors.New("a refusal without a reason")
		}
		return r, err
	}
	if q.Relation.None() && !q.Emergency.Active {
		return ruling{}, errors.New("a grant where nothing binds the asker to the household")
	}
	r.grant, err = parseGrant(grant, field, c)
	return r, err
}

func parseGrant(v any, field broker.Field, c *broker.Catalog) (broker.Grant, error) {
	o, err := object(v, "grant", "form", "basis")
	if err != nil {
		return broker.Grant{}, err
	}
	info, ok := c.Field(field)
	if !ok {
		return broker.Grant{}, errors.New("a grant of a field that is not in the catalog")
	}
	form, _ := o["form"].(string)
	if !slices.Contains(info.Forms, broker.Form(form)) {
		return broker.Grant{}, errors.New("a grant in a form that the catalog does not give for the field")
	}
	basis, _ := o["basis"].(string)
	if !broker.HasTerm(c.Bases, basis) {
		return broker.Grant{}, errors.New("a grant on a basis that is not in the list of bases")
	}
	return broker.Grant{Form: broker.Form(form), Basis: broker.Basis(basis)}, nil
}

// object demands an object with exactly these keys.
func object(v any, what string, keys ...string) (map[string]any, error) {
	o, ok := v.(map[string]any)
	if !ok || !slices.Equal(slices.Sorted(maps.Keys(o)), slices.Sorted(slices.Values(keys))) {
		return nil, fmt.Errorf("%s must be an object with exactly %v", what, keys)
	}
	return o, nil
}

// words demands a list of words from a closed list, and gives it sorted without duplicates.
func words[T ~string](v any, what string, closed []broker.Term) ([]T, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s must be a list", what)
	}
	out := make([]T, 0, len(list))
	for _, item := range list {
		word, ok := item.(string)
		if !ok || !broker.HasTerm(closed, word) {
			return nil, fmt.Errorf("%s: a word that is not in its closed list", what)
		}
		out = append(out, T(word))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
