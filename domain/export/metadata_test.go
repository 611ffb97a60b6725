package export_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/record"
)

func metadata(t require.TestingT, values map[string]string, apps ...string) export.Metadata {
	m, _, err := export.NewMetadata("ci", values, apps)
	require.NoError(t, err)
	return m
}

func TestMetadataIsCutToWhatTheFieldTakesAndFlagged(t *testing.T) {
	t.Parallel()
	owner := strings.Repeat("é", 300)
	m, flags, err := export.NewMetadata("ci1", map[string]string{
		"ownedBy": owner, "company": strings.Repeat("x", 128), "department": " Retail\x00 ", "environment": "", "assignedLocation.city": strings.Repeat("ß", 129),
	}, []string{"BA2", " BA1 ", "BA2", "", strings.Repeat("a", 41)})
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("é", 255), m.Values["ownedBy"], "cut by characters, not by bytes")
	require.Equal(t, strings.Repeat("x", 128), m.Values["company"])
	require.Equal(t, "Retail", m.Values["department"])
	require.Contains(t, m.Values, "environment", "an empty field is cleared")
	require.NotContains(t, m.Values, "managedBy")
	require.Equal(t, []string{"BA1", "BA2"}, m.Applications)
	require.Empty(t, cmp.Diff([]record.Flag{
		{Item: "ci1", Column: "assignedLocation.city", Why: record.FlagCut}, {Item: "ci1", Column: "ownedBy", Why: record.FlagCut},
		{Item: "ci1", Column: "businessAppIds", Why: export.FlagApplicationID},
	}, flags))
	_, _, err = export.NewMetadata("ci1", map[string]string{"ownerBy": "x"}, nil)
	require.ErrorContains(t, err, `did you mean "ownedBy"?`)
}

func TestEveryFieldKeepsItsLimit(t *testing.T) {
	t.Parallel()
	require.Len(t, export.AssetFields(), 13)
	require.Len(t, export.ApplicationFields(), 10)
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom(export.AssetFields()).Draw(t, "field")
		text := strings.Repeat(rapid.SampledFrom([]string{"a", "é", "😀", " b", "\u200b"}).Draw(t, "unit"), rapid.IntRange(0, 400).Draw(t, "length"))
		m, flags, err := export.NewMetadata("ci", map[string]string{field: text}, nil)
		require.NoError(t, err)
		got := m.Values[field]
		require.True(t, utf8.ValidString(got))
		limit := 128
		if strings.HasSuffix(field, "By") || field == "supportGroup" || field == "assignedLocation.name" || field == "assignedLocation.street" {
			limit = 255
		}
		require.LessOrEqual(t, utf8.RuneCountInString(got), limit)
		require.Equal(t, len(flags) > 0, got != asset.TextTo(text, 1<<20), "flagged exactly when cut")
	})
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	list := func(owner string) []export.Entry[export.Metadata] {
		return []export.Entry[export.Metadata]{
			{Key: "1", Item: metadata(t, map[string]string{"ownedBy": owner, "company": "Acme"}, "BA1", "BA2")},
			{Key: "2", Item: metadata(t, map[string]string{"ownedBy": "b"})},
		}
	}
	sent := map[string]string{}
	changed, same := export.Changed(list("a"), sent)
	require.Len(t, changed, 2)
	require.Zero(t, same)
	for _, e := range changed {
		sent[e.Key] = e.Item.Digest()
	}
	changed, same = export.Changed(list("a"), sent)
	require.Empty(t, changed)
	require.Equal(t, 2, same)
	changed, same = export.Changed(list("c"), sent)
	require.Len(t, changed, 1)
	require.Equal(t, "1", changed[0].Key)
	require.Equal(t, 1, same)
	kept, cleared := export.Metadata{}, export.Metadata{Applications: []string{}}
	require.NotEqual(t, kept.Digest(), cleared.Digest(), "taking all applications away is not leaving them")
}

