package register

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schakel/schakel/broker"
)

// assignment is what Assign and Unassign have in common.
type assignment Assign

// Assign binds a worker or a team to a case; one of Worker and Team is set. A worker with Coordinator becomes its
// casusregisseur instead of who was.
type Assign struct {
	Case        broker.CaseID   `json:"case"`
	Agency      broker.OIN      `json:"agency"`
	Worker      broker.WorkerID `json:"worker,omitempty"`
	Team        string          `json:"team,omitempty"`
	Coordinator bool            `json:"coordinator,omitempty"`
}

func (a assignment) worker() Worker { return Worker{a.Agency, a.Worker} }
func (a assignment) team() Team     { return Team{a.Agency, a.Team} }

// wellFormed checks the assignment by itself.
func (a assignment) wellFormed() error {
	switch {
	case (a.Worker == "") == (a.Team == ""):
		return errors.New("give a worker or a team, and not both")
	case a.Coordinator && a.Worker == "":
		return errors.New("only a worker can be the coordinator")
	case a.Worker != "":
		return checkName("worker", string(a.Worker))
	}
	return checkName("team", a.Team)
}

// fits tells why this can't be added to a case.
func (a assignment) fits(e env, f *caseFile) error {
	if err := a.wellFormed(); err != nil {
		return err
	}
	if _, err := e.knownAgency(a.Agency); err != nil {
		return err
	}
	switch {
	case a.Coordinator && f.kind != KindCase:
		return errors.New("a signal or claim has no coordinator")
	case f.kind == KindClaim && (a.Worker == "" || a.Agency != f.agency):
		return fmt.Errorf("a claim is for workers of the agency that has it, %s, and not for teams", f.agency)
	case a.Team != "" && e.teams.get(a.team()) == nil:
		return errors.New("this team is unknown; set it first with `schakel register agency team`")
	case a.Team != "" && slices.Contains(f.teams, a.team()):
		return errors.New("this team is assigned already")
	case a.Coordinator && f.coordinator == a.worker():
		return errors.New("this worker is the coordinator already")
	case a.Worker != "" && !a.Coordinator && slices.Contains(f.workers, a.worker()):
		return errors.New("this worker is assigned already")
	}
	return nil
}

// to gives the case with it.
func (a assignment) to(f *caseFile) *caseFile {
	g := *f
	switch {
	case a.Coordinator:
		g.coordinator = a.worker()
	case a.Worker != "":
		g.workers = append(slices.Clone(f.workers), a.worker())
	default:
		g.teams = append(slices.Clone(f.teams), a.team())
	}
	return &g
}

// from gives the case without it.
func (a assignment) from(f *caseFile) *caseFile {
	g := *f
	if a.Team != "" {
		g.teams = without(f.teams, a.team())
		return &g
	}
	if g.coordinator == a.worker() {
		g.coordinator = Worker{}
	}
	if !a.Coordinator {
		g.workers = without(f.workers, a.worker())
	}
	return &g
}

func (Assign) kind() string                           { return "case.assigned" }
func (c Assign) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c Assign) touches(e env) []broker.Touch         { return caseTouches(e.touch, e.cases.get(c.Case)) }

func (c Assign) check(e env) (Command, error) {
	f, err := e.openCase(c.Case)
	if err == nil {
		err = assignment(c).fits(e, f)
	}
	if err != nil {
		return nil, fmt.Errorf("assign case: %w", err)
	}
	return c, nil
}

func (c Assign) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, assignment(c).to)
}

// Unassign ends that a worker or a team is bound to a case. A worker stops being its coordinator too; with Coordinator
// that is all that ends.
type Unassign struct {
	Case        broker.CaseID   `json:"case"`
	Agency      broker.OIN      `json:"agency"`
	Worker      broker.WorkerID `json:"worker,omitempty"`
	Team        string          `json:"team,omitempty"`
	Coordinator bool            `json:"coordinator,omitempty"`
}

func (Unassign) kind() string                           { return "case.unassigned" }
func (c Unassign) key(touch TouchFunc) (string, string) { return caseKey(touch, c.Case) }
func (c Unassign) touches(e env) []broker.Touch         { return caseTouches(e.touch, e.cases.get(c.Case)) }

func (c Unassign) check(e env) (Command, error) {
	a := assignment(c)
	f, err := e.openCase(c.Case)
	if err == nil {
		err = a.wellFormed()
	}
	if err == nil {
		is := f.coordinator == a.worker()
		if !c.Coordinator {
			is = is || slices.Contains(f.workers, a.worker())
		}
		if c.Team != "" {
			is = slices.Contains(f.teams, a.team())
		}
		if !is {
			err = fmt.Errorf("case %s is not assigned so; `schakel register case list` shows to whom it is", c.Case)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("unassign case: %w", err)
	}
	return c, nil
}

func (c Unassign) apply(e env, _ broker.Position) error {
	return e.changeCase(c.Case, assignment(c).from)
}
