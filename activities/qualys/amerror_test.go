package qualys_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
)

func TestTheResponseCodeDecidesWhateverTheStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]qualys.Kind{
		"INVALID_REQUEST": qualys.KindInvalidRequest, "INVALID_CREDENTIALS": qualys.KindUnauthorized, "UNAUTHORIZED": qualys.KindInvalidRequest,
		"INSUFFICIENT_PERMISSION": qualys.KindInvalidRequest, "OBJECT_NOT_FOUND": qualys.KindNotFound, "LIMIT_EXCEEDED": qualys.KindRateLimited,
		"INTERNAL_ERROR": qualys.KindUnavailable, "UNKNOWN_ERROR": qualys.KindUnavailable, "INVALID_XML": qualys.KindInvalidRequest, "SOMETHING_NEW": qualys.KindInvalidRequest,
	} {
		for _, status := range []int{200, 400, 401, 404} {
			for _, body := range []string{failureXML(code, "It is &apos;bad&apos;."), failureJSON(code, "It is 'bad'.")} {
				_, _, err := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) { return status, body })).Search(context.Background(), qualys.Query{})
				var e *qualys.Error
				require.ErrorAs(t, err, &e, code)
				require.Equal(t, want, e.Kind(), "%s with status %d", code, status)
				require.Equal(t, []any{code, status, "It is 'bad'. Do better."}, []any{e.Code, e.Status, e.Message})
				if want == qualys.KindRateLimited {
					require.Equal(t, 7*time.Second, e.RetryAfter)
				}
			}
		}
	}
}

func TestAnswersThatAreNoneAreErrorsOfThePage(t *testing.T) {
	t.Parallel()
	sample := amXML("true", 9, `<id>9</id>`)
	for name, c := range map[string]struct {
		status int
		body   string
		kind   qualys.Kind
	}{
		"a maintenance page":               {200, "<!DOCTYPE html><html><body>down</body></html>", qualys.KindUnavailable},
		"HTML without a document type":     {200, "<html><body>down<br></body></html>", qualys.KindUnavailable},
		"plain text":                       {200, "Service Unavailable", qualys.KindUnavailable},
		"nothing":                          {200, " \n", qualys.KindUnavailable},
		"a document type":                  {200, `<!DOCTYPE x [<!ENTITY a "b">]>` + sample, qualys.KindUnavailable},
		"an unknown entity":                {200, amXML("false", 0, `<id>9</id><name>&xxe;</name>`), qualys.KindUnavailable},
		"another encoding":                 {200, strings.Replace(sample, "UTF-8", "UTF-16", 1), qualys.KindUnavailable},
		"something after the end":          {200, sample + "<more/>", qualys.KindUnavailable},
		"another object":                   {200, `{"data":[]}`, qualys.KindUnavailable},
		"no responseCode":                  {200, `{"ServiceResponse":{"count":0}}`, qualys.KindUnavailable},
		"fewer assets than promised":       {200, strings.Replace(sample, "<count>1<", "<count>2<", 1), qualys.KindUnavailable},
		"no asset although one is there":   {200, `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"hasMoreRecords":"false"}}`, qualys.KindUnavailable},
		"no word about more":               {200, `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"data":[{"HostAsset":{"id":1}}]}}`, qualys.KindUnavailable},
		"an asset without an id":           {200, amJSON("false", 0, `{"name":"a"}`), qualys.KindUnavailable},
		"an id that is no number":          {200, amXML("false", 0, `<id>x1</id>`), qualys.KindUnavailable},
		"another kind of object":           {200, `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"hasMoreRecords":"false","data":[{"Tag":{"id":1}}]}}`, qualys.KindUnavailable},
		"data of another type":             {200, `{"ServiceResponse":{"responseCode":"SUCCESS","count":1,"hasMoreRecords":"false","data":7}}`, qualys.KindUnavailable},
		"a count that is no number":        {200, `{"ServiceResponse":{"responseCode":"SUCCESS","count":[]}}`, qualys.KindUnavailable},
		"a down backend":                   {503, "<html>down</html>", qualys.KindUnavailable},
		"a limit":                          {409, "<html/>", qualys.KindRateLimited},
		"a registration without an end":    {409, "<SIMPLE_RETURN><CODE>2003</CODE></SIMPLE_RETURN>", qualys.KindInvalidRequest},
		"a refusal without a responseCode": {401, "", qualys.KindUnauthorized},
		"a redirect":                       {302, "", qualys.KindUnavailable},
		"a broken backend with a code":     {500, failureXML("INVALID_REQUEST", "x"), qualys.KindUnavailable},
	} {
		_, _, err := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) { return c.status, c.body })).Search(context.Background(), qualys.Query{})
		var e *qualys.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.kind, e.Kind(), "%s: %v", name, err)
	}
}

func TestAnyPrefixOfAnAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{amJSON("true", 84047001, amSampleJSON), strings.TrimSuffix(amXML("true", 84047001, amSampleXML), "\n<!-- end -->\n")} {
		cut := 0
		c := am(t, qualys.FormatXML, portal(func(*http.Request, string) (int, string) { return http.StatusOK, body[:cut] }))
		for cut = 0; cut < len(body); cut += 7 {
			_, _, err := c.Search(context.Background(), qualys.Query{})
			require.Error(t, err, body[:cut])
		}
		cut = len(body) - 1
		_, _, err := c.Search(context.Background(), qualys.Query{})
		require.Error(t, err, "the last byte is missing")
	}
}

