package gateway

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// guests bounds the open connections of a listener. Where one more than the limit comes, the connection that has waited
// longest, for its first request or its next, makes room: who asks goes on, who only keeps connections open is shed, and
// nobody has to wait for a timeout. Where all are at work, the new one is closed.
type guests struct {
	limit int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil where a request is being answered
	waiting *list.List                 // of net.Conn, the longest first
}

func newGuests(limit int) *guests {
	return &guests{limit: limit, open: map[net.Conn]*list.Element{}, waiting: list.New()}
}

// change is an http.Server's ConnState.
func (g *guests) change(c net.Conn, s http.ConnState) {
	if shed := g.note(c, s); shed != nil {
		if t, ok := shed.(*tls.Conn); ok {
			shed = t.NetConn() // without a farewell, which a client that does not read could hold up
		}
		_ = shed.Close()
	}
}

// note gives the connection that has to make room, nil for none.
func (g *guests) note(c net.Conn, s http.ConnState) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, known := g.open[c]
	if !known && s != http.StateNew {
		return nil // it was shed
	}
	if e != nil {
		g.waiting.Remove(e)
	}
	switch s {
	case http.StateNew, http.StateIdle:
		g.open[c] = g.waiting.PushBack(c)
	case http.StateActive:
		g.open[c] = nil
	case http.StateClosed, http.StateHijacked:
		delete(g.open, c)
	}
	if len(g.open) <= g.limit {
		return nil
	}
	shed := g.waiting.Remove(g.waiting.Front()).(net.Conn) // never empty here: c itself is new and waits
	delete(g.open, shed)
	return shed
}
