package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samber/lo"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/domain/export"
	records "github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// exporting is a stack whose CMDB knows machines that the subscription lacks.
type exporting struct {
	*handmade
	excluded []string // that are in the subscription
}

const missingAddresses = 14 // of the CIs of newExport

// newExport fills a CMDB with 30 CIs: 10 whose address is known, 2 excluded, 3 with
// the address of another CI, 1 link-local, 14 that are missing.
func newExport(t *testing.T, lines string) *exporting {
	t.Helper()
	e := &exporting{handmade: &handmade{stack: newStack(t, "--assets", "2000", "--seed", "5")}}
	e.excluded = e.list("excluded_ip")
	require.Len(t, e.excluded, 2)
	known := e.addresses()
	var of []string
	for a := range known {
		if !slices.Contains(e.excluded, a) {
			of = append(of, a)
		}
	}
	slices.Sort(of)
	list := append(slices.Clone(of[:10]), e.excluded...)
	for i := range 8 {
		list = append(list, fmt.Sprintf("10.250.0.%d", i+1))
	}
	list = append(list, "10.250.1.7", "10.250.1.9", "10.250.2.1", "10.250.2.2", "10.250.3.255", "169.254.7.7", "10.250.0.1", "10.250.0.2", of[0])
	for i, a := range list {
		e.insert("cmdb_ci_linux_server", thing{"name": fmt.Sprintf("unseen-%02d", i), "ip_address": a, "operational_status": "1"})
	}
	require.Len(t, list, 29)
	e.insert("cmdb_ci_linux_server", thing{"name": "unseen-29", "operational_status": "1"}) // by its adapter only
	id := e.rowsOf("cmdb_ci_linux_server", "name=unseen-29", "sys_id")[0]
	e.insert("cmdb_ci_network_adapter", thing{"name": "eth0", "cmdb_ci": id, "ip_address": "10.250.4.4"})
	e.insert("cmdb_ci_network_adapter", thing{"name": "eth1", "cmdb_ci": id, "ip_address": "127.0.0.1"})
	e.applyExport(lines)
	return e
}

func (e *exporting) applyExport(lines string) {
	e.t.Helper()
	code, out := e.apply(e.document() + `
  - name: to-qualys
    direction: servicenow-to-qualys
    kind: export
    source: dev
    target: corp
    manual: true
    select: [{table: cmdb_ci_linux_server, query: nameSTARTSWITHunseen}]
` + lines)
	require.Zero(e.t, code, out)
}

// fo calls the API for addresses as somebody else would.
func (e *exporting) fo(path string, form url.Values) string {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, e.sims.Qualys.APIURL+"/api/2.0/fo/asset/"+path+"/", strings.NewReader(form.Encode()))
	require.NoError(e.t, err)
	req.SetBasicAuth(e.sims.Qualys.Username, e.sims.Qualys.Password)
	req.Header.Set("X-Requested-With", "test")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(e.t, err)
	require.Equal(e.t, http.StatusOK, res.StatusCode, "%s", body)
	return string(body)
}

var listed = regexp.MustCompile(`<IP(?:_RANGE)?[^>]*>([0-9.\-]+)</IP`)

func (e *exporting) list(path string) []string {
	e.t.Helper()
	return lo.Map(listed.FindAllStringSubmatch(e.fo(path, url.Values{"action": {"list"}}), -1), func(m []string, _ int) string { return m[1] })
}

// addresses returns every address of the subscription.
func (e *exporting) addresses() map[string]bool {
	e.t.Helper()
	out := map[string]bool{}
	for _, text := range e.list("ip") {
		first, last, ok := strings.Cut(text, "-")
		if !ok {
			last = first
		}
		to := netip.MustParseAddr(last)
		for a := netip.MustParseAddr(first); a.Compare(to) <= 0; a = a.Next() {
			out[a.String()] = true
		}
	}
	return out
}

