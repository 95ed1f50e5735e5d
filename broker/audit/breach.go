package audit

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// BreachConfig says whose disclosures are gathered. What is set must all be so.
type BreachConfig struct {
	Window RequestsConfig // Vault is needed: who asked stands encrypted
	Agency broker.OIN
	Worker broker.WorkerID
	Key    string // kid of the agency's key that signed the token
}

// BreachReport is what one key, worker or agency got to see: what a notice of a data breach needs (AVG 33 and 34). It names
// households by case, and no persons: who they are stands in the register.
type BreachReport struct {
	Answers int        `json:"answers"` // in which something was given
	Nothing int        `json:"nothing"` // refusals, and answers in which nothing was given
	First   *time.Time `json:"first"`   // of both
	Last    *time.Time `json:"last"`
	Persons int        `json:"persons"` // different ones of whom something was given

	Households []BreachHousehold `json:"households"` // most recent last
	Agencies   []BreachCount     `json:"agencies"`   // who they are, most first
	Workers    []BreachCount     `json:"workers"`
	Keys       []BreachCount     `json:"keys"`

	// What could hide more. Unsigned counts disclosures without the key that signed, recorded before keys were; they are left
	// out where a key is sought, and would else be of the same agency and worker.
	Unsigned int      `json:"unsigned"`
	Erased   int      `json:"erased"`  // disclosures of the window of which it is not known any more who asked: the key was deleted
	Damaged  []string `json:"damaged"` // "writer epoch-seq" of events that can't be read; all of them
}

// BreachHousehold is one household of which something was given, or tried.
type BreachHousehold struct {
	Case    broker.CaseID    `json:"case,omitempty"` // "" for what was asked without any relation: nothing is given then
	Answers int              `json:"answers"`
	Nothing int              `json:"nothing"`
	First   time.Time        `json:"first"`
	Last    time.Time        `json:"last"`
	Persons int              `json:"persons"` // of whom something was given
	Fields  []BreachField    `json:"fields"`
	Holders []broker.OIN     `json:"holders"` // that were asked, so that they can be told
	Purpose []broker.Purpose `json:"purposes"`

	persons map[string]bool
	fields  map[broker.Field]*BreachField
}

// BreachField is a field that was given.
type BreachField struct {
	Field   broker.Field  `json:"field"`
	Forms   []broker.Form `json:"forms"`
	Answers int           `json:"answers"`
}

// BreachCount is how many disclosures are of one agency, worker or key.
type BreachCount struct {
	Name        string `json:"name"`
	Disclosures int    `json:"disclosures"`
}

// Breach gathers what a key, a worker or an agency got to see in a window.
func Breach(ctx context.Context, c BreachConfig) (BreachReport, error) {
	r := BreachReport{Households: []BreachHousehold{}, Damaged: []string{}}
	if c.Window.Vault == nil || (c.Agency == "" && c.Worker == "" && c.Key == "") {
		return r, errors.New("gather a breach: whose? It needs a key, a worker or an agency, and the key ring")
	}
	households := map[broker.CaseID]*BreachHousehold{}
	persons := map[string]bool{}
	agencies, workers, signers := map[string]int{}, map[string]int{}, map[string]int{}
	want := func(s broker.Staff) bool {
		return (c.Agency == "" || s.Agency == c.Agency) && (c.Worker == "" || s.Worker == c.Worker) &&
			(c.Key == "" || s.Key == c.Key || s.Key == "")
	}
	for d, err := range Disclosures(ctx, c.Window, want) {
		switch {
		case err != nil:
			return r, err
		case d.Damaged || d.StaffState == PartDamaged:
			r.Damaged = append(r.Damaged, d.Name())
			continue
		case d.Staff == nil:
			r.Erased++
			continue
		case d.Staff.Key == "":
			if r.Unsigned++; c.Key != "" {
				continue
			}
		}
		s := d.Staff
		h := households[s.Case]
		if h == nil {
			h = &BreachHousehold{Case: s.Case, First: d.Time, Last: d.Time, persons: map[string]bool{}, fields: map[broker.Field]*BreachField{}}
			households[s.Case] = h
		}
		given := d.given()
		h.add(d, given)
		if h.First = earlier(h.First, d.Time); h.Last.Before(d.Time) {
			h.Last = d.Time
		}
		maps.Copy(persons, h.persons)
		if len(given) > 0 {
			r.Answers++
		} else {
			r.Nothing++
		}
		agencies[string(s.Agency)]++
		workers[string(s.Worker)]++
		signers[s.Key]++
	}
	r.Persons, r.Agencies, r.Workers, r.Keys = len(persons), counted(agencies), counted(workers), counted(signers)
	for _, h := range households {
		h.finish()
		r.Households = append(r.Households, *h)
		if first := h.First; r.First == nil || first.Before(*r.First) {
			r.First = &first
		}
		if last := h.Last; r.Last == nil || r.Last.Before(last) {
			r.Last = &last
		}
	}
	slices.SortFunc(r.Households, func(a, b BreachHousehold) int {
		return cmp.Or(a.Last.Compare(b.Last), strings.Compare(string(a.Case), string(b.Case)))
	})
	return r, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// given is what was released, but for what a holder failed to answer.
func (d Disclosure) given() []broker.Released {
	return slices.DeleteFunc(slices.Clone(d.Parts.Released), func(g broker.Released) bool {
		return slices.ContainsFunc(d.Parts.Unavailable, func(u broker.Unreached) bool { return u.Field == g.Field && u.Subject == g.Subject })
	})
}

// add counts a disclosure in.
func (h *BreachHousehold) add(d Disclosure, given []broker.Released) {
	if len(given) > 0 {
		h.Answers++
	} else {
		h.Nothing++
	}
	here := map[broker.Field]bool{} // counted for this answer
	for _, g := range given {
		f := h.fields[g.Field]
		if f == nil {
			f = &BreachField{Field: g.Field}
			h.fields[g.Field] = f
		}
		if f.Forms = with(f.Forms, g.Form); !here[g.Field] {
			here[g.Field] = true
			f.Answers++
		}
	}
	for _, p := range d.Subjects {
		if p.Part != nil && len(p.Part.Released) > 0 {
			h.persons[p.Pseudonym] = true
		}
	}
	for _, asked := range d.Staff.Asked {
		h.Holders = with(h.Holders, asked.Holder)
	}
	h.Purpose = with(h.Purpose, d.Staff.Purpose)
}

// with gives a sorted list that has v.
func with[T cmp.Ordered](list []T, v T) []T {
	if i, found := slices.BinarySearch(list, v); !found {
		list = slices.Insert(list, i, v)
	}
	return list
}

func (h *BreachHousehold) finish() {
	h.Persons, h.Fields = len(h.persons), []BreachField{}
	for _, f := range slices.Sorted(maps.Keys(h.fields)) {
		h.Fields = append(h.Fields, *h.fields[f])
	}
	if h.Holders == nil {
		h.Holders = []broker.OIN{}
	}
}

func counted(counts map[string]int) []BreachCount {
	out := []BreachCount{}
	for name, n := range counts {
		out = append(out, BreachCount{name, n})
	}
	slices.SortFunc(out, func(a, b BreachCount) int {
		return cmp.Or(cmp.Compare(b.Disclosures, a.Disclosures), strings.Compare(a.Name, b.Name))
	})
	return out
}
