// Package transport is the HTTP transport of all vendor clients: allowed hosts,
// body limits, pacing, redaction and metrics live here once.
//
//	client ─▶ Transport ─▶ host allowed? ─▶ limiter ─▶ network ─▶ decompress under a cap ─▶ observe
package transport

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// UserAgent is sent with every call.
const UserAgent = "qbridge/0.1"

// Defaults of Options.
const (
	DefaultMaxBody       = 128 << 20 // decoded bytes
	DefaultHeaderTimeout = 60 * time.Second
	DefaultTimeout       = 300 * time.Second
)

// Options are settings of a transport.
type Options struct {
	Name string // connection, for messages
	// AllowedHosts are the hosts that may be dialled: "host", "host:port" or
	// "*.suffix". Empty allows any.
	AllowedHosts  []string
	Proxy         string
	CAFile        string   // further certificate authorities, PEM
	Certificate   string   // client certificate, PEM, with Key
	Key           string   // PEM
	Secrets       []string // removed from every error
	MaxBody       int64
	HeaderTimeout time.Duration
	Timeout       time.Duration // of a whole call
	Concurrency   int           // calls at a time until the vendor says otherwise; default 4
	// Reserve is the share of the calls per window that is left to others: near it,
	// calls are made as slowly as the window gives new ones.
	Reserve float64
	Observe func(Call)
	Now     func() time.Time
	Base    http.RoundTripper // for tests; default a tuned http.Transport
}

// Call is one finished call.
type Call struct {
	// Context is that of the request: it knows what the call was made for.
	Context  context.Context //nolint:containedctx // a call is observed once, at its end
	Method   string
	Host     string
	Path     string
	Status   int           // 0 when there was no answer
	Wait     time.Duration // until the limits let it pass
	Duration time.Duration // from sending to the end of the answer
	Blocked  time.Duration // of it: waiting for bytes of the answer, which is read while it is used
	BytesIn  int64         // decoded
	Err      error
	Limits   Limits
}

// Transport implements http.RoundTripper.
type Transport struct {
	o       Options
	base    http.RoundTripper
	limiter *limiter
}

// HostNotAllowedError says that a host is not on the allow-list.
type HostNotAllowedError struct{ Host string }

func (e *HostNotAllowedError) Error() string {
	return fmt.Sprintf("transport: host %s is not allowed: add it to QBRIDGE_ALLOWED_HOSTS", e.Host)
}

// BodyTooLargeError says that an answer is larger than the limit, decoded.
type BodyTooLargeError struct{ Limit int64 }

func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("transport: the answer is larger than %d bytes", e.Limit)
}

// New returns a transport.
func New(o Options) (*Transport, error) {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = DefaultHeaderTimeout
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &Transport{o: o, base: o.Base, limiter: newLimiter(o.Concurrency, o.Reserve, o.Now)}
	if t.base != nil {
		return t, nil
	}
	base, err := network(o)
	if err != nil {
		return nil, err
	}
	t.base = base
	return t, nil
}

