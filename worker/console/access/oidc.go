package access

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC signs people in through an OpenID Connect provider: the authorization code
// flow with PKCE, state and nonce (OpenID Connect Core 1.0, RFC 7636). Tokens are
// checked by go-oidc, which is small, kept up, and used by most Go programs that do
// this.
type OIDC struct {
	Issuer, ClientID, ClientSecret string
	// PublicURL is where browsers reach the console, without a path.
	PublicURL string
	// Claim names the claim with the groups of a person, Roles what they give.
	Claim string
	Roles map[string]Role
	HTTP  *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

const (
	oidcCookie   = "qbridge-oidc"
	oidcAge      = 10 * time.Minute
	oidcTimeout  = 15 * time.Second
	callbackPath = "/sign-in/oidc/callback"
)

// pending is what the browser keeps while it is at the provider.
type pending struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"to"`
}

// discover reads the provider's addresses and keeps them; a provider that does not
// answer is asked again the next time.
func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		p, err := oidc.NewProvider(ctx, o.Issuer)
		if err != nil {
			return nil, nil, fmt.Errorf("access: provider %s: %w", o.Issuer, err)
		}
		o.provider = p
	}
	return o.provider, &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: o.provider.Endpoint(),
		RedirectURL: strings.TrimRight(o.PublicURL, "/") + callbackPath, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}, nil
}

// within is a context for calls to the provider. The keys of the provider are read
// with the client of the context in which it was discovered, which therefore must
// not end with the request.
func (o *OIDC) within(r *http.Request) (context.Context, context.CancelFunc) {
	ctx := oidc.ClientContext(context.WithoutCancel(r.Context()), o.HTTP)
	return context.WithTimeout(ctx, oidcTimeout)
}

func (g *Gate) oidcStart(w http.ResponseWriter, r *http.Request) {
	_, conf, err := g.opts.OIDC.discover(oidc.ClientContext(context.WithoutCancel(r.Context()), g.opts.OIDC.HTTP))
	if err != nil {
		g.opts.Log.Error().Err(err).Msg("sign in")
		g.ask(w, r, http.StatusBadGateway, "The sign-in service does not answer. The worker's log says why.")
		return
	}
	p := pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: local(r.FormValue("next"))}
	raw, err := json.Marshal(p)
	if err != nil {
		g.opts.Refused(w, r, http.StatusBadRequest, "the form cannot be read", "")
		return
	}
	g.setCookie(w, oidcCookie, encode(raw), int(oidcAge.Seconds()), http.SameSiteLaxMode) // it comes back from another site
	http.Redirect(w, r, conf.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), http.StatusSeeOther)
}

func (g *Gate) oidcReturn(w http.ResponseWriter, r *http.Request) {
	p, err := g.takePending(w, r)
	if err == nil && (p.State == "" || r.FormValue("state") != p.State) {
		err = errors.New("access: another state")
	}
	if err != nil {
		g.opts.Log.Warn().Err(err).Str("from", address(r)).Msg("sign in")
		g.ask(w, r, http.StatusBadRequest, "This sign-in was not begun here, or too long ago. Begin again.")
		return
	}
	who, err := g.exchange(r, p)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		g.opts.Log.Warn().Err(err).Msg("sign in")
		g.ask(w, r, http.StatusForbidden, refused.message)
		return
	case err != nil:
		g.opts.Log.Error().Err(err).Msg("sign in")
		g.ask(w, r, http.StatusBadGateway, "The sign-in service refused or did not answer. The worker's log says why.")
		return
	}
	if err := g.begin(w, r, who); err != nil {
		g.opts.Log.Error().Err(err).Msg("sign in")
		g.ask(w, r, http.StatusServiceUnavailable, "The run store did not answer; the worker's log says why.")
		return
	}
	// A redirect would still count as coming from the provider, and the session's
	// cookie would stay at home: the page goes on by itself.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	to := html.EscapeString(local(p.Next))
	fmt.Fprintf(w, `<!doctype html><html lang="en"><meta http-equiv="refresh" content="0;url=%s"><title>qbridge</title><p><a href="%s">Go on to the console</a></p></html>`, to, to)
}

// takePending reads what the browser kept, once.
func (g *Gate) takePending(w http.ResponseWriter, r *http.Request) (pending, error) {
	var p pending
	c, err := r.Cookie(g.cookieName(oidcCookie))
	if err != nil {
		return p, err
	}
	g.setCookie(w, oidcCookie, "", -1, http.SameSiteLaxMode)
	raw, err := decode(c.Value)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(raw, &p)
}

// refusedError is of somebody whom the provider knows and we do not let in.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return "access: " + e.message }

// exchange turns the provider's code into a person with roles.
func (g *Gate) exchange(r *http.Request, p pending) (Principal, error) {
	ctx, cancel := g.opts.OIDC.within(r)
	defer cancel()
	if problem := r.FormValue("error"); problem != "" {
		return Principal{}, fmt.Errorf("access: the provider says %q: %q", problem, r.FormValue("error_description"))
	}
	provider, conf, err := g.opts.OIDC.discover(oidc.ClientContext(context.WithoutCancel(r.Context()), g.opts.OIDC.HTTP))
	if err != nil {
		return Principal{}, err
	}
	token, err := conf.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return Principal{}, fmt.Errorf("access: exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Principal{}, errors.New("access: the provider sent no ID token")
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: conf.ClientID, Now: g.opts.Now}).Verify(ctx, raw)
	if err != nil {
		return Principal{}, fmt.Errorf("access: ID token: %w", err)
	}
	if id.Nonce != p.Nonce {
		return Principal{}, errors.New("access: ID token of another sign-in (nonce)")
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return Principal{}, fmt.Errorf("access: claims: %w", err)
	}
	return g.opts.OIDC.person(id.Subject, claims)
}

// person reads the name and the roles of somebody from claims. An address counts as
// a name only when the provider has verified it.
func (o *OIDC) person(subject string, claims map[string]any) (Principal, error) {
	who := Principal{Name: subject, How: HowOIDC}
	email, _ := claims["email"].(string)
	if verified, _ := claims["email_verified"].(bool); email != "" && verified {
		who.Name = email
	} else if name, _ := claims["preferred_username"].(string); name != "" {
		who.Name = name
	}
	var groups []string
	switch list := claims[o.Claim].(type) {
	case string:
		groups = []string{list}
	case []any:
		for _, g := range list {
			if name, ok := g.(string); ok {
				groups = append(groups, name)
			}
		}
	}
	for _, group := range groups {
		if role, ok := o.Roles[group]; ok && !slices.Contains(who.Roles, role) {
			who.Roles = append(who.Roles, role)
		}
	}
	if len(who.Roles) == 0 {
		return who, &refusedError{fmt.Sprintf("%s is signed in but has no role: none of the groups in the claim %q is in QBRIDGE_OIDC_ROLE_MAP.", who.Name, o.Claim)}
	}
	return who, nil
}
