package classify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/domain/classify"
)

func TestRuleTablesOfOtherConnectorsAreImported(t *testing.T) {
	t.Parallel()
	yes, off := true, false
	for name, c := range map[string]struct {
		csv    string
		table  string
		want   []classify.Rule
		result []string
	}{
		"hardware rules, a column per condition, labels as headers": {
			"Hardware category 1,Hardware category 2,Target class\nPrinters,Laser,cmdb_ci_printer\n",
			classify.TableHardware,
			[]classify.Rule{{ID: "imported-cmdb-ci-printer", Priority: 10, Class: "cmdb_ci_printer", When: []classify.Condition{{Field: "hardware.category1", Equals: "Printers"}, {Field: "hardware.category2", Equals: "Laser"}}}},
			[]string{"imported"},
		},
		"computer rules, element names as headers, class by label, wildcards and lists": {
			"name,active,order,os_name,os_publisher,os_category2,ci_class\nMy Win,true,50,Windows*,\"Microsoft, MS\",*server*,Windows Server\n",
			classify.TableComputer,
			[]classify.Rule{{ID: "imported-my-win", Priority: 50, Class: "cmdb_ci_win_server", When: []classify.Condition{
				{Field: "operatingSystem.name", StartsWith: "Windows"}, {Field: "operatingSystem.publisher", In: []string{"Microsoft", "MS"}}, {Field: "operatingSystem.category2", Contains: "server"}}}},
			[]string{"imported"},
		},
		"asset management rules": {
			"Operating System,Is Volume Info Present,Is Processor Present,Cloud Provider,Target class\nWindows 2019,true,false,AWS,cmdb_ci_win_server\n",
			classify.TableComputer,
			[]classify.Rule{{ID: "imported-cmdb-ci-win-server", Priority: 10, Class: "cmdb_ci_win_server", When: []classify.Condition{
				{Field: "operatingSystem.name", Equals: "Windows 2019"}, {Field: "volumes", Present: &yes}, {Field: "processor", Present: &off}, {Field: "cloud.provider", Equals: "AWS"}}}},
			[]string{"imported"},
		},
		"conditions as an encoded query, switched off": {
			"Name,Active,Priority,Rules,Target CI Class\nKiosk,false,7,u_hardware_manufacturer=HP^os_nameLIKEWindows^os_category2NOT LIKEServer^os_publisherISNOTEMPTY^EQ,cmdb_ci_computer\n",
			classify.TableComputer,
			[]classify.Rule{{ID: "imported-kiosk", Priority: 7, Active: &off, Class: "cmdb_ci_computer", When: []classify.Condition{
				{Field: "hardware.manufacturer", Equals: "HP"}, {Field: "operatingSystem.name", Contains: "Windows"}, {Field: "operatingSystem.category2", Contains: "Server", Not: true}, {Field: "operatingSystem.publisher", Present: &yes}}}},
			[]string{"inactive"},
		},
		"what is not understood is left out with its line": {
			"Name,Rules,Target CI Class\nA,os_name=x^ORos_name=y,cmdb_ci_server\nB,javascript:gs.x(),cmdb_ci_server\nC,os_name=z,Spaceship\nD,,cmdb_ci_server\nE,os_name=z,\n",
			classify.TableComputer, nil, []string{"not understood", "not understood", "not understood", "not understood", "not understood"},
		},
		"a column that is not known makes its rules not understood, bookkeeping does not": {
			"OS name,Moon phase,sys_updated_on,Target class\nx,full,2026-01-01,cmdb_ci_server\ny,,2026-01-01,cmdb_ci_server\n",
			classify.TableComputer,
			[]classify.Rule{{ID: "imported-cmdb-ci-server", Priority: 20, Class: "cmdb_ci_server", When: []classify.Condition{{Field: "operatingSystem.name", Equals: "y"}}}},
			[]string{"not understood", "imported"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tables, report, err := classify.ImportCSV([]byte(c.csv))
			require.NoError(t, err)
			var results []string
			for i, r := range report {
				results = append(results, r.Result)
				require.Equal(t, i+2, r.Line)
				if r.Result == classify.ImportedNotAtAll {
					require.NotEmpty(t, r.Why)
				}
			}
			require.Equal(t, c.result, results)
			got := tables.Computer
			if c.table == classify.TableHardware {
				got = tables.Hardware
			}
			require.Empty(t, cmp.Diff(c.want, got))
			_, err = classify.Compile(classify.Default().Override(tables))
			require.NoError(t, err, "what is imported is valid")
		})
	}
	for _, bad := range []string{"", "a,b\n1,2\n", "OS name\nx\n", "Target class\nx\n"} {
		_, _, err := classify.ImportCSV([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestARuleThatADefaultSaysAlreadyIsNotImported(t *testing.T) {
	t.Parallel()
	var csv string
	for _, r := range classify.Default().Hardware {
		if len(r.When) == 1 && r.When[0].Equals != "" && r.When[0].Field == "hardware.category1" {
			csv = "Hardware category 1,Target class\n" + r.When[0].Equals + "," + r.Class + "\n"
			break
		}
	}
	if csv == "" {
		csv = "Name,Rules,Target class\n"
	}
	tables, report, err := classify.ImportCSV([]byte(csv))
	require.NoError(t, err)
	require.Empty(t, tables.Hardware)
	for _, r := range report {
		require.Equal(t, classify.ImportedDefault, r.Result)
	}
}

func FuzzImportCSV(f *testing.F) {
	f.Add([]byte("Name,Rules,Target CI Class\nA,os_name=x^os_publisherLIKEy,cmdb_ci_server\n"))
	f.Add([]byte("Hardware category 1,Target class\nPrinters,cmdb_ci_printer\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tables, _, err := classify.ImportCSV(data)
		if err != nil {
			return
		}
		if _, err := classify.Compile(classify.Default().Override(tables)); err != nil {
			t.Fatalf("what is imported is not valid: %v", err)
		}
	})
}
