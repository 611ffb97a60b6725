package activities

import (
	"context"
	"encoding/json"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/budget"
	"github.com/qbridge/qbridge/workflows/contract"
)

// runsAsked is how many runs a forecast looks back for one that tells.
const runsAsked = 20

// forecast says what a run of so many assets will cost.
func (a *Inventory) forecast(ctx context.Context, plan *contract.RunPlan, assets int64, pageSize int) (*budget.Forecast, error) {
	known, err := a.Store.Known(ctx, plan.Schedule, plan.Target)
	if err != nil {
		return nil, err
	}
	in := budget.Inputs{Assets: assets, PageSize: pageSize, Known: known}
	runs, err := a.Store.ListRuns(ctx, store.RunFilter{Schedule: plan.Schedule, Status: store.RunCompleted, Limit: runsAsked})
	if err != nil {
		return nil, err
	}
	for _, r := range runs { // the newest of the same mode that read something
		if string(r.Mode) == plan.Mode && r.Counters.Fetched > 0 {
			in.PastAssets, in.PastCalls, in.PastSeconds = r.Counters.Fetched, r.Calls["servicenow"], r.EndedAt.Sub(r.StartedAt).Seconds()
			break
		}
	}
	f := budget.Of(in)
	return &f, nil
}

// forecastText is a forecast as the store keeps it.
func forecastText(f *budget.Forecast) string {
	if f == nil {
		return ""
	}
	b, err := json.Marshal(f)
	if err != nil {
		return "" // numbers always marshal
	}
	return string(b)
}
