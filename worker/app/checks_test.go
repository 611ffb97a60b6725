package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities"
	domainconfig "github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/tests/sim/estate"
	simqualys "github.com/qbridge/qbridge/tests/sim/qualys"
	simservicenow "github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/qbridge/qbridge/worker/app"
	"github.com/qbridge/qbridge/worker/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Credentials of the tests: every character that a form, URL, header or JSON
// text would change if it were not encoded.
const (
	qualysUser, qualysPassword         = "acme_ab1", `p%41 +&=#?/é"'<`
	servicenowUser, servicenowPassword = "qbridge.user", `%zz%25 +&=#?/é"'\`
	admin                              = "the-admin"
)

const document = `
qualys:
  - name: corp
    apiUrl: ${env:QBRIDGE_QUALYS_URL}
    gatewayUrl: ${env:QBRIDGE_QUALYS_URL}
    auth: {username: "${env:QBRIDGE_SECRET_Q_USER}", password: "${env:QBRIDGE_SECRET_Q_PASSWORD}"}
servicenow:
  - name: dev
    url: ${env:QBRIDGE_SERVICENOW_URL}
    auth: {type: basic, username: "${env:QBRIDGE_SECRET_SN_USER}", password: "${env:QBRIDGE_SECRET_SN_PASSWORD}"}
    discoverySource: SG-Qualys
schedules:
  - {name: inventory, source: corp, target: dev, manual: true, sections: {software: true, metadata: true, cloud: true}}
`

// world is both simulators and what a worker knows of them.
type world struct {
	t                  *testing.T
	qualys, servicenow *httptest.Server
	env                map[string]string
	document           string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tables, err := os.ReadFile(filepath.Join("..", "..", "deploy", "servicenow", "qbridge-tables.xml"))
	require.NoError(t, err)
	subscription, err := simqualys.New(simqualys.Options{Estate: estate.Options{Assets: 20}, Username: qualysUser, Password: qualysPassword})
	require.NoError(t, err)
	instance, err := simservicenow.New(simservicenow.Options{Username: servicenowUser, Password: servicenowPassword, UpdateSets: []string{string(tables)}})
	require.NoError(t, err)
	w := &world{t: t, qualys: httptest.NewServer(subscription.Handler()), servicenow: httptest.NewServer(instance.Handler()), document: document}
	t.Cleanup(func() {
		w.qualys.Close()
		w.servicenow.Close()
		require.NoError(t, subscription.Close())
		require.NoError(t, instance.Close())
	})
	w.env = map[string]string{
		"QBRIDGE_QUALYS_URL": w.qualys.URL, "QBRIDGE_SERVICENOW_URL": w.servicenow.URL,
		"QBRIDGE_SECRET_Q_USER": qualysUser, "QBRIDGE_SECRET_Q_PASSWORD": qualysPassword,
		"QBRIDGE_SECRET_SN_USER": servicenowUser, "QBRIDGE_SECRET_SN_PASSWORD": servicenowPassword,
	}
	w.roles("itil")
	w.post(w.servicenow.URL+"/_sim/users", map[string]any{"username": admin, "password": admin, "roles": []string{"admin"}})
	w.record("cmdb_ci_computer", map[string]string{"name": "somebody.example.com"})
	return w
}

// roles replaces the roles of the user of the instance.
func (w *world) roles(roles ...string) {
	w.post(w.servicenow.URL+"/_sim/users", map[string]any{"username": servicenowUser, "password": servicenowPassword, "roles": roles})
}

// call sends a request as the administrator of the instance.
func (w *world) call(method, url string, in any) []byte {
	w.t.Helper()
	body, err := json.Marshal(in)
	require.NoError(w.t, err)
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	require.NoError(w.t, err)
	req.SetBasicAuth(admin, admin)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	require.Less(w.t, res.StatusCode, 300, "%s %s: %s", method, url, raw)
	return raw
}

func (w *world) post(url string, in any) { w.t.Helper(); w.call(http.MethodPost, url, in) }

// record adds a record to a table of the instance.
func (w *world) record(table string, values map[string]string) {
	w.t.Helper()
	w.post(w.servicenow.URL+"/api/now/table/"+table, values)
}

// remove deletes the records of a table that a query selects, at least one.
func (w *world) remove(table, query string) {
	w.t.Helper()
	var rows struct {
		Result []struct {
			ID string `json:"sys_id"`
		} `json:"result"`
	}
	base := w.servicenow.URL + "/api/now/table/" + table
	require.NoError(w.t, json.Unmarshal(w.call(http.MethodGet, base+"?sysparm_fields=sys_id&sysparm_query="+url.QueryEscape(query), nil), &rows))
	require.NotEmpty(w.t, rows.Result, "%s %s", table, query)
	for _, r := range rows.Result {
		w.call(http.MethodDelete, base+"/"+r.ID, nil)
	}
}

// close shuts everybody but the administrator out of a table of the instance.
func (w *world) close(table string) {
	w.t.Helper()
	w.post(w.servicenow.URL+"/_sim/acls", []map[string]any{{"table": table, "roles": []string{"nobody"}}})
}

// without takes permissions from the user of the subscription.
func without(p ...simqualys.Permission) func(*world) {
	return func(w *world) {
		w.post(w.qualys.URL+"/_sim/users", map[string]any{"username": qualysUser, "without": p})
	}
}

func closed(table string) func(*world) { return func(w *world) { w.close(table) } }

// doctor runs the test of all connections as doctor does.
func (w *world) doctor() []contract.Check { return w.check(true) }

func (w *world) check(survey bool) []contract.Check {
	w.t.Helper()
	cfg, err := domainconfig.Decode("test", []byte(w.document))
	require.NoError(w.t, err)
	require.Empty(w.t, cfg.Validate())
	v := app.NewVendors(config.Config{Environment: w.env, AllowedHosts: []string{"127.0.0.1"}})
	source, target := activities.SourceNeedsOf(cfg, "corp"), activities.NeedsOf(cfg, "dev")
	source.Survey, target.Survey = survey, survey
	return append(v.CheckQualys(w.t.Context(), cfg.Qualys[0], source), v.CheckServiceNow(w.t.Context(), cfg.ServiceNow[0], target)...)
}

// troubles are the lines that are not in order, by connection, capability and status.
func troubles(checks []contract.Check) map[string]contract.Check {
	out := map[string]contract.Check{}
	for _, c := range checks {
		if !c.OK {
			out[c.Connection+" "+c.Capability+": "+c.Status()] = c
		}
	}
	return out
}

func TestEachMissingThingGivesExactlyOneLineWithWhatItBlocks(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*world) { return func(w *world) { w.env[name] = value } }
	role := func(roles ...string) func(*world) { return func(w *world) { w.roles(roles...) } }
	for name, c := range map[string]struct {
		remove       func(*world)
		line, blocks string
		text         string // in message or remedy
	}{
		"Qualys password":          {set("QBRIDGE_SECRET_Q_PASSWORD", "wrong"), "corp log in: failed", "every run", "password"},
		"Qualys variable":          {set("QBRIDGE_SECRET_Q_PASSWORD", ""), "corp settings: failed", "every run", "QBRIDGE_SECRET_Q_PASSWORD"},
		"Qualys host":              {func(w *world) { w.qualys.Close() }, "corp reach: failed", "every run", "check the address"},
		"Qualys API access":        {without(simqualys.PermAPI), "corp read assets: failed", "every run", "CSAM"},
		"CSAM":                     {without(simqualys.PermInventory), "corp read assets: failed", "every run", "CSAM"},
		"asset management":         {without(simqualys.PermAssetManagement), "corp asset management: not used", "tags", "Asset Management & Tagging"},
		"vulnerability management": {without(simqualys.PermVM), "corp vulnerability mgmt: not used", "adding addresses", "Vulnerability Management"},
		"Certificate View":         {without(simqualys.PermCertView), "corp certificate view: not used", "certificates", "Certificate View"},
		"Manager":                  {without(simqualys.PermAddIPs), "corp add addresses: not used", "adding addresses", "Manager"},
		"CMDB sync":                {without(simqualys.PermCMDBSync), "corp CMDB sync: not used", "servicenow-to-qualys", "Asset Inventory CMDB Sync"},
		"update asset":             {without(simqualys.PermUpdateAsset), "corp update assets: not used", "business information", "Update Asset"},
		"create tags":              {without(simqualys.PermCreateTag), "corp create tags: not used", "tags made from the CMDB", "Create User Tag"},
		"delete tags":              {without(simqualys.PermDeleteTag), "corp delete tags: not used", "tags made from the CMDB", "Delete User Tag"},
		"edit tags":                {without(simqualys.PermEditTag), "corp edit tags: not used", "tags made from the CMDB", "Edit User Tag"},
		"tag rules":                {without(simqualys.PermTagRules), "corp tag rules: not used", "tags made from the CMDB", "Modify Dynamic Tag Rules"},
		"integration switch": {func(w *world) { w.post(w.qualys.URL+"/_sim/settings", map[string]bool{"integration": false}) },
			"corp ServiceNow integration: not used", "business information", "integration"},

		"ServiceNow password": {set("QBRIDGE_SECRET_SN_PASSWORD", "wrong"), "dev log in: failed", "every run", "credentials"},
		"ServiceNow variable": {set("QBRIDGE_SECRET_SN_USER", ""), "dev settings: failed", "every run", "QBRIDGE_SECRET_SN_USER"},
		"ServiceNow host":     {func(w *world) { w.servicenow.Close() }, "dev reach: failed", "every run", "check the address"},
		"no role":             {role("rest_api_explorer"), "dev roles: failed", "writes CIs", "itil"},
		"asset without itil":  {role("asset"), "dev roles: warning", "lengths", "itil"},
		"discovery source": {func(w *world) { w.remove("sys_choice", "element=discovery_source^value=SG-Qualys") },
			"dev discovery source: failed", "every run", "name=cmdb_ci, element=discovery_source, value=SG-Qualys, label=SG-Qualys, language=en, inactive=false"},
		"identification rule": {func(w *world) {
			w.post(w.servicenow.URL+"/_sim/rules", map[string]any{"remove": []string{"cmdb_ci_ip_phone"}})
		}, "dev identification: warning", "assets of these classes", "cmdb_ci_ip_phone"},
		"table of a section": {closed("u_qbridge_asset"), "dev tables: failed", "sections", "update set"},
		"scoped CMDB":        {func(w *world) { w.remove("sys_plugins", "id=com.snc.cmdb.scoped") }, "dev com.snc.cmdb.scope: not used", "scoped", "activate"},
		"integration commons": {func(w *world) {
			w.remove("sys_plugins", "id=com.snc.cmdb.integration_util")
			w.remove("sys_store_app", "scope=sn_cmdb_int_util")
		}, "dev sn_cmdb_int_util: not used", "dashboard", "store"},
		"class models":              {func(w *world) { w.remove("sys_store_app", "scope=sn_cmdb_ci_class") }, "dev sn_cmdb_ci_class: not used", "classes", "store"},
		"patterns":                  {func(w *world) { w.remove("sys_store_app", "scope=sn_itom_pattern") }, "dev sn_itom_pattern: warning", "cloud", "store"},
		"discovery core":            {func(w *world) { w.remove("sys_plugins", "id=com.snc.discovery") }, "dev com.snc.discovery.core: not used", "Discovery", "activate"},
		"reading choices":           {closed("sys_choice"), "dev discovery source: unknown", "SG-Qualys", "sys_choice"},
		"reading plugins":           {closed("sys_plugins"), "dev plugins: unknown", "if they are active", "sys_plugins"},
		"reading store apps":        {closed("sys_store_app"), "dev plugins: unknown", "if they are active", "sys_store_app"},
		"reading properties":        {closed("sys_properties"), "dev release: unknown", "IRE", "sys_properties"},
		"reading reconciliation":    {closed("cmdb_reconciliation_definition"), "dev reconciliation rules: unknown", "masked", "sn_cmdb_editor"},
		"reading data source rules": {closed("cmdb_ire_data_source_rule"), "dev insert rules: unknown", "created", "sn_cmdb_editor"},
		"reading users":             {closed("sys_user"), "dev domain: unknown", "domain separation", "sys_user"},
		"reading computers":         {closed("cmdb_ci_computer"), "dev names of CIs: unknown", "properties.names", "cmdb_ci"},
		"a rule that masks ours": {func(w *world) {
			w.record("cmdb_reconciliation_definition", map[string]string{"applies_to": "cmdb_ci_hardware", "discovery_source": "ServiceNow", "priority": "100", "attributes": "ram"})
		}, "dev reconciliation rules: warning", "values of ours", "ram of cmdb_ci_hardware go to ServiceNow"},
		"a rule against inserts": {func(w *world) {
			w.record("cmdb_ire_data_source_rule", map[string]string{"applies_to": "cmdb_ci_computer", "data_source": "SG-Qualys"})
		}, "dev insert rules: warning", "new CIs", "cmdb_ci_computer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.remove(w)
			more := troubles(w.doctor())
			require.Equal(t, []string{c.line}, slices.Sorted(maps.Keys(more)), "%+v", more)
			line := more[c.line]
			require.Contains(t, line.Blocks, c.blocks)
			require.Contains(t, line.Message+" "+line.Remedy, c.text)
			require.NotEmpty(t, line.Blocks)
		})
	}
}

func TestAHealthyPairHasALineForEveryCapability(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	checks := w.doctor()
	require.Empty(t, troubles(checks))
	got := map[string]string{}
	for _, c := range checks {
		got[c.Connection+" "+c.Capability] = c.Message
	}
	for _, want := range []string{
		"corp reach", "corp log in", "corp read assets", "corp asset management", "corp vulnerability mgmt", "corp certificate view", "corp add addresses", "corp CMDB sync",
		"corp update assets", "corp ServiceNow integration", "corp create tags", "corp edit tags", "corp delete tags", "corp tag rules", "corp limits", "corp version", "corp clock",
		"dev reach", "dev log in", "dev discovery source", "dev roles", "dev identification", "dev tables", "dev names of CIs", "dev com.snc.cmdb.scope", "dev sn_cmdb_int_util",
		"dev sn_cmdb_ci_class", "dev sn_itom_pattern", "dev com.snc.discovery.core", "dev release", "dev IRE settings", "dev reconciliation rules", "dev insert rules",
		"dev domain", "dev limits", "dev clock",
	} {
		require.Contains(t, got, want)
	}
	require.Contains(t, got["corp version"], "portal 3.12.0.0-1")
	require.Contains(t, got["corp add addresses"], "Manager")
	require.Contains(t, got["dev release"], "australia (glide-australia-06-25-2026__patch0.zip): tested")
	require.Equal(t, "global", got["dev domain"])
	for _, c := range checks {
		if c.Capability == "reconciliation rules" {
			require.Contains(t, c.Remedy, "worth having", "rules are proposed where there are none")
		}
	}
}

func TestTagsInUseNeedTheModuleAndStopNoRun(t *testing.T) {
	t.Parallel()
	for _, survey := range []bool{true, false} {
		w := newWorld(t)
		w.document = strings.Replace(document, "cloud: true}", "cloud: true, tags: true}, tags: [Sites]", 1)
		without(simqualys.PermAssetManagement)(w)
		more := troubles(w.check(survey))
		require.Len(t, more, 1)
		for _, c := range more {
			require.False(t, c.Failed())
			require.Equal(t, "warning", c.Status())
			require.Contains(t, c.Blocks, "the section tags")
		}
	}
}

func TestWritingBusinessMetadataNeedsItsRights(t *testing.T) {
	t.Parallel()
	off := func(w *world) { w.post(w.qualys.URL+"/_sim/settings", map[string]any{"integration": false}) }
	for name, c := range map[string]struct {
		remove       func(*world)
		line, remedy string
	}{
		"the permission": {without(simqualys.PermUpdateAsset), "corp update assets: failed", "Update Asset"},
		"the switch":     {off, "corp ServiceNow integration: failed", "switch the ServiceNow integration"},
	} {
		for _, survey := range []bool{true, false} {
			w := newWorld(t)
			w.document += "  - {name: owners, direction: servicenow-to-qualys, kind: metadata, source: dev, target: corp, manual: true, select: [{table: cmdb_ci_server}]}\n"
			require.Empty(t, troubles(w.check(survey)), name)
			c.remove(w)
			more := troubles(w.check(survey))
			require.Equal(t, []string{c.line}, slices.Sorted(maps.Keys(more)), name)
			require.Contains(t, more[c.line].Remedy, c.remedy)
			line := more[c.line]
			require.True(t, line.Failed(), "runs that need it do not begin")
		}
	}
}

func TestARunIsNotStoppedByWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	without(simqualys.PermAssetManagement, simqualys.PermVM, simqualys.PermCertView, simqualys.PermCMDBSync, simqualys.PermUpdateAsset)(w)
	w.close("sys_choice")
	w.remove("sys_store_app", "scope=sn_itom_pattern")
	for _, c := range w.check(false) {
		require.False(t, c.Failed(), "%+v", c)
	}
	for _, e := range w.log(w.qualys.URL) {
		require.Contains(t, []string{"/auth", "/rest/2.0/count/am/asset", "/rest/2.0/search/am/asset"}, e.Path, "a run asks no more than it needs")
	}
}

// entry is a call in a simulator's log.
type entry struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

func (w *world) log(base string) []entry {
	var out struct {
		Entries []entry `json:"entries"`
		Log     []entry `json:"log"`
	}
	raw := w.call(http.MethodGet, base+"/_sim/log?n=10000", nil)
	var list []entry
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	require.NoError(w.t, json.Unmarshal(raw, &out), "%s", raw)
	return append(out.Entries, out.Log...)
}

func TestTheTestChangesNothingAndAsksLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	portal := func(path string) string {
		req, err := http.NewRequest(http.MethodPost, w.qualys.URL+"/qps/rest/2.0/"+path, strings.NewReader(""))
		require.NoError(t, err)
		req.SetBasicAuth(qualysUser, qualysPassword)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(raw)
	}
	state := func() string {
		return portal("search/am/tag") + portal("search/am/hostasset") + string(w.call(http.MethodGet, w.servicenow.URL+"/_sim/digest", nil))
	}
	before, calls, instance := state(), len(w.log(w.qualys.URL)), len(w.log(w.servicenow.URL))
	require.Contains(t, before, "SUCCESS")
	w.doctor()
	asked, told := w.log(w.qualys.URL)[calls:], w.log(w.servicenow.URL)[instance:]
	require.NotEmpty(t, asked)
	require.NotEmpty(t, told)
	require.LessOrEqual(t, len(asked), 20)
	require.LessOrEqual(t, len(told), 50)
	for _, e := range told {
		require.True(t, e.Method == http.MethodGet || strings.Contains(e.Path, "/identifyreconcile/query"), "only the trial run of IRE is a POST: %+v", e)
	}
	require.Equal(t, before, state())
}

func TestSpecialCharactersInCredentialsReachBothVendorsUnchanged(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"basic", "oauth-password"} {
		w := newWorld(t)
		const id, secret = "client %41+&=", `s%zz +&="é`
		w.post(w.servicenow.URL+"/_sim/oauth", map[string]any{"clientId": id, "clientSecret": secret})
		w.env["QBRIDGE_SECRET_ID"], w.env["QBRIDGE_SECRET_SECRET"] = id, secret
		w.document = strings.Replace(document, "type: basic,", `type: `+auth+`,`, 1)
		if auth != "basic" {
			w.document = strings.Replace(w.document, `type: `+auth+`,`, `type: `+auth+`, clientId: "${env:QBRIDGE_SECRET_ID}", clientSecret: "${env:QBRIDGE_SECRET_SECRET}",`, 1)
		}
		require.Empty(t, troubles(w.doctor()), auth)
	}
}

func TestAVendorInTroubleMakesUnknownLinesWhereNothingIsNeeded(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"status(503)", "html", "drop_before", "cut(1)"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var plan []string
			for _, endpoint := range []string{"certview.certificates.v2.2", "connector.sync", "fo.host", "qps.version", "qps.update.tag"} {
				plan = append(plan, fmt.Sprintf("on %s do %s", endpoint, fault))
			}
			res, err := http.Post(w.qualys.URL+"/_sim/faults", "text/plain", strings.NewReader(strings.Join(plan, "\n")))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Less(t, res.StatusCode, 300)
			got := slices.Sorted(maps.Keys(troubles(w.doctor())))
			require.Equal(t, []string{"corp CMDB sync: unknown", "corp certificate view: unknown", "corp edit tags: unknown", "corp version: unknown", "corp vulnerability mgmt: unknown"}, got)
		})
	}
}
