package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// thing is one asset as Qualys sends it.
type thing = map[string]any

// handmade is a subscription of a few assets that a test writes itself and
// changes between runs.
type handmade struct {
	*stack
	mu     sync.Mutex
	assets map[int64]thing
	asked  []url.Values // of searches
}

// newHandmade starts a stack whose worker reads a subscription of the test.
func newHandmade(t *testing.T, assets ...thing) *handmade {
	t.Helper()
	set := "../../deploy/servicenow/qbridge-tables.xml"
	h := &handmade{stack: newStack(t, "--assets", "1", "--update-set", set), assets: map[int64]thing{}}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.put(assets...)
	h.restart("QBRIDGE_QUALYS_API_URL="+srv.URL, "QBRIDGE_QUALYS_GATEWAY_URL="+srv.URL)
	return h
}

// put adds or replaces assets, dated now.
func (h *handmade) put(assets ...thing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range assets {
		if a["lastModifiedDate"] == nil {
			a["lastModifiedDate"] = time.Now().UTC().Format(time.RFC3339)
		}
		h.assets[int64(a["assetId"].(int))] = a
	}
}

func (h *handmade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch r.URL.Path {
	case "/auth":
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("a.b.c"))
	case "/rest/2.0/count/am/asset":
		answer(thing{"responseCode": "SUCCESS", "responseMessage": "Valid API Access", "count": len(h.assets)})
	case "/rest/2.0/search/am/asset":
		q := r.URL.Query()
		h.asked = append(h.asked, q)
		after, _ := strconv.ParseInt(q.Get("lastSeenAssetId"), 10, 64)
		size, _ := strconv.Atoi(q.Get("pageSize"))
		var ids []int64
		for id := range h.assets {
			if id > after {
				ids = append(ids, id)
			}
		}
		sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
		more := 0
		if len(ids) > size {
			ids, more = ids[:size], 1
		}
		list := []thing{}
		for _, id := range ids {
			a := thing{}
			for k, v := range h.assets[id] {
				if by := excludedBy(k); by == "" || !strings.Contains(","+q.Get("excludeFields")+",", ","+by+",") {
					a[k] = v
				}
			}
			list = append(list, a)
		}
		if len(list) == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(thing{"responseCode": "SUCCESS", "responseMessage": "Valid API Access", "count": len(list), "hasMore": more, "lastSeenAssetId": ids[len(ids)-1], "assetListData": thing{"asset": list}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// excludedBy names the field whose exclusion leaves a member out.
func excludedBy(member string) string {
	return map[string]string{"softwareListData": "software", "networkInterfaceListData": "networkInterface", "openPortListData": "openPort", "volumeListData": "volume"}[member]
}

// config is a schedule with the given lines.
func (h *handmade) config(lines string) string {
	doc := strings.Replace(h.document(), "existing: full", "existing: metadata-only", 1)
	return strings.Replace(doc, "manual: true", "manual: true\n    "+lines, 1)
}

// rowsOf reads columns of a table, sorted, as "a|b|c".
func (h *handmade) rowsOf(table, query string, columns ...string) []string {
	h.t.Helper()
	u := h.sims.ServiceNow.URL + "/api/now/table/" + table + "?" + url.Values{
		"sysparm_query": {query}, "sysparm_fields": {strings.Join(columns, ",")}, "sysparm_exclude_reference_link": {"true"},
	}.Encode()
	req, err := http.NewRequest(http.MethodGet, u, nil)
	require.NoError(h.t, err)
	req.SetBasicAuth(h.sims.ServiceNow.Username, h.sims.ServiceNow.Password)
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(h.t, err)
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Result []map[string]any `json:"result"`
	}
	require.NoError(h.t, json.NewDecoder(res.Body).Decode(&body))
	var out []string
	for _, r := range body.Result {
		var v []string
		for _, c := range columns {
			v = append(v, fmt.Sprint(r[c]))
		}
		out = append(out, strings.Join(v, "|"))
	}
	sort.Strings(out)
	return out
}

// host is a Linux server.
func host(id int, name, serial string, more thing) thing {
	out := thing{
		"assetId": id, "assetName": name, "dnsName": name, "address": fmt.Sprintf("10.1.0.%d", id%250), "assetType": "HOST",
		"biosSerialNumber": serial,
		"operatingSystem":  thing{"osName": "Ubuntu Linux 22.04", "category": "Linux / Server", "category1": "Linux", "category2": "Server", "productName": "Ubuntu", "publisher": "Canonical"},
		"hardware":         thing{"category": "Computers / Server", "category1": "Computers", "category2": "Server", "manufacturer": "Dell", "productName": "PowerEdge", "model": "R640"},
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func nics(macs ...string) thing {
	var list []thing
	for i, m := range macs {
		list = append(list, thing{"interfaceName": fmt.Sprintf("eth%d", i), "macAddress": m, "addressIpV4": "10.2.0." + strconv.Itoa(len(m)+i)})
	}
	return thing{"networkInterface": list}
}

func packages(n int) thing {
	list := []thing{}
	for i := range n {
		list = append(list, thing{"id": i + 1, "fullName": fmt.Sprintf("Acme Tool%d 1.%d", i, i), "productName": fmt.Sprintf("Tool%d", i), "publisher": "Acme", "version": fmt.Sprintf("1.%d", i), "softwareType": "Application"})
	}
	return thing{"software": list}
}

func TestWhatAnAssetLostIsRetiredAndNothingElse(t *testing.T) {
	t.Parallel()
	machine := func(packs, interfaces any) thing {
		return host(10001001, "web1", "SER-1001", thing{"softwareListData": packs, "networkInterfaceListData": interfaces})
	}
	both := nics("02:00:00:00:10:01", "02:00:00:00:10:02")
	h := newHandmade(t, machine(packages(40), both))
	code, out := h.apply(h.config("sections: {software: true}"))
	require.Zero(t, code, out)
	look := func() (instances, absent, relations int) {
		instances = len(h.rowsOf("cmdb_software_instance", "", "name"))
		absent = len(h.rowsOf("cmdb_ci_network_adapter", "install_status=100", "name"))
		relations = len(h.rowsOf("cmdb_rel_ci", "child.sys_class_name=cmdb_ci_network_adapter", "child"))
		return
	}
	check := func(step string, wantInstances, wantAbsent, wantRelations int) {
		t.Helper()
		code, res := h.sync("--full")
		require.Zero(t, code, step)
		require.Zero(t, res.Failed+res.Rejected, "%s: %+v", step, res.Counters)
		instances, absent, relations := look()
		require.Equal(t, []int{wantInstances, wantAbsent, wantRelations}, []int{instances, absent, relations}, "%s: installations, absent adapters, relations of adapters", step)
	}
	check("first", 40, 0, 2)
	h.put(machine(nil, nil))
	check("null lists retire nothing", 40, 0, 2)
	h.put(machine(packages(37), nics("02:00:00:00:10:01")))
	check("three packages and an adapter are gone", 37, 1, 1)
	require.Equal(t, []string{"02:00:00:00:10:02"}, h.rowsOf("cmdb_ci_network_adapter", "install_status=100", "mac_address"))
	check("again", 37, 1, 1)
	h.put(machine(packages(37), both))
	check("the adapter is back", 37, 0, 2)

	code, out = h.apply(h.config("sections: {software: false}"))
	require.Zero(t, code, out)
	check("a section that is off retires nothing", 37, 0, 2)
	require.Contains(t, h.asked[len(h.asked)-1].Get("excludeFields"), "software", "and is not asked for")
}

func TestSeveralAssetsOfOneMachineAreOneCI(t *testing.T) {
	t.Parallel()
	mac := "02:00:00:00:20:01"
	agent := host(10002002, "db1.corp.example", "SER-2", thing{"agentId": "9a1f8c3e-0000-4000-8000-000000000001", "inventoryListData": thing{"inventory": []thing{{"source": "QAGENT"}}}, "totalMemory": 64000, "networkInterfaceListData": nics(mac)})
	scan := host(10002001, "db1-scan.corp.example", "SER-2", thing{"inventoryListData": thing{"inventory": []thing{{"source": "IP"}}}, "totalMemory": 1, "networkInterfaceListData": nics(mac)})
	h := newHandmade(t, scan, agent)
	code, out := h.apply(h.config("sections: {metadata: true}"))
	require.Zero(t, code, out)
	code, res := h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Created, "%+v", res.Counters)
	require.Equal(t, []string{"db1|64000|SER-2"}, h.rowsOf("cmdb_ci_linux_server", "", "name", "ram", "serial_number"), "the agent writes the CI")
	ci := h.rowsOf("cmdb_ci_linux_server", "", "sys_id")[0]
	require.Equal(t, []string{"10002001|" + ci, "10002002|" + ci}, h.rowsOf("u_qbridge_asset", "", "u_asset_id", "configuration_item"), "each has its metadata")
	digest := h.digest()
	code, res = h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 2, res.Unchanged, "%+v", res.Counters)
	require.Equal(t, digest, h.digest())

	h.put(host(10002003, "db1", "SER-2", thing{"inventoryListData": thing{"inventory": []thing{{"source": "IP"}}}, "lastModifiedDate": "2027-01-01T00:00:00Z"})) // came back under a new id
	code, res = h.sync("--full")
	require.Zero(t, code)
	require.Len(t, h.rowsOf("cmdb_ci_linux_server", "", "sys_id"), 1)
	require.Equal(t, []string{"db1|64000|SER-2"}, h.rowsOf("cmdb_ci_linux_server", "", "name", "ram", "serial_number"), "an agent stays the primary")
}

func TestAnAssetIDThatMovedToAnotherMachineLeavesTheOldCIAlone(t *testing.T) {
	t.Parallel()
	h := newHandmade(t, host(10003001, "alpha", "SER-A", thing{"inventoryListData": thing{"inventory": []thing{{"source": "IP"}}}}))
	h.mustApply()
	code, _ := h.sync("--full")
	require.Zero(t, code)
	h.put(host(10003001, "beta", "SER-B", thing{"inventoryListData": thing{"inventory": []thing{{"source": "IP"}}}}))
	for range 2 {
		code, res := h.sync("--full")
		require.Zero(t, code)
		require.Zero(t, res.Failed+res.Rejected+res.Skipped, "%+v", res.Counters)
		require.Equal(t, []string{"alpha|SER-A", "beta|SER-B"}, h.rowsOf("cmdb_ci_linux_server", "", "name", "serial_number"))
	}
	code, text, errs := h.cli("asset", "show", "10003001")
	require.Zero(t, code, errs)
	require.Contains(t, text, "10003001.1", "both lives of the id are shown")
}

func TestNamesOfSeveralMachinesIdentifyNone(t *testing.T) {
	t.Parallel()
	h := newHandmade(t,
		host(10004001, "localbox", "SER-41", thing{"networkInterfaceListData": nics("02:00:00:00:41:01")}),
		host(10004002, "localbox", "SER-42", thing{"networkInterfaceListData": nics("02:00:00:00:42:01")}),
		host(10004003, "localbox", "", thing{"networkInterfaceListData": nics("02:00:00:00:43:01")}))
	h.mustApply()
	for n := range 3 {
		code, res := h.sync("--full")
		_, text, _ := h.cli("run", "show", "latest")
		require.Zero(t, code, text)
		require.Zero(t, res.Failed+res.Rejected, "%+v", res.Counters)
		require.Equal(t, n > 0, res.Unchanged == 2, "%+v", res.Counters)
		require.EqualValues(t, 1, res.Skipped, "nothing but the name would identify the third")
		require.Empty(t, cmp.Diff([]string{"localbox|SER-41", "localbox|SER-42"}, h.rowsOf("cmdb_ci_linux_server", "", "name", "serial_number")))
	}
}

func TestProtectedCIsGetTheirMetadataOnly(t *testing.T) {
	t.Parallel()
	h := newHandmade(t, host(10005001, "theirs", "SER-5", thing{"openPortListData": thing{"openPort": []thing{{"port": 443, "protocol": "TCP"}, {"port": 22, "protocol": "TCP"}}}}))
	h.insert("cmdb_ci_linux_server", thing{"name": "theirs", "serial_number": "SER-5", "discovery_source": "ServiceNow", "last_discovered": "2026-01-01 00:00:00", "short_description": "ours"})
	code, out := h.apply(h.config("sections: {metadata: true, openPorts: true}"))
	require.Zero(t, code, out)
	columns := []string{"name", "discovery_source", "last_discovered", "short_description", "os"}
	before := h.rowsOf("cmdb_ci_linux_server", "", columns...)
	code, res := h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	require.Equal(t, before, h.rowsOf("cmdb_ci_linux_server", "", columns...), "no native value changes")
	require.Len(t, h.rowsOf("u_qbridge_asset", "u_asset_id=10005001", "sys_id"), 1)
	require.Equal(t, []string{"22|tcp", "443|tcp"}, h.rowsOf("u_qbridge_open_port", "", "u_port", "u_protocol"))
	calls := h.calls(h.sims.ServiceNow.URL, "/api/now/v1/batch")
	code, res = h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Unchanged, "%+v", res.Counters)
	require.Equal(t, calls, h.calls(h.sims.ServiceNow.URL, "/api/now/v1/batch"), "a second run writes nothing")

	h.put(host(10005001, "theirs", "SER-5", thing{"openPortListData": thing{"openPort": []thing{{"port": 443, "protocol": "TCP"}}}}))
	code, _ = h.sync("--full")
	require.Zero(t, code)
	require.Equal(t, []string{"443|tcp"}, h.rowsOf("u_qbridge_open_port", "", "u_port", "u_protocol"), "a port that was closed is gone")
}

// insert adds a row to the CMDB as somebody else would.
func (h *handmade) insert(table string, values thing) {
	h.t.Helper()
	h.send(http.MethodPost, table, values)
}

func (h *handmade) send(method, path string, values thing) {
	h.t.Helper()
	body, err := json.Marshal(values)
	require.NoError(h.t, err)
	req, err := http.NewRequest(method, h.sims.ServiceNow.URL+"/api/now/table/"+path, strings.NewReader(string(body)))
	require.NoError(h.t, err)
	req.SetBasicAuth(h.sims.ServiceNow.Username, h.sims.ServiceNow.Password)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(h.t, err)
	_ = res.Body.Close()
	require.Less(h.t, res.StatusCode, http.StatusBadRequest)
}

func TestSoftwareGoesWhereTheInstanceKeepsIt(t *testing.T) {
	t.Parallel()
	h := newHandmade(t, host(10006001, "app1", "SER-6", thing{"softwareListData": packages(3)}))
	h.insert("sys_plugins", thing{"id": "com.snc.sams", "name": "Software Asset Management Professional", "active": "active", "version": "1"})
	code, out := h.apply(h.config("sections: {software: true}"))
	require.Zero(t, code, out)
	code, res := h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Created, "%+v", res.Counters)
	require.Equal(t, []string{"Acme Tool0 1.0|1.0|SG-Qualys", "Acme Tool1 1.1|1.1|SG-Qualys", "Acme Tool2 1.2|1.2|SG-Qualys"}, h.rowsOf("cmdb_sam_sw_install", "", "display_name", "version", "discovery_source"))
	require.Empty(t, h.rowsOf("cmdb_ci_spkg", "", "name"))
	require.Empty(t, h.rowsOf("cmdb_software_instance", "", "name"))
}

