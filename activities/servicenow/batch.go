package servicenow

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// RowWrite is one change of a row that is not a CI: an insert without a SysID, a
// deletion with Delete, else an update of the given columns.
type RowWrite struct {
	Table  string
	SysID  string
	Delete bool
	Values map[string]string // an empty value clears a column
}

// RowAnswer is what became of one RowWrite.
type RowAnswer struct {
	// Serviced says that the instance got to it before its time was up; what was
	// not may be sent again as it is.
	Serviced bool
	SysID    string // of an inserted or updated row
	Err      *Error // nil: done
}

// batchVersion is part of the path: the Batch API has no unversioned one.
const batchPath = "/api/now/v1/batch"

type (
	wireBatch struct {
		ID       string             `json:"batch_request_id"`
		Requests []wireBatchRequest `json:"rest_requests"`
	}
	wireBatchRequest struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers []wireBatchHeader `json:"headers"`
		Body    []byte            `json:"body,omitempty"` // base64
		Bare    bool              `json:"exclude_response_headers"`
	}
	wireBatchHeader struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	wireBatchAnswer struct {
		Error    *wireError `json:"error"`
		Serviced []struct {
			ID     text   `json:"id"`
			Status text   `json:"status_code"`
			Body   []byte `json:"body"`
			Error  text   `json:"error_message"`
		} `json:"serviced_requests"`
	}
)

// WriteRows changes rows in one call. The changes are independent of each other:
// each has its own answer, in the order of the list. A deleted row that is gone
// already counts as done. After KindUnknownOutcome any of them may have happened:
// look the rows up before inserting again.
//
// Batch API: POST /api/now/v1/batch with Table API requests. 200 with
// serviced_requests; what the time (30 s) did not suffice for is named in
// unserviced_requests.
func (c *Client) WriteRows(ctx context.Context, writes []RowWrite) ([]RowAnswer, Meta, error) {
	const op = "write rows"
	batch := wireBatch{ID: "1", Requests: make([]wireBatchRequest, len(writes))}
	for i, w := range writes {
		r, err := batchRequest(i, w)
		if err != nil {
			return nil, Meta{}, err
		}
		batch.Requests[i] = r
	}
	data, err := json.Marshal(batch)
	if err != nil {
		return nil, Meta{}, invalid(op, "the rows cannot be encoded")
	}
	r := request{op: op, method: http.MethodPost, path: batchPath, body: newBody(data), writes: true}
	var wire wireBatchAnswer
	meta, err := c.call(ctx, r, func(in io.Reader, meta Meta) error {
		wire = wireBatchAnswer{}
		if err := json.NewDecoder(in).Decode(&wire); err != nil {
			return err
		}
		if wire.Error != nil {
			return c.problem(r, meta, wire.Error)
		}
		return nil
	})
	if err != nil {
		return nil, meta, err
	}
	out := make([]RowAnswer, len(writes))
	for _, s := range wire.Serviced {
		i, err := strconv.Atoi(string(s.ID))
		if err != nil || i < 0 || i >= len(out) {
			return nil, meta, r.lost(meta, CodeTruncated, "the answer names a request that was not sent")
		}
		out[i] = c.rowAnswer(writes[i], s.Status.int(), s.Body, string(s.Error), meta)
	}
	return out, meta, nil
}

func batchRequest(i int, w RowWrite) (wireBatchRequest, error) {
	out := wireBatchRequest{
		ID: strconv.Itoa(i), Bare: true, Method: http.MethodPost, URL: "/api/now/table/" + w.Table,
		Headers: []wireBatchHeader{{"Accept", "application/json"}, {"Content-Type", "application/json"}},
	}
	if !nameShape.MatchString(w.Table) || (w.SysID != "" && !sysIDShape.MatchString(w.SysID)) || (w.Delete && w.SysID == "") {
		return out, invalid("write rows", "%q is not a row of a table", cut(w.Table+"/"+w.SysID, 80))
	}
	if w.SysID != "" {
		out.Method, out.URL = http.MethodPatch, out.URL+"/"+w.SysID
	}
	if w.Delete {
		out.Method, out.Headers = http.MethodDelete, out.Headers[:1]
		return out, nil
	}
	out.URL += "?sysparm_fields=sys_id&sysparm_exclude_reference_link=true"
	body, err := json.Marshal(w.Values)
	if err != nil {
		return out, invalid("write rows", "the values cannot be encoded")
	}
	out.Body = body
	return out, nil
}

// rowAnswer reads the answer to one request of a batch.
func (c *Client) rowAnswer(w RowWrite, status int, body []byte, failure string, meta Meta) RowAnswer {
	var in struct {
		Result map[string]text `json:"result"`
		Error  *wireError      `json:"error"`
	}
	out := RowAnswer{Serviced: true}
	readable := len(bytes.TrimSpace(body)) == 0 || json.Unmarshal(body, &in) == nil
	r := request{op: "write a row of " + w.Table, writes: true}
	meta.Status = status
	switch {
	case w.Delete && (status == http.StatusNoContent || status == http.StatusOK || status == http.StatusNotFound):
		return out
	case !w.Delete && readable && (status == http.StatusCreated || status == http.StatusOK) && in.Error == nil:
		if out.SysID = string(in.Result["sys_id"]); out.SysID == "" {
			out.SysID = w.SysID
		}
		return out
	case in.Error == nil:
		in.Error = &wireError{Message: text(failure)}
	}
	out.Err = c.problem(r, meta, in.Error)
	return out
}
