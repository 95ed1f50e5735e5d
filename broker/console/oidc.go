package console

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC says how people sign in at the organisation's identity provider: OpenID Connect, authorization code with PKCE
// (S256), state and nonce. All but RolesClaim and HTTP must be set.
type OIDC struct {
	Issuer, ClientID, ClientSecret string
	// RolesClaim names the claim of the ID token that holds a role or a list of them; "roles" when empty.
	RolesClaim string
	// Roles says which role in the console a value of that claim gives. A person with none is refused; with several
	// gets the one that stands first in PrivacyOfficer, Jurist, FG, Auditor.
	Roles map[string]Role
	// HTTP reaches the provider; http.DefaultClient when nil.
	HTTP *http.Client
}

// provider is asked for its addresses and keys at the first sign-in: it may be away when the console starts.
type provider struct {
	cfg      OIDC
	redirect string
	scopes   []string                // beside openid
	asks     []oauth2.AuthCodeOption // more that is asked at each sign-in

	mu       sync.Mutex
	found    *oidc.Provider
	verifier *oidc.IDTokenVerifier
}

func (p *provider) context(ctx context.Context) context.Context {
	if p.cfg.HTTP != nil {
		return oidc.ClientContext(ctx, p.cfg.HTTP)
	}
	return ctx
}

func (p *provider) open(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// The provider keeps this context for fetching keys, long after the request.
		found, err := oidc.NewProvider(p.context(context.WithoutCancel(ctx)), p.cfg.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("reach identity provider: %w", err)
		}
		p.found, p.verifier = found, found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID})
	}
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.redirect,
		Endpoint: p.found.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, p.scopes...)}, p.verifier, nil
}

// leave gives where people sign out at the provider and come back to the sign-in page (OpenID Connect RP-Initiated Logout
// 1.0); "" where the provider has no such place. The ID token is not sent as a hint: it would stand in a URL, with all that it
// says of a person.
func (p *provider) leave(ctx context.Context) (string, error) {
	cfg, _, err := p.open(ctx)
	if err != nil {
		return "", err
	}
	var offers struct {
		End string `json:"end_session_endpoint"`
	}
	if err := p.found.Claims(&offers); err != nil {
		return "", fmt.Errorf("read what the provider offers: %w", err)
	}
	u, err := url.Parse(offers.End)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", nil
	}
	q := u.Query()
	q.Set("client_id", cfg.ClientID)
	q.Set("post_logout_redirect_uri", strings.TrimSuffix(p.redirect, callbackPath)+"/aanmelden")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// goToProvider begins a sign-in: what comes back must fit what this session keeps.
func (s *site) goToProvider(c *call) error {
	if s.provider == nil {
		return errNotFound
	}
	cfg, _, err := s.provider.open(c.r.Context())
	if err != nil {
		return err
	}
	state, nonce, verifier := random(), random(), oauth2.GenerateVerifier()
	c.session.Put(c.r.Context(), sessionState, state+" "+nonce+" "+verifier)
	asks := append([]oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}, s.provider.asks...)
	http.Redirect(c.w, c.r, cfg.AuthCodeURL(state, asks...), http.StatusFound)
	return nil
}

// proven ends a sign-in, and gives the subject and all claims of an ID token that was verified. State, nonce and verifier are
// good for one try.
func (s *site) proven(c *call) (subject string, claims map[string]json.RawMessage, err error) {
	if s.provider == nil {
		return "", nil, errNotFound
	}
	kept := strings.Split(c.session.PopString(c.r.Context(), sessionState), " ")
	q := c.r.URL.Query()
	if len(kept) != 3 || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(kept[0])) != 1 {
		return "", nil, mistake{"Deze aanmelding is verlopen of niet hier begonnen. Meld u opnieuw aan.", "This sign-in expired or did not begin here. Sign in again."}
	}
	if q.Get("error") != "" {
		return "", nil, mistake{"Het aanmelden is niet gelukt. Probeer het opnieuw.", "Signing in did not succeed. Try again."}
	}
	cfg, verifier, err := s.provider.open(c.r.Context())
	if err != nil {
		return "", nil, err
	}
	token, err := cfg.Exchange(s.provider.context(c.r.Context()), q.Get("code"), oauth2.VerifierOption(kept[2]))
	if err != nil {
		return "", nil, fmt.Errorf("sign in: exchange code: %w", errors.New("the provider refused it")) // its text may name a person
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := verifier.Verify(s.provider.context(c.r.Context()), raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(kept[1])) != 1 {
		return "", nil, mistake{"Het aanmelden is niet goed gegaan. Meld u opnieuw aan.", "Signing in did not go right. Sign in again."}
	}
	claims = map[string]json.RawMessage{}
	if err := id.Claims(&claims); err != nil {
		return "", nil, errors.New("sign in: read claims") // its text may name a person
	}
	return id.Subject, claims, nil
}

// comeFromProvider signs an officer in.
func (k *Console) comeFromProvider(c *call) error {
	subject, claims, err := k.proven(c)
	if err != nil {
		return err
	}
	role, ok := k.provider.role(claims)
	if !ok {
		return errForbidden
	}
	p := Person{ID: subject, Name: subject, Role: role}
	var name string
	if json.Unmarshal(claims["name"], &name) == nil && name != "" {
		p.Name = name
	}
	return c.enter(p)
}

// role finds the role that the claims give.
func (p *provider) role(claims map[string]json.RawMessage) (Role, bool) {
	claim := p.cfg.RolesClaim
	if claim == "" {
		claim = "roles"
	}
	var values []string
	if json.Unmarshal(claims[claim], &values) != nil {
		var one string
		_ = json.Unmarshal(claims[claim], &one)
		values = []string{one}
	}
	for _, role := range everybody() {
		for _, v := range values {
			if v != "" && p.cfg.Roles[v] == role {
				return role, true
			}
		}
	}
	return "", false
}