func TestNoErrorRepeatsTheCredentials(t *testing.T) {
	t.Parallel()
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	for name, p := range map[string]portal{
		"in a failure": says(failureJSON("INVALID_REQUEST", password+" "+basic)),
		"in a refusal": func(*http.Request, string) (int, string) {
			return 400, failureJSON("INVALID_REQUEST", password+" "+basic)
		},
		"in a responseCode": says(failureJSON(password, "x")),
	} {
		_, _, err := am(t, qualys.FormatJSON, p).Search(context.Background(), qualys.Query{})
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), password, name)
		require.NotContains(t, err.Error(), basic, name)
	}
	_, _, err := am(t, qualys.FormatJSON, broken{}).Search(context.Background(), qualys.Query{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), password)
}

// broken has no network, and says so with a secret.
type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial " + password + ": refused")
}

func TestAMalformedHostAssetNamesItsFieldAndSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	for field, bad := range map[string]string{
		"os":                    `"os":{"name":"x"}`,
		"totalMemory":           `"totalMemory":"12 GB"`,
		"software":              `"software":7`,
		"software.list":         `"software":{"list":5}`,
		"tags":                  `"tags":{"items":[]}`,
		"openPort.list.P":       `"openPort":{"list":[{"P":{"port":{}}}]}`,
		"networkInterface.list": `"networkInterface":{"list":[[]]}`,
		"modified":              `"modified":{}`,
		"agentInfo":             `"agentInfo":[1]`,
		"sourceInfo.list.E":     `"sourceInfo":{"list":[{"E":{"region":{}}}]}`,
		"volume.list.V":         `"volume":{"list":[{"V":"big"}]}`,
		"processor.list.HAP":    `"processor":{"list":[{"HAP":[7]}]}`,
		"isDockerHost":          `"isDockerHost":"maybe"`,
		"account.list.HAA":      `"account":{"list":{"HAA":{"username":[]}}}`,
	} {
		p, _, err := am(t, qualys.FormatJSON, says(amJSON("false", 0, `{"id":1}`, `{"id":2,`+bad+`}`, `{"id":3,"name":"c"}`))).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, field)
		require.Len(t, p.Results, 3, field)
		require.NotNil(t, p.Results[1].Err, field)
		require.Equal(t, field, p.Results[1].Err.Field)
		require.EqualValues(t, 2, p.Results[1].ID)
		require.Nil(t, p.Results[1].Asset)
		require.Equal(t, "c", p.Results[2].Asset.Name, field)
	}
	p, _, err := am(t, qualys.FormatXML, says(amXML("false", 0, `<id>1</id><totalMemory>12 GB</totalMemory>`, `<id>2</id>`))).Search(context.Background(), qualys.Query{})
	require.NoError(t, err)
	require.Equal(t, "totalMemory", p.Results[0].Err.Field)
	require.NotNil(t, p.Results[1].Asset)
}

func TestAssetsBeyondAllMeasureAreFailedAndReported(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 9<<20)
	for name, answer := range map[string]string{
		"large JSON":         amJSON("false", 0, `{"id":1,"name":"`+long+`"}`, `{"id":2}`),
		"large XML":          amXML("false", 0, `<name>`+long+`</name><id>1</id>`, `<id>2</id>`),
		"large XML in parts": amXML("false", 0, `<software><list>`+strings.Repeat(`<S><name>n</name></S>`, 600_000)+`</list></software><id>1</id>`, `<id>2</id>`),
		"deep JSON":          amJSON("false", 0, `{"id":1,"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`}`, `{"id":2}`),
		"deep XML":           amXML("false", 0, `<x>`+strings.Repeat("<a>", 50_000)+strings.Repeat("</a>", 50_000)+`</x><id>1</id>`, `<id>2</id>`),
	} {
		p, _, err := am(t, qualys.FormatXML, says(answer)).Search(context.Background(), qualys.Query{})
		require.NoError(t, err, name)
		require.Len(t, p.Results, 2, name)
		require.EqualValues(t, 1, p.Results[0].ID, name)
		require.NotNil(t, p.Results[0].Err, name)
		require.ErrorContains(t, p.Results[0].Err, "at most", name)
		require.NotNil(t, p.Results[1].Asset, name)
	}
}

func TestAnAnswerAboveTheLimitOfTheTransportIsKnownAsSuch(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.search = answer("")
	mux := http.NewServeMux()
	mux.HandleFunc("/qps/", answer(amXML("false", 0, `<id>1</id><name>`+strings.Repeat("x", 64<<10)+`</name>`)))
	g.Config.Handler = mux
	tr, err := transport.New(transport.Options{Name: "corp", MaxBody: 32 << 10})
	require.NoError(t, err)
	_, _, err = am(t, qualys.FormatXML, tr, func(c *qualys.Config) { c.APIURL = g.URL }).Search(context.Background(), qualys.Query{})
	var large *transport.BodyTooLargeError
	require.ErrorAs(t, err, &large, "a caller asks for a smaller page then")
}
