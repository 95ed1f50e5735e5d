package register

import (
	"errors"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
)

// residentKey names the data key of what a resident asked and who represents them.
func residentKey(about broker.Touch) string { return residentKeys + string(about) }

const residentKeys = "resident:"

// ResidentOf gives whom the data key of a resident is about, as an opaque key; not ok for another key.
func ResidentOf(keyID string) (broker.Touch, bool) {
	touch, ok := strings.CutPrefix(keyID, residentKeys)
	return broker.Touch(touch), ok
}

// ResidentKey names the data key of what a person asked and who represents them.
func (r *Register) ResidentKey(bsn broker.BSN) string {
	return residentKey(r.cfg.Touch.ofSubject(bsn))
}

// residentUse tells for what something of a resident is kept.
type residentUse struct {
	waits       bool        // a request waits for an answer
	restricted  bool        // nothing of them is given, which only who finds the request can lift
	represented broker.Date // up to which day somebody represents them
}

// serves says why what is kept of a resident is in use still; nil where it is not.
func (u residentUse) serves(day broker.Date) error {
	switch {
	case u.waits:
		return errors.New("a request of this person waits for an answer; answer it first (`schakel resident request answer`)")
	case u.restricted:
		return errors.New("nothing of this person is given now, by one of their requests; lift that first (`schakel resident request lift`)")
	case !earlier(u.represented, day):
		return errors.New("somebody represents this person; end that first (`schakel resident represent end`)")
	}
	return nil
}

// residentUses tells it of everybody of whom there is something.
func (s *state) residentUses(touch TouchFunc) map[broker.Touch]residentUse {
	out := map[broker.Touch]residentUse{}
	for _, q := range s.requests.all() {
		if q != nil {
			t := touch.ofSubject(q.About)
			u := out[t]
			u.waits, u.restricted = u.waits || q.Answer == nil, s.restricted.get(t)
			out[t] = u
		}
	}
	for _, p := range s.representations.all() {
		if p != nil {
			t := touch.ofSubject(p.About)
			u := out[t]
			if earlier(u.represented, p.Until) {
				u.represented = p.Until
			}
			out[t] = u
		}
	}
	return out
}

// ResidentInUse says why what the register has of a resident is in use still; nil where it is not, and may be erased.
func (r *Register) ResidentInUse(bsn broker.BSN) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.residentUses(r.cfg.Touch)[r.cfg.Touch.ofSubject(bsn)].serves(today(r.cfg.Now()))
}

// residentsEnd tells of each resident of whom there is something since when that serves no more, at the latest: the end of what
// represents them. Zero where it serves still.
func (r *Register) residentsEnd() map[string]time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := map[string]time.Time{}
	for t, u := range r.state.residentUses(r.cfg.Touch) {
		d := u.represented
		end := time.Date(d.Year, time.Month(d.Month), d.Day+1, 0, 0, 0, 0, broker.Amsterdam())
		if u.serves(today(r.cfg.Now())) != nil {
			end = time.Time{}
		}
		out[residentKey(t)] = end
	}
	return out
}

// MaxErased bounds of how many residents, and of how many officers and teams, one erasure takes what the register has of them.
const MaxErased = 2000

// mayErase makes sure that nothing of these residents is in use.
func (e env) mayErase(residents []broker.Touch) error {
	if len(residents) > MaxErased {
		return errors.New("it is of too many residents at once")
	}
	if len(residents) == 0 {
		return nil
	}
	uses := e.residentUses(e.touch)
	for _, t := range residents {
		if err := uses[t].serves(today(e.now)); err != nil {
			return err
		}
	}
	return nil
}

// notErasing refuses what would be written under a key that is being erased now.
func (e env) notErasing(about broker.BSN) error {
	n := len(e.erasures)
	if n == 0 || !e.erasures[n-1].Ended.IsZero() {
		return nil
	}
	for _, t := range e.erasures[n-1].Residents {
		if t == e.touch.ofSubject(about) {
			return errors.New("what was asked about this person before is being erased; try again in a few minutes")
		}
	}
	return nil
}

// forget drops what is known of residents.
func (s *state) forget(residents []broker.Touch, touch TouchFunc) {
	if len(residents) == 0 {
		return
	}
	gone := map[broker.Touch]bool{}
	for _, t := range residents {
		gone[t] = true
	}
	for _, q := range s.requests.all() {
		if q != nil && gone[touch.ofSubject(q.About)] {
			s.requests.put(q.ID, nil)
		}
	}
	for _, p := range s.representations.all() {
		if p != nil && gone[touch.ofSubject(p.About)] {
			s.representations.put(p.ID, nil)
		}
	}
}
