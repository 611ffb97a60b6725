package qualys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FOClient calls the older API of vulnerability management and policy compliance,
// which knows the addresses of the subscription. It is safe for concurrent use.
//
//	FOClient ─▶ form, basic authentication ─▶ POST /api/2.0/fo/… ─▶ XML with a document type, or SIMPLE_RETURN
type FOClient struct {
	vendor Client // settings and errors; never its gateway
	login  refusal
}

// NewFO returns a client; it makes no call. Of the configuration, the gateway and
// the page size are not used.
func NewFO(cfg Config) (*FOClient, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 300 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Username == "" || cfg.Password == "" {
		return nil, fmt.Errorf("qualys: connection %s has no user name or password, which the API for addresses needs", cfg.Name)
	}
	if u, err := url.Parse(cfg.APIURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("qualys: connection %s has no API URL", cfg.Name)
	}
	cfg.APIURL = strings.TrimRight(cfg.APIURL, "/")
	return &FOClient{vendor: Client{cfg: cfg, http: &http.Client{
		Transport: cfg.Transport,
		Timeout:   cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { // credentials never follow a redirect
			return http.ErrUseLastResponse
		},
	}}}, nil
}

// IPRange is an address or a run of addresses "10.0.0.1-10.0.0.9". Network is the
// id of its network, "" where the subscription has no networks.
type IPRange struct {
	Network string
	Text    string
}

// IPs lists the addresses that the user may see; network "" asks for all networks.
//
// Qualys VM/PC API v2: POST /api/2.0/fo/asset/ip/, action=list. It has no pages. A
// user who is not a Manager sees a part without being told so. Errors:
// KindUnauthorized, KindRateLimited (409), KindUnavailable.
func (c *FOClient) IPs(ctx context.Context, network string) ([]IPRange, Meta, error) {
	return c.ips(ctx, "list addresses", "/api/2.0/fo/asset/ip/", network)
}

// ExcludedIPs lists the addresses that must never be scanned.
//
// Qualys VM/PC API v2: POST /api/2.0/fo/asset/excluded_ip/, action=list, whose
// answer holds an IP_SET like that of the addresses.
func (c *FOClient) ExcludedIPs(ctx context.Context, network string) ([]IPRange, Meta, error) {
	return c.ips(ctx, "list excluded addresses", "/api/2.0/fo/asset/excluded_ip/", network)
}

// foAddress is an element of an IP_SET.
type foAddress struct {
	Text    string `xml:",chardata"`
	Network string `xml:"network_id,attr"`
}

func (c *FOClient) ips(ctx context.Context, op, path, network string) ([]IPRange, Meta, error) {
	form := url.Values{"action": {"list"}}
	if network != "" {
		form.Set("network_id", network)
	}
	var body struct {
		Date   string      `xml:"RESPONSE>DATETIME"`
		IPs    []foAddress `xml:"RESPONSE>IP_SET>IP"`
		Ranges []foAddress `xml:"RESPONSE>IP_SET>IP_RANGE"`
	}
	_, meta, err := c.call(ctx, foCall{op: op, path: path, form: form, root: "IP_LIST_OUTPUT", into: &body})
	if err == nil && body.Date == "" { // taken for an empty list, it would have everything added again
		err = unreadable(op, errors.New("the list has no date"))
	}
	if err != nil {
		return nil, meta, err
	}
	var out []IPRange
	for _, a := range slices.Concat(body.IPs, body.Ranges) {
		id := a.Network
		if id == "" {
			id = network
		}
		out = append(out, IPRange{Network: id, Text: strings.TrimSpace(a.Text)})
	}
	return out, meta, nil
}

// AddIPs are addresses to add to a subscription, and how.
type AddIPs struct {
	Ranges                []string // addresses and from-to; the vendor documents no prefixes
	Network               string   // "" is the default network
	VM, PC, SCA, CertView bool     // at least one
	Tracking              string   // IP (default) | DNS | NETBIOS
	Owner, Comment        string
	UserFields            [3]string
	AssetGroup            string // title; a Unit Manager must name one
}

