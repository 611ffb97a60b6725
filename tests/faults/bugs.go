//go:build faults

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// Bug is a deliberate mistake. Some oracle has to catch each of them, else the
// oracles are worth nothing.
type Bug string

// Bugs.
const (
	AdoptionOff     Bug = "adoption off"                      // staged pages are fetched again
	CursorEarly     Bug = "cursor committed early"            // a resumed enumeration begins after the last page staged
	IntentSkipped   Bug = "intent skipped"                    // posts are not announced
	NotWidened      Bug = "lost CIs looked for among the new" // a run that misses CIs stays incremental
	WatermarkEarly  Bug = "watermark moved on failure"        // a failed run counts as complete
	RecordDropped   Bug = "record dropped"                    // the last record of a page is not staged
	FailureHidden   Bug = "failure hidden"                    // failed records are reported as created
	OutcomeEarly    Bug = "outcome before the answer"         // records are settled when they are announced
	FailedForgotten Bug = "failed records forgotten"          // they are not tried again
	LostCIsIgnored  Bug = "lost CIs ignored"                  // deleted CIs are not noticed
	StaleDigest     Bug = "digest without the content"        // a changed asset counts as unchanged
	TokenPerCall    Bug = "token per call"                    // every call logs in
	SourceKeyLost   Bug = "source key lost"                   // items are sent without their source key
	AnswerInvented  Bug = "answer invented"                   // an empty 202 counts as success
	WaitIgnored     Bug = "wait ignored"                      // a closed endpoint is called again at once
)

// Bugs returns all bugs.
func Bugs() []Bug {
	return []Bug{
		AdoptionOff, CursorEarly, IntentSkipped, NotWidened, WatermarkEarly, RecordDropped, FailureHidden, OutcomeEarly,
		FailedForgotten, LostCIsIgnored, StaleDigest, TokenPerCall, SourceKeyLost, AnswerInvented, WaitIgnored,
	}
}

func (b Bug) openRun(ctx context.Context, s *gatedStore, in store.OpenRun) (store.OpenedRun, error) {
	out, err := s.Store.OpenRun(ctx, in)
	if b == CursorEarly && out.Resumed {
		out.Cursor = max(out.Cursor, s.p.w.stagedUpTo())
	}
	return out, err
}

func (b Bug) closeRun(in store.CloseRun) store.CloseRun {
	if b == WatermarkEarly {
		in.Complete = true
	}
	return in
}

func (b Bug) stagePage(w *world, in store.StagePage) store.StagePage {
	w.staged(in.CursorOut)
	if b == RecordDropped && len(in.Records) > 1 {
		in.Records = in.Records[:len(in.Records)-1]
	}
	if b == StaleDigest {
		for i := range in.Records {
			if in.Records[i].PayloadDigest != "" {
				in.Records[i].PayloadDigest = in.Records[i].Key
			}
		}
	}
	return in
}

func (b Bug) beginPayload(ctx context.Context, s *gatedStore, w store.Writer, keys []string) (map[string]string, error) {
	switch b {
	case IntentSkipped:
		return nil, nil
	case OutcomeEarly:
		var out []store.Settlement
		for _, k := range keys {
			out = append(out, store.Settlement{Key: k, Outcome: record.Created, Digest: "early", Fresh: true})
		}
		return nil, s.Store.Settle(ctx, w, out)
	default:
		return s.Store.BeginPayload(ctx, w, keys)
	}
}

func (b Bug) settle(ctx context.Context, s *gatedStore, out []store.Settlement) []store.Settlement {
	if b != FailureHidden {
		return out
	}
	out = slices.Clone(out)
	for i := range out {
		heads, err := s.Store.Records(ctx, record.KindAsset, out[i].Key)
		if err == nil && len(heads) > 0 && out[i].Outcome == record.Failed {
			out[i].Outcome, out[i].Digest, out[i].Fresh = record.Created, heads[0].PayloadDigest, true
		}
	}
	return out
}

func (b Bug) widen(ctx context.Context, s *gatedStore, run string, epoch int64) (store.OpenedRun, error) {
	if b == NotWidened {
		return s.Store.OpenRun(ctx, store.OpenRun{ID: run, Schedule: schedule}) // what it was opened as
	}
	return s.Store.Widen(ctx, run, epoch)
}

// roundTripper makes a function a RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (b Bug) qualys(next http.RoundTripper) http.RoundTripper {
	if b != TokenPerCall {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/auth") {
			form := "username=" + url.QueryEscape(user) + "&password=" + url.QueryEscape(password) + "&token=true"
			login, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+qualysHost+"/auth", strings.NewReader(form))
			if err != nil {
				return nil, err
			}
			login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if res, err := next.RoundTrip(login); err == nil {
				_ = res.Body.Close()
			}
		}
		return next.RoundTrip(r)
	})
}

// below is what a bug does under the transport.
func (b Bug) below(res *http.Response) {
	if b == WaitIgnored && res.StatusCode == http.StatusTooManyRequests {
		res.StatusCode, res.Header = http.StatusServiceUnavailable, http.Header{}
	}
}

func (b Bug) serviceNow(next http.RoundTripper) http.RoundTripper {
	if b != SourceKeyLost && b != AnswerInvented {
		return next
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body == nil || !strings.HasSuffix(r.URL.Path, "/enhanced") {
			return next.RoundTrip(r)
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var sent struct {
			Items []map[string]any `json:"items"`
			Rest  map[string]any   `json:"-"`
		}
		var whole map[string]any
		if err := errors.Join(json.Unmarshal(data, &sent), json.Unmarshal(data, &whole)); err != nil {
			return nil, err
		}
		if b == SourceKeyLost {
			for _, it := range sent.Items {
				delete(it, "sys_object_source_info")
			}
			whole["items"] = sent.Items
			if data, err = json.Marshal(whole); err != nil {
				return nil, err
			}
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		r.GetBody = nil
		res, err := next.RoundTrip(r)
		if err == nil && b == AnswerInvented && res.StatusCode == http.StatusAccepted {
			_ = res.Body.Close()
			return invented(r, sent.Items)
		}
		return res, err
	})
}

// invented makes up the answer of a successful post.
func invented(r *http.Request, sent []map[string]any) (*http.Response, error) {
	items := []map[string]any{}
	for i, it := range sent {
		items = append(items, map[string]any{"sysId": fmt.Sprintf("%032x", i+1), "className": it["className"], "operation": "INSERT"})
	}
	data, err := json.Marshal(map[string]any{"result": map[string]any{"items": items, "relations": []any{}}})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)),
	}, nil
}
