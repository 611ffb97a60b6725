package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/workflows/contract"
)

// apiError is an error answer of the read API, or one that the console itself gives.
type apiError struct {
	Status          int
	Message, Remedy string
}

func (e *apiError) Error() string { return e.Message }

// missing reports whether an error says that there is no such thing.
func missing(err error) bool {
	var e *apiError
	return errors.Is(err, store.ErrNotFound) || (errors.As(err, &e) && e.Status == http.StatusNotFound)
}

// readAPI asks the read API in process.
type readAPI struct{ handler http.Handler }

// get asks for a path and decodes the answer. Errors are *apiError.
func (a readAPI) get(ctx context.Context, path string, query url.Values, out any) error {
	u := &url.URL{Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	a.handler.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		var e contract.ErrorView
		if err := json.Unmarshal(w.body.Bytes(), &e); err != nil || e.Error == "" {
			e.Error = http.StatusText(w.status)
		}
		return &apiError{Status: w.status, Message: e.Error, Remedy: e.Remedy}
	}
	if err := json.Unmarshal(w.body.Bytes(), out); err != nil {
		return fmt.Errorf("console: answer of %s: %w", path, err)
	}
	return nil
}

// answer keeps an answer of the read API, whose lists are bounded.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
