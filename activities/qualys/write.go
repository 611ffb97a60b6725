package qualys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/qbridge/qbridge/activities/transport"
)

// lost is the error of a call that changes something and ended below HTTP: unless
// it certainly was not sent, nobody knows whether it was carried out.
func (c *Client) lost(op string, err error) error {
	var unsent *transport.NotSentError
	if errors.As(err, &unsent) {
		return unsent
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return c.failed(op, err)
	}
	return doubt(c.failed(op, err))
}

// doubt marks the failure of a call that was sent and changes something.
func doubt(err error) error {
	var e *Error
	if errors.As(err, &e) && e.kind == KindUnavailable {
		e.kind = KindUnknownOutcome
	}
	return err
}

// Accepted is the answer to a call that writes many records. What is accepted is
// processed later: reading it back confirms it.
type Accepted struct {
	Code    string // responseCode
	Message string
	// Refused are the records that the answer names as refused, by the key under
	// which they were sent, with the reason.
	Refused map[string]string
	// Stray are refusals whose record cannot be told: any of the records that were
	// sent may be meant.
	Stray []string
}

// maxRefusals bounds what is kept of refusals that cannot be told apart.
const maxRefusals = 20

// post makes one call that changes something on the gateway. keys are, for each
// record that is sent, the names by which an answer may call it, the first being
// its key.
func (c *Client) post(ctx context.Context, op, path string, body any, keys [][]string) (Accepted, Meta, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return Accepted{}, Meta{}, fmt.Errorf("qualys: %s: %w", op, err)
	}
	var out Accepted
	meta, err := c.authorised(ctx, func(bearer string) (Meta, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.GatewayURL+path, bytes.NewReader(raw))
		if err != nil {
			return Meta{}, fmt.Errorf("qualys: %s: %w", op, err)
		}
		req.Header.Set("Authorization", "Bearer "+bearer)
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Content-Type", "application/json")
		res, err := c.http.Do(req)
		if err != nil {
			return Meta{}, c.lost(op, err)
		}
		defer func() { _ = res.Body.Close() }()
		meta := Meta{Status: res.StatusCode, Limits: transport.ParseLimits(res.Header, c.cfg.Now())}
		if d, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			meta.ServerDate = d.UTC()
		}
		if res.StatusCode < 200 || res.StatusCode > 299 {
			return meta, doubt(forbidden(c.refused(op, res)))
		}
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxWriteAnswer+1))
		if err != nil {
			return meta, c.lost(op, err)
		}
		out, err = c.accepted(op, res.StatusCode, answer, keys)
		return meta, doubt(err)
	})
	return out, meta, err
}

// maxWriteAnswer bounds the answer to a write: a line per record.
const maxWriteAnswer = 8 << 20

// forbidden says what to do about a refusal that says nothing itself.
func forbidden(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusForbidden {
		remedy := "the user lacks the permission, or the subscription has this feature switched off"
		if e.Message != "" {
			remedy = e.Message + "; " + remedy
		}
		e.Message = remedy
	}
	return err
}

// accepted reads the answer to a write: nothing at all, the envelope of the
// inventory, or that of the connector with the refused records.
func (c *Client) accepted(op string, status int, answer []byte, keys [][]string) (Accepted, error) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return Accepted{}, nil
	}
	if first := bytes.TrimSpace(answer)[0]; first != '{' {
		return Accepted{}, &Error{Op: op, Status: status, Message: "the answer is not JSON; a maintenance page or a proxy may stand in between", kind: KindUnavailable}
	}
	var body struct {
		Code            text            `json:"responseCode"`
		Message         text            `json:"message"`
		ResponseMessage text            `json:"responseMessage"`
		Errors          json.RawMessage `json:"assetsError"`
	}
	if err := json.Unmarshal(answer, &body); err != nil || len(answer) > maxWriteAnswer {
		return Accepted{}, unreadable(op, err)
	}
	clean := func(s string) string { return cut(transport.Redact(s, c.secrets())) }
	out := Accepted{Code: clean(string(body.Code)), Message: clean(string(body.Message + body.ResponseMessage))}
	out.assign(refusals(body.Errors), keys, clean)
	partly := status == http.StatusMultiStatus || len(out.Refused)+len(out.Stray) > 0
	if code := strings.ToUpper(out.Code); !partly && !strings.HasPrefix(code, "SUCCESS") {
		if err := envelope(op, code, out.Message); err != nil {
			return Accepted{}, err
		}
	}
	return out, nil
}

// refusal207 is one entry of assetsError.
type refusal207 struct {
	names   []string // that may be those of the record
	message string
}

// refusals reads assetsError leniently: its pages do not show an entry. A map from
// record to message is what clients saw; a list of objects is read too.
func refusals(raw json.RawMessage) []refusal207 {
	var byRecord map[string]json.RawMessage
	var list []json.RawMessage
	var out []refusal207
	switch {
	case json.Unmarshal(raw, &byRecord) == nil:
		for name, what := range byRecord {
			r := said(what)
			out = append(out, refusal207{names: append([]string{name}, r.names...), message: r.message})
		}
	case json.Unmarshal(raw, &list) == nil:
		for _, what := range list {
			out = append(out, said(what))
		}
	}
	return out
}

// said reads what is said of one record: a text, a list of texts, or an object
// with the record's name among its members.
func said(raw json.RawMessage) refusal207 {
	var message string
	var several []string
	var object map[string]any
	switch {
	case json.Unmarshal(raw, &message) == nil:
		return refusal207{message: message}
	case json.Unmarshal(raw, &several) == nil:
		return refusal207{message: strings.Join(several, "; ")}
	case json.Unmarshal(raw, &object) != nil:
		return refusal207{message: string(raw)}
	}
	var r refusal207
	for member, value := range object {
		s := fmt.Sprint(value)
		if n, ok := value.(float64); ok {
			s = fmt.Sprintf("%.0f", n)
		}
		switch strings.ToLower(member) {
		case "message", "error", "errormessage", "reason":
			r.message = s
		default:
			r.names = append(r.names, s)
		}
	}
	if r.message == "" {
		r.message = string(raw)
	}
	return r
}

// assign gives refusals to the records that they name, and never guesses: a name
// that two records have is nobody's.
func (a *Accepted) assign(list []refusal207, keys [][]string, clean func(string) string) {
	owner := map[string]string{}
	for _, names := range keys {
		for _, n := range names {
			if other, taken := owner[n]; taken && other != names[0] {
				owner[n] = ""
			} else {
				owner[n] = names[0]
			}
		}
	}
	for _, names := range keys {
		owner[names[0]] = names[0] // a key is its record's, whoever else is called so
	}
	for _, r := range list {
		key := ""
		for _, n := range r.names {
			if k := owner[n]; k != "" {
				key = k
				break
			}
		}
		switch {
		case key != "":
			if a.Refused == nil {
				a.Refused = map[string]string{}
			}
			a.Refused[key] = clean(r.message)
		case len(a.Stray) < maxRefusals:
			a.Stray = append(a.Stray, clean(strings.Join(append(r.names, r.message), ": ")))
		}
	}
}
