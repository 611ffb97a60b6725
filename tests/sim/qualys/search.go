package qualys

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
	"github.com/qbridge/qbridge/tests/sim/fault"
)

const (
	defaultPageSize = 100
	maximumPageSize = 300
)

// query is what count, search and get ask for. All parameters stand in the query string, also with POST; unknown ones
// are ignored in silence.
type query struct {
	cursor   int64
	pageSize int
	// since, when set, keeps assets that were last modified at or after it.
	since  int64
	filter filter
	where  predicate // of the query language; nil: all
	view   estate.View
}

// failure is an answer other than 200.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func bad(message string) *failure { return &failure{http.StatusBadRequest, message} }

// envelope writes the body of an answer that failed. Its shape for 400 is not published; this is the shape of every
// other answer of these endpoints.
func envelope(w http.ResponseWriter, f *failure) {
	control.WriteJSON(w, f.status, struct {
		Message  string `json:"responseMessage"`
		Count    int    `json:"count"`
		Code     string `json:"responseCode"`
		LastSeen *int64 `json:"lastSeenAssetId"`
		HasMore  int    `json:"hasMore"`
		Assets   *int   `json:"assetListData"`
	}{Message: f.message, Code: "FAILED"})
}

// parse reads parameters and body.
func (s *Server) parse(w http.ResponseWriter, r *http.Request) (query, *failure) {
	q := query{pageSize: defaultPageSize}
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, bad("Invalid query string")
	}
	var refused *failure
	if q.pageSize, refused = s.pageSize(params.Get("pageSize")); refused != nil {
		return q, refused
	}
	if v := params.Get("lastSeenAssetId"); v != "" {
		if q.cursor, err = strconv.ParseInt(v, 10, 64); err != nil || q.cursor < 0 {
			return q, bad("Invalid value for parameter: lastSeenAssetId")
		}
	}
	if v := params.Get("assetLastUpdated"); v != "" {
		// Seconds without a fraction are the documented form.
		at, err := time.Parse("2006-01-02T15:04:05Z", v)
		if err != nil || strings.ContainsAny(v, ".,") {
			return q, bad("Invalid value for parameter: assetLastUpdated")
		}
		q.since = at.UnixMilli()
	}
	q.view.SoftwareType = params.Get("softwareType")
	if q.view.Hide, refused = s.hidden(params.Get("includeFields"), params.Get("excludeFields")); refused != nil {
		return q, refused
	}
	return q, s.body(w, r, &q)
}

// pageSize reads the parameter; what happens outside its range is a setting.
func (s *Server) pageSize(text string) (int, *failure) {
	if text == "" {
		return defaultPageSize, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, bad("Invalid value for parameter: pageSize")
	case n >= 1 && n <= maximumPageSize:
		return n, nil
	case s.opts.PageSize == PageSizeClamp:
		return min(max(n, 1), maximumPageSize), nil
	case s.opts.PageSize == PageSize416:
		return 0, &failure{http.StatusRequestedRangeNotSatisfiable, "pageSize must be between 1 and 300"}
	}
	return 0, bad("pageSize must be between 1 and 300")
}

// hidden turns includeFields or excludeFields into the members that come back as null.
func (s *Server) hidden(include, exclude string) (estate.Fields, *failure) {
	if include != "" && exclude != "" {
		return 0, bad("includeFields and excludeFields cannot be used together")
	}
	var named estate.Fields
	for token := range strings.SplitSeq(include+exclude, ",") {
		token = strings.TrimSpace(token)
		field, known := estate.FieldByToken(token)
		if !known && token != "" && s.opts.UnknownField == FieldRejected {
			return 0, bad("Invalid field: " + token)
		}
		named |= field
	}
	if include != "" {
		return estate.AllFields &^ named, nil
	}
	return named, nil
}

// body reads the filter, JSON or XML.
func (s *Server) body(w http.ResponseWriter, r *http.Request, q *query) *failure {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, filterMaximum))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &failure{http.StatusRequestEntityTooLarge, "Request body is too large"}
	}
	if err != nil {
		return bad("Request body could not be read")
	}
	isXML := false
	if len(raw) > 0 {
		media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		isXML = media == "text/xml" || media == "application/xml"
		if err != nil || !isXML && media != "application/json" {
			return &failure{http.StatusUnsupportedMediaType, "Content-Type '" + r.Header.Get("Content-Type") + "' is not supported"}
		}
	}
	if q.filter, err = parseFilter(raw, isXML); err != nil {
		return bad(err.Error())
	}
	return nil
}

