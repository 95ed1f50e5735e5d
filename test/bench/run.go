package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/decide"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
	"github.com/schakel/schakel/keys"
	"github.com/schakel/schakel/policies"
)

// bench is one run.
type bench struct {
	o         options
	dir       string
	redis     *process
	redisAddr string
	ring      *keys.Ring
	decider   *decide.Decider
	catalog   *broker.Catalog
	world     *world
	running   []*process // besides Redis, in the order of their start
	writers   int

	questions []question
	targets   []*target
}

// begin starts Redis and fills its first register.
func begin(ctx context.Context, o options) (*bench, error) {
	b := &bench{o: o}
	var err error
	if b.dir, err = os.MkdirTemp("", "schakel-bench-"); err != nil {
		return b, err
	}
	if b.redis, b.redisAddr, err = startRedis(b.dir); err != nil {
		return b, err
	}
	if b.ring, err = keys.Create(ringConfig(b.dir)); err != nil {
		return b, err
	}
	b.decider = decide.New(decide.Config{Memo: 400_000})
	files := policies.Files()
	if err = b.decider.Load(ctx, policies.Revision(files), files); err != nil {
		return b, err
	}
	if b.catalog, err = b.decider.Catalog(policies.Revision(files)); err != nil {
		return b, err
	}
	b.world, err = newWorld(b.catalog)
	return b, err
}

// end stops every process that this run started, the youngest first, and removes what they wrote.
func (b *bench) end() error {
	var errs []error
	for _, p := range slices.Backward(b.running) {
		errs = append(errs, p.end())
	}
	if b.redis != nil {
		errs = append(errs, b.redis.end())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// fill makes a register of so many households, and gives its view.
func (b *bench) fill(ctx context.Context, shard string, households int) (*register.Register, error) {
	store, err := openStore(ctx, b.redisAddr, shard)
	if err != nil {
		return nil, err
	}
	entry, _, err := register.Genesis(shard, time.Now())
	if err != nil {
		return nil, err
	}
	if err := store.Init(ctx, entry); err != nil {
		return nil, err
	}
	reg, vault, err := openRegister(ctx, store, b.ring, b.catalog)
	if err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, store, b.ring, reg, vault, "admin", b.dir)
	if err != nil {
		return nil, err
	}
	add := func(ctx context.Context, after journal.Head, entries []journal.Entry, kind string, staff broker.Staff) (journal.Outcome, error) {
		return w.Change(ctx, audit.Change{After: after, Entries: entries, Kind: kind, Staff: staff})
	}
	commands, err := b.world.parties()
	if err != nil {
		return nil, err
	}
	commands = append(commands, register.ActivatePolicy{Revision: policies.Revision(policies.Files())})
	began, told := time.Now(), time.Now()
	for n := range households {
		commands = append(commands, b.world.household(n)...)
		if len(commands) >= 5000 || n == households-1 {
			if err := reg.DoAll(ctx, add, register.Operator{Name: "bench"}, commands); err != nil {
				return nil, err
			}
			commands = commands[:0]
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			progress("register of %d households: %d so far (%.0f/s)", households, n+1, float64(n+1)/time.Since(began).Seconds())
		}
	}
	return reg, w.Close(ctx)
}

// gateway starts one.
func (b *bench) gateway(kind, shard, holders string) (*process, error) {
	b.writers++
	p, err := self(kind, "gateway", nodeConfig{Kind: kind, Redis: b.redisAddr, Shard: shard, Writer: "gw" + strconv.Itoa(b.writers),
		Dir: b.dir, Holders: holders, Profile: b.o.profile})
	if err != nil {
		return nil, err
	}
	b.running = append(b.running, p)
	return p, nil
}

// schakel is a target of one or more gateways.
func (b *bench) schakel(name string, gateways []*process) *target {
	t := &target{name: name, remembers: true, processes: append(slices.Clone(gateways), b.redis)}
	for _, g := range gateways {
		t.addr = append(t.addr, strings.TrimPrefix(g.URL, "http://"))
	}
	t.counts = func() (counts, error) {
		var sum counts
		for _, g := range gateways {
			one, err := readCounts(g.URL)
			if err != nil {
				return sum, err
			}
			sum = counts{sum.Mallocs + one.Mallocs, sum.Hits + one.Hits, sum.Misses + one.Misses}
		}
		return sum, nil
	}
	t.render = func() error {
		tokens, err := b.world.tokens(b.questions, time.Now())
		if err != nil {
			return err
		}
		t.requests = t.requests[:0]
		for _, q := range b.questions {
			t.requests = append(t.requests, request("POST", gateways[0].URL+"/v1/disclosures", map[string]string{"Authorization": "Bearer " + tokens[q.worker]}, q.body))
		}
		return nil
	}
	return t
}

func readCounts(url string) (counts, error) {
	var c counts
	resp, err := http.Get(url + "/bench/counts")
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	return c, json.NewDecoder(resp.Body).Decode(&c)
}

// peers starts OPA's server and the usual assembly.
func (b *bench) peers(inputs [][]byte) ([]*target, error) {
	opa, addr, err := startOPA(b.dir)
	if opa != nil {
		b.running = append(b.running, opa)
	}
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "inputs.jsonl")
	if err := os.WriteFile(file, append(bytes.Join(inputs, []byte("\n")), '\n'), 0o600); err != nil {
		return nil, err
	}
	assembly, err := self("assembly", "assembly", assemblyConfig{OPA: "http://" + addr + opaPath, Redis: b.redisAddr, Inputs: file})
	if err != nil {
		return nil, err
	}
	b.running = append(b.running, assembly)
	alone := &target{name: "opa", addr: []string{addr}, processes: []*process{opa}, counts: func() (counts, error) { return opaMallocs(addr) }}
	for _, in := range inputs {
		alone.requests = append(alone.requests, request("POST", "http://"+addr+opaPath, nil, in))
	}
	whole := &target{name: "assembly", addr: []string{strings.TrimPrefix(assembly.URL, "http://")}, processes: []*process{assembly, opa, b.redis},
		counts: func() (counts, error) {
			a, err := readCounts(assembly.URL)
			if err != nil {
				return a, err
			}
			o, err := opaMallocs(addr)
			return counts{Mallocs: a.Mallocs + o.Mallocs}, err
		}}
	for i, q := range b.questions {
		whole.requests = append(whole.requests, request("POST", assembly.URL+"/v1/disclosures", map[string]string{"X-Question": strconv.Itoa(i)}, q.body))
	}
	return []*target{alone, whole}, nil
}

