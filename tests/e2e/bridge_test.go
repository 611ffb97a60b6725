package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/starter/cli"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Paths of Qualys that change something.
const (
	metadataPath     = "/rest/2.0/update/am/asset/business/metadata"
	applicationsPath = "/rest/2.0/update/am/businessapp/metadata"
)

// bridge is a stack whose CMDB has the assets of the subscription, and a schedule
// that writes business metadata back.
type bridge struct {
	*handmade
	cis []string // sys_ids of servers, ascending
}

// owners is the document with a schedule of business metadata.
func (s *stack) owners(lines string) string {
	return s.document() + `
  - name: owners
    direction: servicenow-to-qualys
    kind: metadata
    source: dev
    target: corp
    manual: true
    select: [{table: cmdb_ci_server}]
` + lines
}

func newBridge(t *testing.T, lines string, simFlags ...string) *bridge {
	t.Helper()
	b := &bridge{handmade: &handmade{stack: newStack(t, append([]string{"--assets", "40", "--seed", "12"}, simFlags...)...)}}
	b.applied(b.owners(lines))
	code, _ := b.sync("--full")
	require.Zero(t, code)
	b.cis = b.rowsOf("cmdb_ci_server", "serial_numberISNOTEMPTY", "sys_id")
	require.Greater(t, len(b.cis), 5)
	return b
}

func (b *bridge) applied(document string) {
	b.t.Helper()
	code, out := b.apply(document)
	require.Zero(b.t, code, out)
}

// write runs the schedule of business metadata.
func (b *bridge) write() (int, contract.RunResult, string) {
	b.t.Helper()
	code, out, errs := b.cli("run", "start", "owners", "--wait", "-o", "json")
	var res contract.RunResult
	if code == cli.ExitOK || code == cli.ExitPartial {
		require.NoError(b.t, json.Unmarshal([]byte(out), &res), "%s%s", out, errs)
		require.True(b.t, res.Balanced(), "%+v", res.Counters)
	}
	return code, res, errs
}

// row adds a row to the CMDB and returns its sys_id.
func (b *bridge) row(table string, values thing) string {
	b.t.Helper()
	b.insert(table, values)
	return b.rowsOf(table, "name="+values["name"].(string), "sys_id")[0]
}

// own gives CIs columns.
func (b *bridge) own(values thing, cis ...string) {
	b.t.Helper()
	for _, ci := range cis {
		b.send(http.MethodPatch, "cmdb_ci_server/"+ci, values)
	}
}

// shown is what Qualys shows of an asset.
type shown struct {
	Business struct {
		OwnedBy      string `json:"ownedBy"`
		SupportGroup string `json:"supportGroup"`
	} `json:"businessInformation"`
	Location struct {
		Name string `json:"name"`
		City string `json:"city"`
	} `json:"assignedLocation"`
	Apps struct {
		List []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"businessApp"`
	} `json:"businessAppListData"`
}

// assetOf returns the asset of a CI as the sync linked it.
func (b *bridge) assetOf(ci string) string {
	b.t.Helper()
	serial := b.rowsOf("cmdb_ci_server", "sys_id="+ci, "serial_number")[0]
	for id, a := range b.inventory() {
		if a["biosSerialNumber"] == serial && serial != "" {
			return id
		}
	}
	b.t.Fatalf("no asset has the serial number %q of CI %s", serial, ci)
	return ""
}

// inventory reads all assets, by id.
func (b *bridge) inventory() map[string]map[string]any {
	b.t.Helper()
	out := map[string]map[string]any{}
	for _, raw := range b.search() {
		var a map[string]any
		require.NoError(b.t, json.Unmarshal(raw, &a))
		out[strconv.FormatInt(int64(a["assetId"].(float64)), 10)] = a
	}
	return out
}

func (b *bridge) shows(asset string) shown {
	b.t.Helper()
	for _, raw := range b.search() {
		var id struct {
			ID json.Number `json:"assetId"`
		}
		require.NoError(b.t, json.Unmarshal(raw, &id))
		if id.ID.String() == asset {
			var s shown
			require.NoError(b.t, json.Unmarshal(raw, &s))
			return s
		}
	}
	b.t.Fatalf("there is no asset %s", asset)
	return shown{}
}

// search reads all assets of the subscription, as somebody else would.
func (b *bridge) search() []json.RawMessage {
	b.t.Helper()
	var page struct {
		Assets struct {
			List []json.RawMessage `json:"asset"`
		} `json:"assetListData"`
	}
	require.NoError(b.t, json.Unmarshal([]byte(b.call("/rest/2.0/search/am/asset?pageSize=300", "")), &page))
	return page.Assets.List
}

func (b *bridge) body(res *http.Response) string {
	b.t.Helper()
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.Less(b.t, res.StatusCode, http.StatusBadRequest, "%s", data)
	return string(data)
}

// changes are the calls that changed something in Qualys, by their paths; those that
// only ask for permission are refused.
func (b *bridge) changes() []string {
	b.t.Helper()
	var out []string
	for _, e := range b.log(b.sims.Qualys.APIURL) {
		if (e.Path == applicationsPath || e.Path == metadataPath) && e.Status < http.StatusBadRequest {
			out = append(out, e.Path)
		}
	}
	return out
}

func (b *bridge) posted() int { return len(b.changes()) }

// taken counts the assets and applications that Qualys took.
func (b *bridge) taken() int {
	b.t.Helper()
	var stats struct {
		Items map[string]int `json:"items"`
	}
	b.get(b.sims.Qualys.APIURL+"/_sim/stats", &stats)
	return stats.Items["update.metadata"] + stats.Items["update.businessapp"]
}

// relate adds a relation as somebody else would.
func (b *bridge) relate(parent, child string) {
	b.t.Helper()
	kind := b.rowsOf("cmdb_rel_type", "name=Depends on::Used by", "sys_id")[0]
	b.insert("cmdb_rel_ci", thing{"parent": parent, "child": child, "type": kind})
}

// call makes a call to the gateway as somebody else would.
func (b *bridge) call(path, body string) string {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.sims.Qualys.GatewayURL+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.token())
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	return b.body(res)
}

func (b *bridge) token() string {
	b.t.Helper()
	q := b.sims.Qualys
	res, err := http.PostForm(q.GatewayURL+"/auth", map[string][]string{"username": {q.Username}, "password": {q.Password}, "token": {"true"}, "permissions": {"true"}})
	require.NoError(b.t, err)
	return b.body(res)
}
