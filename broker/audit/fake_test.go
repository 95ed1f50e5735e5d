package audit

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// fakeStore is a journal.Store in memory. It fails the test when a writer breaks the contract, and fails appends on
// demand in both forms: lost, and done with the answer lost.
type fakeStore struct {
	journal.Snapshots // audit has nothing to do with them
	journal.Notebook  // nor with these
	journal.Leases
	journal.Inventory
	journal.Trims

	t testing.TB

	mu       sync.Mutex
	streams  map[journal.Stream][]journal.Entry
	inFlight map[string]bool          // by writer and epoch: one process
	unknown  map[string]journal.Batch // whose last append ended in an error
	appends  int
	made     int // changes

	// fail is asked at each append: an error, and whether the append is done all the same. Called without the lock.
	fail  func(n int, b journal.Batch) (err error, done bool)
	check func() error
	keys  map[string][]byte
}

func newStore(t testing.TB) *fakeStore {
	s := &fakeStore{
		t: t, streams: map[journal.Stream][]journal.Entry{}, inFlight: map[string]bool{},
		unknown: map[string]journal.Batch{}, keys: map[string][]byte{},
	}
	s.streams[journal.Register] = []journal.Entry{registerEntry(journal.Head{}, "genesis")}
	return s
}

const testLog = "0123456789abcdef0123456789abcdef"

// registerEntry makes an entry as package register writes them.
func registerEntry(after journal.Head, kind string, touches ...broker.Touch) journal.Entry {
	id, body := journal.ID{Epoch: 1}, `{"log":"`+testLog+`"}`
	if after != (journal.Head{}) {
		id.Seq, body = after.ID.Seq+1, `{}`
	}
	list := make([]string, len(touches))
	for i, t := range touches {
		list[i] = `"` + string(t) + `"`
	}
	e := entry(id, fmt.Appendf(nil, `{"v":1,"seq":%d,"prev":"%s","time":"2026-11-24T12:00:00Z","kind":"%s","touches":[%s],"body":%s}`,
		id.Seq, after.Hash, kind, strings.Join(list, ","), body))
	e.Touches = touches
	return e
}

func headOf(entries []journal.Entry) journal.Head {
	if len(entries) == 0 {
		return journal.Head{}
	}
	last := entries[len(entries)-1]
	return journal.Head{ID: last.ID, Hash: last.Hash}
}

func (s *fakeStore) Init(context.Context, journal.Entry) error { return journal.ErrExists }

