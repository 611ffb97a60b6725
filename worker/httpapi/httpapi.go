// Package httpapi serves the worker's HTTP: health, metrics, the read API and the
// console. It changes nothing: whatever changes something goes through Temporal.
//
//	/healthz          the process lives
//	/readyz           store and Temporal answer
//	/metrics          Prometheus
//	/api/v1/…         read API (contract.Path*), behind the token when one is set
//	/                 the console (worker/console), which asks people to sign in
package httpapi

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Options are the parts of a Server.
type Options struct {
	Addr     string
	Token    string // asked as "Authorization: Bearer <token>"; empty: open
	Store    store.Store
	Settings *activities.Settings
	Bodies   *activities.Bodies
	Metrics  *prometheus.Registry
	Ready    func(context.Context) error
	Log      zerolog.Logger
	Version  contract.VersionView
}

// Server is the worker's HTTP server.
type Server struct {
	opts    Options
	srv     *http.Server
	console http.Handler // nil: there is none
}

// New returns a server that does not listen yet.
func New(opts Options) *Server {
	if opts.Version.Go == "" {
		opts.Version.Go = runtime.Version()
	}
	s := &Server{opts: opts}
	s.srv = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 16,
	}
	return s
}

// Start listens and serves until Close; failed is told when serving ends
// otherwise. It returns the address.
func (s *Server) Start(failed func(error)) (string, error) {
	ln, err := net.Listen("tcp", s.opts.Addr)
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w; set QBRIDGE_HTTP_ADDR to a free address", s.opts.Addr, err)
	}
	go func() {
		if err := s.srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("http: %w", err))
		}
	}()
	return ln.Addr().String(), nil
}

// Close stops the server and waits shortly for answers in flight.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		_ = s.srv.Close() // answers that take longer are cut off
	}
}

// Mount serves the console at everything that is not this server's own. It is called
// before Start.
func (s *Server) Mount(console http.Handler) {
	s.console = console
	s.srv.Handler = s.Handler()
}

// API returns the read API without its guard, for callers in this process.
func (s *Server) API() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET "+contract.PathRuns, s.listRuns)
	api.HandleFunc("GET "+contract.PathRuns+"/{id}", s.showRun)
	api.HandleFunc("GET "+contract.PathRuns+"/{id}/outcomes", s.listOutcomes)
	api.HandleFunc("GET "+contract.PathAssets+"/{id}", s.showAsset)
	api.HandleFunc("GET "+contract.PathAssets+"/{id}/explain", s.explainAsset)
	api.HandleFunc("GET "+contract.PathConfig, s.showConfig)
	api.HandleFunc("GET "+contract.PathInputs, s.listInputs)
	api.HandleFunc("GET "+contract.PathStaged, s.listStaged)
	api.HandleFunc("GET "+contract.PathStaged+"/decisions", s.showDecision)
	api.HandleFunc("GET "+contract.PathExports+"/{schedule}", s.showExport)
	api.HandleFunc("GET "+contract.PathTags+"/{schedule}", s.showTags)
	api.HandleFunc("GET "+contract.PathAudit+"/verify", s.verifyAudit)
	api.HandleFunc("GET "+contract.PathAudit+"/log", s.showLog)
	api.HandleFunc("GET "+contract.PathVersion, s.showVersion)
	api.HandleFunc("GET "+contract.PathCertificates, s.listCertificates)
	return api
}

// Handler returns all routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.guard(promhttp.HandlerFor(s.opts.Metrics, promhttp.HandlerOpts{})))
	mux.Handle("/api/v1/", s.guard(s.API()))
	if s.console != nil {
		mux.Handle("/", s.console)
	}
	return mux
}

// guard asks for the token, compared in constant time. Without one only programs of
// this machine are let in: a page of another site whose name was made to lead here
// (DNS rebinding) still says that name.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.opts.Token == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !here(r.Host) {
				refuse(w, http.StatusForbidden, "the read API was asked for under the name "+r.Host, "ask at 127.0.0.1 or localhost, or set QBRIDGE_API_TOKEN")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(s.opts.Token)) != 1 {
			refuse(w, http.StatusUnauthorized, "the read API asks for a token", "set QBRIDGE_API_TOKEN to the worker's token")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// here reports whether a Host header names this machine by itself.
func here(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.opts.Ready(ctx); err != nil {
		s.opts.Log.Warn().Err(err).Msg("not ready")
		refuse(w, http.StatusServiceUnavailable, err.Error(), "")
		return
	}
	answer(w, map[string]string{"status": "ready"})
}

func (s *Server) showVersion(w http.ResponseWriter, _ *http.Request) { answer(w, s.opts.Version) }

// fail answers an error of the store: what does not exist is the caller's
// mistake, the rest is ours and only logged in full.
func (s *Server) fail(w http.ResponseWriter, err error, missing, remedy string) {
	var user *activities.UserError
	switch {
	case errors.Is(err, store.ErrNotFound):
		refuse(w, http.StatusNotFound, missing, remedy)
	case errors.As(err, &user):
		refuse(w, http.StatusConflict, user.Message, "")
	default:
		s.opts.Log.Error().Err(err).Msg("read API")
		refuse(w, http.StatusInternalServerError, "the run store did not answer", "see the worker's log")
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone when this fails
}

func refuse(w http.ResponseWriter, status int, message, remedy string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(contract.ErrorView{Error: message, Remedy: remedy}) // as above
}
