package e2e_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	ledger "github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

const adminPassword = "the admin of this test"

// counters are what the overview should show.
func counters(c ledger.Counters) map[string]int64 {
	out := map[string]int64{"fetched": c.Fetched}
	for _, o := range ledger.Outcomes() {
		out[string(o)] = c.Of(o)
	}
	return out
}

// cis counts the CIs of a class in the CMDB.
func (s *stack) cis(class string) int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.sims.ServiceNow.URL+"/api/now/stats/"+class+"?sysparm_count=true&sysparm_query=sys_class_name%3D"+class, nil)
	require.NoError(s.t, err)
	req.SetBasicAuth(s.sims.ServiceNow.Username, s.sims.ServiceNow.Password)
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	var out struct {
		Result struct {
			Stats struct{ Count string }
		}
	}
	require.NoError(s.t, json.NewDecoder(res.Body).Decode(&out))
	n, err := strconv.Atoi(out.Result.Stats.Count)
	require.NoError(s.t, err)
	return n
}

func TestTheConsoleShowsWhatTheLedgerKnows(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := newStack(t, "--assets", "164", "--seed", "71", "--bad", "4")
	s.restart("QBRIDGE_ADMIN_PASSWORD=" + adminPassword)
	s.manual("")
	_, res := s.sync("--full")
	require.Equal(t, int64(164), res.Fetched)
	b := newBrowser(t, s.url)
	b.look(1600, "light")
	b.signIn(adminPassword)

	// Overview: the numbers of the ledger, and the lists that sum up to them.
	require.Equal(t, counters(res.Counters), b.tiles("[data-widget=records]"))
	b.open("/runs?schedule=inventory&span=1h")
	footer := eval[map[string]int64](b, `Object.fromEntries([...document.querySelectorAll('tfoot [data-sum]')].map(t => [t.dataset.sum, Number(t.textContent.replaceAll(',', ''))]))`)
	for outcome, n := range footer {
		require.Equal(t, res.Of(ledger.Outcome(outcome)), n, outcome)
	}
	b.open("/runs/" + res.Run + "/outcomes?outcome=failed")
	const rows = `document.querySelectorAll('tbody tr').length`
	require.Equal(t, res.Failed, eval[int64](b, rows))
	b.open("/runs?schedule=inventory&outcome=rejected&span=1h")
	require.Zero(t, eval[int64](b, rows), "no run has rejected records")

	// Approvals: one class by filter, written as the CMDB and the ledger say.
	var list contract.StagedList
	s.get(s.url+contract.PathStaged+"?schedule=inventory&limit=1000", &list)
	perClass := map[string]int64{}
	class := ""
	for _, r := range list.Rows {
		if r.Operation == "create" {
			if perClass[r.Class]++; perClass[r.Class] > perClass[class] {
				class = r.Class
			}
		}
	}
	require.GreaterOrEqual(t, perClass[class], int64(50), "%v", perClass)
	b.open("/staged?schedule=inventory&operation=create&class=" + class)
	b.shot("staged-1600-light")
	b.do(chromedp.Click(chromedp.CSS(`input[name=which][value=all]`)), chromedp.SendKeys(chromedp.CSS(`input[name=reason]`), "known machines"))
	b.submit(`button[value=approve]`)
	b.do(chromedp.WaitReady(chromedp.CSS(`#live:not([hx-get])`))) // it refreshes itself until all is written
	require.Equal(t, map[string]int64{"written": perClass[class], "to be written": 0, "failed": 0}, b.tiles("#live"))
	require.Equal(t, int(perClass[class]), s.cis(class), "CIs of the class in the CMDB")
	b.open("/audit?schedule=inventory&verify=1")
	text := ask(b, chromedp.Text(chromedp.CSS("main")))
	require.Contains(t, text, "1 entries, 0 problems")
	require.Contains(t, text, "admin signed in (local)")
	require.Contains(t, text, "known machines")

	// Reports: exported and read back.
	b.open("/reports/classes")
	body := eval[string](b, `fetch(document.querySelector('a[href$="csv"], a[href*=".csv?"]').href).then(r => r.text())`)
	lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err)
	sum := int64(0)
	for _, l := range lines[1:] {
		n, err := strconv.ParseInt(l[3], 10, 64)
		require.NoError(t, err)
		sum += n
		if l[2] == class {
			require.GreaterOrEqual(t, n, perClass[class])
		}
	}
	require.Equal(t, res.Fetched, sum, "every asset has a head")
	b.clean()

	// The same pages narrow and wide, light and dark.
	pages := map[string]string{"overview": "/", "runs": "/runs", "run": "/runs/" + res.Run, "assets": "/assets?schedule=inventory", "asset": "/asset?key=" + url.QueryEscape(list.Rows[0].Key),
		"plan": "/staged/plan?schedule=inventory&key=" + url.QueryEscape(list.Rows[0].Key), "errors": "/errors?schedule=inventory", "reports": "/reports", "report": "/reports/coverage", "configuration": "/configuration", "audit": "/audit?schedule=inventory", "certificates": "/certificates", "exports": "/exports"}
	for _, width := range []int64{400, 1600} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, scheme)
			for name, path := range pages {
				b.open(path)
				b.narrow(path)
				b.accessible(path)
				if name == "overview" || width == 1600 && scheme == "light" {
					b.shot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
				}
			}
		}
	}
	b.clean()
}

