package seal

import (
	"time"

	"github.com/schakel/schakel/broker"
)

// The memory of proofs, for its own test: to fill it through Open would take as many signatures.
const (
	MaxProofs   = maxProofs
	ProofMemory = proofMemory
)

type Proofs struct{ p proofs }

func NewProofs() *Proofs { return &Proofs{} }

func (p *Proofs) Claim(agency broker.OIN, id [16]byte, now time.Time) (fresh, full bool) {
	return p.p.claim(agency, id, now)
}

func (p *Proofs) Len() int { return len(p.p.now.seen) + len(p.p.old.seen) }
