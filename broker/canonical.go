package broker

import (
	"maps"
	"slices"
	"strconv"
)

// The canonical bytes of queries and decisions are written by hand: they are made for every decision, and encoding/json
// takes ten times as long over them. They are what encoding/json would write (a property holds the two together).

// Bytes gives the canonical JSON: keys in the order of the struct, sets sorted. Equal queries have equal bytes.
func (q Query) Bytes() []byte {
	q = q.Canonical()
	w := make(writer, 0, 512)
	w.raw(`{"v":`)
	w = strconv.AppendInt(w, int64(q.V), 10)
	w.raw(`,"agency":{"kind":`)
	w.text(string(q.Agency.Kind))
	texts(&w, `,"mandates":`, q.Agency.Mandates)
	w.raw(`},"role":`)
	w.text(string(q.Role))
	w.raw(`,"purpose":`)
	w.text(string(q.Purpose))
	w.raw(`,"relation":{"case":`)
	w.text(string(q.Relation.Case))
	w.flag(`,"coordinator":`, q.Relation.Coordinator)
	w.flag(`,"signal":`, q.Relation.Signal)
	w.flag(`,"claim":`, q.Relation.Claim)
	w.raw(`,"municipality":`)
	w.text(string(q.Relation.Municipality))
	w.raw(`},"subject":{"kind":`)
	w.text(string(q.Subject.Kind))
	w.raw(`,"age":`)
	w.text(string(q.Subject.Age))
	w.flag(`,"disclosure_restricted":`, q.Subject.DisclosureRestricted)
	texts(&w, `,"consent":`, q.Subject.Consent)
	texts(&w, `,"release":`, q.Subject.Release)
	texts(&w, `},"agreements":`, q.Agreements)
	w.flag(`,"emergency":{"active":`, q.Emergency.Active)
	texts(&w, `,"domains":`, q.Emergency.Domains)
	texts(&w, `},"fields":`, q.Fields)
	w.raw(`}`)
	return w
}

// Bytes gives the canonical JSON: keys sorted, lists sorted. Invariant 4 is about these bytes.
func (d Decision) Bytes() []byte {
	d = d.Canonical()
	w := make(writer, 0, 512)
	w.raw(`{"grants":{`)
	for i, f := range sorted(d.Grants) {
		w.next(i)
		w.text(string(f))
		w.raw(`:{"form":`)
		w.text(string(d.Grants[f].Form))
		w.raw(`,"basis":`)
		w.text(string(d.Grants[f].Basis))
		w.raw(`}`)
	}
	w.raw(`},"refusals":{`)
	for i, f := range sorted(d.Refusals) {
		w.next(i)
		w.text(string(f))
		texts(&w, `:`, d.Refusals[f])
	}
	texts(&w, `},"obligations":`, d.Obligations)
	w.raw(`}`)
	return w
}

func sorted[V any](m map[Field]V) []Field {
	out := make([]Field, 0, len(m))
	out = slices.AppendSeq(out, maps.Keys(m))
	slices.Sort(out)
	return out
}

// writer gathers JSON.
type writer []byte

func (w *writer) raw(s string) { *w = append(*w, s...) }

func (w *writer) next(i int) {
	if i > 0 {
		w.raw(`,`)
	}
}

func (w *writer) flag(key string, v bool) {
	w.raw(key)
	*w = strconv.AppendBool(*w, v)
}

// text writes a string. The words of the closed lists are plain; anything else is left to encoding/json.
func (w *writer) text(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			*w = append(*w, mustJSON(s)...)
			return
		}
	}
	w.raw(`"`)
	w.raw(s)
	w.raw(`"`)
}

func texts[T ~string](w *writer, key string, list []T) {
	w.raw(key)
	w.raw(`[`)
	for i, s := range list {
		w.next(i)
		w.text(string(s))
	}
	w.raw(`]`)
}
