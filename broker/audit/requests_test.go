package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// requestLog is a log of two writers, of three epochs each, over some months; and its events, read by Log.
func requestLog(t *testing.T) (*fakeStore, []LogEvent) {
	s := newStore(t)
	now := testTime.AddDate(0, -4, 0)
	for n := range 6 {
		c := config(s, []string{"gw1", "gw2"}[n%2], freshView{})
		c.Now = func() time.Time { return now }
		w := open(t, c)
		for i := range 7 {
			now = now.Add(66 * time.Hour)
			e := benchEvent(i)
			e.Staff.Case = broker.CaseID(fmt.Sprintf("case-%d-%d", n, i))
			e.Common.Refused = i == 5
			if i == 3 {
				e.Common.Revisions = make([]broker.Revision, len(e.Common.Queries))
				for n := range e.Common.Revisions {
					e.Common.Revisions[n] = broker.Revision(fmt.Sprintf("r%d", n))
				}
			}
			if _, err := w.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, w)
	}
	return s, readLog(t, LogConfig{Store: s, Vault: newVault(s)})
}

func readRequests(t *testing.T, c RequestsConfig) (out []Request) {
	t.Helper()
	for r, err := range Requests(t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// spell makes an event comparable with a request that was read another way.
func spell(t *testing.T, e LogEvent) string {
	var c broker.Common
	if err := json.Unmarshal(e.Common, &c); err != nil {
		t.Fatal(err)
	}
	r := Request{Writer: e.Writer, ID: e.ID, Hash: e.Hash, Time: e.Time, Queries: c.Queries, Decisions: c.Decisions, Revisions: c.Revisions, Engine: c.Policy.Engine, Subjects: c.Subjects,
		Agency: e.Staff.Agency, Worker: e.Staff.Worker, Role: e.Staff.Role, Purpose: e.Staff.Purpose, Case: e.Staff.Case, Answer: e.Staff.Request,
		StaffKey: staffKey(e.Time), Refused: c.Refused}
	if r.Revisions == nil {
		for range r.Queries {
			r.Revisions = append(r.Revisions, c.Policy.Revision)
		}
	}
	return string(mustMarshal(t, r))
}

func mustMarshal(t *testing.T, v any) []byte {
	text, err := marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestRequestsOfEveryWindow: what Requests gives of a window is what Log gives of it.
func TestRequestsOfEveryWindow(t *testing.T) {
	s, events := requestLog(t)
	first := events[0].Time
	for _, window := range [][2]time.Time{{}, {first, first.AddDate(1, 0, 0)}, {first.AddDate(0, 0, 20), {}}, {{}, first.AddDate(0, 0, 50)},
		{first.AddDate(0, 0, 31), first.AddDate(0, 0, 64)}, {first.AddDate(0, 0, 63), first.AddDate(0, 0, 95)}, {first.AddDate(1, 0, 0), {}},
		{events[len(events)/2].Time, events[len(events)/2+3].Time}} {
		want := map[string]bool{}
		for _, e := range events {
			if e.Kind == KindDisclosure && !e.Time.Before(window[0]) && (window[1].IsZero() || e.Time.Before(window[1])) {
				want[spell(t, e)] = true
			}
		}
		got := readRequests(t, RequestsConfig{Store: s, Vault: newVault(s), Since: window[0], Until: window[1]})
		if len(got) != len(want) {
			t.Errorf("%v: %d requests, want %d", window, len(got), len(want))
		}
		for _, r := range got {
			if !want[string(mustMarshal(t, r))] {
				t.Errorf("%v: not in the log: %s", window, mustMarshal(t, r))
			}
		}
	}
}

// TestRequestsSkipsWhatIsOlder: a window of months does not read a log of years.
func TestRequestsSkipsWhatIsOlder(t *testing.T) {
	s, events := requestLog(t)
	for _, e := range events {
		if e.Kind != KindDisclosure {
			continue
		}
		after, err := RequestsConfig{Store: s, Since: e.Time.Add(skew)}.start(t.Context(), e.Writer)
		if next, _ := s.Read(t.Context(), journal.Audit(e.Writer), after, 1); err != nil || len(next) != 1 || ID(next[0].ID) != e.ID {
			t.Errorf("the window from %s begins after %s: %v, want to read %s first", e.Time, after, err, e.ID)
		}
	}
}

// TestRequestsNamesWhatItCantRead: one damaged event hides no other, and a part under an erased key says so.
func TestRequestsNamesWhatItCantRead(t *testing.T) {
	s, _ := requestLog(t)
	stream := s.streams[journal.Audit("gw1")]
	stream[2].Bytes = bytes.Replace(stream[2].Bytes, []byte(`"kind":"disclosure"`), []byte(`"kind";"disclosure"`), 1)
	stream[3].Bytes = bytes.Replace(stream[3].Bytes, []byte(`"queries":[0]`), []byte(`"queries":[9]`), 1)
	stream[4].Bytes = bytes.Replace(stream[4].Bytes, []byte(`"decisions":[`), []byte(`"decisions":[{},`), 1)
	var month string
	for id := range s.keys {
		if strings.HasPrefix(id, "staff:") && id > month {
			month = id
		}
	}
	delete(s.keys, month)
	damaged, erased, whole := 0, 0, 0
	for _, r := range readRequests(t, RequestsConfig{Store: s, Vault: newVault(s)}) {
		switch {
		case r.Damaged && r.Writer == "gw1" && r.Queries == nil:
			damaged++
		case r.StaffState == PartErased && r.Agency == "" && r.Case == "":
			erased++
		case r.StaffState == "" && r.Agency != "" && r.Case != "":
			whole++
		default:
			t.Errorf("%+v", r)
		}
	}
	if damaged != 3 || erased == 0 || whole == 0 || damaged+erased+whole != 42 {
		t.Errorf("%d damaged, %d erased, %d whole", damaged, erased, whole)
	}
	for _, r := range readRequests(t, RequestsConfig{Store: s}) {
		if !r.Damaged && (r.StaffState != PartClosed || r.Agency != "") {
			t.Errorf("without a vault: %+v", r)
		}
	}
}

// TestRequestsEnds: who has seen enough stops it, and what fails is told once.
func TestRequestsEnds(t *testing.T) {
	s, _ := requestLog(t)
	n := 0
	for range Requests(t.Context(), RequestsConfig{Store: s}) {
		if n++; n == 3 {
			break
		}
	}
	broken := shakySource{s, func() error { return errors.New("down") }}
	var errs []error
	for _, err := range Requests(t.Context(), RequestsConfig{Store: broken}) {
		errs = append(errs, err)
	}
	if n != 3 || len(errs) != 1 || errs[0] == nil {
		t.Errorf("%d, %v", n, errs)
	}
}
