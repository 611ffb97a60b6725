package qualys_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/tests/sim/qualys"
)

type hostPage struct {
	IDs []string `xml:"RESPONSE>HOST_LIST>HOST>ID"`
	URL string   `xml:"RESPONSE>WARNING>URL"`
}

// asset/host (§4.4): following the URL of WARNING 1980 visits every host once, as one answer without truncation does.
func TestFollowingTheWarningOfAHostListVisitsEveryHostOnce(t *testing.T) {
	t.Parallel()
	c := &client{h: mustServer(t, qualys.Options{}).Handler()}
	read := func(query string) (p hostPage) {
		w := c.fo("/api/5.0/fo/asset/host/?"+query, "")
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		require.NoError(t, xml.Unmarshal(w.Body.Bytes(), &p))
		return p
	}
	whole := read("action=list&truncation_limit=0")
	require.Greater(t, len(whole.IDs), 300)
	require.Empty(t, whole.URL)
	var paged []string
	for query := "action=list&truncation_limit=37"; query != ""; {
		p := read(query)
		paged = append(paged, p.IDs...)
		_, query, _ = strings.Cut(p.URL, "?")
	}
	require.Equal(t, whole.IDs, paged)
	require.NotContains(t, c.fo("/api/5.0/fo/asset/host/?action=list&ips=8.8.8.8", "").Body.String(), "HOST_LIST>")
}

// Session (§1.3): the cookie stands for the password until an hour of idleness or the logout.
func TestASessionCookieStandsForThePassword(t *testing.T) {
	t.Parallel()
	now := newClock()
	c := &client{h: mustServer(t, qualys.Options{Now: now.Now}).Handler()}
	call := func(cookie, target, body string) *httptest.ResponseRecorder {
		return c.fo(target, body, "Authorization", "", "Cookie", cookie)
	}
	login := func() string {
		w := call("", foBase+"session/", url.Values{"action": {"login"}, "username": {qualys.DefaultUsername}, "password": {qualys.DefaultPassword}}.Encode())
		require.Equal(t, http.StatusOK, w.Code)
		return strings.Split(w.Header().Get("Set-Cookie"), ";")[0]
	}
	const list = foBase + "asset/ip/?action=list"
	cookie := login()
	require.Equal(t, 200, call(cookie, list, "").Code)
	now.Add(59 * time.Minute)
	require.Equal(t, 200, call(cookie, list, "").Code)
	now.Add(time.Hour)
	require.Equal(t, 401, call(cookie, list, "").Code)
	cookie = login()
	require.Equal(t, 200, call(cookie, foBase+"session/", "action=logout").Code)
	require.Equal(t, 401, call(cookie, list, "").Code)
}

// asset/ip (§4.1) and asset/group (§4.5): what was accepted is there after a restart.
func TestAddressesAndGroupsOutliveARestart(t *testing.T) {
	t.Parallel()
	o := qualys.Options{StateDir: t.TempDir()}
	s := mustServer(t, o)
	c := &client{h: s.Handler()}
	require.Equal(t, 200, c.fo(foBase+"asset/ip/", "action=add&ips=192.0.2.1-192.0.2.9&enable_vm=1&tracking_method=DNS").Code)
	require.Equal(t, 200, c.fo(foBase+"asset/group/", "action=add&title=Kept&ips=192.0.2.3").Code)
	require.Equal(t, 200, c.fo(foBase+"asset/group/", "action=edit&id=4021001&remove_ips=10.0.1.5").Code)
	require.NoError(t, s.Close())
	c.h = mustServer(t, o).Handler()
	require.Contains(t, c.fo(foBase+"asset/ip/?action=list&tracking_method=DNS", "").Body.String(), "192.0.2.1-192.0.2.9")
	require.Contains(t, c.fo(foBase+"asset/group/?action=list&title=Kept", "").Body.String(), "<IP>192.0.2.3</IP>")
	body := c.fo(foBase+"asset/group/?action=list&title=All", "").Body.String()
	require.Contains(t, body, "<IP_RANGE>10.0.1.0-10.0.1.4</IP_RANGE>")
	require.Contains(t, body, "<IP_RANGE>10.0.1.6-10.0.1.59</IP_RANGE>")
}

// External identity provider (§1.2): RFC 6749 errors, 3600 s; FO takes the token when that is switched on.
func TestFOTakesTokensOfAnIdentityProviderWhenSwitchedOn(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		c := &client{h: mustServer(t, qualys.Options{FO: qualys.FOOptions{Bearer: on}}).Handler()}
		post := func(grant, scope string, secret string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/idp/oauth2/v1/token", strings.NewReader(url.Values{"grant_type": {grant}, "scope": {scope}, "client_id": {qualys.DefaultClientID}, "client_secret": {secret}}.Encode()))
			return c.do(r)
		}
		require.Contains(t, post("client_credentials", "", "no").Body.String(), "invalid_client")
		require.Contains(t, post("client_credentials", "root", qualys.DefaultClientSecret).Body.String(), "invalid_scope")
		require.Contains(t, post("implicit", "", qualys.DefaultClientSecret).Body.String(), "unsupported_grant_type")
		require.Contains(t, post("password", "", qualys.DefaultClientSecret).Body.String(), "invalid_grant")
		w := post("client_credentials", "openid", qualys.DefaultClientSecret)
		require.Equal(t, 200, w.Code)
		token := strings.Split(strings.SplitAfter(w.Body.String(), `"access_token":"`)[1], `"`)[0]
		want := map[bool]int{true: 200, false: 401}[on]
		require.Equal(t, want, c.fo(foBase+"asset/ip/?action=list", "", "Authorization", "Bearer "+token).Code)
	}
}

// Permissions: each missing one gives the documented answer.
func TestEachMissingPermissionIsRefusedWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	for _, p := range []qualys.Permission{qualys.PermAPI, qualys.PermVM, qualys.PermAddIPs} {
		c := &client{h: mustServer(t, qualys.Options{}).Handler()}
		require.Equal(t, 204, c.post("/_sim/users", fmt.Sprintf(`{"username":%q,"without":[%q]}`, qualys.DefaultUsername, p)).Code)
		require.Equal(t, 403, c.fo(foBase+"asset/ip/", "action=add&enable_vm=1&ips=192.0.2.1").Code, p)
	}
}
