package register

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// formatVersion is the version of stored entries that this code writes and reads.
const formatVersion = 1

const kindGenesis = "genesis"

// stored is an entry as it is written. One of Body and Part is set: what is about persons or staff is encrypted.
type stored struct {
	V       int             `json:"v"`
	Seq     uint64          `json:"seq"`
	Prev    broker.Hash     `json:"prev"`
	Time    time.Time       `json:"time"`
	Kind    string          `json:"kind"`
	Touches []broker.Touch  `json:"touches"`
	Body    json.RawMessage `json:"body,omitempty"`
	Part    *keys.Part      `json:"part,omitempty"`
}

// genesis is the body of the first entry.
type genesis struct {
	Log   string `json:"log"`
	Shard string `json:"shard"`
}

// Genesis makes the first entry of a register, for journal.Store.Init, and the random id of the new log.
func Genesis(shard string, now time.Time) (journal.Entry, string, error) {
	if shard == "" || len(shard) > 64 {
		return journal.Entry{}, "", errors.New("make genesis: the shard needs a name of 1 to 64 characters, such as a municipality's")
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return journal.Entry{}, "", fmt.Errorf("make genesis: %w", err)
	}
	g := genesis{Log: hex.EncodeToString(id[:]), Shard: shard}
	body, err := encode(g)
	if err != nil {
		return journal.Entry{}, "", fmt.Errorf("make genesis: %w", err)
	}
	e, err := chain(journal.Head{}, stored{Time: now, Kind: kindGenesis, Body: body})
	return e, g.Log, err
}

// LogOf gives the id of the log that a genesis began.
func LogOf(e journal.Entry) (string, error) {
	log, _, err := OriginOf(e)
	return log, err
}

// OriginOf gives the id of the log that a genesis began, and its shard.
func OriginOf(e journal.Entry) (log, shard string, err error) {
	s, err := readEntry(e)
	var g genesis
	if err == nil && s.Kind != kindGenesis {
		err = errors.New("it is no genesis")
	}
	if err == nil {
		g, err = decode[genesis](s.Body)
	}
	if err != nil {
		return "", "", fmt.Errorf("read genesis: %w", err)
	}
	return g.Log, g.Shard, nil
}

// chain makes s the entry that stands right after a head.
func chain(after journal.Head, s stored) (journal.Entry, error) {
	id := journal.ID{Epoch: 1}
	if after.ID != (journal.ID{}) {
		id.Seq = after.ID.Seq + 1
	}
	s.V, s.Seq, s.Prev, s.Time = formatVersion, id.Seq, after.Hash, s.Time.UTC().Truncate(time.Millisecond)
	if s.Touches == nil {
		s.Touches = []broker.Touch{}
	}
	data, err := encode(s)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("encode entry: %w", err)
	}
	return journal.Entry{ID: id, Hash: sha256.Sum256(data), Touches: s.Touches, Bytes: data}, nil
}

// readEntry reads an entry by itself, and checks everything that does not depend on the one before it.
func readEntry(e journal.Entry) (stored, error) {
	s, ok := quickly(e.Bytes)
	var err error
	if !ok {
		s, err = decodeStored(e.Bytes)
	}
	switch {
	case err != nil:
		return stored{}, err
	case e.ID.Epoch != 1 || s.Seq != e.ID.Seq:
		return stored{}, fmt.Errorf("it says it is number %d", s.Seq)
	case broker.Hash(sha256.Sum256(e.Bytes)) != e.Hash:
		return stored{}, errors.New("its hash is not that of its bytes")
	case !slices.Equal(s.Touches, e.Touches):
		return stored{}, errors.New("its touches differ from those it is stored with")
	case (s.Seq == 0) != (s.Kind == kindGenesis):
		return stored{}, errors.New("the genesis stands first and only there")
	}
	return s, nil
}

// decodeStored reads one entry. An entry has exactly one form: whatever would not be written so is refused, double and
// unknown keys with it.
func decodeStored(data []byte) (stored, error) {
	s, err := decode[stored](data)
	switch {
	case err != nil:
		return stored{}, err
	case s.V != formatVersion:
		return stored{}, fmt.Errorf("it has format %d and this version of Schakel reads %d: use the version that wrote it", s.V, formatVersion)
	case (s.Body == nil) == (s.Part == nil):
		return stored{}, errors.New("it must have either a body or a part")
	}
	again, err := encode(s)
	if err != nil || !bytes.Equal(again, data) {
		return stored{}, errors.New("it is not in the form entries are written in")
	}
	return s, nil
}

// encode gives compact JSON, without the escapes meant for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads one JSON value of type T and nothing after it. Its errors never repeat the input, which may be about
// persons.
func decode[T any](data []byte) (T, error) {
	var v, none T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return none, fmt.Errorf("not a %T near byte %d", v, d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return none, fmt.Errorf("text after the %T", v)
	}
	return v, nil
}
