package broker

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Release is what may leave: only Minimise fills it, and its zero value can't be encoded.
type Release struct {
	minimised   bool
	household   map[string]any
	persons     []releasedPerson
	granted     []Released
	withheld    []Withheld
	unavailable []Unreached
}

type releasedPerson struct {
	subject Subject
	values  map[string]any
}

// Slice is what Minimise needs of one data subject.
type Slice struct {
	Subject Subject
	Fields  []Field // asked, in order
	Grants  map[Field]Grant
	Refused map[Field][]Reason
	Record  Record        // what the holders answered
	Missing map[Field]OIN // granted fields whose holder failed, and which
	Holders map[Field]OIN // who was asked for a field
	// Pseudonym stands for this person towards this recipient.
	Pseudonym string
}

// Minimise copies what was granted out of what the holders answered, each value in its granted form, and nothing else:
// an allow-list over the grants, whatever the records hold. Companions of a BRP field go along with it. Subjects
// without a grant don't appear; what was refused of them is said of the household.
func Minimise(c *Catalog, slicesOf []Slice, now time.Time) Release {
	r := Release{minimised: true, household: map[string]any{}}
	folded := map[Field][]Reason{}
	for _, s := range slicesOf {
		if len(s.Grants) == 0 || s.Subject == Household {
			for f, reasons := range s.Refused {
				folded[f] = append(folded[f], reasons...)
			}
		}
	}
	for _, s := range slicesOf {
		values := r.household
		if s.Subject != Household {
			if len(s.Grants) == 0 {
				continue
			}
			values = map[string]any{}
			r.persons = append(r.persons, releasedPerson{s.Subject, values})
		}
		r.subject(c, s, values, now)
	}
	for _, f := range slices.Sorted(maps.Keys(folded)) {
		r.withheld = append(r.withheld, Withheld{f, Household, set(folded[f])})
	}
	return r
}

func (r *Release) subject(c *Catalog, s Slice, values map[string]any, now time.Time) {
	var given []Field
	for _, f := range s.Fields {
		g, ok := s.Grants[f]
		if !ok {
			if len(s.Grants) > 0 && s.Subject != Household {
				r.withheld = append(r.withheld, Withheld{f, s.Subject, set(s.Refused[f])})
			}
			continue
		}
		r.granted = append(r.granted, Released{f, s.Subject, g.Form, g.Basis})
		if holder, missing := s.Missing[f]; missing {
			r.unavailable = append(r.unavailable, Unreached{f, s.Subject, string(holder)})
			continue
		}
		v, err := s.value(f, g.Form, now)
		if err != nil { // the holder gave something else than its field is
			r.unavailable = append(r.unavailable, Unreached{f, s.Subject, cmp.Or(string(s.Holders[f]), string(KindRegister))})
			continue
		}
		put(values, f, v)
		given = append(given, f)
	}
	for _, k := range c.Companions {
		v, ok := s.Record.Companions[k.Path]
		if !ok || !slices.ContainsFunc(given, func(f Field) bool { return under(f, k.With) }) {
			continue
		}
		if v, ok = companion(k, v, given); ok {
			put(values, k.Path, v)
		}
	}
}

func (s Slice) value(f Field, form Form, now time.Time) (any, error) {
	if form == FormPseudonym {
		if s.Pseudonym == "" {
			return nil, errForm
		}
		return s.Pseudonym, nil
	}
	return inForm(s.Record.Values[f], form, now)
}

// companion copies what came along with a field. An inOnderzoek marker is trimmed to the fields that were given: that
// another field is under investigation is not for this asker to know. There is one date for each kind of data under
// investigation, so a date is kept only where it stands alone, and with a field that was given.
func companion(k Companion, v any, given []Field) (any, bool) {
	v, err := plain(v, 0)
	if err != nil || v == nil {
		return nil, false
	}
	if !strings.HasSuffix(string(k.Path), ".inOnderzoek") {
		return v, true
	}
	marker, _ := v.(map[string]any)
	out, dates := map[string]any{}, map[string]any{}
	for key, value := range marker {
		switch {
		case strings.HasPrefix(key, "datumIngangOnderzoek"):
			dates[key] = value
		case value == true && slices.ContainsFunc(given, func(f Field) bool { return under(f, k.With+"."+Field(key)) }):
			out[key] = true
		}
	}
	if len(out) == 0 {
		return nil, false
	}
	for key, value := range dates {
		if _, ok := dateOf(value); ok && len(dates) == 1 {
			out[key] = value
		}
	}
	return out, true
}

// put sets a value at a dotted path.
func put(values map[string]any, path Field, v any) {
	parts := strings.Split(string(path), ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := values[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			values[p] = next
		}
		values = next
	}
	values[parts[len(parts)-1]] = v
}
