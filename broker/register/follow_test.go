package register

import (
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestFollow(t *testing.T) {
	w := newWorld(t, basics()...)
	cfg := config(w.store, w.clock)
	cfg.MaxBehind = 50 * time.Millisecond // it looks at the store twice as often
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Follow(ctx) }()

	w.do(household("c1", 0))
	eventually(t, "it follows", func() bool { return r.Position() == w.Position() })

	w.store.setFail(errors.New("no connection"))
	w.clock.set(noon.Add(time.Minute))
	eventually(t, "it is refused", func() bool {
		_, err := r.Facts(ctx, ask(gemeente, anna, 0))
		return err != nil && strings.Contains(err.Error(), "no connection")
	})
	w.store.setFail(nil)
	eventually(t, "it is given again", func() bool { return r.Ready() == nil })
	w.clock.set(noon.Add(time.Hour)) // nothing happens for an hour: it is seen to be complete all the same
	eventually(t, "it stays ready", func() bool { return r.Ready() == nil })

	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

// A stream that is not what was written stops the view at once, and for good.
func TestBrokenStream(t *testing.T) {
	another := func(t *testing.T, w *world, at int, change func(*stored)) journal.Entry {
		s, err := decodeStored(w.store.entries[at].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		e, err := chain(journal.Head{ID: w.store.entries[at-1].ID, Hash: w.store.entries[at-1].Hash}, s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	replaceLast := func(change func(t *testing.T, w *world, s *stored)) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			last := len(w.store.entries) - 1
			w.store.entries[last] = another(t, w, last, func(s *stored) { change(t, w, s) })
		}
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, w *world)
		want   string
	}{
		"byte": {func(_ *testing.T, w *world) {
			e := &w.store.entries[5]
			e.Bytes = []byte(strings.Replace(string(e.Bytes), "RvIG", "RvIH", 1))
		}, "hash"},
		"rehashed": {func(_ *testing.T, w *world) {
			e := &w.store.entries[5]
			e.Bytes = []byte(strings.Replace(string(e.Bytes), "RvIG", "RvIH", 1))
			e.Hash = sha256.Sum256(e.Bytes)
		}, "not chained"},
		"dropped": {func(_ *testing.T, w *world) { w.store.entries = append(w.store.entries[:5:5], w.store.entries[6:]...) }, "does not follow"},
		"touches": {func(_ *testing.T, w *world) { w.store.entries[5].Touches = nil }, "touches"},
		"renumbered": {func(_ *testing.T, w *world) {
			w.store.entries = append(w.store.entries[:5:5], w.store.entries[6:]...)
			for i := range w.store.entries {
				w.store.entries[i].ID.Seq = uint64(i)
			}
		}, "says it is number"},
		"format": {replaceLast(func(_ *testing.T, _ *world, s *stored) { s.Kind = "case.merged" }), "newer version"},
		"unknown body": {replaceLast(func(_ *testing.T, _ *world, s *stored) {
			s.Kind, s.Part, s.Body = "policy.activated", nil, []byte(`{"x":1}`)
		}), "near byte"},
		"case in clear": {replaceLast(func(_ *testing.T, _ *world, s *stored) {
			s.Part, s.Body = nil, []byte(`{"case":"c1"}`)
			s.Kind = "case.closed"
		}), "must be encrypted"},
		"policy sealed":  {replaceLast(func(_ *testing.T, _ *world, s *stored) { s.Kind = "policy.activated" }), "should be in clear"},
		"second genesis": {replaceLast(func(_ *testing.T, _ *world, s *stored) { s.Kind, s.Part, s.Body = kindGenesis, nil, []byte(`{}`) }), "genesis"},
		"another's key": {replaceLast(func(t *testing.T, w *world, s *stored) {
			p, err := w.cfg.Vault.SealAll(t.Context(), []keys.Plain{{KeyID: "case:other", Context: "case", Text: []byte(`{"case":"c1"}`)}})
			if err != nil {
				t.Fatal(err)
			}
			s.Kind, s.Part = "case.closed", &p[0]
		}), "another's key"},
		"no agreement": {replaceLast(func(t *testing.T, _ *world, s *stored) {
			a := agreed("a1", verhuurT, "huur").Agreement
			a.Signature = "forged"
			body, err := encode(a)
			if err != nil {
				t.Fatal(err)
			}
			s.Kind, s.Part, s.Body = "agreement.added", nil, body
		}), "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(basics(), household("c1", 0))...)
			late, err := Open(t.Context(), config(&memory{entries: w.store.entries[:3:3], keys: w.store.keys}, w.clock))
			if err != nil {
				t.Fatal(err)
			}
			w.store.entries = append([]journal.Entry{}, w.store.entries...)
			tt.change(t, w)
			if _, err := Open(t.Context(), config(w.store, w.clock)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("opened: %v", err)
			}
			late.cfg.Store = w.store
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err = late.Follow(ctx)
			var broken *brokenError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("followed: %v", err)
			}
			if _, err := late.Facts(t.Context(), ask(gemeente, anna, 0)); err == nil {
				t.Error("facts are given from a broken register")
			}
			if _, ok := late.Validate(late.Position(), nil); ok {
				t.Error("facts are valid in a broken register")
			}
		})
	}
}

