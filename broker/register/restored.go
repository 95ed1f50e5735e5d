package register

import (
	"errors"
	"fmt"
	"time"

	"github.com/schakel/schakel/broker"
)

// RestoreLog says that the journal was put back from a backup: what was recorded after that was made is not in this log, though
// heads, receipts and checkpoints of that time vouch for it, and ids of that time are given out again.
type RestoreLog struct {
	Number int         `json:"number"` // of this restore; one more than there were
	Backup broker.Hash `json:"backup"` // the digest of its manifest
	Taken  time.Time   `json:"taken"`  // when it was made
}

func (RestoreLog) kind() string                   { return "log.restored" }
func (RestoreLog) key(TouchFunc) (string, string) { return "", "" }

// touches: whatever facts anybody remembers are of a log that went on otherwise.
func (RestoreLog) touches(env) []broker.Touch { return []broker.Touch{broker.TouchAll} }

func (c RestoreLog) check(e env) (Command, error) {
	if c.Number != e.restores+1 || c.Backup == (broker.Hash{}) || c.Taken.IsZero() {
		return nil, fmt.Errorf("restore log: it is number %d, after %d others, and needs the digest of a backup", c.Number, e.restores)
	}
	c.Taken = c.Taken.UTC().Truncate(time.Second)
	return c, nil
}

func (c RestoreLog) apply(e env, _ broker.Position) error {
	if c.Number != e.restores+1 {
		return errors.New("its number does not follow the restore before")
	}
	e.restores = c.Number
	return nil
}

// Restores tells how often this log was put back from a backup.
func (r *Register) Restores() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.restores
}
