package retention

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Dossier is what the register keeps under one key for an activity, and since when that serves no more; zero where it still does.
type Dossier struct {
	Key      string
	Activity string // Cases, Residents or Staff
	Parts    int
	Ended    time.Time
}

// SurveyConfig says what to survey.
type SurveyConfig struct {
	Log      audit.KeptConfig
	Keys     journal.Inventory
	Dossiers []Dossier // the cases, residents, officers and teams of the register
	Terms    Terms
	Now      time.Time
	Progress func(events int) // now and then; may be nil
}

// Selection narrows what may go. The zero Selection is everything of which the term has ended.
type Selection struct {
	Subjects []string // pseudonyms: the parts about this data subject only
	Resident string   // and the key of what the same person asked
	Case     string   // the key of a case: that only

	// BeforeTerm takes also what has a term that has not ended. Who says so must have made sure that nobody writes under these
	// keys any more: a case that is closed, a data subject of no open case and without a request that waits.
	BeforeTerm bool
}

func (s Selection) all() bool { return len(s.Subjects) == 0 && s.Resident == "" && s.Case == "" }

// Survey tells what is kept for each activity, and which keys may go.
type Survey struct {
	Activities []Activity `json:"activities"`
	Keys       []string   `json:"-"`           // that may go, sorted; they name data subjects by pseudonym
	Due        int        `json:"keys"`        // how many
	Generation []string   `json:"generations"` // the key-encryption keys that wrap them
	Untold     int        `json:"untold"`      // parts that can be read of which it is not known for which purpose: they stay
	Damaged    int        `json:"damaged"`     // events that can't be read
}

// Activity counts the parts that were recorded for one activity.
type Activity struct {
	Name   string     `json:"activity"`       // a purpose, Staff, Cases or Residents
	Term   *Term      `json:"term,omitempty"` // none: the policy has none, and nothing goes
	Parts  int        `json:"parts"`          // that can be read
	Ended  int        `json:"ended"`          // of these, the term has ended
	Due    int        `json:"due"`            // of these, their key may go: nothing else under it has a term that runs
	Erased int        `json:"erased"`         // that can't be read any more
	Oldest *time.Time `json:"oldest,omitempty"`
}

// held is what stands under one key.
type held struct {
	until time.Time // the last end of a term
	stays bool      // something under it has no term, or serves still
	by    []share
}

type share struct {
	activity     string
	parts, ended int
}

func (h *held) add(activity string, parts int, ended bool) {
	i := slices.IndexFunc(h.by, func(s share) bool { return s.activity == activity })
	if i < 0 {
		i = len(h.by)
		h.by = append(h.by, share{activity: activity})
	}
	h.by[i].parts += parts
	if ended {
		h.by[i].ended += parts
	}
}

// surveyor gathers.
type surveyor struct {
	SurveyConfig
	there      map[string]string // the keys that there are, with their generations
	held       map[string]*held
	activities map[string]*Activity
	survey     Survey
}

// Make reads the whole log, and no part of it but the purposes.
func Make(ctx context.Context, c SurveyConfig, s Selection) (Survey, error) {
	v := &surveyor{SurveyConfig: c, there: map[string]string{}, held: map[string]*held{}, activities: map[string]*Activity{}}
	err := scan(ctx, c.Keys, func(page []journal.WrappedKey) error {
		for _, k := range page {
			generation, err := keys.WrappedBy(k.Wrapped)
			if err != nil {
				return err
			}
			v.there[k.ID] = generation
		}
		return nil
	})
	if err != nil {
		return Survey{}, err
	}
	events := 0
	for e, err := range audit.KeptParts(ctx, c.Log) {
		if err != nil {
			return Survey{}, err
		}
		v.event(e)
		if events++; c.Progress != nil && events%10_000 == 0 {
			c.Progress(events)
		}
	}
	for _, d := range c.Dossiers {
		v.put(d.Key, d.Activity, d.Parts, d.Ended)
	}
	return v.judge(s), nil
}

// scan gives every wrapped key of a store, some more than once.
func scan(ctx context.Context, store journal.Inventory, take func([]journal.WrappedKey) error) error {
	for from := ""; ; {
		page, next, err := store.ScanKeys(ctx, from, atOnce)
		if err == nil {
			err = take(page)
		}
		if err != nil || next == "" {
			return err
		}
		from = next
	}
}

func (v *surveyor) event(e audit.Kept) {
	if e.Damaged {
		v.survey.Damaged++
	}
	if e.Staff != "" {
		v.put(e.Staff, Staff, 1, e.Time)
	}
	for _, key := range e.Subjects {
		v.put(key, string(e.Purpose), 1, e.Time)
	}
}

// put counts parts under a key, of an activity, that began to be kept at a moment; zero: they serve still.
func (v *surveyor) put(key, activity string, parts int, since time.Time) {
	_, there := v.there[key]
	if activity == "" { // not told by any part that can still be opened
		if there {
			v.survey.Untold += parts
			v.of(key).stays = true
		}
		return
	}
	a := v.activities[activity]
	if a == nil {
		a = &Activity{Name: activity}
		if term, ok := v.Terms.of(activity); ok {
			a.Term = &term
		}
		v.activities[activity] = a
	}
	if !there {
		a.Erased += parts
		return
	}
	a.Parts += parts
	if !since.IsZero() && (a.Oldest == nil || since.Before(*a.Oldest)) {
		a.Oldest = &since
	}
	h := v.of(key)
	if a.Term == nil || since.IsZero() {
		h.stays = true
		h.add(activity, parts, false)
		return
	}
	end := a.Term.End(since)
	if h.until.Before(end) {
		h.until = end
	}
	ended := !v.Now.Before(end)
	if ended {
		a.Ended += parts
	}
	h.add(activity, parts, ended)
}

func (v *surveyor) of(key string) *held {
	h := v.held[key]
	if h == nil {
		h = &held{}
		v.held[key] = h
	}
	return h
}

// judge finds which keys may go.
func (v *surveyor) judge(s Selection) Survey {
	generations := map[string]bool{}
	for key, h := range v.held {
		if !s.picks(key) {
			continue
		}
		ended := !h.stays && !v.Now.Before(h.until) && audit.PeriodEnded(key, v.Now)
		if !ended && !(s.BeforeTerm && !s.all()) {
			continue
		}
		v.survey.Keys = append(v.survey.Keys, key)
		generations[v.there[key]] = true
		for _, by := range h.by {
			v.activities[by.activity].Due += by.parts
		}
	}
	slices.Sort(v.survey.Keys)
	v.survey.Due = len(v.survey.Keys)
	v.survey.Generation = slices.Sorted(maps.Keys(generations))
	v.survey.Activities = []Activity{}
	for _, name := range slices.Sorted(maps.Keys(v.activities)) {
		v.survey.Activities = append(v.survey.Activities, *v.activities[name])
	}
	return v.survey
}

// picks tells whether a key is of what was selected.
func (s Selection) picks(key string) bool {
	if s.all() {
		return true
	}
	if key == s.Case || key == s.Resident {
		return true
	}
	pseudonym, is := audit.PseudonymOf(key)
	return is && slices.Contains(s.Subjects, pseudonym)
}
