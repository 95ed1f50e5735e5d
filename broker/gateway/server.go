package gateway

import (
	"bytes"
	"crypto/tls"
	"log"
	"log/slog"
	"net/http"
)

// maxHeaderBytes leaves room for a token of more than 8 KB, so that it is refused with a code.
const maxHeaderBytes = 32 << 10

// maxStreams bounds what one HTTP/2 connection may ask at once, answered or reset: a reset ends a stream at once, and its
// handler only when it notices.
const maxStreams = 100

// Server makes the HTTP server for this gateway, with a time limit on everything a client can be slow at. The caller
// listens (ServeTLS with empty file names when Config.TLS is set) and shuts down.
func (g *Gateway) Server(addr string) *http.Server {
	s := &http.Server{
		Addr:              addr,
		Handler:           g,
		ReadHeaderTimeout: g.cfg.HeaderTimeout,
		ReadTimeout:       g.cfg.ReadTimeout,
		// Counted from the end of the headers: the body, the work, and the writing of the answer, for which a client gets as
		// long as for its request.
		WriteTimeout:                 2*g.cfg.ReadTimeout + g.cfg.RequestTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ConnState:                    newGuests(g.cfg.MaxConnections).change,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:                     log.New(serverLog{g.cfg.Log}, "", 0),
	}
	if g.cfg.TLS != nil {
		s.TLSConfig = g.cfg.TLS.Clone()
		s.TLSConfig.MinVersion = max(s.TLSConfig.MinVersion, tls.VersionTLS12)
	}
	return s
}

// serverLog takes what net/http itself logs. Its texts may repeat what a client sent, so only the sort is kept.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	sort := "other"
	for _, known := range []string{"TLS handshake error", "Accept error", "panic", "superfluous"} {
		if bytes.Contains(line, []byte(known)) {
			sort = known
			break
		}
	}
	l.log.Warn("connection failed", slog.String("sort", sort))
	return len(line), nil
}
