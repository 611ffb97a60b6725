package qualys_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/tagging"
	"github.com/qbridge/qbridge/tests/sim/estate"
	sim "github.com/qbridge/qbridge/tests/sim/qualys"
)

// lossy is a simulator of whose answers to writes some get lost, every third one
// before the call was carried out and every third one after.
type lossy struct {
	handler
	n, seed int
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	fate := 2
	read := strings.Contains(r.URL.Path, "/search/") || r.URL.Path == "/auth"
	if body, err := r.GetBody(); err == nil && !read {
		form, _ := io.ReadAll(body)
		read = strings.Contains(string(form), "action=list")
	}
	if !read {
		l.n++
		fate = (l.n*7 + l.seed) % 3
	}
	if fate == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	res, err := l.handler.RoundTrip(r)
	if fate == 1 && err == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

// subscription returns the settings of a connection to a simulated subscription.
func subscription(t *testing.T, seed int) qualys.Config {
	t.Helper()
	s, err := sim.New(sim.Options{Estate: estate.Options{Assets: 60, Seed: 7}, TagDelay: time.Nanosecond, ConnectorDelay: time.Nanosecond})
	require.NoError(t, err)
	return qualys.Config{
		Name: "corp", APIURL: "https://portal.example", GatewayURL: "https://portal.example", Username: sim.DefaultUsername, Password: sim.DefaultPassword,
		Transport: &lossy{handler: handler{s.Handler()}, seed: seed},
	}
}

// lostOnly fails the test unless an error is that of a lost answer.
func lostOnly(t *testing.T, err error) {
	t.Helper()
	var e *qualys.Error
	if err != nil && (!errors.As(err, &e) || e.Kind() != qualys.KindUnknownOutcome) {
		require.NoError(t, err)
	}
}

func TestAPlanIsCarriedOutOnceWhateverAnswersAreLost(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for seed := range 3 {
		c, err := qualys.NewFO(subscription(t, seed))
		require.NoError(t, err)
		list := func() []export.Scope {
			ips, _, err := c.IPs(ctx, "")
			require.NoError(t, err)
			scopes, err := qualys.Scopes(ips)
			require.NoError(t, err)
			return scopes
		}
		excluded, _, err := c.ExcludedIPs(ctx, "")
		require.NoError(t, err)
		never, err := qualys.Scopes(excluded)
		require.NoError(t, err)
		require.NotEmpty(t, never)
		var cis []export.CI
		from := netip.MustParseAddr("10.250.0.250")
		for i := range 12 {
			cis = append(cis, export.CI{SysID: fmt.Sprint(i), Class: "cmdb_ci_server", Addresses: []export.Address{{Text: from.String()}}})
			if from = from.Next(); i%5 == 4 {
				from = from.Next()
			}
		}
		cis = append(cis, export.CI{SysID: "excluded", Addresses: []export.Address{{Text: never[0].Ranges[0].From.String()}}})
		before := list()
		settings := export.IPSettings{Registration: export.Registration{VM: true, Comment: "from the CMDB"}}
		plan, _, err := export.PlanIPs(cis, export.Subscription{Whole: true, Known: before, Excluded: never}, settings)
		require.NoError(t, err)
		require.EqualValues(t, 12, plan.Addresses())
		for range 20 {
			for _, call := range export.Calls(plan.Remaining(list()), 1) {
				_, _, err := c.AddIPs(ctx, qualys.AddIPsOf(call, plan.Registration))
				lostOnly(t, err)
			}
		}
		want, got := export.Set{}, export.Set{}
		for _, s := range append(before, plan.Add...) {
			want = want.Union(export.NewSet(s.Ranges...))
		}
		after := list()
		for _, s := range after {
			got = got.Union(export.NewSet(s.Ranges...))
		}
		require.Equal(t, want, got)
		again, _, err := export.PlanIPs(cis, export.Subscription{Whole: true, Known: after, Excluded: never}, settings)
		require.NoError(t, err)
		require.Empty(t, again.Add)
	}
}

// tagger applies differences the way a run does: what was found to be ours is kept
// first, then one call per change, and a call without an answer ends the attempt.
type tagger struct {
	client     *qualys.AMClient
	owned      map[int64]tagging.Owned
	unanswered map[string]bool
}

func (x *tagger) attempt(ctx context.Context, t *testing.T, want *tagging.Desired) int {
	t.Helper()
	tags, err := x.client.Tags(ctx)
	require.NoError(t, err)
	d := tagging.Diff(want, qualys.ActualTags(tags), x.owned, tagging.Settings{Unanswered: x.unanswered})
	require.Empty(t, d.Reports)
	x.owned = d.Owned
	made := map[string]int64{}
	for _, c := range d.Changes {
		id, parent := c.ID, c.ParentID
		if parent == 0 {
			parent = made[c.ParentKey]
		}
		switch c.Op {
		case tagging.OpCreate:
			x.unanswered[c.Key] = true
			tag, created, failed := x.client.EnsureTag(ctx, qualys.TagOf(c, parent))
			require.True(t, created || failed != nil, "nobody else makes tags here")
			id, err = tag.ID, failed
		case tagging.OpDelete:
			err = x.client.DeleteTag(ctx, id)
		default:
			err = x.client.UpdateTag(ctx, id, qualys.TagUpdateOf(c))
		}
		if lostOnly(t, err); err != nil {
			return len(d.Changes)
		}
		made[c.Key] = id
		delete(x.unanswered, c.Key)
		before := x.owned[id]
		if delete(x.owned, id); c.Op != tagging.OpDelete {
			x.owned[id], _ = c.After(before, id, parent)
		}
	}
	return len(d.Changes)
}

// until repeats attempts until nothing is left to do.
func (x *tagger) until(ctx context.Context, t *testing.T, want *tagging.Desired) {
	t.Helper()
	for range 60 {
		if x.attempt(ctx, t, want) == 0 {
			return
		}
	}
	t.Fatal("the tree is never reached")
}

func TestTheTagTreeIsReachedWhateverAnswersAreLostAndFindsExactlyTheRightAssets(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	teams := []string{`O"Brien's`, "tier: 1 (x) or y", "Ops 😀", `CORP\jdoe`, "50 % [a .. b]"}
	for seed := range 3 {
		cfg := subscription(t, seed)
		client, err := qualys.NewAM(cfg, qualys.FormatJSON)
		require.NoError(t, err)
		gateway, err := qualys.New(cfg)
		require.NoError(t, err)
		members := assign(ctx, t, cfg, gateway, teams)
		x := &tagger{client: client, owned: map[int64]tagging.Owned{}, unanswered: map[string]bool{}}
		attribute := tagging.Attribute{
			Name: "team", Table: "cmdb_ci", Column: "department.name", Parent: "Team", Rule: "asset.businessInfo.department:{{value}}", Color: "#FF8800", OnGone: tagging.GoneDelete, Backslash: tagging.BackslashLiteral,
		}
		tree := func(values []string) *tagging.Desired {
			var list []tagging.Value
			for _, v := range values {
				list = append(list, tagging.Value{Text: v, CIs: 1})
			}
			want, err := tagging.Desire([]tagging.Attribute{attribute}, map[string][]tagging.Value{"team": list}, func(string) bool { return false })
			require.NoError(t, err)
			require.Empty(t, want.Refused)
			return want
		}
		x.until(ctx, t, tree(teams[:4]))
		x.until(ctx, t, tree(teams))
		attribute.Child, attribute.Color = "Team {{value}}", "#00FF00"
		x.until(ctx, t, tree(teams[1:]))

		tags, err := client.Tags(ctx)
		require.NoError(t, err)
		var names []string
		for _, tag := range tags {
			if _, ours := x.owned[tag.ID]; ours && tag.Parent != 0 {
				names = append(names, tag.Name)
				for range 5 {
					lostOnly(t, client.EvaluateTag(ctx, tag.ID))
				}
			}
		}
		var want []string
		for _, team := range teams[1:] {
			want = append(want, "Team "+team)
			var got []int64
			for p, err := range gateway.Pages(ctx, qualys.Query{Filter: &qualys.Filter{Operation: "AND", Conditions: []qualys.Condition{{Field: "tags.name", Operator: "EQUALS", Value: "Team " + team}}}}) {
				require.NoError(t, err)
				for _, r := range p.Results {
					got = append(got, r.ID)
				}
			}
			require.Empty(t, cmp.Diff(members[team], got), team)
		}
		slices.Sort(names)
		slices.Sort(want)
		require.Equal(t, want, names, "each once")
	}
}

// assign writes a department to two assets per team and returns them.
func assign(ctx context.Context, t *testing.T, cfg qualys.Config, gateway *qualys.Client, teams []string) map[string][]int64 {
	t.Helper()
	portal, err := qualys.NewAM(cfg, qualys.FormatJSON)
	require.NoError(t, err)
	page, _, err := portal.Search(ctx, qualys.Query{PageSize: 2 * len(teams)})
	require.NoError(t, err)
	members, metadata := map[string][]int64{}, []qualys.AssetMetadata{}
	for i, r := range page.Results {
		team := teams[i/2]
		members[team] = append(members[team], r.ID)
		m, flags, err := export.NewMetadata("ci", map[string]string{"department": team}, nil)
		require.NoError(t, err)
		require.Empty(t, flags)
		metadata = append(metadata, qualys.AssetMetadataOf(r.ID, m))
	}
	for range 10 {
		got, _, err := gateway.UpdateAssetMetadata(ctx, metadata)
		lostOnly(t, err)
		require.Empty(t, got.Refused)
	}
	read, _, err := gateway.Get(ctx, page.Results[0].ID)
	for range 10 { // a read of the gateway gets lost too
		if err == nil {
			break
		}
		read, _, err = gateway.Get(ctx, page.Results[0].ID)
	}
	require.NoError(t, err)
	require.Empty(t, export.Metadata{Values: map[string]string{"department": teams[0]}}.Unconfirmed(export.MetadataOf(read.Asset)))
	return members
}

func TestMetadataIsConfirmedByReadingItBack(t *testing.T) {
	t.Parallel()
	ctx, day := context.Background(), time.Date(2026, 2, 11, 8, 0, 0, 0, time.UTC)
	for seed := range 3 {
		c, err := qualys.New(subscription(t, seed))
		require.NoError(t, err)
		app, _, err := export.NewApplication("BA0001", map[string]string{"name": "Webshop", "usedFor": "Production"}, day, day)
		require.NoError(t, err)
		want, flags, err := export.NewMetadata("ci", map[string]string{
			"ownedBy": strings.Repeat("ü", 300), "supportGroup": "Windows L2", "company": "", "assignedLocation.name": "DC-1", "assignedLocation.city": "Zürich",
		}, []string{"BA0001"})
		require.NoError(t, err)
		require.Len(t, flags, 1)
		page, _, err := c.Search(ctx, qualys.Query{PageSize: 1})
		require.NoError(t, err)
		id := page.Results[0].ID
		require.NotEmpty(t, want.Unconfirmed(export.MetadataOf(page.Results[0].Asset)))
		for range 6 {
			got, _, err := c.UpdateBusinessApps(ctx, []qualys.BusinessApp{qualys.BusinessAppOf(app)})
			lostOnly(t, err)
			require.Empty(t, got.Refused)
		}
		for range 6 {
			got, _, err := c.UpdateAssetMetadata(ctx, []qualys.AssetMetadata{qualys.AssetMetadataOf(id, want), {AssetID: 999999999}})
			if lostOnly(t, err); err == nil {
				require.Len(t, got.Refused, 1)
				require.Contains(t, got.Refused, "999999999")
			}
		}
		page, _, err = c.Search(ctx, qualys.Query{PageSize: 1})
		require.NoError(t, err)
		require.Empty(t, want.Unconfirmed(export.MetadataOf(page.Results[0].Asset)))
	}
}

func TestAThirdPartyAssetAppearsOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for seed := range 3 {
		c, err := qualys.New(subscription(t, seed))
		require.NoError(t, err)
		ids := func() []int64 {
			var out []int64
			for p, err := range c.Pages(ctx, qualys.Query{}) {
				require.NoError(t, err)
				for _, r := range p.Results {
					out = append(out, r.ID)
				}
			}
			return out
		}
		before := ids()
		var list []qualys.ConnectorAsset
		for i := range 3 {
			r, _, err := export.ThirdParty(&export.Machine{
				SysID: fmt.Sprint("sys", i), Values: map[string]string{"hostName": fmt.Sprint("crane", i), "operatingSystem": "Linux"},
				Identity: map[export.Identifier][]string{export.BySerial: {fmt.Sprint("CRANE-00", i)}, export.ByMAC: {fmt.Sprintf("02:aa:00:00:00:0%d", i)}},
			}, nil)
			require.NoError(t, err)
			list = append(list, qualys.ConnectorAssetOf(r))
		}
		for range 7 {
			got, _, err := c.SyncConnector(ctx, qualys.ConnectorBatch{RequestID: "r1", Source: qualys.ConnectorServiceNow, ConnectorUUID: connectorUUID, Assets: list})
			lostOnly(t, err)
			require.Empty(t, got.Refused)
			require.Empty(t, got.Stray)
		}
		require.Len(t, ids(), len(before)+3)
	}
}
