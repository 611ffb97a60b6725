package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/qbridge/qbridge/workflows/contract"
)

// stackFile is what the CLI reads of the local stack's addresses.
type stackFile struct {
	Temporal struct {
		Address   string `json:"address"`
		Namespace string `json:"namespace"`
		UI        string `json:"ui"`
	} `json:"temporal"`
	Worker struct {
		URL string `json:"url"`
	} `json:"worker"`
}

// stack returns the addresses of a running local stack, or zero values.
func (a *app) stack() stackFile {
	var s stackFile
	data, err := os.ReadFile(a.DevFile)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return stackFile{}
	}
	return s
}

// temporal connects to Temporal: TEMPORAL_* and its profile, else the local
// stack, else localhost.
func (a *app) temporal(ctx context.Context) (client.Client, error) {
	opts, err := a.clientOptions()
	if err != nil {
		return nil, err
	}
	opts.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	opts.Identity = "qbridge-cli"
	c, err := a.Dial(ctx, opts)
	if err != nil {
		address := opts.HostPort
		if address == "" {
			address = "localhost:7233"
		}
		return nil, &ExitError{Code: ExitFailed, Err: fmt.Errorf("no Temporal server at %s: start one (make run), or set TEMPORAL_ADDRESS", address)}
	}
	return c, nil
}

// clientOptions reads TEMPORAL_* and its profile; an address that neither names
// is that of the local stack.
func (a *app) clientOptions() (client.Options, error) {
	opts, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: lookup(a.Env)})
	if err != nil {
		return opts, usage("TEMPORAL_*: %v", err)
	}
	if opts.HostPort == "" {
		local := a.stack().Temporal
		opts.HostPort = local.Address
		if opts.Namespace == "" {
			opts.Namespace = local.Namespace
		}
	}
	return opts, nil
}

// lookup lets envconfig read the environment of an invocation, not that of the
// process.
type lookup Env

// Environ is only asked for TEMPORAL_GRPC_META_*.
func (l lookup) Environ() []string {
	if l.Environment == nil {
		return nil
	}
	return l.Environment()
}

// LookupEnv treats an empty variable as unset.
func (l lookup) LookupEnv(name string) (string, bool) {
	v := l.Getenv(name)
	return v, v != ""
}

// maxAnswer bounds an answer of the read API.
const maxAnswer = 64 << 20

// get asks the worker's read API.
func (a *app) get(ctx context.Context, path string, query url.Values, out any) error {
	base := a.Getenv("QBRIDGE_URL")
	if base == "" {
		base = a.stack().Worker.URL
	}
	if base == "" {
		base = "http://127.0.0.1:8086"
	}
	u := strings.TrimRight(base, "/") + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return usage("QBRIDGE_URL is not a URL")
	}
	if token := a.Getenv("QBRIDGE_API_TOKEN"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := a.HTTP.Do(req)
	if err != nil {
		return &ExitError{Code: ExitFailed, Err: fmt.Errorf("no worker answers at %s: start one (make run), or set QBRIDGE_URL", base)}
	}
	defer func() { _ = res.Body.Close() }()
	body := io.LimitReader(res.Body, maxAnswer)
	if res.StatusCode != http.StatusOK {
		return &ExitError{Code: ExitFailed, Err: refusal(base, res, body)}
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return &ExitError{Code: ExitFailed, Err: fmt.Errorf("the answer of %s cannot be read: %w", base, err)}
	}
	return nil
}

// apiError is an error answer of the read API.
type apiError struct {
	Status int
	text   string
}

func (e *apiError) Error() string { return e.text }

// refusal reads an error answer: its own words and remedy, else the status.
func refusal(base string, res *http.Response, body io.Reader) error {
	var e contract.ErrorView
	if json.NewDecoder(body).Decode(&e) != nil || e.Error == "" {
		e.Error = fmt.Sprintf("the worker at %s answered %s", base, res.Status)
		if res.StatusCode == http.StatusUnauthorized {
			e.Remedy = "set QBRIDGE_API_TOKEN to the worker's token"
		}
	}
	if e.Remedy != "" {
		e.Error += "; " + e.Remedy
	}
	return &apiError{Status: res.StatusCode, text: e.Error}
}

// notFound reports whether the read API knows of no such thing.
func notFound(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
