// Package fault breaks a real deployment while real clients ask, and holds what is left against every receipt that was
// handed out: kills, a Redis that hangs, power loss, a journal that was wiped or put back, full disks, failover by
// Sentinel and in a Cluster, a network that is cut. The server is the real binary, the agencies speak HTTP, the journal is
// a real Redis or a bbolt file.
//
// A few rounds run with the other tests; `go test ./test/fault -run 'Killed|Sentinel|Cluster' -rounds 200 -timeout 0` runs
// many, and `-run Soak -soak 10m -timeout 0` a day in ten minutes. Moments are random from a seed that is printed; `-seed`
// repeats it, as far as processes let themselves be repeated.
package fault

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/schakel/schakel/test/program"
)

var (
	rounds = flag.Int("rounds", 0, "rounds of kills; 0: a few")
	seed   = flag.Uint64("seed", 20261124, "of the moments at which things are broken")

	binary string
)

// soon is how long a test waits for what must come. A busy machine takes long, and nothing here is about how long: limits of time
// have tests of their own, with a clock of their own (package audit).
const soon = 2 * time.Minute

// limit is how long a 503 may take: 250 ms, and what a busy machine adds. Whoever waits for the store itself waits longer.
const limit = 4 * time.Second

func TestMain(m *testing.M) {
	// Most of these tests wait most of the time. A flag on the command line comes after this, and counts.
	if err := flag.Set("test.parallel", fmt.Sprint(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	flag.Parse()
	os.Exit(program.Run(m, &binary))
}

// chance gives the random moments of a test.
type chance struct{ *rand.Rand }

func newChance(t *testing.T) chance {
	t.Helper()
	t.Log("seed", *seed)
	return chance{rand.New(rand.NewPCG(*seed, 0))}
}

func (c chance) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.Int64N(int64(high-low)))
}
