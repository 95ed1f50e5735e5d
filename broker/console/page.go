package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/register"
)

//go:embed web
var web embed.FS

// pages holds the templates and what they link to.
type pages struct {
	templates map[string]*template.Template
	version   string // of all assets together: part of their address, so that they may be kept for ever
}

// newPages parses every template once: layout and parts, with one page each.
func newPages(layout, each string) (*pages, error) {
	p := &pages{templates: map[string]*template.Template{}}
	sum := sha256.New()
	err := fs.WalkDir(web, "web/assets", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := web.ReadFile(name)
		sum.Write(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.version = hex.EncodeToString(sum.Sum(nil))[:12]
	names, err := fs.Glob(web, each)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := template.New(path.Base(layout)).ParseFS(web, layout, "web/parts.html", name)
		if err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		p.templates[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return p, nil
}

// view is what a template sees.
type view struct {
	*call
	Title  string
	Notice string
	Data   any
	Person *Person
	Nav    []link
	Crumbs []link
}

// link is one way to go on.
type link struct {
	Path, Text string
	Current    bool
}

// render writes a page, whole or not at all.
func (c *call) render(status int, page, title string, data any, crumbs ...link) error {
	t := c.site.pages.templates[page]
	if t == nil {
		return fmt.Errorf("render page: there is no template %s", page)
	}
	v := view{call: c, Title: title, Data: data, Person: c.person, Nav: c.navigation(), Crumbs: crumbs,
		Notice: c.session.PopString(c.r.Context(), sessionNotice)}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return fmt.Errorf("render page %s: %w", page, err)
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.Header().Set("Content-Language", c.lang)
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead {
		return nil
	}
	_, _ = c.w.Write(b.Bytes()) // the reader is gone: nobody to tell
	return nil
}

// mainPages is the menu of the console. Those that ask a question of the log are there for whom the policy lets ask it.
func (k *Console) mainPages(c *call) []link {
	all := []link{
		{"/", c.say("Overzicht", "Overview"), false},
		{"/ontwerpen", c.say("Ontwerpen", "Drafts"), false},
		{"/beleid", c.say("Beleid", "Policy"), false},
		{"/matrix", "Matrix", false},
		{"/catalogus", c.say("Catalogus", "Catalog"), false},
		{"/afspraken", c.say("Afspraken", "Agreements"), false},
		{"/geschiedenis", c.say("Geschiedenis", "History"), false},
		{"/waarom", c.say("Waarom", "Why"), false},
		{"/logboek", c.say("Logboek", "Log"), false},
		{"/inzagen", c.say("Inzagen", "Looks"), false},
		{"/integriteit", c.say("Integriteit", "Integrity"), false},
		{"/inwoners", c.say("Inwoners", "Residents"), false},
	}
	return slices.DeleteFunc(all, func(l link) bool {
		of, asks := map[string]Question{"/logboek": QuestionSearch, "/inzagen": QuestionLooks}[l.Path]
		if !asks || c.person == nil {
			return false
		}
		purposes, err := k.cfg.Auditing.Purposes(c.r.Context(), *c.person, of)
		return err == nil && len(purposes) == 0 // with an error the page says what is wrong
	})
}

// navigation names the main pages that the person may see.
func (c *call) navigation() []link {
	var out []link
	for _, l := range c.site.menu(c) {
		if c.person == nil || !c.site.may(c.person, http.MethodGet, l.Path) {
			continue
		}
		at := c.r.URL.Path
		l.Current = at == l.Path || (l.Path != "/" && strings.HasPrefix(at, l.Path+"/"))
		out = append(out, l)
	}
	return out
}

// fail shows an error as a page.
func (c *call) fail(err error) {
	type fault struct {
		Text, Advice string
		Detail       *wording
	}
	show := func(status int, title string, f fault) {
		if again := c.render(status, "error", title, f); again != nil {
			http.Error(c.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
	}
	told := func(text, advice string) fault { return fault{Text: text, Advice: advice} }
	var m mistake
	var no refusal
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errSignIn):
		if c.r.Method == http.MethodGet {
			c.session.Put(c.r.Context(), sessionBack, c.r.URL.RequestURI())
		}
		c.redirect("/aanmelden")
	case errors.Is(err, errNoGround):
		c.redirect("/logboek")
	case errors.Is(err, errForbidden):
		show(http.StatusForbidden, c.say("Dit mag u niet", "You may not do this"), told(
			c.say("Uw rol geeft geen toegang tot deze pagina of handeling.", "Your role gives no access to this page or action."),
			c.say("Vraag het aan een collega die dit wel mag, of ga terug naar het overzicht.", "Ask a colleague who may, or go back to the overview.")))
	case errors.Is(err, errForged):
		show(http.StatusForbidden, c.say("Dit formulier is verlopen", "This form has expired"), told(
			c.say("Uw sessie is intussen een andere geworden. Er is niets gewijzigd.", "Your session is another one by now. Nothing was changed."),
			c.say("Open de pagina opnieuw en probeer het nog eens.", "Open the page again and try once more.")))
	case errors.Is(err, errNotFound):
		show(http.StatusNotFound, c.say("Pagina niet gevonden", "Page not found"), told(
			c.say("Deze pagina bestaat niet, of niet meer.", "This page does not exist, or no longer."),
			c.say("Ga terug naar het overzicht.", "Go back to the overview.")))
	case errors.Is(err, errNoMethod):
		show(http.StatusMethodNotAllowed, c.say("Dit kan hier niet", "Not possible here"), fault{})
	case errors.Is(err, ErrNotRecorded):
		show(http.StatusServiceUnavailable, c.say("Er wordt niets getoond", "Nothing is shown"), told(
			c.say("Dat u dit besluit bekijkt moet in het logboek staan voordat u het ziet, en dat lukte niet.", "That you look at this decision must stand in the log before you see it, and that failed."),
			c.say("Probeer het later nog eens. Blijft het zo, meld het dan aan de beheerder.", "Try again later. If it stays so, tell the operator.")))
	case errors.As(err, &m):
		show(http.StatusBadRequest, c.say("Er ging iets mis", "Something went wrong"), told(c.say(m.nl, m.en), c.say("Ga terug en verbeter het.", "Go back and mend it.")))
	case errors.As(err, &no):
		show(http.StatusBadRequest, c.say("Dit is niet gedaan", "This was not done"), fault{Detail: c.worded(no.err)})
	case errors.As(err, &large):
		show(http.StatusRequestEntityTooLarge, c.say("Dit is te groot", "This is too large"), told(
			c.say("Een bestand mag hier hooguit 1 MB zijn.", "A file may be 1 MB here at most."), ""))
	default:
		show(http.StatusInternalServerError, c.say("Er ging iets mis", "Something went wrong"), told(
			c.say("Dit ligt aan ons. Er is niets gewijzigd dat u niet ziet.", "This is our fault. Nothing was changed that you do not see."),
			c.say("Probeer het later nog eens. Blijft het zo, meld het dan aan de beheerder; de oorzaak staat in het logboek van de server.",
				"Try again later. If it stays so, tell the operator; the cause is in the server's log.")))
	}
}

// serveAsset serves styles and scripts. Their address names their version, so a browser may keep them.
func (s *site) serveAsset(c *call) error {
	name := c.params.ByName("name")
	data, err := web.ReadFile("web/assets/" + name)
	if err != nil || c.params.ByName("version") != s.pages.version {
		return errNotFound
	}
	kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
	c.w.Header().Set("Content-Type", kind)
	c.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = c.w.Write(data)
	return nil
}

// What templates ask. say gives a text in the reader's language.

func (c *call) say(nl, en string) string {
	if c.lang == "en" {
		return en
	}
	return nl
}

// Say is say for templates.
func (c *call) Say(nl, en string) string { return c.say(nl, en) }

// Text gives a broker.Text in the reader's language.
func (c *call) Text(t broker.Text) string { return c.say(t.NL, t.EN) }

// Lang is the language of the page.
func (c *call) Lang() string { return c.lang }

// Token is what every form sends back.
func (c *call) Token() string { return c.formToken() }

// Here is the address of this page, to come back to.
func (c *call) Here() string {
	if c.r.Method != http.MethodGet {
		return "/"
	}
	return c.r.URL.RequestURI()
}

// Stopped tells whether the emergency stop is on.
func (c *call) Stopped() bool { return c.site.stopped != nil && c.site.stopped() }

// May tells whether the reader may use a route, by its pattern in the table.
func (c *call) May(method, pattern string) bool { return c.site.may(c.person, method, pattern) }

// Asset gives the address of a style or script.
func (c *call) Asset(name string) string { return "/assets/" + c.site.pages.version + "/" + name }

// Short shortens a revision for reading.
func (c *call) Short(r broker.Revision) string { return string(r[:min(len(r), 12)]) }

// When writes a time as people here do.
func (c *call) When(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	t = t.In(broker.Amsterdam())
	months := []string{"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"}
	if c.lang == "en" {
		return t.Format("2 January 2006, 15:04")
	}
	return fmt.Sprintf("%d %s %d, %s uur", t.Day(), months[t.Month()-1], t.Year(), t.Format("15:04"))
}

// Day writes a calendar day.
func (c *call) Day(d broker.Date) string {
	if !d.Known() {
		return c.say("geen einddatum", "no end")
	}
	return fmt.Sprintf("%02d-%02d-%04d", d.Day, d.Month, d.Year)
}

// Count writes a number with the separators of the language.
func (c *call) Count(n int) string {
	s, sign := strconv.Itoa(n), ""
	if n < 0 {
		s, sign = s[1:], "-"
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + c.say(".", ",") + s[i:]
	}
	return sign + s
}

// Many counts something, in its singular or plural.
func (c *call) Many(n int, oneNL, manyNL, oneEN, manyEN string) string {
	if n == 1 {
		return c.Count(n) + " " + c.say(oneNL, oneEN)
	}
	return c.Count(n) + " " + c.say(manyNL, manyEN)
}

// Power writes a number such as 4.1e+28 as people do.
func (c *call) Power(n string) string {
	digits, exponent, ok := strings.Cut(n, "e+")
	if !ok {
		return n
	}
	raised := strings.Map(func(r rune) rune { return []rune("⁰¹²³⁴⁵⁶⁷⁸⁹")[r-'0'] }, strings.TrimLeft(exponent, "0"))
	return strings.Replace(digits, ".", c.say(",", "."), 1) + " × 10" + raised
}

// Telling tells whether the name of a role adds something to that of a person.
func (c *call) Telling(p Person) bool {
	return !strings.HasPrefix(strings.ToLower(p.Name), c.RoleName(p.Role))
}

// RoleName names a role in words.
func (c *call) RoleName(r Role) string {
	switch r {
	case PrivacyOfficer:
		return c.say("privacy officer", "privacy officer")
	case Jurist:
		return c.say("jurist", "lawyer")
	case FG:
		return c.say("functionaris gegevensbescherming", "data protection officer")
	case Auditor:
		return c.say("auditor", "auditor")
	}
	return string(r)
}

// Office names the role of somebody who signs.
func (c *call) Office(r register.OfficerRole) string { return c.RoleName(Role(r)) }

// Who is the person signed in, or nobody.
func (c *call) Who() Person {
	if c.person == nil {
		return Person{}
	}
	return *c.person
}

// sendEvent writes one server-sent event.
func sendEvent(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "data: %s\n\n", data)
	return err
}

// item is something a part of a page is about, with what pages can ask.
type item struct {
	*call
	Item any
}

// With hands an item to a part of a page.
func (c *call) With(v any) item { return item{c, v} }
