package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/schakel/schakel/broker/journal"
)

// keyStore keeps wrapped keys in memory and counts the calls.
type keyStore struct {
	mu         sync.Mutex
	keys       map[string][]byte
	puts, gets int
	fail       error
}

func (s *keyStore) PutKeys(_ context.Context, list []journal.WrappedKey) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	var there [][]byte
	for _, k := range list {
		if s.keys[k.ID] == nil {
			s.keys[k.ID] = k.Wrapped
		}
		there = append(there, s.keys[k.ID])
	}
	return there, s.fail
}

func (s *keyStore) SwapKeys(_ context.Context, swaps []journal.KeySwap) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range swaps {
		if s.keys[k.ID] != nil && string(s.keys[k.ID]) == string(k.Old) {
			s.keys[k.ID] = k.New
		}
	}
	return s.fail
}

func (s *keyStore) Keys(_ context.Context, ids []string) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	var there [][]byte
	for _, id := range ids {
		there = append(there, s.keys[id])
	}
	return there, s.fail
}

func newTestVault(t *testing.T) (*Vault, *keyStore) {
	t.Helper()
	r, err := Create(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := &keyStore{keys: map[string][]byte{}}
	return NewVault(s, r), s
}

// Many parts at once: one call to make their keys, and each part is under its own key.
func TestVaultMany(t *testing.T) {
	v, s := newTestVault(t)
	const n = 300
	plains := make([]Plain, n)
	for i := range plains {
		plains[i] = Plain{KeyID: fmt.Sprintf("case:%d", i/3), Context: "case", Text: fmt.Appendf(nil, "text %d", i)}
	}
	parts, err := v.SealAll(t.Context(), plains)
	if err != nil || len(parts) != n || s.puts != 1 || s.gets != 0 || len(s.keys) != n/3 {
		t.Fatalf("%d parts, %v, %d puts, %d gets, %d keys", len(parts), err, s.puts, s.gets, len(s.keys))
	}
	delete(s.keys, "case:1")
	parts[9].Commit[0] ^= 1
	parts[10].Box[15] ^= 1
	parts[11].Ref[30] ^= 1
	parts[12].Box = parts[12].Box[:5]
	fresh := NewVault(s, v.ring)
	s.gets = 0
	got := make([]Plain, n)
	for i := range got {
		got[i].Context = "case"
	}
	got[13].Context = "team"
	if err := fresh.OpenAll(t.Context(), parts, got); err != nil || s.gets != 1 {
		t.Fatalf("%v, %d gets", err, s.gets)
	}
	wrong := map[int]string{10: "altered", 11: "reference", 12: "too short", 13: "altered"}
	for i, p := range got {
		switch {
		case i/3 == 1, i == 9:
			if !errors.Is(p.Err, ErrErased) || p.Text != nil {
				t.Errorf("part %d without its key: %q, %v", i, p.Text, p.Err)
			}
		case wrong[i] != "":
			if p.Err == nil || !strings.Contains(p.Err.Error(), wrong[i]) || errors.Is(p.Err, ErrErased) || p.Text != nil {
				t.Errorf("part %d: %q, %v; want %q", i, p.Text, p.Err, wrong[i])
			}
		case p.Err != nil || p.KeyID != plains[i].KeyID || string(p.Text) != string(plains[i].Text):
			t.Errorf("part %d: %q under %q, %v", i, p.Text, p.KeyID, p.Err)
		}
	}
	s.fail = errors.New("no connection")
	if err := NewVault(s, v.ring).OpenAll(t.Context(), parts[:1], make([]Plain, 1)); !errors.Is(err, s.fail) {
		t.Errorf("opened without a store: %v", err)
	}
	if _, err := NewVault(s, v.ring).SealAll(t.Context(), plains[:1]); !errors.Is(err, s.fail) {
		t.Errorf("sealed without a store: %v", err)
	}
}

// A key that is there is put all the same before anything is sealed under it, since what can only be read may not be
// durable; and not again, until the vault was told to forget.
func TestVaultPutsWhatItFinds(t *testing.T) {
	v, s := newTestVault(t)
	seal := func(v *Vault, puts int) {
		t.Helper()
		if _, err := v.Seal(t.Context(), "case:x", "case", []byte("secret")); err != nil || s.puts != puts {
			t.Errorf("%v, %d puts, want %d", err, s.puts, puts)
		}
	}
	seal(v, 1)
	other := NewVault(s, v.ring)
	seal(other, 2)
	seal(other, 2)
	other.ForgetAll()
	delete(s.keys, "case:x")
	seal(other, 3)
	if s.keys["case:x"] == nil {
		t.Error("sealed under a key that no store has")
	}
}

// Two vaults that make the same key at once end with one.
func TestVaultRace(t *testing.T) {
	a, s := newTestVault(t)
	b := NewVault(s, a.ring)
	var wait sync.WaitGroup
	parts := make([]Part, 2)
	for i, v := range []*Vault{a, b} {
		wait.Go(func() {
			var err error
			if parts[i], err = v.Seal(t.Context(), "case:x", "case", []byte("secret")); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, p := range parts {
		if text, id, err := NewVault(s, a.ring).Open(t.Context(), "case", p); err != nil || string(text) != "secret" || id != "case:x" {
			t.Errorf("%q under %q, %v", text, id, err)
		}
	}
	a.Forget("case:x")
	delete(s.keys, "case:x")
	if _, _, err := a.Open(t.Context(), "case", parts[0]); !errors.Is(err, ErrErased) {
		t.Errorf("opened after its key was deleted: %v", err)
	}
}

// A key that was erased by another process is not used on from memory: the ring changes with every erasure.
func TestVaultForgetsWithTheRing(t *testing.T) {
	v, s := newTestVault(t)
	old, err := v.Seal(t.Context(), "subject:x", "subject", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	delete(s.keys, "subject:x")
	ring := v.ring.(*Ring)
	if text, _, err := v.Open(t.Context(), "subject", old); err != nil || string(text) != "one" {
		t.Fatalf("it was not in memory: %q, %v", text, err)
	}
	generation := ring.Generations()[0]
	if _, err := ring.Supersede(generation); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Open(t.Context(), "subject", old); !errors.Is(err, ErrErased) {
		t.Errorf("after the ring changed: %v", err)
	}
	fresh, err := v.Seal(t.Context(), "subject:x", "subject", []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	if by, err := WrappedBy(s.keys["subject:x"]); err != nil || by == generation {
		t.Errorf("a new key is wrapped by %s, %v", by, err)
	}
	if text, _, err := v.Open(t.Context(), "subject", fresh); err != nil || string(text) != "two" {
		t.Errorf("%q, %v", text, err)
	}
	if got := ring.Superseded(); len(got) != 1 || got[0] != generation {
		t.Errorf("superseded: %v", got)
	}
	if err := ring.Destroy(generation); err != nil {
		t.Fatal(err)
	}
	if got := ring.Destroyed(); len(got) != 1 || got[0] != generation || len(ring.Superseded()) != 0 {
		t.Errorf("destroyed: %v, superseded: %v", got, ring.Superseded())
	}
}

// A backup of before an erasure brings back keys that nothing unwraps. What is sealed from then on is under fresh ones.
func TestVaultRevives(t *testing.T) {
	v, s := newTestVault(t)
	old, err := v.Seal(t.Context(), "subject:x", "subject", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	ring := v.ring.(*Ring)
	generation := ring.Generations()[0]
	if _, err := ring.Supersede(generation); err != nil {
		t.Fatal(err)
	}
	if err := ring.Destroy(generation); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Open(t.Context(), "subject", old); !errors.Is(err, ErrErased) {
		t.Errorf("wrapped by what was destroyed: %v", err)
	}
	for _, who := range []*Vault{v, NewVault(s, ring)} {
		fresh, err := who.Seal(t.Context(), "subject:x", "subject", []byte("two"))
		if err != nil {
			t.Fatal(err)
		}
		if text, _, err := NewVault(s, ring).Open(t.Context(), "subject", fresh); err != nil || string(text) != "two" {
			t.Errorf("%q, %v", text, err)
		}
	}
	if _, _, err := v.Open(t.Context(), "subject", old); !errors.Is(err, ErrErased) {
		t.Errorf("what was erased opens again: %v", err)
	}
}
