package qualys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/export"
)

// office answers the forms of a test in order; the last answer repeats.
type office struct {
	forms   []url.Values
	headers []http.Header
	paths   []string
	answers []http.HandlerFunc
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	o.forms, o.headers, o.paths = append(o.forms, r.PostForm), append(o.headers, r.Header), append(o.paths, r.Method+" "+r.URL.Path)
	o.answers[min(len(o.forms), len(o.answers))-1](w, r)
}

func fo(t *testing.T, answers ...http.HandlerFunc) (*qualys.FOClient, *office) {
	t.Helper()
	o := &office{answers: answers}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	c, err := qualys.NewFO(qualys.Config{Name: "corp", APIURL: server.URL + "/", Username: user, Password: password, Transport: server.Client().Transport})
	require.NoError(t, err)
	return c, o
}

const doctype = `<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE %s SYSTEM "https://qualysapi.qg2.apps.qualys.com/api/2.0/%s.dtd">
`

// simple is a SIMPLE_RETURN; code may be "".
func simple(code, text string, items ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, doctype, "SIMPLE_RETURN", "simple_return")
	b.WriteString("<SIMPLE_RETURN>\n  <RESPONSE>\n    <DATETIME>2026-02-11T08:00:01Z</DATETIME>\n")
	if code != "" {
		b.WriteString("    <CODE>" + code + "</CODE>\n")
	}
	b.WriteString("    <TEXT>" + text + "</TEXT>\n")
	for i := 0; i+1 < len(items); i += 2 {
		b.WriteString("<ITEM_LIST><ITEM><KEY>" + items[i] + "</KEY><VALUE>" + items[i+1] + "</VALUE></ITEM></ITEM_LIST>")
	}
	return b.String() + "  </RESPONSE>\n</SIMPLE_RETURN>\n"
}

// ipList is a list of addresses; set is the inside of IP_SET.
func ipList(set string) string {
	if set != "" {
		set = "<IP_SET>" + set + "</IP_SET>"
	}
	return fmt.Sprintf(doctype, "IP_LIST_OUTPUT", "fo/asset/ip/ip_list_output") +
		"<IP_LIST_OUTPUT><RESPONSE><DATETIME>2026-02-11T08:00:02Z</DATETIME>" + set + "</RESPONSE></IP_LIST_OUTPUT>\n<!-- CONFIDENTIAL AND PROPRIETARY INFORMATION -->\n"
}

const added = "IPs successfully added to Vulnerability Management"

func TestAddressesAreListedWithTheirNetworks(t *testing.T) {
	t.Parallel()
	c, o := fo(t, answer(ipList(`<IP>10.1.1.5</IP><IP_RANGE>10.1.2.1-10.1.2.254</IP_RANGE><IP network_id="1007"> 10.1.1.5 </IP>`)))
	got, _, err := c.IPs(context.Background(), "")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]qualys.IPRange{{Text: "10.1.1.5"}, {Network: "1007", Text: "10.1.1.5"}, {Text: "10.1.2.1-10.1.2.254"}}, got))
	require.Equal(t, []string{"POST /api/2.0/fo/asset/ip/"}, o.paths)
	require.Equal(t, url.Values{"action": {"list"}}, o.forms[0])
	require.NotEmpty(t, o.headers[0].Get("X-Requested-With"))
	name, pass, _ := (&http.Request{Header: o.headers[0]}).BasicAuth()
	require.Equal(t, []string{user, password}, []string{name, pass})

	scopes, err := qualys.Scopes(got)
	require.NoError(t, err)
	require.Len(t, scopes, 2)
	require.EqualValues(t, 255, scopes[0].Addresses)
	_, err = qualys.Scopes([]qualys.IPRange{{Text: "10.0.0.1"}, {Text: "app01"}})
	require.ErrorContains(t, err, `"app01"`, "a list that is understood in part is not understood")
}

