package servicenow

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// body is the body of a request. Payloads are megabytes, so their buffers are
// used again; but an HTTP transport may still read a body after it has returned
// (an answer that came early, a call given up). So every reader counts as a user
// until it is closed, reads nothing afterwards, and the last user gives the
// buffer back.
type body struct {
	data []byte
	pool *sync.Pool // nil when the buffer is not used again
	refs atomic.Int32
}

// newBody returns a body that is not used again.
func newBody(data []byte) *body { return &body{data: data} }

// leaseBody returns an empty body with a used buffer. Its owner releases it.
func (c *Client) leaseBody() *body {
	b, ok := c.bodies.Get().(*body)
	if !ok {
		b = &body{}
	}
	b.pool = &c.bodies
	b.data = b.data[:0]
	b.refs.Store(1)
	return b
}

// release ends one use.
func (b *body) release() {
	if b.refs.Add(-1) == 0 && b.pool != nil {
		b.pool.Put(b)
	}
}

func (b *body) reader() io.ReadCloser {
	b.refs.Add(1)
	return &bodyReader{body: b}
}

type bodyReader struct {
	mu   sync.Mutex
	body *body // nil once closed
	at   int
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body == nil {
		return 0, io.ErrClosedPipe
	}
	if r.at == len(r.body.data) {
		return 0, io.EOF
	}
	n := copy(p, r.body.data[r.at:])
	r.at += n
	return n, nil
}

func (r *bodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body != nil {
		r.body.release()
		r.body = nil
	}
	return nil
}

var errAnswerTooLarge = errors.New("the answer is larger than allowed")

// limitReader reads at most left bytes and fails when there are more: a cut
// answer must not look like a whole one.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, l.left = int(l.left), 0
		return n, errAnswerTooLarge
	}
	l.left -= int64(n)
	return n, err
}
