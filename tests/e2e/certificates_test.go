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
	"os"
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

// certificateSchedule stands beside the quick start's schedule.
const certificateSchedule = `
  - name: certs
    kind: certificates
    source: corp
    target: dev
    manual: true
    existing: full
    sections: {metadata: true}
    certificates: {retireAfter: 1s}
`

// withCertificates applies the quick start's document with a schedule for
// certificates.
func (s *stack) withCertificates(replace ...string) {
	s.t.Helper()
	code, out := s.apply(strings.NewReplacer(replace...).Replace(s.document() + certificateSchedule))
	require.Zero(s.t, code, out)
}

// certs runs the schedule of certificates to its end.
func (s *stack) certs(flags ...string) (int, contract.RunResult) {
	s.t.Helper()
	code, out, errs := s.cli(append([]string{"run", "start", "certs", "--wait", "-o", "json"}, flags...)...)
	var res contract.RunResult
	require.NoError(s.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
	return code, res
}

// read reads columns of all rows of a table, however many there are.
func (s *stack) read(table string, columns ...string) []map[string]string {
	s.t.Helper()
	var out []map[string]string
	for after := ""; ; {
		q := url.Values{
			"sysparm_query": {after + "ORDERBYsys_id"}, "sysparm_fields": {strings.Join(append(columns, "sys_id"), ",")},
			"sysparm_limit": {"5000"}, "sysparm_exclude_reference_link": {"true"},
		}
		req, err := http.NewRequest(http.MethodGet, s.sims.ServiceNow.URL+"/api/now/table/"+table+"?"+q.Encode(), nil)
		require.NoError(s.t, err)
		req.SetBasicAuth(s.sims.ServiceNow.Username, s.sims.ServiceNow.Password)
		req.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		var page struct {
			Result []map[string]string `json:"result"`
		}
		data, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, res.Body.Close())
		require.Equal(s.t, http.StatusOK, res.StatusCode, "%s", data)
		require.NoError(s.t, json.Unmarshal(data, &page))
		if len(page.Result) == 0 {
			return out
		}
		out = append(out, page.Result...)
		after = "sys_id>" + page.Result[len(page.Result)-1]["sys_id"] + "^"
	}
}

