package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// benchEvent has the size of a usual one: 20 fields, three persons.
func benchEvent(n int) broker.Event {
	e := disclosureEvent(n)
	query := json.RawMessage(`{"agency":{"kind":"gemeente","mandates":["wgs"]},"x":"` + string(bytes.Repeat([]byte("q"), 300)) + `"}`)
	e.Common.Queries = []json.RawMessage{query, query, query}
	e.Common.Decisions = e.Common.Queries
	for range 20 {
		e.Common.Released = append(e.Common.Released, e.Common.Released[0])
	}
	e.Subjects = append(e.Subjects, broker.SubjectPart{BSN: "999990032", Subject: "p3", Released: e.Common.Released})
	return e
}

func BenchmarkBuild(b *testing.B) {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	defer func() { _ = w.Close(b.Context()) }()
	e := benchEvent(1)
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
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSample(b *testing.B) Event {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	if _, err := w.Append(b.Context(), benchEvent(1)); err != nil {
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
	e := benchEvent(1)
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

func BenchmarkVerify(b *testing.B) {
	s := newStore(b)
	w := open(b, config(s, "gw", freshView{}))
	for i := range 500 {
		if _, err := w.Append(b.Context(), benchEvent(i)); err != nil {
			b.Fatal(err)
		}
	}
	_ = w.Close(b.Context())
	b.ResetTimer()
	for b.Loop() {
		if rep, err := Verify(b.Context(), VerifyConfig{Store: s}); err != nil || !rep.OK {
			b.Fatal(rep.Faults, err)
		}
	}
	b.ReportMetric(float64(502*b.N)/b.Elapsed().Seconds(), "events/s")
}
