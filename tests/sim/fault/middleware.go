package fault

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
)

// defaultOversize is beyond every sensible limit for one page.
const defaultOversize = 256 << 20

const maintenancePage = `<!DOCTYPE html>
<html><head><title>Scheduled maintenance</title></head>
<body><h1>We'll be back soon</h1><p>The service is temporarily unavailable due to scheduled maintenance.</p></body></html>
`

const hibernatingPage = `<!DOCTYPE html>
<html><head><title>Instance Hibernating page</title></head>
<body><h1>Your instance is hibernating</h1><p>Sign in to the developer site to wake your instance.</p></body></html>
`

// Middleware applies the plan to the calls that reach next. endpoint gives the name that rules use. Requests under
// /_sim/ are never touched.
func (p *Plan) Middleware(endpoint func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p == nil || strings.HasPrefix(r.URL.Path, "/_sim/") {
			next.ServeHTTP(w, r)
			return
		}
		f := p.Pick(endpoint(r), r)
		if f == nil {
			next.ServeHTTP(w, r)
			return
		}
		control.Note(r.Context(), "fault "+string(f.Kind))
		if !f.before(w, r) {
			f.around(w, r, next)
		}
	})
}

// before performs the faults that keep the request from being processed and reports whether it did.
func (f *Fault) before(w http.ResponseWriter, r *http.Request) bool {
	switch f.Kind {
	case Status:
		f.writeStatus(w)
	case DropBefore:
		panic(http.ErrAbortHandler)
	case HTML:
		writeHTML(w, maintenancePage)
	case Hibernate:
		writeHTML(w, hibernatingPage)
	case Accepted202:
		w.WriteHeader(http.StatusAccepted)
	case Delay:
		if !sleep(r.Context(), f.D) {
			panic(http.ErrAbortHandler)
		}
		return false
	default:
		return false
	}
	return true
}

func (f *Fault) writeStatus(w http.ResponseWriter) {
	if f.Wait > 0 {
		w.Header().Set("X-RateLimit-ToWait-Sec", strconv.FormatInt(f.Wait, 10))
		w.Header().Set("Retry-After", strconv.FormatInt(f.Wait, 10))
	}
	code := int(f.N)
	if code == http.StatusNoContent || code == http.StatusTooManyRequests {
		// A vendor's 429 may have no body at all.
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "{\"status\":%d,\"error\":%q,\"message\":\"injected fault\"}", code, http.StatusText(code))
}

func writeHTML(w http.ResponseWriter, page string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(page))
}

// around lets the request be processed and spoils the answer, or hands the fault to the handler.
func (f *Fault) around(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch f.Kind {
	case Cut, Garble, DropAfterCommit, GzipBad, Oversize, Slow, Close:
	default:
		next.ServeHTTP(w, r.WithContext(With(r.Context(), f)))
		return
	}
	answer := &buffer{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(answer, r)
	if f.Kind == DropAfterCommit {
		panic(http.ErrAbortHandler)
	}
	for k, v := range answer.header {
		w.Header()[k] = v
	}
	body := answer.body.Bytes()
	switch f.Kind {
	case Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(answer.status)
		if int(f.N) >= len(body) {
			_, _ = w.Write(body)
			return
		}
		_, _ = w.Write(body[:f.N])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Garble:
		w.WriteHeader(answer.status)
		_, _ = w.Write(garbled(body, f.Roll))
	case GzipBad:
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(answer.status)
		_, _ = w.Write(brokenGzip(body))
	case Oversize:
		f.writeOversize(w, answer.status, body)
	case Slow:
		f.writeSlow(w, r, answer.status, body)
	case Close:
		writeHalf(w, answer, body)
	}
}

// garbled changes one byte in 512, at least one, to something that is not what it was.
func garbled(body []byte, roll uint64) []byte {
	out := bytes.Clone(body)
	for i := 0; i < len(out)/512+1 && len(out) > 0; i++ {
		roll = mix(roll)
		out[roll%uint64(len(out))] ^= byte(roll>>40) | 1
	}
	return out
}

// brokenGzip compresses the body and spoils the checksum, so that only a reader that reads to the end notices.
func brokenGzip(body []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(body)
	_ = zip.Close()
	b := out.Bytes()
	b[len(b)-8] ^= 0xff
	return b
}

// writeOversize sends blanks, which every decoder accepts before a value, and the answer after them.
func (f *Fault) writeOversize(w http.ResponseWriter, status int, body []byte) {
	left := f.N
	if left == 0 {
		left = defaultOversize
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	blanks := bytes.Repeat([]byte{' '}, 64<<10)
	for left > 0 {
		n, err := w.Write(blanks[:min(left, int64(len(blanks)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
	_, _ = w.Write(body)
}

func (f *Fault) writeSlow(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	out := http.NewResponseController(w)
	// Ten pieces a second, or one byte at a time when there is less than that to send.
	piece := max(1, int(f.N/10))
	pause := time.Duration(int64(time.Second) * int64(piece) / f.N)
	for len(body) > 0 {
		n := min(piece, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		_ = out.Flush()
		if body = body[n:]; len(body) > 0 && !sleep(r.Context(), pause) {
			panic(http.ErrAbortHandler)
		}
	}
}

// writeHalf sends half of the body with neither length nor chunks and closes the connection in order: for an HTTP/1.1
// client this is a complete answer, and only the content tells that it is not. Without a connection to take over
// (in-memory transports) the half alone is sent, which reads the same.
func writeHalf(w http.ResponseWriter, answer *buffer, body []byte) {
	half := body[:len(body)/2]
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.status)
		_, _ = w.Write(half)
		return
	}
	defer func() { _ = connection.Close() }()
	var head bytes.Buffer
	_, _ = fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\nConnection: close\r\n", answer.status, http.StatusText(answer.status))
	// The headers of the layers around (Date, Server) are part of the answer too.
	w.Header().Del("Content-Length")
	_ = w.Header().Write(&head)
	head.WriteString("\r\n")
	_, _ = connection.Write(append(head.Bytes(), half...))
}

// sleep waits and reports false when the client went away first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// buffer keeps an answer in memory.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
	wrote  bool
}

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if !b.wrote {
		b.status, b.wrote = status, true
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.wrote = true
	return b.body.Write(p)
}