// network returns the real transport: verified TLS 1.2 or newer, no cookies, no
// decompression of its own (that happens under the body limit).
func network(o Options) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: max(o.HeaderTimeout, o.Timeout), // IRE and count may think long before the first byte
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
		Proxy:                 http.ProxyFromEnvironment,
	}
	if o.Proxy != "" {
		u, err := url.Parse(o.Proxy)
		if err != nil || u.Host == "" {
			return nil, errors.New("transport: the proxy is not a URL such as http://proxy:3128")
		}
		t.Proxy = http.ProxyURL(u)
	}
	if o.Certificate != "" {
		cert, err := tls.X509KeyPair([]byte(o.Certificate), []byte(o.Key))
		if err != nil {
			return nil, errors.New("transport: the client certificate and its key are not a pair in PEM")
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("transport: certificate authorities: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("transport: %s holds no PEM certificate", o.CAFile)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

type counterKey struct{}

// Counting returns a context whose calls are counted.
func Counting(ctx context.Context) (context.Context, *atomic.Int64) {
	n := &atomic.Int64{}
	return context.WithValue(ctx, counterKey{}, n), n
}

// NotSentError says that a call was not sent, because the function that Before
// asks refused it.
type NotSentError struct{ Reason error }

func (e *NotSentError) Error() string { return "transport: not sent: " + e.Reason.Error() }

func (e *NotSentError) Unwrap() error { return e.Reason }

type beforeKey struct{}

// Before returns a context whose calls ask a function at the last moment, after
// every wait, whether they may still be sent.
func Before(ctx context.Context, ask func() error) context.Context {
	return context.WithValue(ctx, beforeKey{}, ask)
}

// RoundTrip implements http.RoundTripper. Errors never hold a secret.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.allowed(req.URL) {
		return nil, unsent(req, &HostNotAllowedError{Host: req.URL.Host})
	}
	key := req.URL.Host + req.URL.Path
	asked := t.o.Now()
	release, err := t.limiter.acquire(req.Context(), key)
	if err != nil {
		return nil, unsent(req, err)
	}
	if ask, ok := req.Context().Value(beforeKey{}).(func() error); ok {
		if err := ask(); err != nil {
			release()
			return nil, unsent(req, &NotSentError{Reason: err})
		}
	}
	if n, ok := req.Context().Value(counterKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
	ctx, cancel := context.WithTimeout(req.Context(), t.o.Timeout)
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", UserAgent)
	req.Header.Set("Accept-Encoding", "gzip")
	start := t.o.Now()
	call := Call{Context: req.Context(), Method: req.Method, Host: req.URL.Host, Path: req.URL.Path, Wait: start.Sub(asked)}
	done := func(n int64, blocked time.Duration, err error) {
		cancel()
		release()
		call.Duration, call.BytesIn, call.Err = t.o.Now().Sub(start), n, err
		if call.Blocked += blocked; call.Status == 0 {
			call.Blocked = call.Duration
		}
		if t.o.Observe != nil {
			t.o.Observe(call)
		}
	}
	res, err := t.base.RoundTrip(req)
	if err != nil {
		err = t.redact(err)
		done(0, 0, err)
		return nil, err
	}
	call.Status, call.Limits = res.StatusCode, ParseLimits(res.Header, t.o.Now())
	t.limiter.learn(key, res.StatusCode, call.Limits)
	first := t.o.Now().Sub(start)
	body := &body{raw: res.Body, reader: res.Body, now: t.o.Now, left: t.o.MaxBody, limit: t.o.MaxBody, done: done}
	if strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		body.compressed = true
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength = -1
	}
	call.Blocked = first
	res.Body = body
	return res, nil
}

// unsent closes the body of a request that is not sent, as a RoundTripper must.
func unsent(req *http.Request, err error) error {
	if req.Body != nil {
		return errors.Join(err, req.Body.Close())
	}
	return err
}

// allowed reports whether a host may be dialled.
func (t *Transport) allowed(u *url.URL) bool {
	if len(t.o.AllowedHosts) == 0 {
		return true
	}
	host := strings.ToLower(u.Hostname())
	for _, a := range t.o.AllowedHosts {
		a = strings.ToLower(strings.TrimSpace(a))
		if suffix, ok := strings.CutPrefix(a, "*"); ok {
			if strings.HasPrefix(suffix, ".") && strings.HasSuffix(host, suffix) {
				return true
			}
			continue
		}
		if a != "" && (a == host || a == strings.ToLower(u.Host)) {
			return true
		}
	}
	return false
}

// redact removes secrets from an error, whose text may hold a URL.
func (t *Transport) redact(err error) error {
	text := err.Error()
	clean := Redact(text, t.o.Secrets)
	if clean == text {
		return err
	}
	return errors.New(clean)
}

// Redact replaces secrets, plain and URL-encoded, by ***.
func Redact(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) < 4 {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return text
}

// body reads an answer under the limit and decompresses it.
type body struct {
	raw         io.ReadCloser
	reader      io.Reader
	compressed  bool
	left, limit int64
	read        int64
	err         error
	done        func(int64, time.Duration, error)
	closed      bool
	now         func() time.Time
	blocked     time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	if b.compressed {
		gz, err := gzip.NewReader(b.raw)
		if err != nil {
			b.err = err
			return 0, err
		}
		b.reader, b.compressed = gz, false
	}
	if b.left <= 0 {
		b.err = &BodyTooLargeError{Limit: b.limit}
		return 0, b.err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	began := b.now()
	n, err := b.reader.Read(p)
	b.blocked += b.now().Sub(began)
	b.left -= int64(n)
	b.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (b *body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.raw.Close()
	b.done(b.read, b.blocked, b.err)
	return err
}
