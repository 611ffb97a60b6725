package httpapi

import (
	"net/http"

	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// inputsPage bounds the assets of one answer: their bodies are read, one page at
// a time.
const inputsPage = 500

// listInputs answers what the rules see of the assets that a schedule saw last.
func (s *Server) listInputs(w http.ResponseWriter, r *http.Request) {
	ctx, q := r.Context(), r.URL.Query()
	setup, err := s.opts.Settings.Of(ctx, "", q.Get("schedule"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "")
		return
	}
	records, err := s.opts.Store.Snapshot(ctx, setup.Schedule.Name, setup.Schedule.Target, record.KindAsset, q.Get("after"), inputsPage)
	if err != nil {
		s.fail(w, err, "", "")
		return
	}
	out := contract.InputsPage{Assets: make([]contract.InputsView, 0, len(records))}
	for i := range records {
		rec := &records[i]
		inputs, decision, err := s.opts.Bodies.Inputs(rec.Body)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		if decision.Class == "" && decision.Skip == "" { // could not even be read
			continue
		}
		out.Assets = append(out.Assets, contract.InputsView{Key: rec.Key, Class: decision.Class, Inputs: inputs})
	}
	if len(records) == inputsPage {
		out.Next = records[len(records)-1].Key
	}
	answer(w, out)
}
