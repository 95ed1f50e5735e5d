package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// half is what a request takes where the broker is given half of what it can do, beside one durable write.
type half struct {
	Rate             float64 `json:"rps"`
	P50              float64 `json:"p50_ms"`
	P99              float64 `json:"p99_ms"`
	XaddP50, XaddP99 float64
}

// half measures in turns: a lone client that adds entries of an event's size, and the broker at half its rate.
func (b *bench) half(ctx context.Context, f *figures) error {
	i := slices.IndexFunc(b.targets, func(t *target) bool { return t.name == kindBroker })
	t := b.targets[i]
	rate := f.column(kindBroker).RPS / 2
	var p50, p99, x50, x99 []float64
	for range b.o.rounds {
		lone, err := xadd(ctx, b.redisAddr, b.o.window)
		if err != nil {
			return err
		}
		if err := t.render(); err != nil {
			return err
		}
		w, err := t.load(b.o.connections, b.o.window, rate, 0)
		if err != nil {
			return err
		}
		p50, p99 = append(p50, ms(w.percentile(.5))), append(p99, ms(w.percentile(.99)))
		x50, x99 = append(x50, ms(lone.percentile(.5))), append(x99, ms(lone.percentile(.99)))
		progress("half load: p99 %.2f ms; one durable XADD: p99 %.2f ms", p99[len(p99)-1], x99[len(x99)-1])
	}
	f.Half = &half{rate, median(p50), median(p99), median(x50), median(x99)}
	return nil
}

func xadd(ctx context.Context, addr string, length time.Duration) (window, error) {
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1})
	defer func() { _ = c.Close() }()
	value := strings.Repeat("x", 2500)
	var w window
	for began := time.Now(); time.Since(began) < length; {
		at := time.Now()
		if err := c.XAdd(ctx, &redis.XAddArgs{Stream: "lone", Values: []any{"event", value}}).Err(); err != nil {
			return w, err
		}
		w.latencies = append(w.latencies, time.Since(at))
	}
	slices.Sort(w.latencies)
	return w, nil
}

// size is the broker over a register of so many households.
type size struct {
	column
	Households    int     `json:"households"`
	Entries       int     `json:"register_entries"`
	CaseBytes     float64 `json:"bytes_per_case"`   // of memory
	ReplaySeconds float64 `json:"ready_from_log_s"` // from the start of the process until it answers, reading every entry
	ReadySeconds  float64 `json:"ready_s"`          // the same, with a snapshot in the journal
}

// sizes compares registers of several sizes, side by side.
func (b *bench) sizes(ctx context.Context, f *figures) error {
	var targets []*target
	var sizes []size
	all := b.questions
	defer func() { b.questions = all }()
	mixes := map[string][]question{}
	for _, text := range strings.Split(b.o.households, ",") {
		households, err := strconv.Atoi(text)
		if err != nil || households < 1 {
			return fmt.Errorf("-households: %q is not a number of households", text)
		}
		shard := "h" + text
		progress("a register of %d households", households)
		reg, err := b.fill(ctx, shard, households)
		if err != nil {
			return err
		}
		entries := int(reg.Position())
		replayed, err := b.gateway(kindBroker, shard, "")
		if err != nil {
			return err
		}
		b.running = b.running[:len(b.running)-1]
		if err := replayed.end(); err != nil {
			return err
		}
		if _, err := reg.WriteSnapshot(ctx); err != nil {
			return err
		}
		g, err := b.gateway(kindBroker, shard, "")
		if err != nil {
			return err
		}
		progress("%d entries: ready after %d ms, or %d ms from the log alone; %d MB", entries, g.ReadyMs, replayed.ReadyMs, g.Heap>>20)
		t := b.schakel(text, []*process{g})
		mixes[text] = b.world.mix(b.o.questions, households, b.o.seed)
		inner := t.render
		t.render = func() error {
			b.questions = mixes[text]
			return inner()
		}
		targets = append(targets, t)
		sizes = append(sizes, size{Households: households, Entries: entries, CaseBytes: float64(g.Heap) / float64(households),
			ReplaySeconds: float64(replayed.ReadyMs) / 1000, ReadySeconds: float64(g.ReadyMs) / 1000})
	}
	windows, err := b.compare(ctx, targets)
	if err != nil {
		return err
	}
	for i, t := range targets {
		sizes[i].column = columnOf(t.name, windows[t.name])
	}
	f.Sizes = sizes
	return nil
}

// scale compares one, two and three gateways on one Redis.
func (b *bench) scale(ctx context.Context, f *figures) error {
	var gateways []*process
	var targets []*target
	for n := range 3 {
		g, err := b.gateway(kindBroker, "s1", "")
		if err != nil {
			return err
		}
		gateways = append(gateways, g)
		targets = append(targets, b.schakel(fmt.Sprintf("%d gateways", n+1), slices.Clone(gateways)))
	}
	windows, err := b.compare(ctx, targets)
	if err != nil {
		return err
	}
	for _, t := range targets {
		f.Scale = append(f.Scale, columnOf(t.name, windows[t.name]))
	}
	return nil
}
