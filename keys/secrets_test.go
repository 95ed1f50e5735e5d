package keys_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/keys"
)

func TestGenerationIsAQuarterInAmsterdam(t *testing.T) {
	r := inMemory(t, newClock())
	for when, want := range map[string]string{
		"2026-12-31T22:59:59Z": "2026Q4",
		"2026-12-31T23:00:00Z": "2027Q1", // midnight in Amsterdam
		"2027-03-31T21:59:59Z": "2027Q1",
		"2027-03-31T22:00:00Z": "2027Q2", // summer time
		"2027-09-30T12:00:00Z": "2027Q3",
	} {
		at, err := time.Parse(time.RFC3339, when)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := r.Generation(at); err != nil || got != want {
				t.Errorf("%s: %s, %v", when, got, err)
			}
		}
	}
	if n := len(r.Generations()); n != 4 {
		t.Errorf("generations %v", r.Generations())
	}
}

func TestWrap(t *testing.T) {
	c := newClock()
	r, other := inMemory(t, c), inMemory(t, c)
	key := bytes.Repeat([]byte{7}, 32)
	w1, err := r.Wrap(key)
	if err != nil {
		t.Fatal(err)
	}
	w2, err := r.Wrap(key)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(w1, w2) {
		t.Error("one key wrapped twice looks the same")
	}
	if bytes.Contains(w1, key) {
		t.Error("the key stands in its wrapping")
	}
	if g, err := keys.WrappedBy(w1); err != nil || g != "2026Q4" {
		t.Errorf("wrapped by %q, %v", g, err)
	}
	c.t = c.t.AddDate(0, 3, 0)
	later, err := r.Wrap(key)
	if err != nil {
		t.Fatal(err)
	}
	if g, _ := keys.WrappedBy(later); g != "2027Q1" {
		t.Errorf("wrapped by %q in the next quarter", g)
	}
	for _, w := range [][]byte{w1, w2, later} {
		if got, err := r.Unwrap(w); err != nil || !bytes.Equal(got, key) {
			t.Errorf("unwrapped %x, %v", got, err)
		}
	}
	if _, err := other.Unwrap(w1); err == nil {
		t.Error("another ring unwraps it")
	}
	for _, n := range []int{0, 15, 65} {
		if _, err := r.Wrap(make([]byte, n)); err == nil {
			t.Errorf("wrapped a key of %d bytes", n)
		}
	}
	if _, err := r.WrapUnder("2020Q1", key); err == nil {
		t.Error("wrapped under a generation that does not exist")
	}
}

