package httpapi

import (
	"fmt"
	"net/http"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// showExport answers what a schedule to Qualys planned last.
func (s *Server) showExport(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("schedule")
	setup, err := s.opts.Settings.Of(r.Context(), "", name)
	if err != nil {
		s.fail(w, err, "no configuration is active", "run `qbridge apply FILE` first")
		return
	}
	if setup.Schedule.Kind != config.KindExport {
		refuse(w, http.StatusConflict, fmt.Sprintf("schedule %s adds no addresses", name), "name a schedule of kind export")
		return
	}
	key := contract.AddressesKey(setup.Schedule.Target)
	list, err := s.opts.Store.Records(r.Context(), record.KindAddresses, key)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	rec, ok := lo.Find(list, func(rec store.Record) bool { return rec.Schedule == name && rec.Target == setup.Schedule.Target })
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Sprintf("schedule %s planned nothing yet", name), fmt.Sprintf("run `qbridge run start %s --wait`", name))
		return
	}
	v := contract.ExportView{
		Schedule: name, Target: rec.Target, Key: key, State: rec.State, Outcome: rec.Outcome, Reason: rec.Reason, Version: rec.Version, Run: rec.Run, StagedAt: rec.StagedAt,
	}
	if v.AddressPlan, err = s.opts.Bodies.AddressPlan(rec.Body); err != nil {
		s.fail(w, err, "", "")
		return
	}
	answer(w, v)
}