func TestAFailedRecordIsWrittenAgainFromTheConsole(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := newStack(t, "--assets", "12", "--seed", "72")
	s.restart("QBRIDGE_ADMIN_PASSWORD=" + adminPassword)
	s.manual("")
	_, _ = s.sync("--full")
	waiting := s.stagedList().Total
	b := newBrowser(t, s.url)
	b.signIn(adminPassword)
	s.faults(s.sims.ServiceNow.URL, "on ire.enhanced do status(400)")
	b.open("/staged?schedule=inventory")
	b.do(chromedp.Click(chromedp.CSS(`input[name=which][value=all]`)))
	b.submit(`button[value=approve]`)
	b.do(chromedp.WaitReady(chromedp.CSS(`#live:not([hx-get])`)))
	require.Equal(t, map[string]int64{"written": 0, "to be written": 0, "failed": waiting}, b.tiles("#live"))
	s.faults(s.sims.ServiceNow.URL, "")
	b.open("/errors?schedule=inventory")
	b.shot("errors-with-failures")
	b.do(chromedp.Click(chromedp.CSS(`input[data-all=id]`)))
	b.submit(`button[name=which][value=chosen]`)
	b.do(chromedp.WaitReady(chromedp.CSS(`#live:not([hx-get])`)))
	require.Equal(t, map[string]int64{"written": waiting, "to be written": 0, "failed": 0}, b.tiles("#live"))
	b.clean()
}

// hostile are the names that assets may have.
func hostile(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "fixtures", "hostile", "names.txt"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, err := strconv.Unquote(lines.Text())
		require.NoError(t, err)
		out = append(out, name)
	}
	return out
}

func TestHostileNamesReachNobody(t *testing.T) {
	t.Parallel()
	chromium(t)
	names := hostile(t)
	var assets []thing
	for i, name := range names {
		assets = append(assets, host(i+1, name, fmt.Sprintf("SER-%04d", i), thing{"dnsName": "", "netbiosName": name, "operatingSystem": thing{"osName": name, "category1": name, "category2": "Server", "productName": name, "publisher": name}}))
	}
	h := newHandmade(t, assets...)
	h.restart("QBRIDGE_ADMIN_PASSWORD=" + adminPassword)
	code, out := h.apply(strings.Replace(h.document(), "manual: true", "manual: true\n    approval: manual", 1))
	require.Zero(t, code, out)
	_, res := h.sync("--full")
	require.EqualValues(t, len(names), res.Fetched)
	b := newBrowser(t, h.url)
	b.signIn(adminPassword)
	pages := []string{"/", "/runs", "/runs/" + res.Run, "/runs/" + res.Run + "/outcomes", "/assets?schedule=inventory", "/staged?schedule=inventory", "/errors", "/configuration", "/reports/classes", "/reports/coverage", "/reports/unmatched", "/reports/end-of-life"}
	for i, name := range names {
		if i%8 == 0 { // the tests of package console look at all of them
			pages = append(pages, fmt.Sprintf("/asset?key=corp/%d", i+1), fmt.Sprintf("/staged/plan?schedule=inventory&key=corp/%d", i+1), "/assets?q="+url.QueryEscape(name))
		}
	}
	for _, path := range pages {
		b.open(path)
		require.Contains(t, ask(b, chromedp.Title()), "· qbridge", path)
	}
	b.shot("hostile-assets")
	b.clean()
	for i := range names {
		if i%8 != 0 {
			continue
		}
		_, stdout, stderr := h.cli("asset", "explain", strconv.Itoa(i+1))
		for _, r := range stdout + stderr {
			require.False(t, r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069, "the terminal gets %q", r)
		}
	}
}
