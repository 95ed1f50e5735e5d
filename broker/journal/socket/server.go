package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/journal"
)

const (
	// waitAtMost ends a wait, so that a client that is gone is noticed; one that is there asks again.
	waitAtMost = 20 * time.Second
	// finishWithin is what calls under way get when the server stops.
	finishWithin = 5 * time.Second
)

// Handler serves a store over HTTP. It knows no caller: put it on nothing but a unix socket of mode 0600.
func Handler(store journal.Store) http.Handler {
	mux := http.NewServeMux()
	for name, call := range calls(store) {
		mux.HandleFunc("POST "+prefix+name, func(w http.ResponseWriter, r *http.Request) {
			var q request
			a, err := response{}, readJSON(http.MaxBytesReader(w, r.Body, maxRequest), &q)
			if err == nil {
				a, err = call(r.Context(), q)
			}
			if err != nil {
				a = failure(err)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(a) // the client sees a cut message
		})
	}
	return mux
}

// calls names every method of a store.
func calls(s journal.Store) map[string]func(context.Context, request) (response, error) {
	return map[string]func(context.Context, request) (response, error){
		"hello": func(context.Context, request) (response, error) { return response{Protocol: protocol}, nil },
		"init": func(ctx context.Context, q request) (response, error) {
			if len(q.Register) != 1 {
				return response{}, errors.New("init takes one entry")
			}
			return response{}, s.Init(ctx, fromWire(q.Register)[0])
		},
		"append": func(ctx context.Context, q request) (response, error) {
			o, err := s.Append(ctx, journal.Batch{
				Writer: q.Writer, After: q.After, Events: fromWire(q.Events), Position: q.Position, Touches: fromBytes[broker.Touch](q.Touches),
				RegisterAfter: q.RegisterAfter, Register: fromWire(q.Register),
			})
			return response{Outcome: o}, err
		},
		"head": func(ctx context.Context, q request) (response, error) {
			h, err := s.Head(ctx, q.Stream)
			return response{Head: h}, err
		},
		"read": func(ctx context.Context, q request) (response, error) { return read(ctx, s, q) },
		"wait": func(ctx context.Context, q request) (response, error) {
			ctx, cancel := context.WithTimeoutCause(ctx, waitAtMost, errAskAgain)
			defer cancel()
			err := s.Wait(ctx, q.Stream, q.After.ID)
			if err != nil && errors.Is(context.Cause(ctx), errAskAgain) {
				return response{More: true}, nil
			}
			return response{}, err
		},
		"writers": func(ctx context.Context, _ request) (response, error) {
			w, err := s.Writers(ctx)
			return response{Writers: w}, err
		},
		"put-blob": func(ctx context.Context, q request) (response, error) {
			return response{}, s.PutBlob(ctx, string(q.Name), q.Data)
		},
		"blob": func(ctx context.Context, q request) (response, error) {
			data, err := s.Blob(ctx, string(q.Name))
			return response{Data: data}, err
		},
		"put-keys": func(ctx context.Context, q request) (response, error) {
			if len(q.Names) != len(q.List) {
				return response{}, errors.New("put keys: each needs an id")
			}
			keys := make([]journal.WrappedKey, len(q.Names))
			for i, id := range q.Names {
				keys[i] = journal.WrappedKey{ID: string(id), Wrapped: q.List[i]}
			}
			list, err := s.PutKeys(ctx, keys)
			return response{List: list}, err
		},
		"blob-names": func(ctx context.Context, _ request) (response, error) {
			names, err := s.BlobNames(ctx)
			return response{Names: toBytes(names)}, err
		},
		"keys": func(ctx context.Context, q request) (response, error) {
			list, err := s.Keys(ctx, fromBytes[string](q.Names))
			return response{List: list}, err
		},
		"delete-keys": func(ctx context.Context, q request) (response, error) {
			return response{}, s.DeleteKeys(ctx, fromBytes[string](q.Names))
		},
		"swap-keys": func(ctx context.Context, q request) (response, error) {
			if len(q.Names) != len(q.List) || len(q.Names) != len(q.News) {
				return response{}, errors.New("swap keys: each needs an id, an old and a new")
			}
			swaps := make([]journal.KeySwap, len(q.Names))
			for i, id := range q.Names {
				swaps[i] = journal.KeySwap{ID: string(id), Old: q.List[i], New: q.News[i]}
			}
			return response{}, s.SwapKeys(ctx, swaps)
		},
		"scan-keys": func(ctx context.Context, q request) (response, error) {
			keys, next, err := s.ScanKeys(ctx, string(q.Name), q.Max)
			a := response{Data: []byte(next)}
			for _, k := range keys {
				a.Names, a.List = append(a.Names, []byte(k.ID)), append(a.List, k.Wrapped)
			}
			return a, err
		},
		"put-chunk": func(ctx context.Context, q request) (response, error) {
			return response{}, s.PutChunk(ctx, string(q.Name), q.Number, q.Data)
		},
		"put-snapshot": func(ctx context.Context, q request) (response, error) {
			return response{}, s.PutSnapshot(ctx, q.Snapshot)
		},
		"snapshot": func(ctx context.Context, _ request) (response, error) {
			snapshot, err := s.Snapshot(ctx)
			return response{Snapshot: snapshot}, err
		},
		"chunk": func(ctx context.Context, q request) (response, error) {
			data, err := s.Chunk(ctx, string(q.Name), q.Number)
			return response{Data: data}, err
		},
		"put-note": func(ctx context.Context, q request) (response, error) {
			return response{}, s.PutNote(ctx, q.Writer, q.Data)
		},
		"take-lease": func(ctx context.Context, q request) (response, error) {
			fence, err := s.TakeLease(ctx, q.Writer, q.Holder, q.TTL)
			return response{Fence: fence}, err
		},
		"notes": func(ctx context.Context, _ request) (response, error) {
			notes, err := s.Notes(ctx)
			return response{Notes: notes}, err
		},
		"trim": func(ctx context.Context, q request) (response, error) {
			return response{}, s.Trim(ctx, q.Stream, q.After)
		},
		"trimmed": func(ctx context.Context, q request) (response, error) {
			h, err := s.Trimmed(ctx, q.Stream)
			return response{Head: h}, err
		},
		"check": func(ctx context.Context, _ request) (response, error) { return response{}, s.Check(ctx) },
	}
}

var errAskAgain = errors.New("ask again")

// read gives one page. Entries are at most journal.MaxBytes each, so a page is read a few at a time until it is full.
func read(ctx context.Context, s journal.Store, q request) (response, error) {
	const step = 64
	var a response
	size, after := 0, q.After.ID
	for len(a.Entries) < q.Max {
		want := min(step, q.Max-len(a.Entries))
		entries, err := s.Read(ctx, q.Stream, after, want)
		if err != nil {
			return response{}, err
		}
		a.Entries = append(a.Entries, toWire(entries)...)
		if len(entries) < want {
			return a, nil
		}
		for _, e := range entries {
			size += len(e.Bytes)
		}
		after = entries[len(entries)-1].ID
		if size >= maxPage {
			a.More = len(a.Entries) < q.Max
			return a, nil
		}
	}
	if q.Max <= 0 { // nothing was asked, but the name of the stream is checked all the same
		_, err := s.Read(ctx, q.Stream, after, 0)
		return a, err
	}
	return a, nil
}

// Serve listens on a socket and serves the store until the context ends.
func Serve(ctx context.Context, path string, store journal.Store) error {
	l, err := Listen(path)
	if err != nil {
		return err
	}
	return l.Serve(ctx, store)
}

// Serve serves the store until the context ends, lets calls under way finish, and removes the socket.
func (l *Listener) Serve(ctx context.Context, store journal.Store) error {
	// Waits end with the context; other calls get their time.
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	handler := Handler(store)
	server := &http.Server{
		ReadHeaderTimeout: finishWithin,
		MaxHeaderBytes:    8 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == prefix+"wait" {
				waiting, cancel := context.WithCancel(r.Context())
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				r = r.WithContext(waiting)
			} else {
				working, cancel := context.WithCancel(r.Context())
				defer cancel()
				defer context.AfterFunc(ending, cancel)()
				r = r.WithContext(working)
			}
			handler.ServeHTTP(w, r)
		}),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
		defer cancel()
		err := server.Shutdown(limit)
		end()
		stopped <- errors.Join(err, server.Close(), l.Close())
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, l.Close())
	}
	return <-stopped
}
