package register

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// samples is one command of every kind.
func samples() []Command {
	signal := household("c2", 2)
	signal.Kind, signal.Teams = KindSignal, []Team{{gemeente, wijkteam}}
	return append(append(basics(),
		SuspendAgency{elders}, ResumeAgency{elders},
		AddKey{elders, broker.AgencyKey{ID: "k", JWK: json.RawMessage(`{"kty":"RSA","n":"AA","e":"AQAB"}`)}}, SuspendKey{elders, "k"},
		household("c1", 0), signal,
		Assign{Case: "c1", Agency: gemeente, Worker: carla, Coordinator: true}, Unassign{Case: "c1", Agency: gemeente, Worker: anna},
		agreed("a1", verhuurT, "huur"), agreed("a2", kliniek, "ggz"), WithdrawAgreement{"a1"},
		consented("c1", 0, KindConsent), consented("c1", 1, KindRelease),
		WithdrawConsent{Case: "c1", Person: bsns[0], Kind: KindConsent, Domain: "schulden", Purposes: []broker.Purpose{voorkomen}},
		DeclareEmergency{"c1", []broker.Domain{"ggz"}, noon.Add(time.Hour), "acuut gevaar <&> afgewogen"},
		EndEmergency{"c1"}, CloseCase{"c2"},
		agreed("a3", verhuurT, "huur"),
	), policySteps()...)
}

// Invariant 5: nothing about a person or a worker stands in an entry in clear, nor in the store's other parts.
func TestCanary(t *testing.T) {
	w := newWorld(t, samples()...)
	kinds := map[string]bool{}
	for _, e := range w.store.entries {
		s, err := decodeStored(e.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		kinds[s.Kind] = true
		for _, secret := range append(personal(), `"c1"`, `"c2"`, wijkteam, "afgewogen") {
			found := bytes.Contains(e.Bytes, []byte(secret))
			for _, touch := range e.Touches {
				found = found || strings.Contains(string(touch), secret)
			}
			if found {
				t.Errorf("a %s holds %q in clear", s.Kind, secret)
			}
		}
	}
	if len(kinds) != 26 {
		t.Errorf("looked at %d kinds of entries, want all 26", len(kinds))
	}
	for id := range w.store.keys {
		for _, secret := range personal() {
			if strings.Contains(id, secret) {
				t.Error("the name of a key holds a value about a person")
			}
		}
	}
}

// Every kind can be read back as it was given, and says of itself whether it is encrypted.
func TestKinds(t *testing.T) {
	for _, c := range samples() {
		data, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		f, err := formFor(c.kind())
		if err != nil {
			t.Fatal(err)
		}
		back, err := f.read(data)
		if err != nil {
			t.Fatalf("%s: %v", c.kind(), err)
		}
		again, err := encode(back)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s is read back as %s", data, again)
		}
		if keyID, part := back.key(testTouch); part != f.part || (part == "") != (keyID == "") {
			t.Errorf("a %s has part %q and is read as %q", c.kind(), part, f.part)
		}
	}
}

func TestGenesis(t *testing.T) {
	e, id, err := Genesis("0363", noon)
	if err != nil {
		t.Fatal(err)
	}
	if e.ID != (journal.ID{Epoch: 1}) || e.Hash != sha256.Sum256(e.Bytes) || len(id) != 32 {
		t.Errorf("got %v, log %s", e.ID, id)
	}
	want := `{"v":1,"seq":0,"prev":"` + strings.Repeat("0", 64) + `","time":"2026-03-10T12:00:00Z","kind":"genesis","touches":[],` +
		`"body":{"log":"` + id + `","shard":"0363"}}`
	if string(e.Bytes) != want {
		t.Errorf("got %s, want %s", e.Bytes, want)
	}
	if _, again, _ := Genesis("0363", noon); again == id {
		t.Error("two logs have one id")
	}
	if _, _, err := Genesis("", noon); err == nil {
		t.Error("a shard without a name")
	}
	w := newWorld(t)
	if id, shard := w.Log(); len(id) != 32 || shard != "0363" {
		t.Errorf("log %q, shard %q", id, shard)
	}
}

