package qualys

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/transport"
)

// amRequest is the body of a call.
type amRequest struct {
	XMLName     xml.Name       `xml:"ServiceRequest" json:"-"`
	Preferences *amPreferences `xml:"preferences" json:"preferences,omitempty"`
	Filters     *amFilters     `xml:"filters" json:"filters,omitempty"`
}

type amPreferences struct {
	Limit int `xml:"limitResults" json:"limitResults"`
}

// amFilters are criteria that must all hold.
type amFilters struct {
	Criteria []amCriterion `xml:"Criteria" json:"Criteria"`
}

type amCriterion struct {
	Field    string `xml:"field,attr" json:"field"`
	Operator string `xml:"operator,attr" json:"operator"`
	Value    string `xml:",chardata" json:"value"`
}

func newAMRequest(limit int, criteria []amCriterion) *amRequest {
	r := &amRequest{}
	if limit > 0 {
		r.Preferences = &amPreferences{Limit: limit}
	}
	if len(criteria) > 0 {
		r.Filters = &amFilters{Criteria: criteria}
	}
	return r
}

// Operators by the type of a criterion.
var (
	amInteger = []string{"EQUALS", "NOT EQUALS", "GREATER", "LESSER", "IN"}
	amText    = []string{"CONTAINS", "EQUALS", "NOT EQUALS"}
	amDate    = []string{"EQUALS", "NOT EQUALS", "GREATER", "LESSER"}
	amKeyword = []string{"EQUALS", "NOT EQUALS", "IN"}
)

// amCriteria are the criteria of a search for host assets with their operators.
// Source: Qualys Cloud Agent API, list agents.
var amCriteria = map[string][]string{
	"id": amInteger, "qwebHostId": amInteger, "port": amInteger, "tagId": amInteger, "agentConfigurationId": amInteger,
	"name": amText, "os": amText, "dnsHostName": amText, "address": amText, "type": amText, "netbiosName": amText, "installedSoftware": amText,
	"tagName": amText, "agentVersion": amText, "agentConfigurationName": amText, "netbiosNetworkID": amText, "networkGuid": amText, "activationKey": amText,
	"created": amDate, "updated": amDate, "lastVulnScan": amDate, "lastComplianceScan": amDate, "informationGatheredUpdated": amDate,
	"vulnsUpdated": amDate, "lastCheckedIn": amDate, "trackingMethod": amKeyword,
}

// criteria translates the selection of a query. What the API cannot express is
// refused before a call: it would answer more than was asked for.
func (q Query) criteria() ([]amCriterion, error) {
	refuse := func(format string, args ...any) error {
		return &Error{Op: "filter", Message: fmt.Sprintf(format, args...), kind: KindInvalidRequest}
	}
	var out []amCriterion
	if q.Filter != nil {
		if op := strings.ToUpper(q.Filter.Operation); op != "" && op != "AND" && len(q.Filter.Conditions) > 1 {
			return nil, refuse("Asset Management & Tagging joins conditions by AND only, not by %s", op)
		}
		for _, c := range q.Filter.Conditions {
			operator := strings.ReplaceAll(strings.ToUpper(c.Operator), "_", " ")
			operators, known := amCriteria[c.Field]
			switch {
			case !known:
				return nil, refuse("Asset Management & Tagging cannot select by %q", c.Field)
			case !slices.Contains(operators, operator):
				return nil, refuse("%s cannot be compared by %q: use %s", c.Field, c.Operator, strings.Join(operators, ", "))
			}
			out = append(out, amCriterion{Field: c.Field, Operator: operator, Value: c.Value})
		}
	}
	if !q.UpdatedSince.IsZero() {
		// GREATER leaves out the second itself, in which more may have changed.
		since := q.UpdatedSince.UTC().Truncate(time.Second).Add(-time.Second)
		out = append(out, amCriterion{Field: "updated", Operator: "GREATER", Value: since.Format("2006-01-02T15:04:05Z")})
	}
	return out, nil
}

func (c *AMClient) body(req *amRequest) ([]byte, error) {
	if req == nil {
		return nil, nil
	}
	if c.format == FormatJSON {
		return json.Marshal(map[string]*amRequest{"ServiceRequest": req})
	}
	return xml.Marshal(req)
}

// call makes one call and reads its answer into e. Credentials that were refused
// are not sent again for a while.
func (c *AMClient) call(ctx context.Context, e *amEnvelope, method, path string, query url.Values, req *amRequest) (Meta, error) {
	if err := c.login.holds(c.vendor.cfg.Now()); err != nil {
		return Meta{}, err
	}
	body, err := c.body(req)
	if err != nil {
		return Meta{}, fmt.Errorf("qualys: %s: %w", e.op, err)
	}
	meta, err := c.once(ctx, e, method, path, query, body)
	c.login.note(err, c.vendor.cfg.Now())
	return meta, err
}

