package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// certificates is how many certificates TestTheCertificatesOfImportedAssetsLand has,
// on a quarter as many assets. The acceptance is
//
//	go test ./tests/e2e -run TestTheCertificatesOfImportedAssetsLand -certificates 12000 -v -timeout 30m
var certificates = flag.Int("certificates", 1200, "certificates that TestTheCertificatesOfImportedAssetsLand has")

func TestTheCertificatesOfImportedAssetsLand(t *testing.T) {
	t.Parallel()
	n := *certificates
	s := newStack(t, "--assets", fmt.Sprint(n/4), "--certificates", fmt.Sprint(n), "--seed", "41", "--certview", "assets=10", "--update-set", "../../deploy/servicenow/qbridge-tables.xml")
	s.more = time.Duration(n) * 20 * time.Millisecond
	s.withCertificates()
	code, text, errs := s.cli("doctor")
	require.Zero(t, code, errs)
	require.Contains(t, text, "certificate class")

	empty := s.digest()
	code, res := s.certs()
	require.Zero(t, code, "%+v", res)
	require.Equal(t, res.Fetched, res.Filtered, "no asset is imported yet: %+v", res.Counters)
	require.EqualValues(t, n, res.Filtered)
	require.Equal(t, empty, s.digest())

	code, _ = s.sync("--full")
	require.Zero(t, code)
	began, before := time.Now(), s.memory()
	code, res = s.certs()
	t.Logf("%d certificates in %.1f s, %v calls, %d events; the worker had %s at most, %s before", n, time.Since(began).Seconds(), res.VendorCalls, res.HistoryEvents, s.memory(), before)
	_, text, _ = s.cli("run", "show", res.Run)
	require.Zero(t, code, text)
	require.True(t, res.Balanced(), "%+v", res.Counters)
	require.EqualValues(t, n, res.Fetched)
	have := s.rightCertificates(n, res)

	digest := s.digest()
	posts := s.calls(s.sims.ServiceNow.URL, irePath)
	code, res = s.certs()
	require.Zero(t, code)
	require.Zero(t, res.Created+res.Updated+res.Failed, "%+v", res.Counters)
	require.EqualValues(t, len(have), res.Unchanged)
	require.Equal(t, digest, s.digest())
	require.Equal(t, posts, s.calls(s.sims.ServiceNow.URL, irePath), "a second run posts nothing")

	code, text, errs = s.cli("certificates", "list", "--expiring", "3650d", "--limit", "1000", "-o", "json")
	require.Zero(t, code, errs)
	var list contract.CertificateList
	require.NoError(t, json.Unmarshal([]byte(text), &list))
	require.Positive(t, list.Total)
	require.True(t, slices.IsSortedFunc(list.Certificates, func(a, b contract.CertificateView) int { return a.ValidTo.Compare(b.ValidTo) }))
	require.NotEmpty(t, list.Certificates[0].SysID)
	code, text, errs = s.cli("asset", "show", list.Certificates[0].Key)
	require.Zero(t, code, errs)
	require.Contains(t, text, "cmdb_ci_certificate")
	code, _, errs = s.cli("asset", "explain", list.Certificates[0].Key)
	require.Zero(t, code, errs)
	s.replayAll()
}