// servedCertificate is a certificate as the simulated subscription lists it, read without the
// product's client.
type servedCertificate struct {
	Hash    string `json:"certhash"`
	Count   int    `json:"assetCount"`
	ValidTo int64  `json:"validTo"`
	Issuer  struct {
		Hash string `json:"certhash"`
	} `json:"issuer"`
	Assets []struct {
		ID        int64 `json:"id"`
		Instances []struct {
			Port     int    `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"hostInstances"`
	} `json:"assets"`
}

// subscription reads all certificates of the simulated subscription.
func (s *stack) subscription() map[string]servedCertificate {
	s.t.Helper()
	res, err := http.PostForm(s.sims.Qualys.GatewayURL+"/auth", url.Values{"username": {s.sims.Qualys.Username}, "password": {s.sims.Qualys.Password}, "token": {"true"}, "permissions": {"true"}})
	require.NoError(s.t, err)
	token, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	ask := func(path, body string) []byte {
		req, err := http.NewRequest(http.MethodPost, s.sims.Qualys.GatewayURL+path, strings.NewReader(body))
		require.NoError(s.t, err)
		req.Header.Set("Authorization", "Bearer "+string(token))
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(s.t, err)
		data, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		require.NoError(s.t, res.Body.Close())
		require.Equal(s.t, http.StatusOK, res.StatusCode, "%s", data)
		return data
	}
	out := map[string]servedCertificate{}
	for page := 0; ; page++ {
		var list []servedCertificate
		require.NoError(s.t, json.Unmarshal(ask("/certview/v2.2/certificates", fmt.Sprintf(`{"pageNumber":%d,"pageSize":200,"assetType":"ALL"}`, page)), &list))
		if len(list) == 0 {
			return out
		}
		for _, c := range list {
			for n := 0; c.Count > len(c.Assets); n++ {
				if n == 0 {
					c.Assets = nil
				}
				rest := c
				rest.Assets = nil
				raw := ask(fmt.Sprintf("/certview/v2/certificates/%s/assets?pageNumber=%d&pageSize=200&assetType=ALL", c.Hash, n), "{}")
				require.NoError(s.t, json.Unmarshal(raw, &rest.Assets))
				require.NotEmpty(s.t, rest.Assets)
				c.Assets = append(c.Assets, rest.Assets...)
			}
			out[c.Hash] = c
		}
	}
}

// imported returns the CI of each imported asset.
func (s *stack) imported(certs map[string]servedCertificate) map[int64]string {
	s.t.Helper()
	out := map[int64]string{}
	for _, row := range s.read("sys_object_source", "id", "target_sys_id") {
		var id int64
		if n, err := fmt.Sscanf(row["id"], "corp/%d", &id); err == nil && n == 1 && row["id"] == fmt.Sprintf("corp/%d", id) {
			out[id] = row["target_sys_id"]
		}
	}
	asked := map[int64]bool{}
	for _, c := range certs {
		for _, a := range c.Assets {
			if out[a.ID] != "" || asked[a.ID] {
				continue
			}
			asked[a.ID] = true // the asset of a machine that another one describes?
			code, text, _ := s.cli("asset", "show", fmt.Sprint(a.ID), "-o", "json")
			var list contract.AssetList
			if code != 0 || json.Unmarshal([]byte(text), &list) != nil || list.Assets[0].Parts == nil || list.Assets[0].Parts.Primary == "" {
				continue
			}
			var primary int64
			_, err := fmt.Sscanf(list.Assets[0].Parts.Primary, "corp/%d", &primary)
			require.NoError(s.t, err)
			if out[primary] != "" {
				out[a.ID] = out[primary]
			}
		}
	}
	return out
}

// related are the relations that the CMDB must have, as "fingerprint < CI: ports".
func related(certs map[string]servedCertificate, cis map[int64]string, unrelated map[string]bool) (relations []string, hashes map[string]bool) {
	hashes = map[string]bool{}
	for hash, c := range certs {
		ports := map[string][]string{}
		for _, a := range c.Assets {
			ci := cis[a.ID]
			if ci == "" {
				continue
			}
			hashes[hash] = true
			if unrelated[ci] {
				continue
			}
			ports[ci] = append(ports[ci], "")
			for _, in := range a.Instances {
				ports[ci] = append(ports[ci], fmt.Sprintf("%d/%s", in.Port, in.Protocol))
			}
		}
		for ci, list := range ports {
			slices.Sort(list)
			relations = append(relations, hash+" < "+ci+": "+strings.Join(slices.Compact(list)[1:], ", "))
		}
	}
	slices.Sort(relations)
	return relations, hashes
}

// written are the relations and certificates that the CMDB has.
func (s *stack) written() (relations []string, hashes map[string]map[string]string, twice int) {
	s.t.Helper()
	byID := map[string]map[string]string{}
	hashes = map[string]map[string]string{}
	for _, row := range s.read("cmdb_ci_certificate", "fingerprint", "state", "issuer", "root_issuer", "valid_to", "renewal_tracking", "name") {
		if hashes[row["fingerprint"]] != nil {
			twice++
		}
		byID[row["sys_id"]], hashes[row["fingerprint"]] = row, row
	}
	for _, row := range s.read("cmdb_rel_ci", "parent", "child", "type.name", "port") {
		if c := byID[row["child"]]; c != nil {
			require.Equal(s.t, "Uses::Used by", row["type.name"])
			relations = append(relations, c["fingerprint"]+" < "+row["parent"]+": "+row["port"])
		}
	}
	slices.Sort(relations)
	return relations, hashes, twice
}

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
	certs := s.subscription()
	require.Len(t, certs, n)
	cis := s.imported(certs)
	want, hashes := related(certs, cis, s.otherThanHardware())
	got, have, twice := s.written()
	require.Zero(t, twice)
	require.Equal(t, slices.Sorted(maps.Keys(hashes)), slices.Sorted(maps.Keys(have)), "exactly those of imported assets")
	require.Equal(t, []int{len(hashes), n - len(hashes)}, []int{int(res.Created), int(res.Filtered)}, text)
	require.Greater(t, int(res.Filtered), n/40, "some are on foreign assets only")
	require.Equal(t, want, got)
	wide := 0
	for _, c := range certs {
		wide = max(wide, len(c.Assets))
	}
	require.Greater(t, wide, 10, "one has more assets than its record holds")
	chained := 0
	for hash, row := range have {
		issuer := have[certs[hash].Issuer.Hash]
		if issuer == nil || certs[hash].Issuer.Hash == hash {
			require.Empty(t, row["issuer"], "the issuer of %s is not in the CMDB", hash)
			continue
		}
		chained++
		require.Equal(t, issuer["sys_id"], row["issuer"])
		require.Equal(t, time.UnixMilli(certs[hash].ValidTo).UTC().Format(time.DateTime), row["valid_to"])
		require.NotContains(t, row["name"], "\x00")
	}
	require.Greater(t, chained, len(have)/2)
	require.Equal(t, int64(len(have)), res.Certificates.Total)
	require.NotEmpty(t, s.read("u_qbridge_certificate", "u_place"))
	for _, row := range have {
		require.Empty(t, row["renewal_tracking"], "nothing asks the instance to create tasks")
		require.Equal(t, "installed", row["state"])
	}

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

// memory is the most that the worker had since it was last asked, where the system
// tells.
func (s *stack) memory() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := fmt.Sprintf("/proc/%d/", s.worker.Process.Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return "unknown"
	}
	_ = os.WriteFile(dir+"clear_refs", []byte("5"), 0o600) // begins anew, where the kernel lets us
	for line := range strings.SplitSeq(string(status), "\n") {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(peak)
		}
	}
	return "unknown"
}

// otherThanHardware are the CIs whose classes have no relation to certificates.
func (s *stack) otherThanHardware() map[string]bool {
	s.t.Helper()
	out := map[string]bool{}
	for _, row := range s.read("cmdb_ci", "sys_class_name") {
		out[row["sys_id"]] = true
	}
	for _, table := range []string{"cmdb_ci_hardware", "cmdb_ci_appl"} {
		for _, row := range s.read(table, "name") {
			delete(out, row["sys_id"])
		}
	}
	return out
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
