package register

import (
	"errors"
	"slices"
	"strings"
)

// Names of the data keys of who an officer is, and of who is in a team.
const (
	officerKeys = "officer:"
	teamKeys    = "team:"
)

// IsStaffKey tells whether a data key is of who an officer is, or of who is in a team.
func IsStaffKey(keyID string) bool {
	return strings.HasPrefix(keyID, officerKeys) || strings.HasPrefix(keyID, teamKeys)
}

// staffEnded gives the keys of whom and what serves no more: an officer who is suspended, which is for ever, and a team in which
// nobody is.
func (s *state) staffEnded(touch TouchFunc) map[string]bool {
	out := map[string]bool{}
	for _, o := range s.allOfficers() {
		out[keyOfOfficer(o.Ref)] = o.Suspended
	}
	for key, name := range s.teamKeys(touch) {
		t := s.teams.get(name)
		out[key] = t != nil && len(t.workers) == 0
	}
	return out
}

// teamKeys gives the teams by their data keys.
func (s *state) teamKeys(touch TouchFunc) map[string]Team {
	out := map[string]Team{}
	for l := &s.teams; l != nil; l = l.below {
		for name := range l.own {
			out[keyOfTeam(touch, name)] = name
		}
	}
	return out
}

// mayEraseStaff makes sure that nothing under these keys is in use.
func (e env) mayEraseStaff(keys []string) error {
	if len(keys) > MaxErased {
		return errors.New("it is of too many officers and teams at once")
	}
	if len(keys) == 0 {
		return nil
	}
	ended := e.staffEnded(e.touch)
	for _, key := range keys {
		if !ended[key] {
			return errors.New("it is of an officer who is not suspended, or of a team with workers")
		}
	}
	return nil
}

// notErasingTeam refuses what would be written under a team's key that is being erased now.
func (e env) notErasingTeam(t Team) error {
	if n := len(e.erasures); n > 0 && e.erasures[n-1].Ended.IsZero() && slices.Contains(e.erasures[n-1].Staff, keyOfTeam(e.touch, t)) {
		return errors.New("who was in this team before is being erased; try again in a few minutes")
	}
	return nil
}

// forgetStaff drops who these officers are, and these teams.
func (s *state) forgetStaff(keys []string, touch TouchFunc) {
	if len(keys) == 0 {
		return
	}
	for _, o := range s.allOfficers() {
		if slices.Contains(keys, keyOfOfficer(o.Ref)) {
			bare := *o
			bare.ID = ""
			s.officers.put(o.Ref, &bare)
		}
	}
	teams := s.teamKeys(touch)
	for _, key := range keys {
		if name, is := teams[key]; is {
			s.teams.put(name, nil)
		}
	}
}

// staffNow is staffEnded of the register as it is now.
func (r *Register) staffNow() map[string]bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.staffEnded(r.cfg.Touch)
}
