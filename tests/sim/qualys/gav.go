package qualys

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qbridge/qbridge/tests/sim/control"
	"github.com/qbridge/qbridge/tests/sim/estate"
)

// Global AssetView API v1: the inventory for subscriptions without CSAM. Its answers have the envelope of v2; all
// parameters stand in the query string, the filter in the query language of the inventory, and bodies are not read.
const (
	pathV1Count    = "/am/v1/assets/host/count"
	pathV1List     = "/am/v1/assets/host/list"
	pathV1Filter   = "/am/v1/assets/host/filter/list"
	pathV1Filtered = "/am/v1/assetsfiltered/host/list" // the older name
	pathV1Get      = "/am/v1/asset/host/id"
)

const (
	endpointV1Count  = "v1.count"
	endpointV1List   = "v1.list"
	endpointV1Filter = "v1.filter"
	endpointV1Get    = "v1.get"
)

// v1Endpoint names a request to the API v1, or "".
func v1Endpoint(path string) string {
	switch path {
	case pathV1Count:
		return endpointV1Count
	case pathV1List:
		return endpointV1List
	case pathV1Filter, pathV1Filtered:
		return endpointV1Filter
	case pathV1Get:
		return endpointV1Get
	}
	return ""
}

func (s *Server) mountV1(mux *http.ServeMux) {
	mux.HandleFunc(pathV1Count, s.verbs(s.guarded(s.v1Count), http.MethodPost))
	mux.HandleFunc(pathV1List, s.verbs(s.guarded(s.v1List), http.MethodPost))
	mux.HandleFunc(pathV1Filter, s.verbs(s.guarded(s.v1List), http.MethodPost))
	mux.HandleFunc(pathV1Filtered, s.verbs(s.guarded(s.v1List), http.MethodPost))
	mux.HandleFunc(pathV1Get, s.verbs(s.guarded(s.v1Get), http.MethodPost))
}

// v1Query reads the parameters of a call. A page size out of range is 416.
func (s *Server) v1Query(r *http.Request) (query, *failure) {
	q := query{pageSize: defaultPageSize}
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, bad("Invalid query string")
	}
	if v := params.Get("pageSize"); v != "" {
		if q.pageSize, err = strconv.Atoi(v); err != nil {
			return q, bad("Invalid value for parameter: pageSize")
		}
		if most := s.opts.V1PageSize; q.pageSize < 1 || q.pageSize > most {
			return q, &failure{http.StatusRequestedRangeNotSatisfiable, "pageSize must be between 1 and " + strconv.Itoa(most)}
		}
	}
	if v := params.Get("lastSeenAssetId"); v != "" {
		if q.cursor, err = strconv.ParseInt(v, 10, 64); err != nil || q.cursor < 0 {
			return q, bad("Invalid value for parameter: lastSeenAssetId")
		}
	}
	for _, name := range []string{"lastModifiedDate", "assetLastUpdated"} {
		v := params.Get(name)
		if v == "" {
			continue
		}
		at, err := v1Instant(v)
		if err != nil {
			return q, bad("Invalid value for parameter: " + name)
		}
		q.since = at.UnixMilli()
	}
	if v := params.Get("filter"); v != "" && r.URL.Path != pathV1List {
		now := s.opts.Now() // one moment for the whole page
		if q.where, err = parseQQL(v, func() time.Time { return now }); err != nil {
			return q, bad("Invalid filter: " + err.Error())
		}
	}
	q.view.SoftwareType = params.Get("softwareType")
	hidden, refused := s.hidden(params.Get("includeFields"), params.Get("excludeFields"))
	q.view.Hide = hidden | estate.NewerFields
	q.view.Omit = s.v1Omits()
	return q, refused
}

// v1Omits returns the members that are missing from assets of the API v1. That it lacks them is documented, not
// whether as null.
func (s *Server) v1Omits() estate.Fields {
	if s.opts.V1Missing {
		return estate.NewerFields
	}
	return 0
}

// v1Instant reads a date of the API v1, which needs no seconds.
func v1Instant(v string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04Z", "2006-01-02T15:04:05Z"} {
		if at, err := time.Parse(layout, v); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("not a date")
}

func (s *Server) v1Count(w http.ResponseWriter, r *http.Request) {
	q, refused := s.v1Query(r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	n := 0
	if err := s.each(r.Context(), q, func(*estate.Asset) bool { n++; return true }); err != nil {
		return
	}
	control.WriteJSON(w, http.StatusOK, struct {
		Count   int    `json:"count"`
		Code    string `json:"responseCode"`
		Message string `json:"responseMessage"`
	}{n, "SUCCESS", "Valid API Access"})
}

func (s *Server) v1List(w http.ResponseWriter, r *http.Request) {
	q, refused := s.v1Query(r)
	if refused != nil {
		s.refuse(w, r, refused)
		return
	}
	s.list(w, r, q, v1Endpoint(r.URL.Path))
}

func (s *Server) v1Get(w http.ResponseWriter, r *http.Request) {
	s.one(w, r, estate.View{Hide: estate.NewerFields, Omit: s.v1Omits()}, endpointV1Get)
}
