package export_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/asset"
	"github.com/qbridge/qbridge/domain/export"
)

func TestOnlyTheFieldsThatDifferAreChanges(t *testing.T) {
	t.Parallel()
	shown := &asset.Asset{
		ID: 7, BIOSSerial: "SER-7001", Business: asset.BusinessInformation{OwnedBy: "a", Company: "Acme", Department: "theirs"},
		AssignedLocation: asset.Location{City: "Bern"}, Applications: []string{"BA1"},
	}
	for name, c := range map[string]struct {
		values  map[string]string
		apps    []string
		wrote   *export.Metadata
		clear   bool
		changes []export.Change
		written map[string]string
		skip    string
	}{
		"another owner": {
			values: map[string]string{"ownedBy": "b", "company": "Acme"}, written: map[string]string{"ownedBy": "b", "company": "Acme"},
			changes: []export.Change{{Field: "ownedBy", Old: "a", New: "b"}},
		},
		"what is there already is not written": {values: map[string]string{"ownedBy": "a", "company": "Acme"}, written: map[string]string{"ownedBy": "a", "company": "Acme"}},
		"an empty value leaves what others wrote": {
			values: map[string]string{"ownedBy": "a", "department": ""}, written: map[string]string{"ownedBy": "a"},
		},
		"an empty value takes back what was written": {
			values: map[string]string{"ownedBy": "a", "department": ""}, wrote: &export.Metadata{Values: map[string]string{"department": "theirs"}},
			written: map[string]string{"ownedBy": "a", "department": ""}, changes: []export.Change{{Field: "department", Old: "theirs"}},
		},
		"an empty value clears where that is wanted": {
			values: map[string]string{"department": ""}, clear: true, written: map[string]string{"department": ""}, changes: []export.Change{{Field: "department", Old: "theirs"}},
		},
		"a street is compared with what was written": {
			values: map[string]string{"assignedLocation.street": "Main 2", "assignedLocation.city": "Bern"}, wrote: &export.Metadata{Values: map[string]string{"assignedLocation.street": "Main 1"}},
			written: map[string]string{"assignedLocation.street": "Main 2", "assignedLocation.city": "Bern"}, changes: []export.Change{{Field: "assignedLocation.street", New: "Main 2"}},
		},
		"and is no change when it was written": {
			values: map[string]string{"assignedLocation.street": "Main 1"}, wrote: &export.Metadata{Values: map[string]string{"assignedLocation.street": "Main 1"}},
			written: map[string]string{"assignedLocation.street": "Main 1"},
		},
		"another application": {
			apps: []string{"BA2"}, written: map[string]string{}, changes: []export.Change{{Field: "businessAppIds", Old: "BA1", New: "BA2"}},
		},
		"no application leaves those of others":         {values: map[string]string{"ownedBy": "a"}, apps: []string{}, written: map[string]string{"ownedBy": "a"}},
		"no application takes back those of ours":       {apps: []string{}, wrote: &export.Metadata{Applications: []string{"BA1"}}, written: map[string]string{}, changes: []export.Change{{Field: "businessAppIds", Old: "BA1"}}},
		"an application that Qualys lacks is not named": {apps: []string{"BA1", "BA9"}, written: map[string]string{}},
		"nothing at all": {values: map[string]string{"company": ""}, skip: "the CI has no business metadata"},
	} {
		got, err := export.PlanMetadata(&export.MetadataInput{
			CIs:    []export.Bearer{{Subject: subject("ci", "serialNumber=SER-7001"), Name: "web1", Fields: c.values, Applications: c.apps}},
			Assets: []export.Holder{export.HolderOf(shown)}, Order: export.DefaultIdentifiers(), Clear: c.clear,
			Wrote: func(string) *export.Metadata { return c.wrote },
			Has:   func(id string) bool { return id != "BA9" },
		})
		require.NoError(t, err, name)
		require.Len(t, got, 1, name)
		require.Equal(t, c.skip, got[0].Skip, name)
		require.Equal(t, "7", got[0].Asset, name)
		if c.skip != "" {
			continue
		}
		require.Empty(t, cmp.Diff(c.changes, got[0].Changes), name)
		require.Equal(t, len(c.changes) == 0, got[0].Same, name)
		require.Empty(t, cmp.Diff(c.written, got[0].Metadata.Values), name)
	}
}

