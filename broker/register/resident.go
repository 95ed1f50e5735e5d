package register

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
)

// RequestKind is a right that a resident uses.
type RequestKind string

// Closed list of RequestKind.
const (
	RequestCorrection  RequestKind = "correction"  // AVG 16: something is wrong
	RequestRestriction RequestKind = "restriction" // AVG 18: share nothing for now
	RequestObjection   RequestKind = "objection"   // AVG 21: it should not be shared
	RequestComplaint   RequestKind = "complaint"   // how somebody's data was dealt with
)

// RequestKinds lists them.
func RequestKinds() []RequestKind {
	return []RequestKind{RequestCorrection, RequestRestriction, RequestObjection, RequestComplaint}
}

// Outcome is what became of a resident's request.
type Outcome string

// Closed list of Outcome.
const (
	OutcomeGranted Outcome = "granted"
	OutcomePartly  Outcome = "partly"
	OutcomeRefused Outcome = "refused"
)

// Outcomes lists them.
func Outcomes() []Outcome { return []Outcome{OutcomeGranted, OutcomePartly, OutcomeRefused} }

// ResidentRequest is what a resident asks about their own data, or their representative for them.
type ResidentRequest struct {
	ID      string      `json:"id"`              // ResidentNumber; the resident is told it
	About   broker.BSN  `json:"about"`           // whose data it is about
	By      broker.BSN  `json:"by,omitempty"`    // the representative who asks; "" where it is About
	Kind    RequestKind `json:"kind"`            //
	Event   string      `json:"event,omitempty"` // the disclosure it is about: the hash of its event; "" for none in particular
	Text    string      `json:"text"`            // in their own words, at most 4000 characters
	TakenBy OfficerRef  `json:"takenBy,omitempty"`
}

// RequestState is a request with what became of it.
type RequestState struct {
	ResidentRequest
	Made     time.Time      `json:"made"`
	Extended string         `json:"extended,omitempty"` // why it takes longer, where it does
	Answer   *RequestAnswer `json:"answer,omitempty"`
}

// RequestAnswer is what an officer answered.
type RequestAnswer struct {
	Outcome Outcome    `json:"outcome"`
	Text    string     `json:"text"`
	Officer OfficerRef `json:"officer"`
	When    time.Time  `json:"when"`
}

// Due is the last day to answer: one month after it was made, three where it was extended (AVG 12(3)). A month that has no
// such day ends with its last, and a term does not end on a Saturday, a Sunday or a holiday (Regulation 1182/71, art. 3; Algemene
// termijnenwet, art. 3).
func (r RequestState) Due() broker.Date {
	months := 1
	if r.Extended != "" {
		months = 3
	}
	made := r.Made.In(broker.Amsterdam())
	day := time.Date(made.Year(), made.Month()+time.Month(months), 1, 12, 0, 0, 0, broker.Amsterdam())
	day = day.AddDate(0, 0, min(made.Day(), day.AddDate(0, 1, -1).Day())-1)
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday || holiday(day) {
		day = day.AddDate(0, 0, 1)
	}
	return broker.Date{Year: day.Year(), Month: int(day.Month()), Day: day.Day()}
}

