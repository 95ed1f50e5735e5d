package search

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/schakel/schakel/broker"
)

// Kind is what a condition is about.
type Kind string

// Closed list of Kind, as qualifiers are written.
const (
	Agency   Kind = "agency"   // OIN of who asked
	Role     Kind = "role"     // of who asked
	Worker   Kind = "worker"   // who asked
	Purpose  Kind = "purpose"  // for which was asked
	Case     Kind = "case"     // of the household
	Field    Kind = "field"    // that was asked, given or not
	Decision Kind = "decision" // given, partly or refused
	Reason   Kind = "reason"   // why something was withheld
	Revision Kind = "revision" // of the policy that decided: 12 to 64 hex digits from the front
)

// What a decision can come to.
const (
	Given   = "given"   // all that was asked
	Partly  = "partly"  // some of it
	Refused = "refused" // nothing
)

// names are the qualifiers, in English and Dutch; before and after are no conditions.
var names = map[string]Kind{
	"agency": Agency, "organisatie": Agency, "role": Role, "rol": Role, "worker": Worker, "medewerker": Worker, "purpose": Purpose, "doel": Purpose,
	"case": Case, "zaak": Case, "field": Field, "veld": Field, "decision": Decision, "besluit": Decision, "reason": Reason, "reden": Reason,
	"revision": Revision, "revisie": Revision,
}

var decisions = map[string]string{"given": Given, "verstrekt": Given, "partly": Partly, "deels": Partly, "refused": Refused, "geweigerd": Refused}

// Condition is one thing that an event must have, or with Not must not have.
type Condition struct {
	Kind  Kind
	Value string
	Not   bool
}

// Query is what is sought: events that meet every condition, in the window.
type Query struct {
	Conditions    []Condition
	Answer        broker.RequestID // the id of one answer; "" for any
	After, Before time.Time        // After included and Before not; a zero time is no bound
}

// Fault is what is wrong with a question, for who typed it.
type Fault struct{ broker.Text }

func (f Fault) Error() string { return f.EN }

func fault(nl, en string, word string) error {
	return Fault{broker.Text{NL: fmt.Sprintf(nl, word), EN: fmt.Sprintf(en, word)}}
}

var (
	answerID   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	revisionID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)
)

// maxConditions bounds what one question costs.
const maxConditions = 20

// Parse reads a question as it is typed: qualifiers with a value after a colon, between quotes where it has spaces, with a
// minus before what must not hold. Days begin in Amsterdam. Its errors are a Fault.
func Parse(text string) (Query, error) {
	var q Query
	words, err := split(text)
	if err != nil {
		return q, err
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, ":")
		not := strings.HasPrefix(name, "-")
		name = strings.ToLower(strings.TrimPrefix(name, "-"))
		if !ok || value == "" {
			return q, fault("%q is geen zoekterm: schrijf een kenmerk en een waarde, zoals rol:wijkteammedewerker", "%q is no search term: write a qualifier and a value, such as role:wijkteammedewerker", word)
		}
		switch name {
		case "before", "voor", "after", "na":
			to := &q.Before
			if name == "after" || name == "na" {
				to = &q.After
			}
			if *to, err = moment(value); err != nil || not {
				return q, fault("%q is geen moment: schrijf een dag zoals 2026-11-30, of een tijd zoals 2026-11-30T14:30", "%q is no moment: write a day such as 2026-11-30, or a time such as 2026-11-30T14:30", value)
			}
			continue
		}
		kind, ok := names[name]
		if !ok {
			return q, fault("het kenmerk %q bestaat niet", "there is no qualifier %q", name)
		}
		switch kind {
		case Decision:
			if id := strings.ToLower(value); answerID.MatchString(id) && !not && q.Answer == "" {
				q.Answer = broker.RequestID(id)
				continue
			}
			if value, ok = decisions[strings.ToLower(value)]; !ok {
				return q, fault("een besluit is verstrekt, deels of geweigerd, of het kenmerk van een antwoord; %s is dat niet", "a decision is given, partly or refused, or the id of an answer; %s is not", word)
			}
		case Revision:
			if value = strings.ToLower(value); !revisionID.MatchString(value) {
				return q, fault("een revisie is ten minste 12 hexadecimale tekens; %q is dat niet", "a revision is at least 12 hex digits; %q is not", value)
			}
		}
		q.Conditions = append(q.Conditions, Condition{kind, value, not})
	}
	if len(q.Conditions) > maxConditions {
		return q, fault("te veel voorwaarden (%s)", "too many conditions (%s)", fmt.Sprint(len(q.Conditions)))
	}
	if !q.After.IsZero() && !q.Before.IsZero() && !q.After.Before(q.Before) {
		return q, fault("de periode eindigt voordat zij begint%s", "the window ends before it begins%s", "")
	}
	return q, nil
}

// split cuts a question into words, which have spaces only between quotes.
func split(text string) (words []string, err error) {
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case unicode.IsSpace(r) && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quoted {
		return nil, fault("een aanhalingsteken gaat niet dicht%s", "a quote is not closed%s", "")
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

func moment(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, broker.Amsterdam()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("no moment")
}

// String writes the question as it can be typed, in English.
func (q Query) String() string {
	var words []string
	add := func(not bool, name, value string) {
		if strings.ContainsFunc(value, unicode.IsSpace) {
			value = `"` + value + `"`
		}
		if not {
			name = "-" + name
		}
		words = append(words, name+":"+value)
	}
	for _, c := range q.Conditions {
		add(c.Not, string(c.Kind), c.Value)
	}
	if q.Answer != "" {
		add(false, "decision", string(q.Answer))
	}
	for _, bound := range []struct {
		name string
		at   time.Time
	}{{"after", q.After}, {"before", q.Before}} {
		if !bound.at.IsZero() {
			add(false, bound.name, bound.at.Format(time.RFC3339))
		}
	}
	return strings.Join(words, " ")
}

// window narrows the window to where an answer can be: its id holds its time (UUIDv7, RFC 9562).
func (q Query) window() (after, before time.Time) {
	after, before = q.After, q.Before
	if q.Answer != "" {
		var ms int64
		_, _ = fmt.Sscanf(strings.ReplaceAll(string(q.Answer), "-", "")[:12], "%012x", &ms)
		from, to := time.UnixMilli(ms).Add(-time.Hour), time.UnixMilli(ms).Add(time.Hour)
		if after.Before(from) {
			after = from
		}
		if before.IsZero() || to.Before(before) {
			before = to
		}
	}
	return after, before
}

// meets tells whether what an event has meets every condition.
func (q Query) meets(h Hit) bool {
	if q.Answer != "" && h.Answer != q.Answer {
		return false
	}
	if h.Time.Before(q.After) || (!q.Before.IsZero() && !h.Time.Before(q.Before)) {
		return false
	}
	words := h.words()
	for _, c := range q.Conditions {
		has := slices.Contains(words, c.word())
		if has && c.Kind == Revision {
			has = slices.ContainsFunc(h.Revisions, func(r broker.Revision) bool { return strings.HasPrefix(string(r), c.Value) })
		}
		if has == c.Not {
			return false
		}
	}
	return true
}

// shortRevision is how much of a revision stands in the index.
const shortRevision = 12

// word gives what of a condition the index has.
func (c Condition) word() word {
	if c.Kind == Revision {
		return word{Revision, c.Value[:shortRevision]}
	}
	return word{c.Kind, c.Value}
}
