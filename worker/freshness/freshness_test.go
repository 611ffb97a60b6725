package freshness_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/store/sql"
	"github.com/qbridge/qbridge/worker/freshness"
)

const document = `qualys: [{name: corp, platform: US2, auth: {username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
servicenow: [{name: prod, url: "https://x.service-now.com", auth: {type: basic, username: "${env:QBRIDGE_SECRET_U}", password: "${env:QBRIDGE_SECRET_P}"}}]
schedules:
  - {name: servers, direction: qualys-to-servicenow, source: corp, target: prod, every: 1h}
  - {name: byhand, direction: qualys-to-servicenow, source: corp, target: prod, manual: true}
`

func TestSomebodyIsToldOnceThatAScheduleIsLateAndOnceThatItIsNot(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := sql.Open(ctx, filepath.Join(t.TempDir(), "q.db"), sql.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	now := time.Now()
	var told []string
	var deaf error
	paused := map[string]bool{}
	var silent error
	watch := func(owner string) *freshness.Watch {
		return &freshness.Watch{
			Store: db, Settings: &activities.Settings{Store: db}, Owner: owner, Now: func() time.Time { return now }, Log: zerolog.Nop(),
			Paused: func(context.Context) (map[string]bool, error) { return paused, silent },
			Tell: func(_ context.Context, n activities.Notice) error {
				if deaf == nil {
					told = append(told, n.Event+" "+n.Schedule)
				}
				return deaf
			},
		}
	}
	w, other := watch("one"), watch("two")
	look := func(want ...string) {
		t.Helper()
		told = nil
		require.NoError(t, w.Look(ctx, time.Minute))
		require.NoError(t, other.Look(ctx, time.Minute), "another worker looks too")
		require.Equal(t, want, told)
	}
	look() // there is no configuration
	_, err = db.SaveRevision(ctx, document, "d", "tester")
	require.NoError(t, err)
	look()
	now = now.Add(3 * time.Hour)
	deaf = errors.New("the webhook is away")
	require.ErrorIs(t, w.Look(ctx, time.Minute), deaf)
	deaf = nil
	look(freshness.EventLate + " servers")
	look()
	w = watch("one") // it started again
	look()
	paused = map[string]bool{"servers": true}
	look(freshness.EventRecovered + " servers")
	silent = errors.New("Temporal is away")
	look() // what it said last holds
	silent, paused = nil, nil
	look(freshness.EventLate + " servers")
	o, err := db.OpenRun(ctx, store.OpenRun{ID: "a", WorkflowID: "sync/servers", Schedule: "servers", Source: "corp", Target: "prod", Direction: "qualys-to-servicenow", Revision: "r1", RulesDigest: "r"})
	require.NoError(t, err)
	look() // a run that has not ended is not complete
	_, err = db.CloseRun(ctx, store.CloseRun{ID: "a", Epoch: o.Epoch, Status: store.RunCompleted, Complete: true})
	require.NoError(t, err)
	now = time.Now()
	look(freshness.EventRecovered + " servers")
	now = now.Add(3 * time.Hour)
	look(freshness.EventLate + " servers")
	_, err = db.SaveRevision(ctx, document[:len(document)-len("  - {name: byhand, direction: qualys-to-servicenow, source: corp, target: prod, manual: true}\n")-len("  - {name: servers, direction: qualys-to-servicenow, source: corp, target: prod, every: 1h}\n")]+"  - {name: byhand, direction: qualys-to-servicenow, source: corp, target: prod, manual: true}\n", "e", "tester")
	require.NoError(t, err)
	look() // it is gone
	list, err := db.Told(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
}
