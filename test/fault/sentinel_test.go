package fault

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

const fewFailovers = 1

// watched is a master with replicas under three Sentinels.
type watched struct {
	servers   []*redistest.Server // the first was the master to begin with
	sentinels []*redistest.Server
}

// watch starts them: the servers at places, one Sentinel at each of the others.
func watch(t *testing.T, minReplicas int, servers, sentinels []redistest.Place) *watched {
	t.Helper()
	w := &watched{}
	args := []string{"--protected-mode", "no", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5",
		"--min-replicas-to-write", fmt.Sprint(minReplicas)}
	for i, p := range servers {
		more := args
		if i > 0 {
			more = append(more[:len(more):len(more)], "--replicaof", strings.Replace(w.servers[0].Addr, ":", " ", 1))
		}
		w.servers = append(w.servers, redistest.StartAt(t, p, more...))
	}
	host, port, err := net.SplitHostPort(w.servers[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range sentinels {
		s := redistest.StartSentinel(t, p, "monitor schakel "+host+" "+port+" 2",
			"down-after-milliseconds schakel 1000", "failover-timeout schakel 4000", "parallel-syncs schakel 1")
		// They look and talk more often than each ten and two seconds; a Redis before 7.0 refuses, and the test takes longer.
		s.Do(t, "SENTINEL DEBUG info-period 500 publish-period 300 ask-period 200")
		w.sentinels = append(w.sentinels, s)
	}
	for _, s := range w.servers[1:] {
		until(t, "a replica follows its master", func() bool { return follows(s) })
	}
	for _, s := range w.sentinels {
		until(t, "the Sentinels know each other and the replicas", func() bool {
			line := redisInfo(t, s, "sentinel", "master0")
			return strings.Contains(line, fmt.Sprintf("slaves=%d,sentinels=%d", len(servers)-1, len(sentinels)))
		})
	}
	return w
}

// config is the section redis of a gateway's configuration, and url the same for commands.
func (w *watched) config(replicas int) (section map[string]any, query string) {
	var addresses []string
	for _, s := range w.sentinels {
		addresses = append(addresses, s.Addr)
	}
	return map[string]any{"addresses": addresses, "master": "schakel", "waitReplicas": replicas},
		"redis://" + strings.Join(addresses, ",") + fmt.Sprintf("?master=schakel&replicas=%d&shard=", replicas)
}

// master gives the server that a Sentinel names.
func (w *watched) master(t *testing.T, sentinel *redistest.Server) *redistest.Server {
	t.Helper()
	answer := sentinel.Do(t, "SENTINEL GET-MASTER-ADDR-BY-NAME schakel")
	for _, s := range w.servers {
		if _, port, _ := net.SplitHostPort(s.Addr); strings.Contains(answer, "\r\n"+port+"\r\n") {
			return s
		}
	}
	t.Fatalf("no such master: %q", answer)
	return nil
}

// until waits for what must come.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

// gateways are several of one deployment, and the clients of each.
type gateways []*deployment

func (g gateways) ask(t *testing.T, n int, pause time.Duration) (all []*clients) {
	t.Helper()
	for i, d := range g {
		if i > 0 {
			g[0].renew(t)
			d.share(g[0])
		}
		all = append(all, d.ask(t, n, pause))
	}
	return all
}

// TestSentinelFailover: the master hangs, or is killed, under load on two gateways; Sentinels promote a replica; the old
// master comes back and is made a replica. With WAIT 1 nothing acknowledged is lost, and the gateways go on by
// themselves in the epoch they were in.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	here := redistest.Place{}
	w := watch(t, 1, []redistest.Place{here, here, here}, []redistest.Place{here, here, here})
	section, url := w.config(1)
	first := onStore(t, nil, section, nil)
	first.redisURL = url + first.shard
	g := gateways{first, first.another(t, "gw2", nil)}
	logs := []*reader{{d: g[0]}, {d: g[1]}}
	for _, l := range logs {
		l.next(t)
	}
	chance := newChance(t)
	for round := range many(fewFailovers) {
		all := g.ask(t, 2, 3*lead)
		time.Sleep(chance.between(100*time.Millisecond, 500*time.Millisecond))
		old := w.master(t, w.sentinels[0])
		how := []string{"hangs", "is killed"}[round%2]
		if how == "hangs" {
			old.Pause(t)
		} else {
			old.Kill(t)
		}
		began := time.Now()
		var master *redistest.Server
		until(t, "Sentinels promote a replica", func() bool {
			master = w.master(t, w.sentinels[round%3])
			return master != old
		})
		promoted := time.Since(began)
		for _, c := range all {
			c.more(t, 20)
		}
		back := time.Since(began)
		time.Sleep(chance.between(0, 300*time.Millisecond))
		if how == "hangs" {
			old.Resume(t)
		} else {
			old.Restart(t)
		}
		until(t, "the old master is a replica", func() bool { return follows(old) })
		again := time.Since(began)
		for i, c := range all {
			c.more(t, 20)
			c.stop(t)
			added := logs[i].next(t)
			added.crashes(t, 0)
			added.holds(t, c)
			g[i].clean(t, c.dir)
			t.Logf("round %d, the master %s, %s: %v", round, how, g[i].writer, c)
		}
		t.Logf("round %d: promoted after %v, both gateways answer after %v, the old master is a replica after %v", round,
			promoted.Round(time.Millisecond), back.Round(time.Millisecond), again.Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, d := range g {
		d.onceEach(t)
		d.end(t)
	}
}
