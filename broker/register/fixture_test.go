package register

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// The agencies, workers and persons of these tests.
const (
	gemeente  broker.OIN = "00000001000000000001"
	elders    broker.OIN = "00000001000000000002" // another municipality
	verhuurT  broker.OIN = "00000001000000000003" // a housing corporation
	kliniek   broker.OIN = "00000001000000000004"
	rvig      broker.OIN = "00000001000000000005"
	vreemd    broker.OIN = "00000001000000000009" // never added
	voorkomen            = broker.Purpose("ontruiming-voorkomen")
	signalen             = broker.Purpose("vroegsignalering")
	anna                 = broker.WorkerID("anna.jansen")
	bram                 = broker.WorkerID("bram.devries")
	carla                = broker.WorkerID("carla.bakker")
	revision             = broker.Revision("1111111111111111111111111111111111111111111111111111111111111111")
	wijkteam             = "wijkteam-noord"
)

var (
	bsns = testBSNs(12)
	noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
)

// testBSNs gives BSNs that pass the 11-test, from the end of the range, where the tests' are.
func testBSNs(n int) []broker.BSN {
	var out []broker.BSN
	for i := 999_999_999 - 14*n; len(out) < n; i++ {
		if b, err := broker.ParseBSN(fmt.Sprint(i)); err == nil {
			out = append(out, b)
		}
	}
	return out
}

func testTouch(kind, value string) broker.Touch {
	m := hmac.New(sha256.New, []byte("a touch key for tests"))
	m.Write([]byte(kind + "\x00" + value))
	return broker.Touch(hex.EncodeToString(m.Sum(nil)[:12]))
}

func sign(a Agreement) Agreement {
	a.Signature = signature(a)
	return a
}

func signature(a Agreement) string {
	return fmt.Sprintf("signed-%x", sha256.Sum256(append([]byte(a.Holder), a.Payload()...)))
}

func verifyAgreement(holder broker.Agency, a Agreement) error {
	if holder.OIN != a.Holder || a.Signature != signature(a) {
		return errors.New("not the holder's signature")
	}
	return nil
}

func terms(ids ...string) []broker.Term {
	var out []broker.Term
	for _, id := range ids {
		out = append(out, broker.Term{ID: id})
	}
	return out
}

var catalog = &broker.Catalog{
	AgencyKinds: []broker.KindInfo{{ID: "gemeente"}, {ID: "woningcorporatie"}, {ID: "ggz-aanbieder"}, {ID: "rvig"}},
	Mandates:    terms("wgs", "wmo"),
	Roles:       terms("wijkteammedewerker", "casusregisseur"),
	Purposes:    terms(string(voorkomen), string(signalen)),
	Domains:     terms("persoon", "huur", "ggz", "schulden"),
}

// What others ask of a Register, and it of others.
var (
	_ broker.Register = (*Register)(nil)
	_ Vault           = (*keys.Vault)(nil)
	_ Store           = journal.Store(nil)
)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// memory is a store in memory. It refuses what a journal.Store must refuse, and fails when told to.
type memory struct {
	mu      sync.Mutex
	entries []journal.Entry
	grown   chan struct{}
	keys    map[string][]byte
	chunks  map[string][]byte
	snap    journal.Snapshot // its ID is "" without one
	fail    error
	reads   int
}

func newMemory(t testing.TB) *memory {
	t.Helper()
	m := &memory{keys: map[string][]byte{}, chunks: map[string][]byte{}, grown: make(chan struct{})}
	g, _, err := Genesis("0363", noon)
	if err != nil {
		t.Fatal(err)
	}
	m.entries = []journal.Entry{g}
	return m
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) Head(context.Context, journal.Stream) (journal.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head(), m.fail
}

func (m *memory) head() journal.Head {
	if len(m.entries) == 0 {
		return journal.Head{}
	}
	e := m.entries[len(m.entries)-1]
	return journal.Head{ID: e.ID, Hash: e.Hash}
}

