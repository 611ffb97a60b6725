package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
)

// policy lets a page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Guard lets requests pass that come from somebody who is signed in, or with the
// token; /sign-in and /assets/ are open. Everything gets the headers that keep other
// sites out.
func (g *Gate) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !g.paces.allow(address(r)) {
			h.Set("Retry-After", "1")
			g.opts.Refused(w, r, http.StatusTooManyRequests, "too many requests come from this address", "wait a second")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/sign-in" || strings.HasPrefix(r.URL.Path, "/sign-in/") {
			next.ServeHTTP(w, r)
			return
		}
		g.admit(w, r, next)
	})
}

// admit finds out who asks.
func (g *Gate) admit(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if g.opts.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(g.opts.Token)) != 1 {
			g.opts.Refused(w, r, http.StatusUnauthorized, "the token is not the worker's", "set QBRIDGE_API_TOKEN to the worker's token")
			return
		}
		next.ServeHTTP(w, as(r, visit{who: Principal{Name: "token", Roles: []Role{Admin}, How: HowToken}}))
		return
	}
	s, err := g.session(r)
	switch {
	case errors.Is(err, store.ErrNotFound):
		g.turnAway(w, r)
		return
	case err != nil:
		g.opts.Log.Error().Err(err).Msg("session")
		g.opts.Refused(w, r, http.StatusServiceUnavailable, "the run store did not answer", "try again in a moment; the worker's log says why")
		return
	}
	v := visit{who: Principal{Name: s.Name, Roles: rolesOf(s.Roles), How: s.How}, csrf: s.CSRF}
	if unsafe(r) {
		if err := g.ours(r, s.CSRF); err != nil {
			g.opts.Log.Warn().Err(err).Str("by", s.Name).Str("path", r.URL.Path).Msg("refused a form")
			g.opts.Refused(w, as(r, v), http.StatusForbidden, "the form does not come from a page of this session", "load the page again and repeat")
			return
		}
	}
	next.ServeHTTP(w, as(r, v))
}

func as(r *http.Request, v visit) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), contextKey{}, v))
}

func unsafe(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// ours checks that a form comes from a page of the session: by what browsers say of
// its origin, and by the token that only such a page holds.
func (g *Gate) ours(r *http.Request, csrf string) error {
	if err := g.cross.Check(r); err != nil {
		return err
	}
	if csrf == "" || subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(csrf)) != 1 {
		return errors.New("access: no token, or one of another session")
	}
	return nil
}

// turnAway sends people to sign in, and tells scripts what is missing. A link from
// another site brings no cookie: the page asks again by itself, and then it does.
func (g *Gate) turnAway(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get("HX-Request") != "" || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		g.opts.Refused(w, r, http.StatusUnauthorized, "nobody is signed in, or the session has ended", "open the console and sign in, or send QBRIDGE_API_TOKEN as a bearer token")
		return
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><meta http-equiv="refresh" content="0"><title>qbridge</title><p><a href="">Go on to the console</a></p></html>`)
		return
	}
	http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

// Need lets only those pass whose roles have a verb.
func (g *Gate) Need(v Verb, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := From(r.Context())
		if !p.May(v) {
			roles := rolesWith(v)
			g.opts.Log.Warn().Str("by", p.Name).Str("verb", string(v)).Str("path", r.URL.Path).Msg("refused: no role")
			g.opts.Refused(w, r, http.StatusForbidden, fmt.Sprintf("%s may not do this", p.Name), fmt.Sprintf("it needs the role %s; whoever manages the groups of your sign-in can give it", roles[0]))
			return
		}
		h(w, r)
	})
}

// address is the address of a caller without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// cookieName binds the cookie to this host where TLS is used.
func (g *Gate) cookieName(name string) string {
	if g.opts.Secure {
		return "__Host-" + name
	}
	return name
}

const sessionCookie = "qbridge"

// session returns the living session of a request, or store.ErrNotFound.
func (g *Gate) session(r *http.Request) (store.Session, error) {
	c, err := r.Cookie(g.cookieName(sessionCookie))
	if err != nil || c.Value == "" {
		return store.Session{}, store.ErrNotFound
	}
	s, err := g.opts.Store.SessionByDigest(r.Context(), digestOf(c.Value))
	if err != nil {
		return s, err
	}
	now := g.opts.Now()
	if now.Sub(s.SeenAt) > idleEnd || now.Sub(s.StartedAt) > absoluteEnd {
		return s, errors.Join(store.ErrNotFound, g.opts.Store.DropSession(r.Context(), s.Digest))
	}
	if now.Sub(s.SeenAt) > touchEvery {
		return s, g.opts.Store.TouchSession(r.Context(), s.Digest, now)
	}
	return s, nil
}

func digestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// begin starts a session with a new secret, whatever the browser brought.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, p Principal) error {
	if old, err := r.Cookie(g.cookieName(sessionCookie)); err == nil {
		if err := g.opts.Store.DropSession(r.Context(), digestOf(old.Value)); err != nil {
			return err
		}
	}
	secret, now := rand.Text()+rand.Text(), g.opts.Now()
	s := store.Session{Digest: digestOf(secret), Name: p.Name, How: p.How, CSRF: rand.Text(), StartedAt: now, SeenAt: now}
	for _, role := range p.Roles {
		s.Roles = append(s.Roles, string(role))
	}
	if err := g.opts.Store.PutSession(r.Context(), s, now.Add(-idleEnd)); err != nil {
		return err
	}
	g.setCookie(w, sessionCookie, secret, int(absoluteEnd.Seconds()), http.SameSiteStrictMode)
	g.opts.Log.Info().Str("by", p.Name).Str("how", p.How).Str("from", address(r)).Msg("signed in")
	return nil
}

// setCookie sets a cookie that no script reads; one with an age below 0 is removed.
func (g *Gate) setCookie(w http.ResponseWriter, name, value string, age int, same http.SameSite) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is left out only where the console is reached through loopback
		Name: g.cookieName(name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: g.opts.Secure, SameSite: same,
	})
}