// AddIPs adds addresses to the subscription. This cannot be undone by any call, and
// uses licences. After KindUnknownOutcome the list of addresses says what is there;
// only what is missing may be added again.
//
// Qualys VM/PC API v2: POST /api/2.0/fo/asset/ip/, action=add. Needs the Manager
// role, or that of a Unit Manager with an asset group. Errors: KindInvalidRequest
// (no module, an address, a right, the licence), KindRateLimited,
// KindUnknownOutcome.
func (c *FOClient) AddIPs(ctx context.Context, a AddIPs) (SimpleReturn, Meta, error) {
	const op = "add addresses"
	if !a.VM && !a.PC && !a.SCA && !a.CertView {
		return SimpleReturn{}, Meta{}, refuse(op, "no module is set: addresses are added for at least one of VM, PC, SCA, CertView")
	}
	if len(a.Ranges) == 0 {
		return SimpleReturn{}, Meta{}, refuse(op, "there are no addresses to add")
	}
	for _, r := range a.Ranges {
		if strings.Trim(r, "0123456789.-") != "" || r == "" {
			return SimpleReturn{}, Meta{}, refuse(op, "%q is neither an IPv4 address nor a range of them", cut(r))
		}
	}
	form := url.Values{"action": {"add"}, "ips": {strings.Join(a.Ranges, ",")}}
	for name, on := range map[string]bool{"enable_vm": a.VM, "enable_pc": a.PC, "enable_sca": a.SCA, "enable_certview": a.CertView} {
		if on {
			form.Set(name, "1")
		}
	}
	for name, value := range map[string]string{
		"network_id": a.Network, "tracking_method": a.Tracking, "owner": a.Owner, "comment": a.Comment, "ag_title": a.AssetGroup,
		"ud1": a.UserFields[0], "ud2": a.UserFields[1], "ud3": a.UserFields[2],
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return c.call(ctx, foCall{op: op, path: "/api/2.0/fo/asset/ip/", form: form, writes: true})
}

// AssetGroup is an asset group of the subscription.
type AssetGroup struct {
	ID       int64
	Title    string
	Networks []string // ids
	Impact   string
	Ranges   []IPRange
}

// groupPage is how many asset groups one call asks for, maxGroups how many there
// may be before something must be wrong.
const (
	groupPage = 1000
	maxGroups = 100_000
)

// AssetGroups lists the asset groups that the user may see; title "" asks for all.
//
// Qualys VM/PC API v2: POST /api/2.0/fo/asset/group/, action=list, paged by id_min
// while the answer warns (1980) that there are more.
func (c *FOClient) AssetGroups(ctx context.Context, title string) ([]AssetGroup, Meta, error) {
	const op = "list asset groups"
	form := url.Values{"action": {"list"}, "truncation_limit": {strconv.Itoa(groupPage)}, "show_attributes": {"ID,TITLE,NETWORK_IDS,BUSINESS_IMPACT,IP_SET"}}
	if title != "" {
		form.Set("title", title)
	}
	var out []AssetGroup
	for from := int64(0); ; {
		var body foGroups
		_, meta, err := c.call(ctx, foCall{op: op, path: "/api/2.0/fo/asset/group/", form: form, root: "ASSET_GROUP_LIST_OUTPUT", into: &body})
		if err == nil && body.Date == "" {
			err = unreadable(op, errors.New("the list has no date"))
		}
		if err != nil {
			return nil, meta, err
		}
		for i := range body.Groups {
			out = append(out, body.Groups[i].group())
		}
		if body.Warning.URL == "" {
			return out, meta, nil
		}
		next, err := nextID(body.Warning.URL)
		if err != nil || next <= from || len(out) > maxGroups {
			return nil, meta, unreadable(op, fmt.Errorf("the list does not end after group %d", from))
		}
		from = next
		form.Set("id_min", strconv.FormatInt(next, 10))
	}
}

// nextID returns the id at which the next page begins. Only this number is taken
// from the URL: its host is the vendor's word, not the connection's.
func nextID(raw string) (int64, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return 0, errors.New("qualys: the next page is no URL")
	}
	return strconv.ParseInt(u.Query().Get("id_min"), 10, 64)
}

