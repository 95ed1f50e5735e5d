package gateway

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
)

// newConnections counts the connections that requests are sent over for the first time.
func newConnections(ctx context.Context, n *int) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			*n++
		}
	}})
}

func TestGuests(t *testing.T) {
	conn := func() net.Conn { a, _ := net.Pipe(); return a }
	a, b, c, d := conn(), conn(), conn(), conn()
	g := newGuests(2)
	for i, step := range []struct {
		c    net.Conn
		s    http.ConnState
		shed net.Conn
	}{
		{a, http.StateNew, nil},
		{b, http.StateNew, nil},
		{a, http.StateActive, nil},
		{a, http.StateIdle, nil},
		{c, http.StateNew, b}, // the silent one has waited longest
		{b, http.StateClosed, nil},
		{a, http.StateActive, nil},
		{c, http.StateActive, nil},
		{d, http.StateNew, d}, // both others are at work
		{d, http.StateActive, nil},
		{d, http.StateClosed, nil},
		{c, http.StateIdle, nil},
		{b, http.StateNew, c},
		{a, http.StateClosed, nil},
		{b, http.StateHijacked, nil},
	} {
		if got := g.note(step.c, step.s); got != step.shed {
			t.Errorf("step %d: shed %v, want %v", i, got != nil, step.shed != nil)
		}
	}
	if len(g.open) != 0 || g.waiting.Len() != 0 {
		t.Errorf("%d open and %d waiting at the end", len(g.open), g.waiting.Len())
	}
}
