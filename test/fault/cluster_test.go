package fault

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
	"github.com/schakel/schakel/test/agencies"
)

// What happens to a cluster, in turn. A short run has the first few.
var clusterRounds = []string{"the slot moves", "the owner is killed", "the owner hands over", "the owner hangs", "the gateway is killed"}

const fewOnCluster = 3

// cluster is a Redis Cluster of three masters, each with a replica.
type cluster struct {
	nodes []*redistest.Server
	ids   map[string]*redistest.Server
	slot  int // of the shard
}

func startCluster(t *testing.T, shard string) *cluster {
	t.Helper()
	c := &cluster{ids: map[string]*redistest.Server{}}
	for range 6 {
		s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0",
			"--min-replicas-to-write", "1", "--cluster-allow-replica-migration", "no")
		c.nodes = append(c.nodes, s)
		c.ids[c.id(t, s)] = s
	}
	for i, s := range c.nodes {
		c.ok(t, s, "CONFIG SET cluster-announce-ip 127.0.0.1")
		if i < 3 {
			c.ok(t, s, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*5462, min((i+1)*5462, 16384)-1))
		}
		c.ok(t, s, fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1))
		c.ok(t, s, "CLUSTER MEET "+strings.Replace(c.nodes[0].Addr, ":", " ", 1))
	}
	for i, s := range c.nodes[3:] {
		master := c.id(t, c.nodes[i])
		until(t, "a replica finds its master", func() bool {
			answer, err := s.Try("CLUSTER REPLICATE " + master)
			return err == nil && strings.HasPrefix(answer, "+OK")
		})
	}
	answer := c.nodes[0].Do(t, "CLUSTER KEYSLOT schakel:{"+shard+"}:register")
	var err error
	if c.slot, err = strconv.Atoi(strings.Trim(answer, ":\r\n")); err != nil {
		t.Fatal(err)
	}
	c.settle(t)
	return c
}

func (c *cluster) ok(t *testing.T, s *redistest.Server, words string) {
	t.Helper()
	if answer := s.Do(t, words); !strings.HasPrefix(answer, "+OK") {
		t.Fatalf("%s: %s", words, answer)
	}
}

func (c *cluster) id(t *testing.T, s *redistest.Server) string {
	t.Helper()
	_, id, _ := strings.Cut(s.Do(t, "CLUSTER MYID"), "\r\n")
	return strings.TrimSpace(id)
}

// settle waits until every node sees a whole cluster of three masters with a replica each.
func (c *cluster) settle(t *testing.T) {
	t.Helper()
	until(t, "the cluster is whole", func() bool {
		masters := 0
		for _, s := range c.nodes {
			info, err := s.Try("CLUSTER INFO")
			known, _ := infoLine(info, "cluster_known_nodes")
			state, _ := infoLine(info, "cluster_state")
			if err != nil || state != "ok" || known != "6" {
				return false
			}
			info, err = s.Try("INFO replication")
			connected, _ := infoLine(info, "connected_slaves")
			if role, _ := infoLine(info, "role"); err == nil && role == "master" && connected == "1" {
				masters++
			} else if !follows(s) {
				return false
			}
		}
		return masters == 3
	})
}

// owner is the master of the shard's slot, as most nodes see it, and its replica.
func (c *cluster) owner(t *testing.T, asked *redistest.Server) (master, replica *redistest.Server) {
	t.Helper()
	lines := strings.Split(asked.Do(t, "CLUSTER NODES"), "\n")
	masterID := ""
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 8 || !strings.Contains(f[2], "master") {
			continue
		}
		for _, r := range f[8:] {
			low, high, isRange := strings.Cut(r, "-")
			from, err := strconv.Atoi(low)
			to := from
			if isRange {
				to, _ = strconv.Atoi(high)
			}
			if err == nil && from <= c.slot && c.slot <= to {
				masterID, master = f[0], c.ids[f[0]]
			}
		}
	}
	for _, line := range lines {
		if f := strings.Fields(line); len(f) >= 8 && f[3] == masterID {
			replica = c.ids[f[0]]
		}
	}
	if master == nil {
		t.Fatalf("nobody has slot %d:\n%s", c.slot, strings.Join(lines, "\n"))
	}
	return master, replica
}

// bystander is a master that does not own the slot.
func (c *cluster) bystander(t *testing.T) *redistest.Server {
	t.Helper()
	owner, _ := c.owner(t, c.nodes[0])
	for _, s := range c.nodes {
		if s != owner && redisInfo(t, s, "replication", "role") == "master" {
			return s
		}
	}
	t.Fatal("no other master")
	return nil
}

