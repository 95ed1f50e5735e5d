package console_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/schakel/schakel/broker/console"
	"github.com/schakel/schakel/broker/register"
)

// TestRoles asks for every page and action as every role. The table is written out again here: a change of who may do
// what has to be made twice.
func TestRoles(t *testing.T) {
	const p, j, f, a = "p1", "j", "f", "a"
	all := []string{p, j, f, a}
	readers, authors, watchers := []string{p, j, f}, []string{p, j}, []string{p, f, a}
	want := map[string][]string{
		"GET /ontwerpen": readers, "POST /ontwerpen": authors, "GET /ontwerpen/:id": readers, "POST /ontwerpen/:id/weg": authors,
		"POST /ontwerpen/:id/verplaats": authors, "GET /ontwerpen/:id/bestand": readers, "POST /ontwerpen/:id/bestand": authors,
		"POST /ontwerpen/:id/toets": authors, "POST /ontwerpen/:id/opmaak": authors, "GET /ontwerpen/:id/woorden": authors,
		"POST /ontwerpen/:id/toetsing": authors, "POST /ontwerpen/:id/toetsing/stop": authors, "GET /ontwerpen/:id/voortgang": readers,
		"POST /ontwerpen/:id/indienen": authors, "GET /voorstel/:nummer": readers, "POST /voorstel/:nummer/goedkeuren": authors,
		"POST /voorstel/:nummer/narekenen": readers, "GET /voorstel/:nummer/voortgang": readers, "POST /voorstel/:nummer/instemmen": authors,
		"GET /waarom": all, "POST /waarom": readers, "POST /waarom/besluit": all, "GET /waarom/:id": all, "GET /waarom/:id/voortgang": all,
		"POST /voorstel/:nummer/activeren": authors, "GET /noodstop": {p}, "POST /noodstop": {p},
		"GET /matrix": readers, "POST /matrix": readers, "GET /matrix/voortgang": readers, "GET /matrix/bestand": readers,
		"GET /logboek": watchers, "POST /logboek/zoek": watchers, "GET /logboek/gevonden/:id": watchers, "POST /logboek/gebeurtenis": watchers,
		"GET /logboek/gebeurtenis/:id": watchers, "POST /logboek/gebeurtenis/:id/bewijs": watchers, "GET /logboek/gebeurtenis/:id/bewijs": watchers,
		"POST /logboek/gebeurtenis/:id/opnieuw": watchers, "POST /logboek/zaak": watchers, "GET /logboek/zaak/:id": watchers,
		"GET /inzagen": watchers, "POST /inzagen": watchers, "GET /inzagen/:id": watchers, "GET /inzagen/:id/voortgang": watchers, "POST /inzagen/:id/beoordeel": watchers, "POST /inzagen/:id/stop": watchers,
		"GET /integriteit": watchers, "POST /integriteit": watchers, "GET /integriteit/voortgang": watchers, "POST /integriteit/stop": watchers,
		"GET /inwoners": {p, f}, "POST /inwoners": {p, f}, "GET /inwoners/:id": {p, f}, "POST /inwoners/:id/antwoord": {p, f}, "POST /inwoners/:id/verleng": {p, f},
		"POST /inwoners/:id/beperk": {p, f}, "POST /inwoners/:id/ontvangers": {p, f}, "GET /inwoners/:id/voortgang": {p, f}, "POST /inwoners/:id/stop": {p, f},
		"GET /geschiedenis": all, "GET /": all, "GET /beleid": readers, "GET /beleid/bestand": readers, "GET /catalogus": all, "GET /afspraken": readers,
	}
	public := []string{"GET /assets/:version/:name", "GET /toegankelijkheid", "GET /aanmelden", "POST /aanmelden", "GET /aanmelden/oidc",
		"GET /callback", "POST /afmelden", "GET /afgemeld", "POST /taal"}
	s := start(t, nil)
	visitors := map[string]*visitor{"": s.visitor()}
	for _, who := range all {
		visitors[who] = s.as(who)
	}
	routes := console.Routes(t)
	if len(routes) != len(want)+len(public) {
		t.Errorf("the table has %d routes, this test knows %d", len(routes), len(want)+len(public))
	}
	for _, route := range routes {
		may, known := want[route]
		if !known {
			if !contains(public, route) {
				t.Errorf("%s: this test does not know who may", route)
			}
			continue
		}
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer(":id", "geen", ":nummer", "99").Replace(path)
		for who, v := range visitors {
			var status int
			if method == http.MethodGet {
				resp, _ := v.get(path)
				status = resp.StatusCode
			} else {
				resp, _ := v.send(path, nil)
				status = resp.StatusCode
			}
			switch {
			case who == "" && status != http.StatusSeeOther:
				t.Errorf("%s by nobody: %d, want a way to sign in", route, status)
			case who != "" && (status == http.StatusForbidden) == contains(may, who):
				t.Errorf("%s by %s: %d", route, who, status)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestNothingOutsideTheTable(t *testing.T) {
	v := start(t, nil).as("p1")
	for _, path := range []string{"/x", "/beleid/", "/assets/x/console.css", "/assets/x/..%2Flayout.html", "/web/layout.html"} {
		if resp, _ := v.get(path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if resp, _ := v.send("/catalogus", nil); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST on a page: %d", resp.StatusCode)
	}
}

// TestHeaders: no answer without a policy that forbids inline script and style, whoever asks for whatever.
func TestHeaders(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	for _, path := range []string{"/", "/aanmelden", "/x", "/beleid", "/assets/x/y"} {
		resp, body := v.get(path)
		csp := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: %q lacks %s", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		if strings.Contains(body, "style=") || strings.Contains(body, "onclick") || strings.Contains(body, "<style") {
			t.Errorf("%s has inline style or script", path)
		}
		if resp.Header.Get("Cache-Control") == "" || !strings.Contains(resp.Header.Get("Cache-Control"), "no-") {
			t.Errorf("%s: Cache-Control %q", path, resp.Header.Get("Cache-Control"))
		}
	}
}

func TestEscaped(t *testing.T) {
	s := start(t, nil)
	s.desk.files["schakel/x.rego"] = []byte("# <img src=x onerror=alert(1)>\npackage x\nx := \"</li><script>\"\n")
	v := s.as("p1")
	for _, path := range []string{"/afspraken", "/beleid/bestand?pad=schakel/x.rego", "/beleid/bestand?pad=<script>"} {
		_, body := v.get(path)
		if strings.Contains(body, "<script>") || strings.Contains(body, "<img src") {
			t.Errorf("%s is not escaped", path)
		}
	}
	if _, body := v.get("/beleid/bestand?pad=schakel/x.rego"); !strings.Contains(body, "&lt;/li&gt;") {
		t.Error("the file is not shown")
	}
}

// TestForgery: a change without this session's token, or from another site, is refused.
func TestForgery(t *testing.T) {
	s := start(t, nil)
	v, other := s.as("p1"), s.as("p2")
	for name, form := range map[string]url.Values{"none": {}, "another's": {"token": {other.token("/")}}, "wrong": {"token": {"x"}}} {
		form.Set("taal", "en")
		if resp, _ := v.post("/taal", form); resp.StatusCode != http.StatusForbidden {
			t.Errorf("token %s: %d", name, resp.StatusCode)
		}
	}
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"} {
		form := url.Values{"token": {v.token("/")}, "taal": {"en"}}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL+"/taal", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(name, value)
		if resp, _ := v.do(r); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if resp, _ := v.send("/taal", url.Values{"taal": {"en"}}); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("with its token: %d", resp.StatusCode)
	}
	if _, body := v.get("/"); !strings.Contains(body, `<html lang="en">`) {
		t.Error("the language did not change")
	}
}

// TestFixation: the session id and the form token of before signing in are worth nothing after it, and those of a session
// that ended are worth nothing.
func TestFixation(t *testing.T) {
	s := start(t, nil)
	v := s.visitor()
	token := v.token("/aanmelden")
	before := v.cookie()
	v.post("/aanmelden", url.Values{"token": {token}, "persona": {"p1"}})
	after := v.cookie()
	if before == "" || before == after {
		t.Error("signing in kept the session id")
	}
	if resp, _ := v.post("/taal", url.Values{"token": {token}, "taal": {"en"}}); resp.StatusCode != http.StatusForbidden {
		t.Error("signing in kept the form token")
	}
	thief := s.visitor()
	stolen := func(value string) int {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/", nil)
		r.AddCookie(&http.Cookie{Name: "schakel-console", Value: value})
		resp, _ := thief.do(r)
		return resp.StatusCode
	}
	if stolen(after) != http.StatusOK {
		t.Fatal("the session is not in the cookie: this test tests nothing")
	}
	thief = s.visitor()
	if stolen(before) == http.StatusOK {
		t.Error("the old session id is signed in")
	}
	if resp, _ := v.send("/afmelden", nil); resp.StatusCode != http.StatusSeeOther {
		t.Error("sign out")
	}
	thief = s.visitor()
	if stolen(after) == http.StatusOK {
		t.Error("the session lives on after signing out")
	}
}

func TestCookie(t *testing.T) {
	for scheme, want := range map[string]string{"http://": "schakel-console=", "https://": "__Host-schakel-console="} {
		var host string
		s := start(t, func(c *console.Config) {
			host = strings.TrimPrefix(c.PublicURL, "http://")
			c.PublicURL = scheme + host
		})
		resp, _ := s.visitor().get("/aanmelden")
		c := resp.Header.Get("Set-Cookie")
		if !strings.HasPrefix(c, want) || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || !strings.Contains(c, "Path=/") {
			t.Errorf("%s: %s", scheme, c)
		}
		if strings.Contains(c, "Secure") != (scheme == "https://") || strings.Contains(c, "Domain") || strings.Contains(c, "Max-Age") {
			t.Errorf("%s: %s", scheme, c)
		}
		if hsts := resp.Header.Get("Strict-Transport-Security"); (hsts != "") != (scheme == "https://") {
			t.Errorf("%s: Strict-Transport-Security %q", scheme, hsts)
		}
	}
}

// TestSignOutStays: a request that was under way while somebody signed out does not bring the session back.
func TestSignOutStays(t *testing.T) {
	s := start(t, nil)
	v := s.as("p1")
	u, _ := url.Parse(s.URL)
	cookies := v.client.Jar.Cookies(u)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.desk.gateways = func() { entered <- struct{}{}; <-leave }
	done := make(chan int)
	go func() {
		resp, _ := v.get("/")
		done <- resp.StatusCode
	}()
	<-entered
	if resp, _ := v.send("/afmelden", nil); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign out: %d", resp.StatusCode)
	}
	close(leave)
	if code := <-done; code != http.StatusOK {
		t.Fatalf("the request under way: %d", code)
	}
	s.desk.gateways = nil
	old := s.visitor()
	old.client.Jar.SetCookies(u, cookies)
	if resp, _ := old.get("/"); resp.Header.Get("Location") != "/aanmelden" {
		t.Errorf("the old session is alive: %d", resp.StatusCode)
	}
}

// TestWayBack: after signing in one goes on where one wanted to be, and never to another site.
func TestWayBack(t *testing.T) {
	s := start(t, nil)
	v := s.visitor()
	v.get("/beleid/bestand?pad=schakel/access.rego")
	resp, _ := v.send("/aanmelden", url.Values{"persona": {"p1"}})
	if to := resp.Header.Get("Location"); to != "/beleid/bestand?pad=schakel/access.rego" {
		t.Errorf("after signing in: %s", to)
	}
	for _, bad := range []string{"https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)", ""} {
		resp, _ := v.send("/taal", url.Values{"taal": {"nl"}, "terug": {bad}})
		if to := resp.Header.Get("Location"); to != "/" {
			t.Errorf("way back %q: %s", bad, to)
		}
	}
}

// TestHost: another name that leads here (DNS rebinding) gets nothing.
func TestHost(t *testing.T) {
	s := start(t, nil)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/aanmelden", nil)
	r.Host = "elsewhere.example"
	if resp, _ := s.visitor().do(r); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", resp.StatusCode)
	}
}

func TestNoPersonaOutsideTheDemo(t *testing.T) {
	s := start(t, func(c *console.Config) {
		c.Personas, c.OIDC = nil, &console.OIDC{Issuer: "http://127.0.0.1:1", ClientID: "x"}
	})
	v := s.visitor()
	for _, id := range []string{"p1", ""} {
		if resp, _ := v.send("/aanmelden", url.Values{"persona": {id}}); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("a persona where there are none: %d", resp.StatusCode)
		}
	}
}

