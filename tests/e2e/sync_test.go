package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/deploy/dev/ports"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

const (
	irePath    = "/api/now/identifyreconcile/enhanced"
	searchPath = "/rest/2.0/search/am/asset"
)

func TestTheInventoryLandsInTheCMDBAndASecondRunWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "600", "--seed", "7")
	s.mustApply()

	code, first := s.sync("--full")
	require.Zero(t, code)
	require.True(t, first.Balanced(), "%+v", first.Counters)
	require.EqualValues(t, 600, first.Fetched)
	require.Zero(t, first.Failed)
	require.Positive(t, first.Created)
	require.Positive(t, first.Classes["cmdb_ci_win_server"])
	require.EqualValues(t, 2, first.Pages)
	digest, posts := s.digest(), s.calls(s.sims.ServiceNow.URL, irePath)

	for range 4 { // five times in all
		code, next := s.sync("--full")
		require.Zero(t, code)
		require.EqualValues(t, 600, next.Unchanged+next.Skipped, "%+v", next.Counters)
		require.Equal(t, first.Skipped, next.Skipped)
	}
	require.Equal(t, posts, s.calls(s.sims.ServiceNow.URL, irePath), "an unchanged estate needs no IRE call")
	require.Equal(t, digest, s.digest())
	code, text, errs := s.cli("rules", "coverage", "-o", "json")
	require.Zero(t, code, errs)
	var coverage struct {
		Assets, Categorised, Known int64
		Share                      float64
		Moves                      []any
		Unknown                    []any
	}
	require.NoError(t, json.Unmarshal([]byte(text), &coverage))
	require.EqualValues(t, first.Fetched, coverage.Assets)
	require.GreaterOrEqual(t, coverage.Share, 0.99, "of the assets with a category: %v", coverage.Unknown)
	require.Empty(t, coverage.Moves, "the rules are those that decided")
	s.replayAll()
}

func TestMalformedAssetsFailAloneAndNameTheField(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "300", "--seed", "7", "--bad", "5")
	s.mustApply()
	code, res := s.sync("--full")
	require.Equal(t, cli.ExitPartial, code)
	require.EqualValues(t, 5, res.Failed)
	require.EqualValues(t, 300, res.Fetched)
	require.True(t, res.Balanced())

	code, out, errs := s.cli("run", "show", "latest", "--outcome", "failed")
	require.Zero(t, code, errs)
	require.Equal(t, 5, strings.Count(out, "field "), out)
}

// changing is how many assets TestAChangedAssetIsWrittenByTheNextRunAndOnlyThat has:
//
//	go test ./tests/e2e -run TestAChangedAsset -changing 10000 -v
var changing = flag.Int("changing", 600, "assets of TestAChangedAssetIsWrittenByTheNextRunAndOnlyThat")

func TestAChangedAssetIsWrittenByTheNextRunAndOnlyThat(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", fmt.Sprint(*changing), "--seed", "3", "--update-set", filepath.Join(root(), "deploy", "servicenow", "qbridge-tables.xml"))
	s.more = time.Duration(*changing) * 10 * time.Millisecond
	data, err := os.ReadFile(filepath.Join(root(), "deploy", "examples", "quickstart.yaml")) // with all its sections
	require.NoError(t, err)
	code, out := s.apply(string(data))
	require.Zero(t, code, out)
	code, all := s.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, *changing, all.Fetched)

	res, err := http.Post(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=7", "", nil)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var m struct{ Changed, Added int64 }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&m))
	require.EqualValues(t, 7, m.Changed)

	code, next := s.sync()
	require.Zero(t, code)
	require.True(t, next.Balanced())
	require.Equal(t, m.Changed+m.Added, next.Fetched, "what changed and what is new: %+v", next.Counters)
	require.Equal(t, next.Fetched, next.Created+next.Updated+next.Skipped, "all of it is written: %+v", next.Counters)
	require.LessOrEqual(t, next.VendorCalls["qualys"], int64(3), "a count, a page, and a second look where the page disagrees")
	t.Logf("%d assets, %d changed, %d new: %+v, calls %v", *changing, m.Changed, m.Added, next.Counters, next.VendorCalls)
}

