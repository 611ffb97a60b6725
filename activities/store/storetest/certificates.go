package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

func certificates() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"certificates are listed in the order of their ends": certificatesByEnd,
		"a certificate is retired after two sweeps":          certificatesRetired,
		"heads and generations are found by many keys":       manyKeys,
	}
}

func (o *opened) see(list ...store.Certificate) {
	o.t.Helper()
	require.NoError(o.t, o.s.SeeCertificates(ctx, o.id, o.Epoch, o.Enumeration, list))
}

// sweep is one complete enumeration of the schedule.
func sweep(t *testing.T, s store.Store, id string, keys ...string) {
	t.Helper()
	in := input(id)
	in.Full = true
	o := open(t, s, in)
	for _, k := range keys {
		o.see(store.Certificate{Key: k})
	}
	o.close(store.RunCompleted, true)
}

func certificatesByEnd(t *testing.T, s store.Store) {
	o := open(t, s, input("a"))
	end := func(days int) time.Time { return time.Date(2026, 1, 1+days, 0, 0, 0, 0, time.UTC) }
	o.see(store.Certificate{Key: "c", Name: "third", ValidTo: end(40), Hosts: 2, Issuer: "CA"}, store.Certificate{Key: "a", ValidTo: end(10)},
		store.Certificate{Key: "b", ValidTo: end(10)}, store.Certificate{Key: "none"}, store.Certificate{Key: "a", Name: "again", ValidTo: end(10)})
	var keys []string
	f := store.CertificateFilter{Schedule: "servers", Limit: 2}
	for {
		list, err := s.ListCertificates(ctx, f)
		require.NoError(t, err)
		require.EqualValues(t, 4, list.Total)
		for _, c := range list.Certificates {
			keys = append(keys, c.Key)
		}
		if f.After = list.Next; f.After == "" {
			break
		}
	}
	require.Equal(t, []string{"none", "a", "b", "c"}, keys)
	list, err := s.ListCertificates(ctx, store.CertificateFilter{Until: end(30)})
	require.NoError(t, err)
	require.Len(t, list.Certificates, 2, "an unknown end is no end")
	_, err = s.ListCertificates(ctx, store.CertificateFilter{After: "x"})
	require.Error(t, err)
	total, ending, err := s.CountCertificates(ctx, "servers", []time.Time{end(0), end(30), end(60)})
	require.NoError(t, err)
	require.Equal(t, []int64{4, 0, 2, 3}, append([]int64{total}, ending...))
	known, err := s.CertificatesOf(ctx, "servers", "prod", []string{"a", "c", "x"})
	require.NoError(t, err)
	require.Len(t, known, 2)
	require.Equal(t, []any{"again", "third", "CA", int64(2), end(40)}, []any{known["a"].Name, known["c"].Name, known["c"].Issuer, known["c"].Hosts, known["c"].ValidTo})
	require.ErrorIs(t, s.SeeCertificates(ctx, "a", o.Epoch+1, o.Enumeration, nil), store.ErrStaleEpoch)
}

func certificatesRetired(t *testing.T, s store.Store) {
	sweep(t, s, "first", "stays", "goes", "returns")
	later := time.Now().Add(time.Hour)
	in := input("second")
	in.Full = true
	o := open(t, s, in)
	retire := func(o *opened, batch int64, before time.Time) []string {
		keys, err := s.RetireCertificates(ctx, store.Retire{Run: o.id, Epoch: o.Epoch, Enumeration: o.Enumeration, Batch: batch, SeenBefore: before, Limit: 1})
		require.NoError(t, err)
		return keys
	}
	o.see(store.Certificate{Key: "stays"})
	require.Empty(t, retire(o, 0, later), "one sweep is not two")
	o.close(store.RunCompleted, true)

	in = input("third")
	in.Full = true
	o = open(t, s, in)
	o.see(store.Certificate{Key: "stays"})
	require.Empty(t, retire(o, 0, time.Now().Add(-time.Hour)), "its grace is not over")
	require.Equal(t, []string{"goes"}, retire(o, 0, later))
	require.Equal(t, []string{"goes"}, retire(o, 0, later), "a batch is the same when it is asked for again")
	require.Equal(t, []string{"returns"}, retire(o, 1, later))
	require.Empty(t, retire(o, 2, later))
	o.close(store.RunFailed, false)

	in = input("fourth") // the one before was never completed
	in.Full, in.Revision = true, "r2"
	o = open(t, s, in)
	o.see(store.Certificate{Key: "stays"}, store.Certificate{Key: "returns"})
	require.Equal(t, []string{"goes"}, retire(o, 0, later), "what an unfinished sweep retired is retired again")
	o.close(store.RunCompleted, true)
	total, _, err := s.CountCertificates(ctx, "servers", nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, total)

	sweep(t, s, "fifth", "stays", "returns")
	in = input("sixth")
	in.Full = true
	o = open(t, s, in)
	o.see(store.Certificate{Key: "stays"}, store.Certificate{Key: "returns"})
	require.Empty(t, retire(o, 0, later), "it is retired once")
	known, err := s.CertificatesOf(ctx, "servers", "prod", []string{"goes", "returns"})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, []bool{known["goes"].Retired, known["returns"].Retired})
	require.Equal(t, []int64{3, 0}, []int64{known["goes"].Missed, known["returns"].Missed}, "sweeps that were completed without it")
}

func manyKeys(t *testing.T, s store.Store) {
	o := open(t, s, input("a"))
	o.stage(0, 1, true, rec("corp/1"), store.Staging{Key: "corp/1", Kind: record.KindCertificate, PayloadDigest: "d", Body: []byte("b")}, rec("corp/2"))
	heads, err := s.HeadsOf(ctx, "prod", record.KindAsset, []string{"corp/2", "corp/1", "corp/3"})
	require.NoError(t, err)
	require.Len(t, heads, 2)
	require.Equal(t, []string{"corp/1", "corp/2"}, []string{heads[0].Key, heads[1].Key})
	none, err := s.Generations(ctx, "corp", []int64{1, 2})
	require.NoError(t, err)
	require.Empty(t, none, "generation 0 goes without saying")
}
