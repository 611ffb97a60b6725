package qualys

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qbridge/qbridge/activities/transport"
)

// Verdict is what an answer says about a permission.
type Verdict string

// Verdicts.
const (
	Permitted Verdict = "permitted"
	Denied    Verdict = "denied"
	Unsure    Verdict = "unsure" // not asked, no answer, or one that says nothing about it
)

// Reply is the answer to a question about the account.
type Reply struct {
	Verdict Verdict
	Err     error // why not permitted; nil when it is
	Limits  transport.Limits

	body []byte
}

// Probe asks what the account of a connection may do, and changes nothing.
//
// Some permissions only show when something is written. For these it sends
// requests that hold nothing to write whoever reads them: a list without
// records, a change without a value of a record that does not exist, a new tag
// without its mandatory name, the deletion of a tag whose id no tag has. Their
// refusal as such means permission; status 403 or UNAUTHORIZED means none.
type Probe struct {
	gateway *Client   // nil: the connection has no gateway
	portal  *AMClient // nil: the connection has no user name and password
}

// NewProbe returns a probe that shares token and refusals with the clients; each
// may be nil, which makes its questions Unsure.
func NewProbe(gateway *Client, portal *AMClient) *Probe {
	return &Probe{gateway: gateway, portal: portal}
}

// question is one call.
type question struct {
	op, method, path string
	query            url.Values
	body             string
	empty            bool // holds nothing to write: its refusal as such means permission
}

// CMDBSync asks for "Asset Inventory CMDB Sync", which taking in assets of other
// sources needs.
//
// Qualys CSAM API: POST /rest/2.0/am/connector/asset/data/sync.
func (p *Probe) CMDBSync(ctx context.Context) Reply {
	return p.askGateway(ctx, question{op: "test CMDB sync", method: http.MethodPost, path: "/rest/2.0/am/connector/asset/data/sync", body: `{"assetData":[]}`, empty: true})
}

// WriteMetadata asks whether business metadata of assets may be written. It
// needs both the permission to update assets and the integration with ServiceNow.
//
// Qualys CSAM API: POST /rest/2.0/update/am/asset/business/metadata.
func (p *Probe) WriteMetadata(ctx context.Context) Reply {
	return p.askGateway(ctx, question{op: "test business metadata", method: http.MethodPost, path: "/rest/2.0/update/am/asset/business/metadata", body: `{"data":[]}`, empty: true})
}

// Certificates asks for the module Certificate View.
//
// Qualys CertView API: POST /certview/v2.2/certificates; the token must have been
// asked for with permissions=true.
func (p *Probe) Certificates(ctx context.Context) Reply {
	return p.askGateway(ctx, question{op: "read certificates", method: http.MethodPost, path: "/certview/v2.2/certificates", body: `{"pageNumber":0,"pageSize":1}`})
}

// AssetManagement asks for the module Asset Management & Tagging.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/count/am/hostasset.
func (p *Probe) AssetManagement(ctx context.Context) Reply {
	return p.askPortal(ctx, question{
		op: "count host assets", method: http.MethodPost, path: "/qps/rest/2.0/count/am/hostasset",
		body: `{"ServiceRequest":{"filters":{"Criteria":[{"field":"id","operator":"EQUALS","value":"1"}]}}}`,
	})
}

// ReadTags asks whether tags may be read.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/count/am/tag.
func (p *Probe) ReadTags(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "count tags", method: http.MethodPost, path: "/qps/rest/2.0/count/am/tag", body: `{"ServiceRequest":{}}`})
}

// UpdateAsset asks for the permission to update assets, by a change without
// values of an asset that does not exist.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/update/am/hostasset/{id}.
func (p *Probe) UpdateAsset(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "test updating assets", method: http.MethodPost, path: "/qps/rest/2.0/update/am/hostasset/0", body: `{"ServiceRequest":{"data":{"HostAsset":{}}}}`, empty: true})
}

// CreateTag asks for the permission Create User Tag.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/create/am/tag.
func (p *Probe) CreateTag(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "test creating tags", method: http.MethodPost, path: "/qps/rest/2.0/create/am/tag", body: `{"ServiceRequest":{"data":{"Tag":{}}}}`, empty: true})
}

// DeleteTag asks for Delete User Tag. The id in the path names the one tag that
// is meant; ids begin at 1.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/delete/am/tag/{id}.
func (p *Probe) DeleteTag(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "test deleting tags", method: http.MethodPost, path: "/qps/rest/2.0/delete/am/tag/0", empty: true})
}

// EditTag asks for Edit User Tag.
//
// Qualys AM&T API v2: POST /qps/rest/2.0/update/am/tag/{id}.
func (p *Probe) EditTag(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "test editing tags", method: http.MethodPost, path: "/qps/rest/2.0/update/am/tag/0", body: `{"ServiceRequest":{"data":{"Tag":{}}}}`, empty: true})
}

