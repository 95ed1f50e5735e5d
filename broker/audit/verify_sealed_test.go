package audit

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// sealedBy gives what a checkpoint over a store as it is now vouches for.
func sealedBy(s *fakeStore) []Sealed {
	var out []Sealed
	for _, stream := range slices.Sorted(maps.Keys(s.streams)) {
		for _, e := range s.streams[stream] {
			out = append(out, Sealed{stream, e.ID, e.Hash})
		}
	}
	return out
}

func asSealed(list []Sealed, end error) iter.Seq2[Sealed, error] {
	return func(yield func(Sealed, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
		if end != nil {
			yield(Sealed{}, end)
		}
	}
}

// TestVerifySealed: a checkpoint alone, without heads and receipts, vouches for everything it covers: a log that was rewritten
// with every hash recomputed, cut, or robbed of a whole stream is found, and the first entry named.
func TestVerifySealed(t *testing.T) {
	s, _ := smallLog(t)
	list := sealedBy(s)
	rep := verify(t, VerifyConfig{Store: s, Sealed: asSealed(list, nil)})
	if !rep.OK || rep.Sealed != uint64(len(list)) || rep.Register.Unanchored != 0 {
		t.Errorf("%+v", rep)
	}
	for _, w := range rep.Writers {
		if w.Unanchored != 0 {
			t.Errorf("%s: %d not covered", w.Stream, w.Unanchored)
		}
	}
	gw := journal.Audit("gw")
	at := func(epoch, seq uint64) journal.ID { return journal.ID{Epoch: epoch, Seq: seq} }
	for name, c := range map[string]struct {
		bend   func(t *testing.T, s *fakeStore)
		stream journal.Stream
		id     journal.ID
		code   FaultCode
	}{
		"rewritten from the second event on": {func(t *testing.T, s *fakeStore) { rewrite(t, s, gw, 1) }, gw, at(1, 1), FaultAltered},
		"cut":                                {func(_ *testing.T, s *fakeStore) { s.streams[gw] = s.streams[gw][:len(s.streams[gw])-2] }, gw, at(2, 1), FaultMissing},
		"a stream gone":                      {func(_ *testing.T, s *fakeStore) { delete(s.streams, gw) }, gw, at(1, 0), FaultMissing},
		"the register cut":                   {func(_ *testing.T, s *fakeStore) { s.streams[journal.Register] = s.streams[journal.Register][:1] }, journal.Register, at(1, 1), FaultMissing},
		"an entry in between":                {func(_ *testing.T, s *fakeStore) { s.streams[gw] = slices.Delete(s.streams[gw], 1, 2) }, gw, at(1, 1), FaultMissing},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := smallLog(t)
			list := sealedBy(s)
			c.bend(t, s)
			rep := verify(t, VerifyConfig{Store: s, Sealed: asSealed(list, nil)})
			found := slices.ContainsFunc(rep.Faults, func(f Fault) bool {
				return f.Code == c.code && f.Stream == c.stream && f.ID != nil && journal.ID(*f.ID) == c.id
			})
			if rep.OK || !found {
				t.Errorf("want %s at %s %s; found %v", c.code, c.stream, c.id, rep.Faults)
			}
		})
	}

	// What is not covered yet is said to be so.
	last := slices.IndexFunc(list, func(e Sealed) bool { return e.Stream == gw && e.ID == at(2, 2) })
	rep = verify(t, VerifyConfig{Store: s, Sealed: asSealed(slices.Delete(slices.Clone(list), last, last+1), nil)})
	if !rep.OK || rep.Writers[1].Unanchored != 1 {
		t.Errorf("with one event not covered: %+v", rep)
	}
	// A Merkle log with an entry twice, or of which the leaves do not make the root.
	if rep := verify(t, VerifyConfig{Store: s, Sealed: asSealed(append(slices.Clone(list), list[0]), nil)}); rep.OK || rep.Faults[0].Code != FaultCheckpoint {
		t.Errorf("an entry twice: %+v", rep.Faults)
	}
	if rep := verify(t, VerifyConfig{Store: s, Sealed: asSealed(list, fmt.Errorf("%w: x", ErrSealBroken))}); rep.OK || rep.Faults[0].Code != FaultCheckpoint || rep.Sealed != 0 {
		t.Errorf("leaves that make no root: %+v", rep)
	}
	failed := errors.New("no disk")
	if _, err := Verify(t.Context(), VerifyConfig{Store: s, Sealed: asSealed(nil, failed)}); !errors.Is(err, failed) {
		t.Errorf("a log that can't be read: %v", err)
	}
	other := slices.Clone(list)
	other[2].Hash = broker.Hash{1}
	if rep := verify(t, VerifyConfig{Store: s, Sealed: asSealed(other, nil)}); rep.OK || rep.Sealed != uint64(len(list)-1) {
		t.Errorf("another hash was sealed: %+v", rep)
	}
}