func (m *memory) Read(_ context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.fail != nil {
		return nil, m.fail
	}
	from := sort.Search(len(m.entries), func(i int) bool { return after.Less(m.entries[i].ID) })
	return slices.Clone(m.entries[from:min(len(m.entries), from+max)]), nil
}

func (m *memory) Wait(ctx context.Context, s journal.Stream, after journal.ID) error {
	for {
		m.mu.Lock()
		more, grown, fail := after.Less(m.head().ID), m.grown, m.fail
		m.mu.Unlock()
		if fail != nil || more {
			return fail
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// append is the Appender over this store.
func (m *memory) append(_ context.Context, after journal.Head, entries []journal.Entry, _ string, _ broker.Staff) (journal.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return "", m.fail
	}
	b := journal.Batch{Writer: "w", Events: []journal.Entry{{ID: journal.ID{Epoch: 1}, Hash: sha256.Sum256(nil)}}, RegisterAfter: after, Register: entries}
	if err := b.Validate(); err != nil {
		return "", err
	}
	if m.head() != after {
		return journal.Moved, nil
	}
	m.entries = append(m.entries, entries...)
	close(m.grown)
	m.grown = make(chan struct{})
	return journal.Appended, nil
}

func (m *memory) PutKeys(_ context.Context, list []journal.WrappedKey) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var there [][]byte
	for _, k := range list {
		if m.keys[k.ID] == nil {
			m.keys[k.ID] = k.Wrapped
		}
		there = append(there, m.keys[k.ID])
	}
	return there, nil
}

func (m *memory) SwapKeys(_ context.Context, swaps []journal.KeySwap) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range swaps {
		if there := m.keys[k.ID]; there != nil && bytes.Equal(there, k.Old) {
			m.keys[k.ID] = k.New
		}
	}
	return nil
}

func (m *memory) Keys(_ context.Context, ids []string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var there [][]byte
	for _, id := range ids {
		there = append(there, m.keys[id])
	}
	return there, nil
}

func (m *memory) PutChunk(_ context.Context, snapshot string, n int, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks[fmt.Sprint(snapshot, "/", n)] = bytes.Clone(data)
	return cmp.Or(journal.ValidateChunk(snapshot, n, data), m.fail)
}

func (m *memory) PutSnapshot(_ context.Context, s journal.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snap = s
	for k := range m.chunks {
		if !strings.HasPrefix(k, s.ID+"/") {
			delete(m.chunks, k)
		}
	}
	return cmp.Or(s.Validate(), m.fail)
}

func (m *memory) Snapshot(context.Context) (journal.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snap.ID == "" {
		return m.snap, journal.ErrAbsent
	}
	return m.snap, m.fail
}

func (m *memory) Chunk(_ context.Context, snapshot string, n int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, there := m.chunks[fmt.Sprint(snapshot, "/", n)]
	if !there {
		return nil, journal.ErrAbsent
	}
	return bytes.Clone(data), m.fail
}

// wrapper wraps keys and references with AES-GCM under one key.
type wrapper struct{ gcm cipher.AEAD }

func newWrapper() wrapper {
	block, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return wrapper{gcm}
}

func (w wrapper) Serial() uint64                  { return 1 }
func (w wrapper) Wrap(key []byte) ([]byte, error) { return w.gcm.Seal(nil, nil, key, nil), nil }
func (w wrapper) Unwrap(b []byte) ([]byte, error) { return w.gcm.Open(nil, nil, b, nil) }
func (w wrapper) SealRef(id string) ([]byte, error) {
	return w.gcm.Seal(nil, nil, []byte(id), nil), nil
}
func (w wrapper) OpenRef(b []byte) (string, error) {
	id, err := w.gcm.Open(nil, nil, b, nil)
	return string(id), err
}

// world is a register with a store of its own.
type world struct {
	*Register
	t     testing.TB
	store *memory
	clock *clock
}

func config(m *memory, c *clock) Config {
	return Config{
		Store: m, Vault: keys.NewVault(m, newWrapper()), Touch: testTouch, VerifyAgreement: verifyAgreement, VerifyStep: verifyStep,
		Catalog: func() *broker.Catalog { return catalog }, Now: c.Now,
	}
}