// TagRules asks for Modify Dynamic Tag Rules, by a new tag that has a rule and no
// name.
func (p *Probe) TagRules(ctx context.Context) Reply {
	return p.askPortal(ctx, question{op: "test tag rules", method: http.MethodPost, path: "/qps/rest/2.0/create/am/tag", body: `{"ServiceRequest":{"data":{"Tag":{"ruleType":"NAME_CONTAINS","ruleText":"qbridge"}}}}`, empty: true})
}

// Versions returns the versions of the portal and its modules, as far as named:
// PortalApplication, ITAM, CERTVIEW, WEB.
//
// Qualys: GET /qps/rest/portal/version, XML.
func (p *Probe) Versions(ctx context.Context) (map[string]string, Reply) {
	r := p.askPortal(ctx, question{op: "read the version", method: http.MethodGet, path: "/qps/rest/portal/version"})
	out := map[string]string{}
	if r.Verdict != Permitted {
		return out, r
	}
	var name string
	for in := xml.NewDecoder(bytes.NewReader(r.body)); ; {
		token, err := in.Token()
		if err != nil {
			return out, r // what was read stands
		}
		switch t := token.(type) {
		case xml.StartElement:
			name = t.Name.Local
		case xml.CharData:
			if module, ok := strings.CutSuffix(name, "-VERSION"); ok && len(bytes.TrimSpace(t)) > 0 && out[module] == "" {
				out[module] = p.portal.clean(string(t))
			}
		case xml.EndElement:
			name = ""
		}
	}
}

// Hosts asks for the module Vulnerability Management.
//
// Qualys VM API: GET /api/2.0/fo/asset/host/?action=list, one host.
func (p *Probe) Hosts(ctx context.Context) Reply {
	return p.askFO(ctx, question{op: "list hosts", method: http.MethodGet, path: "/api/2.0/fo/asset/host/", query: url.Values{"action": {"list"}, "truncation_limit": {"1"}}})
}

// Role returns the role of the account, such as Manager or Scanner, as its last
// entry in the activity log names it; "" when the log has none.
//
// Qualys VM API: GET /api/2.0/fo/activity_log/?action=list, CSV.
func (p *Probe) Role(ctx context.Context) (string, Reply) {
	q := question{op: "read the activity log", method: http.MethodGet, path: "/api/2.0/fo/activity_log/", query: url.Values{"action": {"list"}, "truncation_limit": {"1"}}}
	if p.portal != nil {
		q.query.Set("username", p.portal.vendor.cfg.Username)
	}
	r := p.askFO(ctx, q)
	if r.Verdict != Permitted {
		return "", r
	}
	in := csv.NewReader(bytes.NewReader(r.body))
	in.FieldsPerRecord, in.LazyQuotes = -1, true
	column := -1
	for {
		row, err := in.Read()
		switch {
		case err != nil:
			return "", r // the end, or nothing that can be read
		case column >= 0 && column < len(row):
			return p.portal.clean(row[column]), r
		default:
			column = max(column, slices.Index(row, "User Role"))
		}
	}
}

// maxProbe bounds the answer to a question.
const maxProbe = 1 << 20

func unsure(err error) Reply { return Reply{Verdict: Unsure, Err: err} }

func notAsked(op, what string) Reply {
	return unsure(&Error{Op: op, Message: "not asked: the connection has no " + what, kind: KindInvalidRequest})
}

// send makes the call of a question and reads its answer. Only a call that was
// answered has a response.
func (c *Client) send(ctx context.Context, base string, q question, prepare func(*http.Request)) (*http.Response, []byte, error) {
	u := base + q.path
	if len(q.query) > 0 {
		u += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u, strings.NewReader(q.body))
	if err != nil {
		return nil, nil, fmt.Errorf("qualys: %s: %w", q.op, err)
	}
	prepare(req)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.failed(q.op, err)
	}
	body := res.Body // closed by itself: what is put in its place holds no connection
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxProbe))
	if err != nil {
		return nil, nil, c.failed(q.op, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(raw))
	return res, raw, nil
}

func (p *Probe) askGateway(ctx context.Context, q question) Reply {
	if p.gateway == nil {
		return notAsked(q.op, "gateway")
	}
	bearer, err := p.gateway.bearer(ctx, "")
	if err != nil {
		return unsure(err)
	}
	res, raw, err := p.gateway.send(ctx, p.gateway.cfg.GatewayURL, q, func(r *http.Request) { //nolint:bodyclose // send read and closed it
		r.Header.Set("Authorization", "Bearer "+bearer)
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Content-Type", "application/json")
	})
	if err != nil {
		return unsure(err)
	}
	r := Reply{Verdict: Unsure, Limits: transport.ParseLimits(res.Header, p.gateway.cfg.Now()), body: raw}
	text := bytes.TrimSpace(raw)
	isJSON := len(text) == 0 || text[0] == '{' || text[0] == '['
	switch {
	case res.StatusCode/100 == 2 && isJSON, q.empty && isJSON && (res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnprocessableEntity):
		r.Verdict = Permitted
		return r
	case res.StatusCode == http.StatusForbidden:
		r.Verdict = Denied
	}
	r.Err = p.gateway.refused(q.op, res)
	return r
}