func TestNoAddressesAreNoError(t *testing.T) {
	t.Parallel()
	c, o := fo(t, answer(ipList("")))
	got, _, err := c.ExcludedIPs(context.Background(), "7")
	require.NoError(t, err)
	require.Empty(t, got)
	require.Equal(t, []string{"POST /api/2.0/fo/asset/excluded_ip/"}, o.paths)
	require.Equal(t, "7", o.forms[0].Get("network_id"))
}

func TestAnAnswerThatIsNoListIsNeverAnEmptyList(t *testing.T) {
	t.Parallel()
	whole := ipList("<IP>10.1.1.5</IP><IP>10.1.1.6</IP>")
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   qualys.Kind
	}{
		"a cut body":               {answer(whole[:len(whole)-90]), qualys.KindUnavailable},
		"a body cut by length":     {status(200, whole[:200], "Content-Length", "900"), qualys.KindUnavailable},
		"an empty body":            {answer(""), qualys.KindUnavailable},
		"HTML":                     {answer("<!DOCTYPE html><html><body>Maintenance</body></html>"), qualys.KindUnavailable},
		"text":                     {answer("Please log in"), qualys.KindUnavailable},
		"another list":             {answer(strings.ReplaceAll(whole, "IP_LIST_OUTPUT", "HOST_LIST_OUTPUT")), qualys.KindUnavailable},
		"a list without a date":    {answer("<IP_LIST_OUTPUT/>"), qualys.KindUnavailable},
		"a text without a code":    {answer(simple("", "All is well")), qualys.KindUnavailable},
		"something after it":       {answer(whole + "<IP_LIST_OUTPUT/>"), qualys.KindUnavailable},
		"entities of its own":      {answer(`<!DOCTYPE x [<!ENTITY a "10.0.0.1">]><IP_LIST_OUTPUT><RESPONSE><DATETIME>&a;</DATETIME></RESPONSE></IP_LIST_OUTPUT>`), qualys.KindUnavailable},
		"an expired account, 200":  {answer(simple("2001", "This account has expired.")), qualys.KindUnauthorized},
		"a wrong password":         {status(401, simple("2000", "Bad Login/Password")), qualys.KindUnauthorized},
		"a wrong parameter":        {status(400, simple("1905", "parameter ips has invalid value: x")), qualys.KindInvalidRequest},
		"no right":                 {status(403, simple("2012", "User does not have permission")), qualys.KindInvalidRequest},
		"an unfinished account":    {status(409, simple("2003", "Registration must be completed")), qualys.KindInvalidRequest},
		"a limit of concurrency":   {status(409, simple("1960", "Concurrency limit"), "X-RateLimit-ToWait-Sec", "12"), qualys.KindRateLimited},
		"a limit told with 400":    {status(400, simple("1965", "This API cannot be run again for another 23 seconds"), "X-RateLimit-ToWait-Sec", "12"), qualys.KindRateLimited},
		"another request":          {status(409, simple("1920", "blocked by other request"), "X-RateLimit-ToWait-Sec", "12"), qualys.KindRateLimited},
		"a 409 without a body":     {status(409, "", "X-RateLimit-ToWait-Sec", "12"), qualys.KindRateLimited},
		"maintenance":              {status(503, simple("1999", "scheduled maintenance")), qualys.KindUnavailable},
		"maintenance in HTML":      {status(503, "<html>"), qualys.KindUnavailable},
		"an internal error, 200":   {answer(simple("999", "Internal error")), qualys.KindUnavailable},
		"accepted for later":       {status(202, simple("1981", "being processed")), qualys.KindUnavailable},
		"a lost answer":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, qualys.KindUnavailable},
		"a redirect":               {status(302, "", "Location", "https://evil.example/"), qualys.KindUnavailable},
		"a password in the answer": {status(400, simple("1905", password)), qualys.KindInvalidRequest},
	} {
		client, _ := fo(t, c.answer)
		got, _, err := client.IPs(context.Background(), "")
		var e *qualys.Error
		require.True(t, errors.As(err, &e), "%s: %v", name, err)
		require.Equal(t, c.kind, e.Kind(), "%s: %v", name, err)
		require.Empty(t, got, name)
		require.NotContains(t, err.Error(), password, name)
		if c.kind == qualys.KindRateLimited {
			require.Equal(t, 12*time.Second, e.RetryAfter, name)
		}
	}
}