func TestAWorkerKilledInTheMiddleLosesNothingAndDuplicatesNothing(t *testing.T) {
	t.Parallel()
	calm := newStack(t, "--assets", "900", "--seed", "11")
	calm.mustApply()
	code, _ := calm.sync("--full")
	require.Zero(t, code)

	s := newStack(t, "--assets", "900", "--seed", "11", "--page-latency", "300ms", "--ire-latency", "200ms")
	s.mustApply()
	run := s.start()
	for _, posts := range []int{2, 9, 15} { // in the middle of the first, second and third page
		s.eventually("the run writes", func() error {
			if n := s.calls(s.sims.ServiceNow.URL, irePath); n < posts {
				return fmt.Errorf("%d posts", n)
			}
			return nil
		})
		s.stopWorker(syscall.SIGKILL)
		s.startWorker()
	}
	res := s.result(run)
	require.Equal(t, "completed", res.Status)
	require.EqualValues(t, 900, res.Fetched)
	require.True(t, res.Balanced())
	require.Zero(t, res.Failed)
	require.Equal(t, calm.digest(), s.digest(), "the CMDB is the same as without the kills")
	s.replayAll()
}

func TestARunThatMeetsALivingOneIsSkippedAndSaysWhichOne(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "600", "--seed", "5", "--page-latency", "2s")
	s.mustApply()
	run := s.start()
	s.eventually("the first run holds the lease", func() error {
		_, err := cli.Status(context.Background(), s.client, run.GetID())
		return err
	})
	s.eventually("the first run syncs", func() error {
		st, err := cli.Status(context.Background(), s.client, run.GetID())
		if err == nil && st.Stage != "syncing" {
			err = fmt.Errorf("stage %s", st.Stage)
		}
		return err
	})
	second, err := s.client.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{
		ID: contract.SyncWorkflowID("inventory") + "-2026-01-01T00:00:00Z", TaskQueue: contract.QueueMain,
	}, contract.SyncInventory, contract.RunInput{Schedule: "inventory"})
	require.NoError(t, err)
	res := s.result(second)
	require.Equal(t, "skipped", res.Status)
	require.Contains(t, res.Outcome, "sync/inventory is running")
	require.Equal(t, "completed", s.result(run).Status)
}

func TestACancelledRunIsResumedWithoutFetchingAPageTwice(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "900", "--seed", "9")
	s.mustApply()
	s.faults(s.sims.ServiceNow.URL, "on * nth 12 do status(503); on * share 100% do status(503)")
	run := s.start()
	s.eventually("two pages are fetched", func() error {
		if n := s.calls(s.sims.Qualys.GatewayURL, searchPath); n < 2 {
			return fmt.Errorf("%d pages", n)
		}
		return nil
	})
	code, out, errs := s.cli("run", "cancel", "inventory")
	require.Zero(t, code, out+errs)
	require.Error(t, run.Get(context.Background(), nil))

	s.faults(s.sims.ServiceNow.URL, "")
	code, res := s.sync()
	require.Zero(t, code)
	require.True(t, res.Balanced())
	require.Zero(t, res.Failed)
	seen := map[string]int{}
	for _, cursor := range s.cursors() {
		seen[cursor]++
	}
	for cursor, n := range seen {
		require.Equal(t, 1, n, "cursor %q was fetched %d times", cursor, n)
	}
	require.Len(t, seen, 3)
	code, res = s.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 900, res.Unchanged+res.Skipped, "both runs together wrote everything: %+v", res.Counters)
}

