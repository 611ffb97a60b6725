package qualys_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

const foBase = "/api/2.0/fo/"

// fo calls an FO API with basic credentials; body "" is a GET.
func (c *client) fo(target, body string, header ...string) *httptest.ResponseRecorder {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, "https://qualysapi.example"+target, strings.NewReader(body))
	r.SetBasicAuth(qualys.DefaultUsername, qualys.DefaultPassword)
	r.Header.Set("X-Requested-With", "curl")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return c.do(r)
}

// FO APIs, common rules, the calls and the error codes (§4, §4.1 to §4.6): each sample call and its documented shape.
func TestEverySampleCallOfFOIsAnsweredInTheDocumentedShape(t *testing.T) {
	t.Parallel()
	const ip, group, host = foBase + "asset/ip/", foBase + "asset/group/", foBase + "asset/host/"
	for _, x := range []struct {
		name, target, body string
		status             int
		want               string
	}{
		{"adding addresses says so", ip, "action=add&ips=192.0.2.1-192.0.2.9&enable_vm=1", 200, "<TEXT>IPs successfully added to Vulnerability Management</TEXT>"},
		{"the answer has the DOCTYPE of SIMPLE_RETURN", ip, "action=add&ips=192.0.2.1&enable_vm=1", 200, `<!DOCTYPE SIMPLE_RETURN SYSTEM "https://qualysapi.example/api/2.0/simple_return.dtd">`},
		{"a request is echoed before the response", ip, "action=add&ips=192.0.2.1&enable_vm=1&echo_request=1", 200, "<KEY>enable_vm</KEY>"},
		{"no module is 1922", ip, "action=add&ips=192.0.2.1", 400, "<CODE>1922</CODE>"},
		{"CIDR is no input", ip, "action=add&ips=192.0.2.0/24&enable_vm=1", 400, "<CODE>1905</CODE>"},
		{"no addresses are 1903", ip, "action=add&enable_vm=1", 400, "<CODE>1903</CODE>"},
		{"an unknown parameter is 1901", ip, "action=add&ips=192.0.2.1&enable_vm=1&Ips=1", 400, "<CODE>1901</CODE>"},
		{"writing with GET is 1908", ip + "?action=add&ips=192.0.2.1&enable_vm=1", "", 400, "<CODE>1908</CODE>"},
		{"addresses cannot be removed", ip, "action=delete&ips=10.0.1.0", 400, "<CODE>1905</CODE>"},
		{"a name for two hosts is 1907", ip, "action=update&ips=10.0.1.0-10.0.1.1&host_dns=a", 400, "<CODE>1907</CODE>"},
		{"the last value of a parameter counts", ip, "action=list&action=add&ips=192.0.2.1&enable_vm=1", 200, "successfully added"},
		{"the list has ranges", ip + "?action=list", "", 200, "<IP_RANGE>10.0.1.0-10.0.1.59</IP_RANGE>"},
		{"a comment follows the list", ip + "?action=list", "", 200, "</IP_LIST_OUTPUT>\n<!-- CONFIDENTIAL"},
		{"excluded addresses are listed", foBase + "asset/excluded_ip/?action=list", "", 200, "<IP>10.0.1.7</IP>"},
		{"a group is added", group, "action=add&title=New&ips=10.0.1.0", 200, "<TEXT>Asset Group Added Successfully</TEXT>"},
		{"a group has addresses of the subscription only", group, "action=add&title=New&ips=8.8.8.8", 400, "<CODE>1905</CODE>"},
		{"a group needs a title", group, "action=add", 400, "<CODE>1903</CODE>"},
		{"a group is edited", group, "action=edit&id=4021001&set_title=Everything", 200, "<VALUE>4021001</VALUE>"},
		{"a group is deleted", group, "action=delete&id=4021004", 200, "<RESPONSE>"},
		{"groups are listed", group + "?action=list&show_attributes=All", "", 200, "<![CDATA[R&D <internal>]]>"},
		{"hosts are listed", host + "?action=list&truncation_limit=3", "", 200, "<CODE>1980</CODE>"},
		{"hosts of version 5", "/api/5.0/fo/asset/host/?action=list&details=All", "", 200, "<TRACKING_METHOD>AGENT</TRACKING_METHOD>"},
		{"details None lists ids", host + "?action=list&details=None", "", 200, "<ID_SET>"},
		{"the probe of the activity log", foBase + "activity_log/?action=list&username=x&truncation_limit=1", "", 200, "BEGIN_RESPONSE_BODY_CSV"},
		{"the probe about.php", "/msp/about.php", "", 200, "<WEB-VERSION>"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := &client{h: mustServer(t, qualys.Options{}).Handler()}
			w := c.fo(x.target, x.body)
			require.Equal(t, x.status, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), x.want)
		})
	}
}