// ResidentNumber makes the number of a request or representation: short enough to be said on the telephone, and with nothing
// of a person in it.
func ResidentNumber() string {
	const letters = "23456789BCDFGHJKMNPQRSTVWXZ" // none that is taken for another
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// keyOfResident is the key of what a resident asked and who represents them. It is apart from that of their cases: those are
// of agencies.
func keyOfResident(touch TouchFunc, about broker.BSN) (keyID, part string) {
	return residentKey(touch.ofSubject(about)), "resident"
}

// openAtMost bounds how many requests about one person wait for an answer.
const openAtMost = 20

// ErrManyOpen tells that so many requests about a person wait for an answer that no more are taken.
var ErrManyOpen = fmt.Errorf("%d requests about this person wait for an answer; answer those first", openAtMost)

// MakeRequest records a request.
type MakeRequest struct{ ResidentRequest }

func (MakeRequest) kind() string                               { return "request.made" }
func (MakeRequest) touches(env) []broker.Touch                 { return nil }
func (c MakeRequest) key(touch TouchFunc) (keyID, part string) { return keyOfResident(touch, c.About) }

func (c MakeRequest) check(e env) (Command, error) {
	bad := func(err error) (Command, error) { return nil, fmt.Errorf("make request: %w", err) }
	if err := e.newResidentID(c.ID); err != nil {
		return bad(err)
	}
	err := checkResidents(c.About, c.By)
	if err == nil {
		err = e.notErasing(c.About)
	}
	if err != nil {
		return bad(err)
	}
	if !slices.Contains(RequestKinds(), c.Kind) {
		return bad(fmt.Errorf("its kind is one of %s", joined(RequestKinds())))
	}
	if c.Event != "" && new(broker.Hash).UnmarshalText([]byte(c.Event)) != nil {
		return bad(errors.New("the disclosure it is about is named by its number, 64 hex digits"))
	}
	if err := checkWords("what is asked", c.Text); err != nil {
		return bad(err)
	}
	if c.TakenBy != "" {
		if _, err := e.acting(c.TakenBy, broker.Text{NL: "een verzoek opnemen", EN: "take a request down"}, RoleFG, RolePrivacyOfficer); err != nil {
			return bad(err)
		}
	}
	open := 0
	for _, r := range e.allRequests() {
		if r != nil && r.About == c.About && r.Answer == nil {
			open++
		}
	}
	if open >= openAtMost {
		return bad(ErrManyOpen)
	}
	return c, nil
}

func (c MakeRequest) apply(e env, _ broker.Position) error {
	e.requests.put(c.ID, &RequestState{ResidentRequest: c.ResidentRequest, Made: e.when})
	return nil
}

// newResidentID makes sure that a number is one, and of nothing yet.
func (e env) newResidentID(id string) error {
	if err := checkID("a request", id); err != nil {
		return err
	}
	if e.requests.get(id) != nil || e.representations.get(id) != nil {
		return errors.New("this number is in use; draw another")
	}
	return nil
}

// checkResidents makes sure that whom it is about and who asks are persons, and two where there are two.
func checkResidents(about, by broker.BSN) error {
	if _, err := broker.ParseBSN(about.Reveal()); err != nil {
		return err
	}
	if by == "" {
		return nil
	}
	if _, err := broker.ParseBSN(by.Reveal()); err != nil {
		return err
	}
	if by == about {
		return errors.New("nobody represents themselves")
	}
	return nil
}

func checkWords(what, text string) error {
	if n := utf8.RuneCountInString(text); n == 0 || n > 4000 || !utf8.ValidString(text) {
		return fmt.Errorf("write down %s, in 1 to 4000 characters", what)
	}
	return nil
}

// ExtendRequest takes two months more for an answer, and tells why within the first (AVG 12(3)).
type ExtendRequest struct {
	ID      string     `json:"id"`
	About   broker.BSN `json:"about"`
	Officer OfficerRef `json:"officer"`
	Why     string     `json:"why"`
}

func (ExtendRequest) kind() string               { return "request.extended" }
func (ExtendRequest) touches(env) []broker.Touch { return nil }
func (c ExtendRequest) key(touch TouchFunc) (keyID, part string) {
	return keyOfResident(touch, c.About)
}

func (c ExtendRequest) check(e env) (Command, error) {
	r, err := e.waiting(c.ID, c.About, c.Officer)
	switch {
	case err != nil:
	case r.Extended != "":
		err = broker.Told("De termijn is al verlengd, en dat kan één keer.", "it was extended already, and that can be done once")
	case earlier(r.Due(), today(e.now)):
		err = broker.Told("De termijn is voorbij; dat het langer duurt moet binnen een maand zijn gezegd.",
			"its term is over; that it takes longer has to be told within a month")
	default:
		err = checkWords("why it takes longer", c.Why)
	}
	if err != nil {
		return nil, fmt.Errorf("extend request: %w", err)
	}
	return c, nil
}

func (c ExtendRequest) apply(e env, _ broker.Position) error {
	return e.changeRequest(c.ID, func(r *RequestState) { r.Extended = c.Why })
}

// AnswerRequest answers a request. What the resident can do next, the page says.
type AnswerRequest struct {
	ID      string     `json:"id"`
	About   broker.BSN `json:"about"`
	Officer OfficerRef `json:"officer"`
	Outcome Outcome    `json:"outcome"`
	Text    string     `json:"text"`
}

func (AnswerRequest) kind() string               { return "request.answered" }
func (AnswerRequest) touches(env) []broker.Touch { return nil }
func (c AnswerRequest) key(touch TouchFunc) (keyID, part string) {
	return keyOfResident(touch, c.About)
}

func (c AnswerRequest) check(e env) (Command, error) {
	_, err := e.waiting(c.ID, c.About, c.Officer)
	switch {
	case err != nil:
	case !slices.Contains(Outcomes(), c.Outcome):
		err = fmt.Errorf("the outcome is %s", joined(Outcomes()))
	default:
		err = checkWords("the answer, for the resident to read", c.Text)
	}
	if err != nil {
		return nil, fmt.Errorf("answer request: %w", err)
	}
	return c, nil
}

func (c AnswerRequest) apply(e env, _ broker.Position) error {
	return e.changeRequest(c.ID, func(r *RequestState) {
		r.Answer = &RequestAnswer{Outcome: c.Outcome, Text: c.Text, Officer: c.Officer, When: e.when}
	})
}

// waiting finds a request that waits for an answer, for an officer who may answer it.
func (e env) waiting(id string, about broker.BSN, officer OfficerRef) (*RequestState, error) {
	if _, err := e.acting(officer, broker.Text{NL: "een inwoner antwoorden", EN: "answer a resident"}, RoleFG, RolePrivacyOfficer); err != nil {
		return nil, err
	}
	r := e.requests.get(id)
	switch {
	case r == nil:
		return nil, errUnknownRequest
	case r.About != about:
		return nil, errors.New("this request is about another")
	case r.Answer != nil:
		return nil, broker.Told("Dit bericht is al beantwoord; een inwoner die het er niet mee eens is doet een nieuw verzoek.",
			"it was answered already; a resident who disagrees makes a new request")
	}
	return r, nil
}

var errUnknownRequest = errors.New("there is no request with this number; `schakel resident request list` shows them")

// changeRequest replaces a request by a changed copy. One that is not there was erased.
func (s *state) changeRequest(id string, change func(*RequestState)) error {
	old := s.requests.get(id)
	if old == nil {
		return nil
	}
	r := *old
	change(&r)
	s.requests.put(id, &r)
	return nil
}

// allRequests gives every request of a state, also of those that lie over another.
func (s *state) allRequests() []*RequestState { return s.requests.all() }

// all gives what is in a layer and those below it.
func (l *layer[K, V]) all() []V {
	seen := map[K]bool{}
	var out []V
	for ; l != nil; l = l.below {
		for k, v := range l.own {
			if !seen[k] {
				seen[k], out = true, append(out, v)
			}
		}
	}
	return out
}

// Request finds a request by its number.
func (r *Register) Request(id string) (RequestState, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if q := r.state.requests.get(id); q != nil {
		return *q, true
	}
	return RequestState{}, false
}

// Requests lists all requests, the oldest first.
func (r *Register) Requests() []RequestState {
	return r.requests(func(*RequestState) bool { return true })
}

// RequestsOf lists the requests about somebody, and those that they made for others, the oldest first.
func (r *Register) RequestsOf(bsn broker.BSN) []RequestState {
	return r.requests(func(q *RequestState) bool { return q.About == bsn || q.By == bsn })
}

func (r *Register) requests(which func(*RequestState) bool) []RequestState {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []RequestState
	for _, q := range r.state.requests.own {
		if q != nil && which(q) {
			out = append(out, *q)
		}
	}
	slices.SortFunc(out, func(a, b RequestState) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID)) })
	return out
}
