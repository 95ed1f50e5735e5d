package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// verify holds one call of Disclose to the invariants. It reckons from the facts the register gave, the table of the
// decider and what the holders saw, and takes nothing from the flow's own books but what it must compare with them.
func (w *world) verify(r Request, env Envelope, err error) {
	w.t.Helper()
	w.verifyAsks(r)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			w.t.Errorf("an error that is not an *Error: %T", err)
		}
		if len(w.sealed) > 0 || env.Body != nil {
			w.t.Errorf("an error, and something was sealed")
		}
		w.noCanary("error", []byte(err.Error()))
		return
	}
	if len(w.sealed) != 1 || len(w.events) == 0 {
		w.t.Fatalf("%d answers sealed, %d events", len(w.sealed), len(w.events))
	}
	event := w.events[len(w.events)-1]
	for _, e := range w.events {
		w.noCanary("clear part of the event", mustJSON(e.Common))
		w.verifyEvent(r, e)
	}
	if event.Common.Refused {
		w.verifyRefusal(r, env.Body, event)
		return
	}
	w.verifyAnswer(r, env.Body, event)
}

// with applies what was shown to facts.
func (f Facts) with(shown ...map[BSN]sighting) Facts {
	f.Household = slices.Clone(f.Household)
	for i := range f.Household {
		p := &f.Household[i]
		for _, m := range shown {
			s := m[p.BSN]
			p.Restricted, p.Deceased = p.Restricted || s.restricted, p.Deceased || s.deceased
			if s.birth.Known() {
				p.Birth = s.birth
			}
		}
	}
	return f
}

// wantQuery makes the query about person i (-1: the household) that the design asks for.
func wantQuery(r Request, c *Catalog, f Facts, i int) Query {
	q := Query{V: 1, Agency: QueryAgency{f.Agency.Kind, f.Agency.Mandates}, Role: r.Role, Purpose: r.Purpose, Relation: f.Relation,
		Emergency: f.Emergency, Agreements: []Domain{"huishouden"}}
	for _, h := range f.Holders {
		if i < 0 || len(h.Persons) == 0 || slices.Contains(h.Persons, i) {
			q.Agreements = append(q.Agreements, h.Domains...)
		}
	}
	for _, path := range r.Fields {
		if info, ok := c.Field(path); ok && (info.Subject == SubjectHousehold) == (i < 0) {
			q.Fields = append(q.Fields, path)
		}
	}
	if i >= 0 {
		p := f.Household[i]
		q.Subject = QuerySubject{SubjectPerson, p.Birth.AgeBand(noon), p.Restricted, p.Consent, p.Release}
		return q.Canonical()
	}
	q.Subject = QuerySubject{Kind: SubjectHousehold, Age: AgeUnknown}
	for _, d := range []Domain{"huur", "ggz", "contact", "persoon", "schulden", "huishouden"} {
		consent, release := true, true
		for _, p := range f.Household {
			consent, release = consent && slices.Contains(p.Consent, d), release && slices.Contains(p.Release, d)
			q.Subject.DisclosureRestricted = q.Subject.DisclosureRestricted || p.Restricted
		}
		if consent {
			q.Subject.Consent = append(q.Subject.Consent, d)
		}
		if release {
			q.Subject.Release = append(q.Subject.Release, d)
		}
	}
	return q.Canonical()
}

// holdsBack tells whether a restriction (AVG 18) holds a field about person i (-1: the household) back.
func (f Facts) holdsBack(c *Catalog, i int, field Field) bool {
	info, _ := c.Field(field)
	if f.Emergency.Active && slices.Contains(f.Emergency.Domains, info.Domain) {
		return false
	}
	for n, p := range f.Household {
		if p.ProcessingRestricted && (i < 0 || n == i) {
			return true
		}
	}
	return false
}

// mayLookUp tells whether policy lets this kind of holder have person i's name, birth date and address.
func (w *world) mayLookUp(r Request, f Facts, h Holder, i int) bool {
	q := wantQuery(r, w.catalogs[f.Revision], f, i)
	q.Agency, q.Role = QueryAgency{h.Kind, h.Mandates}, RoleHolder
	q.Relation = Relation{Case: CaseAgency, Municipality: f.Relation.Municipality}
	q.Fields = identityFields
	d := w.decide(f.Revision, q.Canonical())
	for _, field := range identityFields {
		if d.Grants[field].Form != FormExact {
			return false
		}
	}
	return true
}

