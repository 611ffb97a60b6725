package servicenow_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/activities/transport"
)

// cutAnswer promises more than it sends and drops the connection.
func cutAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "5000")
	_, _ = io.WriteString(w, newServer[:300])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// drop drops the connection without an answer.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

const hibernating = `<html><head><title>Instance Hibernating page</title></head><body>Your instance is hibernating</body></html>`

// TestFaults is the table of what each fault means for a write and for a read.
func TestFaults(t *testing.T) {
	t.Parallel()
	envelope := func(message, detail string) string {
		return `{"error":{"message":"` + message + `","detail":` + detail + `},"status":"failure"}`
	}
	for name, tc := range map[string]struct {
		step        http.HandlerFunc
		write, read servicenow.Kind
		code        string
		retryAfter  time.Duration
		says        string
	}{
		"202 without a body was dropped or not": {answer(202, "", ""), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeQueued, 0, "queued"},
		"an empty 200":                          {jsonAnswer(200, ""), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeEmpty, 0, "empty"},
		"white space only":                      {jsonAnswer(200, " \n "), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeEmpty, 0, "empty"},
		"a hibernating instance":                {answer(200, "text/html", hibernating), servicenow.KindUnavailable, servicenow.KindUnavailable, servicenow.CodeHibernating, 0, "wake it up"},
		"a hibernating instance with 503":       {answer(503, "text/html", hibernating), servicenow.KindUnavailable, servicenow.KindUnavailable, servicenow.CodeHibernating, 0, "wake it up"},
		"a login page":                          {answer(200, "text/html", "\n<!DOCTYPE html><form>"), servicenow.KindUnavailable, servicenow.KindUnavailable, servicenow.CodeNotJSON, 0, "web page"},
		"plain text":                            {answer(200, "text/plain", "OK"), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeNotJSON, 0, "not JSON"},
		"a redirect to a login page":            {answer(302, "text/html", "", "Location", "https://sso.example.org/login?token=abc"), servicenow.KindUnavailable, servicenow.KindUnavailable, servicenow.CodeRedirect, 0, "https://sso.example.org/login;"},
		"an answer cut in the middle":           {cutAnswer, servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeTruncated, 0, "EOF"},
		"a whole answer of half a document":     {jsonAnswer(200, newServer[:300]), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeTruncated, 0, "EOF"},
		"an answer without a result":            {jsonAnswer(200, `{}`), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeTruncated, 0, "no result"},
		"a connection lost after the request":   {drop, servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeNetwork, 0, "EOF"},
		"an answer ended by a quota": {jsonAnswer(200, `{"result":[{"sys_id":"1"}],"error":{"message":"Transaction cancelled: maximum execution time exceeded","detail":"x"},"status":"failure"}`),
			servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeCancelled, 0, "Transaction cancelled"},
		"a call cancelled by a quota":      {jsonAnswer(500, envelope("Transaction cancelled: maximum execution time exceeded", `null`)), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, servicenow.CodeCancelled, 0, "maximum execution"},
		"500":                              {jsonAnswer(500, envelope("Internal", `"boom"`)), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, "", 0, "Internal (boom)"},
		"502 with a page":                  {answer(502, "text/html", "<html>"), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, "", 0, "bad gateway"},
		"503 with a wait":                  {answer(503, "text/plain", "", "Retry-After", "30"), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, "", 30 * time.Second, "503"},
		"504":                              {answer(504, "text/html", ""), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, "", 0, "504"},
		"408":                              {answer(408, "", ""), servicenow.KindUnknownOutcome, servicenow.KindUnavailable, "", 0, "408"},
		"429 with seconds":                 {jsonAnswer(429, envelope("Rate limit exceeded", `"Rate limit of 5 requests"`), "Retry-After", "17"), servicenow.KindRateLimited, servicenow.KindRateLimited, "", 17 * time.Second, "Rate limit"},
		"429 with a date":                  {jsonAnswer(429, "{}", "Retry-After", noon.Add(90*time.Second).Format(http.TimeFormat)), servicenow.KindRateLimited, servicenow.KindRateLimited, "", 90 * time.Second, "429"},
		"429 with an instant of reset":     {jsonAnswer(429, "{}", "X-RateLimit-Reset", "1772366460"), servicenow.KindRateLimited, servicenow.KindRateLimited, "", 60 * time.Second, "429"},
		"429 of a full semaphore queue":    {answer(429, "text/html", ""), servicenow.KindRateLimited, servicenow.KindRateLimited, "", 0, "too many requests"},
		"401 is final":                     {jsonAnswer(401, envelope("User Not Authenticated", `"Required to provide Auth information"`)), servicenow.KindUnauthorized, servicenow.KindUnauthorized, "", 0, "Required to provide"},
		"401 of a client without this API": {jsonAnswer(401, envelope("User Not Authorized", `"Access to unscoped api is not allowed"`)), servicenow.KindForbidden, servicenow.KindForbidden, "", 0, "unscoped"},
		"403":                              {jsonAnswer(403, envelope("Insufficient rights to query records", `null`)), servicenow.KindForbidden, servicenow.KindForbidden, "", 0, "Insufficient rights"},
		"404":                              {jsonAnswer(404, envelope("No Record found", `"Record doesn't exist or ACL restricts the record retrieval"`)), servicenow.KindInvalidRequest, servicenow.KindInvalidRequest, "", 0, "ACL restricts"},
		"400":                              {jsonAnswer(400, envelope("Invalid table X", `null`)), servicenow.KindInvalidRequest, servicenow.KindInvalidRequest, "", 0, "Invalid table X"},
		"413":                              {answer(413, "text/html", "<html>"), servicenow.KindTooLarge, servicenow.KindTooLarge, "", 0, "413"},
		"400 that names the size limit":    {jsonAnswer(400, envelope("Request content length exceeds the maximum", `null`)), servicenow.KindTooLarge, servicenow.KindTooLarge, "", 0, "content length"},
		"500 of the parser of options":     {jsonAnswer(500, envelope("x", `"Chunk [partial] is not a valid entry"`)), servicenow.KindInvalidRequest, servicenow.KindInvalidRequest, "", 0, "Chunk"},
		"an error that is only a string":   {jsonAnswer(400, `{"error":"nope"}`), servicenow.KindInvalidRequest, servicenow.KindInvalidRequest, "", 0, "nope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, tc.step)
			in.Config.ErrorLog = nil
			c := basic(t, in.URL)
			_, meta, err := c.IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
			e := mustError(t, err)
			require.Equal(t, tc.write, e.Kind(), "write: %v", err)
			require.Equal(t, tc.code, e.Code)
			require.Equal(t, tc.retryAfter, e.RetryAfter)
			require.Equal(t, meta.Status, e.Status)
			require.ErrorContains(t, err, tc.says)

			err = c.Authenticate(t.Context())
			require.Equal(t, tc.read, mustError(t, err).Kind(), "read: %v", err)
			require.Equal(t, tc.code, mustError(t, err).Code)
			require.Len(t, in.requests(), 2, "nothing is repeated")
		})
	}
}

