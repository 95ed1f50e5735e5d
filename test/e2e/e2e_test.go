// Package e2e tells whole stories against the real binary: a real server process, real agencies over HTTP, a real
// journal, on both backends. Each script in testdata is one story; those in testdata/once are about what no backend has to do with.
package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/schakel/schakel/test/agencies"
	"github.com/schakel/schakel/test/program"
)

var (
	binary string

	rounds = flag.Int("rounds", 0, "rounds of histories; 0: a few")
	seed   = flag.Uint64("seed", 20261124, "of what is asked and changed")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(program.Run(m, &binary))
}

// people is who the stories are about: the official test set where it is at hand.
func people(t testing.TB) (p agencies.Population, path string) {
	t.Helper()
	path = os.Getenv("SCHAKEL_BRP")
	if path == "" {
		path = agencies.Beside(".")
	}
	p, from, err := agencies.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("persons:", from)
	return p, path
}

func TestStoriesOnBolt(t *testing.T) {
	t.Parallel()
	stories(t, startBolt, "testdata", filepath.Join("testdata", "once"))
}

func TestStoriesOnRedis(t *testing.T) {
	t.Parallel()
	stories(t, startRedis, "testdata")
}

// stories tells the stories of some folders in one world, one after the other. Each hears only what was asked since it began.
func stories(t *testing.T, start func(testing.TB, *world), folders ...string) {
	population, brp := people(t)
	w := &world{tb: t, people: population, brp: brp, dir: filepath.Join(t.TempDir(), "data")}
	start(t, w)
	defer func() {
		w.tb = t
		w.stop(t)
	}()
	vars := w.vars(t)
	vars["PATH"] = filepath.Dir(binary) + string(os.PathListSeparator) + os.Getenv("PATH")
	vars["SCHAKEL_DATA"] = w.dir
	deadline, _ := t.Deadline() // none, where there is none
	for _, folder := range folders {
		testscript.RunT(inTurn{t}, testscript.Params{
			Dir:      folder,
			Deadline: deadline,
			Setup: func(env *testscript.Env) (err error) {
				env.Values["world"] = w
				w.tb = env.T().(testing.TB)
				for k, v := range vars {
					env.Setenv(k, v)
				}
				env.Setenv("HOME", env.WorkDir)
				before, err := w.everAsked()
				w.before = len(before)
				return err
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"ask":     ask,
				"asked":   asked,
				"flip":    flip,
				"journal": journalState,
				"same":    same,
				"audit":   auditLine,
			},
		})
	}
}

// inTurn is a test whose scripts wait for each other.
type inTurn struct{ *testing.T }

func (t inTurn) Parallel()     {}
func (t inTurn) Verbose() bool { return testing.Verbose() }
func (t inTurn) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { f(inTurn{t}) })
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

// ask FLAGS: `schakel ask`, again where it could not be recorded in time. With !: it exits with a code that is not 0.
func ask(ts *testscript.TestScript, neg bool, args []string) {
	for end := time.Now().Add(soon); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec("schakel", append([]string{"ask"}, args...)...)
		if err != nil && unrecorded(ts.ReadFile("stderr")) && time.Now().Before(end) {
			continue
		}
		if (err != nil) != neg {
			ts.Fatalf("ask: %v", err)
		}
		return
	}
}

// asked KIND KEY: an agency of this kind was asked since the story began, each time by this key. With !: it was never asked.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || (!neg && len(args) != 2) {
		ts.Fatalf("usage: [!] asked KIND [KEY]")
	}
	n := 0
	for _, e := range worldOf(ts).asked(ts) {
		if string(e.Kind) != args[0] {
			continue
		}
		n++
		if neg {
			ts.Fatalf("%s was asked for %v", e.Kind, e.Fields)
		}
		if string(e.Key) != args[1] {
			ts.Fatalf("%s was asked by %q", e.Kind, e.Key)
		}
	}
	if n == 0 && !neg {
		ts.Fatalf("%s was never asked", args[0])
	}
}

// flip FILE: change one digit or letter inside the body of kept evidence.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	i := bytes.Index(data, []byte("issuedAt"))
	if i < 0 {
		ts.Fatalf("no issuedAt in %s", args[0])
	}
	data[i+2]++
	ts.Check(os.WriteFile(path, data, 0o600))
}

// journal stop|start: take the journal away from a running server, and give it back.
func journalState(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	switch args[0] {
	case "stop":
		ts.Check(w.journalStop())
	case "start":
		ts.Check(w.journalStart())
	}
}

// same A B: two answers say the same, but for what is new in every answer (id, time).
func same(ts *testscript.TestScript, _ bool, args []string) {
	var texts [2]string
	for i, file := range args {
		var v struct {
			Kind   string         `json:"kind"`
			Answer map[string]any `json:"answer"`
		}
		if err := json.Unmarshal([]byte(ts.ReadFile(file)), &v); err != nil {
			ts.Fatalf("%s: %v", file, err)
		}
		delete(v.Answer, "id")
		delete(v.Answer, "issuedAt")
		data, err := json.Marshal(v)
		ts.Check(err)
		texts[i] = string(data)
	}
	if texts[0] != texts[1] {
		ts.Fatalf("they differ:\n%s\n%s", texts[0], texts[1])
	}
}

// audit A B: the clear parts of the last two events of the log are the same.
func auditLine(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("schakel", "audit", "log", "--json"))
	var clear []string
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var e struct {
			Kind   string
			Common map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			ts.Fatalf("log: %v", err)
		}
		if e.Kind != "disclosure" {
			continue
		}
		delete(e.Common, "requestDigest") // salted: differs by itself
		delete(e.Common, "answerDigest")
		data, err := json.Marshal(e.Common)
		ts.Check(err)
		clear = append(clear, string(data))
	}
	if n := len(clear); n < 2 || clear[n-1] != clear[n-2] {
		ts.Fatalf("the last two disclosures differ in clear:\n%s", strings.Join(clear[max(0, n-2):], "\n"))
	}
}
