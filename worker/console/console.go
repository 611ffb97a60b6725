// Package console is the web console: what runs did, what waits, why an asset is
// what it is, and the buttons that decide, start and cancel.
//
//	browser ──▶ access (who, which verbs) ──▶ console ─┬─▶ read API, in process: what is shown
//	                                                   └─▶ Control, Temporal: what is done
//
// It shows what the read API answers and does what the command line does, through
// the same workflows, so that the three cannot disagree. Pages are rendered here;
// scripts only refresh parts and draw charts, and every page works without them.
// All files are embedded: nothing is loaded from another host.
package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/worker/console/access"
	"github.com/qbridge/qbridge/worker/report"
	"github.com/qbridge/qbridge/workflows/contract"
)

//go:embed assets templates
var files embed.FS

// Options are the parts of a Console.
type Options struct {
	// API is the read API, without its guard.
	API      http.Handler
	Store    store.Store
	Settings *activities.Settings
	Control  Control
	Source   *report.Source
	Reports  *report.Cache
	// TemporalUI is the address of the Temporal UI; empty: runs are not linked to it.
	TemporalUI string
	Namespace  string
	Now        func() time.Time
	Log        zerolog.Logger
	Version    string
}

// Console serves the pages.
type Console struct {
	opts  Options
	api   readAPI
	pages map[string]*template.Template
}

// New returns a console. It fails only when an embedded template is wrong.
func New(o Options) (*Console, error) {
	c := &Console{opts: o, api: readAPI{o.API}, pages: map[string]*template.Template{}}
	base, err := template.New("layout").Funcs(functions(o.Now)).ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	names, err := fs.Glob(files, "templates/page-*.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	for _, name := range names {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		c.pages[strings.TrimSuffix(strings.TrimPrefix(name, "templates/page-"), ".html")] = t
	}
	return c, nil
}

// Handler returns the pages behind a gate.
func (c *Console) Handler(gate *access.Gate) (http.Handler, error) {
	mux := http.NewServeMux()
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	static := http.StripPrefix("/assets/", http.FileServerFS(assets))
	mux.HandleFunc("GET /assets/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		static.ServeHTTP(w, r)
	})
	gate.Routes(mux)
	for _, route := range c.routes() {
		mux.Handle(route.pattern, gate.Need(route.verb, route.handle))
	}
	mux.Handle("/", gate.Need(access.VerbRead, func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, &apiError{Status: http.StatusNotFound, Message: "there is no page " + r.URL.Path, Remedy: "the pages are listed at the top"})
	}))
	return gate.Guard(mux), nil
}

// route is an address with the verb that it needs.
type route struct {
	pattern string
	verb    access.Verb
	handle  http.HandlerFunc
}

func (c *Console) routes() []route {
	return []route{
		{"GET /{$}", access.VerbRead, c.overview},
		{"GET /overview/live", access.VerbRead, c.overviewLive},
		{"GET /runs", access.VerbRead, c.runs},
		{"GET /runs/{id}", access.VerbRead, c.run},
		{"GET /runs/{id}/live", access.VerbRead, c.runLive},
		{"GET /runs/{id}/outcomes", access.VerbRead, c.outcomes},
		{"POST /runs/start", access.VerbRun, c.startRun},
		{"POST /runs/{id}/cancel", access.VerbRun, c.cancelRun},
		{"POST /schedules/{schedule}/{action}", access.VerbRun, c.moveSchedule},
		{"GET /assets", access.VerbRead, c.assets},
		{"GET /asset", access.VerbRead, c.asset},
		{"GET /staged", access.VerbRead, c.staged},
		{"GET /staged/plan", access.VerbRead, c.plan},
		{"GET /staged/decision", access.VerbRead, c.decision},
		{"POST /staged/decide", access.VerbDecide, c.decide},
		{"GET /errors", access.VerbRead, c.failures},
		{"GET /certificates", access.VerbRead, c.certificates},
		{"GET /exports", access.VerbRead, c.exports},
		{"GET /exports/{schedule}", access.VerbRead, c.export},
		{"GET /configuration", access.VerbRead, c.configuration},
		{"POST /configuration/doctor", access.VerbConfigure, c.doctor},
		{"GET /reports", access.VerbRead, c.reports},
		{"GET /reports/{id}", access.VerbRead, c.report},
		{"GET /audit", access.VerbAudit, c.audit},
	}
}

