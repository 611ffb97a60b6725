package servicenow_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/qbridge/qbridge/tests/sim/servicenow"
	"github.com/stretchr/testify/require"
)

// A client that does not read what it asked for holds up nobody else.
func TestAClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/now/cmdb/meta/cmdb_ci_server", "/api/now/cmdb/instance/cmdb_ci_server", "/api/now/table/sys_choice",
		"/api/now/stats/cmdb_ci?sysparm_count=true", "/_sim/rules", "/_sim/digest"} {
		i := mustInstance(t, servicenow.Options{})
		w := &deaf{ResponseRecorder: httptest.NewRecorder(), writes: make(chan struct{}), reads: make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			req := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			req.SetBasicAuth(user, password)
			req.Header.Set("Accept", "application/json")
			i.handler.ServeHTTP(w, req)
		}()
		<-w.writes
		i.create("cmdb_ci_computer", `{"name":"a"}`) // would wait for ever
		close(w.reads)
		<-done
		require.Equal(t, http.StatusOK, w.Code, path)
	}
}

// deaf takes no byte until it is told to.
type deaf struct {
	*httptest.ResponseRecorder
	writes, reads chan struct{}
	begun         bool
}

func (d *deaf) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		close(d.writes)
		<-d.reads
	}
	return d.ResponseRecorder.Write(b)
}
