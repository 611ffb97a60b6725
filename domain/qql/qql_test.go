package qql_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/qql"
)

var now = time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)

// server is a Linux server in AWS with two open ports.
func server() *asset.View {
	a := &asset.Asset{
		ID: 77, Name: "web-01.corp.example", TrackingMethod: "QAGENT", AgentID: "9A1F", RiskScore: 512, Modified: now.AddDate(0, 0, -3),
		OS:         asset.OperatingSystem{Name: "Ubuntu Linux 22.04.3", Category: "Linux / Server", Category1: "Linux", Category2: "Server"},
		Hardware:   asset.Hardware{Manufacturer: "Dell", Model: "R640"},
		Tags:       []asset.Tag{{ID: 1, Name: "Lab"}, {ID: 2, Name: "Pay`ments, EU"}},
		OpenPorts:  []asset.OpenPort{{Port: 22, Protocol: "TCP"}, {Port: 53, Protocol: "UDP"}},
		Cloud:      asset.Cloud{Provider: asset.CloudAWS, InstanceID: "i-1", AccountID: "4120"},
		Interfaces: []asset.Interface{{Name: "eth0", MAC: "02:00:00:00:00:01", IPv4: []string{"10.1.2.3"}}},
	}
	return &asset.View{Asset: a, Clean: asset.Cleanse(a)}
}

func TestFiltersAreDecidedOnTheAsset(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]bool{
		"operatingSystem.category1:`Linux`":                             true,
		"operatingSystem.category1:`linux`":                             true,
		"operatingSystem.category1:`Lin`":                               false,
		"operatingSystem.category1:\"Lin\"":                             true,
		"operatingSystem.category1:Lin":                                 true,
		"operatingSystem.category1:'Lin'":                               true,
		"operatingSystem.name:Ubuntu*22.04*":                            true,
		"operatingSystem.name:ubuntu*23*":                               false,
		"operatingSystem.category1:[Windows, Linux]":                    true,
		"operatingSystem.category1:[Windows, Lin]":                      false,
		"operatingSystem.category1:[`Windows`, \"nux\"]":                true,
		"asset.truRisk > 500 and asset.truRisk<=512":                    true,
		"asset.truRisk:>500":                                            true,
		"asset.truRisk:[500 .. 511]":                                    false,
		"asset.truRisk:[500 ... 512]":                                   true,
		"asset.truRisk:512":                                             true,
		"asset.lastUpdatedDate > now-4d":                                true,
		"asset.lastUpdatedDate > now-2d":                                false,
		"asset.lastUpdatedDate:[\"2026-05-07\" .. now]":                 true,
		"asset.lastUpdatedDate:2026-05-07":                              true,
		"asset.lastUpdatedDate:2026-05-08":                              false,
		"asset.lastUpdatedDate:`2026-05-07T12:00:00Z`":                  true,
		"tags.name:`Lab`":                                               true,
		"not tags.name:`Lab`":                                           false,
		"tags.name:`Pay\\`ments, EU`":                                   true,
		"not tags.name:`None`":                                          true,
		"openPort.port:53 and openPort.protocol:tcp":                    true,
		"openPort:(port:53 and protocol:tcp)":                           false,
		"openPort:(port:53 and not protocol:tcp)":                       true,
		"openPort:(port > 20 and (protocol:UDP or protocol:TCP))":       true,
		"interfaces.address:10.1.0.0/16":                                true,
		"interfaces.address:10.1.2.*":                                   true,
		"interfaces.address:10.2.0.0/16":                                false,
		"interfaces:(address:10.1.2.3 and name:eth0)":                   true,
		"asset.trackingMethod:qagent":                                   true,
		"asset.trackingMethod:AGENT":                                    false,
		"hardware.category1 is null":                                    true,
		"hardware.model is null":                                        false,
		"hardware.model is not null":                                    true,
		"hardware.category1:x or not hardware.category1:x":              true,
		"services is null":                                              true,
		"openPort is not null":                                          true,
		"aws.ec2.accountId:4120":                                        true,
		"azure.vm.subscriptionId:4120":                                  false,
		"software.name:x":                                               false,
		"ASSET.TRURISK:512 AND NOT tags.name:x":                         true,
		"operatingSystem.category1:zz and tags.name:x or asset.id:77":   true,
		"operatingSystem.category1:zz and (tags.name:x or asset.id:77)": false,
		"not not asset.id:77":                                           true,
		"asset.name:\"web-01\" and operatingSystem.category2:`Server`":  true,
	} {
		q, err := qql.Parse(filter)
		require.NoError(t, err, filter)
		require.Equal(t, want, q.Match(server(), now), filter)
		p := q.Plan(true, now)
		require.Equal(t, want, pushed(t, p, server()) && p.Match(server(), now), "split: %s", p)
		require.Equal(t, want, q.Plan(false, now).Match(server(), now), filter)
	}
}

