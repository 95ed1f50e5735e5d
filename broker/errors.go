package broker

import "errors"

// Kind sorts failures by what the asker can do about them. The gateway has the one table from Kind to HTTP status.
type Kind int

// Kinds of failure.
const (
	KindInternal        Kind = iota // our fault; no detail leaves
	KindInvalid                     // the request is wrong: Params says where
	KindUnauthenticated             // the token is wrong: Code says how
	KindTooLarge                    // over a size limit
	KindBusy                        // this agency asks more than it may; later is fine
	KindUnavailable                 // we can't answer safely now; trying again later may help
)

// Error is the one error type whose text may reach the asker. Code is stable and from a closed list (the gateway's
// table has its Dutch and English text); Params name what is wrong. Neither holds a value about a person.
type Error struct {
	Kind   Kind
	Code   string
	Params []Param
	Err    error // the cause, for the log; holds no personal value either
}

// Param names one wrong parameter.
type Param struct {
	Name   string `json:"name"`   // path in the body: fields[3], household.bsn
	Code   string `json:"code"`   // closed list, see the gateway's table
	Reason string `json:"reason"` // filled in by the gateway, in the asker's language
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Err.Error()
	}
	return e.Code
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail makes an Error.
func Fail(kind Kind, code string, cause error) error {
	return &Error{Kind: kind, Code: code, Err: cause}
}

// Worded is an error whose words reach a person on a page: in Dutch or in English, as they read. A command prints the English.
type Worded struct{ Text }

// Told makes a Worded error. Neither text holds a value about a person.
func Told(nl, en string) error { return Worded{Text{NL: nl, EN: en}} }

func (w Worded) Error() string { return w.EN }

// ErrStale tells that the register moved under the facts an event rests on: decide again.
var ErrStale = errors.New("facts changed since the decision")
