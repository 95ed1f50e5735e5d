package register

import (
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
)

// state is everything the register knows. Records in it are never changed, only replaced, so that a second state can lie
// over one (see over) to try commands out, and readers can keep what they found.
type state struct {
	agencies   layer[broker.OIN, *agency]
	teams      layer[Team, *team]
	cases      cases
	agreements layer[string, *agreement]
	officers   layer[OfficerRef, *Officer]
	drafts     layer[int, *proposal]
	requests   layer[string, *RequestState] // nil for one that was erased

	representations layer[string, *Representation] // nil for one that ended
	restricted      layer[broker.Touch, bool]      // persons of whom nothing is given (AVG 18)
	policyState
	erasures []Erasure // in order
	restores int

	index *index // nil in a state that lies over another
}

// newState makes an empty state over cases.
func newState(shelf *shelf, persons int) *state {
	return &state{
		agencies:   newLayer[broker.OIN, *agency](nil),
		teams:      newLayer[Team, *team](nil),
		cases:      cases{shelf: shelf},
		agreements: newLayer[string, *agreement](nil),
		officers:   newLayer[OfficerRef, *Officer](nil),
		drafts:     newLayer[int, *proposal](nil),
		requests:   newLayer[string, *RequestState](nil),

		representations: newLayer[string, *Representation](nil),
		restricted:      newLayer[broker.Touch, bool](nil),

		index: newIndex(shelf.keys, persons),
	}
}

// over gives a state that begins as s and leaves s as it is.
func (s *state) over() *state {
	return &state{
		agencies:   newLayer(&s.agencies),
		teams:      newLayer(&s.teams),
		cases:      cases{shelf: s.cases.shelf, changed: map[broker.CaseID]*caseFile{}},
		agreements: newLayer(&s.agreements),
		officers:   newLayer(&s.officers),
		drafts:     newLayer(&s.drafts),
		requests:   newLayer(&s.requests),

		representations: newLayer(&s.representations),
		restricted:      newLayer(&s.restricted),

		policyState: s.policyState,
		erasures:    s.erasures,
		restores:    s.restores,
	}
}

// layer is a map that may lie over another.
type layer[K comparable, V any] struct {
	own   map[K]V
	below *layer[K, V]
}

func newLayer[K comparable, V any](below *layer[K, V]) layer[K, V] {
	return layer[K, V]{own: map[K]V{}, below: below}
}

// get gives the zero value for what is absent.
func (l *layer[K, V]) get(k K) V {
	v, ok := l.own[k]
	if !ok && l.below != nil {
		return l.below.get(k)
	}
	return v
}

func (l *layer[K, V]) put(k K, v V) { l.own[k] = v }

// agency is an agency with its touch, which is asked for with every request.
type agency struct {
	broker.Agency
	touch broker.Touch
}

// team is who is in a team, sorted.
type team struct{ workers []broker.WorkerID }

func (t *team) has(w broker.WorkerID) bool {
	if t == nil {
		return false
	}
	_, ok := slices.BinarySearch(t.workers, w)
	return ok
}

// agreement is an agreement, and whether it was withdrawn: its id can't be used again.
type agreement struct {
	Agreement
	withdrawn bool
}

// caseFile is a case unpacked. Of a closed case only the id, kind, agency and when it was opened remain.
type caseFile struct {
	id           broker.CaseID
	kind         CaseKind
	closed       bool
	slot         uint32 // see shelf
	agency       broker.OIN
	municipality string
	opened       broker.Position
	members      []member
	holders      []caseHolder
	workers      []Worker
	teams        []Team
	coordinator  Worker
	consents     []Consent
	emergency    emergency
}

// member is one person of a case.
type member struct {
	bsn                  uint32
	year                 uint16
	month, day           uint8
	restricted, deceased bool
}

// caseHolder is a holder that the case names; members are indexes, empty for all.
type caseHolder struct {
	oin     broker.OIN
	members []int
}

type emergency struct {
	domains []broker.Domain
	until   time.Time
}

func (e emergency) declared() bool { return !e.until.IsZero() }

// packBSN gives the number of a BSN that was checked; 0 for any other text.
func packBSN(b broker.BSN) uint32 {
	if _, err := broker.ParseBSN(b.Reveal()); err != nil {
		return 0
	}
	var n uint32
	for _, c := range b.Reveal() {
		n = n*10 + uint32(c-'0')
	}
	return n
}

func (m member) reveal() broker.BSN {
	var digits [9]byte
	for i, n := len(digits)-1, m.bsn; i >= 0; i, n = i-1, n/10 {
		digits[i] = byte('0' + n%10)
	}
	return broker.BSN(digits[:])
}

func (m member) birth() broker.Date {
	return broker.Date{Year: int(m.year), Month: int(m.month), Day: int(m.day)}
}

// member finds a person; -1 where the case doesn't have them.
func (c *caseFile) member(bsn uint32) int {
	return slices.IndexFunc(c.members, func(m member) bool { return m.bsn == bsn })
}

// today is the calendar day in Amsterdam.
func today(now time.Time) broker.Date {
	t := now.In(broker.Amsterdam())
	return broker.Date{Year: t.Year(), Month: int(t.Month()), Day: t.Day()}
}

// covers tells whether day lies in from–until, both days included. Without until there is no end.
func covers(from, until, day broker.Date) bool {
	return !earlier(day, from) && (until == broker.Date{} || !earlier(until, day))
}

func earlier(a, b broker.Date) bool {
	if a.Year != b.Year {
		return a.Year < b.Year
	}
	if a.Month != b.Month {
		return a.Month < b.Month
	}
	return a.Day < b.Day
}