func TestRefusedCredentialsAreNotSentAgainForAWhile(t *testing.T) {
	t.Parallel()
	o := &office{answers: []http.HandlerFunc{status(401, simple("2000", "Bad Login/Password"))}}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := qualys.NewFO(qualys.Config{Name: "corp", APIURL: server.URL, Username: user, Password: password, Transport: server.Client().Transport, Now: func() time.Time { return clock }})
	require.NoError(t, err)
	for range 5 {
		_, _, err := c.IPs(context.Background(), "")
		require.ErrorContains(t, err, "Bad Login/Password")
	}
	require.Len(t, o.forms, 1)
	clock = clock.Add(time.Minute)
	_, _, err = c.IPs(context.Background(), "")
	require.Error(t, err)
	require.Len(t, o.forms, 2)
}

func TestPlannedAddressesAreAddedAsConfigured(t *testing.T) {
	t.Parallel()
	c, o := fo(t, answer(simple("", added)))
	ranges, err := export.ParseSet([]string{"10.0.0.1", "10.0.0.8/30"})
	require.NoError(t, err)
	got, _, err := c.AddIPs(context.Background(), qualys.AddIPsOf(export.IPCall{Network: "7", Ranges: ranges.Ranges()}, export.Registration{
		VM: true, CertView: true, Tracking: "DNS", Owner: "acme_jd", Comment: "from the CMDB & more", UserFields: []string{"a", "", "c#"}, AssetGroup: "CMDB",
	}))
	require.NoError(t, err)
	require.Equal(t, added, got.Text)
	require.False(t, got.Pending)
	require.Empty(t, cmp.Diff(url.Values{
		"action": {"add"}, "ips": {"10.0.0.1,10.0.0.8-10.0.0.11"}, "network_id": {"7"}, "enable_vm": {"1"}, "enable_certview": {"1"}, "tracking_method": {"DNS"},
		"owner": {"acme_jd"}, "comment": {"from the CMDB & more"}, "ud1": {"a"}, "ud3": {"c#"}, "ag_title": {"CMDB"},
	}, o.forms[0]))
}

func TestAnAdditionIsDoneRefusedOrOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		kind    qualys.Kind
		pending bool
	}{
		"done":                     {answer(simple("", added)), "", false},
		"accepted for later":       {status(202, simple("1982", "The request is being processed")), "", true},
		"refused with 200":         {answer(simple("1905", "ips is over your license")), qualys.KindInvalidRequest, false},
		"refused with 400":         {status(400, simple("1922", "please specify at least one of")), qualys.KindInvalidRequest, false},
		"a limit":                  {status(409, simple("1965", "rate"), "X-RateLimit-ToWait-Sec", "12"), qualys.KindRateLimited, false},
		"a lost answer":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, qualys.KindUnknownOutcome, false},
		"a cut answer":             {answer(simple("", added)[:180]), qualys.KindUnknownOutcome, false},
		"HTML with 200":            {answer("<html><body>ok</body></html>"), qualys.KindUnknownOutcome, false},
		"an answer that says none": {answer(simple("", " ")), qualys.KindUnknownOutcome, false},
		"a broken backend":         {status(502, "<html>"), qualys.KindUnknownOutcome, false},
	} {
		client, o := fo(t, c.answer)
		got, _, err := client.AddIPs(context.Background(), qualys.AddIPs{Ranges: []string{"10.0.0.1"}, PC: true})
		require.Len(t, o.forms, 1, name)
		if c.kind == "" {
			require.NoError(t, err, name)
			require.Equal(t, c.pending, got.Pending, name)
			continue
		}
		var e *qualys.Error
		require.True(t, errors.As(err, &e), "%s: %v", name, err)
		require.Equal(t, c.kind, e.Kind(), "%s: %v", name, err)
	}
}

func TestAWrongAdditionIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	c, o := fo(t, answer(simple("", added)))
	for want, a := range map[string]qualys.AddIPs{
		"no module is set":                   {Ranges: []string{"10.0.0.1"}},
		"no addresses":                       {VM: true},
		`"10.0.0.0/24" is neither`:           {VM: true, Ranges: []string{"10.0.0.0/24"}},
		`"2001:db8::1" is neither`:           {VM: true, Ranges: []string{"2001:db8::1"}},
		`"10.0.0.1,10.0.0.2" is neither an`:  {VM: true, Ranges: []string{"10.0.0.1,10.0.0.2"}},
		`"10.0.0.1&action=delete" is neithe`: {VM: true, Ranges: []string{"10.0.0.1&action=delete"}},
	} {
		_, _, err := c.AddIPs(context.Background(), a)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, o.forms)
	for want, cfg := range map[string]qualys.Config{"no user name": {APIURL: "https://x"}, "no API URL": {Username: "a", Password: "b"}} {
		_, err := qualys.NewFO(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestAnAdditionWhoseLeaseIsLostIsNotSent(t *testing.T) {
	t.Parallel()
	o := &office{answers: []http.HandlerFunc{answer(simple("", added))}}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	tr, err := transport.New(transport.Options{Name: "corp"})
	require.NoError(t, err)
	c, err := qualys.NewFO(qualys.Config{Name: "corp", APIURL: server.URL, Username: user, Password: password, Transport: tr})
	require.NoError(t, err)
	ctx := transport.Before(context.Background(), func() error { return errors.New("the lease is lost") })
	_, _, err = c.AddIPs(ctx, qualys.AddIPs{Ranges: []string{"10.0.0.1"}, VM: true})
	var unsent *transport.NotSentError
	require.ErrorAs(t, err, &unsent)
	require.Empty(t, o.forms)
}

func groupList(next string, groups ...string) string {
	warning := ""
	if next != "" {
		warning = "<WARNING><CODE>1980</CODE><TEXT>1000 record limit exceeded.</TEXT><URL><![CDATA[https://evil.example/api/2.0/fo/asset/group/?action=list&id_min=" + next + "]]></URL></WARNING>"
	}
	return fmt.Sprintf(doctype, "ASSET_GROUP_LIST_OUTPUT", "fo/asset/group/asset_group_list_output") + "<ASSET_GROUP_LIST_OUTPUT><RESPONSE><DATETIME>2026-02-11T08:00:02Z</DATETIME><ASSET_GROUP_LIST>" +
		strings.Join(groups, "") + "</ASSET_GROUP_LIST>" + warning + "</RESPONSE></ASSET_GROUP_LIST_OUTPUT>"
}

const (
	groupCMDB = `<ASSET_GROUP><ID>11</ID><TITLE><![CDATA[CMDB & more]]></TITLE><NETWORK_IDS>0, 1007</NETWORK_IDS><BUSINESS_IMPACT>High</BUSINESS_IMPACT><IP_SET><IP>10.0.0.1</IP><IP_RANGE>10.0.0.3-10.0.0.4</IP_RANGE></IP_SET></ASSET_GROUP>`
	groupLab  = `<ASSET_GROUP><ID>12</ID><TITLE>Lab</TITLE></ASSET_GROUP>`
)

func TestAssetGroupsAreListedToTheEndFromOurOwnHost(t *testing.T) {
	t.Parallel()
	c, o := fo(t, answer(groupList("12", groupCMDB)), answer(groupList("", groupLab)))
	got, _, err := c.AssetGroups(context.Background(), "")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]qualys.AssetGroup{
		{ID: 11, Title: "CMDB & more", Networks: []string{"0", "1007"}, Impact: "High", Ranges: []qualys.IPRange{{Text: "10.0.0.1"}, {Text: "10.0.0.3-10.0.0.4"}}},
		{ID: 12, Title: "Lab", Networks: []string{}},
	}, got))
	require.Len(t, o.forms, 2)
	require.Equal(t, "12", o.forms[1].Get("id_min"))

	for name, next := range map[string]string{"a page that repeats": "12", "no number": "x"} {
		c, _ = fo(t, answer(groupList(next, groupCMDB)))
		_, _, err = c.AssetGroups(context.Background(), "")
		require.ErrorContains(t, err, "cut off", name)
	}
}