func (s *fakeStore) Append(ctx context.Context, b journal.Batch) (journal.Outcome, error) {
	s.begin(b)
	defer func() { s.mu.Lock(); delete(s.inFlight, process(b)); s.mu.Unlock() }()
	s.mu.Lock()
	s.appends++
	n, fail := s.appends, s.fail
	s.mu.Unlock()
	var err error
	done := true
	if fail != nil {
		err, done = fail(n, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var outcome journal.Outcome
	if done {
		outcome = s.apply(b)
	}
	if err != nil {
		s.unknown[process(b)] = b
		return "", err
	}
	delete(s.unknown, process(b))
	return outcome, nil
}

// failWith sets what happens to appends from now on.
func (s *fakeStore) failWith(f func(n int, b journal.Batch) (error, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// process tells which process sent a batch: epochs have one each, but several may claim the same one.
func process(b journal.Batch) string {
	first := b.Events[0]
	if first.ID.Seq == 0 {
		return fmt.Sprint(b.Writer, first.ID.Epoch, first.Hash)
	}
	return fmt.Sprint(b.Writer, first.ID.Epoch)
}

// begin holds the writer against its contract.
func (s *fakeStore) begin(b journal.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := b.Validate(); err != nil {
		s.t.Errorf("malformed batch: %v", err)
	}
	if s.inFlight[process(b)] {
		s.t.Error("two appends of one writer in flight")
	}
	s.inFlight[process(b)] = true
	if was, ok := s.unknown[process(b)]; ok && !slices.EqualFunc(was.Events, b.Events, sameEntry) {
		s.t.Error("another batch was sent while the outcome of one was unknown")
	}
	for _, e := range b.Events {
		if e.Hash != broker.Hash(sha256.Sum256(e.Bytes)) {
			s.t.Error("an event with another hash than its bytes have")
		}
		if _, err := Decode(e.Bytes); err != nil {
			s.t.Errorf("an event that can't be decoded: %v", err)
		}
	}
}

func sameEntry(a, b journal.Entry) bool {
	return a.ID == b.ID && a.Hash == b.Hash && string(a.Bytes) == string(b.Bytes)
}

func (s *fakeStore) apply(b journal.Batch) journal.Outcome {
	stream := journal.Audit(b.Writer)
	register := s.streams[journal.Register]
	holds := !slices.ContainsFunc(b.Register, func(e journal.Entry) bool {
		return !slices.ContainsFunc(register, func(r journal.Entry) bool { return sameEntry(e, r) })
	})
	switch head := headOf(s.streams[stream]); {
	case head == headOf(b.Events) && holds:
		return journal.Already
	case head != b.After || int(b.Position) > len(register):
		return journal.Fenced
	case len(b.Register) > 0 && headOf(register) != b.RegisterAfter:
		return journal.Moved
	}
	for _, r := range register[b.Position:] {
		for _, t := range r.Touches {
			if t == broker.TouchAll || slices.Contains(b.Touches, t) {
				return journal.Stale
			}
		}
	}
	s.streams[stream] = append(s.streams[stream], b.Events...)
	s.streams[journal.Register] = append(register, b.Register...)
	return journal.Appended
}

func (s *fakeStore) Head(_ context.Context, stream journal.Stream) (journal.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return headOf(s.streams[stream]), nil
}

// Read pages by place, so that a log whose order was broken can be read too.
func (s *fakeStore) Read(_ context.Context, stream journal.Stream, after journal.ID, n int) ([]journal.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.streams[stream]
	from := 0
	for i, e := range all {
		if !after.Less(e.ID) {
			from = i + 1
		}
	}
	return slices.Clone(all[from:min(len(all), from+n)]), nil
}

func (s *fakeStore) Wait(ctx context.Context, _ journal.Stream, _ journal.ID) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *fakeStore) Writers(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for stream := range maps.Keys(s.streams) {
		if name, ok := strings.CutPrefix(string(stream), "audit:"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *fakeStore) PutBlob(context.Context, string, []byte) error { return errors.ErrUnsupported }
func (s *fakeStore) Blob(context.Context, string) ([]byte, error)  { return nil, journal.ErrAbsent }
func (s *fakeStore) Close() error                                  { return nil }
func (s *fakeStore) Check(context.Context) error {
	s.mu.Lock()
	check := s.check
	s.mu.Unlock()
	if check == nil {
		return nil
	}
	return check()
}

func (s *fakeStore) PutKeys(_ context.Context, list []journal.WrappedKey) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var there [][]byte
	for _, k := range list {
		if s.keys[k.ID] == nil {
			s.keys[k.ID] = k.Wrapped
		}
		there = append(there, s.keys[k.ID])
	}
	return there, nil
}

func (s *fakeStore) Keys(_ context.Context, ids []string) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var there [][]byte
	for _, id := range ids {
		there = append(there, s.keys[id])
	}
	return there, nil
}

func (s *fakeStore) DeleteKeys(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.keys, id)
	}
	return nil
}

// events gives a writer's stream, decoded.
func (s *fakeStore) events(writer string) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Event
	for _, e := range s.streams[journal.Audit(writer)] {
		ev, err := Decode(e.Bytes)
		if err != nil {
			s.t.Fatalf("event %s: %v", e.ID, err)
		}
		out = append(out, ev)
	}
	return out
}

// change adds a register entry as another process would, with its event.
func (s *fakeStore) change(touches ...broker.Touch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const writer = "other"
	register, mine := s.streams[journal.Register], headOf(s.streams[journal.Audit(writer)])
	e := registerEntry(headOf(register), "case.changed", touches...)
	next := Event{Writer: writer, ID: journal.ID{Epoch: 1}, Time: testTime, Position: positionAt(headOf(register))}
	add := func(kind Kind, common any) {
		data, err := marshal(common)
		if err != nil {
			s.t.Fatal(err)
		}
		next.Kind, next.Common, next.Prev = kind, data, mine.Hash
		s.streams[journal.Audit(writer)] = append(s.streams[journal.Audit(writer)], entry(next.ID, next.Encode()))
		mine = headOf(s.streams[journal.Audit(writer)])
	}
	if mine == (journal.Head{}) {
		add(KindStart, Start{Log: testLog, Reason: ReasonFirst})
	}
	next.ID.Seq = mine.ID.Seq + 1
	add(KindRegister, Recorded{Kind: "case.changed", Entries: []Ref{{ID: ID(e.ID), Hash: e.Hash}}})
	s.streams[journal.Register] = append(register, e)
}