// TestOverviewOfFaults: a gateway that serves and refuses something is not said to be well, and what it says is marked as
// English; a draft of one's own that came into force waits for nobody.
func TestOverviewOfFaults(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *console.Config) { c.Dir = dir })
	v := s.as("p1")
	s.desk.problem = "the bundle is altered"
	if _, body := v.get("/"); !strings.Contains(body, "bedient, met een fout") || strings.Contains(body, ">goed<") ||
		!strings.Contains(body, `<span lang="en">the bundle is altered</span>`) {
		t.Errorf("a gateway with a fault: %s", body)
	}
	s.desk.problem = ""
	at, base := v.draft("mijn wijziging"), s.desk.live()
	v.send(at+"/bestand", url.Values{"pad": {wmo}, "inhoud": {"# anders\n"}, "actie": {"bewaar"}})
	s.desk.change(wmo, "# anders\n")
	if _, body := v.get("/"); !strings.Contains(body, "Uw ontwerp is achterhaald") {
		t.Error("an outdated draft is not told of")
	}
	file := filepath.Join(dir, strings.TrimPrefix(at, "/ontwerpen/")+".json")
	kept, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(kept), `{`, `{"sent":"`+string(s.desk.live())+`",`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, body := v.get("/"); !strings.Contains(body, "Uw ontwerp is achterhaald") {
		t.Error("a draft that was sent, and is not what came into force, is not told of")
	}
	s.desk.propose(register.Draft{Base: base, Revision: s.desk.live()})
	if _, body := v.get("/"); strings.Contains(body, "Uw ontwerp is achterhaald") {
		t.Error("a draft that came into force waits for its author")
	}
	if _, body := v.get(at); !strings.Contains(body, "in werking getreden") || strings.Contains(body, "intussen veranderd") {
		t.Error("the draft does not say that it came into force")
	}
}
