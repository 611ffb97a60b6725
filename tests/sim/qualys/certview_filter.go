package qualys

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// The operators that CertView has besides those of the inventory; they take no value.
const (
	opEmpty    operator = "IS_EMPTY"
	opNotEmpty operator = "IS_NOT_EMPTY"
)

// certTarget is what a criterion is tried on: a certificate with its assets, or one instance of it.
type certTarget struct {
	c *estate.Certificate
	// host and endpoint are set for an instance.
	host     *estate.CertificateHost
	endpoint *estate.CertificateEndpoint
}

// certSubject tries the criteria of one request, and keeps what it needs to look at assets.
type certSubject struct {
	s      *Server
	q      *certQuery
	reader *estate.Reader
}

func (s *Server) certSubject(q *certQuery) *certSubject {
	return &certSubject{s, q, s.estate.Reader()}
}

// certField is a field that a filter may name.
type certField struct {
	class class
	// confirmed is false for fields that no public document names.
	confirmed bool
	read      func(x *certSubject, t certTarget, fn func(value) bool)
}

func certText(get func(c *estate.Certificate) string) func(*certSubject, certTarget, func(value) bool) {
	return func(_ *certSubject, t certTarget, fn func(value) bool) {
		if v := get(t.c); v != "" {
			fn(value{text: v})
		}
	}
}

func certDate(get func(c *estate.Certificate) int64) func(*certSubject, certTarget, func(value) bool) {
	return func(_ *certSubject, t certTarget, fn func(value) bool) {
		if ms := get(t.c); ms > 0 {
			fn(value{at: time.UnixMilli(ms).UTC()})
		}
	}
}

// certAssetText makes a field of what the record says about each asset.
func certAssetText(get func(a *estate.CertificateAsset, fn func(value) bool) bool) func(*certSubject, certTarget, func(value) bool) {
	return func(x *certSubject, t certTarget, fn func(value) bool) {
		x.eachHost(t, func(h estate.CertificateHost) bool {
			a, ok := x.reader.CertificateAsset(h, x.s.tags.show)
			return !ok || get(&a, fn)
		})
	}
}

// certFields are the fields of the filter (CertView API guide, list certificates).
var certFields = map[string]certField{
	"certificate.type":          {enumeration, true, certText(func(c *estate.Certificate) string { return c.Kind })},
	"certificate.hash":          {text, true, certText(func(c *estate.Certificate) string { return c.Hash() })},
	"certificate.serialNumber":  {text, true, certText(func(c *estate.Certificate) string { return c.Serial })},
	"certificate.validToDate":   {date, true, certDate(func(c *estate.Certificate) int64 { return c.ValidTo })},
	certKeyField:                {enumeration, true, certText(func(c *estate.Certificate) string { return c.KeyAlgorithm })},
	"certificate.validFromDate": {date, false, certDate(func(c *estate.Certificate) int64 { return c.ValidFrom })},
	"certificate.updateDate":    {date, false, certDate(func(c *estate.Certificate) int64 { return c.Updated })},
	"certificate.lastFound":     {date, false, certDate(func(c *estate.Certificate) int64 { return c.LastFound })},
	"asset.id": {numeric, true, func(x *certSubject, t certTarget, fn func(value) bool) {
		x.eachHost(t, func(h estate.CertificateHost) bool { return fn(value{number: float64(h.ID)}) })
	}},
	"asset.primaryIp": {ipClass, true, certAssetText(func(a *estate.CertificateAsset, fn func(value) bool) bool {
		return fn(value{text: a.Address.String()})
	})},
	certTagField: {text, true, certAssetText(func(a *estate.CertificateAsset, fn func(value) bool) bool {
		for _, label := range a.Labels {
			if !fn(value{text: label.Name}) {
				return false
			}
		}
		return true
	})},
	"instance.id": {numeric, true, func(x *certSubject, t certTarget, fn func(value) bool) {
		if t.endpoint != nil {
			fn(value{number: float64(t.endpoint.ID)})
			return
		}
		x.eachEndpoint(t.c, func(_ estate.CertificateHost, p *estate.CertificateEndpoint) bool {
			return fn(value{number: float64(p.ID)})
		})
	}},
}

const (
	certKeyField = "certificate.publicKeyAlgorithm"
	certTagField = "asset.tagName"
)

// eachHost calls fn with the assets that a target is about.
func (x *certSubject) eachHost(t certTarget, fn func(estate.CertificateHost) bool) {
	if t.host != nil {
		fn(*t.host)
		return
	}
	t.c.EachHost(x.q.scope, fn)
}

func (x *certSubject) eachEndpoint(c *estate.Certificate, fn func(estate.CertificateHost, *estate.CertificateEndpoint) bool) {
	c.EachHost(x.q.scope, func(h estate.CertificateHost) bool {
		all := c.Endpoints(h)
		for i := range all {
			if !fn(h, &all[i]) {
				return false
			}
		}
		return true
	})
}

// certCriterion is one line of the list.
type certCriterion struct {
	criterion
	field certField
}

