package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

func withHeads(c Config, dir string) Config {
	c.HeadsDir, c.SignHead, c.VerifyHead = dir, signHead, verifyHead
	return c
}

func readHeads(t *testing.T, dir, writer string) []SignedHead {
	t.Helper()
	heads, err := ReadHeads(dir, writer)
	if err != nil {
		t.Fatal(err)
	}
	return heads
}

func TestHeadsAreSignedEachSecondThatTheHeadMoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "heads")
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		w := open(t, withHeads(config(s, "gw", &storeView{s: s}), dir))
		appendN := func(n int) {
			for i := range n {
				if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		appendN(3)
		time.Sleep(5500 * time.Millisecond)
		appendN(2)
		time.Sleep(time.Second)
		appendN(1)
		mustClose(t, w)
		heads := readHeads(t, dir, "gw")
		var ids []string
		for _, h := range heads {
			ids = append(ids, h.ID().String())
		}
		if got := strings.Join(ids, " "); got != "1-0 1-3 1-5 1-7" {
			t.Errorf("heads %s", got)
		}
		rep := verify(t, VerifyConfig{Store: s, Heads: readHeads(t, dir, ""), VerifyHead: verifyHead})
		if !rep.OK || rep.Heads != 4 || rep.Writers[0].Unanchored != 0 {
			t.Errorf("%+v", rep)
		}
	})
}

// TestLostEventsAreNamed: a store that was restored to an earlier state stops the writer, and the next epoch names what
// its own signed heads acknowledge and the stream lacks, once.
func TestLostEventsAreNamed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		c := withHeads(config(s, "gw", &storeView{s: s}), dir)
		w := open(t, c)
		var receipts []broker.Receipt
		appendN := func(n int) {
			for i := range n {
				r, err := w.Append(t.Context(), disclosureEvent(i))
				if err != nil {
					t.Fatal(err)
				}
				receipts = append(receipts, r)
				time.Sleep(2 * time.Second)
			}
		}
		appendN(3)
		mustClose(t, w)
		w = open(t, c)
		appendN(2)
		s.mu.Lock()
		s.streams["audit:gw"] = s.streams["audit:gw"][:3] // 1-0 to 1-2
		s.mu.Unlock()
		_, err := w.Append(t.Context(), disclosureEvent(9))
		wantCode(t, err, "writer-fenced")
		_ = w.Close(t.Context())

		w = open(t, c)
		appendN(1)
		mustClose(t, w)

		// The new epoch has the ids of one that is lost. What is bent in it now was not lost.
		s.mu.Lock()
		whole := slices.Clone(s.streams["audit:gw"])
		s.mu.Unlock()
		rewrite(t, s, "audit:gw", 4) // from 2-1 on
		rep := verify(t, VerifyConfig{Store: s, Heads: readHeads(t, dir, "gw"), VerifyHead: verifyHead})
		if !names(rep, "audit:gw", journal.ID{Epoch: 2, Seq: 1}) {
			t.Errorf("rewritten after a loss: faults %v", rep.Faults)
		}
		s.mu.Lock()
		s.streams["audit:gw"] = whole
		s.mu.Unlock()

		mustClose(t, open(t, c)) // names nothing again
		var lost []string
		for _, e := range s.events("gw") {
			var start Start
			if e.Kind != KindStart || json.Unmarshal(e.Common, &start) != nil {
				continue
			}
			for _, r := range start.Lost {
				lost = append(lost, fmt.Sprintf("%s says %s..%s", e.ID, r.From, r.To))
			}
		}
		if got := strings.Join(lost, ", "); got != "2-0 says 1-3..1-4, 2-0 says 2-0..2-2" {
			t.Errorf("lost: %s", got)
		}
		rep = verify(t, VerifyConfig{Store: s, Heads: readHeads(t, dir, "gw"), VerifyHead: verifyHead})
		if len(rep.Faults) != 2 || rep.Faults[0].Code != FaultLost || rep.Faults[1].Code != FaultLost {
			t.Errorf("faults %v", rep.Faults)
		}
		rep = verify(t, VerifyConfig{Store: s, Receipts: receipts})
		if rep.Receipts != 3 {
			t.Errorf("%d receipts, want the two before and the one after", rep.Receipts)
		}
	})
}

