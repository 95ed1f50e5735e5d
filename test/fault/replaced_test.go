package fault

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/schakel/schakel/broker/journal/redisstream/redistest"
)

// TestGatewayReplacedWhileItSleeps: a gateway is stopped in the middle of its work (SIGSTOP, as a machine that hangs) and
// another takes over its stream. When the first wakes up it must add nothing more, give out no receipt for what is not in
// the log, and end.
func TestGatewayReplacedWhileItSleeps(t *testing.T) {
	t.Parallel()
	d := onRedis(t, redistest.Start(t))
	next := d.successor(t)
	log := &reader{d: next}
	first := d.ask(t, 4, lead)
	first.more(t, 50)
	if err := d.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	next.start(t)
	next.waitReady(t)
	second := next.ask(t, 4, lead)
	second.more(t, 50)
	if err := d.process.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	code := d.waitEnd(t, 20*time.Second)
	second.more(t, 20)
	first.stop(t)
	second.stop(t)
	if code != 1 || !strings.Contains(d.output.String(), "another process claimed") {
		t.Errorf("exit %d:\n%s", code, tail(d.output.String()))
	}
	told := log.next(t)
	for _, c := range []*clients{first, second} {
		for hash := range c.receipts {
			if told.events[hash] != 1 {
				t.Errorf("%d events for the receipt %s", told.events[hash], hash)
			}
		}
		d.clean(t, c.dir, "--redis", d.redisURL())
	}
	if n := int(first.sent.Load() + second.sent.Load()); told.asked > n {
		t.Errorf("%d events for %d questions", told.asked, n)
	}
	next.end(t)
	t.Logf("before: %v; after: %v", first, second)
}

// successor is a gateway with another folder and port, that takes d's stream once it is started.
func (d *deployment) successor(t *testing.T) *deployment {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "schakel.yaml"))
	var config map[string]any
	if err == nil {
		err = yaml.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := &deployment{dir: t.TempDir(), writer: d.writer, redis: d.redis, shard: d.shard, info: d.info, tokens: d.tokens, renewed: d.renewed}
	listen := "127.0.0.1:" + strconv.Itoa(freePort(t))
	n.info.Server = "http://" + listen
	config["data"], config["listen"] = n.dir, listen
	if data, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	d.write(t, "successor.yaml", string(data))
	n.args = []string{"serve", "--config", filepath.Join(d.dir, "successor.yaml")}
	t.Cleanup(func() {
		if n.process != nil && n.alive() {
			_ = n.process.Process.Kill()
			<-n.gone
		}
	})
	return n
}
