package access

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
)

// Routes adds the pages for signing in and out.
func (g *Gate) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) { g.ask(w, r, http.StatusOK, "") })
	mux.HandleFunc("POST /sign-in", g.signIn)
	mux.HandleFunc("POST /sign-out", g.signOut)
	if g.opts.OIDC != nil {
		mux.HandleFunc("GET /sign-in/oidc", g.oidcStart) // no form: a form may not be led to another host
		mux.HandleFunc("GET /sign-in/oidc/callback", g.oidcReturn)
	}
}

// ask shows the page for signing in.
func (g *Gate) ask(w http.ResponseWriter, r *http.Request, status int, problem string) {
	n, err := g.opts.Store.CountAccounts(r.Context())
	if err != nil {
		g.opts.Log.Error().Err(err).Msg("accounts")
		status, problem = http.StatusServiceUnavailable, "The run store did not answer; the worker's log says why."
	}
	g.opts.SignInPage(w, r, SignIn{Status: status, Problem: problem, Next: local(r.FormValue("next")), Password: n > 0, OIDC: g.opts.OIDC != nil})
}

// local is a place to go to on this console, "/" for any other.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return u.RequestURI()
}

// signIn takes a name and password.
func (g *Gate) signIn(w http.ResponseWriter, r *http.Request) {
	if err := g.cross.Check(r); err != nil {
		g.opts.Refused(w, r, http.StatusForbidden, "the form does not come from this console", "open /sign-in and repeat")
		return
	}
	name := r.PostFormValue("name")
	if !g.guesses.allow("from "+address(r)) || !g.guesses.allow("as "+name) {
		g.opts.Log.Warn().Str("as", name).Str("from", address(r)).Msg("too many passwords")
		w.Header().Set("Retry-After", "10")
		g.ask(w, r, http.StatusTooManyRequests, "Too many tries. Wait ten seconds.")
		return
	}
	a, err := g.checkPassword(r.Context(), name, r.PostFormValue("password"))
	if errors.Is(err, store.ErrNotFound) {
		g.opts.Log.Warn().Str("as", name).Str("from", address(r)).Msg("wrong name or password")
		g.ask(w, r, http.StatusUnauthorized, "The name or the password is wrong.")
		return
	}
	if err == nil {
		err = g.begin(w, r, Principal{Name: a.Name, Roles: rolesOf(a.Roles), How: HowLocal})
	}
	if err != nil {
		g.opts.Log.Error().Err(err).Msg("sign in")
		g.ask(w, r, http.StatusServiceUnavailable, "The run store did not answer; the worker's log says why.")
		return
	}
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
}

func (g *Gate) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(g.cookieName(sessionCookie)); err == nil {
		if err := g.opts.Store.DropSession(r.Context(), digestOf(c.Value)); err != nil {
			g.opts.Log.Error().Err(err).Msg("sign out")
			g.opts.Refused(w, r, http.StatusServiceUnavailable, "the run store did not answer: you are still signed in", "try again in a moment")
			return
		}
	}
	g.setCookie(w, sessionCookie, "", -1, http.SameSiteStrictMode)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}
