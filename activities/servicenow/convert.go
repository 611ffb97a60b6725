package servicenow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// IREOptions are options of an IRE call.
type IREOptions struct {
	// PartialPayloads lets IRE park items that it cannot identify. Off by
	// default: such an item would be neither written nor an error.
	PartialPayloads bool
	Settings        payload.Settings
}

// IdentifyReconcile sends a payload to IRE and returns the answer aligned with
// its items and relations. An answer with status 200 may hold errors for any
// item: success is read from the items.
//
// Identification and Reconciliation API: POST /api/now/identifyreconcile/enhanced.
func (c *Client) IdentifyReconcile(ctx context.Context, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	return c.ire(ctx, "identify and reconcile", "/api/now/identifyreconcile/enhanced", true, p, o)
}

// Query asks IRE what a payload would do, without writing anything.
//
// Identification and Reconciliation API: POST /api/now/identifyreconcile/queryEnhanced.
func (c *Client) Query(ctx context.Context, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	return c.ire(ctx, "query identification", "/api/now/identifyreconcile/queryEnhanced", false, p, o)
}

func (c *Client) ire(ctx context.Context, op, path string, writes bool, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	r := request{
		op: op, method: http.MethodPost, path: path, writes: writes, body: encodePayload(nil, p, c.cfg.DiscoverySource, o.Settings),
		query: url.Values{
			"sysparm_data_source": {c.cfg.DiscoverySource},
			"options":             {fmt.Sprintf("partial_payloads:%t,partial_commits:true,deduplicate_payloads:true", o.PartialPayloads)},
		},
	}
	var out *payload.Answer
	meta, err := c.call(ctx, r, func(body io.Reader) error {
		var w wireAnswer
		dec := json.NewDecoder(body)
		if err := dec.Decode(&w); err != nil {
			return err
		}
		if w.Result == nil {
			return lost(r, "the answer has no result")
		}
		out = w.Result.align(p)
		return nil
	})
	if err != nil {
		return nil, meta, err
	}
	return out, meta, nil
}

// encodePayload appends the JSON of a payload. Values are strings, as IRE wants
// them; relations name items by index.
func encodePayload(b []byte, p *payload.Payload, source string, s payload.Settings) []byte {
	if b == nil {
		b = make([]byte, 0, 512*len(p.Items)+64)
	}
	b = append(b, `{"items":[`...)
	for i := range p.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &p.Items[i], source, s)
	}
	b = append(b, `],"relations":[`...)
	for i, r := range p.Relations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"parent":`...)
		b = strconv.AppendInt(b, int64(r.Parent), 10)
		b = append(b, `,"child":`...)
		b = strconv.AppendInt(b, int64(r.Child), 10)
		b = append(b, `,"type":`...)
		b = appendString(b, r.Type)
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

func appendItem(b []byte, it *payload.Item, source string, s payload.Settings) []byte {
	b = append(b, `{"className":`...)
	b = appendString(b, it.Class)
	b = append(b, `,"values":{`...)
	if it.SysID != "" {
		b = append(b, `"sys_id":`...)
		b = appendString(b, it.SysID)
		if len(it.Columns) > 0 {
			b = append(b, ',')
		}
	}
	b = appendColumns(b, it.Columns)
	b = append(b, '}')
	if it.SysID == "" {
		b = append(b, `,"sys_object_source_info":{"source_name":`...)
		b = appendString(b, source)
		b = append(b, `,"source_native_key":`...)
		b = appendString(b, it.Key)
		b = append(b, '}')
	}
	if len(it.Lookup) > 0 {
		b = append(b, `,"lookup":[`...)
		for i := range it.Lookup {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"className":`...)
			b = appendString(b, it.Lookup[i].Table)
			b = append(b, `,"values":{`...)
			b = appendColumns(b, it.Lookup[i].Columns)
			b = append(b, `}}`...)
		}
		b = append(b, ']')
	}
	b = append(b, `,"settings":{"updateWithoutUpgrade":`...)
	b = strconv.AppendBool(b, s.WithoutUpgrade)
	b = append(b, `,"updateWithoutDowngrade":`...)
	b = strconv.AppendBool(b, s.WithoutDowngrade)
	b = append(b, `,"updateWithoutSwitch":`...)
	b = strconv.AppendBool(b, s.WithoutSwitch)
	return append(b, `}}`...)
}

func appendColumns(b []byte, cols []cmdb.Column) []byte {
	for i := range cols {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, cols[i].Name)
		b = append(b, ':')
		b = appendString(b, cols[i].Value)
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string; invalid UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[start:i]...)
				b = append(b, `\ufffd`...)
				i++
				start = i
				continue
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// align orders the answer like the payload, through inputIndices and never by
// position alone. An answer without indices is taken by position only when it
// has exactly as many entries.
func (r *wireResult) align(p *payload.Payload) *payload.Answer {
	out := &payload.Answer{Items: make([]payload.ItemAnswer, len(p.Items)), Relations: make([]payload.RelationAnswer, len(p.Relations))}
	for pos := range r.Items {
		w := &r.Items[pos]
		for _, i := range indices(w.Indices, pos, len(r.Items), len(out.Items)) {
			out.Items[i] = w.convert()
		}
	}
	for pos := range r.Relations {
		w := &r.Relations[pos]
		for _, i := range indices(w.Indices, pos, len(r.Relations), len(out.Relations)) {
			out.Relations[i] = payload.RelationAnswer{Operation: w.Operation, Errors: messages(w.Errors), Warnings: messages(w.Warnings)}
		}
	}
	return out
}

func indices(named []int, pos, answered, sent int) []int {
	var out []int
	for _, i := range named {
		if i >= 0 && i < sent {
			out = append(out, i)
		}
	}
	if len(named) == 0 && answered == sent {
		out = []int{pos}
	}
	return out
}

func (w *wireItem) convert() payload.ItemAnswer {
	a := payload.ItemAnswer{
		Class: w.ClassName, Operation: w.Operation, SysID: known(w.SysID), IdentifierEntry: known(w.IdentifierEntry), Masked: w.Masked,
		Errors: messages(w.Errors), Warnings: messages(w.Warnings), Info: messages(w.Info),
	}
	for _, t := range w.Attempts {
		a.Attempts = append(a.Attempts, payload.Attempt{Identifier: t.Identifier, Result: t.Result, Table: t.Table, Attributes: t.Attributes, Info: t.Info})
	}
	for _, rel := range w.Related {
		a.Errors = append(a.Errors, messages(rel.Errors)...)
		a.RelatedChanged = a.RelatedChanged || rel.Operation == payload.OpInsert || rel.Operation == payload.OpUpdate
	}
	return a
}

// known turns IRE's "Unknown" into nothing.
func known(id string) string {
	if id == "Unknown" || id == "null" {
		return ""
	}
	return id
}

func messages(list []wireMessage) []payload.Message {
	var out []payload.Message
	for _, m := range list {
		code := m.Error
		if code == "" {
			code = m.Code
		}
		out = append(out, payload.Message{Code: code, Text: cut(m.Message)})
	}
	return out
}
