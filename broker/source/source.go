// Package source finds the way to data holders and holds what every way has in common: one question by POST, and one
// answer that is not trusted.
//
// Each protocol has a folder: haalcentraal (the civil registry) and rest (any other holder, by configuration). Both ask
// through Client, so that what is done about a hostile or broken holder stands in one place. sourcetest is what each
// must pass.
//
// It refuses to send personal data in a URL or over an open line, to follow a redirect, to read more than a megabyte,
// and to repeat anything a holder sent in an error. cmd may import it, and the packages in its folders.
package source

import (
	"errors"
	"fmt"

	"github.com/schakel/schakel/broker"
)

// Holder is an agency and the way to ask it.
type Holder struct {
	OIN    broker.OIN
	Source broker.Source
}

// Sources implements broker.Sources. The zero value knows no holder.
type Sources struct{ by map[broker.OIN]broker.Source }

// New makes Sources of a list. What Schakel's own register knows has no source: the broker answers that itself.
func New(holders ...Holder) (*Sources, error) {
	s := &Sources{by: make(map[broker.OIN]broker.Source, len(holders))}
	for _, h := range holders {
		if _, err := broker.ParseOIN(string(h.OIN)); err != nil {
			return nil, fmt.Errorf("configure source: %w", err)
		}
		if h.Source == nil {
			return nil, fmt.Errorf("configure source %s: no source given", h.OIN)
		}
		if _, twice := s.by[h.OIN]; twice {
			return nil, fmt.Errorf("configure source %s: configured twice; keep one", h.OIN)
		}
		if k := h.Source.Key(); k != broker.KeyBSN && k != broker.KeyIdentity {
			return nil, fmt.Errorf("configure source %s: lookup key %q is not bsn or identity", h.OIN, k)
		}
		s.by[h.OIN] = h.Source
	}
	return s, nil
}

// Source implements broker.Sources.
func (s *Sources) Source(holder broker.OIN) (broker.Source, bool) {
	found, ok := s.by[holder]
	return found, ok
}

// Failure is why a question got no usable answer: one word of a closed list, fit for a log line and a metric. Every
// error of a source wraps one.
type Failure string

// Closed list of Failure.
const (
	FailQuestion    Failure = "question"     // the question can't be put to this holder; it was not asked
	FailUnreachable Failure = "unreachable"  // no connection, or it broke
	FailTimeout     Failure = "timeout"      // no whole answer in time, or the asker gave up
	FailRedirect    Failure = "redirect"     // the holder sent us elsewhere
	FailStatus      Failure = "status"       // the holder refused or failed
	FailTooLarge    Failure = "too-large"    // over the size limit
	FailMalformed   Failure = "malformed"    // not one strict JSON object
	FailType        Failure = "type"         // a value is not what the field holds
	FailUnknown     Failure = "not-found"    // the holder does not know this person
	FailOtherPerson Failure = "other-person" // the answer is about someone else, or about more than one
)

// Error implements error.
func (f Failure) Error() string { return string(f) }

// FailureOf gives the Failure an error wraps, "" for none.
func FailureOf(err error) Failure {
	var f Failure
	errors.As(err, &f)
	return f
}
