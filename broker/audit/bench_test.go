package audit

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

var benchEvents = flag.Int("events", 20_000, "events in the log that BenchmarkVerify verifies")

// benchQuery is a query as the gateway records them, about a member of a household.
func benchQuery(kind, age string, fields ...broker.Field) json.RawMessage {
	list, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return json.RawMessage(`{"v":1,"agency":{"kind":"gemeente","mandates":["jeugdwet","leerplicht","participatiewet","wgs","wmo"]},` +
		`"role":"wijkteammedewerker","purpose":"ontruiming-voorkomen","relation":{"case":"assigned","coordinator":false,"signal":false,` +
		`"claim":false,"municipality":"same"},"subject":{"kind":"` + kind + `","age":"` + age + `","disclosure_restricted":false,` +
		`"consent":[],"release":[]},"agreements":["contact","energie","ggz","huishouden","huur","inkomen","jeugd","onderwijs","persoon",` +
		`"schulden","uitkering","wmo","zorgverzekering"],"emergency":{"active":false,"domains":[]},"fields":` + string(list) + `}`)
}

// benchEvent is what the gateway records of a question about a household of n%4 persons: 1 to 10 kB.
func benchEvent(n int) broker.Event {
	e := disclosureEvent(n)
	debts := []broker.Field{"schulden.beslag", "schulden.schuldhulptraject", "schulden.totaalbedrag"}
	e.Common.Queries = []json.RawMessage{benchQuery("household", "unknown", "huur.achterstand.bedrag")}
	e.Common.Decisions = []json.RawMessage{json.RawMessage(
		`{"grants":{"huur.achterstand.bedrag":{"form":"exact","basis":"wgs-8"}},"refusals":{},"obligations":["inform-household"]}`)}
	e.Common.Subjects = []broker.SubjectQueries{{Subject: broker.Household, Queries: []int{0}}}
	e.Common.Policy = broker.PolicyRef{Revision: broker.Revision(strings.Repeat("2ab1", 16)), Engine: "opa 1.22.2"}
	e.Common.Unavailable, e.Common.Obligations = []broker.Unreached{}, []broker.Obligation{"inform-household"}
	e.Subjects = nil
	for i := range n % 4 {
		p := broker.Subject(fmt.Sprintf("p%d", i+1))
		e.Common.Queries = append(e.Common.Queries, benchQuery("person", []string{"18+", "16-17", "12-15"}[i], append(debts, "ggz.diagnose")...))
		e.Common.Decisions = append(e.Common.Decisions, json.RawMessage(
			`{"grants":{"schulden.beslag":{"form":"yes-no","basis":"wgs-8"},"schulden.schuldhulptraject":{"form":"yes-no","basis":"wgs-8"},`+
				`"schulden.totaalbedrag":{"form":"amount-band","basis":"wgs-8"}},"refusals":{"ggz.diagnose":["never-shared"]},"obligations":["inform-household"]}`))
		e.Common.Subjects = append(e.Common.Subjects, broker.SubjectQueries{Subject: p, Queries: []int{i + 1}})
		e.Common.Asked = append(e.Common.Asked, broker.AskedKind{Holder: "kredietbank", Key: broker.KeyBSN, Subject: p, Fields: debts})
		part := broker.SubjectPart{
			BSN: broker.BSN(fmt.Sprintf("9999%05d", (n+i)%5000)), Subject: p, Agency: e.Staff.Agency, Purpose: e.Staff.Purpose,
			Withheld: []broker.Withheld{{Field: "ggz.diagnose", Subject: p, Reasons: []broker.Reason{"never-shared"}}},
			Asked:    []broker.AskedName{{Holder: "00000009876543210000"}},
		}
		for _, f := range debts {
			part.Released = append(part.Released, broker.Released{Field: f, Subject: p, Form: "yes-no", Basis: "wgs-8"})
		}
		e.Common.Released = append(e.Common.Released, part.Released...)
		e.Common.Withheld = append(e.Common.Withheld, part.Withheld...)
		part.Released = append(part.Released, e.Common.Released[0])
		e.Subjects = append(e.Subjects, part)
	}
	return e
}