// certFilter is a parsed filter; the zero value matches everything.
type certFilter struct {
	criteria []certCriterion
	or       bool
	tags     bool
}

// parseCertFilter reads {"filters":[{field,value,operator}],"operation":AND|OR}. The operation is mandatory as soon as
// there is more than one filter.
func parseCertFilter(raw json.RawMessage, keyAlgorithm, unconfirmed bool) (certFilter, error) {
	var f certFilter
	var body struct {
		Filters   []map[string]json.RawMessage
		Operation *string
	}
	var members map[string]json.RawMessage
	if readMember(raw, &members) != nil || readMember(members["filters"], &body.Filters) != nil ||
		readMember(members["operation"], &body.Operation) != nil {
		return f, refusal("Malformed JSON request")
	}
	switch {
	case body.Operation == nil && len(body.Filters) > 1:
		return f, refusal("operation is mandatory with more than one filter")
	case body.Operation == nil || *body.Operation == operationAnd:
	case *body.Operation == operationOr:
		f.or = true
	default:
		return f, refusal("Invalid operation: " + *body.Operation)
	}
	for _, m := range body.Filters {
		c, name, err := compileCert(m, unconfirmed)
		if err == nil && name == certKeyField && !keyAlgorithm {
			err = refusal("Invalid filter field: " + name)
		}
		if err != nil {
			return f, err
		}
		f.tags = f.tags || name == certTagField
		f.criteria = append(f.criteria, c)
	}
	return f, nil
}

// certAllows tells whether a field's type has an operator. CertView publishes one list of operators for all fields; what
// makes no sense for a type is refused.
func certAllows(c class, op operator) bool {
	switch op {
	case opEquals, opNotEquals, opEmpty, opNotEmpty:
		return true
	case opIn:
		return c != date
	case opContains:
		return c == text
	case opGreater, opLesser, opGreaterEqual, opLessEqual:
		return c == date || c == numeric
	}
	return false
}

func compileCert(m map[string]json.RawMessage, unconfirmed bool) (certCriterion, string, error) {
	var name, op *string
	if readMember(m["field"], &name) != nil || readMember(m["operator"], &op) != nil || name == nil || op == nil {
		return certCriterion{}, "", refusal("Invalid filter: field and operator are mandatory")
	}
	field, known := certFields[*name]
	if !known || !field.confirmed && !unconfirmed {
		return certCriterion{}, *name, refusal("Invalid filter field: " + *name)
	}
	c := certCriterion{criterion{token: &filterToken{class: field.class}, op: operator(*op)}, field}
	if !certAllows(field.class, c.op) {
		return c, *name, refusal("Invalid operator " + *op + " for field: " + *name)
	}
	if c.op == opEmpty || c.op == opNotEmpty {
		return c, *name, nil
	}
	raw := m["value"]
	if len(raw) == 0 || string(raw) == "null" {
		return c, *name, refusal("Invalid filter: value is mandatory for field: " + *name)
	}
	var err error
	c.criterion, err = c.withValue(*name, raw)
	return c, *name, err
}

// withValue takes a text, a number or a boolean; IN takes a list with commas.
func (c criterion) withValue(name string, raw json.RawMessage) (criterion, error) {
	var given string
	if err := json.Unmarshal(raw, &given); err != nil {
		if given = string(raw); given[0] == '[' || given[0] == '{' {
			return c, refusal("Invalid value for field: " + name)
		}
	}
	c.values = []string{given}
	if c.op == opIn {
		c.values = strings.Split(given, ",")
	}
	for i := range c.values {
		c.values[i] = strings.ToLower(strings.TrimSpace(c.values[i]))
	}
	if c.token.class == numeric && slices.ContainsFunc(c.values, func(v string) bool { _, err := strconv.ParseInt(v, 10, 64); return err != nil }) {
		return c, refusal("Invalid value for field: " + name)
	}
	return c.typed(name, given)
}

// match tries a certificate: a field with several values matches when one of them does, NOT_EQUALS when none is equal.
// A certificate without an asset in the scope of the request is not listed.
func (x *certSubject) match(c *estate.Certificate) bool {
	some := false
	c.EachHost(x.q.scope, func(estate.CertificateHost) bool { some = true; return false })
	return some && x.holds(certTarget{c: c})
}

func (x *certSubject) matchEndpoint(c *estate.Certificate, h estate.CertificateHost, p *estate.CertificateEndpoint) bool {
	return x.holds(certTarget{c, &h, p})
}

func (x *certSubject) holds(t certTarget) bool {
	f := &x.q.filter
	for i := range f.criteria {
		if f.criteria[i].match(x, t) == f.or {
			return f.or
		}
	}
	return !f.or || len(f.criteria) == 0
}

func (c *certCriterion) match(x *certSubject, t certTarget) bool {
	found := false
	c.field.read(x, t, func(v value) bool {
		found = c.op == opEmpty || c.op == opNotEmpty || c.holds(v)
		return !found
	})
	if c.op == opNotEquals || c.op == opEmpty {
		return !found
	}
	return found
}
