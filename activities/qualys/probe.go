package qualys

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/qbridge/qbridge/activities/transport"
)

// Access is what is known about a right of the account.
type Access int

// Access to an API.
const (
	AccessUnknown Access = iota // nobody answered in a way that tells
	AccessGranted
	AccessDenied
)

// Probe asks for one right. It is a call that reads, or one that the vendor
// refuses whoever makes it — without a mandatory parameter, of id 0 — because
// rights are looked at first: nothing can be changed by it.
type Probe struct {
	Name   string
	method string
	path   string
	body   string
	form   bool // an FO call: form and X-Requested-With
	basic  bool // on the API host, with user name and password
}

// Probes, by what they ask for.
var (
	// ProbeVM: the module Vulnerability Management, which the FO APIs belong to.
	ProbeVM = Probe{Name: "vulnerability management", method: http.MethodGet, path: "/api/2.0/fo/asset/ip/?action=list&ips=127.0.0.1", form: true, basic: true}
	// ProbeAddIPs: adding addresses, a right of Managers. Without addresses the call is code 1903.
	ProbeAddIPs = Probe{Name: "add IPs", method: http.MethodPost, path: "/api/2.0/fo/asset/ip/", body: "action=add&enable_vm=1", form: true, basic: true}
	// ProbeTags: reading with Asset Management & Tagging.
	ProbeTags = Probe{Name: "tags", method: http.MethodPost, path: "/qps/rest/2.0/count/am/tag", basic: true}
	// ProbeChangeTag, ProbeDeleteTag, ProbeCreateTag and ProbeEvaluateTag: of tag 0, or without a name.
	ProbeCreateTag   = Probe{Name: "create tags", method: http.MethodPost, path: "/qps/rest/2.0/create/am/tag", body: `{"ServiceRequest":{"data":{"Tag":{}}}}`, basic: true}
	ProbeChangeTag   = Probe{Name: "edit tags", method: http.MethodPost, path: "/qps/rest/2.0/update/am/tag/0", body: `{"ServiceRequest":{"data":{"Tag":{}}}}`, basic: true}
	ProbeDeleteTag   = Probe{Name: "delete tags", method: http.MethodPost, path: "/qps/rest/2.0/delete/am/tag/0", basic: true}
	ProbeEvaluateTag = Probe{Name: "evaluate tags", method: http.MethodPost, path: "/qps/rest/2.0/evaluate/am/tag/0", basic: true}
	// ProbeMetadata: business metadata of assets. The call names no asset.
	ProbeMetadata = Probe{Name: "update assets", method: http.MethodPost, path: "/rest/2.0/update/am/asset/business/metadata", body: `{"data":[]}`}
	// ProbeConnector: "Asset Inventory CMDB Sync". The call names no asset.
	ProbeConnector = Probe{Name: "CMDB sync", method: http.MethodPost, path: "/rest/2.0/am/connector/asset/data/sync", body: `{"connectorMetaData":{},"assetData":[]}`}
	// ProbeCertificates: Certificate View.
	ProbeCertificates = Probe{Name: "certificates", method: http.MethodPost, path: "/certview/v2.2/certificates", body: `{"pageNumber":0,"pageSize":1}`}
)

// CanProbe reports whether the way to log in allows a probe.
func (c *Client) CanProbe(p Probe) bool {
	return !p.basic || c.cfg.APIURL != "" && c.cfg.Username != "" && c.cfg.Password != ""
}

// Probe asks for a right. The text is what the vendor answered. Status 403, codes
// 2010 to 2012 of FO and UNAUTHORIZED of Asset Management & Tagging deny it; an
// answer about the content of the call grants it.
func (c *Client) Probe(ctx context.Context, p Probe) (Access, string, error) {
	req, err := c.probeRequest(ctx, p)
	if err != nil {
		return AccessUnknown, "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return AccessUnknown, "", c.failed(p.Name, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if err != nil {
		return AccessUnknown, "", c.failed(p.Name, err)
	}
	switch {
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusConflict && p.form:
		return AccessUnknown, "", &Error{Op: p.Name, Status: res.StatusCode, RetryAfter: transport.ParseLimits(res.Header, c.cfg.Now()).Wait, kind: KindRateLimited}
	case res.StatusCode >= http.StatusInternalServerError:
		return AccessUnknown, "", &Error{Op: p.Name, Status: res.StatusCode, kind: KindUnavailable}
	case p.form:
		return foAccess(res.StatusCode, raw)
	case p.basic:
		return qpsAccess(res.StatusCode, raw)
	}
	return gatewayAccess(res.StatusCode)
}

