package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/schakel/schakel/broker/journal"
)

// client is the store of a running server.
type client struct {
	path string
	http *http.Client
}

var _ journal.Store = (*client)(nil)

// Dial gives the store of the server that listens on a socket.
func Dial(path string) (journal.Store, error) {
	c := &client{path: path}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		DisableCompression: true,
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a, err := c.call(ctx, "hello", request{})
	if err == nil && a.Protocol != protocol {
		err = errors.New("the server is of another version; use the schakel it was started with")
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// call sends one request and reads its answer.
func (c *client) call(ctx context.Context, name string, q request) (response, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return response{}, err
	}
	if len(body) > maxRequest {
		return response{}, fmt.Errorf("%s: more than the socket takes: %w", name, errors.ErrUnsupported)
	}
	// The host is a placeholder: every connection goes to the socket.
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://socket"+prefix+name, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	answer, err := c.http.Do(post)
	if err != nil {
		return response{}, c.lost(ctx, name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return response{}, fmt.Errorf("%s: what listens on %s is no journal of this version (status %d)", name, c.path, answer.StatusCode)
	}
	var a response
	if err := readJSON(http.MaxBytesReader(nil, answer.Body, maxResponse), &a); err != nil {
		return response{}, c.lost(ctx, name, err)
	}
	if a.Error != "" {
		return response{}, &remoteError{a.Error, a.Kinds}
	}
	return a, nil
}

// lost says what to do when there was no answer.
func (c *client) lost(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: no server answers on %s: start it, or, if it is meant to be stopped, work on its data folder: %w", name, c.path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %s belongs to another user: run this as the user of the server: %w", name, c.path, err)
	}
	return fmt.Errorf("%s: the server on %s went away before it answered; start it again and repeat: %w", name, c.path, err)
}

func (c *client) Init(ctx context.Context, genesis journal.Entry) error {
	_, err := c.call(ctx, "init", request{Register: toWire([]journal.Entry{genesis})})
	return err
}

func (c *client) Append(ctx context.Context, b journal.Batch) (journal.Outcome, error) {
	if err := b.Validate(); err != nil { // before it is sent, for it may be of any size
		return "", err
	}
	a, err := c.call(ctx, "append", request{
		Writer: b.Writer, After: b.After, Events: toWire(b.Events), Position: b.Position, Touches: toBytes(b.Touches),
		RegisterAfter: b.RegisterAfter, Register: toWire(b.Register),
	})
	if err == nil && a.Outcome == "" {
		err = errors.New("append: the server gave no outcome")
	}
	return a.Outcome, err
}

func (c *client) Head(ctx context.Context, s journal.Stream) (journal.Head, error) {
	a, err := c.call(ctx, "head", request{Stream: s})
	return a.Head, err
}

func (c *client) Read(ctx context.Context, s journal.Stream, after journal.ID, max int) ([]journal.Entry, error) {
	var entries []journal.Entry
	for {
		a, err := c.call(ctx, "read", request{Stream: s, After: journal.Head{ID: after}, Max: max - len(entries)})
		if err != nil {
			return nil, err
		}
		entries = append(entries, fromWire(a.Entries)...)
		if !a.More || len(a.Entries) == 0 {
			return entries, nil
		}
		after = entries[len(entries)-1].ID
	}
}

func (c *client) Wait(ctx context.Context, s journal.Stream, after journal.ID) error {
	for {
		a, err := c.call(ctx, "wait", request{Stream: s, After: journal.Head{ID: after}})
		if err != nil || !a.More {
			return err
		}
	}
}

func (c *client) Writers(ctx context.Context) ([]string, error) {
	a, err := c.call(ctx, "writers", request{})
	return a.Writers, err
}

func (c *client) PutBlob(ctx context.Context, name string, data []byte) error {
	_, err := c.call(ctx, "put-blob", request{Name: []byte(name), Data: data})
	return err
}

func (c *client) Blob(ctx context.Context, name string) ([]byte, error) {
	a, err := c.call(ctx, "blob", request{Name: []byte(name)})
	return a.Data, err
}

func (c *client) BlobNames(ctx context.Context) ([]string, error) {
	a, err := c.call(ctx, "blob-names", request{})
	var names []string
	for _, n := range a.Names {
		names = append(names, string(n))
	}
	return names, err
}

