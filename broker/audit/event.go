package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Version is the version of the event format.
const Version = 1

// Kind sorts events.
type Kind string

// Closed list of Kind.
const (
	KindStart      Kind = "start"      // a process claimed the stream: seq 0 of its epoch (Start)
	KindStop       Kind = "stop"       // it ended in good order: nothing follows in this epoch
	KindDisclosure Kind = "disclosure" // an answer or refusal (broker.Common)
	KindRegister   Kind = "register"   // register entries that were added in the same append (Recorded)
	KindView       Kind = "view"       // somebody looked at a recorded decision (Viewed)
)

// Event is one event of a writer's stream, as stored.
type Event struct {
	Writer   string
	ID       journal.ID
	Prev     broker.Hash // of the event before in this stream, over epochs; zero for the first
	Time     time.Time   // UTC
	Position broker.Position
	Kind     Kind

	Common   json.RawMessage // compact; what it holds depends on Kind
	Staff    *keys.Part
	Subjects []keys.Part
}

// Start is the common part of a start event.
type Start struct {
	Log      string  `json:"log"`
	Process  string  `json:"process"`           // random: two processes that claim one epoch never write the same bytes
	Version  string  `json:"version,omitempty"` // of the program
	Previous *Ref    `json:"previous"`          // the stream's head before; null for a new stream
	Reason   Reason  `json:"reason"`
	Lost     []Range `json:"lost,omitempty"` // acknowledged by own signed heads, absent from the stream
}

// Reason says how the epoch before a start ended.
type Reason string

// Closed list of Reason.
const (
	ReasonFirst Reason = "first" // there was none
	ReasonClean Reason = "clean" // with a stop event
	ReasonCrash Reason = "crash" // without
)

// Recorded is the common part of a register event.
type Recorded struct {
	Kind    string `json:"kind"` // case.opened, …
	Entries []Ref  `json:"entries"`
}

// Ref names an entry of a stream and binds its bytes.
type Ref struct {
	ID   ID          `json:"id"`
	Hash broker.Hash `json:"hash"`
}

// Range is a run of ids of one epoch, both ends included.
type Range struct {
	From ID `json:"from"`
	To   ID `json:"to"`
}

// ID is a journal.ID that is written as text, "epoch-seq".
type ID journal.ID

// String gives "epoch-seq".
func (i ID) String() string { return journal.ID(i).String() }

// MarshalText implements encoding.TextMarshaler.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *ID) UnmarshalText(text []byte) error {
	id, err := journal.ParseID(string(text))
	if err != nil || id.String() != string(text) {
		return errors.New("an id is epoch-seq")
	}
	*i = ID(id)
	return nil
}

// headerMax bounds the bytes of a header: keys, a 32-byte writer, four 20-digit numbers, a hash, a time and a kind.
const headerMax = 400

// Encode gives the event's bytes. It does not check them; Decode does.
func (e Event) Encode() []byte {
	tail := encodeTail(e.Common, e.Staff, e.Subjects)
	return append(e.appendHeader(make([]byte, 0, headerMax+len(tail))), tail...)
}

// appendHeader writes what only the batcher knows. The rest (encodeTail) is made by whoever asks for the append.
func (e Event) appendHeader(b []byte) []byte {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, Version, 10)
	b = append(b, `,"writer":"`...)
	b = append(b, e.Writer...) // a-z, 0-9 and '-': nothing to escape
	b = append(b, `","epoch":`...)
	b = strconv.AppendUint(b, e.ID.Epoch, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, e.ID.Seq, 10)
	b = append(b, `,"prev":"`...)
	b = hex.AppendEncode(b, e.Prev[:])
	b = append(b, `","time":"`...)
	b = e.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","position":`...)
	b = strconv.AppendUint(b, uint64(e.Position), 10)
	b = append(b, `,"kind":"`...)
	b = append(b, e.Kind...)
	return append(b, `",`...)
}

func encodeTail(common json.RawMessage, staff *keys.Part, subjects []keys.Part) []byte {
	size := len(common) + 32
	if staff != nil {
		size += partSize(*staff)
	}
	for _, p := range subjects {
		size += partSize(p)
	}
	b := append(make([]byte, 0, size), `"common":`...)
	b = append(b, common...)
	if staff != nil {
		b = appendPart(append(b, `,"staff":`...), *staff)
	}
	for i, p := range subjects {
		if i == 0 {
			b = append(b, `,"subjects":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendPart(b, p)
	}
	if len(subjects) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func partSize(p keys.Part) int { return 110 + (len(p.Ref)+len(p.Box))*4/3 }

func appendPart(b []byte, p keys.Part) []byte {
	b = append(b, `{"ref":"`...)
	b = base64.StdEncoding.AppendEncode(b, p.Ref)
	b = append(b, `","commit":"`...)
	b = hex.AppendEncode(b, p.Commit[:])
	b = append(b, `","box":"`...)
	b = base64.StdEncoding.AppendEncode(b, p.Box)
	return append(b, `"}`...)
}

// entry makes the journal entry of encoded bytes.
func entry(id journal.ID, data []byte) journal.Entry {
	return journal.Entry{ID: id, Hash: broker.Hash(sha256.Sum256(data)), Bytes: data}
}

// marshal encodes without escaping HTML, on one line.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
