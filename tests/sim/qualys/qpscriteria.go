package qualys

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// qpsClass is the data type of a criterion (Cloud Agent API guide, "list agents"); it decides the legal operators.
type qpsClass string

const (
	qpsInteger qpsClass = "Long"
	qpsText    qpsClass = "String"
	qpsDate    qpsClass = "Date"
	qpsKeyword qpsClass = "Keyword"
)

func (c qpsClass) allows(op string) bool {
	legal := map[qpsClass][]string{
		qpsInteger: {"EQUALS", "NOT EQUALS", "GREATER", "LESSER", "IN"},
		qpsText:    {"CONTAINS", "EQUALS", "NOT EQUALS"},
		qpsDate:    {"EQUALS", "NOT EQUALS", "GREATER", "LESSER"},
		qpsKeyword: {"EQUALS", "NOT EQUALS", "IN"},
	}
	return slices.Contains(legal[c], op)
}

// qpsCriterion is one line of the filters, which are combined by AND.
type qpsCriterion struct {
	field, op string
	class     qpsClass
	values    []string
	numbers   []int64
	at        time.Time
}

// qpsRequest is the part of a request that search, count and bulk updates share.
type qpsRequest struct {
	criteria    []qpsCriterion
	limit       int
	offset      int
	from        int64
	data        *node
	constrained bool
}

// parseQPS reads preferences and filters. fields are the criteria of the object.
func parseQPS(n *node, fields map[string]qpsClass) (qpsRequest, *qpsFailure) {
	q := qpsRequest{limit: 100, offset: 1, data: n.child("data")}
	preferences := n.child("preferences")
	for _, p := range []struct {
		name     string
		to       func(int64)
		min, max int64
	}{
		{"limitResults", func(v int64) { q.limit = int(v) }, 1, 1000},
		{"startFromOffset", func(v int64) { q.offset = int(v) }, 1, 1 << 31},
		{"startFromId", func(v int64) { q.from = v }, 0, 1 << 62},
	} {
		text, ok := preferences.value(p.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < p.min || v > p.max {
			return q, invalid400("Preferences: Invalid value for '"+p.name+"' ("+text+").", "Specify a value from "+strconv.FormatInt(p.min, 10)+" to "+strconv.FormatInt(p.max, 10)+".")
		}
		p.to(v)
	}
	for _, c := range n.child("filters").all("Criteria") {
		criterion, refused := parseCriterion(c, fields)
		if refused != nil {
			return q, refused
		}
		q.criteria = append(q.criteria, criterion)
	}
	q.constrained = len(q.criteria) > 0
	return q, nil
}

func parseCriterion(n *node, fields map[string]qpsClass) (qpsCriterion, *qpsFailure) {
	field, _ := n.value("field")
	op, _ := n.value("operator")
	text := strings.TrimSpace(n.text)
	c := qpsCriterion{field: field, op: op, values: []string{strings.ToLower(text)}}
	class, ok := fields[field]
	if !ok {
		return c, invalid400("Criteria: Invalid field name '"+field+"'.", "Specify a field that the object can be searched by.")
	}
	c.class = class
	if !class.allows(op) {
		return c, invalid400("Criteria: Invalid operator '"+op+"' for criteria '"+field+"'.", "Specify an operator that is allowed for "+string(class)+".")
	}
	if op == "IN" {
		c.values = strings.Split(c.values[0], ",")
	}
	wrong := invalid400("Criteria: Invalid value format for criteria '"+field+"' ("+text+").", "Specify criteria value(s) as "+string(class)+".")
	switch class {
	case qpsInteger:
		for _, v := range c.values {
			number, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err != nil {
				return c, wrong
			}
			c.numbers = append(c.numbers, number)
		}
	case qpsDate:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return c, wrong
		}
		c.at = at
	}
	return c, nil
}

// holds tries the values that a record has for the field: one is enough, and NOT EQUALS wants none to be equal.
func (c qpsCriterion) holds(values []string) bool {
	hit := slices.ContainsFunc(values, c.one)
	return hit != (c.op == "NOT EQUALS")
}

func (c qpsCriterion) one(v string) bool {
	sign := 0
	switch c.class {
	case qpsInteger:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return false
		}
		if c.op == "IN" {
			return slices.Contains(c.numbers, n)
		}
		sign = compare(float64(n), float64(c.numbers[0]))
	case qpsDate:
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return false
		}
		sign = at.Compare(c.at)
	default:
		v = strings.ToLower(v)
		if c.op == "CONTAINS" {
			return strings.Contains(v, c.values[0])
		}
		return slices.Contains(c.values, v)
	}
	switch c.op {
	case "GREATER":
		return sign > 0
	case "LESSER":
		return sign < 0
	}
	return sign == 0
}

// after is the id that the criteria say every record lies above, so that a scan can start there.
func (q qpsRequest) after() int64 {
	start := q.from - 1
	for _, c := range q.criteria {
		if c.field == "id" && c.op == "GREATER" {
			start = max(start, c.numbers[0])
		}
	}
	return start
}

// qpsRecord is a host asset, an asset or a tag.
type qpsRecord struct {
	id    int64
	field func(name string) []string
	elem  func() elem
}

func (q qpsRequest) match(r qpsRecord) bool {
	for _, c := range q.criteria {
		if !c.holds(r.field(c.field)) {
			return false
		}
	}
	return r.id >= q.from
}