func (c *client) PutKeys(ctx context.Context, keys []journal.WrappedKey) ([][]byte, error) {
	q := request{Names: make([][]byte, len(keys)), List: make([][]byte, len(keys))}
	for i, k := range keys {
		q.Names[i], q.List[i] = []byte(k.ID), k.Wrapped
	}
	a, err := c.call(ctx, "put-keys", q)
	if err == nil && len(a.List) != len(keys) {
		err = errors.New("put keys: the server gave back another number of keys")
	}
	return a.List, err
}

func (c *client) Keys(ctx context.Context, ids []string) ([][]byte, error) {
	a, err := c.call(ctx, "keys", request{Names: toBytes(ids)})
	if err == nil && len(a.List) != len(ids) {
		err = errors.New("read keys: the server gave another number of keys")
	}
	return a.List, err
}

func (c *client) DeleteKeys(ctx context.Context, ids []string) error {
	_, err := c.call(ctx, "delete-keys", request{Names: toBytes(ids)})
	return err
}

func (c *client) SwapKeys(ctx context.Context, swaps []journal.KeySwap) error {
	var q request
	for _, k := range swaps {
		q.Names, q.List, q.News = append(q.Names, []byte(k.ID)), append(q.List, k.Old), append(q.News, k.New)
	}
	_, err := c.call(ctx, "swap-keys", q)
	return err
}

func (c *client) ScanKeys(ctx context.Context, from string, max int) ([]journal.WrappedKey, string, error) {
	a, err := c.call(ctx, "scan-keys", request{Name: []byte(from), Max: max})
	if err == nil && len(a.Names) != len(a.List) {
		err = errors.New("scan keys: the server gave another number of keys than of ids")
	}
	if err != nil {
		return nil, "", err
	}
	var keys []journal.WrappedKey
	for i, id := range a.Names {
		keys = append(keys, journal.WrappedKey{ID: string(id), Wrapped: a.List[i]})
	}
	return keys, string(a.Data), nil
}

func (c *client) PutChunk(ctx context.Context, snapshot string, n int, data []byte) error {
	if err := journal.ValidateChunk(snapshot, n, data); err != nil {
		return err
	}
	_, err := c.call(ctx, "put-chunk", request{Name: []byte(snapshot), Number: n, Data: data})
	return err
}

func (c *client) PutSnapshot(ctx context.Context, s journal.Snapshot) error {
	if err := s.Validate(); err != nil {
		return err
	}
	_, err := c.call(ctx, "put-snapshot", request{Snapshot: s})
	return err
}

func (c *client) Snapshot(ctx context.Context) (journal.Snapshot, error) {
	a, err := c.call(ctx, "snapshot", request{})
	return a.Snapshot, err
}

func (c *client) Chunk(ctx context.Context, snapshot string, n int) ([]byte, error) {
	a, err := c.call(ctx, "chunk", request{Name: []byte(snapshot), Number: n})
	return a.Data, err
}

func (c *client) PutNote(ctx context.Context, writer string, note []byte) error {
	if err := journal.ValidateNote(writer, note); err != nil {
		return err
	}
	_, err := c.call(ctx, "put-note", request{Writer: writer, Data: note})
	return err
}

func (c *client) TakeLease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if err := journal.ValidateLease(name, holder, ttl); err != nil {
		return 0, err
	}
	a, err := c.call(ctx, "take-lease", request{Writer: name, Holder: holder, TTL: ttl})
	return a.Fence, err
}

func (c *client) Notes(ctx context.Context) (map[string][]byte, error) {
	a, err := c.call(ctx, "notes", request{})
	if a.Notes == nil {
		a.Notes = map[string][]byte{}
	}
	return a.Notes, err
}

func (c *client) Trim(ctx context.Context, s journal.Stream, upTo journal.Head) error {
	_, err := c.call(ctx, "trim", request{Stream: s, After: upTo})
	return err
}

func (c *client) Trimmed(ctx context.Context, s journal.Stream) (journal.Head, error) {
	a, err := c.call(ctx, "trimmed", request{Stream: s})
	return a.Head, err
}

func (c *client) Check(ctx context.Context) error {
	_, err := c.call(ctx, "check", request{})
	return err
}

func (c *client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}