func TestASyntaxErrorPointsAtTheColumn(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]struct {
		column int
		text   string
	}{
		"":                                  {1, "the filter ends where the name of a field"},
		"operatingSystem.categry1:x":        {1, `did you mean "operatingSystem.category1"?`},
		"asset.name":                        {11, `the filter ends where ":"`},
		"asset.name:":                       {12, "a value"},
		"asset.name:x and":                  {17, "the name of a field"},
		"asset.name:x asset.id:1":           {14, "and, or, or the end"},
		"(asset.name:x":                     {14, `")"`},
		"asset.name:`x":                     {12, "is not closed"},
		"asset.id:x":                        {10, "is not a number"},
		"asset.id > x":                      {12, "is not a number"},
		"asset.lastUpdatedDate > yesterday": {25, "now-30d"},
		"asset.lastUpdatedDate > now-99999999999999999999d": {25, "is not a date"},
		"asset.name > x":                          {14, "neither a number nor a date"},
		"asset.name:[a .. b]":                     {18, "no ranges"},
		"asset.name:[a, b":                        {17, `"]"`},
		"interfaces.address:10.1.2":               {20, "is not an address"},
		"openPort:22":                             {10, "is a list"},
		"openPort:(prt:22)":                       {11, `did you mean "port"?`},
		"asset.name is x":                         {15, "null"},
		"asset.name:and":                          {12, "a value"},
		strings.Repeat("(", 60) + "asset.id:1":    {52, "nested"},
		strings.Repeat("not ", 60) + "x:1":        {205, "nested"},
		"asset.name:" + strings.Repeat("x", 9000): {1, "longer than"},
	} {
		_, err := qql.Parse(filter)
		var e *qql.SyntaxError
		require.True(t, errors.As(err, &e), "%s: %v", filter, err)
		require.Contains(t, err.Error(), want.text, filter)
		require.Equal(t, want.column, e.Column, "%s: %v", filter, err)
	}
	_, err := qql.Parse("asset.id:1 and asset.nme:`x`")
	require.Equal(t, "qql: column 16: unknown field \"asset.nme\"; did you mean \"asset.name\"?\n  asset.id:1 and asset.nme:`x`\n                 ^", err.Error())
}

func TestTheFilterBodyHoldsWhatTheAPIDocuments(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"operatingSystem.category1:[Windows, Linux] and not tags.name:`Lab`": "Qualys selects: operatingSystem.category1 IN Windows,Linux; decided on the asset: not tags.name:`Lab`",
		"operatingSystem.category1:`Linux`":                                  "Qualys selects: operatingSystem.category1 EQUALS Linux",
		"asset.name:\"web\" or asset.truRisk > 5":                            "Qualys selects: asset.name CONTAINS web or asset.truRisk GREATER 5",
		"asset.name:\"web\" or hardware.model:x":                             `decided on the asset: asset.name:"web" or hardware.model:x`,
		"asset.truRisk:[1 .. 5] or asset.id:3":                               "decided on the asset: asset.truRisk:[1 .. 5] or asset.id:3",
		"asset.truRisk:[1 .. 5]":                                             "Qualys selects: asset.truRisk GREATER_THAN_EQUAL 1 and asset.truRisk LESS_THAN_EQUAL 5",
		"asset.lastUpdatedDate > now-1d":                                     "Qualys selects: asset.lastUpdatedDate GREATER 2026-05-09T12:00:00Z",
		"asset.lastUpdatedDate:2026-05-07":                                   "Qualys selects: asset.lastUpdatedDate GREATER_THAN_EQUAL 2026-05-07T00:00:00Z and asset.lastUpdatedDate LESSER 2026-05-08T00:00:00Z",
		"tags.name:[`a,b`, c]":                                               "decided on the asset: tags.name:[`a,b`, c]",
		"asset.name:web*":                                                    "decided on the asset: asset.name:web*",
		"hardware.model:x and openPort:(port:22)":                            "decided on the asset: hardware.model:x and openPort:(port:22)",
	} {
		q, err := qql.Parse(filter)
		require.NoError(t, err, filter)
		require.Equal(t, want, q.Plan(true, now).String())
	}
	q, err := qql.Parse("openPort:(port:22) and software.name:x and tags.name:`a`")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]asset.Section{asset.SectionOpenPorts, asset.SectionSoftware}, q.Plan(true, now).Sections()), "what is decided here must be asked for")
}

