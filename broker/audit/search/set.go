package search

import (
	"encoding/binary"
	"math/bits"
)

// block is how many events one set is about.
const block = 1 << 16

// set is a set of events of one block, by their place in it.
type set [block / 64]uint64

// full is the size of a set that is stored bit by bit. Smaller ones are lists of places, two bytes each, rising.
const full = block / 8

func (s *set) add(place uint16) { s[place/64] |= 1 << (place % 64) }

func (s *set) fill(n int) {
	for i := range s {
		switch {
		case n >= 64*(i+1):
			s[i] = ^uint64(0)
		case n > 64*i:
			s[i] = 1<<(n-64*i) - 1
		default:
			s[i] = 0
		}
	}
}

func (s *set) and(t *set) {
	for i := range s {
		s[i] &= t[i]
	}
}

func (s *set) andNot(t *set) {
	for i := range s {
		s[i] &^= t[i]
	}
}

func (s *set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// down gives the places from the highest to the lowest, until yield has enough.
func (s *set) down(yield func(place int) bool) {
	for i := len(s) - 1; i >= 0; i-- {
		for w := s[i]; w != 0; {
			top := 63 - bits.LeadingZeros64(w)
			if !yield(64*i + top) {
				return
			}
			w &^= 1 << top
		}
	}
}

// unpack reads a stored set.
func (s *set) unpack(b []byte) {
	if len(b) == full {
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		return
	}
	*s = set{}
	for ; len(b) >= 2; b = b[2:] {
		s.add(binary.LittleEndian.Uint16(b))
	}
}

// pack stores a set in the smaller of the two forms.
func (s *set) pack() []byte {
	n := s.count()
	if 2*n >= full {
		out := make([]byte, 0, full)
		for _, w := range s {
			out = binary.LittleEndian.AppendUint64(out, w)
		}
		return out
	}
	out := make([]byte, 0, 2*n)
	for i, w := range s {
		for w != 0 {
			low := bits.TrailingZeros64(w)
			out = binary.LittleEndian.AppendUint16(out, uint16(64*i+low))
			w &= w - 1
		}
	}
	return out
}

// packList stores a rising list of places.
func packList(places []uint16) []byte {
	if 2*len(places) >= full {
		var s set
		for _, p := range places {
			s.add(p)
		}
		return s.pack()
	}
	out := make([]byte, 0, 2*len(places))
	for _, p := range places {
		out = binary.LittleEndian.AppendUint16(out, p)
	}
	return out
}
