package register

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/redisstream"
	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/keys"
)

var households = flag.Int("households", 100_000, "the largest register that BenchmarkScale makes; a million takes some minutes")

// BenchmarkScale fills a register of households in Redis and starts from it: run it with -benchtime 1x.
func BenchmarkScale(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		if n > *households {
			continue
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				scale(b, n)
			}
		})
	}
}

func scale(b *testing.B, n int) {
	server := redistest.Start(b)
	store, err := redisstream.Open(b.Context(), redisstream.Config{Addrs: []string{server.Addr}, Shard: "0363", Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	ring, err := keys.Create(keys.Config{})
	if err != nil {
		b.Fatal(err)
	}
	g, _, err := Genesis("0363", noon)
	if err != nil {
		b.Fatal(err)
	}
	if err := store.Init(b.Context(), g); err != nil {
		b.Fatal(err)
	}
	cfg := func() Config {
		return Config{
			Store: store, Vault: keys.NewVault(store, ring), Touch: ring.Touch, VerifyAgreement: verifyAgreement,
			Catalog: func() *broker.Catalog { return catalog },
		}
	}
	r, err := Open(b.Context(), cfg())
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	a := recorder(store)
	if err := r.DoAll(b.Context(), a, Operator{"bench"}, basics()); err != nil {
		b.Fatal(err)
	}
	for commands := range slices.Chunk(someHouseholds(n), 10_000) {
		if err := r.DoAll(b.Context(), a, Operator{"bench"}, commands); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "filled/s")
	r = nil

	empty := heap()
	began, cpu := time.Now(), used()
	if r, err = Open(b.Context(), cfg()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "replay-s")
	b.ReportMetric((used() - cpu).Seconds(), "replay-cpu-s")
	b.ReportMetric(float64(heap()-empty)/float64(n), "B/case-replayed")
	if len(r.Cases()) != n {
		b.Fatalf("%d cases, want %d", len(r.Cases()), n)
	}
	began = time.Now()
	at, err := r.WriteSnapshot(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "snapshot-s")
	r = nil
	runtime.GC()
	began, cpu = time.Now(), used()
	if r, err = Open(b.Context(), cfg()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds(), "restart-s")
	b.ReportMetric((used() - cpu).Seconds(), "restart-cpu-s")
	b.ReportMetric(float64(heap()-empty)/float64(n), "B/case")
	if from, ignored := r.Snapshot(); from != at || ignored != nil || len(r.Cases()) != n {
		b.Fatalf("began at %d, %v, with %d cases; want %d and %d", from, ignored, len(r.Cases()), at, n)
	}
	runtime.KeepAlive(r)
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// recorder appends with an event beside it, as an audit.Writer does.
func recorder(store journal.Store) Appender {
	var mine journal.Head
	return func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, _ broker.Staff) (journal.Outcome, error) {
		id := journal.ID{Epoch: 1}
		if mine != (journal.Head{}) {
			id.Seq = mine.ID.Seq + 1
		}
		body := fmt.Appendf(nil, "%s: %d entries", kind, len(entries))
		event := journal.Entry{ID: id, Hash: sha256.Sum256(body), Bytes: body}
		o, err := store.Append(ctx, journal.Batch{Writer: "bench", After: mine, Events: []journal.Entry{event},
			Position: positionAt(after), RegisterAfter: after, Register: entries})
		if o == journal.Appended {
			mine = journal.Head{ID: id, Hash: event.Hash}
		}
		return o, err
	}
}

// someHouseholds are cases of 2.3 persons, two holders and 1.5 workers on average.
func someHouseholds(n int) []Command {
	persons := testBSNs(7*n/3 + 10)
	commands := make([]Command, n)
	for i := range commands {
		c := OpenCase{Case{
			ID: broker.CaseID(fmt.Sprintf("zaak-%07d", i)), Kind: KindCase, Agency: gemeente, Municipality: "0363",
			Holders: []Holder{{OIN: verhuurT}, {OIN: kliniek}},
			Workers: []Worker{{gemeente, broker.WorkerID(fmt.Sprintf("medewerker-%04d", i%2000))}},
		}}
		for range 2 + (i%3)/2 {
			c.Persons = append(c.Persons, Person{BSN: persons[0], Birth: broker.Date{Year: 1950 + i%70, Month: 1 + i%12, Day: 1 + i%28}})
			persons = persons[1:]
		}
		if i%2 == 1 {
			c.Teams = []Team{{gemeente, wijkteam}}
			c.Holders[1].Persons = []broker.BSN{c.Persons[0].BSN}
		}
		commands[i] = c
	}
	return commands
}