// storeView is a View that is behind the store until it is refreshed.
type storeView struct {
	s  *fakeStore
	mu sync.Mutex
	at broker.Position
}

func (v *storeView) Validate(p broker.Position, touches []broker.Touch) (broker.Position, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.at == 0 {
		v.at = 1
	}
	for i := int(p); i < int(v.at); i++ {
		for _, t := range v.s.streams[journal.Register][i].Touches {
			if t == broker.TouchAll || slices.Contains(touches, t) {
				return v.at, false
			}
		}
	}
	return v.at, true
}

func (v *storeView) Refresh(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.at = broker.Position(len(v.s.streams[journal.Register]))
	return nil
}

// plainRing wraps data keys with a fixed key: enough of a ring for the real vault.
type plainRing struct{ aead cipher.AEAD }

func newRing() plainRing {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return plainRing{aead}
}

func (r plainRing) Serial() uint64                    { return 1 }
func (r plainRing) Wrap(k []byte) ([]byte, error)     { return r.aead.Seal(nil, nil, k, nil), nil }
func (r plainRing) Unwrap(k []byte) ([]byte, error)   { return r.aead.Open(nil, nil, k, nil) }
func (r plainRing) SealRef(id string) ([]byte, error) { return r.Wrap([]byte(id)) }
func (r plainRing) OpenRef(ref []byte) (string, error) {
	b, err := r.Unwrap(ref)
	return string(b), err
}

func newVault(s keys.KeyStore) *keys.Vault { return keys.NewVault(s, newRing()) }

var testTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// config is a gateway's.
func config(s journal.Store, writer string, view View) Config {
	return Config{
		Store: s, Writer: writer, Log: testLog, Version: "test", Vault: newVault(s), View: view,
		Pseudonym: func(b broker.BSN) string {
			h := sha256.Sum256([]byte("pseudonym " + b.Reveal()))
			return broker.Hash(h).String()[:32]
		},
		Now: func() time.Time { return testTime },
	}
}

func open(t testing.TB, c Config) *Writer {
	t.Helper()
	w, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// disclosureEvent is an event with a value of each kind that must not be seen in clear.
func disclosureEvent(n int, touches ...broker.Touch) broker.Event {
	id := broker.RequestID(fmt.Sprintf("0193a2b4-0000-7000-8000-%012d", n))
	return broker.Event{
		Position: 1, Touches: touches,
		Common: broker.Common{
			Queries:  nil,
			Policy:   broker.PolicyRef{Revision: "rev", Engine: "opa"},
			Released: []broker.Released{{Field: "huur.achterstand.bedrag", Subject: "p1", Form: "exact", Basis: "wgs-8"}},
			Withheld: []broker.Withheld{{Field: "ggz.diagnose", Subject: "household", Reasons: []broker.Reason{"release-missing"}}},
			Request:  broker.Hash(sha256.Sum256([]byte(id))),
			Asked:    []broker.AskedKind{{Holder: "woningcorporatie", Key: broker.KeyIdentity, Subject: "p1"}},
		},
		Staff: broker.Staff{
			Agency: "00000001234567890000", Worker: "canary-worker", Role: "wijkteammedewerker",
			Purpose: "ontruiming-voorkomen", Case: "canary-case", Request: id,
			Asked: []broker.AskedName{{Holder: "00000009876543210000"}},
		},
		Subjects: []broker.SubjectPart{
			{BSN: "999990019", Subject: "p1", Agency: "00000001234567890000", Purpose: "ontruiming-voorkomen"},
			{BSN: "999990020", Subject: "household", Agency: "00000001234567890000", Purpose: "ontruiming-voorkomen"},
		},
	}
}