func TestCertificatesComeAndGo(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "200", "--certificates", "300", "--seed", "42")
	s.withCertificates("sections: {metadata: true}", "mode: full")
	_, _ = s.sync("--full")
	code, first := s.certs()
	require.Zero(t, code, "%+v", first.Counters)
	before := s.subscription()
	status, err := postForm(s.sims.Qualys.GatewayURL+"/_sim/mutate?k=100", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	_, _ = s.sync("--full")
	after := s.subscription()
	cis := s.imported(after)
	_, had, _ := s.written()
	gone := map[string]bool{}
	for hash := range had {
		if _, ok := after[hash]; !ok {
			gone[hash] = true
		}
	}
	require.NotEmpty(t, gone)
	require.NotEqual(t, len(before), len(gone))
	state := func() map[string]string {
		_, have, _ := s.written()
		out := map[string]string{}
		for hash := range gone {
			out[have[hash]["state"]] = hash
		}
		return out
	}
	code, second := s.certs()
	require.Zero(t, code, "%+v", second.Counters)
	require.Equal(t, []string{"installed"}, slices.Collect(maps.Keys(state())), "one sweep without them is not enough")
	over := time.Now().Add(time.Second)
	s.eventually("their grace is over", func() error {
		if time.Now().Before(over) {
			return http.ErrNoLocation
		}
		return nil
	})
	code, third := s.certs()
	require.Zero(t, code, "%+v", third.Counters)
	require.Equal(t, []string{"retired"}, slices.Collect(maps.Keys(state())), "%+v", third.Counters)
	_, have, _ := s.written()
	retired := 0
	for _, row := range have {
		if row["state"] == "retired" {
			retired++
		}
	}
	require.EqualValues(t, retired, third.Updated, "those that are gone, and those that no imported asset serves: %+v", third.Counters)
	require.GreaterOrEqual(t, retired, len(gone))
	want, _ := related(after, cis, s.otherThanHardware())
	got, _, _ := s.written()
	require.Equal(t, want, got, "their relations are gone, those of renewed ones are there")
	digest := s.digest()
	code, last := s.certs()
	require.Zero(t, code)
	require.Zero(t, last.Created+last.Updated, "%+v", last.Counters)
	require.Equal(t, digest, s.digest())
	s.replayAll()
}

func TestCertificatesWaitForAPerson(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--certificates", "120", "--seed", "43")
	s.withCertificates("sections: {metadata: true}", "approval: manual\n    approvalBatch: 5")
	_, _ = s.sync("--full")
	digest := s.digest()
	code, res := s.certs()
	require.Zero(t, code)
	require.Positive(t, res.Pending)
	require.Equal(t, digest, s.digest())
	code, text, errs := s.cli("staged", "list", "--schedule", "certs", "-o", "json", "--limit", "1")
	require.Zero(t, code, errs)
	var list contract.StagedList
	require.NoError(t, json.Unmarshal([]byte(text), &list))
	require.Equal(t, res.Pending, list.Total)
	code, text, errs = s.cli("staged", "approve", "--schedule", "certs", "--all", "--snapshot", fmt.Sprint(list.Snapshot), "--by", "ann", "-o", "json")
	require.Zero(t, code, errs)
	var d contract.DecisionView
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	require.Equal(t, []int64{res.Pending, 0}, []int64{d.Written, d.Failed})
	_, have, _ := s.written()
	require.Len(t, have, int(res.Pending))
	code, again := s.certs()
	require.Zero(t, code)
	require.Equal(t, []int64{0, res.Pending}, []int64{again.Pending, again.Unchanged}, "whoever issued one was written before it: %+v", again.Counters)
}

// An instance without the class of certificates: doctor says so, a run of
// certificates ends before it reads anything, and one of assets does not care.
func TestAnInstanceWithoutTheClassOfCertificates(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20", "--certificates", "40", "--seed", "44")
	to, err := url.Parse(s.sims.ServiceNow.URL)
	require.NoError(t, err)
	through := httputil.NewSingleHostReverseProxy(to)
	without := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(r.URL.Path, "identifyreconcile") && bytes.Contains(body, []byte(`"cmdb_ci_certificate"`)) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"Invalid class","detail":"cmdb_ci_certificate is not a class of the CMDB"},"status":"failure"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(without.Close)
	s.restart("QBRIDGE_SERVICENOW_URL=" + without.URL)
	s.withCertificates("sections: {metadata: true}", "mode: full")
	_, text, _ := s.cli("doctor")
	require.Contains(t, text, "CMDB CI Class Models")
	code, _ := s.sync("--full")
	require.Zero(t, code, "assets do not need it")
	calls := s.calls(s.sims.Qualys.GatewayURL, "/certview/v2.2/certificates")
	code, out, errs := s.cli("run", "start", "certs", "--wait")
	require.Equal(t, cli.ExitFailed, code, out+errs)
	require.Contains(t, errs, "certificate class")
	require.Contains(t, errs, "CMDB CI Class Models")
	require.LessOrEqual(t, s.calls(s.sims.Qualys.GatewayURL, "/certview/v2.2/certificates"), calls+1, "only the test of the connection")
}

