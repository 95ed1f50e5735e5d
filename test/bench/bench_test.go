package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
)

// BenchmarkRequest is one request through the whole gateway but for the network: 64 at a time, on a real Redis.
// baseline.txt has its figures, and those of its parts.
func BenchmarkRequest(b *testing.B) {
	for _, kind := range []string{kindFloor, kindBroker} {
		b.Run(kind, func(b *testing.B) { benchmarkRequest(b, kind) })
	}
}

func benchmarkRequest(b *testing.B, kind string) {
	ctx := b.Context()
	run, err := begin(ctx, options{questions: 5000, seed: 1})
	b.Cleanup(func() {
		if err := run.end(); err != nil {
			b.Error(err)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := run.fill(ctx, "s1", 200); err != nil {
		b.Fatal(err)
	}
	n, err := newNode(ctx, nodeConfig{Kind: kind, Redis: run.redisAddr, Shard: "s1", Writer: "gw1", Dir: run.dir})
	if err != nil {
		b.Fatal(err)
	}
	questions := run.world.mix(run.o.questions, 200, 1)
	tokens, err := run.world.tokens(questions, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	var next, failed atomic.Int64
	ask := func(i int) {
		q := questions[i%len(questions)]
		if _, err := n.broker.Disclose(ctx, broker.Call{Token: tokens[q.worker], Body: q.body, Language: "nl"}); err != nil {
			failed.Add(1) // a disk that others keep busy
		}
	}
	for i := range questions { // what is remembered, is
		ask(i)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	failed.Store(0)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ask(int(next.Add(1)))
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(failed.Load())/float64(b.N), "failed/op")
	if err := n.close(context.WithoutCancel(ctx)); err != nil {
		b.Error(err)
	}
}
