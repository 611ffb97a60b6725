package e2e_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestAnOwnerGoesToQualysAndNothingElse(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	group := b.row("sys_user_group", thing{"name": "Platform"})
	site := b.row("cmn_location", thing{"name": "DC-9", "city": "Bern", "country": "CH"})
	b.own(thing{"owned_by": ann, "support_group": group, "location": site}, b.cis...)
	code, res, errs := b.write()
	_, text, _ := b.cli("run", "show", "latest")
	require.Zero(t, code, "%s\n%s", errs, text)
	require.Positive(t, res.Updated, "%+v\n%s", res.Counters, text)
	asset := b.assetOf(b.cis[0])
	now := b.shows(asset)
	require.Equal(t, []string{"Ann Example", "Platform", "DC-9", "Bern"}, []string{now.Business.OwnedBy, now.Business.SupportGroup, now.Location.Name, now.Location.City})

	calls := b.posted()
	code, res, _ = b.write()
	require.Zero(t, code)
	require.Zero(t, res.Written(), "%+v", res.Counters)
	require.Equal(t, calls, b.posted(), "a second run writes nothing")

	bob := b.row("sys_user", thing{"user_name": "bob", "name": "Bob Example"})
	b.own(thing{"owned_by": bob}, b.cis[0])
	code, res, _ = b.write()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	require.Equal(t, calls+1, b.posted(), "one call")
	require.Equal(t, "Bob Example", b.shows(asset).Business.OwnedBy)

	code, text, errs = b.cli("asset", "explain", asset)
	require.Zero(t, code, errs)
	require.Contains(t, text, "in schedule inventory")
	require.Contains(t, text, "in schedule owners, from the CMDB to Qualys")
	require.Contains(t, text, "found by link")
	require.Regexp(t, `ownedBy +Bob Example +Ann Example`, text)
	b.replayAll()
}

func TestALongOwnerIsCutAndFlagged(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	long := b.row("sys_user", thing{"user_name": "long", "name": strings.Repeat("ö", 300)})
	b.own(thing{"owned_by": long}, b.cis[0])
	code, res, errs := b.write()
	require.Zero(t, code, errs)
	require.Zero(t, res.Failed, "%+v", res.Counters)
	asset := b.assetOf(b.cis[0])
	require.Equal(t, strings.Repeat("ö", 255), b.shows(asset).Business.OwnedBy)
	code, text, errs := b.cli("asset", "explain", asset)
	require.Zero(t, code, errs)
	require.Contains(t, text, "ownedBy: cut to the column's length")
	calls := b.posted()
	code, res, _ = b.write()
	require.Zero(t, code)
	require.Zero(t, res.Written(), "what was cut is no change: %+v", res.Counters)
	require.Equal(t, calls, b.posted())
}

func TestAnApplicationArrivesBeforeTheAssetsThatNameIt(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "    metadata: {applications: {id: number}}\n")
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	shop := b.row("cmdb_ci_business_app", thing{"name": "Webshop", "number": "APM001", "business_criticality": "1 - most critical", "owned_by": ann})
	pay := b.row("cmdb_ci_business_app", thing{"name": "Payments", "number": "APM002"})
	odd := b.row("cmdb_ci_business_app", thing{"name": "Odd", "number": strings.Repeat("9", 41)})
	service := b.row("cmdb_ci_service", thing{"name": "Payments, production"})
	b.relate(shop, b.cis[0])
	b.relate(pay, service)
	b.relate(service, b.cis[1])
	b.relate(pay, b.cis[0])
	b.relate(odd, b.cis[1])
	code, res, errs := b.write()
	_, text, _ := b.cli("run", "show", "latest")
	require.Zero(t, code, "%s\n%s", errs, text)
	require.EqualValues(t, 2, res.Created, "two applications: %+v\n%s", res.Counters, text)
	require.Contains(t, text, "has 41 characters, at most 40 are taken")
	require.Equal(t, []string{applicationsPath, metadataPath}, b.changes())
	names := func(ci string) []string {
		var out []string
		for _, a := range b.shows(b.assetOf(ci)).Apps.List {
			out = append(out, a.ID+" "+a.Name)
		}
		return out
	}
	require.Equal(t, []string{"APM001 Webshop", "APM002 Payments"}, names(b.cis[0]))
	require.Equal(t, []string{"APM002 Payments"}, names(b.cis[1]), "through its service")

	calls := b.posted()
	code, res, _ = b.write()
	require.Zero(t, code)
	require.Zero(t, res.Written(), "%+v", res.Counters)
	require.Equal(t, calls, b.posted())
	b.send(http.MethodPatch, "cmdb_ci_business_app/"+pay, thing{"name": "Payment hub"})
	code, res, _ = b.write()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	require.Equal(t, calls+1, b.posted(), "the application alone")
	require.Equal(t, []string{"APM002 Payment hub"}, names(b.cis[1]))
}