// verifyAsks: invariant 3.
func (w *world) verifyAsks(r Request) {
	if len(w.asks) == 0 {
		return
	}
	f := w.used[0]
	if f.Relation.None() && !f.Emergency.Active {
		w.t.Errorf("a holder was asked where nothing binds the asker to the household")
		return
	}
	refused := 0
	c := w.catalogs[f.Revision]
	for i := -1; i < len(f.Household); i++ {
		if q := wantQuery(r, c, f, i); len(q.Fields) > 0 {
			refused += len(w.decide(f.Revision, q).Refusals)
		}
	}
	if r.OnRefusal == OnRefusalFail && refused > 0 {
		w.t.Errorf("a holder was asked for an answer that had to be a refusal")
	}
	for _, a := range w.asks {
		i := slices.IndexFunc(f.Household, func(p Person) bool { return p.BSN == bsnOf(a.ask) })
		n := slices.IndexFunc(f.Holders, func(h Holder) bool { return h.OIN == a.holder })
		if i < 0 || n < 0 {
			w.t.Errorf("holder %d was asked about person %d: one of them is not of this household", n, i)
			continue
		}
		h := f.Holders[n]
		if f.Household[i].ProcessingRestricted && !f.Emergency.Active {
			w.t.Errorf("%s was asked about, or by, a person whose data may not be processed", h.Kind)
		}
		if len(h.Persons) > 0 && !slices.Contains(h.Persons, i) {
			w.t.Errorf("%s was asked about (or by) a person it is not named for", h.Kind)
		}
		byIdentity := a.ask.Identity != nil
		if byIdentity == (a.ask.BSN != "") || byIdentity != (w.sources[h.OIN].key == KeyIdentity) {
			w.t.Errorf("%s was asked by the wrong key", h.Kind)
		}
		if a.ask.BSN != "" && !c.MayHaveBSN(h.Kind, h.Mandates) {
			w.t.Errorf("%s got a BSN without a ground", h.Kind)
		}
		if byIdentity && !(w.mayLookUp(r, f, h, i) && w.mayLookUp(r, f.with(w.shown), h, i)) {
			w.t.Errorf("%s got a name, birth date and address that it may not have", h.Kind)
		}
		for _, field := range a.ask.Fields {
			info, _ := c.Field(field)
			person := i
			if info.Subject == SubjectHousehold {
				person = -1
			}
			_, granted := w.decide(f.Revision, wantQuery(r, c, f, person)).Grants[field]
			granted = granted && !f.holdsBack(c, person, field)
			lookup := h.Kind == KindRvIG && slices.Contains(identityFields, field) &&
				slices.ContainsFunc(f.Holders, func(o Holder) bool {
					s := w.sources[o.OIN]
					return s != nil && s.key == KeyIdentity && w.mayLookUp(r, f, o, i)
				})
			if !granted && !lookup {
				w.t.Errorf("%s was asked for %s, which was granted to nobody", h.Kind, field)
			}
			if !slices.Contains(h.Domains, info.Domain) {
				w.t.Errorf("%s was asked for %s without an agreement", h.Kind, field)
			}
		}
	}
}