func (c *Client) probeRequest(ctx context.Context, p Probe) (*http.Request, error) {
	base := c.cfg.GatewayURL
	if p.basic {
		base = strings.TrimRight(c.cfg.APIURL, "/")
	}
	req, err := http.NewRequestWithContext(ctx, p.method, base+p.path, strings.NewReader(p.body))
	if err != nil {
		return nil, fmt.Errorf("qualys: %s: %w", p.Name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if p.form {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Requested-With", "qbridge")
		req.Header.Del("Accept")
	}
	if p.basic {
		req.SetBasicAuth(c.cfg.Username, c.cfg.Password)
		return req, nil
	}
	bearer, err := c.bearer(ctx, "")
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	return req, nil
}

// gatewayAccess reads the answer of the gateway: it looks at rights before bodies.
func gatewayAccess(status int) (Access, string, error) {
	text := fmt.Sprintf("status %d", status)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return AccessDenied, text, nil
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return AccessUnknown, text, nil
	}
	return AccessGranted, text, nil
}

// foAccess reads a SIMPLE_RETURN: status 200 may carry a code too.
func foAccess(status int, raw []byte) (Access, string, error) {
	var e struct {
		Code string `xml:"RESPONSE>CODE"`
		Text string `xml:"RESPONSE>TEXT"`
	}
	d := xml.NewDecoder(strings.NewReader(string(raw)))
	d.Strict = false
	readable := d.Decode(&e) == nil
	text := cut(strings.TrimSpace(fmt.Sprintf("status %d %s %s", status, e.Code, e.Text)))
	switch {
	case status == http.StatusForbidden, status == http.StatusUnauthorized, strings.HasPrefix(e.Code, "20"):
		return AccessDenied, text, nil
	case readable && (status == http.StatusOK || strings.HasPrefix(e.Code, "19")):
		return AccessGranted, text, nil
	}
	return AccessUnknown, text, nil
}

// qpsAccess reads a ServiceResponse; failures come with status 200 as well.
func qpsAccess(status int, raw []byte) (Access, string, error) {
	var e struct {
		Response struct {
			Code    text `json:"responseCode"`
			Details struct {
				Message text `json:"errorMessage"`
			} `json:"responseErrorDetails"`
		} `json:"ServiceResponse"`
	}
	readable := json.Unmarshal(raw, &e) == nil && e.Response.Code != ""
	said := cut(strings.TrimSpace(string(e.Response.Code) + " " + string(e.Response.Details.Message)))
	switch {
	case status == http.StatusForbidden, status == http.StatusUnauthorized, e.Response.Code == "UNAUTHORIZED", e.Response.Code == "INVALID_CREDENTIALS":
		return AccessDenied, said, nil
	case readable:
		return AccessGranted, said, nil
	}
	return AccessUnknown, fmt.Sprintf("status %d", status), nil
}

// PortalVersion returns the version of the portal, "" when it does not tell.
//
// Qualys portal: GET /qps/rest/portal/version.
func (c *Client) PortalVersion(ctx context.Context) (string, error) {
	req, err := c.probeRequest(ctx, Probe{Name: "portal version", method: http.MethodGet, path: "/qps/rest/portal/version", basic: true})
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", c.failed("portal version", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if err != nil {
		return "", c.failed("portal version", err)
	}
	var e struct {
		Response struct {
			Data []struct {
				Versions map[string]text `json:"Portal-Version"`
			} `json:"data"`
		} `json:"ServiceResponse"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(raw, &e) != nil || len(e.Response.Data) == 0 {
		return "", nil
	}
	return string(e.Response.Data[0].Versions["PortalApplication-VERSION"]), nil
}
