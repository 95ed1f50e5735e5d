package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

// maxLine is the length of a line, in bytes: a case of 50 persons and 50 holders fits.
const maxLine = 128 << 10

// line is one line of an import.
type line struct {
	number  int   // from 1
	start   int64 // byte of the file at which the first line that was not skipped begins
	end     int64 // byte of the file after it
	command register.Command
	err     error // why it is none; number is 0 where the file can't be read
}

// readLines reads lines ahead, until they end or ctx does. Empty ones are counted and left out.
func readLines(ctx context.Context, in io.Reader, skip int) <-chan line {
	out := make(chan line, importBatch)
	send := func(l line) bool {
		select {
		case out <- l:
			return l.err == nil
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		var l line
		for s.Scan() {
			l.number++
			l.end += int64(len(s.Bytes())) + 1
			if l.number <= skip {
				l.start = l.end
				continue
			}
			if len(bytes.TrimSpace(s.Bytes())) == 0 {
				continue
			}
			if l.command, l.err = parseChange(s.Bytes()); !send(l) {
				return
			}
		}
		switch err := s.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			send(line{number: l.number + 1, err: fmt.Errorf("it is longer than %d KB; one change is one line", maxLine>>10)})
		case err != nil:
			send(line{err: fmt.Errorf("read lines: %w", err)})
		case l.number < skip:
			send(line{err: fmt.Errorf("there are only %d lines to --skip", l.number)})
		}
	}()
	return out
}

// changeKind is a kind of change that can be imported.
type changeKind struct {
	name string
	read func([]byte) (register.Command, error)
}

// changeKinds lists them: what there is much of. Agencies are few, and have a command that leaves what is known of one;
// suspensions, emergencies and policies are acts of their own.
func changeKinds() []changeKind {
	return []changeKind{
		{"case.opened", readChange[register.OpenCase]},
		{"case.assigned", readChange[register.Assign]},
		{"case.unassigned", readChange[register.Unassign]},
		{"case.closed", readChange[register.CloseCase]},
		{"team.set", readChange[register.SetTeam]},
		{"agreement.added", readChange[register.AddAgreement]},
		{"agreement.withdrawn", readChange[register.WithdrawAgreement]},
		{"consent.given", readChange[register.GiveConsent]},
		{"consent.withdrawn", readChange[register.WithdrawConsent]},
	}
}

func importKinds() (names []string) {
	for _, k := range changeKinds() {
		names = append(names, k.name)
	}
	return names
}

// parseChange reads one line strictly. Its errors never repeat the line, which may be about persons.
func parseChange(data []byte) (register.Command, error) {
	if _, err := broker.ParseObject(data); err != nil {
		return nil, err
	}
	var head struct {
		Kind string          `json:"kind"`
		Body json.RawMessage `json:"body"`
	}
	if err := decodeStrict(data, &head); err != nil {
		return nil, err
	}
	for _, k := range changeKinds() {
		if k.name == head.Kind {
			if len(head.Body) == 0 || head.Body[0] != '{' {
				return nil, errors.New("its body is the change, a JSON object")
			}
			return k.read(head.Body)
		}
	}
	return nil, fmt.Errorf("its kind is none of %s", strings.Join(importKinds(), ", "))
}

func readChange[T register.Command](data []byte) (register.Command, error) {
	var c T
	if err := decodeStrict(data, &c); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return c, nil
}

// decodeStrict reads an object that has no keys but those of v.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong): // its text may repeat the value
		return fmt.Errorf("%s has the wrong type: it must be of kind %s", wrong.Field, wrong.Type.Kind())
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field"): // which has no type of its own
		return errors.New("it has a key that does not belong there; `schakel register import --help` shows an example")
	}
	return err // of a date, say; those don't repeat what they are about
}