// newWorld opens a new register and makes some changes.
func newWorld(t testing.TB, commands ...Command) *world {
	t.Helper()
	w := &world{t: t, store: newMemory(t), clock: &clock{now: noon}}
	w.Register = w.reopen()
	w.do(commands...)
	return w
}

// reopen reads the register anew, as another process would.
func (w *world) reopen() *Register {
	w.t.Helper()
	r, err := Open(w.t.Context(), config(w.store, w.clock))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) do(commands ...Command) {
	w.t.Helper()
	if len(commands) == 0 {
		return
	}
	if err := w.try(commands...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(commands ...Command) error {
	return w.DoAll(w.t.Context(), w.store.append, Operator{"test"}, commands)
}

func (w *world) facts(q broker.Request) broker.Facts {
	w.t.Helper()
	f, err := w.Facts(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// ask is a request about one of the persons.
func ask(agency broker.OIN, worker broker.WorkerID, person int) broker.Request {
	return broker.Request{
		Caller: broker.Caller{Agency: agency, Worker: worker}, Purpose: voorkomen,
		Household: broker.HouseholdRef{BSN: bsns[person]},
	}
}

// askCase is a request about a case.
func askCase(agency broker.OIN, worker broker.WorkerID, id broker.CaseID) broker.Request {
	return broker.Request{
		Caller: broker.Caller{Agency: agency, Worker: worker}, Purpose: voorkomen,
		Household: broker.HouseholdRef{Case: id}, Case: id,
	}
}

// basics are the agencies, one team and a revision.
func basics() []Command {
	return []Command{
		AddAgency{broker.Agency{OIN: gemeente, Name: "Gemeente", Kind: "gemeente", Municipality: "0363", Mandates: []broker.Mandate{"wgs"},
			Keys: []broker.AgencyKey{{ID: "k1", JWK: json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"AA"}`)}}}},
		AddAgency{broker.Agency{OIN: elders, Name: "Elders", Kind: "gemeente", Municipality: "0599"}},
		AddAgency{broker.Agency{OIN: verhuurT, Name: "Verhuurder", Kind: "woningcorporatie"}},
		AddAgency{broker.Agency{OIN: kliniek, Name: "Kliniek", Kind: "ggz-aanbieder"}},
		AddAgency{broker.Agency{OIN: rvig, Name: "RvIG", Kind: "rvig"}},
		SetTeam{Team{gemeente, wijkteam}, []broker.WorkerID{bram}},
		ActivatePolicy{Revision: revision},
	}
}

// household is a case of two persons, Anna's.
func household(id broker.CaseID, first int) OpenCase {
	return OpenCase{Case{
		ID: id, Kind: KindCase, Agency: gemeente, Municipality: "0363",
		Persons: []Person{
			{BSN: bsns[first], Birth: broker.Date{Year: 1985, Month: 2, Day: 3}},
			{BSN: bsns[first+1], Birth: broker.Date{Year: 2015}, Restricted: true},
		},
		Holders: []Holder{{OIN: verhuurT, Persons: []broker.BSN{bsns[first]}}, {OIN: kliniek}},
		Workers: []Worker{{gemeente, anna}},
	}}
}

func agreed(id string, holder broker.OIN, domains ...broker.Domain) AddAgreement {
	return AddAgreement{sign(Agreement{
		ID: id, Holder: holder, Recipient: gemeente, Purposes: []broker.Purpose{voorkomen}, Domains: domains,
		From: broker.Date{Year: 2026, Month: 1, Day: 1},
	})}
}

func consented(id broker.CaseID, person int, kind ConsentKind) GiveConsent {
	return GiveConsent{Consent{
		Case: id, Person: bsns[person], Kind: kind, Domain: "schulden", Recipient: gemeente, GivenBy: BySelf,
		Purposes: []broker.Purpose{voorkomen}, From: broker.Date{Year: 2026, Month: 3, Day: 1},
	}}
}
