package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// Decode reads the bytes of an event strictly: they must be the very bytes Encode makes, so that one event has one
// encoding and no unknown, doubled or reordered key can hide in it. Its errors never repeat the input. The event's
// common part is a part of data.
func Decode(data []byte) (Event, error) { return decode(data, true) }

// decode reads an event, and its encrypted parts only where parts is set; they are checked either way.
func decode(data []byte, parts bool) (Event, error) {
	e, ok := parse(data, parts)
	if !ok {
		return Event{}, errors.New("decode event: " + whatIsWrong(data))
	}
	return e, nil
}

// parse reads from front to back what Encode writes, and takes nothing else. Every byte is judged by what must stand
// there, so that nothing has to be written again to be compared.
func parse(data []byte, parts bool) (e Event, ok bool) {
	p := parser{data}
	var version uint64
	var writer, kind []byte
	ok = p.literal(`{"v":`) && p.number(&version) && version == Version &&
		p.literal(`,"writer":`) && p.word(&writer) &&
		p.literal(`,"epoch":`) && p.number(&e.ID.Epoch) &&
		p.literal(`,"seq":`) && p.number(&e.ID.Seq) &&
		p.literal(`,"prev":`) && p.hash(&e.Prev) &&
		p.literal(`,"time":`) && p.time(&e.Time) &&
		p.literal(`,"position":`) && p.number((*uint64)(&e.Position)) &&
		p.literal(`,"kind":`) && p.word(&kind) &&
		p.literal(`,"common":`) && p.object((*[]byte)(&e.Common)) &&
		(!p.literal(`,"staff":`) || p.staff(&e, parts)) &&
		(!p.literal(`,"subjects":[`) || p.subjects(&e, parts)) &&
		p.literal(`}`) && len(p.rest) == 0
	if !ok {
		return Event{}, false
	}
	e.Writer, e.Kind = string(writer), Kind(kind)
	return e, headerFault(e) == ""
}

func (p *parser) staff(e *Event, open bool) bool {
	part, ok := p.part(open)
	if open {
		e.Staff = &part
	}
	return ok
}

func (p *parser) subjects(e *Event, open bool) bool {
	for {
		part, ok := p.part(open)
		if !ok {
			return false
		}
		if open {
			e.Subjects = append(e.Subjects, part)
		}
		if !p.literal(`,`) {
			return p.literal(`]`)
		}
	}
}

func (p *parser) part(open bool) (out keys.Part, ok bool) {
	ok = p.literal(`{"ref":`) && p.base64(&out.Ref, open) &&
		p.literal(`,"commit":`) && p.hash(&out.Commit) &&
		p.literal(`,"box":`) && p.base64(&out.Box, open) &&
		p.literal(`}`)
	return out, ok
}

// headerFault tells what is wrong with a header that could be read.
func headerFault(e Event) string {
	switch {
	case !journal.ValidWriter(e.Writer):
		return "invalid writer name"
	case e.Kind != KindStart && e.Kind != KindStop && e.Kind != KindDisclosure && e.Kind != KindRegister &&
		e.Kind != KindView:
		return "unknown kind"
	case (e.Kind == KindStart) != (e.ID.Seq == 0):
		return "an epoch starts with a start event at seq 0, and only there"
	}
	return ""
}

// whatIsWrong tells what is wrong with bytes that parse did not take, by reading them as any JSON.
func whatIsWrong(data []byte) string {
	var w struct {
		V        int             `json:"v"`
		Writer   string          `json:"writer"`
		Epoch    uint64          `json:"epoch"`
		Seq      uint64          `json:"seq"`
		Prev     broker.Hash     `json:"prev"`
		Time     time.Time       `json:"time"`
		Position broker.Position `json:"position"`
		Kind     Kind            `json:"kind"`
		Common   json.RawMessage `json:"common"`
		Staff    *keys.Part      `json:"staff"`
		Subjects []keys.Part     `json:"subjects"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return "not an event's JSON"
	}
	if w.V != Version {
		return "unknown version; a newer schakel wrote it"
	}
	if what := headerFault(Event{Writer: w.Writer, ID: journal.ID{Epoch: w.Epoch, Seq: w.Seq}, Kind: w.Kind}); what != "" {
		return what
	}
	var compact bytes.Buffer
	switch {
	case len(w.Common) == 0 || w.Common[0] != '{':
		return "no common part"
	case !utf8.Valid(w.Common):
		return "not UTF-8"
	case json.Compact(&compact, w.Common) != nil || !bytes.Equal(compact.Bytes(), w.Common):
		return "common part not in canonical form"
	}
	return "not in canonical form"
}
