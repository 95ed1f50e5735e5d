package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/oauth2"

	"github.com/schakel/schakel/broker"
)

func (k *Residents) serveSignIn(c *call) error {
	if c.person != nil {
		c.redirect("/")
		return nil
	}
	return c.render(http.StatusOK, "signin", c.say("Inloggen", "Sign in"), struct {
		contact
		Persons []TestPerson
	}{k.contact(), k.cfg.Persons})
}

// signInAsTestPerson is for the demo: whoever reaches the site may be anybody who does not exist. The form sends a number,
// never a BSN.
func (k *Residents) signInAsTestPerson(c *call) error {
	n, err := strconv.Atoi(c.r.PostFormValue("persoon"))
	if err != nil || n < 0 || n >= len(k.cfg.Persons) {
		return mistake{"Kies wie u bent.", "Choose who you are."}
	}
	p := k.cfg.Persons[n]
	return c.enter(Person{Name: p.Name, Role: Resident, bsn: p.BSN})
}

// asked names the levels that will do, so that the provider asks for no less.
func (o *ResidentsOIDC) asked() oauth2.AuthCodeOption {
	return oauth2.SetAuthURLParam("acr_values", strings.Join(o.Levels, " "))
}

// bearer reads from a verified ID token who signed in. A provider may give a lower level than was asked, so that is looked at.
// No error says what a claim held.
func (o *ResidentsOIDC) bearer(claims map[string]json.RawMessage) (broker.BSN, error) {
	var level, number string
	if json.Unmarshal(claims["acr"], &level) != nil || !slices.Contains(o.Levels, level) {
		return "", mistake{"U bent ingelogd op een manier die niet veilig genoeg is. Log in met de DigiD app en een controle van uw identiteitsbewijs.",
			"You signed in in a way that is not secure enough. Sign in with the DigiD app and an identity check."}
	}
	if json.Unmarshal(claims[o.BSNClaim], &number) != nil {
		return "", fmt.Errorf("sign in: the ID token has no text in claim %s", o.BSNClaim)
	}
	bsn, err := broker.ParseBSN(number)
	if err != nil {
		return "", fmt.Errorf("sign in: claim %s: %w", o.BSNClaim, err)
	}
	return bsn, nil
}

// comeFromProvider signs a resident in. Of the token nothing is kept but the BSN, in the session's memory.
func (k *Residents) comeFromProvider(c *call) error {
	_, claims, err := k.proven(c)
	if err != nil {
		return err
	}
	bsn, err := k.cfg.OIDC.bearer(claims)
	if err != nil {
		return err
	}
	return c.enter(Person{Role: Resident, bsn: bsn})
}

// signOut forgets what was made for this session too.
func (k *Residents) signOut(c *call) error {
	k.forget(c)
	return k.site.signOut(c)
}
