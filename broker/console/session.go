package console

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"github.com/schakel/schakel/broker"
)

// What a session holds.
const (
	sessionPerson = "person"
	sessionBSN    = "bsn"   // of a resident
	sessionToken  = "token" // what forms send back
	sessionLang   = "lang"
	sessionNotice = "notice"
	sessionBack   = "back"  // where to go after signing in
	sessionState  = "state" // of a sign-in at the provider
)

// errSignIn sends a reader to sign in and back again.
var errSignIn = errors.New("not signed in")

// call is one request on its way through.
type call struct {
	site    *site
	w       http.ResponseWriter
	r       *http.Request
	params  gin.Params
	person  *Person
	token   string
	lang    string
	session *scs.SessionManager
}

// load reads who it is and in which language from the session.
func (c *call) load() {
	c.session = c.site.sessions
	ctx := c.r.Context()
	if id := c.session.GetString(ctx, sessionPerson); id != "" {
		parts := strings.SplitN(id, "\n", 3)
		c.person = &Person{Role: Role(parts[0]), ID: parts[1], Name: parts[2], bsn: broker.BSN(c.session.GetString(ctx, sessionBSN))}
	}
	if c.lang = c.session.GetString(ctx, sessionLang); c.lang == "" {
		c.lang = "nl"
	}
	c.token = c.session.GetString(ctx, sessionToken)
}

// formToken gives the token that a form of this session must send back.
func (c *call) formToken() string {
	if c.token == "" {
		c.token = random()
		c.session.Put(c.r.Context(), sessionToken, c.token)
	}
	return c.token
}

// genuine tells whether a change came from a page of this session.
func (c *call) genuine() bool {
	sent := c.r.Header.Get("X-Form-Token")
	if sent == "" {
		sent = c.r.PostFormValue("token")
	}
	return c.token != "" && subtle.ConstantTimeCompare([]byte(sent), []byte(c.token)) == 1
}

// enter signs a person in: under a new session id and form token, so that what was known of the old is worth nothing.
func (c *call) enter(p Person) error {
	ctx := c.r.Context()
	lang, back := c.lang, c.session.GetString(ctx, sessionBack)
	if err := c.session.Clear(ctx); err != nil {
		return err
	}
	if err := c.session.RenewToken(ctx); err != nil {
		return err
	}
	c.session.Put(ctx, sessionPerson, string(p.Role)+"\n"+p.ID+"\n"+p.Name)
	if p.bsn != "" {
		c.session.Put(ctx, sessionBSN, p.bsn.Reveal())
	}
	c.session.Put(ctx, sessionLang, lang)
	c.redirect(local(back))
	return nil
}

func (k *Console) serveSignIn(c *call) error {
	if c.person != nil {
		c.redirect("/")
		return nil
	}
	return c.render(http.StatusOK, "signin", c.say("Aanmelden", "Sign in"), struct{ Personas []Person }{k.cfg.Personas})
}

// signInAsPersona is for the demo: whoever reaches the console may be anybody.
func (k *Console) signInAsPersona(c *call) error {
	i := slices.IndexFunc(k.cfg.Personas, func(p Person) bool { return p.ID == c.r.PostFormValue("persona") })
	if i < 0 {
		return mistake{"Kies wie u bent.", "Choose who you are."}
	}
	return c.enter(k.cfg.Personas[i])
}

func (s *site) signOut(c *call) error {
	lang := c.lang
	if err := c.session.Destroy(c.r.Context()); err != nil {
		return err
	}
	c.session.Put(c.r.Context(), sessionLang, lang)
	if s.provider == nil {
		c.redirect("/aanmelden")
	} else {
		c.redirect("/afgemeld")
	}
	return nil
}

// serveSignedOut sends who signed out here on to the provider, where they are signed in still: whoever uses the computer next
// would need no password. It is a page that goes on by itself, since a form may lead to this site only.
func (s *site) serveSignedOut(c *call) error {
	switch {
	case c.person != nil:
		c.redirect("/")
		return nil
	case s.provider == nil:
		return errNotFound
	}
	to, err := s.provider.leave(c.r.Context())
	if err != nil { // they are signed out here, and are told that it may be here alone
		s.log.Error("sign out at the identity provider", "failed", cause(err))
	}
	if to != "" {
		c.w.Header().Set("Refresh", "0; url="+to)
	}
	return c.render(http.StatusOK, "signedout", c.say("U bent afgemeld", "You are signed out"), struct{ To string }{to})
}

func (s *site) chooseLanguage(c *call) error {
	lang := c.r.PostFormValue("taal")
	if lang != "nl" && lang != "en" {
		return mistake{"Kies Nederlands of Engels.", "Choose Dutch or English."}
	}
	c.session.Put(c.r.Context(), sessionLang, lang)
	c.redirect(local(c.r.PostFormValue("terug")))
	return nil
}

// redirect goes on with a GET.
func (c *call) redirect(to string) { http.Redirect(c.w, c.r, to, http.StatusSeeOther) }

// notice is shown once, on the next page.
func (c *call) notice(nl, en string) {
	c.session.Put(c.r.Context(), sessionNotice, c.say(nl, en))
}

// local keeps a way back inside this console.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n") {
		return "/"
	}
	return path
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
