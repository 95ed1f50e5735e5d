// Package socket serves a journal over a unix socket, so that the command line does to a running server exactly what it
// does to the folder of a stopped one.
//
// Whoever may open the socket may do everything: it has mode 0600, and there is no other check. It refuses to take the
// place of a server that still answers. Every error comes back as the kind of error it was (journal.ErrAbsent and the
// like); a connection lost on the way is an unknown outcome, as everywhere in the journal. Only cmd, and tests, may
// import it.
package socket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// Every call is a POST of one request as JSON to prefix + its name, answered with one response as JSON.
const (
	prefix   = "/v1/"
	protocol = 4
)

// Limits of what goes over the socket. Base64 makes bytes a third longer.
const (
	maxRequest  = 64 << 20 // a blob; an append has limits of its own
	maxResponse = 96 << 20
	maxPage     = 1 << 20 // of entries in one response, about: the client asks on
)

// request has the fields of every call; each uses its own. Names and touches are bytes, for JSON text would change those
// that are not UTF-8.
type request struct {
	Writer        string          `json:"writer,omitempty"`
	Events        []entry         `json:"events,omitempty"`
	Position      broker.Position `json:"position,omitempty"`
	Touches       [][]byte        `json:"touches,omitempty"`
	Register      []entry         `json:"register,omitempty"`
	RegisterAfter journal.Head    `json:"registerAfter"`
	After         journal.Head    `json:"after"`

	Stream journal.Stream `json:"stream,omitempty"`
	Max    int            `json:"max,omitempty"`
	Name   []byte         `json:"name,omitempty"`
	Data   []byte         `json:"data,omitempty"`
	Names  [][]byte       `json:"names,omitempty"`
	List   [][]byte       `json:"list,omitempty"` // of data, in the order of Names
	News   [][]byte       `json:"news,omitempty"` // what takes the place of List, in the same order
	Number int            `json:"number,omitempty"`

	Holder string        `json:"holder,omitempty"` // of a lease, named by Writer
	TTL    time.Duration `json:"ttl,omitempty"`

	Snapshot journal.Snapshot `json:"snapshot"`
}

// response has the fields of every answer.
type response struct {
	Error    string          `json:"error,omitempty"`
	Kinds    []string        `json:"kinds,omitempty"`
	Protocol int             `json:"protocol,omitempty"`
	Outcome  journal.Outcome `json:"outcome,omitempty"`
	Head     journal.Head    `json:"head"`
	Entries  []entry         `json:"entries,omitempty"`
	More     bool            `json:"more,omitempty"` // the page was cut short, or the wait is not over: ask again
	Writers  []string        `json:"writers,omitempty"`
	Data     []byte          `json:"data,omitempty"`
	Names    [][]byte        `json:"names,omitempty"`
	List     [][]byte        `json:"list,omitempty"` // of data, in the order of the names; null for what is absent

	Snapshot journal.Snapshot  `json:"snapshot"`
	Notes    map[string][]byte `json:"notes,omitempty"` // by writer
	Fence    uint64            `json:"fence,omitempty"`
}

type entry struct {
	ID      journal.ID  `json:"id"`
	Hash    broker.Hash `json:"hash"`
	Touches [][]byte    `json:"touches,omitempty"`
	Bytes   []byte      `json:"bytes"`
}

func toWire(entries []journal.Entry) []entry {
	var out []entry
	for _, e := range entries {
		out = append(out, entry{ID: e.ID, Hash: e.Hash, Touches: toBytes(e.Touches), Bytes: e.Bytes})
	}
	return out
}

func fromWire(entries []entry) []journal.Entry {
	var out []journal.Entry
	for _, e := range entries {
		out = append(out, journal.Entry{ID: e.ID, Hash: e.Hash, Touches: fromBytes[broker.Touch](e.Touches), Bytes: e.Bytes})
	}
	return out
}

func toBytes[T ~string](texts []T) [][]byte {
	var out [][]byte
	for _, t := range texts {
		out = append(out, []byte(t))
	}
	return out
}

func fromBytes[T ~string](list [][]byte) []T {
	var out []T
	for _, t := range list {
		out = append(out, T(t))
	}
	return out
}

// readJSON reads one value and nothing after it. Its errors repeat nothing of the input.
func readJSON(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("decode message: it is cut short, too long or of another version (%T)", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode message: something follows it")
	}
	return nil
}

// kinds are the errors that callers ask for with errors.Is.
var kinds = map[string]error{
	"absent":      journal.ErrAbsent,
	"exists":      journal.ErrExists,
	"kept":        journal.ErrKept,
	"leased":      journal.ErrLeased,
	"unsafe":      journal.ErrUnsafe,
	"unsupported": errors.ErrUnsupported,
	"canceled":    context.Canceled,
	"deadline":    context.DeadlineExceeded,
}

// failure makes the answer that carries an error.
func failure(err error) response {
	r := response{Error: err.Error()}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			r.Kinds = append(r.Kinds, name)
		}
	}
	return r
}

// remoteError is an error of the server's store.
type remoteError struct {
	text  string
	kinds []string
}

func (e *remoteError) Error() string { return e.text }

// Is makes errors.Is see the kind that the error had on the server.
func (e *remoteError) Is(target error) bool {
	for _, name := range e.kinds {
		if kinds[name] == target {
			return true
		}
	}
	return false
}
