package fault_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/tests/sim/fault"
)

func mustParse(t require.TestingT, spec string) *fault.Plan {
	p, err := fault.Parse(spec)
	require.NoError(t, err)
	return p
}

func TestParseNamesThePlaceOfEveryMistake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spec, want string }{
		"a rule without on":            {"search do cut(1)", `fault: line 1, column 1: a rule starts with "on", not "search"`},
		"no endpoint":                  {"on", "fault: line 1, column 3: the rule ends where an endpoint or * is expected"},
		"no do":                        {"on *", `fault: line 1, column 5: the rule ends where "do" is expected`},
		"an unknown kind":              {"on * do explode", `fault: line 1, column 9: unknown kind of fault "explode"`},
		"an unknown kind on line two":  {"on * do garble\n  on x do nope(3)", `fault: line 2, column 11: unknown kind of fault "nope"`},
		"an unknown clause":            {"on * when 3 do garble", `fault: line 1, column 6: unknown clause "when" (nth, every, share, where, seed, for, do)`},
		"a count of zero":              {"on * nth 0 do garble", `fault: line 1, column 10: "0" is not a count of calls`},
		"a share without percent sign": {"on * share 5 do garble", `fault: line 1, column 12: "5" is not a percentage such as 5%`},
		"a share above a hundred":      {"on * share 500% do garble", `fault: line 1, column 12: "500%" is not a percentage such as 5%`},
		"a share that is no number":    {"on * share NaN% do garble", `fault: line 1, column 12: "NaN%" is not a percentage such as 5%`},
		"two triggers":                 {"on * nth 3 every 4 do garble", "fault: line 1, column 12: a rule has one of nth, every and share"},
		"a missing value":              {"on * do cut", "fault: line 1, column 9: cut needs a value in parentheses"},
		"a value too many":             {"on * do garble(3)", "fault: line 1, column 16: garble takes no value"},
		"a bad status":                 {"on * do status(99)", `fault: line 1, column 16: "99" is not an HTTP status`},
		"a bad duration":               {"on * do delay(5)", `fault: line 1, column 15: "5" is not a duration such as 500ms`},
		"no closing parenthesis":       {"on * do cut(5", "fault: line 1, column 9: cut has no closing parenthesis"},
		"something after the rule":     {"on * do garble twice", `fault: line 1, column 16: "twice" after the end of the rule`},
		"where without a key":          {"on * where =3 do garble", `fault: line 1, column 12: "=3" is not key=value`},
		"the second rule of a line":    {"on * do garble; on * do foo", `fault: line 1, column 25: unknown kind of fault "foo"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fault.Parse(c.spec)
			require.EqualError(t, err, c.want)
		})
	}
}

func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

// picks returns on which of n calls the plan acts.
func picks(p *fault.Plan, endpoint string, n int) []int {
	var out []int
	for i := 1; i <= n; i++ {
		if p.Pick(endpoint, get("/x")) != nil {
			out = append(out, i)
		}
	}
	return out
}

func TestTriggersFireWhenTheySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		want []int
	}{
		"always":                   {"on * do garble", []int{1, 2, 3, 4, 5, 6}},
		"the third call":           {"on e nth 3 do garble", []int{3}},
		"every second call":        {"on e every 2 do garble", []int{2, 4, 6}},
		"another endpoint":         {"on f do garble", nil},
		"nothing of a share of 0%": {"on e share 0% do garble", nil},
		"all of a share of 100%":   {"on e share 100% do garble", []int{1, 2, 3, 4, 5, 6}},
		"two rules":                {"on e nth 2 do garble; # a comment\non e nth 5 do cut(3)", []int{2, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(c.want, picks(mustParse(t, c.spec), "e", 6)))
		})
	}
}

func TestAShareIsDeterministicForASeedAndNearItsSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.StringMatching(`[0-9]{1,9}`).Draw(rt, "seed")
		spec := "on e share 20% seed " + seed + " do garble"
		first := picks(mustParse(rt, spec), "e", 2000)
		require.Equal(rt, first, picks(mustParse(rt, spec), "e", 2000))
		require.InDelta(rt, 400, len(first), 120)
	})
	require.NotEqual(t, picks(mustParse(t, "on e share 20% seed 1 do garble"), "e", 200), picks(mustParse(t, "on e share 20% seed 2 do garble"), "e", 200))
}

func TestAnOutageThatBeginsAtACallLastsForItsTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	p := mustParse(t, "on e nth 2 for 10s do status(503)")
	p.SetClock(func() time.Time { return now })
	require.Empty(t, cmp.Diff([]int{2, 3}, picks(p, "e", 3)))
	now = now.Add(9 * time.Second)
	require.Len(t, picks(p, "e", 2), 2)
	now = now.Add(time.Second)
	require.Empty(t, picks(p, "e", 5))
}

func TestWhereLooksAtQueryCursorMethodPathAndHeader(t *testing.T) {
	t.Parallel()
	for spec, target := range map[string]string{
		"on * where a=1 do garble":          "/x?a=1",
		"on * where cursor=77 do garble":    "/x?lastSeenAssetId=77",
		"on * where cursor=0 do garble":     "/x",
		"on * where method=GET do garble":   "/x",
		"on * where path=/y do garble":      "/y",
		"on * where header.Via=p do garble": "/h",
	} {
		r := get(target)
		if target == "/h" {
			r.Header.Set("Via", "p")
		}
		require.NotNil(t, mustParse(t, spec).Pick("e", r), spec)
		other := httptest.NewRequest(http.MethodPost, "/z?a=2&lastSeenAssetId=5", nil)
		require.Nil(t, mustParse(t, spec).Pick("e", other), spec)
	}
}

const body = `{"assets":["one","two","three","four","five","six","seven","eight","nine","ten"]}`

// serve runs a server whose handler answers body and counts its calls.
func serve(t *testing.T, spec string) (url string, calls *int, seen **fault.Fault) {
	t.Helper()
	n, f := 0, (*fault.Fault)(nil)
	h := mustParse(t, spec).Middleware(func(*http.Request) string { return "e" }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		f = fault.From(r.Context())
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "outer")
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &n, &f
}

func fetch(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, "", err
	}
	defer func() { require.NoError(t, resp.Body.Close()) }()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestKindsThatKeepTheRequestFromBeingProcessed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   string
		status int
		has    string
	}{
		"a status with a body":        {"status(503)", 503, `"status":503`},
		"a 429 without a body":        {"status(429,7)", 429, ""},
		"a maintenance page with 200": {"html", 200, "<!DOCTYPE html>"},
		"a hibernating instance":      {"hibernate", 200, "hibernating"},
		"202 without a body":          {"accepted202", 202, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, calls, _ := serve(t, "on * do "+c.kind)
			resp, got, err := fetch(t, url)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode)
			require.Contains(t, got, c.has)
			if c.has == "" {
				require.Empty(t, got)
			}
			if c.status == 429 {
				require.Equal(t, "7", resp.Header.Get("X-RateLimit-ToWait-Sec"))
				require.Equal(t, "7", resp.Header.Get("Retry-After"))
			}
			require.Zero(t, *calls)
		})
	}
}

func TestDroppedConnectionsDifferInWhatWasProcessed(t *testing.T) {
	t.Parallel()
	url, calls, _ := serve(t, "on * do drop_before")
	_, _, err := fetch(t, url)
	require.Error(t, err)
	require.Zero(t, *calls)

	url, calls, _ = serve(t, "on * do drop_after_commit")
	_, _, err = fetch(t, url)
	require.Error(t, err)
	require.Equal(t, 1, *calls)
}

func TestCutEndsTheConnectionAfterSoManyBytes(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t, "on * do cut(20)")
	_, got, err := fetch(t, url)
	require.True(t, errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
	require.Equal(t, body[:20], got)
}

func TestCloseSendsHalfAndNoTransportErrorTells(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t, "on * do close")
	resp, got, err := fetch(t, url)
	require.NoError(t, err)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	require.Equal(t, "outer", resp.Header.Get("Server"))
	require.Equal(t, body[:len(body)/2], got)
}

func TestGarbleChangesBytesAndKeepsTheLength(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t, "on * seed 3 do garble")
	_, got, err := fetch(t, url)
	require.NoError(t, err)
	require.Len(t, got, len(body))
	require.NotEqual(t, body, got)
}

func TestGzipBadFailsAtTheChecksum(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t, "on * do gzip_bad")
	resp, got, err := fetch(t, url)
	require.NoError(t, err)
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	zip, err := gzip.NewReader(strings.NewReader(got))
	require.NoError(t, err)
	_, err = io.ReadAll(zip)
	require.ErrorIs(t, err, gzip.ErrChecksum)
}

func TestOversizeSendsThatMuchBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	url, _, _ := serve(t, "on * do oversize(300000)")
	_, got, err := fetch(t, url)
	require.NoError(t, err)
	require.Len(t, got, 300_000+len(body))
	require.True(t, strings.HasSuffix(got, body))
}

func TestSlowAndDelaySendTheWholeAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"slow(100000)", "delay(1ms)"} {
		url, calls, _ := serve(t, "on * do "+kind)
		_, got, err := fetch(t, url)
		require.NoError(t, err)
		require.Equal(t, body, got)
		require.Equal(t, 1, *calls)
	}
}

func TestSemanticKindsReachTheHandlerWithTheirValues(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]fault.Fault{
		"repeat_page":     {Kind: fault.RepeatPage},
		"shift_page":      {Kind: fault.ShiftPage},
		"null_list":       {Kind: fault.NullList},
		"expire_jwt":      {Kind: fault.ExpireJWT},
		"quota_cancel(7)": {Kind: fault.QuotaCancel, N: 7},
		"lock_timeout(2)": {Kind: fault.LockTimeout, N: 2},
		"clone_back(1h)":  {Kind: fault.CloneBack, D: time.Hour},
	} {
		url, _, seen := serve(t, "on * do "+spec)
		_, got, err := fetch(t, url)
		require.NoError(t, err)
		require.Equal(t, body, got)
		require.NotNil(t, *seen, spec)
		(*seen).Roll = 0
		require.Empty(t, cmp.Diff(want, **seen), spec)
	}
}

func TestThePlanIsReplacedOverHTTPAndAMalformedOneChangesNothing(t *testing.T) {
	t.Parallel()
	p := mustParse(t, "")
	mux := http.NewServeMux()
	p.Mount(mux)
	mux.HandleFunc("/x", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	h := p.Middleware(func(*http.Request) string { return "x" }, mux)
	do := func(method, target, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
		return w
	}
	require.Equal(t, "ok", do(http.MethodGet, "/x", "").Body.String())
	require.Equal(t, http.StatusNoContent, do(http.MethodPost, "/_sim/faults", "on * do status(500)").Code)
	require.Equal(t, http.StatusInternalServerError, do(http.MethodGet, "/x", "").Code)
	refused := do(http.MethodPost, "/_sim/faults", "on * do what")
	require.Equal(t, http.StatusBadRequest, refused.Code)
	require.Contains(t, refused.Body.String(), "column 9")
	require.Equal(t, "on * do status(500)", do(http.MethodGet, "/_sim/faults", "").Body.String())
	require.Equal(t, http.StatusNoContent, do(http.MethodPost, "/_sim/faults", "").Code)
	require.Equal(t, "ok", do(http.MethodGet, "/x", "").Body.String())
}

// Any text is a plan or an error that says where it goes wrong; a plan reads back as itself and can be asked.
func FuzzParse(f *testing.F) {
	f.Add("on * nth 3 for 30s do status(503); on a share 5% where k=v seed 9 do cut(12)")
	f.Add("on\n;do ((")
	f.Add("on a every 2 do status(503, 7) # why\non b do oversize\n\non c do delay( 1h ); on d do quota_cancel(9223372036854775807)")
	f.Add("on * share NaN% do garble; on * share +Inf% do html")
	f.Add(strings.Repeat("on a do garble;", 5000))
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := fault.Parse(spec)
		if (p == nil) == (err == nil) {
			t.Fatalf("plan %v, error %v", p, err)
		}
		if err != nil {
			require.Regexp(t, `^fault: (line \d+, column \d+: |the plan )`, err.Error())
			return
		}
		again, err := fault.Parse(p.Spec())
		require.NoError(t, err)
		require.Equal(t, p.Spec(), again.Spec())
		for range 3 {
			first, second := p.Pick("a", get("/x?k=v")), again.Pick("a", get("/x?k=v"))
			require.Equal(t, first == nil, second == nil)
			if first != nil {
				require.Equal(t, *first, *second)
				require.NotZero(t, first.Kind)
			}
		}
	})
}
