package register

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/schakel/schakel/broker"
)

func BenchmarkFacts(b *testing.B) {
	w := newWorld(b, append(basics(), household("c1", 0), agreed("a1", verhuurT, "huur"), agreed("a2", kliniek, "ggz"),
		consented("c1", 0, KindConsent))...)
	for name, q := range map[string]broker.Request{
		"bound": ask(gemeente, anna, 0), "forbidden": ask(elders, anna, 0), "unknown": ask(elders, anna, 9),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Facts(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenCase opens cases of three persons with three holders, a hundred in one append, and reports what each takes
// in a view that was read from the stream.
func BenchmarkOpenCase(b *testing.B) {
	w := newWorld(b, basics()...)
	persons := testBSNs(3 * b.N)
	commands := make([]Command, b.N)
	for i := range commands {
		c := household(broker.CaseID(fmt.Sprintf("case-%07d", i)), 0)
		c.Persons = []Person{{BSN: persons[3*i]}, {BSN: persons[3*i+1]}, {BSN: persons[3*i+2]}}
		c.Holders = []Holder{{OIN: verhuurT}, {OIN: kliniek}, {OIN: rvig}}
		commands[i] = c
	}
	b.ResetTimer()
	w.do(commands...)
	b.StopTimer()
	w.Register, commands, persons = w.reopen(), nil, nil
	with := heap()
	at := w.Position()
	w.Register.state = nil
	b.ReportMetric(float64(with-heap())/float64(at), "B/case")
	runtime.KeepAlive(w)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkOpen reads a register of a thousand cases from scratch.
func BenchmarkOpen(b *testing.B) {
	w := newWorld(b, basics()...)
	var commands []Command
	for i := range 1000 {
		commands = append(commands, household(broker.CaseID(fmt.Sprintf("c%d", i)), i%10))
	}
	w.do(commands...)
	for b.Loop() {
		w.reopen()
	}
}
