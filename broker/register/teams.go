package register

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// Worker is a member of staff of an agency.
type Worker struct {
	Agency broker.OIN      `json:"agency"`
	Worker broker.WorkerID `json:"worker"`
}

// Team is a team of an agency. Its name is chosen by the agency.
type Team struct {
	Agency broker.OIN `json:"agency"`
	Team   string     `json:"team"`
}

// SetTeam says who is in a team from now on; no workers ends it.
type SetTeam struct {
	Team
	Workers []broker.WorkerID `json:"workers"`
}

func (SetTeam) kind() string { return "team.set" }

// key is the team's own: all entries of a team can be read, or none.
func (c SetTeam) key(touch TouchFunc) (keyID, part string) {
	return keyOfTeam(touch, c.Team), "team"
}

func keyOfTeam(touch TouchFunc, t Team) string { return teamKeys + string(touch.ofTeam(t)) }

// touches are the team and those who come or go: nothing changes for who stays.
func (c SetTeam) touches(e env) []broker.Touch {
	out := []broker.Touch{e.touch.ofTeam(c.Team)}
	after := &team{workers: c.Workers}
	before := e.teams.get(c.Team)
	for _, w := range c.Workers {
		if !before.has(w) {
			out = append(out, e.touch.ofWorker(Worker{c.Agency, w}))
		}
	}
	if before == nil {
		return out
	}
	for _, w := range before.workers {
		if !after.has(w) {
			out = append(out, e.touch.ofWorker(Worker{c.Agency, w}))
		}
	}
	return out
}

func (c SetTeam) check(e env) (Command, error) {
	_, err := e.knownAgency(c.Agency)
	if err == nil {
		err = checkName("team", c.Team.Team)
	}
	if err == nil && len(c.Workers) > 500 {
		err = errors.New("a team has at most 500 workers")
	}
	if err == nil {
		err = e.notErasingTeam(c.Team)
	}
	for _, w := range c.Workers {
		if err == nil {
			err = checkName("worker", string(w))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("set team: %w", err)
	}
	workers := append([]broker.WorkerID{}, c.Workers...)
	slices.Sort(workers)
	c.Workers = slices.Compact(workers)
	return c, nil
}

func (c SetTeam) apply(e env, _ broker.Position) error {
	if !slices.IsSorted(c.Workers) {
		return errors.New("its workers are not in order")
	}
	e.teams.put(c.Team, &team{workers: c.Workers})
	return nil
}

// checkName checks a name that an agency chose: of a worker or a team. The error doesn't repeat it: a worker's name is
// nobody's business.
func checkName(what, s string) error {
	ok := s != "" && len(s) <= 100
	for _, r := range s {
		ok = ok && r > ' ' && r != 0x7f && r != 0xfffd
	}
	if !ok {
		return fmt.Errorf("the name of a %s is 1 to 100 bytes without spaces", what)
	}
	return nil
}