// The generation is bound: a wrapped key can't be passed off as one of another generation, even if both have one key.
func TestWrappedKeysCannotBeChanged(t *testing.T) {
	r := inMemory(t, newClock())
	wrapped, err := r.Wrap(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := r.SealRef("subject/1.abc")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		w, f := bytes.Clone(wrapped), bytes.Clone(ref)
		w[rapid.IntRange(0, len(w)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
		if _, err := r.Unwrap(w); err == nil {
			rt.Fatal("a changed wrapping opens")
		}
		f[rapid.IntRange(0, len(f)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "xor"))
		if _, err := r.OpenRef(f); err == nil {
			rt.Fatal("a changed reference opens")
		}
		for n := range wrapped {
			if _, err := r.Unwrap(wrapped[:n]); err == nil {
				rt.Fatal("a cut wrapping opens")
			}
		}
		for n := range ref {
			if _, err := r.OpenRef(ref[:n]); err == nil {
				rt.Fatal("a cut reference opens")
			}
		}
	})
}

func TestErasure(t *testing.T) {
	r := inMemory(t, newClock())
	erased, survivor := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	w1, _ := r.Wrap(erased)
	w2, _ := r.Wrap(survivor)
	if err := r.Destroy("2026Q4"); err == nil {
		t.Fatal("destroyed the generation in use")
	}
	fresh, err := r.Supersede("2026Q4")
	if err != nil || fresh != "2026Q4.2" {
		t.Fatalf("superseded by %q, %v", fresh, err)
	}
	if g, err := r.Generation(newClock().t); err != nil || g != fresh {
		t.Errorf("new keys are wrapped under %q, %v", g, err)
	}
	moved, err := r.Rewrap(w2)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy("2026Q4"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Unwrap(moved); err != nil || !bytes.Equal(got, survivor) {
		t.Errorf("the survivor: %x, %v", got, err)
	}
	if _, err := r.Unwrap(w1); !errors.Is(err, keys.ErrDestroyed) {
		t.Errorf("the erased key: %v", err)
	}
	if again, err := r.Supersede(fresh); err != nil || again != "2026Q4.3" {
		t.Errorf("a name came back: %q, %v", again, err)
	}
	for _, g := range []string{"2026Q4", "none"} {
		if _, err := r.Supersede(g); err == nil {
			t.Errorf("superseded %s", g)
		}
		if err := r.Destroy(g); err == nil {
			t.Errorf("destroyed %s", g)
		}
	}
}

func TestRefs(t *testing.T) {
	r, other := inMemory(t, newClock()), inMemory(t, newClock())
	length := 0
	for _, id := range []string{"", "s", "subject/1.abcdefghijklmnopqrstuvwxyz0123456789", "staff/2026-11"} {
		a, err := r.SealRef(id)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := r.SealRef(id)
		if bytes.Equal(a, b) || bytes.Equal(a[:12], b[:12]) {
			t.Error("two references to one key can be linked")
		}
		if length != 0 && len(a) != length {
			t.Errorf("the length of a reference tells %q apart", id)
		}
		length = len(a)
		if got, err := r.OpenRef(a); err != nil || got != id {
			t.Errorf("%q came back as %q, %v", id, got, err)
		}
		if _, err := other.OpenRef(a); err == nil {
			t.Error("another ring opens it")
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.StringN(0, 300, 1024).Draw(rt, "id")
		ref, err := r.SealRef(id)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := r.OpenRef(ref); err != nil || got != id {
			rt.Fatalf("%q came back as %q, %v", id, got, err)
		}
	})
	if _, err := r.SealRef(strings.Repeat("x", 1025)); err == nil {
		t.Error("a reference to a very long id")
	}
}

func TestTouchIsKeyed(t *testing.T) {
	r, other := inMemory(t, newClock()), inMemory(t, newClock())
	seen := map[broker.Touch]string{}
	for _, kind := range []string{"case", "worker", "team", "agency"} {
		for _, value := range []string{"", "1", "2"} {
			touch := r.Touch(kind, value)
			if len(touch) != 22 || touch != r.Touch(kind, value) || touch == other.Touch(kind, value) {
				t.Errorf("touch %s", touch)
			}
			if was, twice := seen[touch]; twice {
				t.Errorf("%s/%s and %s have one touch", kind, value, was)
			}
			seen[touch] = kind + "/" + value
		}
	}
	if r.Touch("case", "1") == r.Touch("cas", "e1") {
		t.Error("kind and value run together")
	}
	bare := sha256.Sum256([]byte("case\x001"))
	unkeyed := hmac.New(sha256.New, nil)
	unkeyed.Write([]byte("case\x001"))
	for _, sum := range [][]byte{bare[:16], unkeyed.Sum(nil)[:16]} {
		if string(r.Touch("case", "1")) == base64.RawURLEncoding.EncodeToString(sum) {
			t.Error("a touch can be computed without the key")
		}
	}
}

func TestPseudonyms(t *testing.T) {
	r, other := inMemory(t, newClock()), inMemory(t, newClock())
	bsn, neighbour := broker.BSN("999990019"), broker.BSN("999990020")
	first := r.Pseudonym(bsn)
	if first != r.Pseudonym(bsn) || first == r.Pseudonym(neighbour) || first == other.Pseudonym(bsn) {
		t.Error("a pseudonym is not that of one person in one ring")
	}
	if strings.Contains(first, bsn.Reveal()) {
		t.Error("the BSN stands in its pseudonym")
	}
	if v, err := r.RotatePseudonyms(); err != nil || v != "2" {
		t.Fatalf("version %q, %v", v, err)
	}
	second := r.Pseudonym(bsn)
	if second == first || !strings.HasPrefix(first, "1.") || !strings.HasPrefix(second, "2.") {
		t.Errorf("%s then %s", first, second)
	}
	if got := r.Pseudonyms(bsn); !slices.Equal(got, []string{second, first}) {
		t.Errorf("all versions: %v", got)
	}
	if err := r.ForgetPseudonyms("2"); err == nil {
		t.Error("forgot the version in use")
	}
	if err := r.ForgetPseudonyms("1"); err != nil {
		t.Fatal(err)
	}
	if err := r.ForgetPseudonyms("1"); err == nil {
		t.Error("forgot a version twice")
	}
	if got := r.Pseudonyms(bsn); !slices.Equal(got, []string{second}) {
		t.Errorf("after forgetting: %v", got)
	}
	if v, err := r.RotatePseudonyms(); err != nil || v != "3" || !slices.Equal(r.PseudonymVersions(), []string{"2", "3"}) {
		t.Errorf("version %q, %v", v, err)
	}
}

func TestRecipientPseudonyms(t *testing.T) {
	r := inMemory(t, newClock())
	a, b := broker.OIN("00000001001234567000"), broker.OIN("00000001009876543000")
	bsn := broker.BSN("999990019")
	mine := r.RecipientPseudonym(a, bsn)
	if mine != r.RecipientPseudonym(a, bsn) || mine == r.RecipientPseudonym(b, bsn) || mine == r.RecipientPseudonym(a, "999990020") {
		t.Error("two agencies can compare, or one can't follow")
	}
	if strings.Contains(r.Pseudonym(bsn), mine) {
		t.Error("the log's pseudonym is given away")
	}
	if _, err := r.RotatePseudonyms(); err != nil {
		t.Fatal(err)
	}
	if mine != r.RecipientPseudonym(a, bsn) {
		t.Error("rotating the log's pseudonyms changed those of recipients")
	}
}