// Basic auth (§1.3): refusals come before the limits and have none of their headers.
func TestFORefusesCallsInTheDocumentedWay(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{Limits: qualys.Limits{Concurrency: 2}, Users: []qualys.User{
		{Username: "old", Password: "p", Account: qualys.AccountExpired}, {Username: "new", Password: "p", Account: qualys.AccountUnregistered},
		{Username: "novm", Password: "p", Without: []qualys.Permission{qualys.PermVM}},
	}}).Handler()}
	const list = foBase + "asset/ip/?action=list"
	for _, x := range []struct {
		user, header string
		status       int
		code         string
	}{{"old", "x", 200, "2001"}, {"new", "x", 409, "2003"}, {"novm", "x", 403, "2012"}, {"nobody", "x", 401, "2000"}} {
		r := httptest.NewRequest(http.MethodGet, list, nil)
		r.SetBasicAuth(x.user, "p")
		r.Header.Set("X-Requested-With", x.header)
		w := c.do(r)
		require.Equal(t, x.status, w.Code, x.user)
		require.Contains(t, w.Body.String(), "<CODE>"+x.code+"</CODE>")
		require.Empty(t, w.Header().Get("X-Concurrency-Limit-Limit"))
	}
	require.Equal(t, http.StatusBadRequest, c.fo(list, "", "X-Requested-With", "").Code)
}

// Limits (§8.1): 409, code 1965 with the wait, per API; 1960 is checked first.
func TestFOBlocksWith409AndCode1965WhenTheWindowIsFull(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := &client{h: mustServer(t, qualys.Options{Now: now.Now, Limits: qualys.Limits{Concurrency: 2, Calls: 1, Window: 60e9}}).Handler()}
	w := c.fo(foBase+"asset/ip/?action=list", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "0", w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.Equal(t, "2", w.Header().Get("X-Concurrency-Limit-Limit"))
	w = c.fo(foBase+"asset/ip/?action=list", "")
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "<CODE>1965</CODE>")
	require.Equal(t, "60", w.Header().Get("X-RateLimit-ToWait-Sec"))
	require.Equal(t, http.StatusOK, c.fo(foBase+"asset/group/?action=list", "").Code)
	now.Add(60e9)
	require.Equal(t, http.StatusOK, c.fo(foBase+"asset/ip/?action=list", "").Code)
}

// asset/ip (§4.1): over the licence the whole call is refused; addresses that are there already are no error.
func TestTheLicenceIsACeilingForNewAddresses(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{FO: qualys.FOOptions{Licence: 361}}).Handler()}
	require.Equal(t, http.StatusOK, c.fo(foBase+"asset/ip/", "action=add&enable_vm=1&ips=10.0.1.0,192.0.2.1").Code)
	require.Equal(t, http.StatusBadRequest, c.fo(foBase+"asset/ip/", "action=add&enable_vm=1&ips=192.0.2.2").Code)
	require.Equal(t, http.StatusOK, c.fo(foBase+"asset/ip/", "action=add&enable_vm=1&ips=192.0.2.1").Code)
}

// OAuth (§1.2): both endpoints take the client in headers and answer with a token that the gateway accepts.
func TestClientsGetATokenForTheirHeaders(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{}).Handler()}
	for _, path := range []string{"/auth/oauth", "/auth/oidc"} {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		require.Equal(t, http.StatusUnauthorized, c.do(r).Code)
		r.Header.Set("clientId", qualys.DefaultClientID)
		r.Header.Set("clientSecret", qualys.DefaultClientSecret)
		w := c.do(r)
		require.Equal(t, http.StatusCreated, w.Code)
		c.token = w.Body.String()
		require.Equal(t, http.StatusOK, c.post(countPath, "").Code)
	}
}

// Settings and users can be changed while the simulator runs.
func TestUsersAndSettingsChangeThroughTheControlAPI(t *testing.T) {
	t.Parallel()
	c := mustClient(t, qualys.Options{})
	user := `{"username":"` + qualys.DefaultUsername + `","without":["inventory"]}`
	require.Equal(t, http.StatusNoContent, c.post("/_sim/users", user).Code)
	require.Equal(t, http.StatusForbidden, c.post(countPath, "").Code)
	require.Equal(t, http.StatusBadRequest, c.post("/_sim/users", `{"username":"x","without":["fly"]}`).Code)
	require.Equal(t, http.StatusNoContent, c.post("/_sim/reset", "").Code)
	require.Equal(t, http.StatusNoContent, c.post("/_sim/settings", `{"limits":"1/1/60","blocked":"empty-body"}`).Code)
	require.Equal(t, http.StatusOK, c.post(countPath, "").Code)
	w := c.post(countPath, "")
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Empty(t, w.Body.String())
}

// What comes from outside as addresses never ends the simulator, and is refused with a code or answered.
func FuzzAddressesOfFO(f *testing.F) {
	for _, seed := range []string{"10.0.1.0", "10.0.1.0-10.0.1.9,10.0.1.5", "255.255.255.255", "0.0.0.0-255.255.255.255", "::1", "a-b", ",", "9-"} {
		f.Add(seed)
	}
	h := mustServer(f, qualys.Options{}).Handler()
	f.Fuzz(func(t *testing.T, ips string) {
		w := (&client{h: h}).fo(foBase+"asset/ip/?"+url.Values{"action": {"list"}, "ips": {ips}}.Encode(), "")
		require.Contains(t, []int{http.StatusOK, http.StatusBadRequest}, w.Code)
	})
}
