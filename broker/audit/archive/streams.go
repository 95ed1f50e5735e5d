package archive

import (
	"context"
	"slices"

	"github.com/schakel/schakel/broker/audit/checkpoint"
	"github.com/schakel/schakel/broker/journal"
)

// Streams is a journal with one stream more: that of the manifests in a folder. A checkpointer that is given it seals them.
type Streams struct {
	checkpoint.Streams
	Folder *Folder
}

// Writers implements checkpoint.Streams.
func (s Streams) Writers(ctx context.Context) ([]string, error) {
	writers, err := s.Streams.Writers(ctx)
	own := slices.DeleteFunc(writers, func(w string) bool { return w == checkpoint.ArchiveWriter })
	return append(own, checkpoint.ArchiveWriter), err
}

// Head implements checkpoint.Streams.
func (s Streams) Head(ctx context.Context, stream journal.Stream) (journal.Head, error) {
	if stream != checkpoint.Archive {
		return s.Streams.Head(ctx, stream)
	}
	places, err := s.Folder.list()
	if err != nil || len(places) == 0 {
		return journal.Head{}, err
	}
	m, err := s.Folder.manifest(places[len(places)-1])
	return journal.Head{ID: m.id(), Hash: m.Hash()}, err
}

// Read implements checkpoint.Streams.
func (s Streams) Read(ctx context.Context, stream journal.Stream, after journal.ID, limit int) ([]journal.Entry, error) {
	if stream != checkpoint.Archive {
		return s.Streams.Read(ctx, stream, after, limit)
	}
	places, err := s.Folder.list()
	var out []journal.Entry
	for _, p := range places {
		if id := (journal.ID{Epoch: 1, Seq: p.seq}); !after.Less(id) || len(out) >= limit {
			continue
		}
		m, err := s.Folder.manifest(p)
		if err != nil {
			return nil, err
		}
		out = append(out, journal.Entry{ID: m.id(), Hash: m.Hash(), Bytes: m.Text()})
	}
	return out, err
}
