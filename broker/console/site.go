package console

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"
)

// site is what the officers' console and the residents' site are both made of. Each has a table, sessions, pages and a way
// to sign in of its own: nothing of the one is worth anything on the other.
type site struct {
	host     string
	sessions *scs.SessionManager
	provider *provider // nil where people are chosen, in a demonstration
	pages    *pages
	routes   []route
	menu     func(*call) []link
	fail     func(*call, error) // shows an error as a page
	stopped  func() bool        // the emergency stop is on, which every page says; nil where pages don't
	log      *slog.Logger
	now      func() time.Time
	handler  http.Handler
}

// newSite makes what a site stands on; its owner adds pages, routes, menu and fail, and then calls ready.
func newSite(cookie, publicURL string, log *slog.Logger, now func() time.Time) (*site, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || (u.Path != "" && u.Path != "/") {
		return nil, fmt.Errorf("PublicURL is scheme and host, such as https://beleid.example")
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return &site{host: u.Host, sessions: newSessions(cookie, u.Scheme == "https"), log: log, now: now}, nil
}

const callbackPath = "/callback"

// callback is where a provider sends people back to.
func callback(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return "" // newSite refused it
	}
	return u.Scheme + "://" + u.Host + callbackPath
}

func (s *site) ready() { s.handler = s.guard(s.sessions.LoadAndSave(s.router())) }

// ServeHTTP answers one request.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// serve answers requests on a listener until ctx ends. Then what people were waiting for is stopped, and end is called.
func (s *site) serve(ctx context.Context, l net.Listener, t *tls.Config, end func()) error {
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	h := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10, BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() {
		if t != nil {
			h.TLSConfig = t.Clone()
			failed <- h.ServeTLS(l, "", "")
			return
		}
		failed <- h.Serve(l)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop() // ends streams of progress, which Shutdown would wait for
	end()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return h.Shutdown(within)
}

// router makes the router. Gin only finds the handler, as in gateway.
func (s *site) router() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	e.UseRawPath = true
	for _, r := range s.routes {
		e.Handle(r.method, r.path, s.enter(r))
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.path, s.enter(r))
		}
	}
	e.NoRoute(s.enter(route{serve: func(*call) error { return errNotFound }}))
	e.NoMethod(s.enter(route{serve: func(*call) error { return errNoMethod }}))
	return e
}

// enter does for every route what comes before and after it: who it is, whether they may, and a page for each error.
func (s *site) enter(r route) gin.HandlerFunc {
	return func(g *gin.Context) {
		began := s.now()
		c := &call{site: s, w: g.Writer, r: g.Request, params: g.Params}
		c.load()
		err := s.admit(c, r)
		if err == nil {
			err = r.serve(c)
		}
		if err != nil {
			s.fail(c, err)
		}
		level := slog.LevelInfo
		if g.Writer.Status() >= 500 {
			level = slog.LevelError
		}
		s.log.Log(g.Request.Context(), level, "console", "route", g.FullPath(), "method", g.Request.Method,
			"status", g.Writer.Status(), "ms", s.now().Sub(began)/time.Millisecond, "failed", cause(err))
	}
}

// cause is what a log line says of an error. Errors of the rooms hold no personal value.
func cause(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return text[:min(len(text), 500)]
}

// admit refuses who may not, and every change that did not come from a form or script of this site.
func (s *site) admit(c *call, r route) error {
	if c.r.Method == http.MethodPost {
		c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxForm)
		if !c.genuine() {
			return errForged
		}
	}
	switch {
	case r.who == nil:
		return nil
	case c.person == nil:
		return errSignIn
	case !slices.Contains(r.who, c.person.Role):
		return errForbidden
	}
	return nil
}

// may tells whether the person signed in may use a route, so that pages offer nothing that would be refused.
func (s *site) may(p *Person, method, path string) bool {
	return slices.ContainsFunc(s.routes, func(r route) bool {
		return r.method == method && r.path == path && (r.who == nil || (p != nil && slices.Contains(r.who, p.Role)))
	})
}

// maxForm bounds what a form may send: a policy file and its words.
const maxForm = 1 << 20

// guard is outermost: headers on every answer, the right host, nothing from another site.
func (s *site) guard(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		if s.sessions.Cookie.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if r.Host != s.host {
			http.Error(w, "this console is at "+s.host, http.StatusMisdirectedRequest)
			return
		}
		if err := foreign.Check(r); err != nil {
			http.Error(w, "this request came from another site", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