// Whatever disturbs a run of certificates, what is in the CMDB afterwards is right,
// and the next run writes nothing.
func TestDisturbedRunsOfCertificatesEndRight(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(s *stack) (perishes bool){
		"killed before a page is staged":   func(s *stack) bool { s.doom(string(crash.AfterFetch) + "=kill"); return true },
		"killed when a page is staged":     func(s *stack) bool { s.doom(string(crash.AfterStage) + "=kill"); return true },
		"killed when a payload is written": func(s *stack) bool { s.doom(string(crash.AfterPost) + "=kill"); return true },
		"killed when it is settled":        func(s *stack) bool { s.doom(string(crash.AfterSettle) + "=kill"); return true },
		"killed before it closes":          func(s *stack) bool { s.doom(string(crash.BeforeFinish) + "=kill"); return true },
		"answers of both vendors are lost": func(s *stack) bool {
			s.faults(s.sims.Qualys.GatewayURL, "on certview.certificates.v2.2 nth 3 do drop_after_commit")
			s.faults(s.sims.ServiceNow.URL, "on ire.enhanced nth 2 do drop_after_commit; on batch nth 2 do drop_after_commit; on batch nth 5 do status(503)")
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, "--assets", "100", "--certificates", "450", "--seed", "45")
			s.withCertificates("sections: {metadata: true}", "mode: full")
			code, _ := s.sync("--full")
			require.Zero(t, code)
			perishes := disturb(s)
			workflow, id := contract.RunOf("certificates", "certs")
			run, err := s.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: contract.QueueMain}, workflow, contract.RunInput{Schedule: "certs"})
			require.NoError(t, err)
			if perishes {
				s.perished()
				s.startWorker()
			}
			var res contract.RunResult
			require.NoError(t, run.Get(t.Context(), &res))
			require.True(t, res.Balanced(), "%+v", res.Counters)
			require.Zero(t, res.Failed+res.Rejected, "%+v", res.Counters)
			s.faults(s.sims.Qualys.GatewayURL, "")
			s.faults(s.sims.ServiceNow.URL, "")
			all := s.subscription()
			want, hashes := related(all, s.imported(all), s.otherThanHardware())
			got, have, twice := s.written()
			require.Zero(t, twice)
			require.Equal(t, want, got)
			require.Len(t, have, len(hashes))
			digest := s.digest()
			code, again := s.certs()
			require.Zero(t, code)
			require.Zero(t, again.Created+again.Updated+again.Failed, "%+v", again.Counters)
			require.Equal(t, digest, s.digest())
			s.replayAll()
		})
	}
}

// A certificate that another source keeps stays as it is; what serves it is told.
func TestCertificatesOfOtherSourcesAreProtected(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "60", "--certificates", "60", "--seed", "46")
	code, out := s.apply(s.document() + strings.NewReplacer("existing: full", "existing: metadata-only", "sections: {metadata: true}", "mode: full").Replace(certificateSchedule))
	require.Zero(t, code, out)
	_, _ = s.sync("--full")
	all := s.subscription()
	cis := s.imported(all)
	_, hashes := related(all, cis, nil)
	theirs := slices.Sorted(maps.Keys(hashes))[:5]
	for _, hash := range theirs {
		s.table(http.MethodPost, "cmdb_ci_certificate", fmt.Sprintf(`{"fingerprint":%q,"name":"theirs","discovery_source":"ServiceNow"}`, hash))
	}
	before := s.rows("cmdb_ci_certificate")
	code, res := s.certs()
	require.Zero(t, code, "%+v", res.Counters)
	require.EqualValues(t, []int64{int64(len(hashes) - len(theirs)), int64(len(theirs))}, []int64{res.Created, res.Updated}, "%+v", res.Counters)
	after := s.rows("cmdb_ci_certificate")
	for id, row := range before {
		require.Equal(t, row, after[id])
	}
	want, _ := related(all, cis, s.otherThanHardware())
	got, have, twice := s.written()
	require.Zero(t, twice)
	require.Equal(t, want, got)
	require.Len(t, have, len(hashes))
	digest := s.digest()
	code, res = s.certs()
	require.Zero(t, code)
	require.Zero(t, res.Created+res.Updated, "%+v", res.Counters)
	require.Equal(t, digest, s.digest())
}
