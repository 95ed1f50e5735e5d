package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/register"
)

var (
	imported   = flag.Int("import", 0, "register entries that TestImportLoad imports; 0: it is left out")
	importRate = flag.Int("import-rate", 400, "of those a second; 0: as fast as it goes")
	importNear = flag.Bool("import-socket", false, "TestImportLoad imports over the gateway's socket, not on Redis itself")
)

// importing is a deployment in which workers ask while the register grows.
type importing struct {
	w      *world
	server string
	token  atomic.Value
	bodies [][]byte
	client *http.Client
	clerk  *registrar
	agency broker.OIN
	next   int // number of the next case

	answered, unanswered atomic.Int64
}

func newImporting(t *testing.T) *importing {
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	w.adjust = func(config map[string]any) {
		config["limits"] = map[string]any{"requestsPerSecond": 1_000_000, "burst": 1_000_000}
	}
	startRedis(t, w)
	t.Cleanup(func() { w.stop(t) })
	v := w.vars(t)
	i := &importing{w: w, server: v["SERVER"], agency: broker.OIN(v["GEMEENTE"]), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		clerk: w.newRegistrar(t, w.openRing(t), shippedCatalog(t), "invoer")}
	t.Cleanup(i.client.CloseIdleConnections)
	i.renew(t, v["WORKER"])
	info, err := w.info()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range info.Cases {
		if strings.HasPrefix(c.ID, "zaak") && slices.Contains(c.Workers, v["WORKER"]) {
			i.bodies = append(i.bodies, []byte(`{"household":{"case":"`+c.ID+`"},"purpose":"ontruiming-voorkomen","fields":["schulden.schuldhulptraject","huishouden.aantalPersonen"]}`))
		}
	}
	return i
}

func (i *importing) renew(t *testing.T, worker string) {
	i.token.Store(i.w.token(t, i.server, string(i.agency), worker, "wijkteammedewerker"))
}

// ask asks one question after another until the context ends.
func (i *importing) ask(ctx context.Context, n int) {
	for ; ctx.Err() == nil; n++ {
		req, err := http.NewRequest(http.MethodPost, i.server+"/v1/disclosures", bytes.NewReader(i.bodies[n%len(i.bodies)]))
		if err != nil {
			panic(err) // of our own making
		}
		req.Header.Set("Authorization", "Bearer "+i.token.Load().(string))
		req.Header.Set("Content-Type", "application/json")
		resp, err := i.client.Do(req)
		if err != nil {
			i.unanswered.Add(1)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			i.answered.Add(1)
		} else {
			i.unanswered.Add(1)
		}
	}
}

// lines writes so many cases for import, of households that nobody asks about, with workers of their own.
func (i *importing) lines(t *testing.T, n int, to io.Writer) {
	t.Helper()
	for range n {
		c := register.Case{ID: broker.CaseID(fmt.Sprintf("invoer-%06d", i.next)), Kind: register.KindCase, Agency: i.agency, Municipality: "0599",
			Workers: []register.Worker{{Agency: i.agency, Worker: broker.WorkerID(fmt.Sprint("invoer-", i.next%500))}}}
		for p := range 2 {
			c.Persons = append(c.Persons, register.Person{BSN: elevenTest(100_000_000 + 40*i.next + 20*p), Birth: broker.Date{Year: 1980, Month: 1 + i.next%12, Day: 1 + i.next%28}})
		}
		line, err := json.Marshal(map[string]any{"kind": "case.opened", "body": c})
		if err == nil {
			_, err = to.Write(append(line, '\n'))
		}
		if err != nil {
			t.Fatal(err)
		}
		i.next++
	}
}

// command is `schakel register import` of standard input: over the socket of the gateway, or on Redis itself.
func (i *importing) command(socket bool, args ...string) *exec.Cmd {
	c := exec.Command(binary, append([]string{"register", "import", "-", "--json"}, args...)...)
	if !socket {
		c.Args = append(c.Args, "--redis", "redis://"+i.w.redis.Addr+"?shard="+i.w.people.Municipality())
	}
	c.Env = append(c.Environ(), "SCHAKEL_DATA="+i.w.dir)
	return c
}

// elevenTest gives the first number from n that is a BSN.
func elevenTest(n int) broker.BSN {
	for ; ; n++ {
		if b, err := broker.ParseBSN(fmt.Sprint(n)); err == nil {
			return b
		}
	}
}