// askPortal asks the API of Asset Management & Tagging, whose refusals come with
// status 200 and a responseCode.
func (p *Probe) askPortal(ctx context.Context, q question) Reply {
	return p.basic(ctx, q, "application/json", func(res *http.Response, raw []byte) (Verdict, *Error) {
		var e struct {
			Response struct {
				Code  text `json:"responseCode" xml:"responseCode"`
				Error struct {
					Message text `json:"errorMessage" xml:"errorMessage"`
				} `json:"responseErrorDetails" xml:"responseErrorDetails"`
			} `json:"ServiceResponse"`
		}
		if json.Unmarshal(raw, &e) != nil && xml.Unmarshal(raw, &e.Response) != nil || e.Response.Code == "" {
			return Unsure, &Error{Message: "the answer is not what the API documents", kind: KindUnavailable}
		}
		code := strings.ToUpper(string(e.Response.Code))
		err := &Error{Code: p.portal.clean(code), Message: p.portal.clean(string(e.Response.Error.Message)), kind: amKind(code)}
		switch {
		case code == "SUCCESS", q.empty && (code == "INVALID_REQUEST" || code == "OBJECT_NOT_FOUND" || code == "BAD_REQUEST"):
			return Permitted, nil
		case res.StatusCode >= 500, err.kind == KindUnavailable, err.kind == KindRateLimited, err.kind == KindUnauthorized:
			return Unsure, err
		}
		return Denied, err
	})
}

// askFO asks the API of Vulnerability Management, whose refusals are a
// SIMPLE_RETURN with a code, sometimes with status 200.
func (p *Probe) askFO(ctx context.Context, q question) Reply {
	return p.basic(ctx, q, "", func(res *http.Response, raw []byte) (Verdict, *Error) {
		var e struct {
			XMLName  xml.Name
			Response struct {
				Code string `xml:"CODE"`
				Text string `xml:"TEXT"`
			} `xml:"RESPONSE"`
		}
		simple := xml.Unmarshal(raw, &e) == nil && e.XMLName.Local == "SIMPLE_RETURN" && e.Response.Code != ""
		err := &Error{Code: p.portal.clean(e.Response.Code), Message: p.portal.clean(e.Response.Text), kind: kindOf(res.StatusCode)}
		code, _ := strconv.Atoi(e.Response.Code)
		switch {
		case !simple && res.StatusCode == http.StatusOK:
			if text := bytes.TrimSpace(raw); bytes.HasPrefix(bytes.ToLower(text), []byte("<html")) || bytes.HasPrefix(bytes.ToLower(text), []byte("<!doctype html")) {
				return Unsure, &Error{Message: "the answer is a page of HTML; a maintenance page or a proxy may stand in between", kind: KindUnavailable}
			}
			return Permitted, nil
		case res.StatusCode == http.StatusForbidden, code >= 2001 && code <= 2012:
			err.kind = KindInvalidRequest
			return Denied, err
		}
		return Unsure, err
	})
}

// basic makes a call with user name and password.
func (p *Probe) basic(ctx context.Context, q question, media string, judge func(*http.Response, []byte) (Verdict, *Error)) Reply {
	if p.portal == nil {
		return notAsked(q.op, "user name and password, or no API address")
	}
	c := &p.portal.vendor
	if err := p.portal.login.holds(c.cfg.Now()); err != nil {
		return unsure(err)
	}
	res, raw, err := c.send(ctx, c.cfg.APIURL, q, func(r *http.Request) { //nolint:bodyclose // send read and closed it
		r.SetBasicAuth(c.cfg.Username, c.cfg.Password)
		r.Header.Set("X-Requested-With", "qbridge")
		if q.method == http.MethodPost {
			r.Header.Set("Content-Type", media)
			r.Header.Set("Accept", media)
		}
	})
	if err != nil {
		return unsure(err)
	}
	r := Reply{Limits: transport.ParseLimits(res.Header, c.cfg.Now()), body: raw}
	verdict, refusal := judge(res, raw)
	if r.Verdict = verdict; refusal != nil {
		refusal.Op, refusal.Status, r.Err = q.op, res.StatusCode, refusal
	}
	if res.StatusCode == http.StatusUnauthorized || refusal != nil && refusal.kind == KindUnauthorized {
		if refusal == nil {
			refusal = &Error{Op: q.op, Status: res.StatusCode, kind: KindUnauthorized}
		}
		refusal.kind = KindUnauthorized
		r.Verdict, r.Err = Unsure, refusal
	}
	p.portal.login.note(r.Err, c.cfg.Now())
	return r
}