func TestAnAssetGroupIsMadeOnce(t *testing.T) {
	t.Parallel()
	gone := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	made := answer(simple("", "Asset Group Added Successfully", "ID", "12"))
	none, there := answer(groupList("")), answer(groupList("", groupLab))
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		actions string
		created bool
		kind    qualys.Kind
	}{
		"one that is there is taken":       {[]http.HandlerFunc{there}, "list", false, ""},
		"one that is not is made":          {[]http.HandlerFunc{none, made, there}, "list add list", true, ""},
		"an answer lost after the making":  {[]http.HandlerFunc{none, gone, there}, "list add list", true, ""},
		"an answer lost before the making": {[]http.HandlerFunc{none, gone, none}, "list add list", false, qualys.KindUnknownOutcome},
		"a refusal":                        {[]http.HandlerFunc{none, status(403, simple("2012", "no permission"))}, "list add", false, qualys.KindInvalidRequest},
		"a list that fails":                {[]http.HandlerFunc{status(503, "")}, "list", false, qualys.KindUnavailable},
		"made and not listed yet":          {[]http.HandlerFunc{none, made, none}, "list add list", false, qualys.KindUnknownOutcome},
	} {
		client, o := fo(t, c.answers...)
		g, created, err := client.EnsureAssetGroup(context.Background(), qualys.AssetGroup{Title: "Lab", Networks: []string{"7"}, Ranges: []qualys.IPRange{{Text: "10.0.0.1"}}}, "by qbridge")
		var actions []string
		for _, f := range o.forms {
			actions = append(actions, f.Get("action"))
			require.Equal(t, "Lab", f.Get("title"), name)
		}
		require.Equal(t, c.actions, strings.Join(actions, " "), name)
		require.Equal(t, c.created, created, name)
		if c.kind == "" {
			require.NoError(t, err, name)
			require.EqualValues(t, 12, g.ID, name)
			continue
		}
		var e *qualys.Error
		require.True(t, errors.As(err, &e), "%s: %v", name, err)
		require.Equal(t, c.kind, e.Kind(), name)
	}
	c, _ := fo(t, none)
	_, _, err := c.EnsureAssetGroup(context.Background(), qualys.AssetGroup{Title: " "}, "")
	require.ErrorContains(t, err, "no title")
}

func FuzzAListOfAddresses(f *testing.F) {
	f.Add(ipList("<IP>10.0.0.1</IP>"))
	f.Add(simple("1960", "x"))
	f.Add("<IP_LIST_OUTPUT><RESPONSE>")
	f.Fuzz(func(t *testing.T, body string) {
		c, err := qualys.NewFO(qualys.Config{Name: "corp", APIURL: "https://portal.example", Username: user, Password: password, Transport: portal(func(*http.Request, string) (int, string) { return 200, body })})
		require.NoError(t, err)
		list, _, err := c.IPs(context.Background(), "")
		if err != nil {
			var e *qualys.Error
			require.ErrorAs(t, err, &e)
			require.Empty(t, list)
		}
	})
}
