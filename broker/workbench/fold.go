package workbench

import (
	"math/bits"
	"slices"
)

// merge joins boxes that differ in one dimension only, until none do. The boxes must not overlap; together they stay
// what they were.
func merge(boxes []box) []box {
	boxes = slices.Clone(boxes)
	for again := true; again; {
		again = false
		for i := 0; i < len(boxes); i++ {
			for j := len(boxes) - 1; j > i; j-- {
				if dim, ok := apart(boxes[i], boxes[j]); ok {
					boxes[i] = boxes[i].with(dim, boxes[i][dim]|boxes[j][dim])
					boxes = slices.Delete(boxes, j, j+1)
					again = true
				}
			}
		}
	}
	return boxes
}

// apart gives the one dimension in which two boxes differ.
func apart(a, b box) (int, bool) {
	dim := -1
	for i := range a {
		if a[i] != b[i] {
			if dim >= 0 {
				return 0, false
			}
			dim = i
		}
	}
	return max(dim, 0), true
}

// covered tells whether every query of b is in one of the boxes.
func covered(b box, by []box) bool {
	for i, c := range by {
		if _, ok := b.meet(c); !ok {
			continue
		}
		rest := slices.Clone(b)
		for dim := range b {
			if out := rest[dim] &^ c[dim]; out != 0 {
				if !covered(rest.with(dim, out), by[i+1:]) {
					return false
				}
				rest[dim] &= c[dim]
			}
		}
		return true
	}
	return false
}

// simplify says the same as boxes with as few and as short conditions as it finds. What lies in free may be taken in
// or left out: it is decided before.
func simplify(s *space, boxes, free []box) []box {
	within := slices.Concat(boxes, free)
	all := s.all()
	out := make([]box, 0, len(boxes))
	for _, b := range boxes {
		for dim := len(b) - 1; dim >= 0; dim-- {
			if b[dim] == all[dim] {
				continue
			}
			if wide := b.with(dim, all[dim]); covered(wide, within) {
				b = wide
				continue
			}
			for rest := all[dim] &^ b[dim]; rest != 0; rest &= rest - 1 {
				if wide := b.with(dim, b[dim]|rest&-rest); covered(wide, within) {
					b = wide
				}
			}
		}
		out = append(out, b)
	}
	slices.SortFunc(out, slices.Compare)
	out = slices.CompactFunc(out, slices.Equal)
	for i := len(out) - 1; i >= 0; i-- { // what others and free say already
		others := slices.Concat(out[:i], out[i+1:])
		needed := slices.ContainsFunc(boxes, func(b box) bool {
			m, ok := b.meet(out[i])
			return ok && !covered(m, others)
		})
		if !needed {
			out = slices.Delete(out, i, i+1)
		}
	}
	slices.SortStableFunc(out, func(a, b box) int { return a.conditions(all) - b.conditions(all) })
	return out
}

// conditions counts the dimensions in which a box is not everything.
func (b box) conditions(all box) int {
	n := 0
	for dim := range b {
		if b[dim] != all[dim] {
			n++
		}
	}
	return n
}

// words gives the values of one dimension of a box.
func (s *space) words(b box, dim int) []string {
	var out []string
	for rest := b[dim]; rest != 0; rest &= rest - 1 {
		out = append(out, s.dims[dim].values[bits.TrailingZeros64(rest)])
	}
	return out
}