func TestAnApplicationNeedsWhatTheVendorRequires(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	name := map[string]string{"name": "Webshop"}
	for title, c := range map[string]struct {
		id     string
		values map[string]string
		when   time.Time
		want   string
	}{
		"no id":            {" ", name, day, "has no id"},
		"a long id":        {strings.Repeat("x", 41), name, day, "41 characters"},
		"no name":          {"BA1", map[string]string{"name": " "}, day, "has no name"},
		"no dates":         {"BA1", name, time.Time{}, "neither a date"},
		"an unknown field": {"BA1", map[string]string{"name": "x", "usedFr": ""}, day, `did you mean "usedFor"?`},
	} {
		_, _, err := export.NewApplication(c.id, c.values, c.when, c.when)
		require.ErrorContains(t, err, c.want, title)
	}
	a, flags, err := export.NewApplication("BA1", map[string]string{"name": "Webshop", "ownedBy": strings.Repeat("o", 256)}, time.Time{}, day)
	require.NoError(t, err)
	require.Equal(t, []record.Flag{{Item: "BA1", Column: "ownedBy", Why: record.FlagCut}}, flags)
	require.Equal(t, a.Updated, a.Created)
	b, _, err := export.NewApplication("BA1", map[string]string{"name": "Webshop", "ownedBy": strings.Repeat("o", 255)}, day, day.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, a.Digest(), b.Digest(), "the date of an update is no change")
}

func TestAnAssetNamesNoApplicationThatQualysLacks(t *testing.T) {
	t.Parallel()
	m, missing := metadata(t, nil, "BA1", "BA2", "BA3").Known(func(id string) bool { return id == "BA2" })
	require.Equal(t, []string{"BA2"}, m.Applications)
	require.Equal(t, []string{"BA1", "BA3"}, missing)
	m, missing = metadata(t, nil).Known(func(string) bool { return false })
	require.Nil(t, m.Applications)
	require.Empty(t, missing)
}

func TestAWriteIsConfirmedByReadingBack(t *testing.T) {
	t.Parallel()
	want := metadata(t, map[string]string{"ownedBy": "j.doe", "company": "", "assignedLocation.city": "Zurich", "assignedLocation.street": "Main 1"}, "BA1")
	a := &asset.Asset{Business: asset.BusinessInformation{OwnedBy: "j.doe "}, AssignedLocation: asset.Location{City: "Zürich"}}
	require.Equal(t, []string{"assignedLocation.city"}, want.Unconfirmed(export.MetadataOf(a)), "what is not shown cannot be confirmed")
	a.AssignedLocation.City = "Zurich"
	require.Empty(t, want.Unconfirmed(export.MetadataOf(a)))
	a.Applications = []string{}
	require.Equal(t, []string{"businessAppIds"}, want.Unconfirmed(export.MetadataOf(a)))
	a.Applications = []string{"BA1"}
	require.Empty(t, want.Unconfirmed(export.MetadataOf(a)))
}

func subject(key string, values ...string) export.Subject {
	s := export.Subject{Key: key, Values: map[export.Identifier][]string{}}
	for _, v := range values {
		id, value, _ := strings.Cut(v, "=")
		s.Values[export.Identifier(id)] = append(s.Values[export.Identifier(id)], value)
	}
	return s
}

