package retention

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// File is where a policy has its terms.
const File = "schakel/retention/data.json"

// Activities that are no purpose of the policy.
const (
	Staff = "staff" // who asked, looked or changed something; of an officer from when they are suspended, of a team from when it ended
	Cases = "cases" // what the register knows of a case; its term begins when the case is closed
	// What residents asked, with the answers, and who represents them; its term begins with the last answer, or when nobody
	// represents them any more.
	Residents = "residents"
)

// Terms says for how long what is recorded for an activity may be read.
type Terms struct {
	DecidedBy broker.Text             `json:"decided_by"` // who decides these terms, and on what they rest
	Staff     Term                    `json:"staff"`
	Cases     Term                    `json:"cases"`
	Residents Term                    `json:"residents"` // none in a policy of before: then nothing of them goes
	Purposes  map[broker.Purpose]Term `json:"purposes"`
}

// ReadTerms reads the terms of a policy. A policy without them erases nothing.
func ReadTerms(files map[string][]byte) (Terms, error) {
	data, ok := files[File]
	if !ok {
		return Terms{}, fmt.Errorf("the policy in force has no %s: propose one with the terms of your organisation", File)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var t Terms
	if err := d.Decode(&t); err != nil {
		return Terms{}, fmt.Errorf("read %s: %w", File, err)
	}
	if t.Staff == (Term{}) || t.Cases == (Term{}) || t.DecidedBy.NL == "" {
		return Terms{}, fmt.Errorf("read %s: it needs a term for staff and for cases, and who decides", File)
	}
	return t, nil
}

// Of gives the term of a purpose in ISO 8601; "" where there is none.
func (t Terms) Of(p broker.Purpose) string {
	if term, ok := t.Purposes[p]; ok {
		return term.String()
	}
	return ""
}

// of gives the term of an activity; not ok where there is none.
func (t Terms) of(activity string) (Term, bool) {
	switch activity {
	case Staff:
		return t.Staff, true
	case Cases:
		return t.Cases, true
	case Residents:
		return t.Residents, t.Residents != (Term{})
	}
	term, ok := t.Purposes[broker.Purpose(activity)]
	return term, ok
}

// Term is a duration by the calendar: ISO 8601 in years, months and days, P5Y or P1Y6M.
type Term struct{ years, months, days int }

// ParseTerm reads a term of one day at least.
func ParseTerm(text string) (Term, error) {
	bad := errors.New("a term is years, months and days as in P5Y or P1Y6M, and at least P1D")
	rest, ok := strings.CutPrefix(text, "P")
	var t Term
	for _, unit := range []struct {
		letter string
		to     *int
	}{{"Y", &t.years}, {"M", &t.months}, {"D", &t.days}} {
		digits, after, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > 10_000 {
			return Term{}, bad
		}
		*unit.to, rest = n, after
	}
	if !ok || rest != "" || t == (Term{}) || t.String() != text {
		return Term{}, bad
	}
	return t, nil
}

// String gives the term as ISO 8601.
func (t Term) String() string {
	var b strings.Builder
	b.WriteByte('P')
	for _, unit := range []struct {
		n      int
		letter byte
	}{{t.years, 'Y'}, {t.months, 'M'}, {t.days, 'D'}} {
		if unit.n > 0 {
			b.WriteString(strconv.Itoa(unit.n))
			b.WriteByte(unit.letter)
		}
	}
	return b.String()
}

// MarshalText implements encoding.TextMarshaler.
func (t Term) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Term) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTerm(string(text))
	return err
}

// End gives the moment at which a term that begins at t is over: the end of that day, by the calendar in Amsterdam.
func (t Term) End(begin time.Time) time.Time {
	b := begin.In(broker.Amsterdam())
	return time.Date(b.Year()+t.years, b.Month()+time.Month(t.months), b.Day()+t.days+1, 0, 0, 0, 0, b.Location())
}
