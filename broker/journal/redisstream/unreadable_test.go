package redisstream

import (
	"testing"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestUnreadableEntry: what someone else wrote into a stream comes with its id alone, and the entries around it come.
func TestUnreadableEntry(t *testing.T) {
	s := ready(t, Config{Addrs: []string{redistest.Start(t).Addr}})
	first := event(journal.Head{}, "x")
	if _, err := s.Append(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := s.rdb.Do(t.Context(), "XADD", s.keys.audit+"a", "1-1", "h", "short", "b", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.rdb.Do(t.Context(), "XADD", s.keys.audit+"a", "1-2", "h", string(first.Events[0].Hash[:]), "b", "x").Err(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(t.Context(), journal.Audit("a"), journal.ID{}, 10)
	if err != nil || len(got) != 3 || got[0].Hash != first.Events[0].Hash || got[2].Hash != first.Events[0].Hash {
		t.Fatalf("%v, %v", got, err)
	}
	if e := got[1]; e.ID != (journal.ID{Epoch: 1, Seq: 1}) || e.Hash != [32]byte{} || e.Bytes != nil || e.Touches != nil {
		t.Errorf("the unreadable entry came as %+v", e)
	}
}