func TestWhatSomebodyChangedInQualysIsMended(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	b.own(thing{"owned_by": ann}, b.cis[0])
	code, _, errs := b.write()
	require.Zero(t, code, errs)
	asset := b.assetOf(b.cis[0])
	for range 3 {
		b.call(metadataPath, `{"data":[{"qualysAssetId":"`+asset+`","metadata":{"ownedBy":"somebody","department":"theirs"}}]}`)
		code, res, errs := b.write()
		require.Zero(t, code, errs)
		require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
		require.Equal(t, "Ann Example", b.shows(asset).Business.OwnedBy)
		code, res, _ = b.write()
		require.Zero(t, code)
		require.Zero(t, res.Written(), "%+v", res.Counters)
	}
	b.own(thing{"owned_by": ""}, b.cis[0])
	code, res, _ := b.write()
	require.Zero(t, code)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	require.Empty(t, b.shows(asset).Business.OwnedBy, "what was written is taken back")
}

func TestACIIsFoundByIdentifiersAndNeverGuessed(t *testing.T) {
	t.Parallel()
	b := &bridge{handmade: &handmade{stack: newStack(t, "--assets", "200", "--seed", "12")}}
	b.applied(b.owners(""))
	count := map[string][]string{}
	for id, a := range b.inventory() {
		if serial, _ := a["biosSerialNumber"].(string); serial != "" {
			count[serial] = append(count[serial], id)
		}
	}
	var one, several string
	for serial, ids := range count {
		if len(ids) == 1 && asset.Serial(serial) != "" {
			one = max(one, serial)
		} else if asset.Serial(serial) != "" {
			several = max(several, serial)
		}
	}
	require.NotEmpty(t, one)
	require.NotEmpty(t, several)
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	for name, serial := range map[string]string{"found": one, "ambiguous": several, "unknown": "NOBODY-77"} {
		b.row("cmdb_ci_linux_server", thing{"name": name, "serial_number": serial, "owned_by": ann})
	}
	code, res, errs := b.write()
	_, text, _ := b.cli("run", "show", "latest")
	require.Zero(t, code, "%s\n%s", errs, text)
	require.EqualValues(t, 1, res.Updated, "%+v", res.Counters)
	require.EqualValues(t, 2, res.Skipped, "%+v", res.Counters)
	require.Contains(t, text, "ambiguous: ")
	require.Contains(t, text, "assets have the same serialNumber")
	require.Contains(t, text, "no asset has an identifier of the CI")
	require.Equal(t, "Ann Example", b.shows(count[one][0]).Business.OwnedBy)
	ci := b.rowsOf("cmdb_ci_linux_server", "name=ambiguous", "sys_id")[0]
	code, text, errs = b.cli("asset", "explain", "dev/"+ci)
	require.Zero(t, code, errs)
	require.Contains(t, text, `business metadata of CI "ambiguous", skipped: ambiguous: `)
	code, _, errs = b.cli("run", "forecast", "owners")
	require.NotZero(t, code)
	require.Contains(t, errs, "schedule owners writes to Qualys")
	for _, id := range count[several] {
		require.NotEqual(t, "Ann Example", b.shows(id).Business.OwnedBy)
	}
}