// each calls fn with the matching assets after the cursor, ascending, until fn returns false.
func (s *Server) each(ctx context.Context, q query, fn func(*estate.Asset) bool) error {
	reader, now := s.estate.Reader(), s.opts.Now().UnixMilli()
	visit := func(index int) bool {
		a, ok := reader.Asset(index)
		if !ok || a.ID <= q.cursor {
			return true
		}
		if s.written(a); q.since > 0 && a.Modified < q.since {
			return true
		}
		s.tags.show(a)
		if !q.filter.match(s.estate, a) || q.where != nil && !q.where(s.estate, a) {
			return true
		}
		return fn(a)
	}
	if touched, only := s.estate.TouchedSince(q.since); only {
		for _, id := range append(s.csam.since(q.since), s.connector.since(q.since, now)...) {
			if index, known := s.estate.IndexOf(id); known {
				touched = append(touched, index)
			}
		}
		slices.Sort(touched)
		touched = slices.Compact(touched)
		for _, index := range touched {
			if !visit(index) {
				return nil
			}
		}
		return s.eachUnmanaged(q, now, fn)
	}
	for index := s.estate.After(q.cursor); index < s.estate.Size(); index++ {
		// A scan over a million assets must end when nobody waits for it.
		if index%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !visit(index) {
			return nil
		}
	}
	return s.eachUnmanaged(q, now, fn)
}

// eachUnmanaged calls fn with the matching assets that only third parties know; their ids are the largest.
func (s *Server) eachUnmanaged(q query, now int64, fn func(*estate.Asset) bool) error {
	for _, id := range s.connector.unmanaged(now) {
		if id <= q.cursor {
			continue
		}
		a := s.unmanaged(id)
		if q.since > 0 && a.Modified < q.since || !q.filter.match(s.estate, a) || q.where != nil && !q.where(s.estate, a) {
			continue
		}
		if !fn(a) {
			return nil
		}
	}
	return nil
}

// count serves POST /rest/2.0/count/am/asset: the number of assets that search would list from the start.
func (s *Server) count(w http.ResponseWriter, r *http.Request) {
	q, refused := s.parse(w, r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	n := 0
	if q.since == 0 && len(q.filter.criteria) == 0 && q.cursor == 0 {
		n = s.estate.Live() + len(s.connector.unmanaged(s.opts.Now().UnixMilli()))
	} else if err := s.each(r.Context(), q, func(*estate.Asset) bool { n++; return true }); err != nil {
		return
	}
	control.WriteJSON(w, http.StatusOK, struct {
		Count   int    `json:"count"`
		Code    string `json:"responseCode"`
		Message string `json:"responseMessage"`
	}{n, "SUCCESS", "Valid API Access"})
}

// search serves POST /rest/2.0/search/am/asset: one page in ascending order of ids after the cursor; 204 without a body
// when nothing matches.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	q, refused := s.parse(w, r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	s.list(w, r, q, endpointSearch)
}

// list answers one page.
func (s *Server) list(w http.ResponseWriter, r *http.Request, q query, endpoint string) {
	control.Note(r.Context(), "cursor "+strconv.FormatInt(q.cursor, 10))
	if !s.pause(r.Context()) {
		return
	}
	f := fault.From(r.Context())
	if f != nil && f.Kind == fault.RepeatPage {
		// The page that ended where this one should begin is sent again.
		q.cursor = s.before(r.Context(), q)
	}
	kept, _ := s.pages.Get().(*[]byte)
	if kept == nil {
		kept = new([]byte)
	}
	p := page{body: (*kept)[:0]}
	defer func() { *kept = p.body; s.pages.Put(kept) }()
	err := s.each(r.Context(), q, func(a *estate.Asset) bool {
		if p.count == q.pageSize {
			p.more = true
			return false
		}
		p.add(s.estate, a, q.view)
		return true
	})
	if err != nil {
		return
	}
	if f != nil && f.Kind == fault.ShiftPage {
		p.shift(1 + int(f.Roll%3))
	}
	if p.count == 0 && p.dropped == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.recorder.AddItems(endpoint, p.count)
	if f != nil && f.Kind == fault.NullList {
		writePage(w, `{"responseMessage":"Valid API Access","count":0,"responseCode":"SUCCESS","lastSeenAssetId":null,"hasMore":1,"assetListData":null}`, nil, "")
		return
	}
	hasMore := "0"
	if p.more {
		hasMore = "1"
	}
	writePage(w, `{"responseMessage":"Valid API Access","count":`+strconv.Itoa(p.count)+`,"responseCode":"SUCCESS","lastSeenAssetId":`+
		strconv.FormatInt(p.last, 10)+`,"hasMore":`+hasMore+`,"assetListData":{"asset":[`, p.body, `]}}`)
}