func (e *exporting) start() (int, contract.RunResult) {
	e.t.Helper()
	var res contract.RunResult
	code, out, errs := e.cli("run", "start", "to-qualys", "--wait", "-o", "json")
	if code == cli.ExitOK || code == cli.ExitPartial {
		require.NoError(e.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
		require.True(e.t, res.Balanced(), "%+v", res.Counters)
	}
	return code, res
}

func (e *exporting) plan() contract.ExportView {
	e.t.Helper()
	var v contract.ExportView
	code, out, errs := e.cli("export", "plan", "to-qualys", "-o", "json")
	require.Zero(e.t, code, errs)
	require.NoError(e.t, json.Unmarshal([]byte(out), &v))
	return v
}

func ranges(list []export.Scope) (out []string) {
	for _, s := range list {
		for _, r := range s.Ranges {
			out = append(out, r.String())
		}
	}
	return out
}

var missingRanges = []string{"10.250.0.1-10.250.0.8", "10.250.1.7", "10.250.1.9", "10.250.2.1-10.250.2.2", "10.250.3.255", "10.250.4.4"}

const registration = "    addresses: {registration: {vm: true, comment: from the CMDB, assetGroup: From the CMDB}}\n"

func TestThirtyCIsAreShownApprovedAndAddedOnce(t *testing.T) {
	t.Parallel()
	e := newExport(t, registration)
	before := e.addresses()
	code, res := e.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Pending, "%+v", res.Counters)
	require.Equal(t, before, e.addresses(), "nothing is added before somebody approves")

	v := e.plan()
	require.Equal(t, records.StatePending, v.State)
	require.Equal(t, missingRanges, ranges(v.Plan.Add))
	require.Equal(t, map[export.Reason]int64{
		export.ReasonAdd: missingAddresses, export.ReasonKnown: 10, export.ReasonExcluded: 2, export.ReasonDuplicate: 3, export.ReasonUnusable: 2,
	}, v.Plan.Counts.By)
	require.Equal(t, 30, v.Plan.CIs.Read)
	code, text, _ := e.cli("export", "plan", "to-qualys")
	require.Zero(t, code)
	for _, want := range []string{"30 read", "10.250.0.1-10.250.0.8", "another CI has the same address", "staged approve --schedule to-qualys --id corp/addresses"} {
		require.Contains(t, text, want)
	}
	code, text, errs := e.cli("staged", "show", "corp/addresses", "--schedule", "to-qualys")
	require.Zero(t, code, errs)
	require.Contains(t, text, "10.250.0.1-10.250.0.8, 10.250.1.7")

	code, _ = e.start()
	require.Zero(t, code)
	require.Equal(t, v.Version, e.plan().Version, "the same plan waits on")

	code, text, errs = e.cli("staged", "approve", "--schedule", "to-qualys", "--id", v.Key, "--snapshot", fmt.Sprint(v.Version), "--by", "ann")
	require.Zero(t, code, "%s%s", text, errs)
	e.eventually("the addresses are there", func() error {
		if n := len(e.addresses()); n != len(before)+missingAddresses {
			return fmt.Errorf("%d addresses of %d", n, len(before)+missingAddresses)
		}
		return nil
	})
	require.Contains(t, e.fo("group", url.Values{"action": {"list"}, "title": {"From the CMDB"}, "show_attributes": {"ALL"}}), "10.250.0.1-10.250.0.8")
	code, res = e.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Unchanged, "a second run adds nothing: %+v", res.Counters)
	require.Empty(t, e.plan().Plan.Add)
	require.Len(t, e.addresses(), len(before)+missingAddresses)
	e.replayAll()
}

func TestACeilingStopsAnExportBeforeItIsCrossed(t *testing.T) {
	t.Parallel()
	e := newExport(t, "    approval: auto\n    addresses: {maxAdd: 5, registration: {vm: true}}\n")
	before := len(e.addresses())
	code, res := e.start()
	require.Zero(t, code, "%+v", res)
	require.Len(t, e.addresses(), before+5)
	for range 2 { // more than the ceiling is for a person to decide
		code, res = e.start()
		require.Zero(t, code)
		require.EqualValues(t, 1, res.Pending, "%+v", res.Counters)
		require.Len(t, e.addresses(), before+5)
	}
	code, text, errs := e.cli("staged", "approve", "--schedule", "to-qualys", "--all", "--snapshot", fmt.Sprint(e.plan().Version), "--by", "ann")
	require.Zero(t, code, "%s%s", text, errs)
	e.eventually("the approved addresses are there", func() error {
		if n := len(e.addresses()); n != before+10 {
			return fmt.Errorf("%d of %d", n-before, 10)
		}
		return nil
	})
	for range 2 { // what is left is below the ceiling
		code, res = e.start()
		require.Zero(t, code, "%+v", res)
		require.Len(t, e.addresses(), before+missingAddresses)
	}
	e.applyExport(fmt.Sprintf("    approval: auto\n    addresses: {maxAdd: 5, licence: %d, registration: {vm: true}}\n", before+missingAddresses))
	e.insert("cmdb_ci_linux_server", thing{"name": "unseen-30", "ip_address": "10.251.0.1"})
	code, res = e.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Skipped, "%+v", res.Counters)
	require.Contains(t, e.plan().Reason, "licence")
	require.Len(t, e.addresses(), before+missingAddresses)
}

