package servicenow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// request is one call.
type request struct {
	op     string
	method string
	path   string
	query  url.Values
	body   *body
	// writes marks calls that change something: when their answer is lost,
	// nobody knows whether they did.
	writes bool
}

// unknown is the kind of a failure after which the call may have been processed.
func (r request) unknown() Kind {
	if r.writes {
		return KindUnknownOutcome
	}
	return KindUnavailable
}

// lost is the error of an answer that cannot be read.
func (r request) lost(meta Meta, code, message string) *Error {
	return &Error{Op: r.op, Status: meta.Status, Code: code, Message: message, TransactionID: meta.TransactionID, kind: r.unknown()}
}

// envelope is the frame of all answers. An error beside the result means that
// the instance ended the call after it had begun to answer.
type envelope[T any] struct {
	Result *T         `json:"result"`
	Error  *wireError `json:"error"`
}

// fetch makes one call and decodes the result of its answer.
func fetch[T any](ctx context.Context, c *Client, r request) (T, Meta, error) {
	var env envelope[T]
	meta, err := c.call(ctx, r, func(in io.Reader, meta Meta) error {
		env = envelope[T]{}
		err := json.NewDecoder(in).Decode(&env)
		if env.Error != nil { // says more than that the result has another shape
			return c.problem(r, meta, env.Error)
		}
		if err != nil {
			return err
		}
		if env.Result == nil {
			return r.lost(meta, CodeTruncated, "the answer has no result")
		}
		return nil
	})
	if err != nil {
		var none T
		return none, meta, err
	}
	return *env.Result, meta, nil
}

// call makes one call. A refused token is replaced once and the call replayed; a
// second refusal is final, so that no account is locked. A refused login is not
// repeated.
//
// A call that the instance was not there to process is made again after a moment:
// among the many calls of a page one that fails would else mean to begin the page
// again, after a growing pause.
func (c *Client) call(ctx context.Context, r request, read func(io.Reader, Meta) error) (Meta, error) {
	start := c.cfg.Now()
	meta, err := c.replayed(ctx, r, read)
	for pause, left := retryPause, c.cfg.Retries; left > 0 && passing(err); pause, left = 4*pause, left-1 {
		if !rest(ctx, pause) {
			break
		}
		meta, err = c.replayed(ctx, r, read)
	}
	meta.Duration = c.cfg.Now().Sub(start)
	return meta, err
}

// retryPause is the first pause before a call is made again.
const retryPause = 200 * time.Millisecond

// passing says whether an error is of the kind that may be over in a moment.
func passing(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter > 0 { // the instance named a time
		return false
	}
	return e.kind == KindRateLimited || e.kind == KindUnavailable
}

func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// replayed makes one call, once more where the token was refused.
func (c *Client) replayed(ctx context.Context, r request, read func(io.Reader, Meta) error) (Meta, error) {
	meta, token, err := c.once(ctx, r, read)
	var e *Error
	if token != "" && errors.As(err, &e) && e.kind == KindUnauthorized {
		c.drop(token)
		meta, _, err = c.once(ctx, r, read)
	}
	return meta, err
}

// once makes one call and returns the token it was made with.
func (c *Client) once(ctx context.Context, r request, read func(io.Reader, Meta) error) (Meta, string, error) {
	var asked, connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := r.build(traced, c.cfg.URL)
	if err != nil {
		return Meta{}, "", err
	}
	token, err := c.authorize(ctx, req)
	if err != nil {
		return Meta{}, "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Meta{}, token, c.failed(ctx, r, Meta{}, err, connected.Load() || !asked.Load())
	}
	defer func() { _ = res.Body.Close() }()
	meta := c.metaOf(res)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return meta, token, c.refused(r, res, meta)
	}
	in := bufio.NewReaderSize(&limitReader{r: res.Body, left: c.cfg.MaxAnswer}, 64<<10)
	if err = c.sniff(r, meta, in); err == nil {
		err = read(in, meta)
	}
	var ours *Error
	if err != nil && !errors.As(err, &ours) {
		err = c.failed(ctx, r, meta, err, true)
	}
	return meta, token, err
}

// build makes the HTTP request.
func (r request) build(ctx context.Context, base string) (*http.Request, error) {
	u := base + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, nil)
	if err != nil {
		return nil, invalid(r.op, "the request cannot be built")
	}
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = r.body.reader(), int64(len(r.body.data))
		req.GetBody = func() (io.ReadCloser, error) { return r.body.reader(), nil }
	}
	return req, nil
}