// page collects assets as JSON, with the place where each begins.
type page struct {
	body    []byte
	starts  []int
	count   int
	last    int64
	more    bool
	dropped int
}

func (p *page) add(e *estate.Estate, a *estate.Asset, v estate.View) {
	if p.count > 0 {
		p.body = append(p.body, ',')
	}
	p.starts = append(p.starts, len(p.body))
	p.body = e.AppendJSON(p.body, a, v)
	p.count++
	p.last = a.ID
}

// shift loses the first n assets, as a page does whose start moved while it was computed; at least one stays.
func (p *page) shift(n int) {
	n = min(n, p.count-1)
	if n <= 0 {
		return
	}
	p.body = append(p.body[:0], p.body[p.starts[n]:]...)
	p.count -= n
	p.dropped = n
}

func writePage(w http.ResponseWriter, head string, body []byte, tail string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(body)+len(tail)))
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, head)
	_, _ = w.Write(body)
	_, _ = io.WriteString(w, tail)
}

// before returns the cursor of the page that ends at q's cursor.
func (s *Server) before(ctx context.Context, q query) int64 {
	end := q.cursor
	q.cursor = 0
	var seen []int64
	_ = s.each(ctx, q, func(a *estate.Asset) bool {
		if a.ID > end {
			return false
		}
		seen = append(seen, a.ID)
		return true
	})
	if len(seen) <= q.pageSize {
		return 0
	}
	return seen[len(seen)-q.pageSize-1]
}

// get serves GET and POST /rest/2.0/get/am/asset?assetId=; older guides show POST.
func (s *Server) get(w http.ResponseWriter, r *http.Request) { s.one(w, r, estate.View{}, endpointGet) }

// one answers one asset, without members that are hidden from this API.
func (s *Server) one(w http.ResponseWriter, r *http.Request, view estate.View, endpoint string) {
	params := r.URL.Query()
	id, err := strconv.ParseInt(params.Get("assetId"), 10, 64)
	if err != nil {
		s.refuse(w, r, bad("Invalid value for parameter: assetId"))
		return
	}
	hide, refused := s.hidden(params.Get("includeFields"), params.Get("excludeFields"))
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	index, ok := s.estate.IndexOf(id)
	var a *estate.Asset
	if ok {
		a, ok = s.estate.Reader().Asset(index)
	}
	if !ok {
		if a = s.unmanaged(id); a == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	} else {
		s.written(a)
		s.tags.show(a)
	}
	s.recorder.AddItems(endpoint, 1)
	view.Hide |= hide
	view.SoftwareType = params.Get("softwareType")
	body := s.estate.AppendJSON(nil, a, view)
	writePage(w, `{"responseMessage":"Valid API Access","count":1,"responseCode":"SUCCESS","lastSeenAssetId":null,"hasMore":0,"assetListData":{"asset":[`, body, `]}}`)
}

// refuse answers a call that was understood to be wrong. A media type is refused by the framework, before the service.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	control.Note(r.Context(), f.message)
	if f.status == http.StatusUnsupportedMediaType {
		s.spring(w, r, f.status, f.message)
		return
	}
	envelope(w, f)
}

// pause waits as long as the vendor takes for a page; false when the caller went away.
func (s *Server) pause(ctx context.Context) bool {
	if s.opts.PageLatency <= 0 {
		return true
	}
	timer := time.NewTimer(s.opts.PageLatency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
