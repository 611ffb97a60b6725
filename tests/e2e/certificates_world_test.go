package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/workflows/contract"
)

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

// rightCertificates checks that the CMDB has exactly the certificates, relations and
// chains that it must have after the first run, and returns the certificates.
func (s *stack) rightCertificates(n int, res contract.RunResult) map[string]map[string]string {
	t := s.t
	t.Helper()
	certs := s.subscription()
	require.Len(t, certs, n)
	cis := s.imported(certs)
	want, hashes := related(certs, cis, s.otherThanHardware())
	got, have, twice := s.written()
	require.Zero(t, twice)
	require.Equal(t, slices.Sorted(maps.Keys(hashes)), slices.Sorted(maps.Keys(have)), "exactly those of imported assets")
	require.Equal(t, []int{len(hashes), n - len(hashes)}, []int{int(res.Created), int(res.Filtered)})
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
	return have
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
