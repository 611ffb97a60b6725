// Package access decides who may use the console, and for what.
//
//	request ─▶ Guard: headers, limits, session or token ─▶ Principal ─▶ Need(verb) ─▶ page
//	               └ no session ─▶ /sign-in ─┬─ OpenID Connect (people)
//	                                         └─ password (the first admin, on loopback only)
//
// Sessions live in the store, so that several workers share them and signing out
// ends them; the browser holds a random value of which only a digest is kept. Every
// form brings back a token of its session.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"github.com/qbridge/qbridge/activities/store"
)

// Role is what somebody is trusted with.
type Role string

// Roles. An admin may do everything.
const (
	Viewer      Role = "viewer"
	Operator    Role = "operator"
	Approver    Role = "approver"
	ConfigAdmin Role = "config-admin"
	Auditor     Role = "auditor"
	Admin       Role = "admin"
)

// Verb is what somebody wants to do.
type Verb string

// Verbs.
const (
	VerbRead      Verb = "read"      // look at runs, assets, plans and reports
	VerbRun       Verb = "run"       // start and cancel runs, pause and trigger schedules
	VerbDecide    Verb = "decide"    // approve, reject, hold, write again
	VerbConfigure Verb = "configure" // test connections
	VerbAudit     Verb = "audit"     // read and check the decision log
)

// Verbs lists all verbs.
func Verbs() []Verb { return []Verb{VerbRead, VerbRun, VerbDecide, VerbConfigure, VerbAudit} }

// allowed are the verbs of the roles. Whoever may do anything may look.
var allowed = map[Role][]Verb{
	Viewer:      {VerbRead},
	Operator:    {VerbRead, VerbRun},
	Approver:    {VerbRead, VerbDecide},
	ConfigAdmin: {VerbRead, VerbConfigure},
	Auditor:     {VerbRead, VerbAudit},
	Admin:       Verbs(),
}

// Known reports whether there is such a role.
func Known(r Role) bool { return allowed[r] != nil }

// rolesWith lists the roles that have a verb, the least one first.
func rolesWith(v Verb) []Role {
	var out []Role
	for _, r := range []Role{Viewer, Operator, Approver, ConfigAdmin, Auditor, Admin} {
		if slices.Contains(allowed[r], v) {
			out = append(out, r)
		}
	}
	return out
}

// How somebody showed who they are.
const (
	HowLocal = "local"
	HowOIDC  = "oidc"
	HowToken = "token"
)

// Principal is whoever asks.
type Principal struct {
	Name  string
	Roles []Role
	How   string // local | oidc | token
}

// May reports whether one of the roles has the verb.
func (p Principal) May(v Verb) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.Contains(allowed[r], v) })
}

type contextKey struct{}

type visit struct {
	who  Principal
	csrf string
}

// From returns whoever asks; nobody before Guard.
func From(ctx context.Context) Principal {
	v, _ := ctx.Value(contextKey{}).(visit)
	return v.who
}

// CSRF returns the token that the forms of the session bring back.
func CSRF(ctx context.Context) string {
	v, _ := ctx.Value(contextKey{}).(visit)
	return v.csrf
}

// SignIn is what the page for signing in shows.
type SignIn struct {
	Status   int
	Problem  string
	Next     string // where to go afterwards: a path of this console
	Password bool   // whether there is an account with a password
	OIDC     bool
}

// Options are the parts of a Gate.
type Options struct {
	Store store.Accounts
	// Token, when set, is a bearer token with all verbs, for scripts.
	Token string
	// Secure says that browsers reach the console through TLS only: its cookies are
	// never sent in the clear. A console that only loopback reaches needs none.
	Secure bool
	// OIDC signs people in; nil: nobody but the local admin.
	OIDC *OIDC
	Now  func() time.Time
	Log  zerolog.Logger
	// SignInPage renders the page for signing in, Refused one that says why not.
	SignInPage func(w http.ResponseWriter, r *http.Request, v SignIn)
	Refused    func(w http.ResponseWriter, r *http.Request, status int, message, remedy string)
}

// Gate guards the console.
type Gate struct {
	opts    Options
	cross   *http.CrossOriginProtection
	paces   *paces
	guesses *paces
	nobody  string // a hash that nobody knows the password of
}

// New returns a gate.
func New(o Options) (*Gate, error) {
	nobody, err := bcrypt.GenerateFromPassword(digest(rand.Text()), bcrypt.DefaultCost)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &Gate{opts: o, nobody: string(nobody), cross: http.NewCrossOriginProtection(), paces: newPaces(requestsPerSecond, requestBurst, o.Now), guesses: newPaces(guessesPerSecond, guessBurst, o.Now)}, nil
}

// Limits of one address: what a page full of charts asks for is far below them.
const (
	requestsPerSecond = 50
	requestBurst      = 200
	guessesPerSecond  = 0.1 // passwords
	guessBurst        = 10
	maxBody           = 1 << 20
)

// Sessions end after a rest, and after a day at the latest.
const (
	idleEnd     = 8 * time.Hour
	absoluteEnd = 24 * time.Hour
	touchEvery  = time.Minute
)

// Minimum length of a password that somebody chooses.
const minPassword = 12

// ErrShortPassword is of a password that is too easy to guess.
var ErrShortPassword = fmt.Errorf("access: the password has fewer than %d characters", minPassword)

// SetPassword makes an account with a password, or replaces it. bcrypt is slow on
// purpose, says with which parameters it was made, and is what x/crypto keeps up.
func SetPassword(ctx context.Context, s store.Accounts, name, password string, roles ...Role) error {
	if len(password) < minPassword {
		return ErrShortPassword
	}
	hash, err := bcrypt.GenerateFromPassword(digest(password), bcrypt.DefaultCost)
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	a := store.Account{Name: name, Password: string(hash)}
	for _, r := range roles {
		a.Roles = append(a.Roles, string(r))
	}
	return s.PutAccount(ctx, a)
}

// HasPassword reports whether an account has a password: a worker that starts again
// with the same one ends no session.
func HasPassword(ctx context.Context, s store.Accounts, name, password string) (bool, error) {
	a, err := s.AccountByName(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && bcrypt.CompareHashAndPassword([]byte(a.Password), digest(password)) == nil, err
}

// digest shortens a password to what bcrypt takes: it refuses more than 72 bytes.
func digest(password string) []byte {
	sum := sha256.Sum256([]byte(password))
	return []byte(hex.EncodeToString(sum[:]))
}

// checkPassword returns the account of a name and password, or store.ErrNotFound.
func (g *Gate) checkPassword(ctx context.Context, name, password string) (store.Account, error) {
	a, err := g.opts.Store.AccountByName(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return a, err
	}
	hash := a.Password
	if err != nil {
		hash = g.nobody // guessing a name takes as long as guessing a password
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), digest(password)) != nil || err != nil {
		return store.Account{}, store.ErrNotFound
	}
	return a, nil
}

// roles reads the names of roles; unknown ones, of another version, give nothing.
func rolesOf(names []string) []Role {
	var out []Role
	for _, n := range names {
		if Known(Role(n)) {
			out = append(out, Role(n))
		}
	}
	return out
}
