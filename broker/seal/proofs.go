package seal

import (
	"sync"
	"time"

	"github.com/schakel/schakel/broker"
)

// How long a proof that was taken is remembered, at least: until the nonce in it is good no more. And how many of one
// agency in that time: some 4,000 a second, in 10 MB.
const (
	proofMemory = nonceLife + nonceLifeElsewhere
	maxProofs   = 1 << 18
)

// proofs remembers the proofs that were taken, in two generations: the older is dropped whole. Each agency has a bound of
// its own, so that one that floods this memory shuts out itself and nobody else. Only proofs that verified get in.
type proofs struct {
	mu       sync.Mutex
	since    time.Time
	now, old generation
}

type generation struct {
	seen map[[16]byte]struct{}
	of   map[broker.OIN]int
}

// claim takes a proof for the first time. fresh is false when it was taken before, full when there is no room to know.
func (p *proofs) claim(agency broker.OIN, id [16]byte, now time.Time) (fresh, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := now.Sub(p.since); p.now.seen == nil || age >= proofMemory {
		p.old = p.now
		if age >= 2*proofMemory {
			p.old = generation{}
		}
		p.now, p.since = generation{map[[16]byte]struct{}{}, map[broker.OIN]int{}}, now
	}
	_, twice := p.now.seen[id]
	if _, before := p.old.seen[id]; twice || before {
		return false, false
	}
	if p.now.of[agency] >= maxProofs {
		return false, true
	}
	p.now.seen[id] = struct{}{}
	p.now.of[agency]++
	return true, false
}
