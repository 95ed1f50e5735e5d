package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// signHead and verifyHead stand for package seal's.
func signHead(h Head) (string, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	m := hmac.New(sha256.New, []byte("key"))
	m.Write(data)
	return base64.RawURLEncoding.EncodeToString(data) + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)), nil
}

func verifyHead(signature string) (Head, error) {
	payload, _, _ := strings.Cut(signature, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	var h Head
	if err != nil || json.Unmarshal(data, &h) != nil {
		return Head{}, errors.New("malformed")
	}
	if want, err := signHead(h); err != nil || want != signature {
		return Head{}, errors.New("wrong signature")
	}
	return h, nil
}

func signed(t testing.TB, writer string, e journal.Entry) SignedHead {
	h := Head{Log: testLog, Writer: writer, Epoch: e.ID.Epoch, Seq: e.ID.Seq, Hash: e.Hash, Time: testTime}
	s, err := signHead(h)
	if err != nil {
		t.Fatal(err)
	}
	return SignedHead{h, s}
}

// smallLog is a log with all there is: two writers, two epochs of one, register changes. Every stream's end is under a
// signed head.
func smallLog(t testing.TB) (*fakeStore, VerifyConfig) { return logWith(t, disclosureEvent(1)) }

func logWith(t testing.TB, e broker.Event) (*fakeStore, VerifyConfig) {
	t.Helper()
	s := newStore(t)
	c := VerifyConfig{Store: s, VerifyHead: verifyHead}
	for range 2 {
		w := open(t, config(s, "gw", &storeView{s: s}))
		r, err := w.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		c.Receipts = append(c.Receipts, r)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, config(s, "cli", nil))
	if _, err := w.Change(t.Context(), changeAfter(s, "case-1")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, writer := range []string{"gw", "cli"} {
		stream := s.streams[journal.Audit(writer)]
		c.Heads = append(c.Heads, signed(t, writer, stream[len(stream)-1]))
	}
	return s, c
}

func verify(t testing.TB, c VerifyConfig) Report {
	t.Helper()
	rep, err := Verify(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func names(rep Report, stream journal.Stream, id journal.ID) bool {
	return slices.ContainsFunc(rep.Faults, func(f Fault) bool { return f.Stream == stream && f.ID != nil && journal.ID(*f.ID) == id })
}

func TestVerifyWholeLog(t *testing.T) {
	s, c := smallLog(t)
	rep := verify(t, c)
	if !rep.OK || rep.Log != testLog || rep.Heads != 2 || rep.Receipts != 2 || len(rep.Writers) != 2 {
		t.Fatalf("%+v", rep)
	}
	gw := rep.Writers[1]
	if gw.Stream != "audit:gw" || gw.Entries != 6 || gw.Epochs != 2 || gw.Unanchored != 0 || gw.Head.ID != (ID{2, 2}) {
		t.Errorf("%+v", gw)
	}
	if rep.Register.Entries != 3 || rep.Register.Unanchored != 0 {
		t.Errorf("%+v", rep.Register)
	}
	c.Heads = nil
	rep = verify(t, c)
	if !rep.OK || rep.Writers[0].Unanchored != 3 || rep.Writers[1].Unanchored != 1 || rep.Register.Unanchored != 3 {
		t.Errorf("without heads: %+v", rep)
	}
	c.Receipts = nil
	if rep = verify(t, c); !rep.OK || rep.Writers[1].Unanchored != 6 {
		t.Errorf("without heads and receipts: %+v", rep)
	}
	if _, err := json.Marshal(rep); err != nil || s.t.Failed() {
		t.Error(err)
	}
}

// TestVerifyNamesEveryTamperedEntry is invariant 7: whatever one does to an entry that a head covers, the entry is named;
// with the stored hash left alone and with the hash made to fit.
func TestVerifyNamesEveryTamperedEntry(t *testing.T) {
	// Small events, since each of their bytes costs a verification.
	s, c := logWith(t, broker.Event{
		Position: 1, Staff: broker.Staff{Worker: "w"}, Subjects: []broker.SubjectPart{{BSN: "999990019"}},
	})
	whole := map[journal.Stream][]journal.Entry{}
	for stream, entries := range s.streams {
		whole[stream] = slices.Clone(entries)
	}
	try := func(what string, stream journal.Stream, id journal.ID, change func(entries []journal.Entry) []journal.Entry) {
		t.Helper()
		s.streams[stream] = change(slices.Clone(whole[stream]))
		rep := verify(t, c)
		if !names(rep, stream, id) {
			t.Errorf("%s of %s %s: not named; faults %v", what, stream, id, rep.Faults)
		}
		if f := rep.Faults; f[0].Stream != stream {
			t.Errorf("%s of %s %s: the first fault is elsewhere: %v", what, stream, id, f)
		}
		s.streams[stream] = whole[stream]
	}
	for stream, entries := range whole {
		for i, e := range entries {
			replace := func(what string, data []byte, rehash bool) {
				try(what, stream, e.ID, func(all []journal.Entry) []journal.Entry {
					all[i].Bytes = data
					if rehash {
						all[i].Hash = sha256.Sum256(data)
					}
					return all
				})
			}
			for k := range e.Bytes {
				data := bytes.Clone(e.Bytes)
				data[k] ^= 1 << (k % 7)
				replace("flipping a bit", data, (k+i)%4 != 0)
			}
			for _, n := range []int{0, 1, len(e.Bytes) / 2, len(e.Bytes) - 1} {
				replace("cutting", e.Bytes[:n], true)
				replace("cutting", e.Bytes[:n], false)
			}
			try("altering the hash", stream, e.ID, func(all []journal.Entry) []journal.Entry {
				all[i].Hash[3] ^= 4
				return all
			})
			try("dropping", stream, e.ID, func(all []journal.Entry) []journal.Entry { return slices.Delete(all, i, i+1) })
			try("dropping all from", stream, e.ID, func(all []journal.Entry) []journal.Entry { return all[:i] })
			try("doubling", stream, e.ID, func(all []journal.Entry) []journal.Entry { return slices.Insert(all, i, all[i]) })
			if i > 0 {
				try("swapping", stream, whole[stream][i-1].ID, func(all []journal.Entry) []journal.Entry {
					all[i-1], all[i] = all[i], all[i-1]
					return all
				})
				try("swapping the content", stream, e.ID, func(all []journal.Entry) []journal.Entry {
					all[i-1].Bytes, all[i].Bytes = all[i].Bytes, all[i-1].Bytes
					all[i-1].Hash, all[i].Hash = all[i].Hash, all[i-1].Hash
					return all
				})
			}
			if stream == journal.Register {
				try("altering the touches", stream, e.ID, func(all []journal.Entry) []journal.Entry {
					all[i].Touches = append(slices.Clone(all[i].Touches), "x")
					return all
				})
			}
		}
	}
}

// rewrite changes an event and makes everything after it fit, as someone who can write the store could.
func rewrite(t *testing.T, s *fakeStore, stream journal.Stream, from int) {
	all := s.streams[stream]
	for i := from; i < len(all); i++ {
		e, err := Decode(all[i].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if i == from {
			e.Time = e.Time.Add(1)
		} else {
			e.Prev = all[i-1].Hash
			var start Start
			if e.Kind == KindStart && json.Unmarshal(e.Common, &start) == nil && start.Previous != nil {
				start.Previous.Hash = e.Prev
				if e.Common, err = marshal(start); err != nil {
					t.Fatal(err)
				}
			}
		}
		all[i] = entry(e.ID, e.Encode())
	}
}

func TestVerifyFindsARewrittenLog(t *testing.T) {
	s, c := smallLog(t)
	gw := s.streams["audit:gw"]
	c.Heads = []SignedHead{signed(t, "gw", gw[0]), signed(t, "gw", gw[4]), signed(t, "gw", gw[5])}
	receipts := c.Receipts
	c.Receipts = nil
	rewrite(t, s, "audit:gw", 2)
	rep := verify(t, c)
	if len(rep.Faults) != 1 || !names(rep, "audit:gw", gw[4].ID) || !strings.Contains(rep.Faults[0].What, "after 1-0") {
		t.Errorf("faults %v", rep.Faults)
	}
	c.Heads = nil
	if rep := verify(t, c); !rep.OK || rep.Writers[1].Unanchored != 6 {
		t.Errorf("without anchors a rewritten log is whole and says so: %+v", rep)
	}
	c.Receipts = receipts
	if rep := verify(t, c); rep.OK || rep.Receipts != 1 || rep.Faults[0].Code != FaultReceipt {
		t.Errorf("against receipts: %+v", rep)
	}
}

func TestVerifyFindsAddedEvents(t *testing.T) {
	s, c := smallLog(t)
	all := s.streams["audit:gw"]
	e, err := Decode(all[1].Bytes)
	if err != nil {
		t.Fatal(err)
	}
	// After the stop of the first epoch, chained well: only the start of the second tells.
	e.ID, e.Prev = journal.ID{Epoch: 1, Seq: 3}, all[2].Hash
	s.streams["audit:gw"] = slices.Insert(slices.Clone(all), 3, entry(e.ID, e.Encode()))
	if rep := verify(t, c); !names(rep, "audit:gw", e.ID) {
		t.Errorf("faults %v", rep.Faults)
	}
	// At the very end, in a third epoch of its own: nothing vouches for it.
	start := Event{Writer: "gw", ID: journal.ID{Epoch: 3}, Prev: all[5].Hash, Time: testTime, Position: 1, Kind: KindStart}
	start.Common, _ = marshal(Start{Log: testLog, Reason: ReasonClean, Previous: &Ref{ID{2, 2}, all[5].Hash}})
	s.streams["audit:gw"] = append(slices.Clone(all), entry(start.ID, start.Encode()))
	if rep := verify(t, c); !rep.OK || rep.Writers[1].Unanchored != 1 {
		t.Errorf("an event after the last head is unanchored: %+v", rep)
	}
	// A start that tells another story of what was before.
	for _, story := range []Start{
		{Log: "another", Reason: ReasonClean, Previous: &Ref{ID{2, 2}, all[5].Hash}},
		{Log: testLog, Reason: ReasonCrash, Previous: &Ref{ID{2, 2}, all[5].Hash}},
		{Log: testLog, Reason: ReasonFirst},
		{Log: testLog, Reason: ReasonClean, Previous: &Ref{ID{2, 2}, all[4].Hash}},
		{Log: testLog, Reason: ReasonClean, Previous: &Ref{ID{2, 9}, all[5].Hash}},
		{Log: testLog, Reason: ReasonClean, Previous: &Ref{ID{2, 1}, all[5].Hash}},
	} {
		start.Common, _ = marshal(story)
		s.streams["audit:gw"] = append(slices.Clone(all), entry(start.ID, start.Encode()))
		if rep := verify(t, c); rep.OK {
			t.Errorf("%+v: no fault", story)
		}
	}
}

func TestVerifyRegisterAgainstItsEvents(t *testing.T) {
	s, c := smallLog(t)
	register := slices.Clone(s.streams[journal.Register])
	extra := registerEntry(headOf(register), "consent.given")
	s.streams[journal.Register] = append(slices.Clone(register), extra)
	if rep := verify(t, c); len(rep.Faults) != 1 || !names(rep, journal.Register, extra.ID) || rep.Faults[0].Code != FaultUnrecorded {
		t.Errorf("an entry without an event: %v", rep.Faults)
	}
	// A wholly other register, well chained: the events recorded another.
	other := []journal.Entry{register[0]}
	for range 2 {
		other = append(other, registerEntry(headOf(other), "case.closed"))
	}
	s.streams[journal.Register] = other
	if rep := verify(t, c); len(rep.Faults) != 2 || !names(rep, journal.Register, other[1].ID) {
		t.Errorf("another register: %v", rep.Faults)
	}
	s.streams[journal.Register] = register
	c2, start := c, s.streams["audit:gw"][0]
	c2.Heads, c2.Receipts = nil, nil
	far, err := Decode(start.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	far.Position = 9
	far.Writer = "late"
	s.streams["audit:late"] = []journal.Entry{entry(far.ID, far.Encode())}
	if rep := verify(t, c2); len(rep.Faults) != 1 || !names(rep, journal.Register, journal.ID{Epoch: 1, Seq: 3}) {
		t.Errorf("an event decided on more entries than there are: %v", rep.Faults)
	}
	delete(s.streams, "audit:late")
	s.streams[journal.Register] = nil
	if rep := verify(t, c); !names(rep, journal.Register, journal.ID{Epoch: 1}) {
		t.Errorf("no register: %v", rep.Faults)
	}
	s.streams[journal.Register] = register
	w := open(t, config(s, "again", nil))
	mustClose(t, w)
	again := s.events("cli")[1]
	stream := s.streams["audit:again"]
	again.Writer, again.ID, again.Prev = "again", journal.ID{Epoch: 1, Seq: 1}, stream[0].Hash
	s.streams["audit:again"] = []journal.Entry{stream[0], entry(again.ID, again.Encode())}
	if rep := verify(t, c); rep.OK || rep.Faults[0].Code != FaultUnrecorded {
		t.Errorf("recorded twice: %v", rep.Faults)
	}
	delete(s.streams, "audit:again")
	delete(s.streams, "audit:cli")
	rep := verify(t, c)
	if !names(rep, "audit:cli", journal.ID{Epoch: 1}) || !names(rep, journal.Register, journal.ID{Epoch: 1, Seq: 1}) {
		t.Errorf("a whole stream dropped: %v", rep.Faults)
	}
}

func TestVerifyHeadsAndReceipts(t *testing.T) {
	_, c := smallLog(t)
	forged := c.Heads[0]
	forged.Signature = "x" + forged.Signature
	foreign := c.Heads[1]
	foreign.Log = "another"
	foreign.Signature, _ = signHead(foreign.Head)
	future := c.Heads[1]
	future.Epoch, future.Seq = 2, 9
	future.Signature, _ = signHead(future.Head)
	for name, tc := range map[string]struct {
		change func(*VerifyConfig)
		code   FaultCode
	}{
		"forged head":       {func(c *VerifyConfig) { c.Heads = append(c.Heads, forged) }, FaultHead},
		"head of other log": {func(c *VerifyConfig) { c.Heads = append(c.Heads, foreign) }, FaultHead},
		"head not reached":  {func(c *VerifyConfig) { c.Heads = append(c.Heads, future) }, FaultMissing},
		"unknown receipt":   {func(c *VerifyConfig) { c.Receipts = append(c.Receipts, broker.Receipt{Log: testLog}) }, FaultReceipt},
		"foreign receipt":   {func(c *VerifyConfig) { c.Receipts[0].Log = "another" }, FaultReceipt},
	} {
		bad := c
		bad.Heads, bad.Receipts = slices.Clone(c.Heads), slices.Clone(c.Receipts)
		tc.change(&bad)
		if rep := verify(t, bad); len(rep.Faults) != 1 || rep.Faults[0].Code != tc.code {
			t.Errorf("%s: %v", name, rep.Faults)
		}
	}
	c.VerifyHead = nil
	if _, err := Verify(t.Context(), c); err == nil {
		t.Error("heads without keys to verify them were ignored")
	}
}

func TestFaultsAreBounded(t *testing.T) {
	s := newStore(t)
	w := open(t, config(s, "gw", &storeView{s: s}))
	for i := range maxFaults + 20 {
		if _, err := w.Append(t.Context(), disclosureEvent(i)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, w)
	for i := range s.streams["audit:gw"] {
		s.streams["audit:gw"][i].Bytes = bytes.Clone(s.streams["audit:gw"][i].Bytes)
		s.streams["audit:gw"][i].Bytes[9] ^= 1
	}
	if rep := verify(t, VerifyConfig{Store: s}); len(rep.Faults) != maxFaults || rep.More != 22 {
		t.Errorf("%d faults and %d more", len(rep.Faults), rep.More)
	}
}