func TestAServerThatDoesNotAnswerInTime(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	in := newInstance(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	c := basic(t, in.URL, func(cfg *servicenow.Config) { cfg.Timeout = 50 * time.Millisecond })
	_, _, err := c.IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	e := mustError(t, err)
	require.Equal(t, servicenow.KindUnknownOutcome, e.Kind())
	require.Equal(t, servicenow.CodeTimeout, e.Code)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestACancelledCallStaysACancellation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := newInstance(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, _, err := basic(t, in.URL).IdentifyReconcile(ctx, host(), servicenow.IREOptions{})
	require.ErrorIs(t, err, context.Canceled)
	var e *servicenow.Error
	require.False(t, errors.As(err, &e), "nothing to classify: %v", err)
}

func TestAWriteThatNeverLeftIsUnavailable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	_, _, err := basic(t, closed.URL).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	e := mustError(t, err)
	require.Equal(t, servicenow.KindUnavailable, e.Kind())
	require.Equal(t, servicenow.CodeNetwork, e.Code)
}

func TestErrorsOfTheTransport(t *testing.T) {
	t.Parallel()
	failing := func(err error) *servicenow.Client {
		return basic(t, "https://example.invalid", func(cfg *servicenow.Config) {
			cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
		})
	}
	_, _, err := failing(&transport.RateLimitedError{Endpoint: "x", RetryAfter: time.Minute}).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	require.Equal(t, servicenow.KindRateLimited, mustError(t, err).Kind())
	require.Equal(t, time.Minute, mustError(t, err).RetryAfter)

	var notAllowed *transport.HostNotAllowedError
	_, _, err = failing(&transport.HostNotAllowedError{Host: "example.invalid"}).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	require.ErrorAs(t, err, &notAllowed)

	_, _, err = failing(errors.New("broken pipe")).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
	require.Equal(t, servicenow.KindUnknownOutcome, mustError(t, err).Kind(), "whether it was sent is not known")
}

func TestAnswersAreReadUpToALimit(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(200, newServer))
	limited := func(n int64) error {
		_, _, err := basic(t, in.URL, func(cfg *servicenow.Config) { cfg.MaxAnswer = n }).IdentifyReconcile(t.Context(), host(), servicenow.IREOptions{})
		return err
	}
	require.NoError(t, limited(int64(len(newServer))))
	e := mustError(t, limited(int64(len(newServer))-1))
	require.Equal(t, servicenow.CodeAnswerSize, e.Code)
	require.Equal(t, servicenow.KindUnknownOutcome, e.Kind())
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	reflect := func(status int, known ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text := strings.Join(append(known, r.Header.Get("Authorization"), password), " ")
			jsonAnswer(status, `{"error":{"message":"`+text+`","detail":"`+text+`"},"status":"failure"}`)(w, r)
		}
	}
	secrets := []string{password, clientSecret, "tok-planted", "cWJyaWRnZTpwNHNz"} // the last is the head of the basic credentials
	check := func(err error) {
		t.Helper()
		e := mustError(t, err)
		for _, s := range secrets {
			require.NotContains(t, err.Error(), s)
			require.NotContains(t, e.Message+e.Detail, s)
		}
		require.Contains(t, err.Error(), "***")
	}
	for _, status := range []int{400, 401, 403, 500} {
		check(basic(t, newInstance(t, reflect(status)).URL).Authenticate(t.Context()))
		check(oauth(t, newInstance(t, token("tok-planted", 1799), reflect(status, clientSecret), token("tok-planted", 1799), reflect(status, clientSecret)).URL).Authenticate(t.Context()))
		check(oauth(t, newInstance(t, reflect(status, clientSecret)).URL).Authenticate(t.Context()))
	}
	c := basic(t, "https://example.invalid", func(cfg *servicenow.Config) {
		cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy said " + password) })
	})
	check(c.Authenticate(t.Context()))

	_, err := servicenow.New(servicenow.Config{Name: "x", URL: "https://u:" + "hidden-pw" + "@host", Auth: servicenow.Auth{Type: "basic", Username: "u", Password: password}})
	require.ErrorContains(t, err, "holds credentials")
	require.NotContains(t, err.Error(), "hidden-pw")
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	in := newInstance(t, jsonAnswer(400, `{"error":{"message":"`+strings.Repeat("ä\\n", 5000)+`"}}`))
	e := mustError(t, basic(t, in.URL).Authenticate(t.Context()))
	require.Len(t, []rune(e.Message), 301)
	require.NotContains(t, e.Message, "\n")
}
