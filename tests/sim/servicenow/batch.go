package servicenow

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/tests/sim/fault"
)

type batchHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type batchRequest struct {
	ID       string        `json:"id"`
	Method   string        `json:"method"`
	URL      string        `json:"url"`
	Headers  []batchHeader `json:"headers"`
	Body     string        `json:"body"`
	NoHeader bool          `json:"exclude_response_headers"`
}

type batchAnswer struct {
	ID            string        `json:"id"`
	StatusCode    int           `json:"status_code"`
	StatusText    string        `json:"status_text"`
	Body          string        `json:"body"`
	Headers       []batchHeader `json:"headers"`
	ExecutionTime int64         `json:"execution_time"`
	Error         string        `json:"error_message,omitempty"`
}

// serveBatch runs the requests of a batch one after the other, each for itself.
// What the quota leaves no time for is listed as unserviced.
func (s *Server) serveBatch(w http.ResponseWriter, req *http.Request) {
	if !strings.HasPrefix(req.URL.Path, "/api/now/v") { // the version is required here
		writeError(w, http.StatusBadRequest, "Requested URI does not represent any resource", nil)
		return
	}
	if req.Method != http.MethodPost {
		writeError(w, http.StatusMethodNotAllowed, "Method not Supported", nil)
		return
	}
	if !jsonMedia(w, req) {
		return
	}
	body, ok := s.readBody(w, req)
	if !ok {
		return
	}
	var in struct {
		ID       string         `json:"batch_request_id"`
		Requests []batchRequest `json:"rest_requests"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		writeError(w, http.StatusBadRequest, "Exception while reading request", "The payload is not valid JSON.")
		return
	}
	most := len(in.Requests)
	if f := fault.From(req.Context()); f != nil && f.Kind == fault.QuotaCancel {
		most = min(most, int(f.N))
	}
	quota, begin := s.store.quota("batch"), s.opt.Now()
	served, left := []batchAnswer{}, []string{}
	for i, b := range in.Requests {
		if i >= most || quota > 0 && s.opt.Now().Sub(begin) >= quota {
			left = append(left, b.ID)
			continue
		}
		served = append(served, s.batchOne(req, b))
	}
	writeJSON(w, http.StatusOK, map[string]any{"batch_request_id": in.ID, "serviced_requests": served, "unserviced_requests": left})
}

func (s *Server) batchOne(req *http.Request, b batchRequest) batchAnswer {
	begin, out := s.opt.Now(), batchAnswer{ID: b.ID, Headers: []batchHeader{}}
	refuse := func(text string) batchAnswer {
		out.StatusCode, out.StatusText, out.Error = http.StatusBadRequest, http.StatusText(http.StatusBadRequest), text
		return out
	}
	body, err := base64.StdEncoding.DecodeString(b.Body)
	if err != nil {
		return refuse("Request body is not base64 encoded")
	}
	if len(body) > s.store.megabytes("glide.rest.batch.max.inputSize", 5, 10) {
		return refuse("Request body exceeds the maximum input size")
	}
	inner, err := http.NewRequestWithContext(fault.With(req.Context(), nil), b.Method, b.URL, bytes.NewReader(body))
	if err != nil {
		return refuse("Invalid request")
	}
	if kind, _ := route(inner.URL.Path); kind == "" || kind == "batch" {
		return refuse("Requested URI does not represent any resource")
	}
	inner.Host, inner.TLS = req.Host, req.TLS
	for _, h := range b.Headers {
		inner.Header.Set(h.Name, h.Value)
	}
	answer := &memoryWriter{header: http.Header{}, status: http.StatusOK}
	s.api(answer, inner)
	limit := s.store.megabytes("glide.rest.batch.max.outputSize", 10, 10)
	if n, err := strconv.Atoi(req.Header.Get("X-BATCHREQUEST-MAX-OUTPUT-SIZE")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	if answer.body.Len() > limit {
		return refuse("Response body exceeds the maximum output size")
	}
	out.StatusCode, out.StatusText = answer.status, http.StatusText(answer.status)
	out.Body = base64.StdEncoding.EncodeToString(answer.body.Bytes())
	out.ExecutionTime = s.opt.Now().Sub(begin).Milliseconds()
	for name, v := range answer.header {
		if !b.NoHeader {
			out.Headers = append(out.Headers, batchHeader{name, strings.Join(v, ", ")})
		}
	}
	return out
}

// megabytes reads a size property.
func (s *store) megabytes(name string, fallback, most int) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := strconv.Atoi(s.property(name))
	if err != nil || n <= 0 {
		n = fallback
	}
	return min(n, most) << 20
}

// memoryWriter keeps the answer of one request of a batch.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memoryWriter) Header() http.Header         { return m.header }
func (m *memoryWriter) WriteHeader(status int)      { m.status = status }
func (m *memoryWriter) Write(p []byte) (int, error) { return m.body.Write(p) }
