package register

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"sync"

	"github.com/schakel/schakel/broker"
)

// index finds what Facts looks for.
type index struct {
	keys  *indexKeys
	first map[indexKey]uint32   // the slot of a person's open case (see shelf); no pointers, since there are millions
	more  map[indexKey][]uint32 // those of the few who are in more than one
	given map[pair][]string     // agreements that stand
}

// pair is a holder and who it agreed with.
type pair struct{ holder, recipient broker.OIN }

func newIndex(keys *indexKeys, persons int) *index {
	return &index{keys: keys, first: make(map[indexKey]uint32, persons), more: map[indexKey][]uint32{}, given: map[pair][]string{}}
}

func (x *index) open(c *caseFile) {
	if x == nil {
		return
	}
	members := make([]indexKey, len(c.members))
	for i, m := range c.members {
		members[i] = x.keys.ofSubject(m.reveal())
	}
	x.add(c.slot, members)
}

// add makes a case found by the keys of its members.
func (x *index) add(slot uint32, members []indexKey) {
	for _, k := range members {
		if _, taken := x.first[k]; taken {
			x.more[k] = append(x.more[k], slot)
		} else {
			x.first[k] = slot
		}
	}
}

func (x *index) close(c *caseFile) {
	if x == nil {
		return
	}
	for _, m := range c.members {
		k := x.keys.ofSubject(m.reveal())
		left := without(x.slots(k), c.slot)
		delete(x.first, k)
		delete(x.more, k)
		if len(left) > 0 {
			x.first[k] = left[0]
		}
		if len(left) > 1 {
			x.more[k] = left[1:]
		}
	}
}

// slots gives where a person's open cases are, in the order in which they were opened. It looks in both maps always: see
// lookedAt.
func (x *index) slots(k indexKey) []uint32 {
	slot, there := x.first[k]
	list := append(make([]uint32, 0, lookedAt), slot)
	list = append(list, x.more[k]...)
	if !there {
		return nil
	}
	return list
}

func (x *index) agree(a Agreement) {
	if x != nil {
		p := pair{a.Holder, a.Recipient}
		x.given[p] = append(x.given[p], a.ID)
	}
}

func (x *index) withdraw(a Agreement) {
	if x == nil {
		return
	}
	p := pair{a.Holder, a.Recipient}
	if x.given[p] = without(x.given[p], a.ID); len(x.given[p]) == 0 {
		delete(x.given, p)
	}
}

// without gives a new list: what was read before stays as it was.
func without[T comparable](list []T, gone T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool { return v == gone })
}

// indexKeys turns BSNs and the ids of cases into the keys by which they are found. Its own key is random and lives in this
// process only, so that no table by BSN exists, not even in memory.
type indexKeys struct{ macs sync.Pool } // of hash.Hash, each with the key

type indexKey [16]byte

func newIndexKeys() (*indexKeys, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("make keys of the index: %w", err)
	}
	return &indexKeys{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }}}, nil
}

func (x *indexKeys) ofSubject(b broker.BSN) indexKey  { return x.of('p', b.Reveal()) }
func (x *indexKeys) ofCase(id broker.CaseID) indexKey { return x.of('c', string(id)) }

func (x *indexKeys) of(kind byte, id string) indexKey {
	m := x.macs.Get().(hash.Hash)
	defer x.macs.Put(m)
	m.Reset()
	m.Write(append([]byte{kind}, id...))
	var sum [sha256.Size]byte
	return indexKey(m.Sum(sum[:0])[:16])
}

// recent remembers which of the last entries touched what.
type recent struct {
	size    int
	last    broker.Position // the newest entry
	touches [][]broker.Touch
	at      map[broker.Touch]broker.Position // the newest entry of these that touched it
}

func newRecent(size int) *recent {
	return &recent{size: size, at: map[broker.Touch]broker.Position{}}
}

func (r *recent) add(p broker.Position, touches []broker.Touch) {
	if len(r.touches) == r.size {
		oldest := r.last - broker.Position(r.size) + 1
		for _, t := range r.touches[0] {
			if r.at[t] == oldest {
				delete(r.at, t)
			}
		}
		r.touches = r.touches[1:]
	}
	r.last, r.touches = p, append(r.touches, touches)
	for _, t := range touches {
		r.at[t] = p
	}
}

// untouched tells whether no entry after p touched any of these. What is no longer remembered counts as touched.
func (r *recent) untouched(p broker.Position, touches []broker.Touch) bool {
	if p > r.last || r.last-p > broker.Position(len(r.touches)) || r.at[broker.TouchAll] > p {
		return false
	}
	return !slices.ContainsFunc(touches, func(t broker.Touch) bool { return r.at[t] > p })
}
