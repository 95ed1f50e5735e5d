package console

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
)

// route is one page or action, and who may see or do it. What is not in the table does not exist.
type route struct {
	method, path string
	who          []Role // nil: anybody, signed in or not
	serve        func(*call) error
}

func everybody() []Role { return []Role{PrivacyOfficer, Jurist, FG, Auditor} }
func readers() []Role   { return []Role{PrivacyOfficer, Jurist, FG} }
func authors() []Role   { return []Role{PrivacyOfficer, Jurist} }

// table is the one place that says which role may see which page and do which action.
func (k *Console) table() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/assets/:version/:name", nil, k.serveAsset},
		{get, "/toegankelijkheid", nil, k.serveAccessibility},
		{get, "/aanmelden", nil, k.serveSignIn},
		{post, "/aanmelden", nil, k.signInAsPersona},
		{get, "/aanmelden/oidc", nil, k.goToProvider},
		{get, "/callback", nil, k.comeFromProvider},
		{post, "/afmelden", nil, k.signOut},
		{post, "/taal", nil, k.chooseLanguage},

		{get, "/", everybody(), k.serveOverview},
		{get, "/beleid", readers(), k.serveFiles},
		{get, "/beleid/bestand", readers(), k.serveFile},
		{get, "/catalogus", everybody(), k.serveCatalog},
		{get, "/afspraken", readers(), k.serveAgreements},
		{get, "/matrix", readers(), k.serveMatrix},
		{post, "/matrix", readers(), k.startMatrix},
		{get, "/matrix/voortgang", readers(), k.serveMatrixProgress},
		{get, "/matrix/bestand", readers(), k.serveMatrixFile},
		{get, "/geschiedenis", everybody(), k.serveHistory},
		{get, "/waarom", everybody(), k.serveWhy},
		{post, "/waarom", readers(), k.askQuestion},
		{post, "/waarom/besluit", everybody(), k.lookUp},
		{get, "/waarom/:id", everybody(), k.showWhy},
		{get, "/waarom/:id/voortgang", everybody(), k.serveWhyProgress},

		{get, "/ontwerpen", readers(), k.serveDrafts},
		{post, "/ontwerpen", authors(), k.makeDraft},
		{get, "/ontwerpen/:id", readers(), k.serveDraft},
		{post, "/ontwerpen/:id/weg", authors(), k.removeDraft},
		{post, "/ontwerpen/:id/verplaats", authors(), k.rebaseDraft},
		{get, "/ontwerpen/:id/bestand", readers(), k.serveEditor},
		{post, "/ontwerpen/:id/bestand", authors(), k.saveFile},
		{post, "/ontwerpen/:id/toets", authors(), k.checkFile},
		{post, "/ontwerpen/:id/opmaak", authors(), k.formatFile},
		{get, "/ontwerpen/:id/woorden", authors(), k.serveWords},
		{post, "/ontwerpen/:id/toetsing", authors(), k.startChecks},
		{post, "/ontwerpen/:id/toetsing/stop", authors(), k.stopChecks},
		{get, "/ontwerpen/:id/voortgang", readers(), k.serveProgress},
		{post, "/ontwerpen/:id/indienen", authors(), k.submitDraft},

		{get, "/voorstel/:nummer", readers(), k.serveProposal},
		{post, "/voorstel/:nummer/narekenen", readers(), k.recountProposal},
		{get, "/voorstel/:nummer/voortgang", readers(), k.serveRecount},
		{post, "/voorstel/:nummer/goedkeuren", authors(), k.approveProposal},
		{post, "/voorstel/:nummer/instemmen", authors(), k.recordAgreement},
		{post, "/voorstel/:nummer/activeren", authors(), k.activateProposal},
		{get, "/noodstop", []Role{PrivacyOfficer}, k.serveStop},
		{post, "/noodstop", []Role{PrivacyOfficer}, k.stopAll},
	}
}

// router makes the router. Gin only finds the handler, as in gateway.
func (k *Console) router() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	e.UseRawPath = true
	for _, r := range k.table() {
		e.Handle(r.method, r.path, k.enter(r))
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.path, k.enter(r))
		}
	}
	e.NoRoute(k.enter(route{serve: func(*call) error { return errNotFound }}))
	e.NoMethod(k.enter(route{serve: func(*call) error { return errNoMethod }}))
	return e
}

// Faults that have a page of their own. Any other error is a 500 without detail.
var (
	errNotFound  = errors.New("not found")
	errNoMethod  = errors.New("method not allowed")
	errForbidden = errors.New("forbidden")
	errForged    = errors.New("the form's token is missing or of another session")
)

// mistake is something the reader can mend; its text is shown.
type mistake struct{ nl, en string }

func (m mistake) Error() string { return m.en }

// refusal is what the register or the engine said to a step. It is shown as it is, in English: it names commands and digests.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }

// enter does for every route what comes before and after it: who it is, whether they may, and a page for each error.
func (k *Console) enter(r route) gin.HandlerFunc {
	return func(g *gin.Context) {
		began := k.cfg.Now()
		c := &call{console: k, w: g.Writer, r: g.Request, params: g.Params}
		c.load()
		err := k.admit(c, r)
		if err == nil {
			err = r.serve(c)
		}
		if err != nil {
			c.fail(err)
		}
		level := slog.LevelInfo
		if g.Writer.Status() >= 500 {
			level = slog.LevelError
		}
		k.cfg.Log.Log(g.Request.Context(), level, "console", "route", g.FullPath(), "method", g.Request.Method,
			"status", g.Writer.Status(), "ms", k.cfg.Now().Sub(began)/time.Millisecond, "failed", cause(err))
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

// admit refuses who may not, and every change that did not come from a form or script of this console.
func (k *Console) admit(c *call, r route) error {
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
func (k *Console) may(p *Person, method, path string) bool {
	return slices.ContainsFunc(k.table(), func(r route) bool {
		return r.method == method && r.path == path && (r.who == nil || (p != nil && slices.Contains(r.who, p.Role)))
	})
}

// maxForm bounds what a form may send: a policy file and its words.
const maxForm = 1 << 20

// guard is outermost: headers on every answer, the right host, nothing from another site.
func (k *Console) guard(next http.Handler) http.Handler {
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
		if k.sessions.Cookie.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if r.Host != k.host {
			http.Error(w, "this console is at "+k.host, http.StatusMisdirectedRequest)
			return
		}
		if err := foreign.Check(r); err != nil {
			http.Error(w, "this request came from another site", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