func TestAWorkerKilledWhileItAddsAddressesAddsThemOnce(t *testing.T) {
	t.Parallel()
	for _, at := range []crash.Point{crash.AfterOpenRun, crash.AfterFetch, crash.AfterStage, crash.AfterIntent, crash.AfterPost, crash.AfterSettle, crash.AfterFinish, crash.AfterCloseRun} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			e := newExport(t, "    approval: auto\n    addresses: {maxAdd: 100, registration: {vm: true}}\n")
			before := len(e.addresses())
			e.doom(string(at) + "=kill")
			code, out, errs := e.cli("run", "start", "to-qualys")
			require.Zero(t, code, "%s%s", out, errs)
			e.perished()
			e.startWorker()
			code, out, errs = e.cli("run", "watch", "to-qualys")
			require.Zero(t, code, "%s%s", out, errs)
			require.Len(t, e.addresses(), before+missingAddresses)
			code, res := e.start()
			require.Zero(t, code)
			require.EqualValues(t, 1, res.Unchanged, "%+v", res.Counters)
			e.replayAll()
		})
	}
}

func TestWithFaultsTheSameAddressesAreAdded(t *testing.T) {
	t.Parallel()
	e := newExport(t, "    approval: auto\n    addresses: {maxAdd: 100, registration: {vm: true}}\n")
	before := len(e.addresses())
	e.faults(e.sims.Qualys.APIURL, "on fo.ip share 25% do drop_after_commit; on fo.* share 10% do status(503)")
	e.faults(e.sims.ServiceNow.URL, "on * share 10% do status(503)")
	code, res := e.start()
	require.Zero(t, code, "%+v", res)
	e.faults(e.sims.Qualys.APIURL, "")
	e.faults(e.sims.ServiceNow.URL, "")
	require.Len(t, e.addresses(), before+missingAddresses)
	code, res = e.start()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Unchanged, "%+v", res.Counters)
}

func TestWithoutTheManagerRoleNothingIsPlanned(t *testing.T) {
	t.Parallel()
	e := newExport(t, registration)
	before := e.addresses()
	user, err := json.Marshal(thing{"username": e.sims.Qualys.Username, "without": []string{"add-ips"}})
	require.NoError(t, err)
	res, err := http.Post(e.sims.Qualys.APIURL+"/_sim/users", "application/json", strings.NewReader(string(user)))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	_, text, _ := e.cli("doctor")
	require.Regexp(t, `corp +add addresses +.*adding addresses to the subscription`, strings.ReplaceAll(text, "\n", " "))
	code, out, errs := e.cli("run", "start", "to-qualys", "--wait")
	require.Equal(t, cli.ExitFailed, code, "%s%s", out, errs)
	require.Contains(t, out+errs, "Manager")
	require.Equal(t, before, e.addresses())
	code, _ = e.sync()
	require.Zero(t, code, "runs of other schedules go on")
}

func TestInABlackoutNothingIsPlanned(t *testing.T) {
	t.Parallel()
	e := newExport(t, "    blackout: [daily 00:00-24:00]\n"+registration)
	code, res := e.start()
	require.Equal(t, cli.ExitPartial, code)
	require.Contains(t, res.Warning, "nothing was planned")
	require.Zero(t, res.Fetched)
	code, _, errs := e.cli("export", "plan", "to-qualys")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "planned nothing yet")
}

func TestAScheduleIsRunByItsOwnWorkflow(t *testing.T) {
	t.Parallel()
	e := newExport(t, registration)
	run, err := cli.Start(t.Context(), e.client, contract.RunInput{Schedule: "to-qualys"})
	require.NoError(t, err)
	require.ErrorContains(t, run.Get(t.Context(), nil), "start the workflow ExportAssets with the id export/to-qualys")
	code, _, errs := e.cli("run", "forecast", "to-qualys")
	require.Equal(t, cli.ExitFailed, code)
	require.Contains(t, errs, "to-qualys")
}
