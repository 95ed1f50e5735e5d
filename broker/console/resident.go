package console

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/schakel/schakel/broker"
	"github.com/schakel/schakel/broker/audit"
	"github.com/schakel/schakel/broker/register"
)

// Resident is somebody whose data was asked for. The role exists on the residents' site alone.
const Resident Role = "inwoner"

// ResidentsDesk is what the residents' site works at. Whoever is signed in there is known by their BSN, which stays in memory.
type ResidentsDesk interface {
	// Report finds who asked for somebody's data. That they look, by whom, is durable in the log before anything is given; with
	// ErrNotRecorded, or any other error, nothing is. It may have to read the whole log, and tells how many entries it read.
	Report(ctx context.Context, by, about broker.BSN, read func(entries int)) (Report, error)
	// Represents gives for whom somebody acts today.
	Represents(by broker.BSN) []register.Representation
	// Requests gives what was asked about somebody, or by them for others, the oldest first.
	Requests(of broker.BSN) []register.RequestState
	// Restricted tells whether nothing of somebody is given now.
	Restricted(bsn broker.BSN) bool
	// Ask records a request; when it returns nil the request is durable. Errors: register.ErrManyOpen, and others.
	Ask(ctx context.Context, q register.ResidentRequest) error
}

// Report is what a resident is told, in both languages, and the file that proves that nothing was left out.
type Report struct {
	Dutch, English audit.SubjectReport
	// Proof is for `schakel audit index check`; nil where there is none, and then NoProof says why.
	Proof   []byte
	NoProof error
}