func BenchmarkBuild(b *testing.B) {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	defer func() { _ = w.Close(b.Context()) }()
	e := benchEvent(2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.disclosure(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := benchSample(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = entry(e.ID, e.Encode())
	}
}

func BenchmarkDecode(b *testing.B) {
	data := benchSample(b).Encode()
	for _, parts := range []bool{true, false} {
		b.Run(fmt.Sprintf("parts=%t", parts), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(data, parts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchSample(b *testing.B) Event {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	if _, err := w.Append(b.Context(), benchEvent(2)); err != nil {
		b.Fatal(err)
	}
	_ = w.Close(b.Context())
	return s.events("gw")[1]
}

// instantStore takes appends in no time and keeps nothing.
type instantStore struct{ *fakeStore }

func (instantStore) Append(context.Context, journal.Batch) (journal.Outcome, error) {
	return journal.Appended, nil
}

// BenchmarkAppend is the writer's own cost, encryption included.
func BenchmarkAppend(b *testing.B) {
	c := config(instantStore{newStore(b)}, "gw", freshView{})
	c.Limit = time.Minute
	w := open(b, c)
	defer func() { _ = w.Close(b.Context()) }()
	e := benchEvent(2)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Append(b.Context(), e); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkVerify tells on both stores what reading costs (read), what checking costs with the log in memory (check),
// and both (verify). Events in the log: -events.
func BenchmarkVerify(b *testing.B) {
	b.Run("bolt", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "journal.db")
		s, err := bolt.Open(bolt.Config{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		fill(b, s)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if s, err = bolt.Open(bolt.Config{Path: path, ReadOnly: true}); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		benchVerify(b, s)
	})
	b.Run("redis", func(b *testing.B) {
		s, err := redisstream.Open(b.Context(), redisstream.Config{
			Addrs: []string{redistest.Start(b).Addr}, Shard: "gm0000", Timeout: time.Minute,
		})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		fill(b, s)
		benchVerify(b, s)
	})
}

// fill writes a log through a Writer, in the batches that 64 callers make.
func fill(b *testing.B, s journal.Store) {
	if err := s.Init(b.Context(), registerEntry(journal.Head{}, "genesis")); err != nil {
		b.Fatal(err)
	}
	c := config(s, "gw", freshView{})
	c.Limit = time.Minute
	w := open(b, c)
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for n := next.Add(1); n <= int64(*benchEvents); n = next.Add(1) {
				if _, err := w.Append(b.Context(), benchEvent(int(n))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	if err := w.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func benchVerify(b *testing.B, s journal.Store) {
	stream := journal.Audit("gw")
	look := func(journal.Entry) struct{} { return struct{}{} }
	run := func(name string, size int, do func() error) {
		b.Run(name, func(b *testing.B) {
			before := cpuTime(b)
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
			events := float64((*benchEvents + 2) * b.N)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/events, "cpu-µs/event")
			b.ReportMetric(float64(size)/float64(*benchEvents+2), "B/event")
		})
	}
	whole := &heldStore{Store: s, streams: map[journal.Stream][]journal.Entry{}}
	size := 0
	for _, name := range []journal.Stream{stream, journal.Register} {
		if err := readAll(b.Context(), s, name, journal.ID{}, look, func(e journal.Entry, _ struct{}) {
			whole.streams[name] = append(whole.streams[name], e)
			size += len(e.Bytes)
		}); err != nil {
			b.Fatal(err)
		}
	}
	judge := func(s journal.Store) func() error {
		return func() error {
			rep, err := Verify(b.Context(), VerifyConfig{Store: s})
			if err == nil && (!rep.OK || rep.Writers[0].Entries != uint64(*benchEvents)+2) {
				err = fmt.Errorf("%+v", rep)
			}
			return err
		}
	}
	run("read", size, func() error {
		return readAll(b.Context(), s, stream, journal.ID{}, look, func(journal.Entry, struct{}) {})
	})
	run("check", size, judge(whole))
	run("verify", size, judge(s))
}

// cpuTime is what this process used so far: on a busy machine it tells more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// heldStore has streams in memory.
type heldStore struct {
	journal.Store
	streams map[journal.Stream][]journal.Entry
}

func (h *heldStore) Read(_ context.Context, stream journal.Stream, after journal.ID, n int) ([]journal.Entry, error) {
	all := h.streams[stream]
	from, found := slices.BinarySearchFunc(all, after, func(e journal.Entry, id journal.ID) int {
		switch {
		case e.ID.Less(id):
			return -1
		case e.ID == id:
			return 0
		}
		return 1
	})
	if found {
		from++
	}
	return all[from:min(len(all), from+n)], nil
}
