package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

var (
	imported   = flag.Int("import", 0, "register entries that TestImportLoad imports; 0: it is left out")
	importRate = flag.Int("import-rate", 0, "of those a second; 0: as fast as it goes")
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

// cases makes so many, of households that nobody asks about, with workers of their own.
func (i *importing) cases(n int) []register.Command {
	out := make([]register.Command, n)
	for k := range out {
		c := register.Case{ID: broker.CaseID(fmt.Sprintf("invoer-%06d", i.next)), Kind: register.KindCase, Agency: i.agency, Municipality: "0599",
			Workers: []register.Worker{{Agency: i.agency, Worker: broker.WorkerID(fmt.Sprint("invoer-", i.next%500))}}}
		for p := range 2 {
			c.Persons = append(c.Persons, register.Person{BSN: elevenTest(100_000_000 + 40*i.next + 20*p), Birth: broker.Date{Year: 1980, Month: 1 + i.next%12, Day: 1 + i.next%28}})
		}
		out[k] = register.OpenCase{Case: c}
		i.next++
	}
	return out
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
	i := newImporting(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for n := range 4 {
		wait.Go(func() { i.ask(ctx, n*7) })
	}
	for range 8 {
		if _, err := i.clerk.do(t.Context(), i.cases(250)...); err != nil {
			t.Fatal(err)
		}
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
	for n := range 200 {
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

// TestImportLoad measures (`-import 100000`): answers a second in windows with the import and windows without, in turn, so
// that whatever else the machine does falls in both. It judges nothing on a busy machine but prints what it saw.
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
	const window = 3 * time.Second
	var rates [2][]float64
	time.Sleep(window)
	for on := 0; i.next < *imported; on = 1 - on {
		if len(rates[0])%20 == 0 {
			i.renew(t, v["WORKER"])
		}
		began, answered := time.Now(), i.answered.Load()
		for on == 1 && time.Since(began) < window && i.next < *imported {
			step := time.Now()
			if _, err := i.clerk.do(t.Context(), i.cases(min(250, *imported-i.next))...); err != nil {
				t.Fatal(err)
			}
			if *importRate > 0 {
				time.Sleep(time.Until(step.Add(250 * time.Second / time.Duration(*importRate))))
			}
		}
		time.Sleep(time.Until(began.Add(window)))
		rates[on] = append(rates[on], float64(i.answered.Load()-answered)/time.Since(began).Seconds())
	}
	cancel()
	wait.Wait()
	off, on := middle(rates[0]), middle(rates[1])
	t.Logf("%d entries in %d windows of %v, %.0f entries a second", i.next, len(rates[1]), window, float64(i.next)/window.Seconds()/float64(len(rates[1])))
	t.Logf("answers a second: %.0f without, %.0f with: %.1f %% lost; %d not answered; decided: %v", off, on, 100*(1-on/off), i.unanswered.Load(), i.tries(t))
	t.Logf("without %.0f", rates[0])
	t.Logf("with    %.0f", rates[1])
	if on < 0.8*off {
		t.Errorf("more than a fifth is lost")
	}
}

func middle(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}