func TestASourceAddedToARunningWorkerIsPolledWithoutARestartAndThroughItsProxy(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "50", "--seed", "2")
	var passed atomic.Int64
	gateway, err := url.Parse(s.sims.Qualys.GatewayURL)
	require.NoError(t, err)
	relay := httputil.NewSingleHostReverseProxy(gateway)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed.Add(1)
		relay.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	s.mustApply()
	document := strings.Replace(s.document(), "servicenow:\n", `  - name: branch
    apiUrl: ${env:QBRIDGE_QUALYS_API_URL}
    gatewayUrl: ${env:QBRIDGE_QUALYS_GATEWAY_URL}
    proxy: `+proxy.URL+`
    auth: {username: "${env:QBRIDGE_SECRET_QUALYS_USER}", password: "${env:QBRIDGE_SECRET_QUALYS_PASSWORD}"}

servicenow:
`, 1) + "  - {name: branch, source: branch, target: dev, manual: true, existing: full}\n"
	code, out := s.apply(document)
	require.Zero(t, code, out)
	require.Positive(t, passed.Load(), "the test of the connection")
	passed.Store(0)
	code, _ = s.sync()
	require.Zero(t, code)
	require.Zero(t, passed.Load(), "the other source goes direct")
	before := s.calls(s.sims.Qualys.GatewayURL, searchPath)
	code, _, errs := s.cli("run", "start", "branch")
	require.Zero(t, code, errs)
	s.eventually("the new source fetches its first page", func() error {
		if s.calls(s.sims.Qualys.GatewayURL, searchPath) == before {
			return fmt.Errorf("no page yet")
		}
		return nil
	})
	require.Positive(t, passed.Load())
}

func TestWhatIsWrongWithAConfigurationIsOneLineWithTheRemedyAndNothingStarts(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--seed", "1")
	port, err := ports.Reserve(0) // nobody listens there
	require.NoError(t, err)
	for name, c := range map[string]struct{ from, to, want string }{
		"wrong password":             {"${env:QBRIDGE_SECRET_QUALYS_PASSWORD}", "${env:QBRIDGE_SECRET_WRONG}", "check the user name and password"},
		"wrong ServiceNow password":  {"${env:QBRIDGE_SECRET_SN_PASSWORD}", "${env:QBRIDGE_SECRET_WRONG}", "check the credentials"},
		"unreachable host":           {"${env:QBRIDGE_QUALYS_GATEWAY_URL}", fmt.Sprintf("http://127.0.0.1:%d", port), "check the address"},
		"unknown discovery source":   {"SG-Qualys", "SG-Nonsense", "add this record to sys_choice"},
		"a variable that is not set": {"${env:QBRIDGE_SERVICENOW_URL}", "${env:QBRIDGE_NOT_SET}", "QBRIDGE_NOT_SET"},
		"an unknown key":             {"manual: true", "manuel: true", `did you mean "manual"`},
		"a literal secret":           {"${env:QBRIDGE_SECRET_SN_PASSWORD}", "hunter2", "is a literal"},
		"a host that is not allowed": {"${env:QBRIDGE_QUALYS_GATEWAY_URL}", "https://example.org", "QBRIDGE_ALLOWED_HOSTS"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := s.apply(strings.Replace(s.document(), c.from, c.to, 1))
			require.Equal(t, cli.ExitUsage, code, out)
			require.Contains(t, out, c.want)
			require.NotContains(t, out, "hunter2")
			require.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 1, out)
		})
	}
	require.Empty(t, s.cursors(), "no page was fetched")
	code, _, errs := s.cli("run", "start", "inventory", "--wait")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "qbridge apply")
}

// cursors returns the cursors of the pages that were asked for, tests of the
// connection left out.
func (s *stack) cursors() []string {
	s.t.Helper()
	var out []string
	for _, e := range s.log(s.sims.Qualys.GatewayURL) {
		q, err := url.ParseQuery(e.Query)
		require.NoError(s.t, err)
		if e.Path == searchPath && q.Get("pageSize") != "1" {
			out = append(out, q.Get("lastSeenAssetId"))
		}
	}
	return out
}

// start starts a run without waiting.
func (s *stack) start() client.WorkflowRun {
	s.t.Helper()
	run, err := cli.Start(context.Background(), s.client, contract.RunInput{Schedule: "inventory", Full: true})
	require.NoError(s.t, err)
	return run
}

// result waits for a run.
func (s *stack) result(run client.WorkflowRun) contract.RunResult {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience+time.Minute)
	defer cancel()
	var res contract.RunResult
	require.NoError(s.t, run.Get(ctx, &res))
	return res
}
