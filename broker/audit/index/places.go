package index

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/keys"
)

// place is where an event stands.
type place struct {
	writer string
	id     journal.ID
}

// The data key and the context of places.
const (
	placesKey     = "index:places"
	placesContext = "index places"
)

// sealPlaces encrypts where the events of each entry stand, in the order of the entries: the folder alone must not tell which
// events are about the same person. It is a help to find them and proves nothing; what is found is held against the entry.
func (c Config) sealPlaces(ctx context.Context, got content) ([]byte, error) {
	names := map[string]bool{}
	for _, list := range got.places {
		for _, p := range list {
			names[p.writer] = true
		}
	}
	writers := slices.Sorted(maps.Keys(names))
	var b []byte
	add := func(n uint64) { b = binary.AppendUvarint(b, n) }
	add(uint64(len(writers)))
	for _, w := range writers {
		add(uint64(len(w)))
		b = append(b, w...)
	}
	for _, e := range got.tree.entries {
		list := got.places[e.key]
		add(uint64(len(list)))
		for _, p := range list {
			n, _ := slices.BinarySearch(writers, p.writer)
			add(uint64(n))
			add(p.id.Epoch)
			add(p.id.Seq)
		}
	}
	part, err := c.Vault.Seal(ctx, placesKey, placesContext, b)
	if err != nil {
		return nil, err
	}
	return json.Marshal(part)
}

var errPlaces = errors.New("where the events stand can't be read")

// placesOf gives where the events of some entries stand, by their numbers.
func (c Config) placesOf(ctx context.Context, d *day, of []int) ([]place, error) {
	data, err := d.readPlaces()
	if err != nil {
		return nil, err
	}
	var part keys.Part
	if json.Unmarshal(data, &part) != nil {
		return nil, errPlaces
	}
	b, key, err := c.Vault.Open(ctx, placesContext, part)
	if err != nil || key != placesKey {
		return nil, errors.Join(errPlaces, err)
	}
	next := func() (n uint64) {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err = errPlaces
			return 0
		}
		b = b[size:]
		return n
	}
	var writers []string
	for range next() {
		n := next()
		if err != nil || n > uint64(len(b)) {
			return nil, errPlaces
		}
		writers, b = append(writers, string(b[:n])), b[n:]
	}
	var out []place
	for i := 0; i <= slices.Max(of) && err == nil; i++ {
		for range next() {
			w, id := next(), journal.ID{Epoch: next(), Seq: next()}
			if err != nil || w >= uint64(len(writers)) {
				return nil, errPlaces
			}
			if slices.Contains(of, i) {
				out = append(out, place{writers[w], id})
			}
		}
	}
	return out, err
}
