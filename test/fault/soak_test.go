package fault

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

var soak = flag.Duration("soak", 0, "how long TestSoak runs; 0: not at all")

// sample is what a gateway uses at a moment.
type sample struct {
	rss, heap           float64 // MB; heap is that in use
	goroutines, open    float64
	redisRSS, redisOpen float64
}

// TestSoak is a day in minutes: a gateway at half of what it can do, beside it one that is killed again and again, on a
// Redis that is killed again and again. What the first uses must stay flat. Run it with -soak 10m -timeout 0.
//
// Flat: after a warm-up of a fifth of the time, the median of the last quarter of what remains is not above that of its
// first quarter by more than an eighth and a small allowance. Redis keeps the log in memory, and grows; it is shown.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("it takes minutes: -soak 10m -timeout 0")
	}
	redis := redistest.Start(t)
	d := onRedis(t, redis)
	other := d.another(t, "gw2", nil)
	logs := []*reader{{d: d}, {d: other}}
	for _, l := range logs {
		l.next(t)
	}
	const clientsEach = 4
	full := d.ask(t, 2*clientsEach, 0)
	time.Sleep(max(2*time.Second, *soak/60))
	full.stop(t)
	logs[0].next(t).holds(t, full)
	rate := float64(full.count()) / max(2, (*soak/60).Seconds())
	// Half of it: so many clients, each with so long between the starts of two questions.
	every := time.Duration(float64(clientsEach) / (rate / 2) * float64(time.Second))
	t.Logf("full load is %.0f answers a second; %d clients ask every %v", rate, clientsEach, every.Round(time.Microsecond))

	chance := newChance(t)
	end := time.Now().Add(*soak)
	steady := d.askEvery(t, clientsEach, every)
	var samples []sample
	kills, restarts, others := 0, 0, 0
	var starts chapter
	for next := time.Now(); time.Now().Before(end); {
		d.renew(t)
		other.share(d)
		beside := other.ask(t, 1, 50*time.Millisecond)
		next = next.Add(chance.between(4*time.Second, 8*time.Second))
		for time.Now().Before(next) {
			time.Sleep(time.Second)
			samples = append(samples, measure(t, d, redis))
		}
		if kills++; kills%2 == 0 {
			redis.Kill(t)
			redis.Restart(t)
			restarts++
		} else {
			other.kill(t)
			other.start(t)
			other.waitReady(t)
		}
		beside.more(t, 5)
		beside.stop(t)
		others += beside.count()
		told := logs[1].next(t)
		told.holds(t, beside)
		starts.starts = append(starts.starts, told.starts...)
		if t.Failed() {
			t.FailNow()
		}
	}
	steady.more(t, 20)
	steady.stop(t)
	told := logs[0].next(t)
	told.crashes(t, 0)
	told.holds(t, steady)
	starts.crashes(t, kills-restarts)
	d.clean(t, steady.dir)
	d.onceEach(t)
	t.Logf("%v: gw1 %v; gw2 %d receipts; %d × SIGKILL of gw2, %d of Redis, with %d samples", *soak, steady, others, kills-restarts, restarts, len(samples))
	for _, of := range []struct {
		name  string
		value func(sample) float64
		spare float64
	}{
		{"RSS, MB", func(s sample) float64 { return s.rss }, 8},
		{"heap in use, MB", func(s sample) float64 { return s.heap }, 8},
		{"goroutines", func(s sample) float64 { return s.goroutines }, 10},
		{"open descriptors", func(s sample) float64 { return s.open }, 10},
		{"open descriptors of Redis", func(s sample) float64 { return s.redisOpen }, 10},
	} {
		early, late := quarters(samples, of.value)
		t.Logf("%s: %.1f, then %.1f", of.name, early, late)
		if late > early*1.125+of.spare {
			t.Errorf("%s grows: %.1f, then %.1f", of.name, early, late)
		}
	}
	early, late := quarters(samples, func(s sample) float64 { return s.redisRSS })
	t.Logf("RSS of Redis, which holds the log, MB: %.1f, then %.1f", early, late)
	d.end(t)
	other.end(t)
}

// quarters gives the medians of the first and the last quarter of what comes after the warm-up.
func quarters(samples []sample, value func(sample) float64) (early, late float64) {
	rest := samples[len(samples)/5:]
	median := func(part []sample) float64 {
		var values []float64
		for _, s := range part {
			values = append(values, value(s))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	n := max(1, len(rest)/4)
	return median(rest[:n]), median(rest[len(rest)-n:])
}

// measure looks at the gateway and at Redis.
func measure(t *testing.T, d *deployment, redis *redistest.Server) sample {
	t.Helper()
	metrics := d.metrics(t)
	pid, err := strconv.Atoi(redisInfo(t, redis, "server", "process_id"))
	if err != nil {
		t.Fatal(err)
	}
	s := sample{heap: metrics["go_memstats_heap_inuse_bytes"] / (1 << 20), goroutines: metrics["go_goroutines"]}
	s.rss, s.open = process(t, d.process.Process.Pid)
	s.redisRSS, s.redisOpen = process(t, pid)
	return s
}

// metrics reads what the gateway tells of itself.
func (d *deployment) metrics(t *testing.T) map[string]float64 {
	t.Helper()
	client := d.host.client(10 * time.Second)
	defer client.CloseIdleConnections()
	resp, err := client.Get(d.info.Server + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			out[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	if out["go_goroutines"] == 0 {
		t.Fatalf("no metrics: %s", resp.Status)
	}
	return out
}

// process gives the resident memory of a process in MB and how many descriptors it has open.
func process(t *testing.T, pid int) (rss, open float64) {
	t.Helper()
	folder := fmt.Sprintf("/proc/%d", pid)
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, err := strconv.ParseFloat(strings.Fields(string(value))[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			rss = kb / 1024
		}
	}
	entries, err := os.ReadDir(filepath.Join(folder, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return rss, float64(len(entries))
}
