package workbench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/schakel/schakel/broker"
)

// gathering is what is remembered of the requests that were read: the different ones, and how often each came.
type gathering struct {
	requests int
	damaged  NotReplayed
	queries  []*againDecided
	shapes   []*shape

	byQuery  map[string]int // in queries
	byRuling map[recordedRuling]uint32
	rulings  []recordedRuling
	byShape  map[string]int // in shapes
	words    numbers        // decisions and revisions, as they were recorded
	agencies numbers
	cases    numbers

	key, one []byte // scratch
	ones     [][]byte
}

// recordedRuling is a query with the decision that was recorded and what decided it.
type recordedRuling struct {
	query              int
	decision, revision uint32 // in words
}

// shape is all requests that are equal but for who asked, when and about whom.
type shape struct {
	subjects        []shapeSubject
	requests        int
	closed          int      // of which agency and case are not known
	agencies, cases []uint32 // known ones; with repeats
	event           string   // of the first
}

type shapeSubject struct {
	rulings []uint32
	lookup  bool
}

// numbers gives each different text a number, from 0.
type numbers map[string]uint32

func (n numbers) of(text []byte) uint32 {
	i, ok := n[string(text)]
	if !ok {
		i = uint32(len(n))
		n[string(text)] = i
	}
	return i
}

func newGathering() *gathering {
	return &gathering{byQuery: map[string]int{}, byRuling: map[recordedRuling]uint32{}, byShape: map[string]int{},
		words: numbers{}, agencies: numbers{}, cases: numbers{}}
}

// add counts one request in. The order of its subjects says nothing: persons are numbered anew in each answer.
func (g *gathering) add(r Recorded) {
	g.requests++
	if r.Damaged {
		g.damaged.add(1, r.Event)
		return
	}
	g.ones = g.ones[:0]
	g.one = g.one[:0]
	for _, s := range r.Subjects {
		from := len(g.one)
		g.one = append(g.one, 'a')
		if s.Lookup {
			g.one[from] = 'l'
		}
		for _, n := range s.Queries {
			g.one = binary.BigEndian.AppendUint32(g.one, g.ruling(r.Queries[n], r.Decisions[n], r.Revisions[n]))
		}
		g.ones = append(g.ones, g.one[from:])
	}
	slices.SortFunc(g.ones, bytes.Compare)
	g.key = g.key[:0]
	for _, one := range g.ones {
		g.key = binary.BigEndian.AppendUint32(g.key, uint32(len(one)))
		g.key = append(g.key, one...)
	}
	n, ok := g.byShape[string(g.key)]
	if !ok {
		n = len(g.shapes)
		g.byShape[string(g.key)] = n
		s := &shape{event: r.Event}
		for _, one := range g.ones {
			sub := shapeSubject{lookup: one[0] == 'l'}
			for one = one[1:]; len(one) > 0; one = one[4:] {
				sub.rulings = append(sub.rulings, binary.BigEndian.Uint32(one))
			}
			s.subjects = append(s.subjects, sub)
		}
		g.shapes = append(g.shapes, s)
	}
	s := g.shapes[n]
	s.requests++
	if r.Closed {
		s.closed++
		return
	}
	if r.Agency != "" {
		s.agencies = append(s.agencies, g.agencies.of([]byte(r.Agency)))
	}
	if r.Case != "" {
		s.cases = append(s.cases, g.cases.of([]byte(r.Case)))
	}
}

func (g *gathering) ruling(query, decision json.RawMessage, revision broker.Revision) uint32 {
	n, ok := g.byQuery[string(query)]
	if !ok {
		n = len(g.queries)
		q := &againDecided{bytes: string(query)}
		g.byQuery[q.bytes] = n
		g.queries = append(g.queries, q)
	}
	r := recordedRuling{n, g.words.of(decision), g.words.of([]byte(revision))}
	i, ok := g.byRuling[r]
	if !ok {
		i = uint32(len(g.rulings))
		g.byRuling[r] = i
		g.rulings = append(g.rulings, r)
	}
	return i
}
