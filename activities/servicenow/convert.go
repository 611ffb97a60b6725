package servicenow

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/domain/cmdb"
	"github.com/qbridge/qbridge/domain/payload"
)

// IREOptions are options of an IRE call.
type IREOptions struct {
	// PartialPayloads lets IRE park items that it cannot identify. Off by
	// default: such an item would be neither written nor an error.
	PartialPayloads bool
	// Settings are the class-change flags, sent with every item.
	Settings payload.Settings
	// SourceFeed names the part of the source that the items come from; empty: not sent.
	SourceFeed string
	// Recency returns when the source last saw an item, by the item's key; IRE
	// lets newer data win. Nil, or the zero time: not sent, and IRE takes now.
	Recency func(key string) time.Time
}

// IdentifyReconcile sends a payload to IRE and returns the answer aligned with
// its items and relations. The error is nil whenever IRE answered: an answer
// with status 200 may hold errors for any item, or nothing written at all, so
// success is read from the items. After KindUnknownOutcome the payload may have
// been written in whole or in part; sending it again is safe, because IRE finds
// items by source key.
//
// Identification and Reconciliation API: POST /api/now/identifyreconcile/enhanced.
// The data source is taken from the query string only.
func (c *Client) IdentifyReconcile(ctx context.Context, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	return c.ire(ctx, "identify and reconcile", "/api/now/identifyreconcile/enhanced", true, p, o)
}

// Query asks IRE what a payload would do, without writing anything. Items that
// would be inserted have no sys_id in the answer.
//
// Identification and Reconciliation API: POST /api/now/identifyreconcile/queryEnhanced.
func (c *Client) Query(ctx context.Context, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	return c.ire(ctx, "query identification", "/api/now/identifyreconcile/queryEnhanced", false, p, o)
}

func (c *Client) ire(ctx context.Context, op, path string, writes bool, p *payload.Payload, o IREOptions) (*payload.Answer, Meta, error) {
	if err := c.sendable(op, p); err != nil {
		return nil, Meta{}, err
	}
	b := c.leaseBody()
	defer b.release()
	b.data = encodePayload(slices.Grow(b.data, 512*len(p.Items)+64), p, c.cfg.DiscoverySource, &o)
	result, meta, err := fetch[wireResult](ctx, c, request{
		op: op, method: http.MethodPost, path: path, writes: writes, body: b,
		query: url.Values{
			"sysparm_data_source": {c.cfg.DiscoverySource},
			// partial_payloads forces the other two; they are sent because an
			// instance may have other defaults.
			"options": {fmt.Sprintf("partial_payloads:%t,partial_commits:true,deduplicate_payloads:true", o.PartialPayloads)},
		},
	})
	if err != nil {
		return nil, meta, err
	}
	return result.align(p), meta, nil
}

// sendable refuses what IRE would refuse for every item, or worse, misunderstand.
func (c *Client) sendable(op string, p *payload.Payload) error {
	if c.cfg.DiscoverySource == "" {
		return invalid(op, "connection %s has no discoverySource", c.cfg.Name)
	}
	if len(p.Items) == 0 {
		return invalid(op, "payload %s has no items", p.ID)
	}
	for _, r := range p.Relations {
		if min(r.Parent, r.Child) < 0 || max(r.Parent, r.Child) >= len(p.Items) {
			return invalid(op, "payload %s has a relation between items %d and %d, but %d items", p.ID, r.Parent, r.Child, len(p.Items))
		}
	}
	return nil
}

// encodePayload appends the JSON of a payload. Values are strings, as IRE wants
// them; relations name items by index, as integers.
func encodePayload(b []byte, p *payload.Payload, source string, o *IREOptions) []byte {
	b = append(b, `{"items":[`...)
	for i := range p.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, i, &p.Items[i], source, o)
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

// appendItem appends one item. An item with a sys_id is addressed directly and
// carries no source information: IRE would look at that first. The internal id
// is the position, because keys of shared items need not be unique together with
// those of lookup rows, which share the namespace.
func appendItem(b []byte, i int, it *payload.Item, source string, o *IREOptions) []byte {
	b = append(b, `{"className":`...)
	b = appendString(b, it.Class)
	b = append(b, `,"internal_id":"i`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `","values":{`...)
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
		b = appendSource(b, it.Key, source, o)
	}
	b = appendRows(b, `,"lookup":[`, it.Lookup)
	b = appendRows(b, `,"related":[`, it.Related)
	b = append(b, `,"settings":{"updateWithoutUpgrade":`...)
	b = strconv.AppendBool(b, o.Settings.WithoutUpgrade)
	b = append(b, `,"updateWithoutDowngrade":`...)
	b = strconv.AppendBool(b, o.Settings.WithoutDowngrade)
	b = append(b, `,"updateWithoutSwitch":`...)
	b = strconv.AppendBool(b, o.Settings.WithoutSwitch)
	return append(b, `}}`...)
}

// timeLayout is how ServiceNow writes instants, always in UTC.
const timeLayout = "2006-01-02 15:04:05"

func appendSource(b []byte, key, source string, o *IREOptions) []byte {
	b = append(b, `,"sys_object_source_info":{"source_name":`...)
	b = appendString(b, source)
	b = append(b, `,"source_native_key":`...)
	b = appendString(b, key)
	if o.SourceFeed != "" {
		b = append(b, `,"source_feed":`...)
		b = appendString(b, o.SourceFeed)
	}
	if o.Recency != nil {
		if t := o.Recency(key); !t.IsZero() {
			b = append(b, `,"source_recency_timestamp":"`...)
			b = t.UTC().AppendFormat(b, timeLayout)
			b = append(b, '"')
		}
	}
	return append(b, '}')
}

