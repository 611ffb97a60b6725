package qualys_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
)

// probe returns a probe of a subscription that gives one answer to everything but
// the login.
func probe(t *testing.T, status int, body string) *qualys.Probe {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth" {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("a.b.c"))
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	cfg := qualys.Config{Name: "corp", APIURL: server.URL, GatewayURL: server.URL, Username: "u", Password: "s3cr%t"}
	gateway, err := qualys.New(cfg)
	require.NoError(t, err)
	portal, err := qualys.NewAM(cfg, qualys.FormatJSON)
	require.NoError(t, err)
	return qualys.NewProbe(gateway, portal)
}

func TestAnswersTellWhetherTheAccountMay(t *testing.T) {
	t.Parallel()
	gateway := func(p *qualys.Probe) qualys.Reply { return p.CMDBSync(context.Background()) }
	reading := func(p *qualys.Probe) qualys.Reply { return p.Certificates(context.Background()) }
	portal := func(p *qualys.Probe) qualys.Reply { return p.CreateTag(context.Background()) }
	counting := func(p *qualys.Probe) qualys.Reply { return p.AssetManagement(context.Background()) }
	hosts := func(p *qualys.Probe) qualys.Reply { return p.Hosts(context.Background()) }
	code := func(s string) string {
		return `{"ServiceResponse":{"responseCode":"` + s + `","responseErrorDetails":{"errorMessage":"no, s3cr%t"}}}`
	}
	simple := func(s string) string {
		return `<?xml version="1.0"?><SIMPLE_RETURN><RESPONSE><CODE>` + s + `</CODE><TEXT>no</TEXT></RESPONSE></SIMPLE_RETURN>`
	}
	for name, c := range map[string]struct {
		ask    func(*qualys.Probe) qualys.Reply
		status int
		body   string
		want   qualys.Verdict
	}{
		"an empty list is taken":                       {gateway, 200, `{"responseCode":"SUCCESS"}`, qualys.Permitted},
		"an empty list is refused as empty":            {gateway, 400, `{"message":"1 to 250 entries"}`, qualys.Permitted},
		"the permission is missing":                    {gateway, 403, `{"message":"Access Denied"}`, qualys.Denied},
		"the permission is missing, without a body":    {gateway, 403, ``, qualys.Denied},
		"the gateway is down":                          {gateway, 503, ``, qualys.Unsure},
		"a limit":                                      {gateway, 429, ``, qualys.Unsure},
		"a page of a proxy":                            {gateway, 200, `<html>`, qualys.Unsure},
		"a proxy refuses the call":                     {gateway, 400, `<html>`, qualys.Unsure},
		"the path does not exist":                      {gateway, 404, `{}`, qualys.Unsure},
		"nothing to read":                              {reading, 204, ``, qualys.Permitted},
		"a list to read":                               {reading, 200, `[]`, qualys.Permitted},
		"a request that is not understood":             {reading, 400, `{}`, qualys.Unsure},
		"a tag without a name is refused as such":      {portal, 200, code("INVALID_REQUEST"), qualys.Permitted},
		"a tag that is not there":                      {portal, 200, code("OBJECT_NOT_FOUND"), qualys.Permitted},
		"tags may not be changed":                      {portal, 200, code("UNAUTHORIZED"), qualys.Denied},
		"tags may not be changed, with a status":       {portal, 403, code("INSUFFICIENT_PERMISSION"), qualys.Denied},
		"a refusal in XML":                             {portal, 200, `<ServiceResponse><responseCode>UNAUTHORIZED</responseCode></ServiceResponse>`, qualys.Denied},
		"the portal is broken":                         {portal, 200, code("INTERNAL_ERROR"), qualys.Unsure},
		"the portal says nothing":                      {portal, 200, `{}`, qualys.Unsure},
		"the module is off":                            {counting, 200, code("INVALID_REQUEST"), qualys.Denied},
		"the module is on":                             {counting, 200, code("SUCCESS"), qualys.Permitted},
		"hosts are listed":                             {hosts, 200, `<HOST_LIST_OUTPUT></HOST_LIST_OUTPUT>`, qualys.Permitted},
		"the account has expired, with status 200":     {hosts, 200, simple("2001"), qualys.Denied},
		"the user may not run the API":                 {hosts, 403, simple("2012"), qualys.Denied},
		"the registration is not complete":             {hosts, 409, simple("2003"), qualys.Denied},
		"too many calls":                               {hosts, 409, simple("1965"), qualys.Unsure},
		"the password is refused":                      {hosts, 401, simple("2000"), qualys.Unsure},
		"a maintenance page":                           {hosts, 200, `<!DOCTYPE html><html></html>`, qualys.Unsure},
		"the login is refused where it says so in 200": {counting, 200, code("INVALID_CREDENTIALS"), qualys.Unsure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.ask(probe(t, c.status, c.body))
			require.Equal(t, c.want, r.Verdict, "%v", r.Err)
			if c.want == qualys.Permitted {
				require.NoError(t, r.Err)
				return
			}
			var e *qualys.Error
			require.True(t, errors.As(r.Err, &e), "%v", r.Err)
			require.NotContains(t, r.Err.Error(), "s3cr%t")
		})
	}
}

func TestARefusedPasswordIsNotSentAgainByTheNextQuestion(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	portal, err := qualys.NewAM(qualys.Config{Name: "corp", APIURL: server.URL, GatewayURL: server.URL, Username: "u", Password: "p"}, qualys.FormatJSON)
	require.NoError(t, err)
	p := qualys.NewProbe(nil, portal)
	require.Equal(t, qualys.Unsure, p.Hosts(context.Background()).Verdict)
	require.Equal(t, qualys.Unsure, p.AssetManagement(context.Background()).Verdict)
	require.Equal(t, 1, calls)
}

func TestWhatAConnectionCannotAskIsUnsure(t *testing.T) {
	t.Parallel()
	p := qualys.NewProbe(nil, nil)
	for _, r := range []qualys.Reply{p.CMDBSync(context.Background()), p.EditTag(context.Background()), p.Hosts(context.Background())} {
		require.Equal(t, qualys.Unsure, r.Verdict)
		require.ErrorContains(t, r.Err, "not asked")
	}
	role, r := p.Role(context.Background())
	require.Empty(t, role)
	require.Equal(t, qualys.Unsure, r.Verdict)
}

func TestTheRoleIsThatOfTheLastEntryOfTheActivityLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, role string }{
		"one entry":   {"----BEGIN_RESPONSE_BODY_CSV\n\"Date\",\"Action\",\"User Name\",\"User Role\"\n\"2026-01-01\",\"list, all\",\"u\",\"Unit Manager\"\n----END_RESPONSE_BODY_CSV\n", "Unit Manager"},
		"no entry":    {"Date,User Role\n----END\n", ""},
		"no column":   {"Date,Who\nnow,u\n", ""},
		"no log":      {"", ""},
		"another one": {"<LOG/>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			role, r := probe(t, http.StatusOK, c.body).Role(context.Background())
			require.Equal(t, qualys.Permitted, r.Verdict)
			require.Equal(t, c.role, role)
		})
	}
}

func TestVersionsAreReadAsFarAsTheyAreNamed(t *testing.T) {
	t.Parallel()
	v, r := probe(t, http.StatusOK, `<ServiceResponse><responseCode>SUCCESS</responseCode><data><Portal-Version><ITAM-VERSION>2.9</ITAM-VERSION><X/></Portal-Version></data></ServiceResponse>`).Versions(context.Background())
	require.Equal(t, qualys.Permitted, r.Verdict)
	require.Equal(t, map[string]string{"ITAM": "2.9"}, v)
}
