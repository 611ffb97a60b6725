package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/export"
	"github.com/qbridge/qbridge/domain/payload"
	"github.com/qbridge/qbridge/domain/record"
	"github.com/qbridge/qbridge/workflows/contract"
)

// historyRows is how many outcomes of an asset are shown.
const historyRows = 20

// found is one record of an asset with its decoded body and link.
type found struct {
	record store.Record
	body   *activities.Body
	link   store.Link
	linked bool
}

// find returns the records of an asset id. The id is a Qualys asset id, looked
// up in every source of the active configuration, or a full key "source/id".
func (s *Server) find(w http.ResponseWriter, r *http.Request) ([]found, bool) {
	ctx, id, source := r.Context(), r.PathValue("id"), r.URL.Query().Get("source")
	if name, rest, ok := strings.Cut(id, "/"); ok && source == "" { // a key, as lists print it
		source, id = name, rest
	}
	var keys []string
	add := func(source string) bool {
		keys = append(keys, contract.AssetKey(source, id))
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil { // a key of a later generation, or none at all
			return true
		}
		last, err := s.opts.Store.Generation(ctx, source, n)
		if err != nil {
			s.fail(w, err, "", "")
			return false
		}
		for g := int64(1); g <= last; g++ {
			keys = append(keys, contract.MovedKey(source, n, g))
		}
		return true
	}
	if source != "" {
		if !add(source) {
			return nil, false
		}
	} else {
		_, cfg, err := s.opts.Settings.Config(ctx, "")
		if err != nil {
			s.fail(w, err, "no configuration is active", "run `qbridge apply FILE` first")
			return nil, false
		}
		for _, q := range cfg.Qualys {
			if !add(q.Name) {
				return nil, false
			}
		}
	}
	var out []found
	for _, key := range keys {
		records, err := s.recordsOf(ctx, key)
		if err != nil {
			s.fail(w, err, "", "")
			return nil, false
		}
		for _, rec := range records {
			f := found{record: rec}
			if f.body, err = s.opts.Bodies.Decode(rec.Body); err != nil {
				s.fail(w, err, "", "")
				return nil, false
			}
			if f.link, f.linked, err = s.linkOf(ctx, rec, f.body); err != nil {
				s.fail(w, err, "", "")
				return nil, false
			}
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		refuse(w, http.StatusNotFound, "no schedule has seen asset "+id+" (looked for "+strings.Join(keys, ", ")+")",
			"check the id, or run the schedule that should bring it")
		return nil, false
	}
	return out, true
}

// linkOf returns the CI of a record: the one that it was written to, or comes from.
func (s *Server) linkOf(ctx context.Context, rec store.Record, body *activities.Body) (store.Link, bool, error) {
	if rec.Kind != record.KindMetadata {
		links, err := s.opts.Store.LinksOf(ctx, rec.Target, []string{rec.Key})
		l, ok := links[rec.Key]
		return l, ok, err
	}
	c, err := businessOf(body)
	if c == nil {
		return store.Link{}, false, err
	}
	return store.Link{SysID: c.CI}, true, err
}

// businessOf returns what a schedule to Qualys makes of an asset, nil when the record
// holds nothing.
func businessOf(body *activities.Body) (*export.AssetChange, error) {
	if body.Parts == nil || len(body.Parts.Change) == 0 {
		return nil, nil
	}
	c := &export.AssetChange{}
	return c, json.Unmarshal(body.Parts.Change, c)
}

// recordsOf returns what schedules of both directions keep of an asset.
func (s *Server) recordsOf(ctx context.Context, key string) ([]store.Record, error) {
	var out []store.Record
	for _, kind := range []record.Kind{record.KindAsset, record.KindMetadata, record.KindCertificate} {
		records, err := s.opts.Store.Records(ctx, kind, key)
		if err != nil {
			return nil, err
		}
		out = append(out, records...)
	}
	return out, nil
}

func (s *Server) showAsset(w http.ResponseWriter, r *http.Request) {
	list, ok := s.find(w, r)
	if !ok {
		return
	}
	out := contract.AssetList{}
	for _, f := range list {
		history, err := s.opts.Store.History(r.Context(), f.record.Key, historyRows)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		decisions, err := s.decisionsAbout(r.Context(), f.record)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		rec := f.record
		out.Assets = append(out.Assets, contract.AssetView{
			Key: rec.Key, Schedule: rec.Schedule, Target: rec.Target, Name: f.body.Name, Class: rec.Class, State: rec.State, Outcome: rec.Outcome,
			Reason: rec.Reason, SysID: f.link.SysID, Origin: f.link.Origin, Version: rec.Version, StagedAt: rec.StagedAt, WrittenAt: rec.WrittenAt,
			Parts: f.body.Parts, History: lo.Map(history, func(o store.OutcomeRow, _ int) contract.OutcomeView { return outcomeView(o) }),
			Revision: f.body.Revision, Rule: f.body.Decision.Rule, Run: rec.Run, Page: rec.Page, Decisions: decisions,
		})
	}
	answer(w, out)
}

// decisionsAbout reads what people decided about a record.
func (s *Server) decisionsAbout(ctx context.Context, rec store.Record) ([]contract.DecisionLine, error) {
	list, err := s.opts.Store.DecisionsAbout(ctx, rec.Schedule, rec.Key, historyRows)
	if err != nil {
		return nil, err
	}
	out := make([]contract.DecisionLine, len(list))
	for i, d := range list {
		if err := json.Unmarshal([]byte(d.Entry), &out[i]); err != nil {
			return nil, err
		}
		out[i].Version, out[i].Outcome, out[i].Run = d.Version, d.Outcome, d.Run
	}
	return out, nil
}

func (s *Server) explainAsset(w http.ResponseWriter, r *http.Request) {
	list, ok := s.find(w, r)
	if !ok {
		return
	}
	out := contract.ExplainList{}
	for _, f := range list {
		view, err := s.explain(r, f)
		if err != nil {
			s.fail(w, err, "", "")
			return
		}
		out.Explanations = append(out.Explanations, view)
	}
	answer(w, out)
}

// explain evaluates the rules of the record's revision again on the inputs that
// were kept with it.
func (s *Server) explain(r *http.Request, f found) (contract.ExplainView, error) {
	rec := f.record
	view := contract.ExplainView{
		Key: rec.Key, Schedule: rec.Schedule, Target: rec.Target, Name: f.body.Name, Revision: f.body.Revision, Cleansing: f.body.Clean,
		Class: rec.Class, Outcome: rec.Outcome, Reason: rec.Reason, SysID: f.link.SysID, Origin: f.link.Origin, Parts: f.body.Parts,
	}
	if rec.Kind == record.KindMetadata {
		var err error
		view.Direction = config.DirectionToQualys
		view.Business, err = businessOf(f.body)
		return view, err
	}
	if d := f.body.Decision; d.Class == "" && d.Skip == "" { // the asset could not even be read
		view.Trace = classify.Trace{Decision: classify.Decision{Skip: "the asset cannot be understood"}, Losers: []classify.Loser{}}
		return view, nil
	}
	if rec.Kind == record.KindCertificate { // no rule chooses its class
		view.Trace = classify.Trace{Decision: f.body.Decision, Losers: []classify.Loser{}}
	} else {
		setup, err := s.opts.Settings.Of(r.Context(), f.body.Revision, rec.Schedule)
		if err != nil {
			return view, err
		}
		view.Trace = setup.Rules.Explain(&f.body.Inputs, classify.Options{IPOnly: setup.Schedule.Fallback.IPOnly})
	}
	if rec.Answer != "" {
		var a payload.ItemAnswer
		if err := json.Unmarshal([]byte(rec.Answer), &a); err != nil {
			return view, err
		}
		view.Operation, view.Identification, view.Warnings, view.Masked = a.Operation, a.Attempts, a.Warnings, a.Masked
	}
	return view, nil
}

func (s *Server) showConfig(w http.ResponseWriter, r *http.Request) {
	rev, err := s.opts.Store.ActiveRevision(r.Context())
	if err != nil {
		s.fail(w, err, "no configuration is active", "run `qbridge apply FILE` first")
		return
	}
	answer(w, contract.ConfigView{Revision: rev.ID, Author: rev.Author, CreatedAt: rev.CreatedAt, Document: rev.Document})
}
