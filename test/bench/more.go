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

// half is what a request takes where the broker is given half of what it can do, beside durable writes.
type half struct {
	Rate   float64 `json:"rps"`
	Broker delay   `json:"broker"`
	Lone   delay   `json:"lone_xadd"` // by a lone client, while nothing else goes on
	Xadd   delay   `json:"xadd"`      // as many a second, over as many connections, as the broker was sent requests
}

// delay is how long one thing took.
type delay struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// half measures in turns: a lone client that adds entries of an event's size, as many clients as the broker has that add
// as many entries a second, and the broker at half its rate.
func (b *bench) half(ctx context.Context, f *figures) error {
	i := slices.IndexFunc(b.targets, func(t *target) bool { return t.name == kindBroker })
	t := b.targets[i]
	rate := f.column(kindBroker).RPS / 2
	var lone, paced, broker []window
	for range b.o.rounds {
		if err := t.render(); err != nil {
			return err
		}
		one, err := xadd(ctx, b.redisAddr, 1, b.o.window, 0)
		if err != nil {
			return err
		}
		many, err := xadd(ctx, b.redisAddr, b.o.connections, b.o.window, rate)
		if err != nil {
			return err
		}
		w, err := t.load(b.o.connections, b.o.window, rate, 0)
		if err != nil {
			return err
		}
		lone, paced, broker = append(lone, one), append(paced, many), append(broker, w)
		progress("half load: p99 %.2f ms; as many durable XADDs: p99 %.2f ms; one by itself: p99 %.2f ms",
			ms(w.percentile(.99)), ms(many.percentile(.99)), ms(one.percentile(.99)))
	}
	f.Half = &half{rate, delayOf(broker), delayOf(lone), delayOf(paced)}
	return nil
}

func delayOf(windows []window) delay {
	var p50, p99 []float64
	for _, w := range windows {
		p50, p99 = append(p50, ms(w.percentile(.5))), append(p99, ms(w.percentile(.99)))
	}
	return delay{median(p50), median(p99)}
}

// xadd adds entries from so many clients: each as soon as its last one is durable, or, with a rate a second, when it is
// due.
func xadd(ctx context.Context, addr string, clients int, length time.Duration, rate float64) (window, error) {
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: clients})
	defer func() { _ = c.Close() }()
	value := strings.Repeat("x", 2500)
	turn := pace(length, rate, 0)
	return crowd(clients, func(int) (window, error) {
		var w window
		for {
			at, ok := turn()
			if !ok {
				return w, nil
			}
			if err := c.XAdd(ctx, &redis.XAddArgs{Stream: "lone", Values: []any{"event", value}}).Err(); err != nil {
				return w, err
			}
			w.latencies = append(w.latencies, time.Since(at))
		}
	})
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
