package servicenow

import (
	"bytes"
	"net/http"
)

// held keeps an answer until its handler has let go of the records: a client that
// reads slowly, or not at all, holds up nobody else.
type held struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

// send gives the answer to the client.
func (h *held) send() {
	if h.status != 0 {
		h.ResponseWriter.WriteHeader(h.status)
	}
	_, _ = h.body.WriteTo(h.ResponseWriter) // a client that went away is no concern of the instance
}
