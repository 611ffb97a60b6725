package activities_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/servicenow"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/workflows/contract"
)

// instance is the Table API over rows that a test writes: every query gets all rows
// of its table, those with a parent only where the query names it.
type instance struct {
	tables map[string][]map[string]string
	broken string // the table that does not answer
}

func (in *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	table := strings.TrimPrefix(r.URL.Path, "/api/now/table/")
	query := r.URL.Query().Get("sysparm_query")
	if table == in.broken {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fields := strings.Split(r.URL.Query().Get("sysparm_fields"), ",")
	list := []map[string]string{}
	for _, row := range in.tables[table] {
		if p := row["parent"]; p != "" && !strings.Contains(query, p) {
			continue
		}
		out := map[string]string{}
		for _, f := range fields {
			if v, ok := row[f]; ok {
				out[f] = v
			}
		}
		list = append(list, out)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Total-Count", strconv.Itoa(len(list)))
	_ = json.NewEncoder(w).Encode(map[string]any{"result": list})
}

func (v vendors) ServiceNow(context.Context, string, string) (*activities.Target, error) {
	return v.target, nil
}

// reading is a desk that reads an instance.
func reading(t *testing.T, in *instance) *desk {
	t.Helper()
	srv := httptest.NewServer(in)
	t.Cleanup(srv.Close)
	client, err := servicenow.New(servicenow.Config{Name: "prod", URL: srv.URL, Auth: servicenow.Auth{Type: "basic", Username: "u", Password: "p"}, DiscoverySource: "SG-Qualys", Transport: http.DefaultTransport})
	require.NoError(t, err)
	d := newDesk(t, newGateway(t))
	d.acts.Vendors = vendors{target: &activities.Target{Name: "prod", Client: client}}
	return d
}

func (d *desk) read(activity any) (contract.ReadMetadataResult, error) {
	d.t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(d.acts)
	v, err := env.ExecuteActivity(activity, contract.ReadMetadataInput{Plan: d.in.Plan})
	var res contract.ReadMetadataResult
	if err == nil {
		require.NoError(d.t, v.Get(&res))
	}
	return res, err
}

func (d *desk) draft(name string, into any) {
	d.t.Helper()
	data, err := d.store.Draft(d.t.Context(), "run-1", name, 0)
	require.NoError(d.t, err)
	require.NoError(d.t, d.acts.Bodies.Unpack(data, into))
}

func TestOwnersAreReadAsPeopleSeeThemAndWhatIsHiddenIsNotEmpty(t *testing.T) {
	t.Parallel()
	in := &instance{tables: map[string][]map[string]string{"cmdb_ci_server": {
		{"sys_id": "c1", "name": "web1", "serial_number": "SER-1", "owned_by": "Ann Example", "location": "DC-1", "location.city": "Bern", "company": ""},
		{"sys_id": "c2", "name": "web2", "fqdn": "web2.corp.example"},
	}}}
	d := reading(t, in)
	res, err := d.read(d.acts.ServiceNowReadOwners)
	require.NoError(t, err)
	require.Equal(t, contract.ReadMetadataResult{Parts: 1, Count: 2, Calls: 1}, res)
	var got []export.Bearer
	d.draft("cis", &got)
	require.Empty(t, cmp.Diff([]export.Bearer{
		{
			Subject: export.Subject{Key: "c1", Values: map[export.Identifier][]string{export.BySerial: {"SER-1"}}}, Name: "web1",
			Fields: map[string]string{"ownedBy": "Ann Example", "assignedLocation.name": "DC-1", "assignedLocation.city": "Bern", "company": ""},
		},
		{Subject: export.Subject{Key: "c2", Values: map[export.Identifier][]string{export.ByFQDN: {"web2.corp.example"}}}, Name: "web2", Fields: map[string]string{}},
	}, got))
}

func TestApplicationsAreFollowedToTheirMachines(t *testing.T) {
	t.Parallel()
	apps := []map[string]string{
		{"sys_id": "a1", "name": "Webshop", "operational_status": "Operational", "sys_created_on": "2026-01-02 03:04:05", "sys_updated_on": "2026-02-03 04:05:06"},
		{"sys_id": "a2", "name": "Payments", "sys_created_on": "not a date"},
	}
	type row = map[string]string
	for name, c := range map[string]struct {
		relations []row
		want      map[string][]string
	}{
		"directly and through services": {[]row{
			{"sys_id": "r1", "parent": "a1", "child": "c1", "child.sys_class_name": "cmdb_ci_linux_server"},
			{"sys_id": "r2", "parent": "a2", "child": "s1", "child.sys_class_name": "cmdb_ci_service_auto"},
			{"sys_id": "r3", "parent": "a2", "child": "c1", "child.sys_class_name": "cmdb_ci_linux_server"},
			{"sys_id": "r4", "parent": "s1", "child": "c2", "child.sys_class_name": "cmdb_ci_linux_server"},
			{"sys_id": "r5", "parent": "s1", "child": "s2", "child.sys_class_name": "cmdb_ci_service_auto"},
			{"sys_id": "r6", "parent": "s2", "child": "c3", "child.sys_class_name": "cmdb_ci_linux_server"},
		}, map[string][]string{"c1": {"a1", "a2"}, "s1": {"a2"}, "c2": {"a2"}, "s2": {"a2"}}},
		"relations that nobody may read say nothing": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := reading(t, &instance{tables: map[string][]map[string]string{"cmdb_ci_business_app": apps, "cmdb_rel_ci": c.relations}})
			res, err := d.read(d.acts.ServiceNowReadApplications)
			require.NoError(t, err)
			require.EqualValues(t, 2, res.Count)
			var got struct {
				List []struct {
					ID      string
					Values  map[string]string
					Created string
				}
				Of map[string][]string
			}
			d.draft("applications", &got)
			require.Empty(t, cmp.Diff(c.want, got.Of))
			require.Len(t, got.List, 2)
			require.Equal(t, "a1", got.List[0].ID)
			require.Equal(t, map[string]string{"name": "Webshop", "operationalStatus": "Operational"}, got.List[0].Values)
			require.Equal(t, "2026-01-02T03:04:05Z", got.List[0].Created)
		})
	}
}

func TestAnInstanceThatDoesNotAnswerIsTriedAgainLater(t *testing.T) {
	t.Parallel()
	for table, activity := range map[string]func(*desk) any{
		"cmdb_ci_server":       func(d *desk) any { return d.acts.ServiceNowReadOwners },
		"cmdb_ci_business_app": func(d *desk) any { return d.acts.ServiceNowReadApplications },
	} {
		d := reading(t, &instance{broken: table})
		_, err := d.read(activity(d))
		require.ErrorContains(t, err, contract.ErrUnavailable)
	}
}