// appendRows appends the lookup or related rows of an item; IRE fills their
// reference to it.
func appendRows(b []byte, name string, rows []cmdb.Row) []byte {
	if len(rows) == 0 {
		return b
	}
	b = append(b, name...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"className":`...)
		b = appendString(b, rows[i].Table)
		b = append(b, `,"values":{`...)
		b = appendColumns(b, rows[i].Columns)
		b = append(b, `}}`...)
	}
	return append(b, ']')
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

// align orders the answer like the payload, through inputIndices (several when
// IRE merged duplicates) and duplicateIndices of older releases. Items that the
// answer does not mention keep an empty operation.
func (r *wireResult) align(p *payload.Payload) *payload.Answer {
	out := &payload.Answer{Items: make([]payload.ItemAnswer, len(p.Items)), Relations: make([]payload.RelationAnswer, len(p.Relations))}
	byPosition := len(r.Items) == len(p.Items) && r.anonymous() && r.sameClasses(p)
	items := placer{taken: make([]bool, len(p.Items)), failed: func(i int) bool { return len(out.Items[i].Errors) > 0 }}
	for pos := range r.Items {
		w := &r.Items[pos]
		a := w.convert()
		for _, i := range items.places(w.Indices, pos, byPosition, len(w.Errors) > 0) {
			out.Items[i] = a
		}
	}
	for pos := range r.Items {
		w := &r.Items[pos]
		for _, i := range w.Duplicates {
			if i := int(i); i >= 0 && i < len(out.Items) && !items.taken[i] {
				items.taken[i], out.Items[i] = true, w.convert()
			}
		}
	}
	byPosition = len(r.Relations) == len(p.Relations) && !slices.ContainsFunc(r.Relations, func(w wireRelation) bool { return len(w.Indices) > 0 })
	relations := placer{taken: make([]bool, len(p.Relations)), failed: func(i int) bool { return len(out.Relations[i].Errors) > 0 }}
	for pos := range r.Relations {
		w := &r.Relations[pos]
		a := payload.RelationAnswer{Operation: string(w.Operation), Errors: messages(w.Errors), Warnings: messages(w.Warnings)}
		for _, i := range relations.places(w.Indices, pos, byPosition, len(w.Errors) > 0) {
			out.Relations[i] = a
		}
	}
	return out
}

// anonymous reports whether no item names its index: an old server.
func (r *wireResult) anonymous() bool {
	return !slices.ContainsFunc(r.Items, func(w wireItem) bool { return len(w.Indices) > 0 || len(w.Duplicates) > 0 })
}

// sameClasses reports whether an answer without indices can be in the order of
// the payload: an inserted item has the class that was sent.
func (r *wireResult) sameClasses(p *payload.Payload) bool {
	for i := range r.Items {
		w := &r.Items[i]
		if w.Operation == payload.OpInsert && !strings.EqualFold(string(w.ClassName), p.Items[i].Class) {
			return false
		}
	}
	return true
}

// placer gives the entries of an answer their places. When two entries claim one
// place, an error is never covered by a success.
type placer struct {
	taken  []bool
	failed func(i int) bool
}

func (p *placer) places(named []index, pos int, byPosition, fails bool) []int {
	if byPosition {
		return []int{pos}
	}
	var out []int
	for _, n := range named {
		i := int(n)
		if i < 0 || i >= len(p.taken) || (p.taken[i] && (p.failed(i) || !fails)) {
			continue
		}
		p.taken[i] = true
		out = append(out, i)
	}
	return out
}

func (w *wireItem) convert() payload.ItemAnswer {
	a := payload.ItemAnswer{
		Class: string(w.ClassName), Operation: string(w.Operation), SysID: known(w.SysID), IdentifierEntry: known(w.IdentifierEntry), Masked: w.Masked,
		Errors: messages(w.Errors), Warnings: messages(w.Warnings), Info: messages(w.Info),
	}
	for i := range w.Attempts {
		t := &w.Attempts[i]
		a.Attempts = append(a.Attempts, payload.Attempt{
			Identifier: string(t.Identifier), Result: string(t.Result), Table: string(t.Table),
			Attributes: slices.Concat(t.Attributes, t.Hybrid), Info: string(t.Info),
		})
	}
	for i := range w.Related {
		rel := &w.Related[i]
		a.Errors = append(a.Errors, messages(rel.Errors)...)
		a.Warnings = append(a.Warnings, messages(rel.Warnings)...)
		a.Info = append(a.Info, messages(rel.Info)...)
		a.RelatedChanged = a.RelatedChanged || rel.Operation == payload.OpInsert || rel.Operation == payload.OpUpdate
	}
	return a
}

// known turns IRE's "Unknown" into nothing.
func known(id text) string {
	if strings.EqualFold(string(id), "unknown") || id == "null" {
		return ""
	}
	return string(id)
}

// maxIREMessage bounds an IRE message, in characters: IRE quotes whole items.
const maxIREMessage = 1000

func messages(list []wireMessage) []payload.Message {
	var out []payload.Message
	for i := range list {
		m := payload.Message{Code: string(list[i].Error), Text: cut(string(list[i].Message), maxIREMessage)}
		if m.Code == "" {
			m.Code = string(list[i].Code)
		}
		if rule := list[i].Rule; rule != "" {
			m.Text += " [rule " + string(rule) + "]"
		}
		if m.Code != "" || m.Text != "" {
			out = append(out, m)
		}
	}
	return out
}