// compare warms the targets up, and then gives each a stretch of load in turn, several times over, so that what else the
// machine does meets all.
func (b *bench) compare(ctx context.Context, targets []*target) (map[string][]window, error) {
	progress("warming up")
	if err := b.warm(targets); err != nil {
		return nil, err
	}
	out := map[string][]window{}
	for n := range b.o.rounds {
		for _, t := range targets {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if t.render != nil {
				if err := t.render(); err != nil {
					return nil, err
				}
			}
			w, err := t.load(b.o.connections, b.o.window, 0, 0)
			if err != nil {
				return nil, err
			}
			if w.failed > 0 {
				progress("%s: %d of %d requests got no answer", t.name, w.failed, len(w.latencies))
			}
			progress("round %d of %d  %-12s %8.0f/s  p50 %6.2f ms  p99 %6.2f ms", n+1, b.o.rounds, t.name, w.rps(), ms(w.percentile(.5)), ms(w.percentile(.99)))
			out[t.name] = append(out[t.name], w)
		}
	}
	return out, nil
}

// warm lets each target that remembers decisions and keys see the whole mix once, for a time at most; the others answer
// for a moment.
func (b *bench) warm(targets []*target) error {
	for _, t := range targets {
		if t.render != nil {
			if err := t.render(); err != nil {
				return err
			}
		}
		length := b.o.window / 4
		if t.remembers {
			length = 3 * time.Second
			if !b.o.quick {
				length = time.Minute
			}
		}
		if _, err := t.load(b.o.connections, length, 0, len(t.requests)); err != nil {
			return err
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measure does the whole run.
func (b *bench) measure(ctx context.Context) (*figures, error) {
	f := newFigures(b.o)
	const first = 1000
	progress("a register of %d households", first)
	reg, err := b.fill(ctx, "s1", first)
	if err != nil {
		return nil, err
	}
	b.questions = b.world.mix(b.o.questions, first, b.o.seed)
	progress("%d questions", len(b.questions))
	memory, err := memorySources(b.world.town)
	if err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = reg.Follow(following) }()
	inputs, queries, err := b.world.queries(b.questions, b.decider, reg, func() broker.Config {
		return broker.Config{Sources: memory, Now: time.Now, Pseudonym: b.ring.RecipientPseudonym}
	})
	if err != nil {
		return nil, fmt.Errorf("gather policy queries: %w", err)
	}
	stop()
	f.Queries = float64(queries) / float64(len(inputs))
	if err := b.columns(ctx, f, inputs); err != nil {
		return nil, err
	}
	if b.o.quick {
		return f, nil
	}
	if b.wanted(kindBroker) {
		if err := b.half(ctx, f); err != nil {
			return nil, err
		}
	}
	if err := b.sizes(ctx, f); err != nil {
		return nil, err
	}
	return f, b.scale(ctx, f)
}

func (b *bench) wanted(column string) bool {
	return b.o.only == "" || slices.Contains(strings.Split(b.o.only, ","), column)
}

// columns compares the floor, the broker and what people would use instead.
func (b *bench) columns(ctx context.Context, f *figures, inputs [][]byte) error {
	holders, err := self("holders", "holders", struct{}{})
	if err != nil {
		return err
	}
	b.running = append(b.running, holders)
	kinds := []string{kindFloor, kindBroker, kindHTTP, kindCold}
	var targets []*target
	for _, kind := range kinds {
		if !b.wanted(kind) {
			continue
		}
		g, err := b.gateway(kind, "s1", holders.URL)
		if err != nil {
			return err
		}
		t := b.schakel(kind, []*process{g})
		t.remembers = kind != kindCold
		if kind == kindHTTP {
			t.processes = append(t.processes, holders)
		}
		targets = append(targets, t)
	}
	if b.wanted("opa") || b.wanted("assembly") {
		peers, err := b.peers(inputs)
		if err != nil {
			return err
		}
		targets = append(targets, peers...)
	}
	b.targets = targets
	windows, err := b.compare(ctx, targets)
	if err != nil {
		return err
	}
	for _, t := range targets {
		f.Columns = append(f.Columns, columnOf(t.name, windows[t.name]))
	}
	return nil
}