func TestACIWithoutOneCertainAssetIsReportedAndNotWritten(t *testing.T) {
	t.Parallel()
	holder := func(id int64, serial string) export.Holder {
		return export.HolderOf(&asset.Asset{ID: id, BIOSSerial: serial})
	}
	owner := map[string]string{"ownedBy": "a"}
	got, err := export.PlanMetadata(&export.MetadataInput{
		CIs: []export.Bearer{
			{Subject: subject("linked"), Fields: owner}, {Subject: subject("twice", "serialNumber=SER-2222"), Fields: owner},
			{Subject: subject("unknown", "serialNumber=SER-9999"), Fields: owner}, {Subject: subject("found", "serialNumber=SER-3333"), Fields: owner},
		},
		Assets: []export.Holder{holder(1, ""), holder(2, "SER-2222"), holder(3, "SER-2222"), holder(4, "SER-3333"), holder(5, "")},
		Links:  map[string][]string{"linked": {"1", "5"}}, Order: export.DefaultIdentifiers(),
		Wrote: func(string) *export.Metadata { return nil }, Has: func(string) bool { return true },
	})
	require.NoError(t, err)
	var lines []string
	for _, v := range got {
		lines = append(lines, v.CI+" "+v.Asset+" "+v.By+" "+v.Skip)
	}
	require.Empty(t, cmp.Diff([]string{
		"linked 1 link ", "linked 5 link ",
		"twice  serialNumber ambiguous: 2 assets have the same serialNumber (2, 3)",
		"unknown   no asset has an identifier of the CI", "found 4 serialNumber ",
	}, lines))
}

func TestAnApplicationIsComparedWithWhatIsShownElseWithWhatWasWritten(t *testing.T) {
	t.Parallel()
	full := export.Application{Values: map[string]string{"name": "Webshop", "ownedBy": "b", "usedFor": ""}}
	seen := export.ApplicationOf(&asset.BusinessApplication{Name: "Webshop ", OwnedBy: "a", UsedFor: "theirs"})
	require.Len(t, seen, len(export.ApplicationFields()))
	a := full.Wanted(nil, false)
	require.NotContains(t, a.Values, "usedFor", "what others wrote stays")
	require.Equal(t, []export.Change{{Field: "ownedBy", Old: "a", New: "b"}}, a.Against(seen, nil))
	require.Equal(t, []export.Change{{Field: "name", New: "Webshop"}, {Field: "ownedBy", New: "b"}}, a.Against(nil, nil), "nobody shows it")
	require.Empty(t, a.Against(nil, &a), "it was written")
	require.Equal(t, full, full.Wanted(nil, true))
	require.Contains(t, full.Wanted(&full, false).Values, "usedFor", "what was written is taken back")
}

func TestSettingsOfMetadataGiveColumnsAndRefuseNonsense(t *testing.T) {
	t.Parallel()
	s := export.MetadataSettings{
		Fields:      map[string]string{"ownedBy": "owned_by.email", "company": ""},
		Identifiers: []export.Identifier{export.ByUUID, export.BySerial}, IdentifierColumns: map[string]string{"hardwareUuid": "u_uuid"},
	}
	require.Empty(t, s.Check())
	require.Equal(t, "owned_by.email", s.Columns()["ownedBy"])
	require.NotContains(t, s.Columns(), "company")
	require.Equal(t, "location.city", s.Columns()["assignedLocation.city"])
	require.Equal(t, map[export.Identifier]string{export.ByUUID: "u_uuid", export.BySerial: "serial_number"}, s.Identity())
	table, id := s.Applications.From()
	require.Equal(t, "cmdb_ci_business_app sys_id", table+" "+id)
	require.Len(t, s.Columns(), len(export.AssetFields())-1)
	require.Len(t, s.Applications.Columns(), len(export.ApplicationFields()))

	none := map[string]string{}
	for _, f := range export.AssetFields() {
		none[f] = ""
	}
	for want, s := range map[string]export.MetadataSettings{
		`fields there is no field "ownerBy"; did you mean "ownedBy"?`:                                    {Fields: map[string]string{"ownerBy": "x"}},
		`fields.ownedBy "owned by" is not a column such as owned_by or owned_by.email`:                   {Fields: map[string]string{"ownedBy": "owned by"}},
		`empty "drop" is none of keep, clear`:                                                            {Empty: "drop"},
		`identifiers there is no identifier "serial"; did you mean "serialNumber"?`:                      {Identifiers: []export.Identifier{"serial"}},
		`identifierColumns there is no field "uuid"; did you mean "fqdn"?`:                               {IdentifierColumns: map[string]string{"uuid": "u_x"}},
		`applications.table "cmdb ci" is not the name of a table`:                                        {Applications: export.ApplicationSettings{Table: "cmdb ci"}},
		`applications.id "Number" is not a column such as number`:                                        {Applications: export.ApplicationSettings{ID: "Number"}},
		`applications.fields.name is empty, but Qualys takes no application without a name`:              {Applications: export.ApplicationSettings{Fields: map[string]string{"name": ""}}},
		`applications has settings although applications are off`:                                        {Applications: export.ApplicationSettings{Off: true, Query: "x=1"}},
		`fields leave every field alone, and applications are off: nothing would be written`:             {Fields: none, Applications: export.ApplicationSettings{Off: true}},
		`applications.fields there is no field "owner"; did you mean "ownedBy"?`:                         {Applications: export.ApplicationSettings{Fields: map[string]string{"owner": "x"}}},
		`fields.assignedLocation.city "javascript:x" is not a column such as owned_by or owned_by.email`: {Fields: map[string]string{"assignedLocation.city": "javascript:x"}},
	} {
		got := s.Check()
		require.Len(t, got, 1, want)
		require.Equal(t, want, got[0].Place+" "+got[0].Why)
	}
}