func TestPayload(t *testing.T) {
	a := Agreement{
		ID: "a1", Holder: verhuurT, Recipient: gemeente, Purposes: []broker.Purpose{"b", "a", "b"}, Domains: []broker.Domain{"huur"},
		From: broker.Date{Year: 2026, Month: 1, Day: 1}, Signature: "x",
	}
	want := `{"id":"a1","holder":"00000001000000000003","recipient":"00000001000000000001","purposes":["a","b"],"domains":["huur"],"from":"20260101"}`
	if got := string(a.Payload()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Signature != "x" || a.Purposes[0] != "b" {
		t.Error("it changed the agreement")
	}
}

// variants are texts that say what an entry says, in another form.
func variants(entry []byte) []string {
	s := string(entry)
	return []string{
		strings.Replace(s, `"seq":`, `"seq":0`, 1), strings.ToUpper(s[:90]) + s[90:], strings.Replace(s, `"ref":"`, `"ref":"\n`, 1),
		strings.Replace(s, `=","commit"`, `","commit"`, 1), strings.Replace(s, `"kind":"`, `"kind":"\u0061`, 1),
		" " + s, s + "\n", s + "{}", strings.Replace(s, `{"v":1,`, `{"v":1,"v":1,`, 1), strings.Replace(s, `{"v":1,`, `{"V":1,`, 1),
		strings.Replace(s, `Z","kind"`, `+00:00","kind"`, 1), strings.Replace(s, `"body":`, `"x":1,"body":`, 1),
	}
}

func TestOneForm(t *testing.T) {
	entries := newWorld(t, append(basics(), household("c1", 0))...).store.entries
	for _, e := range []journal.Entry{entries[1], entries[len(entries)-1]} { // in clear, and with a part
		if _, err := readEntry(e); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(variants(e.Bytes), strings.Replace(string(e.Bytes), `"ref":"`, "\"ref\":\"\n", 1)) {
			if v == string(e.Bytes) {
				continue
			}
			if _, err := decodeStored([]byte(v)); err == nil {
				t.Errorf("taken in another form: %.60s…", v)
			}
			if _, ok := quickly([]byte(v)); ok {
				t.Errorf("quickly taken in another form: %.60s…", v)
			}
		}
	}
}

func FuzzEntry(f *testing.F) {
	w := newWorld(f, samples()...)
	for _, e := range w.store.entries {
		f.Add(e.Bytes)
	}
	for _, e := range w.store.entries {
		if s, err := decodeStored(e.Bytes); err != nil {
			f.Fatal(err)
		} else if _, ok := quickly(e.Bytes); ok != (s.Part != nil) {
			f.Errorf("a %s is read quickly: %v", s.Kind, ok)
		}
		for _, v := range variants(e.Bytes) {
			f.Add([]byte(v))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeStored(data)
		if fast, ok := quickly(data); ok && (err != nil || !reflect.DeepEqual(fast, s)) {
			t.Errorf("read quickly it says another thing: %v", err)
		}
		if err != nil {
			return
		}
		if again, err := encode(s); err != nil || !bytes.Equal(again, data) {
			t.Errorf("an entry has two forms")
		}
	})
}

// What an entry says is read after it was decrypted, so it is ours; still no bytes may crash a gateway, and none may leave
// the view with a person it can't name.
func FuzzCommand(f *testing.F) {
	for _, c := range samples() {
		data, err := encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.kind(), data)
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		form, err := formFor(kind)
		if err != nil {
			return
		}
		c, err := form.read(data)
		if err != nil {
			return
		}
		keys, err := newIndexKeys()
		if err != nil {
			t.Fatal(err)
		}
		r := &Register{cfg: config(nil, &clock{now: noon}), state: newState(newShelf(keys, nil, 0), 0), recent: newRecent(10)}
		r.cfg.VerifyAgreement = func(broker.Agency, Agreement) error { return nil }
		r.confirmed = noon
		for i, first := range append(basics(), household("c1", 0), agreed("a1", verhuurT, "huur")) {
			if err := first.apply(r.env(r.state), broker.Position(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.apply(r.env(r.state), 20); err != nil {
			return
		}
		for _, info := range r.Cases() {
			for _, q := range []broker.Request{askCase(gemeente, anna, info.ID), ask(gemeente, bram, 0)} {
				facts, err := r.Facts(t.Context(), q)
				if err != nil {
					continue
				}
				for _, p := range facts.Household {
					if _, err := broker.ParseBSN(p.BSN.Reveal()); err != nil {
						t.Error("a person has no BSN")
					}
				}
			}
		}
		// Whatever is there can be closed.
		for _, info := range r.Cases() {
			if err := (CloseCase{info.ID}).apply(r.env(r.state), 21); err != nil {
				t.Error(err)
			}
		}
		if len(r.state.index.first)+len(r.state.index.more) != 0 {
			t.Error("persons of closed cases are still found")
		}
	})
}
