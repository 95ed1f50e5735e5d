package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/schakel/schakel/broker/journal"
)

// Store is a journal of which older events stand in a folder: it reads both as one. What the journal itself still has comes
// from there, whatever the folder holds.
type Store struct {
	journal.Store // the events that were not moved

	folder *Folder
	loose  bool

	mu    sync.Mutex
	upTo  map[journal.Stream]journal.ID // moved, as far as is known; the zero ID where nothing is
	index map[string][]place            // of each writer, by first, as listed
}

var _ journal.Store = (*Store)(nil)

// NewStore puts a folder before a journal. Where the journal says that events were moved and the folder does not have them,
// reading fails and says so.
func NewStore(store journal.Store, folder *Folder) *Store {
	return &Store{Store: store, folder: folder, upTo: map[journal.Stream]journal.ID{}}
}

// Folder gives the folder.
func (s *Store) Folder() *Folder { return s.folder }

// Loose gives the same journal for somebody who names what is missing: reading passes over what can't be read.
func (s *Store) Loose() *Store {
	loose := NewStore(s.Store, s.folder)
	loose.loose = true
	return loose
}

// ErrMissing tells that events were moved to the archive, and that it does not have them as they were.
var ErrMissing = errors.New("events were moved to the archive and can't be read there")

// Read implements journal.Store.
func (s *Store) Read(ctx context.Context, stream journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	writer, is := strings.CutPrefix(string(stream), "audit:")
	if !is || limit <= 0 {
		return s.Store.Read(ctx, stream, after, limit)
	}
	var out []journal.Entry
	for len(out) < limit {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		upTo := s.moved(stream)
		if !after.Less(upTo) {
			page, err := s.Store.Read(ctx, stream, after, limit-len(out))
			// The next seq: there is nothing between. The first of an epoch tells nothing, for others of the epoch before may
			// have stood between.
			if err != nil {
				return nil, err
			}
			if len(page) > 0 && page[0].ID.Epoch == after.Epoch && page[0].ID.Follows(after) {
				return append(out, page...), nil
			}
			head, err := s.Trimmed(ctx, stream)
			if err != nil {
				return nil, err
			}
			if !after.Less(head.ID) {
				return append(out, page...), nil
			}
			upTo = head.ID
			s.mu.Lock()
			s.upTo[stream] = upTo
			s.mu.Unlock()
		}
		page, err := s.archived(writer, after, upTo, limit-len(out))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		if len(page) == 0 { // loose, and nothing more that can be read
			after = upTo
			continue
		}
		out, after = append(out, page...), page[len(page)-1].ID
	}
	return out, nil
}

func (s *Store) moved(stream journal.Stream) journal.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upTo[stream]
}

// archived gives events of one segment after an id, none of them beyond upTo; nothing where there are no more that can be read.
func (s *Store) archived(writer string, after, upTo journal.ID, limit int) ([]journal.Entry, error) {
	places, err := s.places(writer, upTo)
	if err != nil {
		return nil, err
	}
	i, _ := slices.BinarySearchFunc(places, after, func(p place, id journal.ID) int {
		if id.Less(p.last) {
			return 1
		}
		return -1
	})
	for ; i < len(places); i++ {
		seg := s.folder.segment(places[i])
		switch {
		case s.loose:
		case seg.err != nil:
			return nil, fmt.Errorf("%w: %w", ErrMissing, seg.err)
		case after.Less(seg.Before.ID):
			return nil, s.missing(seg.Before.ID)
		}
		var out []journal.Entry
		for _, e := range seg.entries {
			if after.Less(e.ID) && !upTo.Less(e.ID) && len(out) < limit {
				out = append(out, e)
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	if s.loose {
		return nil, nil
	}
	return nil, s.missing(upTo)
}

// missing tells that there are no events up to an id, and has the folder listed again next time.
func (s *Store) missing(upTo journal.ID) error {
	s.mu.Lock()
	s.index = nil
	s.mu.Unlock()
	if s.folder.dir == "" {
		return fmt.Errorf("%w: no archive is named; name its folder with --archive, or archive.folder in the configuration", ErrMissing)
	}
	return fmt.Errorf("%w: %s does not have those up to %s; put back the segment that is missing, or name the right folder (--archive)", ErrMissing, s.folder.dir, upTo)
}

// places gives a writer's segments in their order. They are listed again where they do not reach as far as was moved.
func (s *Store) places(writer string, upTo journal.ID) ([]place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.index[writer]; len(list) > 0 && !list[len(list)-1].last.Less(upTo) {
		return list, nil
	}
	all, err := s.folder.list()
	if err != nil {
		return nil, err
	}
	s.index = map[string][]place{}
	for _, p := range all {
		s.index[p.writer] = append(s.index[p.writer], p)
	}
	for _, list := range s.index {
		slices.SortFunc(list, func(a, b place) int {
			if a.first.Less(b.first) {
				return -1
			}
			return 1
		})
	}
	return s.index[writer], nil
}
