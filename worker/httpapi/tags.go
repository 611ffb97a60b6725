package httpapi

import (
	"fmt"
	"net/http"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// tagsAtATime is how many records are read from the store at a time, maxTagViews how
// many tags an answer shows.
const (
	tagsAtATime = 500
	maxTagViews = 5000
)

// showTags answers what a schedule of tags planned last.
func (s *Server) showTags(w http.ResponseWriter, r *http.Request) {
	ctx, name := r.Context(), r.PathValue("schedule")
	setup, err := s.opts.Settings.Of(ctx, "", name)
	if err != nil {
		s.fail(w, err, "no configuration is active", "run `qbridge apply FILE` first")
		return
	}
	if setup.Schedule.Kind != config.KindTags {
		refuse(w, http.StatusConflict, fmt.Sprintf("schedule %s makes no tags", name), "name a schedule of kind tags")
		return
	}
	runs, err := s.opts.Store.ListRuns(ctx, store.RunFilter{Schedule: name, Limit: 1})
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	if len(runs) == 0 {
		refuse(w, http.StatusNotFound, fmt.Sprintf("schedule %s planned nothing yet", name), fmt.Sprintf("run `qbridge run start %s --wait`", name))
		return
	}
	plan := contract.TagPlan{Schedule: name, Target: setup.Schedule.Target, Run: runs[0].ID, At: runs[0].StartedAt, Tags: []contract.TagView{}}
	for after := ""; len(plan.Tags) < maxTagViews; {
		list, err := s.opts.Store.Snapshot(ctx, name, setup.Schedule.Target, record.KindTag, after, tagsAtATime)
		if err == nil {
			err = s.tagViews(&plan, list)
		}
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		if len(list) < tagsAtATime {
			break
		}
		after = list[len(list)-1].Key
	}
	answer(w, plan)
}

// tagViews adds the tags that change or have something to say.
func (s *Server) tagViews(plan *contract.TagPlan, list []store.Record) error {
	for i := range list {
		row := &list[i]
		plan.Snapshot = max(plan.Snapshot, row.Version)
		if row.Outcome == record.Unchanged {
			plan.Same++
			continue
		}
		rec, err := s.opts.Bodies.TagRecord(row.Body)
		if err != nil {
			return err
		}
		plan.Tags = append(plan.Tags, contract.TagView{Key: row.Key, State: row.State, Outcome: row.Outcome, Reason: row.Reason, Version: row.Version, TagRecord: rec})
	}
	return nil
}