// pushed decides the filter body as the API documents it, apart from the code
// under test.
func pushed(t require.TestingT, p qql.Plan, v *asset.View) bool {
	if len(p.Pushed) == 0 {
		return true
	}
	or := p.Operation == "OR"
	for _, c := range p.Pushed {
		if condition(t, c, v.Asset) == or {
			return or
		}
	}
	return !or
}

func condition(t require.TestingT, c qql.Condition, a *asset.Asset) bool {
	var values []string
	switch c.Field {
	case "asset.name":
		values = []string{a.Name}
	case "asset.id":
		values = []string{strconv.FormatInt(a.ID, 10)}
	case "asset.trackingMethod":
		values = []string{a.TrackingMethod}
	case "asset.truRisk":
		values = []string{strconv.FormatInt(a.RiskScore, 10)}
	case "asset.lastUpdatedDate":
		values = []string{a.Modified.Format(time.RFC3339)}
	case "tags.name":
		for _, tag := range a.Tags {
			values = append(values, tag.Name)
		}
	case "operatingSystem.category1":
		values = []string{a.OS.Category1}
	case "operatingSystem.category2":
		values = []string{a.OS.Category2}
	case "operatingSystem.category":
		values = []string{a.OS.Category}
	case "agent.agentID":
		values = []string{a.AgentID}
	default:
		require.Fail(t, "the API documents no field "+c.Field)
	}
	for _, v := range values {
		low, want := strings.ToLower(v), strings.ToLower(c.Value)
		n, _ := strconv.ParseInt(v, 10, 64)
		m, err := strconv.ParseInt(c.Value, 10, 64)
		order := int(n - m)
		if err != nil {
			order = strings.Compare(v, c.Value)
		}
		switch c.Operator {
		case "EQUALS":
			if low == want {
				return true
			}
		case "CONTAINS":
			if strings.Contains(low, want) {
				return true
			}
		case "IN":
			for _, w := range strings.Split(want, ",") {
				if low == w {
					return true
				}
			}
		case "GREATER", "GREATER_THAN_EQUAL", "LESSER", "LESS_THAN_EQUAL":
			if order == 0 && strings.HasSuffix(c.Operator, "EQUAL") || order > 0 && strings.HasPrefix(c.Operator, "GREATER") || order < 0 && strings.HasPrefix(c.Operator, "LESS") {
				return true
			}
		default:
			require.Fail(t, "the API documents no operator "+c.Operator)
		}
	}
	return false
}

// filters draws filters of everything that the language has.
func filters() *rapid.Generator[string] {
	word := rapid.SampledFrom([]string{"Linux", "`Linux`", `"inu"`, "'Server'", "Win*", "x", "`Lab`", "`a,b`"})
	term := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"operatingSystem.category1", "operatingSystem.category2", "tags.name", "asset.name", "hardware.model", "openPort.protocol", "aws.ec2.accountId"}).Draw(t, "field") + ":" + word.Draw(t, "word")
		}),
		rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"operatingSystem.category1", "tags.name", "services.name"}).Draw(t, "field") + ":[" + strings.Join(rapid.SliceOfN(word, 1, 3).Draw(t, "list"), ", ") + "]"
		}),
		rapid.Custom(func(t *rapid.T) string {
			return "asset.truRisk" + rapid.SampledFrom([]string{":512", " > 400", "<=512", ":[1 .. 600]", ":[600 .. 1]", " is null", " < 1"}).Draw(t, "n")
		}),
		rapid.SampledFrom([]string{"asset.lastUpdatedDate > now-4d", "asset.lastUpdatedDate:2026-05-07", "openPort:(port:22 and protocol:TCP)", "hardware.category1 is not null", "openPort is null"}),
	)
	var expr func(depth int) *rapid.Generator[string]
	expr = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return term
		}
		return rapid.Custom(func(t *rapid.T) string {
			a := expr(depth-1).Draw(t, "a")
			switch rapid.IntRange(0, 4).Draw(t, "form") {
			case 0:
				return "not (" + a + ")"
			case 1:
				return "(" + a + ") or " + expr(depth-1).Draw(t, "b")
			case 2:
				return "(" + a + ") and (" + expr(depth-1).Draw(t, "b") + ")"
			case 3:
				return "not " + term.Draw(t, "t") + " and " + a
			default:
				return a
			}
		})
	}
	return expr(3)
}