func TestACIFindsItsAssetByLinkThenByIdentifiersInOrder(t *testing.T) {
	t.Parallel()
	assets := []export.Subject{
		subject("1", "serialNumber=5B8QXM2", "fqdn=app01.corp.example", "macAddress=00:1a:2b:3c:4d:5e"),
		subject("2", "serialNumber=ABC123", "fqdn=app02.corp.example"), subject("3", "serialNumber=abc123"),
		subject("4", "fqdn=app04.corp.example"), subject("5", "serialNumber=To be filled by O.E.M.", "hostName=app05"),
	}
	for name, c := range map[string]struct {
		ci    export.Subject
		links []string
		order []export.Identifier
		want  export.Match
	}{
		"a stored link is taken first":                {subject("ci", "serialNumber=5B8QXM2"), []string{"4"}, nil, export.Match{Assets: []string{"4"}, By: "link"}},
		"several assets of one machine by link":       {subject("ci"), []string{"4", "2", "4"}, nil, export.Match{Assets: []string{"2", "4"}, By: "link"}},
		"a link to an asset that is gone is no link":  {subject("ci", "serialNumber=5b8qxm2"), []string{"99"}, nil, export.Match{Assets: []string{"1"}, By: "serialNumber"}},
		"a MAC in another spelling":                   {subject("ci", "macAddress=001A.2B3C.4D5E"), nil, nil, export.Match{Assets: []string{"1"}, By: "macAddress"}},
		"the first identifier that finds decides":     {subject("ci", "fqdn=APP04.corp.example", "serialNumber=5B8QXM2"), nil, nil, export.Match{Assets: []string{"1"}, By: "serialNumber"}},
		"another order":                               {subject("ci", "fqdn=APP04.corp.example", "serialNumber=5B8QXM2"), nil, []export.Identifier{"fqdn", "serialNumber"}, export.Match{Assets: []string{"4"}, By: "fqdn"}},
		"two assets are ambiguous":                    {subject("ci", "serialNumber=ABC123", "fqdn=app02.corp.example"), nil, nil, export.Match{By: "serialNumber", Ambiguous: []string{"2", "3"}, Why: "2 assets have the same serialNumber"}},
		"junk identifies nothing":                     {subject("ci", "serialNumber=To be filled by O.E.M."), nil, nil, export.Match{Why: "no asset has an identifier of the CI"}},
		"a host name counts only where it is asked":   {subject("ci", "hostName=app05"), nil, []export.Identifier{"hostName"}, export.Match{Assets: []string{"5"}, By: "hostName"}},
		"and not by default":                          {subject("ci", "hostName=app05"), nil, nil, export.Match{Why: "no asset has an identifier of the CI"}},
		"an asset that is linked to another is taken": {subject("ci", "fqdn=linked.corp.example"), nil, nil, export.Match{By: "fqdn", Ambiguous: []string{"6"}, Why: "asset 6 has the same fqdn but is linked to CI other"}},
	} {
		order := c.order
		if order == nil {
			order = export.DefaultIdentifiers()
		}
		all := append([]export.Subject{subject("6", "fqdn=linked.corp.example")}, assets...)
		got, err := export.Correlate([]export.Subject{c.ci}, all, map[string][]string{"ci": c.links, "other": {"6"}}, order)
		require.NoError(t, err, name)
		c.want.CI = "ci"
		require.Empty(t, cmp.Diff([]export.Match{c.want}, got), name)
	}
	_, err := export.Correlate(nil, nil, nil, []export.Identifier{"serial"})
	require.ErrorContains(t, err, `did you mean "serialNumber"?`)
	_, err = export.Correlate(nil, nil, nil, []export.Identifier{"fqdn", "fqdn"})
	require.ErrorContains(t, err, "twice")
}

func TestNothingUncertainIsEverAMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(prefix string) []export.Subject {
			var out []export.Subject
			for i := range rapid.IntRange(0, 8).Draw(t, prefix) {
				out = append(out, subject(fmt.Sprint(prefix, i),
					fmt.Sprintf("serialNumber=SN-%d", 100+rapid.IntRange(0, 5).Draw(t, "serial")), fmt.Sprintf("fqdn=h%d.corp.example", rapid.IntRange(0, 5).Draw(t, "fqdn"))))
			}
			return out
		}
		cis, assets := draw("c"), draw("a")
		links := map[string][]string{}
		for i := range cis {
			if rapid.IntRange(0, 2).Draw(t, "linked") == 0 {
				links[cis[i].Key] = []string{fmt.Sprint("a", rapid.IntRange(0, 9).Draw(t, "link"))}
			}
		}
		got, err := export.Correlate(cis, assets, links, []export.Identifier{export.BySerial, export.ByFQDN})
		require.NoError(t, err)
		require.Len(t, got, len(cis))
		holder := map[string]string{}
		for i, m := range got {
			require.Equal(t, cis[i].Key, m.CI)
			require.False(t, len(m.Assets) > 0 && (len(m.Ambiguous) > 0 || m.Why != ""))
			require.True(t, len(m.Assets) > 0 || m.Why != "", "what is not matched says why")
			for _, a := range m.Assets {
				require.Empty(t, holder[a], "an asset belongs to one CI")
				holder[a] = m.CI
				if m.By == export.ByLink {
					require.Contains(t, links[m.CI], a)
					continue
				}
				same := 0
				for _, s := range assets {
					if s.Values[export.Identifier(m.By)][0] == cis[i].Values[export.Identifier(m.By)][0] {
						same++
					}
				}
				require.Equal(t, 1, same)
			}
		}
	})
}

func TestAnAssetOffersWhatIdentifiesIt(t *testing.T) {
	t.Parallel()
	a := &asset.Asset{
		ID: 7, Name: "APP01", DNSName: "app01.corp.example", BIOSSerial: "5B8QXM2", Address: "10.0.0.1",
		Interfaces: []asset.Interface{{MAC: "00:1A:2B:3C:4D:5E", IPv4: []string{"10.0.0.2"}}},
	}
	for _, v := range []string{"serialNumber=5b8qxm2", "fqdn=APP01.CORP.EXAMPLE", "macAddress=00-1a-2b-3c-4d-5e", "ipAddress=10.0.0.2", "ipAddress=10.0.0.1", "hostName=app01"} {
		got, err := export.Correlate([]export.Subject{subject("ci", v)}, []export.Subject{export.SubjectOf(a)}, nil, export.Identifiers())
		require.NoError(t, err)
		require.Equal(t, []string{"7"}, got[0].Assets, v)
	}
}

