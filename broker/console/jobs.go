package console

import (
	"context"
	"sync"
	"time"
)

// jobs is long work that goes on without anybody looking, and can be found again. Few pieces work at a time: a gateway on the
// same machine answers professionals.
type jobs struct {
	background context.Context
	stop       context.CancelFunc
	turn       chan struct{}
	room       int // how many pieces of work are remembered

	mu    sync.Mutex
	byKey map[string]*job
}

// kept bounds how many pieces of work the console remembers.
const kept = 32

func newJobs(atOnce, room int) *jobs {
	ctx, stop := context.WithCancel(context.Background())
	return &jobs{background: ctx, stop: stop, turn: make(chan struct{}, atOnce), room: room, byKey: map[string]*job{}}
}

// step is one part of a job.
type step struct {
	name string
	do   func(ctx context.Context, progress func(done, total int)) (any, error)
}

// job is one piece of work and how far it is.
type job struct {
	key     string
	started time.Time
	cancel  context.CancelFunc

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	state   state
}

// state is how far a job is; a copy may be read by anybody.
type state struct {
	Steps []stepState
	Done  bool // or cancelled
}

// stepState is how far one step is.
type stepState struct {
	Name        string
	Running     bool
	Done, Total int // of the work in it; Total 0 where that is not known
	Result      any
	Err         error
	Took        time.Duration
}

// Finished tells whether the step has a result or an error.
func (s stepState) Finished() bool { return s.Result != nil || s.Err != nil }

// get finds a job.
func (j *jobs) get(key string) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byKey[key]
}

// start finds a job, or begins it. again begins it anew where it ended.
func (j *jobs) start(key string, again bool, steps []step) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.byKey[key]; old != nil {
		if s, _ := old.now(); !again || !s.Done {
			return old
		}
	}
	j.makeRoom()
	ctx, cancel := context.WithCancel(j.background)
	w := &job{key: key, started: time.Now(), cancel: cancel, changed: make(chan struct{})}
	for _, s := range steps {
		w.state.Steps = append(w.state.Steps, stepState{Name: s.name})
	}
	j.byKey[key] = w
	go func() {
		defer cancel()
		defer w.update(func(s *state) { s.Done = true })
		select {
		case j.turn <- struct{}{}:
			defer func() { <-j.turn }()
		case <-ctx.Done():
			return
		}
		for i, s := range steps {
			w.run(ctx, i, s)
			if ctx.Err() != nil {
				return
			}
		}
	}()
	return w
}

// makeRoom forgets those that ended first: their results can be made again.
func (j *jobs) makeRoom() {
	for len(j.byKey) >= j.room {
		var oldest *job
		for _, w := range j.byKey {
			if s, _ := w.now(); s.Done && (oldest == nil || w.started.Before(oldest.started)) {
				oldest = w
			}
		}
		if oldest == nil {
			return
		}
		delete(j.byKey, oldest.key)
	}
}

// unended counts the pieces of work that wait or go on.
func (j *jobs) unended() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range j.byKey {
		if s, _ := w.now(); !s.Done {
			n++
		}
	}
	return n
}

// drop stops a piece of work and forgets it.
func (j *jobs) drop(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if w := j.byKey[key]; w != nil {
		w.cancel()
		delete(j.byKey, key)
	}
}

func (w *job) run(ctx context.Context, i int, s step) {
	began := time.Now()
	w.update(func(st *state) { st.Steps[i].Running = true })
	told := time.Time{}
	result, err := s.do(ctx, func(done, total int) {
		if now := time.Now(); now.Sub(told) > 200*time.Millisecond || done == total {
			told = now
			w.update(func(st *state) { st.Steps[i].Done, st.Steps[i].Total = done, total })
		}
	})
	w.update(func(st *state) {
		st.Steps[i].Running, st.Steps[i].Result, st.Steps[i].Err, st.Steps[i].Took = false, result, err, time.Since(began)
	})
}

// now gives how far it is, and a channel that closes when that changes.
func (w *job) now() (state, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Steps = append([]stepState{}, s.Steps...)
	return s, w.changed
}

func (w *job) update(do func(*state)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(&w.state)
	close(w.changed)
	w.changed = make(chan struct{})
}

// result gives what a step came to; nil where it has not ended.
func (s state) result(name string) stepState {
	for _, st := range s.Steps {
		if st.Name == name {
			return st
		}
	}
	return stepState{}
}
