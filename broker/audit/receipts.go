package audit

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Saved is an answer that somebody kept, of which the signature was verified.
type Saved struct {
	Receipt broker.Receipt
	Answer  broker.Hash // Nonce.Digest of its body: what its event must have
}

// Holding is what the log says about a saved answer.
type Holding struct {
	State  HoldingState `json:"state"`
	Events []string     `json:"events"` // "writer epoch-seq" of what has the receipt's hash; never nil
}

// HoldingState sorts holdings.
type HoldingState string

// Closed list of HoldingState.
const (
	HoldingOnce      HoldingState = "held"      // in the log exactly once, and of this very answer
	HoldingMissing   HoldingState = "missing"   // no event has its hash
	HoldingTwice     HoldingState = "twice"     // more than one event has its hash
	HoldingAltered   HoldingState = "altered"   // the event that is said to have its hash has other bytes
	HoldingOtherwise HoldingState = "otherwise" // its event is of another answer
	HoldingForeign   HoldingState = "foreign"   // its receipt is of another log
)

// HoldReceipts reads every event of every writer and says of each saved answer, in the order given, whether it is in the log
// exactly once. It computes every event's hash; whether the log is whole is for Verify to say. log is the log's id.
func HoldReceipts(ctx context.Context, s Source, log string, saved []Saved, progress func(events uint64)) ([]Holding, error) {
	out := make([]Holding, len(saved))
	wanted := map[broker.Hash][]int{}
	for i, a := range saved {
		out[i] = Holding{State: HoldingMissing, Events: []string{}}
		if a.Receipt.Log != log {
			out[i].State = HoldingForeign
			continue
		}
		wanted[a.Receipt.Hash] = append(wanted[a.Receipt.Hash], i)
	}
	writers, err := s.Writers(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold receipts against the log: %w", err)
	}
	type found struct {
		hash   broker.Hash // that is wanted; zero for none
		real   bool        // the bytes have it
		answer broker.Hash
	}
	look := func(e journal.Entry) (f found) { // on all cores: wanted is only read
		real := broker.Hash(sha256.Sum256(e.Bytes))
		switch {
		case wanted[real] != nil:
			f.hash, f.real = real, true
			f.answer, _ = answerOf(e.Bytes)
		case wanted[e.Hash] != nil:
			f.hash = e.Hash
		}
		return f
	}
	read := uint64(0)
	for _, writer := range writers {
		err := readAll(ctx, s, journal.Audit(writer), journal.ID{}, look, func(e journal.Entry, f found) {
			if read++; read%10_000 == 0 {
				progress(read)
			}
			if f.hash == (broker.Hash{}) {
				return
			}
			for _, i := range wanted[f.hash] {
				h := &out[i]
				h.Events = append(h.Events, writer+" "+ID(e.ID).String())
				switch {
				case len(h.Events) > 1:
					h.State = HoldingTwice
				case !f.real:
					h.State = HoldingAltered
				case f.answer != saved[i].Answer:
					h.State = HoldingOtherwise
				default:
					h.State = HoldingOnce
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("hold receipts against %s: %w", writer, err)
		}
	}
	return out, nil
}

// answerOf gives the digest of the answer that an event records; an event of another kind has none.
func answerOf(data []byte) (h broker.Hash, ok bool) {
	e, ok := header(data)
	if !ok || e.Kind != KindDisclosure {
		return h, false
	}
	for name, value := range members(e.Common) {
		if string(name) == "answerDigest" {
			p := parser{value}
			ok = p.hash(&h) && len(p.rest) == 0
			return h, ok
		}
	}
	return h, false
}