func TestBusinessMetadataWaitsForAPerson(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "    approval: manual\n")
	ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
	shop := b.row("cmdb_ci_business_app", thing{"name": "Webshop"})
	b.relate(shop, b.cis[0])
	b.own(thing{"owned_by": ann}, b.cis[0], b.cis[1])
	code, res, errs := b.write()
	require.Zero(t, code, errs)
	require.Positive(t, res.Pending, "%+v", res.Counters)
	require.Zero(t, b.taken(), "nothing is written before a decision")
	first := b.assetOf(b.cis[0])
	code, text, errs := b.cli("staged", "show", "corp/"+first, "--schedule", "owners")
	require.Zero(t, code, errs)
	require.Regexp(t, `ownedBy .*Ann Example`, text)
	// Somebody else writes one of them meanwhile: its plan moves.
	b.call(metadataPath, `{"data":[{"qualysAssetId":"`+first+`","metadata":{"ownedBy":"Ann Example"}}]}`)
	code, out, errs := b.cli("staged", "list", "--schedule", "owners", "-o", "json")
	require.Zero(t, code, errs)
	var list contract.StagedList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	code, out, errs = b.cli("staged", "approve", "--schedule", "owners", "--all", "--snapshot", strconv.FormatInt(list.Snapshot, 10), "--by", "ann", "-o", "json")
	require.Zero(t, code, errs)
	require.Contains(t, out, `"failed": 0`)
	require.Equal(t, "Ann Example", b.shows(b.assetOf(b.cis[1])).Business.OwnedBy)
	code, res, _ = b.write()
	require.Zero(t, code)
	require.Zero(t, res.Failed+res.Written(), "%+v", res.Counters)
	require.EqualValues(t, 1, res.Pending, "the asset may name its application now: %+v", res.Counters)
	b.replayAll()
}

func TestAMissingRightIsNamedAndNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body, want string }{
		"permission": {"/_sim/users", `{"username":"USER","password":"PASSWORD","without":["update-asset"]}`, "update assets"},
		"switch":     {"/_sim/settings", `{"integration":false}`, "ServiceNow integration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBridge(t, "")
			ann := b.row("sys_user", thing{"user_name": "ann", "name": "Ann Example"})
			shop := b.row("cmdb_ci_business_app", thing{"name": "Webshop"})
			b.relate(shop, b.cis[0])
			b.own(thing{"owned_by": ann}, b.cis...)
			code, _, errs := b.write() // the revision is tested
			require.Zero(t, code, errs)
			bob := b.row("sys_user", thing{"user_name": "bob", "name": "Bob Example"})
			b.own(thing{"owned_by": bob}, b.cis...)
			b.send(http.MethodPatch, "cmdb_ci_business_app/"+shop, thing{"name": "Shop"})
			take := func(body string) {
				t.Helper()
				quoted := func(s string) string { q, _ := json.Marshal(s); return strings.Trim(string(q), `"`) }
				body = strings.NewReplacer("USER", quoted(b.sims.Qualys.Username), "PASSWORD", quoted(b.sims.Qualys.Password)).Replace(body)
				res, err := http.Post(b.sims.Qualys.APIURL+c.path, "application/json", strings.NewReader(body))
				require.NoError(t, err)
				b.body(res)
			}
			take(c.body)
			before := b.taken()
			for range 2 { // at the first refused call; then at the preflight
				code, _, errs = b.write()
				require.Equal(t, cli.ExitFailed, code)
				require.Contains(t, errs, c.want)
			}
			require.Equal(t, before, b.taken())
			require.Equal(t, "Ann Example", b.shows(b.assetOf(b.cis[0])).Business.OwnedBy)
			code, out, _ := b.cli("doctor")
			require.NotZero(t, code)
			require.Regexp(t, c.want+` +FAILED`, out)
			take(strings.NewReplacer("false", "true", `"update-asset"`, "").Replace(c.body))
			code, res, errs := b.write()
			require.Zero(t, code, errs)
			require.Positive(t, res.Updated)
			require.Equal(t, "Bob Example", b.shows(b.assetOf(b.cis[0])).Business.OwnedBy)
		})
	}
}