// A store that lost what it acknowledged, or was put back from a backup.
func TestLostEntries(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	w.store.entries = w.store.entries[:len(w.store.entries)-1]
	if err := w.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "lost entries") {
		t.Errorf("got %v", err)
	}
	if err := w.try(CloseCase{"c1"}); err == nil {
		t.Error("a command was given to a register that lost entries")
	}
	if w.Ready() == nil {
		t.Error("it is ready")
	}

	w = newWorld(t, append(basics(), household("c1", 0))...)
	other := newWorld(t, append(basics(), household("c1", 0))...)
	w.store.entries = other.store.entries // as long, with another past
	if err := w.Refresh(t.Context()); err == nil {
		t.Error("another past was taken")
	}
}

func TestNoRegister(t *testing.T) {
	if _, err := Open(t.Context(), config(&memory{keys: map[string][]byte{}}, &clock{now: noon})); err == nil || !strings.Contains(err.Error(), "schakel init") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("opened without a store")
	}
}

// What can't be read any more is as if it never was; what stays is read.
func TestErased(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), household("c2", 2), consented("c1", 0, KindConsent),
		Assign{Case: "c2", Agency: gemeente, Team: wijkteam}, SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{bram, carla}})...)
	delete(w.store.keys, "case:"+string(testTouch("case", "c1")))
	delete(w.store.keys, "team:"+string(testTouch("team", string(gemeente)+"/"+wijkteam)))
	r := w.reopen()
	if _, ok := r.Case("c1"); ok {
		t.Error("an erased case is known")
	}
	w.Register = r
	if f := w.facts(ask(gemeente, anna, 0)); !f.Relation.None() {
		t.Error("an erased case binds")
	}
	if f := w.facts(ask(gemeente, anna, 2)); f.Relation.Case != broker.CaseAssigned {
		t.Error("another case was lost with it")
	}
	if f := w.facts(ask(gemeente, bram, 2)); !f.Relation.None() {
		t.Error("an erased team binds")
	}
	w.do(household("c1", 4)) // its id is free again
	if f := w.facts(ask(gemeente, anna, 4)); f.Case != "c1" {
		t.Error("the new case is not found")
	}
}

// A store of keys that fails for a while neither breaks the view nor makes a case disappear.
func TestKeysUnreachable(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0))...)
	cfg := config(w.store, w.clock)
	gone := &failing{Vault: cfg.Vault, err: errors.New("no connection")}
	cfg.Vault = gone
	if _, err := Open(t.Context(), cfg); err == nil {
		t.Error("opened without keys")
	}
	gone.err = nil
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.do(CloseCase{"c1"})
	gone.err = errors.New("no connection")
	if err := r.Refresh(t.Context()); err == nil || r.Position() == w.Position() {
		t.Errorf("read on without keys: %v", err)
	}
	gone.err = nil
	if err := r.Refresh(t.Context()); err != nil || r.Position() != w.Position() {
		t.Errorf("did not go on: %v", err)
	}
}

type failing struct {
	Vault
	err error
}

func (f *failing) OpenAll(ctx context.Context, parts []keys.Part, plains []keys.Plain) error {
	if f.err != nil {
		return f.err
	}
	return f.Vault.OpenAll(ctx, parts, plains)
}

func TestValidate(t *testing.T) {
	w := newWorld(t, append(basics(), household("c1", 0), household("c2", 2))...)
	f := w.facts(ask(gemeente, anna, 0))
	check := func(what string, want bool) {
		t.Helper()
		if now, ok := w.Validate(f.Position, f.Touches); ok != want || now != w.Position() {
			t.Errorf("%s: valid %v at %d, want %v at %d", what, ok, now, want, w.Position())
		}
	}
	check("at once", true)
	w.do(Assign{Case: "c2", Agency: gemeente, Worker: bram}, SetTeam{Team{elders, "t"}, []broker.WorkerID{anna}})
	check("after other changes", true)
	w.do(Assign{Case: "c1", Agency: gemeente, Worker: bram})
	check("after a change of the case", false)
	f = w.facts(ask(gemeente, anna, 0))
	w.do(append(approved(1, revision, second), activate(1, revision, second))...)
	check("after another revision", false)
	f.Position = w.Position() + 1
	check("in the future", false)
}

// The view remembers the last entries only, and forgets whole entries.
func TestRecent(t *testing.T) {
	r := newRecent(3)
	for i := range 10 {
		r.add(broker.Position(i+1), []broker.Touch{broker.Touch(rune('a' + i%5)), "often"})
	}
	for p := broker.Position(0); p <= 11; p++ {
		if got, want := r.untouched(p, []broker.Touch{"never"}), p >= 7 && p <= 10; got != want {
			t.Errorf("at %d: %v", p, got)
		}
	}
	if r.untouched(9, []broker.Touch{"often"}) || !r.untouched(10, []broker.Touch{"often"}) || !r.untouched(8, []broker.Touch{"c"}) ||
		r.untouched(7, []broker.Touch{"c"}) {
		t.Error("what touched what is wrong")
	}
	want := map[broker.Touch]broker.Position{"often": 10, "c": 8, "d": 9, "e": 10}
	if !reflect.DeepEqual(r.at, want) {
		t.Errorf("it remembers %v, want %v", r.at, want)
	}

	r = newRecent(3)
	for i, touch := range []broker.Touch{"twice", "once", "twice", "last"} {
		r.add(broker.Position(i+1), []broker.Touch{touch})
	}
	if r.untouched(2, []broker.Touch{"twice"}) {
		t.Error("with the first of two entries the second was forgotten")
	}
}
