package sql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
)

// copyStore copies a SQLite store as it is on the disk, its log included.
func copyStore(t *testing.T, from, to string) string {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
	}
	return to
}

// A power cut may tear the end of the log. What opens again is the store as it
// was after some commit.
func TestATornLogLosesOnlyTheLastCommits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	s := mustOpen(t, path)
	const revisions = 20
	for n := 1; n <= revisions; n++ {
		_, err := s.SaveRevision(ctx, fmt.Sprintf("n: %d", n), fmt.Sprint(n), "ann")
		require.NoError(t, err)
	}
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	const cuts = 24
	kept := map[string]bool{}
	for cut := range cuts + 1 {
		torn := copyStore(t, path, filepath.Join(dir, fmt.Sprintf("torn-%d.db", cut)))
		end := len(log) * cut / cuts
		damaged := append([]byte(nil), log[:end]...)
		if cut%2 == 1 { // the last sector was not written as it was meant
			for i := max(0, end-512); i < end; i++ {
				damaged[i] ^= 0x5a
			}
		}
		require.NoError(t, os.WriteFile(torn+"-wal", damaged, 0o600))
		again, err := sql.Open(ctx, torn, sql.Options{})
		require.NoError(t, err, "cut %d", cut)
		active, err := again.ActiveRevision(ctx)
		last := 0
		if !errors.Is(err, store.ErrNotFound) {
			require.NoError(t, err)
			_, err = fmt.Sscanf(active.ID, "r%d", &last)
			require.NoError(t, err)
		}
		for n := 1; n <= revisions; n++ {
			r, err := again.Revision(ctx, fmt.Sprintf("r%d", n))
			if n > last {
				require.ErrorIs(t, err, store.ErrNotFound)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("n: %d", n), r.Document)
			require.Equal(t, n == last, r.Active)
		}
		next, err := again.SaveRevision(ctx, "after", "after", "ann")
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("r%d", last+1), next.ID)
		require.NoError(t, again.Close())
		kept[active.ID] = true
	}
	require.True(t, kept[fmt.Sprintf("r%d", revisions)], "nothing is lost of a whole log")
	require.Greater(t, len(kept), 5)
}