// verifyEvent: what holders saw is what the event says, and each query stands with its decision.
func (w *world) verifyEvent(r Request, e Event) {
	if len(e.Common.Asked) != len(w.asks) || len(e.Staff.Asked) != len(w.asks) {
		w.t.Errorf("%d holders asked, %d recorded", len(w.asks), len(e.Common.Asked))
		return
	}
	left := slices.Clone(w.asks)
	for n, a := range e.Common.Asked {
		at := slices.IndexFunc(left, func(s asked) bool {
			return s.holder == e.Staff.Asked[n].Holder && slices.Equal(s.ask.Fields, a.Fields) &&
				(s.ask.Identity != nil) == (a.Key == KeyIdentity) && (a.Subject == Household || w.ref(e, bsnOf(s.ask)) == a.Subject)
		})
		if at < 0 {
			w.t.Errorf("the event says that %s was asked for %v, and it was not", a.Holder, a.Fields)
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	for n, q := range e.Common.Queries {
		rev := e.Common.Policy.Revision
		if e.Common.Revisions != nil {
			rev = e.Common.Revisions[n]
		}
		var query Query
		if err := json.Unmarshal(q, &query); err != nil {
			w.t.Fatalf("recorded query: %v", err)
		}
		if d := w.decide(rev, query); !bytes.Equal(d.Bytes(), e.Common.Decisions[n]) {
			w.t.Errorf("replay of query %d gives another decision", n)
		}
	}
	for _, part := range e.Subjects {
		w.noCanary("subject part", mustJSON(part), string(r.Agency), "000000010000000000")
	}
}

// ref finds how an event names a person.
func (w *world) ref(e Event, bsn BSN) Subject {
	for _, p := range e.Subjects {
		if p.BSN == bsn {
			return p.Subject
		}
	}
	return "nobody"
}

var (
	canaries = regexp.MustCompile(`canary|99999\d{4}|198\d-?02-?03|000000010000000000|1234 AB|jan@`)
	digests  = regexp.MustCompile(`"[0-9a-f]{64}"`)
)

// noCanary: invariant 5, here for what the flow itself makes.
func (w *world) noCanary(where string, text []byte, except ...string) {
	w.t.Helper()
	for _, x := range except {
		text = bytes.ReplaceAll(text, []byte(x), nil)
	}
	if found := canaries.Find(digests.ReplaceAll(text, nil)); found != nil {
		w.t.Errorf("%s holds a value about a person: %q in %s", where, found, text)
	}
}

func (w *world) verifyRefusal(r Request, body []byte, e Event) {
	var got refusal
	if err := json.Unmarshal(body, &got); err != nil || got.Status != 403 {
		w.t.Fatalf("refusal: %v", err)
	}
	w.noCanary("refusal", bytes.ReplaceAll(body, []byte(r.Agency), nil))
	if len(e.Common.Released) > 0 || len(e.Common.Obligations) > 0 || len(got.Withheld) == 0 {
		w.t.Errorf("a refusal that releases something, or that gives no reason")
	}
	if !reflect.DeepEqual(got.Withheld, e.Common.Withheld) {
		w.t.Errorf("the refusal and its event differ")
	}
}

// verifyAnswer: invariant 1.
func (w *world) verifyAnswer(r Request, body []byte, e Event) {
	var got answer
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		w.t.Fatalf("answer: %v", err)
	}
	if !reflect.DeepEqual(got.Granted, e.Common.Released) || !reflect.DeepEqual(got.Withheld, e.Common.Withheld) ||
		!reflect.DeepEqual(got.Obligations, e.Common.Obligations) || len(got.Unavailable) != len(e.Common.Unavailable) {
		w.t.Errorf("the answer and its event differ")
	}
	trees := map[Subject]map[string]any{Household: got.Household}
	for _, p := range got.Persons {
		ref := Subject(p["subject"].(string))
		delete(p, "subject")
		trees[ref] = p
	}
	given := map[Subject][]Field{}
	for _, g := range got.Granted {
		w.verifyGrant(r, e, g)
		v, there := take(trees[g.Subject], g.Field)
		missing := slices.ContainsFunc(got.Unavailable, func(u Unreached) bool { return u.Field == g.Field && u.Subject == g.Subject })
		switch {
		case there == missing:
			w.t.Errorf("%s of %s: there %v, unavailable %v", g.Field, g.Subject, there, missing)
		case there:
			given[g.Subject] = append(given[g.Subject], g.Field)
			w.verifyValue(e, g, v)
		}
	}
	for _, u := range got.Unavailable {
		if !slices.ContainsFunc(got.Granted, func(g Released) bool { return u.Field == g.Field && u.Subject == g.Subject }) {
			w.t.Errorf("%s of %s is unavailable and was not granted", u.Field, u.Subject)
		}
	}
	for ref, tree := range trees {
		for _, k := range testCatalog().Companions {
			if _, there := take(tree, k.Path); there && !slices.ContainsFunc(given[ref], func(f Field) bool { return under(f, k.With) }) {
				w.t.Errorf("%s without a field it belongs to", k.Path)
			}
		}
		if rest := leaves(tree); rest != 0 {
			w.t.Errorf("%d values of %s that nobody granted: %v", rest, ref, tree)
		}
	}
	for _, f := range r.Fields { // every field is accounted for, once for each person who appears
		said := map[Subject]int{}
		for _, g := range got.Granted {
			if g.Field == f {
				said[g.Subject]++
			}
		}
		for _, x := range got.Withheld {
			if x.Field == f {
				said[x.Subject]++
			}
		}
		info, _ := testCatalog().Field(f)
		if len(said) == 0 {
			w.t.Errorf("%s is neither granted nor withheld", f)
		}
		for ref := range trees {
			must := (ref == Household) == (info.Subject == SubjectHousehold)
			if n := said[ref]; n > 1 || (must && n == 0) {
				w.t.Errorf("%s is said %d times of %s", f, n, ref)
			}
		}
	}
}

// verifyGrant: granted in this form on every facts the register gave, as they are and with what holders showed.
func (w *world) verifyGrant(r Request, e Event, g Released) {
	bsn := BSN("")
	for _, p := range e.Subjects {
		if p.Subject == g.Subject {
			bsn = p.BSN
		}
	}
	for n, f := range w.used {
		all := []Facts{f, f.with(w.shown), f.with(w.shown, w.later)}
		if n > 0 { // what was seen before stays seen
			all = all[2:]
		}
		for _, f := range all {
			i := slices.IndexFunc(f.Household, func(p Person) bool { return p.BSN == bsn })
			if g.Subject != Household && i < 0 {
				w.t.Errorf("%s of someone who is not in the household", g.Field)
				return
			}
			if f.holdsBack(w.catalogs[f.Revision], i, g.Field) {
				w.t.Errorf("%s of %s was released, and facts %d restrict its processing", g.Field, g.Subject, n)
			}
			if d := w.decide(f.Revision, wantQuery(r, w.catalogs[f.Revision], f, i)); d.Grants[g.Field].Form != g.Form {
				w.t.Errorf("%s of %s was released, and facts %d do not grant it as %s", g.Field, g.Subject, n, g.Form)
			}
		}
	}
}

var formed = map[Form]*regexp.Regexp{
	FormYesNo: regexp.MustCompile(`^(true|false)$`), FormYear: regexp.MustCompile(`^\d{1,4}$`), FormMasked: regexp.MustCompile(`••`),
	FormAgeBand:    regexp.MustCompile(`^(\[?("(0-11|12-15|16-17|18\+|unknown)",?)*\]?)$`),
	FormAmountBand: regexp.MustCompile(`^"(0|\d+-\d+|25000\+)"$`), FormInitials: regexp.MustCompile(`^"(\p{L}\.)+"$`),
	FormPseudonym: regexp.MustCompile(`^"pseudonym-\d"$`),
}

// verifyValue: in its form, and an exact value is what the holder asked gave for this field about this subject.
func (w *world) verifyValue(e Event, g Released, v any) {
	text := mustJSON(v)
	if v == nil || strings.HasPrefix(string(g.Field), "huishouden.") {
		return
	}
	if re := formed[g.Form]; re != nil {
		if !re.Match(text) {
			w.t.Errorf("%s in form %s: %s", g.Field, g.Form, text)
		}
		return
	}
	for _, a := range w.asks {
		who := a.ask.BSN.Reveal()
		if a.ask.Identity != nil {
			who = a.ask.Identity.FamilyName
		}
		if g.Subject != Household && w.ref(e, bsnOf(a.ask)) != g.Subject || !slices.Contains(a.ask.Fields, g.Field) {
			continue
		}
		if bytes.Equal(text, mustJSON(w.sources[a.holder].records[who].Values[g.Field])) {
			return
		}
	}
	w.t.Errorf("%s of %s is %s, which no holder that was asked gave", g.Field, g.Subject, text)
}