// machines draws assets that some filters are true for.
func machines() *rapid.Generator[*asset.View] {
	return rapid.Custom(func(t *rapid.T) *asset.View {
		v := server()
		a := v.Asset
		a.OS.Category1 = rapid.SampledFrom([]string{"Linux", "Windows", "x", ""}).Draw(t, "category1")
		a.OS.Category2 = rapid.SampledFrom([]string{"Server", "", "x"}).Draw(t, "category2")
		a.Name = rapid.SampledFrom([]string{"Linux", "x", "web"}).Draw(t, "name")
		a.RiskScore = rapid.SampledFrom([]int64{1, 400, 512, 1000}).Draw(t, "risk")
		a.Modified = now.AddDate(0, 0, -rapid.IntRange(0, 6).Draw(t, "days"))
		a.Tags = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) asset.Tag {
			return asset.Tag{Name: rapid.SampledFrom([]string{"Lab", "Linux", "a,b", "x"}).Draw(t, "tag")}
		}), 0, 3).Draw(t, "tags")
		if rapid.Bool().Draw(t, "no ports") {
			a.OpenPorts = nil
		}
		return v
	})
}

func TestASplitFilterSelectsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q, err := qql.Parse(filters().Draw(t, "filter"))
		require.NoError(t, err)
		v, p := machines().Draw(t, "asset"), q.Plan(true, now)
		want := q.Match(v, now)
		require.Equal(t, want, pushed(t, p, v) && p.Match(v, now), "%s\n%s", q, p)
		if want {
			require.True(t, pushed(t, p, v), "what is pushed down may widen, never narrow: %s", p)
		}
	})
}

func TestAFilterThatIsPrintedReadsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q, err := qql.Parse(filters().Draw(t, "filter"))
		require.NoError(t, err)
		again, err := qql.Parse(q.String())
		require.NoError(t, err, q.String())
		require.Equal(t, q.String(), again.String())
		v := machines().Draw(t, "asset")
		require.Equal(t, q.Match(v, now), again.Match(v, now))
	})
}

func TestAnyTextCanBeQuoted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		q, err := qql.Parse("tags.name:" + qql.Quote(text))
		require.NoError(t, err)
		v := server()
		v.Asset.Tags = []asset.Tag{{Name: text}}
		require.Equal(t, text != "", q.Match(v, now))
		v.Asset.Tags = []asset.Tag{{Name: text + "x"}}
		require.False(t, q.Match(v, now))
	})
}

func TestEveryFieldHasAPlaceInAnAsset(t *testing.T) {
	t.Parallel()
	for _, name := range qql.Fields() {
		q, err := qql.Parse(name + " is null")
		require.NoError(t, err, name)
		require.NotPanics(t, func() { q.Match(server(), now) }, name)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"asset.id:1", "openPort:(port:22 and not protocol:`TCP`)", "tags.name:[`a`, 'b', \"c\"] or asset.lastUpdatedDate > now-1d", "((((", "a:\\", "asset.name:[a .. b]", "asset.lastUpdatedDate > now-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := qql.Parse(text)
		if err != nil {
			var e *qql.SyntaxError
			require.True(t, errors.As(err, &e))
			require.Positive(t, e.Column)
			_ = err.Error()
			return
		}
		v := server()
		want := q.Match(v, now)
		again, err := qql.Parse(q.String())
		if len(q.String()) <= 8<<10 {
			require.NoError(t, err, q.String())
			require.Equal(t, want, again.Match(v, now))
		}
		_ = q.Plan(true, now).String()
	})
}

func BenchmarkMatch(b *testing.B) {
	q, err := qql.Parse("operatingSystem.category1:[Windows, Linux] and not tags.name:`Prod` and openPort:(port:22 and protocol:TCP)")
	require.NoError(b, err)
	v := server()
	b.ReportAllocs()
	for b.Loop() {
		if !q.Match(v, now) {
			b.Fatal("it matches")
		}
	}
}
