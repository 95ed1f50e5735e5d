package main

import (
	"context"
	"fmt"
	"io"

	"github.com/schakel/schakel/broker/audit/archive"
	"github.com/schakel/schakel/broker/journal"
	"github.com/schakel/schakel/broker/journal/bolt"
)

// followed is a journal that is opened when it is read and may go away in between. At the end of the log it lets go of a
// folder's file, which one server at a time may have, so that a server can start there while its log is followed.
type followed struct {
	where *where
	say   io.Writer
	store *archive.Store // nil: not open now
	away  bool           // it could not be read, and that was said
}

func (f *followed) open(ctx context.Context) (journal.Store, error) {
	if f.store != nil {
		return f.store, nil
	}
	store, err := f.where.openStore(ctx, true)
	if err != nil {
		return nil, err
	}
	f.store = store
	return store, nil
}

func (f *followed) close() {
	if f.store != nil {
		_ = f.store.Close() // it was only read
		f.store = nil
	}
}

// end is called at the end of the log.
func (f *followed) end() {
	if f.store == nil {
		return
	}
	if _, file := f.store.Store.(*bolt.Store); file {
		f.close()
	}
}

// failed says once that the log can't be read now, and has it opened anew: by then the server may be another, or gone and
// its folder at hand.
func (f *followed) failed(err error) error {
	f.close()
	if !f.away {
		f.away = true
		_, _ = fmt.Fprintf(f.say, "the log can't be read now; waiting until it can (Ctrl-C ends this): %v\n", err)
	}
	return nil
}

func (f *followed) back() {
	if f.away {
		f.away = false
		_, _ = fmt.Fprintln(f.say, "the log can be read again")
	}
}

// Read implements audit.Source.
func (f *followed) Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	store, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := store.Read(ctx, s, after, max)
	if err == nil {
		f.back()
	}
	return entries, err
}

// Writers implements audit.Source.
func (f *followed) Writers(ctx context.Context) ([]string, error) {
	store, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	return store.Writers(ctx)
}