// sniff refuses answers that are not a JSON object: a hibernating instance, a
// login page and maintenance come as HTML with status 200. Nothing was done then.
func (c *Client) sniff(r request, meta Meta, in *bufio.Reader) error {
	for {
		b, err := in.Peek(1)
		if errors.Is(err, io.EOF) {
			return r.lost(meta, CodeEmpty, "the answer is empty")
		}
		if err != nil {
			return err
		}
		switch b[0] {
		case ' ', '\t', '\r', '\n':
			_, _ = in.Discard(1) // peeked above
		case '{':
			return nil
		default:
			head, _ := in.Peek(2048) // less is fine
			head = bytes.ToLower(head)
			e := r.lost(meta, CodeNotJSON, "the answer is not JSON; does a proxy stand between?")
			switch {
			case bytes.Contains(head, []byte("hibernat")):
				e.kind, e.Code, e.Message = KindUnavailable, CodeHibernating, "the instance hibernates: wake it up in the developer portal"
			case b[0] == '<':
				e.kind, e.Message = KindUnavailable, "the answer is a web page; a login, maintenance or upgrade page?"
			}
			return e
		}
	}
}

// failed turns an error below HTTP into an Error. sent says whether the request
// may have left this machine. A cancelled call keeps context.Canceled, because
// the caller asked for it; a write may have happened all the same.
func (c *Client) failed(ctx context.Context, r request, meta Meta, err error, sent bool) error {
	var (
		limited *transport.RateLimitedError
		host    *transport.HostNotAllowedError
		unsent  *transport.NotSentError
		uerr    *url.Error
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("servicenow: %s: %w", r.op, context.Canceled)
	case errors.As(err, &limited):
		return &Error{Op: r.op, Message: limited.Error(), RetryAfter: limited.RetryAfter, kind: KindRateLimited}
	case errors.As(err, &host):
		return host
	case errors.As(err, &unsent):
		return unsent
	}
	e := r.lost(meta, CodeNetwork, "")
	if !sent {
		e.kind = KindUnavailable
	}
	switch {
	case errors.Is(err, errAnswerTooLarge):
		e.Code = CodeAnswerSize
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Code, e.cause = CodeTimeout, context.DeadlineExceeded
	case meta.Status != 0:
		e.Code = CodeTruncated
	}
	if errors.As(err, &uerr) { // its text repeats the URL
		err = uerr.Err
	}
	e.Message = c.redact(cut(err.Error(), maxMessage))
	return e
}

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

// refused turns an answer with another status into an Error.
func (c *Client) refused(r request, res *http.Response, meta Meta) *Error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // a cut error body is as good as none
	var body struct {
		Error       *wireError `json:"error"`
		Description text       `json:"error_description"` // OAuth
	}
	if json.Unmarshal(raw, &body) != nil || body.Error == nil {
		body.Error = &wireError{}
	}
	if body.Error.Detail == "" {
		body.Error.Detail = body.Description
	}
	e := c.problem(r, meta, body.Error)
	switch {
	case e.Code == CodeRedirect:
		e.Message = "redirected to " + target(res.Header.Get("Location")) + "; a login page, maintenance or another host?"
	case e.Code == CodeQueued:
		e.Message = "the instance queued the call and may have dropped it"
	case e.Message == "" && bytes.Contains(bytes.ToLower(raw), []byte("hibernat")):
		e.kind, e.Code, e.Message = KindUnavailable, CodeHibernating, "the instance hibernates: wake it up in the developer portal"
	case e.Message == "":
		e.Message = strings.ToLower(http.StatusText(res.StatusCode))
	}
	return e
}

// problem is the Error of an error object in an answer.
func (c *Client) problem(r request, meta Meta, w *wireError) *Error {
	e := &Error{Op: r.op, Status: meta.Status, TransactionID: meta.TransactionID, Message: c.redact(cut(string(w.Message), maxMessage)), Detail: c.redact(cut(string(w.Detail), maxMessage))}
	e.kind, e.Code = kindOf(r, meta.Status, string(w.Message)+" "+string(w.Detail))
	if e.kind == KindRateLimited || e.Status >= 500 {
		e.RetryAfter = meta.Limits.Wait
	}
	return e
}

// target names where a redirect leads, without its query.
func target(location string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return "an unknown place"
	}
	return cut((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), 100)
}