// ResidentsConfig is what the residents' site is made of. Desk and either Persons or OIDC must be set.
type ResidentsConfig struct {
	Desk ResidentsDesk
	// PublicURL is what browsers call the site, scheme and host. It is another than the officers'.
	PublicURL string
	// Organisation is who answers for this Schakel, and Contact how to reach its functionaris gegevensbescherming.
	Organisation, Contact string
	// Persons can be chosen without a password: for a demonstration on one machine only.
	Persons []TestPerson
	// OIDC signs residents in. With it Persons must be empty.
	OIDC *ResidentsOIDC
	// TLS makes Serve speak TLS.
	TLS *tls.Config
	// Log gets one event for each request, without who asked. nil: nothing is logged.
	Log *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// TestPerson is somebody who does not exist.
type TestPerson struct {
	Name string
	BSN  broker.BSN
}

// ResidentsOIDC says how residents sign in: OpenID Connect, as for officers, at a provider that has DigiD behind it. Its Roles
// and RolesClaim are not used.
type ResidentsOIDC struct {
	OIDC
	// BSNClaim names the claim of the ID token that holds the BSN.
	BSNClaim string
	// Levels are the values of the acr claim that will do: DigiD substantieel and hoog, as the provider names them. They are
	// asked for, and a sign-in without one of them is refused.
	Levels []string
}

// Residents is the http.Handler of the residents' listener. It knows nothing of officers and their sessions.
type Residents struct {
	*site
	cfg     ResidentsConfig
	reports *jobs // those that are made, and those that were made lately, by a random id that the session holds
}

// How long a resident stays signed in: shorter than an officer, for it may be the library's computer.
const (
	residentStays = 2 * time.Hour
	residentIdle  = 15 * time.Minute
)

// NewResidents makes the residents' site.
func NewResidents(c ResidentsConfig) (*Residents, error) {
	fail := func(err error) (*Residents, error) { return nil, fmt.Errorf("new residents' site: %w", err) }
	if c.Desk == nil || (c.OIDC == nil) == (len(c.Persons) == 0) {
		return fail(errors.New("Desk must be set, and either Persons or OIDC"))
	}
	base, err := newSite("schakel-inzage", c.PublicURL, c.Log, c.Now)
	if err != nil {
		return fail(err)
	}
	base.sessions.Lifetime, base.sessions.IdleTimeout = residentStays, residentIdle
	k := &Residents{site: base, cfg: c, reports: newJobs(reportsAtOnce, reportsKept)}
	if o := c.OIDC; o != nil {
		if o.BSNClaim == "" || len(o.Levels) == 0 {
			return fail(errors.New("BSNClaim and Levels must be set"))
		}
		k.provider = &provider{cfg: o.OIDC, redirect: callback(c.PublicURL), asks: []oauth2.AuthCodeOption{o.asked()}}
	}
	if k.pages, err = newPages("web/resident/layout.html", "web/resident/pages/*.html"); err != nil {
		return fail(err)
	}
	k.routes, k.menu, k.fail = k.table(), residentMenu, k.failed
	k.ready()
	return k, nil
}

// table is the one place that says what is on the residents' site.
func (k *Residents) table() []route {
	const get, post = http.MethodGet, http.MethodPost
	residents := []Role{Resident}
	return []route{
		{get, "/assets/:version/:name", nil, k.serveAsset},
		{get, "/toegankelijkheid", nil, k.servePlain("accessibility", "Toegankelijkheid", "Accessibility")},
		{get, "/aanmelden", nil, k.serveSignIn},
		{post, "/aanmelden", nil, k.signInAsTestPerson},
		{get, "/aanmelden/oidc", nil, k.goToProvider},
		{get, "/callback", nil, k.comeFromProvider},
		{post, "/afmelden", nil, k.signOut},
		{get, "/afgemeld", nil, k.serveSignedOut},
		{post, "/taal", nil, k.chooseLanguage},

		{get, "/", residents, k.serveStart},
		{post, "/overzicht", residents, k.makeReport},
		{get, "/overzicht", residents, k.serveReport},
		{get, "/overzicht/voortgang", residents, k.serveReportProgress},
		{post, "/overzicht/stop", residents, k.stopReport},
		{get, "/overzicht/gegevens", residents, k.serveData},
		{get, "/overzicht/bewijs", residents, k.serveProof},
		{get, "/verzoek", residents, k.serveRequest},
		{post, "/verzoek", residents, k.makeRequest},
		{get, "/verzoeken", residents, k.serveRequests},
	}
}

func residentMenu(c *call) []link {
	return []link{
		{"/", c.say("Begin", "Start"), false},
		{"/verzoek", c.say("Vraag of meld iets", "Ask or report something"), false},
		{"/verzoeken", c.say("Mijn berichten", "My messages"), false},
	}
}

// Serve answers requests on a listener until ctx ends.
func (k *Residents) Serve(ctx context.Context, l net.Listener) error {
	if err := k.serve(ctx, l, k.cfg.TLS, k.reports.stop); err != nil {
		return fmt.Errorf("serve residents' site: %w", err)
	}
	return nil
}

// servePlain serves a page without data.
func (k *Residents) servePlain(page, nl, en string) func(*call) error {
	return func(c *call) error { return c.render(http.StatusOK, page, c.say(nl, en), k.contact()) }
}

// contact is who a resident has to do with.
type contact struct{ Organisation, Contact string }

func (k *Residents) contact() contact { return contact{k.cfg.Organisation, k.cfg.Contact} }

// errBusy tells that others wait for their reports.
var errBusy = errors.New("too many reports are being made")

// failed shows an error as a page, in words for a resident.
func (k *Residents) failed(c *call, err error) {
	type fault struct{ Text, Advice string }
	show := func(status int, title, text, advice string) {
		if again := c.render(status, "error", title, fault{text, advice}); again != nil {
			http.Error(c.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
	}
	var m mistake
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errSignIn):
		c.redirect("/aanmelden")
	case errors.Is(err, errForged):
		show(http.StatusForbidden, c.say("Dit formulier is verlopen", "This form has expired"),
			c.say("U was te lang weg, of u bent opnieuw ingelogd. Er is niets gewijzigd.", "You were away too long, or signed in again. Nothing was changed."),
			c.say("Open de pagina opnieuw en probeer het nog eens.", "Open the page again and try once more."))
	case errors.Is(err, errNotFound):
		show(http.StatusNotFound, c.say("Pagina niet gevonden", "Page not found"),
			c.say("Deze pagina bestaat niet, of niet meer.", "This page does not exist, or no longer."), "")
	case errors.Is(err, errNoMethod):
		show(http.StatusMethodNotAllowed, c.say("Dit kan hier niet", "Not possible here"), "", "")
	case errors.Is(err, errForbidden):
		show(http.StatusForbidden, c.say("Dit mag u niet", "You may not do this"),
			c.say("U mag dit niet bekijken.", "You may not see this."), "")
	case errors.Is(err, errBusy):
		show(http.StatusServiceUnavailable, c.say("Het is nu druk", "It is busy now"),
			c.say("Veel mensen maken op dit moment een overzicht.", "Many people are making an overview at the moment."),
			c.say("Probeer het over een paar minuten nog eens.", "Try again in a few minutes."))
	case errors.Is(err, ErrNotRecorded):
		show(http.StatusServiceUnavailable, c.say("Wij kunnen nu niets laten zien", "We can't show anything now"),
			c.say("Wij schrijven eerst op dat u het overzicht bekijkt. Dat lukte niet.", "We first write down that you look at the overview. That failed."),
			c.say("Probeer het later nog eens.", "Try again later."))
	case errors.Is(err, register.ErrManyOpen):
		show(http.StatusBadRequest, c.say("U heeft al veel gevraagd", "You already asked much"),
			c.say("Er wachten al twintig berichten op antwoord.", "Twenty messages already wait for an answer."),
			c.say("Wacht tot u antwoord heeft, of neem contact met ons op.", "Wait until you have an answer, or contact us."))
	case errors.As(err, &m):
		show(http.StatusBadRequest, c.say("Er ging iets mis", "Something went wrong"), c.say(m.nl, m.en), c.say("Ga terug en probeer het opnieuw.", "Go back and try again."))
	case errors.As(err, &large):
		show(http.StatusRequestEntityTooLarge, c.say("Dit is te groot", "This is too large"), c.say("Uw tekst is te lang. Maak hem korter.", "Your text is too long. Make it shorter."), "")
	default:
		show(http.StatusInternalServerError, c.say("Er ging iets mis", "Something went wrong"),
			c.say("Dit ligt aan ons, niet aan u.", "This is our fault, not yours."),
			c.say("Probeer het later nog eens. Blijft het zo? Neem dan contact met ons op.", "Try again later. Does it stay so? Then contact us."))
	}
}