// tries gives how often requests were decided, from the log of the gateway: one is without a change in between.
func (i *importing) tries(t *testing.T) map[int]int {
	t.Helper()
	out := map[int]int{}
	for line := range strings.Lines(i.w.output.String()) {
		var e struct {
			Code  string
			Tries int
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.Code == "ok" && e.Tries > 0 {
			out[e.Tries]++
		}
		if e.Code == "facts-keep-changing" {
			out[-1]++
		}
	}
	return out
}

// TestImport: thousands of entries come into the register while workers ask about others. No request is decided twice, and
// none is refused since the facts keep changing. A change of what is asked about shows that it would have been seen.
func TestImport(t *testing.T) {
	t.Parallel()
	i := newImporting(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for n := range 4 {
		wait.Go(func() { i.ask(ctx, n*7) })
	}
	var lines, said bytes.Buffer
	i.lines(t, 2000, &lines)
	c := i.command(false, "--rate", "0")
	c.Stdin, c.Stderr = &lines, &said
	if out, err := c.Output(); err != nil || !strings.Contains(string(out), `"complete":true,"done":2000,"made":2000`) {
		t.Errorf("import: %v, %s%s", err, out, said.String())
	}
	cancel()
	wait.Wait()
	tries := i.tries(t)
	t.Logf("%d entries; %d answers, %d not answered; decided: %v", i.next, i.answered.Load(), i.unanswered.Load(), tries)
	if tries[1] < 20 || len(tries) > 1 {
		t.Errorf("requests that nothing touched were decided again: %v", tries)
	}

	// The clerk goes on to change the agency that asks: that touches everyone who asks.
	ctx, cancel = context.WithCancel(t.Context())
	for n := range 4 {
		wait.Go(func() { i.ask(ctx, n*7) })
	}
	for n, end := 0, time.Now().Add(soon); time.Now().Before(end); n++ {
		team := register.SetTeam{Team: register.Team{Agency: i.agency, Team: "proef"}, Workers: []broker.WorkerID{broker.WorkerID(fmt.Sprint("w-", n)), "wijkteam-1", "wijkteam-2", "wijkteam-3"}}
		if _, err := i.clerk.do(t.Context(), team); err != nil {
			t.Fatal(err)
		}
		if n%20 == 19 && len(i.tries(t)) > 1 {
			break
		}
	}
	cancel()
	wait.Wait()
	if again := i.tries(t); len(again) == 1 {
		t.Errorf("changes that touch the asker were not seen: %v", again)
	}
}

// TestImportLoad measures (`-import 100000`): answers a second while the import command makes entries and while it does
// not, in turn, so that whatever else the machine does falls in both. It is one import: it gets its lines by a pipe, and
// none half of the time.
func TestImportLoad(t *testing.T) {
	if *imported == 0 {
		t.Skip("give -import 100000")
	}
	i := newImporting(t)
	v := i.w.vars(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wait sync.WaitGroup
	for n := range 16 {
		wait.Go(func() { i.ask(ctx, n*7) })
	}
	c := i.command(*importNear, "--rate", fmt.Sprint(*importRate))
	pipe, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill() }()

	const settle, window = 2 * time.Second, 8 * time.Second // what the pipe holds still comes in a pause: that is not counted
	feed := func(on int, until time.Time) {
		for on == 1 && time.Now().Before(until) && i.next < *imported {
			i.lines(t, 25, pipe) // it blocks while the command has enough
		}
		time.Sleep(time.Until(until))
	}
	var rates [2][]float64
	var entries [2]uint64
	var work [2]float64 // answers
	var cpu [2][4]float64
	processes := [4]int{i.w.process.Process.Pid, i.w.redis.PID(), c.Process.Pid, os.Getpid()}
	for on := 0; i.next < *imported; on = 1 - on {
		i.renew(t, v["WORKER"])
		began := time.Now()
		feed(on, began.Add(settle))
		start, head, answered, used := time.Now(), i.head(t), i.answered.Load(), cpuSeconds(t, processes)
		feed(on, began.Add(settle+window))
		if i.next < *imported {
			rates[on] = append(rates[on], float64(i.answered.Load()-answered)/time.Since(start).Seconds())
			entries[on] += i.head(t) - head
			work[on] += float64(i.answered.Load() - answered)
			for p, now := range cpuSeconds(t, processes) {
				cpu[on][p] += now - used[p]
			}
		}
	}
	_ = pipe.Close()
	err = c.Wait()
	cancel()
	wait.Wait()
	if done := fmt.Sprintf(`"complete":true,"done":%d`, *imported); err != nil || !strings.Contains(out.String(), done) {
		t.Errorf("import: %v, %s", err, out.String())
	}
	if len(rates[1]) == 0 {
		t.Fatal("too few entries for a window")
	}
	off, on := middle(rates[0]), middle(rates[1])
	t.Logf("windows of %v: %d without and %d with the import; entries a second: %.1f and %.1f", window, len(rates[0]), len(rates[1]),
		float64(entries[0])/window.Seconds()/float64(len(rates[0])), float64(entries[1])/window.Seconds()/float64(len(rates[1])))
	t.Logf("answers a second: %.0f without, %.0f with: %.1f %% lost; %d not answered; decided: %v", off, on, 100*(1-on/off), i.unanswered.Load(), i.tries(t))
	var per [2]float64
	for k := range per {
		per[k] = work[k] / (cpu[k][0] + cpu[k][1] + cpu[k][2] + cpu[k][3])
	}
	t.Logf("answers for a second of processor: %.0f without, %.0f with: %.1f %% lost. Of it the gateway, Redis, the import and who asks took %.1f, %.1f", per[0], per[1], 100*(1-per[1]/per[0]), cpu[0], cpu[1])
	t.Logf("without %.0f", rates[0])
	t.Logf("with    %.0f", rates[1])
	if on < 0.8*off {
		t.Errorf("more than a fifth is lost")
	}
}

// cpuSeconds is what processes used of the processor so far.
func cpuSeconds(t *testing.T, processes [4]int) (out [4]float64) {
	t.Helper()
	for i, pid := range processes {
		stat := readFile(t, fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
		for _, f := range fields[11:13] { // utime and stime, in hundredths
			n, err := strconv.ParseFloat(f, 64)
			if err != nil {
				t.Fatal(err)
			}
			out[i] += n / 100
		}
	}
	return out
}

// head is the number of the last entry of the register.
func (i *importing) head(t *testing.T) uint64 {
	t.Helper()
	h, err := i.clerk.store.Head(t.Context(), journal.Register)
	if err != nil {
		t.Fatal(err)
	}
	return h.ID.Seq
}

func middle(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}
