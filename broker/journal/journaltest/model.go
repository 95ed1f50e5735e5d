package journaltest

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

// model is the contract of Append, as plainly as it can be written.
type model struct {
	streams map[journal.Stream][]journal.Entry
}

func (m *model) head(s journal.Stream) journal.Head {
	if entries := m.streams[s]; len(entries) > 0 {
		return headOf(entries[len(entries)-1])
	}
	return journal.Head{}
}

func (m *model) append(b journal.Batch) journal.Outcome {
	mine, register := journal.Audit(b.Writer), m.streams[journal.Register]
	holds := true
	for _, e := range b.Register {
		holds = holds && slices.ContainsFunc(register, func(r journal.Entry) bool { return headOf(r) == headOf(e) })
	}
	if m.head(mine) == last(b) && holds {
		return journal.Already
	}
	if m.head(mine) != b.After || int(b.Position) > len(register) {
		return journal.Fenced
	}
	if len(b.Register) > 0 && m.head(journal.Register) != b.RegisterAfter {
		return journal.Moved
	}
	for _, r := range register[b.Position:] {
		for _, t := range r.Touches {
			if t == broker.TouchAll || slices.Contains(b.Touches, t) {
				return journal.Stale
			}
		}
	}
	m.streams[mine] = append(m.streams[mine], b.Events...)
	m.streams[journal.Register] = append(register, b.Register...)
	return journal.Appended
}

// testModel appends at random, as right and wrong writers would, and compares every outcome and the end with the model.
func testModel(t *testing.T, b Backend) {
	seen := map[journal.Outcome]int{}
	rapid.Check(t, func(rt *rapid.T) {
		s := fresh(t, b)
		defer func() { _ = s.Close() }()
		m := &model{map[journal.Stream][]journal.Entry{journal.Register: {genesis}}}
		var sent []journal.Batch
		for step := range rapid.IntRange(1, 15).Draw(rt, "steps") {
			var next journal.Batch
			if len(sent) > 0 && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
				next = rapid.SampledFrom(sent).Draw(rt, "earlier")
			} else {
				next = draw(rt, m, step)
			}
			sent = append(sent, next)
			got, err := s.Append(t.Context(), next)
			if want := m.append(next); err != nil || got != want {
				rt.Fatalf("step %d: %q, %v; want %q", step, got, err, want)
			}
			seen[got]++
		}
		for stream, entries := range m.streams {
			if h, err := s.Head(t.Context(), stream); err != nil || h != m.head(stream) {
				rt.Fatalf("head of %s: %v, %v; want %v", stream, h, err, m.head(stream))
			}
			if got, err := s.Read(t.Context(), stream, journal.ID{}, 1000); err != nil || !slices.EqualFunc(got, entries, equal) {
				rt.Fatalf("%s holds %s, %v; want %s", stream, brief(got), err, brief(entries))
			}
			wantGapless(t, entries)
		}
	})
	for _, o := range []journal.Outcome{journal.Already, journal.Fenced, journal.Moved, journal.Stale, journal.Appended} {
		if seen[o] == 0 && !t.Failed() {
			t.Errorf("no batch was %s: the property says nothing about it", o)
		}
	}
}

// draw makes a batch that is mostly right.
func draw(rt *rapid.T, m *model, step int) journal.Batch {
	writer := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "writer")
	touch := rapid.SampledFrom([]broker.Touch{"x", "y", "z", broker.TouchAll})
	register := m.streams[journal.Register]
	n := journal.Batch{
		Writer:   writer,
		After:    someHead(rt, m.streams[journal.Audit(writer)], "after"),
		Position: broker.Position(len(register) - min(len(register), rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(rt, "behind"))),
		Touches:  rapid.SliceOfN(touch, 0, 2).Draw(rt, "rests on"),
	}
	id := next(n.After.ID)
	if n.After.ID.Epoch > 0 && rapid.IntRange(0, 4).Draw(rt, "claim") == 0 {
		id = journal.ID{Epoch: n.After.ID.Epoch + 1}
	}
	for range rapid.IntRange(1, 3).Draw(rt, "events") {
		n.Events = append(n.Events, Entry(id, fmt.Appendf(nil, "event %d", step)))
		id.Seq++
	}
	if changes := rapid.SampledFrom([]int{0, 1, 2}).Draw(rt, "changes"); changes > 0 {
		n.RegisterAfter = someHead(rt, register, "register after")
		id := next(n.RegisterAfter.ID)
		for range changes {
			n.Register = append(n.Register, Entry(id, fmt.Appendf(nil, "change %d", step), rapid.SliceOfN(touch, 0, 2).Draw(rt, "touches")...))
			id.Seq++
		}
	}
	return n
}

// someHead gives the head of a stream, or now and then an earlier one.
func someHead(rt *rapid.T, entries []journal.Entry, label string) journal.Head {
	back := min(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}).Draw(rt, label), len(entries))
	if back == len(entries) {
		return journal.Head{}
	}
	return headOf(entries[len(entries)-1-back])
}

func wantGapless(t *testing.T, entries []journal.Entry) {
	t.Helper()
	var before journal.ID
	for _, e := range entries {
		if !e.ID.Follows(before) {
			t.Fatalf("%s stands after %s", e.ID, before)
		}
		before = e.ID
	}
}