func (r *refusal) holds(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil && now.Sub(r.at) < refusalHolds {
		return r.err
	}
	return nil
}

func (r *refusal) note(err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e *Error
	switch {
	case err == nil:
		r.err = nil
	case errors.As(err, &e) && e.kind == KindUnauthorized:
		r.err, r.at = err, now
	}
}

func (c *AMClient) once(ctx context.Context, e *amEnvelope, method, path string, query url.Values, body []byte) (Meta, error) {
	u := c.vendor.cfg.APIURL + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return Meta{}, fmt.Errorf("qualys: %s: %w", e.op, err)
	}
	media := "application/xml"
	if c.format == FormatJSON {
		media = "application/json"
	}
	req.SetBasicAuth(c.vendor.cfg.Username, c.vendor.cfg.Password)
	req.Header.Set("Accept", media)
	req.Header.Set("Content-Type", media) // with one of the two, the other direction stays XML
	res, err := c.vendor.http.Do(req)
	if err != nil {
		return Meta{}, c.vendor.failed(e.op, err)
	}
	defer func() { _ = res.Body.Close() }()
	meta := Meta{Status: res.StatusCode, Limits: transport.ParseLimits(res.Header, c.vendor.cfg.Now())}
	if d, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		meta.ServerDate = d.UTC()
	}
	if res.StatusCode != http.StatusOK {
		return meta, c.refused(e.op, res, meta.Limits.Wait)
	}
	r := bufio.NewReaderSize(res.Body, 64<<10)
	err = e.read(r)
	if err == nil {
		err = drain(e.op, r)
	}
	if err == nil {
		err = c.verdict(e, &meta)
	}
	if err != nil {
		var ours *Error
		if !errors.As(err, &ours) || errors.Is(err, context.Canceled) {
			return meta, c.vendor.failed(e.op, err)
		}
		return meta, err
	}
	return meta, nil
}

// verdict checks the responseCode of an answer: refusals too come with status 200.
func (c *AMClient) verdict(e *amEnvelope, meta *Meta) error {
	if e.code == "" {
		return unreadable(e.op, errors.New("the answer has no responseCode"))
	}
	if strings.EqualFold(string(e.code), "SUCCESS") {
		return e.complete()
	}
	err := &Error{Op: e.op, Status: meta.Status, Code: c.clean(string(e.code)), Message: c.clean(e.message()), kind: amKind(string(e.code))}
	if err.kind == KindRateLimited {
		err.RetryAfter = meta.Limits.Wait
	}
	return err
}

// refused turns an answer with an error status into an Error. The responseCode
// says more than the status where there is one.
func (c *AMClient) refused(op string, res *http.Response, wait time.Duration) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody)) // a cut error body is as good as none
	out := &Error{Op: op, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), kind: kindOf(res.StatusCode)}
	e := &amEnvelope{op: op, page: &Page{}}
	if e.read(bufio.NewReader(bytes.NewReader(raw))) == nil && e.code != "" && !strings.EqualFold(string(e.code), "SUCCESS") {
		out.Code, out.Message = c.clean(string(e.code)), c.clean(e.message())
		if kind := amKind(string(e.code)); res.StatusCode < 500 { // a broken backend is one, whatever it says
			out.kind = kind
		}
	} else if res.StatusCode == http.StatusConflict && bytes.Contains(raw, []byte("2003")) { // registration incomplete: permanent
		out.kind = KindInvalidRequest
	}
	if out.kind == KindRateLimited {
		out.RetryAfter = wait
	}
	return out
}

// clean makes the vendor's text fit for an error.
func (c *AMClient) clean(s string) string { return cut(transport.Redact(s, c.secrets())) }

// amKind says what a responseCode means. UNAUTHORIZED and its like speak of the
// user's rights and not of the password.
func amKind(code string) Kind {
	switch strings.ToUpper(strings.TrimSpace(code)) {
	case "INVALID_CREDENTIALS", "AUTHENTICATION_DISABLED", "INACTIVE_SUBSCRIPTION":
		return KindUnauthorized
	case "OBJECT_NOT_FOUND":
		return KindNotFound
	case "LIMIT_EXCEEDED":
		return KindRateLimited
	case "INTERNAL_ERROR", "UNKNOWN_ERROR":
		return KindUnavailable
	}
	return KindInvalidRequest
}
