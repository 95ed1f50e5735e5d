package console

import (
	"context"
	"net/http"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit/search"
)

// Integrity tells how far the log is sealed, and when it was last verified as a whole.
type Integrity struct {
	Checkpoint *SealedAt // the newest; nil where there is none
	Trouble    error     // why it could not be verified
	Witnesses  []WitnessState
	Streams    []StreamState
	Unsealed   time.Time     // of the oldest event that no checkpoint covers; zero where all are covered
	Limit      time.Duration // how old that may grow before gateways stop; 0: no limit here
	Index      search.State
	NoIndex    error         // why the log can't be searched
	Verified   *Verification // nil: never here
}

// SealedAt is a checkpoint whose signature was verified.
type SealedAt struct {
	Origin string
	Size   uint64
	Root   broker.Hash
}

// WitnessState tells whether a witness that this gateway has in its configuration cosigned the newest checkpoint.
type WitnessState struct {
	Name   string
	Signed bool
}

// StreamState tells how far one stream goes, and how far it is sealed: ids as "epoch-seq", "" for none.
type StreamState struct {
	Name, Head, Sealed string
}

// Verification is what verifying the whole log found.
type Verification struct {
	Time       time.Time     `json:"time"`
	Took       time.Duration `json:"took"`
	OK         bool          `json:"ok"`
	Entries    uint64        `json:"entries"`
	Heads      int           `json:"heads"`
	Checkpoint uint64        `json:"checkpoint"` // leaves of the checkpoint it was held against; 0: none
	Sealed     uint64        `json:"sealed"`     // entries that it vouches for, and that match
	Unanchored uint64        `json:"unanchored"`
	Faults     []string      `json:"faults"` // the first ones, in English as `schakel audit verify` names them
	More       int           `json:"more"`
}

const askAudit = "audit"

// integrityView is the page that tells whether the log is whole.
type integrityView struct {
	Integrity
	Age     time.Duration // of the oldest event that no checkpoint covers
	Running bool
	Work    stepState
}

func (k *Console) serveIntegrity(c *call) error {
	i, err := k.cfg.Auditing.Integrity(c.r.Context())
	if err != nil {
		return err
	}
	v := integrityView{Integrity: i}
	if !i.Unsealed.IsZero() {
		v.Age = max(k.now().Sub(i.Unsealed), 0).Round(time.Second)
	}
	if j := k.jobs.get(askAudit); j != nil {
		s, _ := j.now()
		v.Running, v.Work = !s.Done, s.Steps[0]
	}
	return c.render(http.StatusOK, "integrity", c.say("Integriteit van het logboek", "Integrity of the log"), v)
}

// startVerify verifies the whole log. It goes on while nobody looks.
func (k *Console) startVerify(c *call) error {
	k.jobs.start(askAudit, true, []step{{askAudit, func(ctx context.Context, progress func(int, int)) (any, error) {
		return k.cfg.Auditing.Verify(ctx, func(read int) { progress(read, 0) })
	}}})
	c.redirect("/integriteit")
	return nil
}

// stopVerify stops verifying, whoever began.
func (k *Console) stopVerify(c *call) error {
	if j := k.jobs.get(askAudit); j != nil {
		j.cancel()
	}
	c.notice("De controle is gestopt.", "Verifying was stopped.")
	c.redirect("/integriteit")
	return nil
}

func (k *Console) serveVerifyProgress(c *call) error {
	j := k.jobs.get(askAudit)
	if j == nil {
		return errNotFound
	}
	return c.follow(j)
}

// Long says how long something takes or is old.
func (c *call) Long(d time.Duration) string {
	switch {
	case d < time.Second:
		return c.say("minder dan een seconde", "less than a second")
	case d < 2*time.Minute:
		return c.Count(int(d/time.Second)) + c.say(" seconden", " seconds")
	}
	return c.Count(int(d/time.Minute)) + c.say(" minuten", " minutes")
}

// Count64 is Count for what streams count in.
func (c *call) Count64(n uint64) string { return c.Count(int(n)) }