// reshard moves the shard's slot to another master, key by key, as redis-cli does, with a pause between keys.
func (c *cluster) reshard(t *testing.T, pause time.Duration) {
	t.Helper()
	from, _ := c.owner(t, c.nodes[0])
	to := c.bystander(t)
	c.ok(t, to, fmt.Sprintf("CLUSTER SETSLOT %d IMPORTING %s", c.slot, c.id(t, from)))
	c.ok(t, from, fmt.Sprintf("CLUSTER SETSLOT %d MIGRATING %s", c.slot, c.id(t, to)))
	host, port, _ := net.SplitHostPort(to.Addr)
	moved := 0
	for {
		lines := strings.Split(from.Do(t, fmt.Sprintf("CLUSTER GETKEYSINSLOT %d 1", c.slot)), "\r\n")
		if len(lines) < 3 {
			break
		}
		answer := from.Do(t, fmt.Sprintf("MIGRATE %s %s %s 0 15000", host, port, lines[2]))
		if !strings.HasPrefix(answer, "+OK") && !strings.HasPrefix(answer, "+NOKEY") { // a lease ends by itself
			t.Fatal(answer)
		}
		moved++
		time.Sleep(pause)
	}
	for _, s := range []*redistest.Server{to, from} {
		c.ok(t, s, fmt.Sprintf("CLUSTER SETSLOT %d NODE %s", c.slot, c.id(t, to)))
	}
	if moved < 4 {
		t.Errorf("only %d keys moved", moved)
	}
}

// TestCluster: two gateways on a Redis Cluster of three, under load, while the owner of their slot is killed, hangs, hands
// over to its replica, or the slot moves to another master, and while a gateway is killed. WAIT 1 throughout: nothing
// acknowledged is lost, and nothing stands in the log twice, whatever was redirected or sent again.
func TestCluster(t *testing.T) {
	t.Parallel()
	people, _, err := agencies.Open("")
	if err != nil {
		t.Fatal(err)
	}
	shard := people.Municipality()
	nodes := startCluster(t, shard)
	var addresses []string
	for _, s := range nodes.nodes[:3] {
		addresses = append(addresses, s.Addr)
	}
	first := onStore(t, nil, map[string]any{"addresses": addresses, "cluster": true, "waitReplicas": 1}, nil)
	first.redisURL = "redis://" + strings.Join(addresses, ",") + "?cluster=1&replicas=1&shard=" + shard
	g := gateways{first, first.another(t, "gw2", nil)}
	logs := []*reader{{d: g[0]}, {d: g[1]}}
	for _, l := range logs {
		l.next(t)
	}
	chance := newChance(t)
	for round := range many(fewOnCluster) {
		all := g.ask(t, 2, 3*lead)
		time.Sleep(chance.between(100*time.Millisecond, 400*time.Millisecond))
		victim := clusterRounds[round%len(clusterRounds)]
		starts := 0
		began := time.Now()
		owner, replica := nodes.owner(t, nodes.nodes[0])
		switch victim {
		case "the slot moves":
			nodes.reshard(t, chance.between(20*time.Millisecond, 150*time.Millisecond))
		case "the owner hands over":
			nodes.ok(t, replica, "CLUSTER FAILOVER")
			until(t, "the replica owns the slot", func() bool { m, _ := nodes.owner(t, nodes.bystander(t)); return m == replica })
		case "the owner is killed", "the owner hangs":
			other := nodes.bystander(t)
			if victim == "the owner hangs" {
				owner.Pause(t)
			} else {
				owner.Kill(t)
			}
			until(t, "the replica owns the slot", func() bool { m, _ := nodes.owner(t, other); return m == replica })
			// Alone it may take no writes: the old owner is needed as its replica.
			if victim == "the owner hangs" {
				owner.Resume(t)
			} else {
				owner.Restart(t)
			}
		case "the gateway is killed":
			starts = 1
			g[0].kill(t)
			g[0].start(t)
			g[0].waitReady(t)
		}
		for _, c := range all {
			c.more(t, 20)
		}
		back := time.Since(began)
		nodes.settle(t)
		for i, c := range all {
			c.more(t, 10)
			c.stop(t)
			added := logs[i].next(t)
			added.crashes(t, starts*(1-i))
			added.holds(t, c)
			g[i].clean(t, c.dir)
			t.Logf("round %d, %s, %s: %v", round, victim, g[i].writer, c)
		}
		t.Logf("round %d: both gateways answer after %v", round, back.Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, d := range g {
		d.onceEach(t)
		d.end(t)
	}
}
