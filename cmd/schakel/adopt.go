package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/backup"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
)

// gatewayNote is what a gateway says of itself beside the log: which revision it serves, and which it has compiled.
type gatewayNote struct {
	Time     time.Time         `json:"time"`
	Serves   broker.Revision   `json:"serves,omitempty"` // "" where it can't answer
	Compiled []broker.Revision `json:"compiled"`         // of the live one and those that may come next
	Problem  string            `json:"problem,omitempty"`
	Ended    bool              `json:"ended,omitempty"` // it was stopped in good order
}

// noteEvery is how often a gateway writes its note while nothing changes; one whose note is older than silentAfter is not
// waited for.
const (
	noteEvery   = 5 * time.Second
	silentAfter = 20 * time.Second

	retryCompile = 500 * time.Millisecond
)

// adoption takes up policy revisions: it loads the one in force, compiles ahead what may come next, and says so.
type adoption struct {
	server  *server
	seen    broker.Position // of the register, at which next was made
	next    []broker.Revision
	failed  map[broker.Revision]string
	tried   map[broker.Revision]time.Time
	noted   gatewayNote
	stopped bool
	putting chan struct{} // holds one while no note is being written
}

func newAdoption(s *server) *adoption {
	a := &adoption{server: s, putting: make(chan struct{}, 1)}
	a.putting <- struct{}{}
	return a
}

// step does what is to be done now. Its error is why this gateway is not ready.
func (a *adoption) step() error {
	ctx, d := a.server.background, a.server.desk
	if at := d.register.Position(); at != a.seen {
		a.seen, a.failed, a.tried = at, map[broker.Revision]string{}, map[broker.Revision]time.Time{}
		a.look(d.register.Policy())
	}
	err := d.loadPolicy(ctx)
	for _, r := range a.next {
		if _, known := d.decider.Catalog(r); known == nil || time.Since(a.tried[r]) < retryCompile || ctx.Err() != nil {
			continue
		}
		a.tried[r] = time.Now()
		if problem := d.compile(ctx, r); problem != nil {
			a.tell(r, problem)
		}
	}
	a.note(ctx, err)
	return err
}

// look finds which revisions may be activated next: those that their officers approved.
func (a *adoption) look(p register.Policy) {
	a.next = nil
	for _, draft := range p.Drafts {
		if draft.State == register.StateApproved || (draft.State == register.StateChecked && len(draft.WaitsFor) == 0) {
			a.next = append(a.next, draft.Revision)
		}
	}
	if stopped := p.Stop != nil; stopped != a.stopped {
		a.stopped = stopped
		if stopped {
			a.server.cfg.log.Error("EMERGENCY STOP: every field is refused, until another revision is approved and activated",
				"revision", p.Live, "stopped", p.Stop.Base, "since", p.Stop.When)
		} else {
			a.server.cfg.log.Error("the emergency stop is over", "revision", p.Live)
		}
	}
}

// tell logs once why a revision can't be compiled. Its bundle may be on its way.
func (a *adoption) tell(r broker.Revision, problem error) {
	if a.failed[r] == problem.Error() {
		return
	}
	a.failed[r] = problem.Error()
	if !errors.Is(problem, journal.ErrAbsent) {
		a.server.cfg.log.Error("approved revision refused; the one in force serves on", "revision", r, "error", problem)
	}
}

// note writes what this gateway serves, when that changed or the last note grows old.
func (a *adoption) note(ctx context.Context, trouble error) {
	d := a.server.desk
	n := gatewayNote{Time: time.Now().UTC(), Compiled: []broker.Revision{}}
	live, _ := d.register.Revision()
	for _, r := range append([]broker.Revision{live}, a.next...) {
		if _, err := d.decider.Catalog(r); err == nil && !slices.Contains(n.Compiled, r) {
			n.Compiled = append(n.Compiled, r)
		}
	}
	if slices.Contains(n.Compiled, live) {
		n.Serves = live
	}
	if trouble != nil {
		n.Problem = trouble.Error()
	}
	for r, problem := range a.failed {
		if !slices.Contains(n.Compiled, r) {
			n.Problem = fmt.Sprintf("revision %.12s: %s", r, problem)
		}
	}
	same := n.Serves == a.noted.Serves && n.Problem == a.noted.Problem && slices.Equal(n.Compiled, a.noted.Compiled)
	if same && n.Time.Sub(a.noted.Time) < noteEvery {
		return
	}
	select {
	case <-a.putting:
	default: // the last one is still being written
		return
	}
	a.noted = n
	go func() { // a store that hangs must not keep the policy waiting
		defer func() { a.putting <- struct{}{} }()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = a.put(ctx, n) // the next one follows soon; whether the store is well, the writer finds out
	}()
}

func (a *adoption) put(ctx context.Context, n gatewayNote) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return a.server.cfg.store.PutNote(ctx, a.server.cfg.writer, data)
}

// end says that this gateway was stopped, so that nobody waits for it.
func (a *adoption) end() {
	<-a.putting
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.server.background), time.Second)
	defer cancel()
	_ = a.put(ctx, gatewayNote{Time: time.Now().UTC(), Compiled: []broker.Revision{}, Ended: true})
}

// gatewayState is a gateway as an operator sees it.
type gatewayState struct {
	Writer string `json:"writer"`
	gatewayNote
	Silent bool `json:"silent,omitempty"`
}

// gateways gives every gateway that left a note, by name.
func (d *desk) gateways(ctx context.Context) ([]gatewayState, error) {
	notes, err := d.store.Notes(ctx)
	if err != nil {
		return nil, err
	}
	out := []gatewayState{}
	for writer, data := range notes {
		if writer == sealNote || writer == backup.Note {
			continue
		}
		s := gatewayState{Writer: writer}
		if err := json.Unmarshal(data, &s.gatewayNote); err != nil {
			s.Problem = "its note is of another version"
		}
		s.Silent = !s.Ended && time.Since(s.Time) > silentAfter
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b gatewayState) int {
		if a.Writer < b.Writer {
			return -1
		}
		return 1
	})
	return out, nil
}

// lacking names the gateways that answer and have not compiled a revision.
func lacking(list []gatewayState, r broker.Revision) []string {
	var out []string
	for _, g := range list {
		if !g.Ended && !g.Silent && !slices.Contains(g.Compiled, r) {
			out = append(out, g.Writer)
		}
	}
	return out
}