// page is what every template gets.
type page struct {
	Title, Nav string
	Who        access.Principal
	CSRF       string
	Now        time.Time
	Path       string
	Filter     filter
	Schedules  []string
	TemporalUI string
	Namespace  string
	Version    string
	Notice     string
	Data       any
}

// SignInPage renders the page for signing in, Refused one that says why somebody may
// not do something: the gate calls them.
func (c *Console) SignInPage(w http.ResponseWriter, r *http.Request, v access.SignIn) {
	c.render(w, r, v.Status, "signin", "signin", "Sign in", v)
}

// Refused tells people on a page, and scripts in JSON, why not.
func (c *Console) Refused(w http.ResponseWriter, r *http.Request, status int, message, remedy string) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		c.render(w, r, status, "error", "layout", "Not possible", &apiError{Message: message, Remedy: remedy})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(contract.ErrorView{Error: message, Remedy: remedy}) // the caller is gone when this fails
}

// May reports whether whoever looks may do something, by the name of its verb.
func (p page) May(verb string) bool { return p.Who.May(access.Verb(verb)) }

// show renders a page.
func (c *Console) show(w http.ResponseWriter, r *http.Request, name, title string, data any) {
	c.render(w, r, http.StatusOK, name, "layout", title, data)
}

// part renders the part of a page that refreshes itself.
func (c *Console) part(w http.ResponseWriter, r *http.Request, name, block string, data any) {
	c.render(w, r, http.StatusOK, name, block, "", data)
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name, block, title string, data any) {
	p := page{
		Title: title, Nav: name, Who: access.From(r.Context()), CSRF: access.CSRF(r.Context()), Now: c.opts.Now(), Path: r.URL.Path, Filter: readFilter(r.URL.Query()),
		TemporalUI: strings.TrimRight(c.opts.TemporalUI, "/"), Namespace: c.opts.Namespace, Version: c.opts.Version, Notice: notices[r.URL.Query().Get("done")], Data: data,
	}
	if cfg := c.config(r.Context()); cfg != nil && p.Who.Name != "" {
		for i := range cfg.Schedules {
			p.Schedules = append(p.Schedules, cfg.Schedules[i].Name)
		}
	}
	var out bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&out, block, p); err != nil {
		c.opts.Log.Error().Err(err).Str("page", name).Msg("console")
		http.Error(w, "the page cannot be shown; the worker's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(harmless(out.Bytes())) // the reader is gone when this fails
}

// notices are what a page says after something was done; they are chosen by name so
// that an address cannot put words on it.
var notices = map[string]string{
	"started":   "The run is started.",
	"cancelled": "The run is being cancelled. What was written stays, and the next run goes on from there.",
	"paused":    "The schedule is paused.",
	"resumed":   "The schedule runs again.",
	"triggered": "The schedule runs now, unless it runs already.",
}

// harmless replaces control characters and direction overrides, which could make a
// name look like another one. Everything that is rendered passes here.
func harmless(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		if (unicode.IsControl(r) && r != '\n' && r != '\t') || unicode.Is(unicode.Bidi_Control, r) || (r == utf8.RuneError && n == 1) {
			out = utf8.AppendRune(out, utf8.RuneError)
		} else {
			out = append(out, in[:n]...)
		}
		in = in[n:]
	}
	return out
}

// fail shows an error with its remedy.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	var user *activities.UserError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &user):
		e = &apiError{Status: http.StatusConflict, Message: user.Message}
	case errors.Is(err, store.ErrNotFound):
		e = &apiError{Status: http.StatusNotFound, Message: "there is no such thing any more"}
	case errors.Is(err, context.Canceled):
		return
	default:
		c.opts.Log.Error().Err(err).Str("path", r.URL.Path).Msg("console")
		e = &apiError{Status: http.StatusInternalServerError, Message: "the worker cannot answer this now", Remedy: "see the worker's log"}
	}
	c.render(w, r, e.Status, "error", "layout", "Not possible", e)
}

// config is the active configuration, nil when there is none.
func (c *Console) config(ctx context.Context) *config.Config {
	_, cfg, err := c.opts.Settings.Config(ctx, "")
	if err != nil {
		return nil
	}
	return cfg
}

// kindOf returns the kind of a schedule of the active configuration.
func (c *Console) kindOf(ctx context.Context, schedule string) (string, error) {
	setup, err := c.opts.Settings.Of(ctx, "", contract.TriedSchedule(schedule))
	if err != nil {
		return "", err
	}
	return setup.Schedule.Kind, nil
}