func TestHeadsOfAnotherLogAreIgnored(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t)
	c := withHeads(config(s, "gw", nil), dir)
	c.Log = "another"
	mustClose(t, open(t, c))
	s = newStore(t)
	mustClose(t, open(t, withHeads(config(s, "gw", nil), dir)))
	if common := s.events("gw")[0].Common; strings.Contains(string(common), "lost") {
		t.Errorf("%s", common)
	}
}

func TestForgedOwnHeadStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	s := newStore(t)
	c := withHeads(config(s, "gw", nil), dir)
	mustClose(t, open(t, c))
	path := headsPath(dir, "gw")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.ReplaceAll(string(data), `"signature":"`, `"signature":"x`)
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, append([]byte("{}\n"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("%v", err)
	}
}

func TestHeadsFile(t *testing.T) {
	dir := t.TempDir()
	put := func(f *headsFile, n uint64) {
		t.Helper()
		if err := f.append(SignedHead{Head{Log: testLog, Writer: "gw", Epoch: 1, Seq: n}, "sig"}); err != nil {
			t.Fatal(err)
		}
	}
	reopen := func() *headsFile {
		t.Helper()
		f, err := openHeads(dir, "gw")
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := reopen()
	put(f, 1)
	put(f, 2)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a line.
	data, err := os.ReadFile(headsPath(dir, "gw"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(headsPath(dir, "gw"), data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readHeads(t, dir, "gw"); len(got) != 1 {
		t.Errorf("%d heads before the torn line", len(got))
	}
	f = reopen()
	put(f, 3)
	if got := readHeads(t, dir, "gw"); len(got) != 2 || got[1].Seq != 3 {
		t.Errorf("after the torn line: %v", got)
	}
	f.size = headsSize // full
	put(f, 4)
	if got := readHeads(t, dir, ""); len(got) != 3 || got[2].Seq != 4 {
		t.Errorf("after rotating: %v", got)
	}
	f.size = headsSize
	put(f, 5)
	if got := readHeads(t, dir, "gw"); len(got) != 2 || got[1].Seq != 5 {
		t.Errorf("after rotating twice: %v", got)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(headsPath(dir, "gw")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := readHeads(t, filepath.Join(dir, "none"), ""); got != nil {
		t.Errorf("a folder that isn't there: %v", got)
	}
}

// TestHeadThatCantBeKept: appends go on, health tells.
func TestHeadThatCantBeKept(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		c := withHeads(config(s, "gw", &storeView{s: s}), dir)
		c.SignHead = func(Head) (string, error) { return "", fmt.Errorf("no key") }
		w := open(t, c)
		if _, err := w.Append(t.Context(), disclosureEvent(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := w.Healthy(); err == nil || !strings.Contains(err.Error(), "sign head") {
			t.Errorf("healthy: %v", err)
		}
		if err := w.Close(t.Context()); err == nil {
			t.Error("closed without a word")
		}
	})
}

func TestFirstAbsent(t *testing.T) {
	s := newStore(t)
	for i := range uint64(13) {
		s.streams["audit:x"] = append(s.streams["audit:x"], entry(journal.ID{Epoch: 2, Seq: i}, []byte{byte(i)}))
	}
	for id, want := range map[journal.ID]uint64{{Epoch: 2, Seq: 13}: 13, {Epoch: 2, Seq: 900}: 13, {Epoch: 3, Seq: 5}: 0} {
		if got, err := firstAbsent(t.Context(), s, "audit:x", id); got != want || err != nil {
			t.Errorf("%s: %d %v, want %d", id, got, err, want)
		}
	}
}