func TestTablesThatAnInstanceLacksAreNamedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	s := newStack(t, "--assets", "20")
	code, out := s.apply(strings.Replace(s.document(), "manual: true", "manual: true\n    sections: {metadata: true, openPorts: true}", 1))
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "u_qbridge_open_port, u_qbridge_asset")
	require.Contains(t, out, "deploy/servicenow/qbridge-tables.xml")
	code, out = s.apply(strings.Replace(s.document(), "discoverySource:", "tables: {u_qbridge_asset: sys_import_set}\n    discoverySource:", 1))
	require.Zero(t, code, out)
}

func TestWhatCouldBecomeASecondCIIsHeldWithBothShown(t *testing.T) {
	t.Parallel()
	printer := host(10007003, "print1", "SER-73", thing{
		"operatingSystem": nil, "hardware": thing{"category": "Printers", "category1": "Printers", "category2": "Printers", "manufacturer": "HP", "model": "M404"},
	})
	h := newHandmade(t, host(10007001, "fresh", "SER-71", nil), host(10007002, "old", "SER-72", nil), printer)
	h.insert("cmdb_ci_ip_phone", thing{"name": "other-branch", "serial_number": "SER-71"})
	h.insert("cmdb_ci_linux_server", thing{"name": "old", "serial_number": "SER-72", "install_status": "7"})
	h.insert("cmdb_ci_win_server", thing{"name": "print1", "serial_number": "SER-73"})
	h.mustApply()
	code, res := h.sync("--full")
	_, text, _ := h.cli("run", "show", "latest")
	require.Zero(t, code, text)
	require.EqualValues(t, 2, res.Skipped, text)
	require.Contains(t, text, `cmdb_ci_ip_phone "other-branch"`)
	require.Contains(t, text, "the rules say cmdb_ci_linux_server")
	require.Contains(t, text, `cmdb_ci_linux_server "old"`)
	require.Contains(t, text, "is retired; it is not revived")
	require.Contains(t, text, "class kept: ", "IRE finds hardware of any class by its serial number")
	require.Equal(t, []string{"old|7"}, h.rowsOf("cmdb_ci_linux_server", "serial_number=SER-72", "name", "install_status"))
	require.Empty(t, cmp.Diff([]string{"SER-72", "SER-73"}, h.rowsOf("cmdb_ci_hardware", "", "serial_number")), "nothing exists twice")
}

func TestTheSoftwareCatalogueIsSyncedWithoutAssets(t *testing.T) {
	t.Parallel()
	h := newHandmade(t, host(10008001, "app1", "SER-81", thing{"softwareListData": packages(3)}), host(10008002, "app2", "SER-82", thing{"softwareListData": packages(5)}), host(10008003, "app3", "SER-83", nil))
	code, out := h.apply(h.config("kind: software-catalogue"))
	require.Zero(t, code, out)
	code, res := h.sync("--full")
	_, text, _ := h.cli("run", "show", "latest")
	require.Zero(t, code, text)
	require.EqualValues(t, 2, res.Updated, text)
	require.EqualValues(t, 1, res.Skipped, text)
	require.Len(t, h.rowsOf("cmdb_ci_spkg", "", "name"), 5)
	require.Empty(t, h.rowsOf("cmdb_ci_hardware", "", "name"))
	require.Equal(t, "software", h.asked[len(h.asked)-1].Get("includeFields"), "nothing else is asked for")
	code, res = h.sync("--full")
	require.Zero(t, code)
	require.EqualValues(t, 2, res.Unchanged, "%+v", res.Counters)
}