type foGroups struct {
	Date   string    `xml:"RESPONSE>DATETIME"`
	Groups []foGroup `xml:"RESPONSE>ASSET_GROUP_LIST>ASSET_GROUP"`
	// The warning stands in the response; recorded answers of other lists have it
	// inside the list.
	Warning struct {
		URL string `xml:"URL"`
	} `xml:"RESPONSE>WARNING"`
}

type foGroup struct {
	ID       int64       `xml:"ID"`
	Title    string      `xml:"TITLE"`
	Networks string      `xml:"NETWORK_IDS"`
	Network  string      `xml:"NETWORK_ID"`
	Impact   string      `xml:"BUSINESS_IMPACT"`
	IPs      []foAddress `xml:"IP_SET>IP"`
	Ranges   []foAddress `xml:"IP_SET>IP_RANGE"`
}

func (g *foGroup) group() AssetGroup {
	out := AssetGroup{ID: g.ID, Title: g.Title, Impact: g.Impact}
	out.Networks = strings.FieldsFunc(g.Networks+","+g.Network, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	for _, a := range slices.Concat(g.IPs, g.Ranges) {
		out.Ranges = append(out.Ranges, IPRange{Network: a.Network, Text: strings.TrimSpace(a.Text)})
	}
	return out
}

// EnsureAssetGroup returns the asset group of a title, and makes it where there is
// none. Making one is not idempotent: it is looked for before and, after a lost
// answer, again. created says that this call made it.
//
// Qualys VM/PC API v2: POST /api/2.0/fo/asset/group/, action=add.
func (c *FOClient) EnsureAssetGroup(ctx context.Context, g AssetGroup, comments string) (group AssetGroup, created bool, err error) {
	const op = "add asset group"
	if strings.TrimSpace(g.Title) == "" {
		return AssetGroup{}, false, refuse(op, "the asset group has no title")
	}
	if there, err := c.titled(ctx, g.Title); err != nil || there != nil {
		return deref(there), false, err
	}
	form := url.Values{"action": {"add"}, "title": {g.Title}}
	if comments != "" {
		form.Set("comments", comments)
	}
	if len(g.Networks) > 0 {
		form.Set("network_id", g.Networks[0])
	}
	if len(g.Ranges) > 0 {
		texts := make([]string, len(g.Ranges))
		for i, r := range g.Ranges {
			texts[i] = r.Text
		}
		form.Set("ips", strings.Join(texts, ","))
	}
	_, _, err = c.call(ctx, foCall{op: op, path: "/api/2.0/fo/asset/group/", form: form, writes: true})
	var e *Error
	lost := errors.As(err, &e) && e.kind == KindUnknownOutcome
	if err != nil && !lost {
		return AssetGroup{}, false, err
	}
	there, found := c.titled(ctx, g.Title)
	switch {
	case found != nil:
		return AssetGroup{}, false, found
	case there == nil && lost:
		return AssetGroup{}, false, err
	case there == nil:
		return AssetGroup{}, false, &Error{Op: op, Message: "the asset group was added but is not listed yet", kind: KindUnknownOutcome}
	}
	return *there, true, nil
}

func deref(g *AssetGroup) AssetGroup {
	if g == nil {
		return AssetGroup{}
	}
	return *g
}

// titled returns the asset group of a title, or nil.
func (c *FOClient) titled(ctx context.Context, title string) (*AssetGroup, error) {
	list, _, err := c.AssetGroups(ctx, title)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Title == title {
			return &list[i], nil
		}
	}
	return nil, nil
}
