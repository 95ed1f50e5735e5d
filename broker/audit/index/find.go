package index

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// Mentions gives what the log has of the data subjects of want and may be named to them: what audit.Mentions gives of the whole
// log, in the same order, without what NotNamed tells. How much is read does not depend on what is left out.
//
// It reads what the sealed indexes say is about them, and whatever is not in one of those. An index that can't be relied on is
// passed over, and its events are read: so are those of a day with events that can't be read, since they may be about anybody.
//
// That somebody stands in no index of a day is proved up to a checkpoint; that the index is what the log says is found by Check,
// and by Keep a day later.
func Mentions(ctx context.Context, c Config, merkle *checkpoint.Log, want audit.MentionsConfig) ([]audit.Mention, error) {
	f := finder{Config: c, want: want}
	f.want.Store, f.want.KeyOf = c.Store, c.Ring.OpenRef
	days := f.days(ctx, merkle)
	rest := audit.MentionsConfig{}
	var before *Manifest
	for i := range days {
		if err := f.day(ctx, days[i], before); err != nil {
			return nil, err
		}
		before = &days[i]
		rest.After = days[i].between(nil).UpTo
	}
	if err := f.whole(ctx, rest); err != nil {
		return nil, err
	}
	slices.SortStableFunc(f.found, func(a, b audit.Mention) int {
		switch x, y := journal.ID(a.ID), journal.ID(b.ID); {
		case a.Writer != b.Writer:
			return cmp.Compare(a.Writer, b.Writer)
		case x.Less(y):
			return -1
		case y.Less(x):
			return 1
		}
		return 0
	})
	return f.named(ctx)
}

// named leaves out what is not named. What can't be read of an event stays unreadable, whomever the rest is about.
func (f *finder) named(ctx context.Context) (out []audit.Mention, err error) {
	for _, m := range f.found {
		hidden, err := f.hides(ctx, m)
		switch {
		case err != nil:
			return nil, err
		case hidden && !m.Damaged:
			continue
		case hidden:
			m.Pseudonyms = nil
		}
		out = append(out, m)
	}
	return out, nil
}

type finder struct {
	Config
	want  audit.MentionsConfig
	found []audit.Mention
}

// days gives the manifests of the indexes that are sealed, from the first on; none where they are not those of this log and this
// journal.
func (f *finder) days(ctx context.Context, merkle *checkpoint.Log) (out []Manifest) {
	if merkle == nil || f.want.Of == nil {
		return nil
	}
	last, _, err := sealed(ctx, f.Dir, merkle)
	if err != nil {
		return nil
	}
	var before *Manifest
	for seq := range last + 1 {
		m, err := readManifest(f.Dir, seq)
		if err != nil || m.Log != f.Log || m.follows(before, seq) != nil {
			return nil
		}
		out = append(out, m)
		before = &out[seq]
	}
	if f.anchored(ctx, *before) != nil {
		return nil
	}
	return out
}

// whole reads every event of a range.
func (f *finder) whole(ctx context.Context, of audit.MentionsConfig) error {
	w := f.want
	w.After, w.UpTo = of.After, of.UpTo
	for m, err := range audit.Mentions(ctx, w) {
		if err != nil {
			return err
		}
		f.found = append(f.found, m)
	}
	return nil
}

// day finds what one index covers.
func (f *finder) day(ctx context.Context, m Manifest, before *Manifest) error {
	if m.Unreadable == 0 {
		if got, err := f.indexed(ctx, m); err == nil {
			for _, e := range got {
				if !e.Time.Before(f.want.Since) && (f.want.Until.IsZero() || e.Time.Before(f.want.Until)) {
					f.found = append(f.found, e)
				}
			}
			return nil
		}
	}
	return f.whole(ctx, m.between(before))
}

var errElsewhere = errors.New("the events are not where the index says")

// indexed finds the events of a day by its index; whatever is not as it says is an error.
func (f *finder) indexed(ctx context.Context, m Manifest) (out []audit.Mention, err error) {
	d, err := openDay(f.Dir, m.Seq)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if d.manifest.Hash() != m.Hash() {
		return nil, errNoManifest
	}
	digests := map[string]broker.Hash{} // by pseudonym, of those that are here
	var at []int
	for _, k := range m.Keys {
		for _, pseudonym := range f.want.Of {
			if !strings.HasPrefix(pseudonym, k.Version+".") {
				continue
			}
			key := keyOf(m.Log, m.Seq, pseudonym)
			s, err := show(d.leaves, key)
			if err != nil {
				return nil, err
			}
			here, err := s.proved(m, key)
			if err != nil {
				return nil, err
			}
			if here {
				digests[pseudonym], at = s.Here.Digest, append(at, int(s.Here.Index))
			}
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	places, err := f.placesOf(ctx, d, at)
	if err != nil {
		return nil, err
	}
	if out, err = f.at(ctx, places); err != nil {
		return nil, err
	}
	for pseudonym, digest := range digests {
		var events []broker.Hash
		for _, e := range out {
			if slices.Contains(e.Pseudonyms, pseudonym) {
				events = append(events, e.Hash)
			}
		}
		if newEntry(m.Log, m.Seq, pseudonym, events).digest != digest {
			return nil, errElsewhere
		}
	}
	return out, nil
}

// at reads the events of some places, each once.
func (f *finder) at(ctx context.Context, places []place) (out []audit.Mention, err error) {
	read := map[place]bool{}
	for _, p := range places {
		if read[p] {
			continue
		}
		read[p] = true
		one := audit.MentionsConfig{Store: f.want.Store, KeyOf: f.want.KeyOf, Of: f.want.Of,
			After: map[string]journal.ID{p.writer: p.id.Before()}, UpTo: map[string]journal.ID{p.writer: p.id}}
		for e, err := range audit.Mentions(ctx, one) {
			if err != nil || e.Damaged {
				return nil, errors.Join(errElsewhere, err)
			}
			out = append(out, e)
		}
	}
	return out, nil
}