func machine(values ...string) *export.Machine {
	return &export.Machine{SysID: "a1b2", Identity: subject("", values...).Values, Values: map[string]string{"operatingSystem": "Linux"}}
}

func TestACIBecomesAConnectorRecordWithItsIdentityInOrder(t *testing.T) {
	t.Parallel()
	m := machine("hostName=App01.corp.example", "fqdn=App01.corp.example", "serialNumber=5B8QXM2", "serialNumber=OTHER99", "macAddress=00-1A-2B-3C-4D-5E", "macAddress=00:1a:2b:3c:4d:5f",
		"macAddress=00:00:00:00:00:00", "instanceUuid=i-1")
	m.Values["osVersion"] = strings.Repeat("9", 300)
	m.Adapters = []export.Adapter{{Name: "eth1", MAC: "00:1A:2B:3C:4D:5F", IPs: []string{"10.0.0.2", "127.0.0.1", "10.0.0.2"}}, {Name: "eth0", MAC: "00:1A:2B:3C:4D:5E", IPs: []string{"10.0.0.1"}, Gateway: "0.0.0.0"}, {Name: "lo"}}
	m.Custom = map[string]string{"cost centre": "4711"}
	r, flags, err := export.ThirdParty(m, []export.Identifier{export.ByFQDN, export.ByMAC, export.BySerial, export.ByInstance})
	require.NoError(t, err)
	require.Equal(t, []record.Flag{{Item: "a1b2", Column: "osVersion", Why: record.FlagCut}}, flags)
	require.Equal(t, "a1b2", r.NativeKey)
	require.Empty(t, cmp.Diff([]export.IdentityAttribute{
		{Name: "fqdn", Values: []string{"app01.corp.example"}}, {Name: "macAddress", Values: []string{"00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5f"}},
		{Name: "serialNumber", Values: []string{"5B8QXM2"}},
	}, r.Identity), "only what is asked for, in its order; an instance without a cloud is none")
	require.Empty(t, cmp.Diff([]export.Adapter{{Name: "eth0", MAC: "00:1a:2b:3c:4d:5e", IPs: []string{"10.0.0.1"}}, {Name: "eth1", MAC: "00:1a:2b:3c:4d:5f", IPs: []string{"10.0.0.2"}}}, r.Adapters))
	m.CloudProvider = "AWS"
	withCloud, _, err := export.ThirdParty(m, nil)
	require.NoError(t, err)
	require.Equal(t, export.ByInstance, withCloud.Identity[0].Name)
	require.Equal(t, "AWS", withCloud.CloudProvider)
}

func TestACIWithoutIdentityOrFromQualysIsNotOffered(t *testing.T) {
	t.Parallel()
	_, _, err := export.ThirdParty(machine("hostName=app01", "serialNumber=0000"), nil)
	require.ErrorIs(t, err, export.ErrNoIdentity)
	echo := machine("serialNumber=5B8QXM2")
	echo.FromQualys = true
	_, _, err = export.ThirdParty(echo, nil)
	require.ErrorIs(t, err, export.ErrEcho)
	none := machine("serialNumber=5B8QXM2")
	none.SysID = ""
	_, _, err = export.ThirdParty(none, nil)
	require.ErrorContains(t, err, "sys_id")
	odd := machine("serialNumber=5B8QXM2")
	odd.Values["operatingsystem"] = "x"
	_, _, err = export.ThirdParty(odd, nil)
	require.ErrorContains(t, err, `did you mean "operatingSystem"?`)
	_, _, err = export.ThirdParty(machine(), []export.Identifier{"serial"})
	require.ErrorContains(t, err, "serialNumber")
}

func TestARecordSentAgainIsTheSame(t *testing.T) {
	t.Parallel()
	digest := func(m *export.Machine) string {
		r, _, err := export.ThirdParty(m, nil)
		require.NoError(t, err)
		return r.Digest()
	}
	m := machine("serialNumber=5B8QXM2")
	want := digest(m)
	m.Updated = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, want, digest(m), "the date of an update is no change")
	m.Values["osVersion"] = "9"
	require.NotEqual(t, want, digest(m))
}
