package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/workflows/contract"
)

func TestCertificatesAreListedInTheOrderOfTheirEnds(t *testing.T) {
	t.Parallel()
	s, ctx := newServer(t, ""), context.Background()
	o, err := s.store.OpenRun(ctx, store.OpenRun{ID: "run-9", WorkflowID: "certificates/certs", Schedule: "certs", Source: "corp", Target: "prod", Revision: "r1", ResumeWithin: time.Hour})
	require.NoError(t, err)
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.store.SeeCertificates(ctx, "run-9", o.Epoch, o.Enumeration, []store.Certificate{
		{Key: "corp/cert/bb", Name: "later", ValidTo: end.AddDate(0, 1, 0), Hosts: 3}, {Key: "corp/cert/aa", Name: "sooner", Issuer: "CA", ValidTo: end, Hosts: 1},
	}))
	require.NoError(t, s.store.PutLinks(ctx, []store.Link{{Target: "prod", Key: "corp/cert/aa", SysID: "0a", Class: "cmdb_ci_certificate", Origin: "created"}}))
	var list contract.CertificateList
	require.Equal(t, http.StatusOK, s.get(t, contract.PathCertificates, &list))
	require.Equal(t, []string{"sooner", "later"}, []string{list.Certificates[0].Name, list.Certificates[1].Name})
	require.Equal(t, []any{"0a", end, int64(1), "CA"}, []any{list.Certificates[0].SysID, list.Certificates[0].ValidTo, list.Certificates[0].Hosts, list.Certificates[0].Issuer})
	require.Equal(t, http.StatusOK, s.get(t, contract.PathCertificates+"?schedule=certs&until=2026-12-15T00:00:00Z", &list))
	require.EqualValues(t, 1, list.Total)
	require.Equal(t, http.StatusOK, s.get(t, contract.PathCertificates+"?schedule=other", &list))
	require.Zero(t, list.Total)
	for _, bad := range []string{"?until=soon", "?limit=x"} {
		var e contract.ErrorView
		require.Equal(t, http.StatusBadRequest, s.get(t, contract.PathCertificates+bad, &e), bad)
		require.NotEmpty(t, e.Error)
	}
}
