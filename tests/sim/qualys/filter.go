package qualys

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strconv"
	"strings"
	"time"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// operator of a criterion.
type operator string

const (
	opEquals       operator = "EQUALS"
	opNotEquals    operator = "NOT_EQUALS"
	opContains     operator = "CONTAINS"
	opIn           operator = "IN"
	opGreater      operator = "GREATER"
	opLesser       operator = "LESSER"
	opGreaterEqual operator = "GREATER_THAN_EQUAL"
	opLessEqual    operator = "LESS_THAN_EQUAL"
)

// class is the data type of a token; it decides which operators are legal.
type class string

const (
	numeric       class = "NUMERIC"
	text          class = "STRING"
	textNoNot     class = "STRING_AND_NOT_EQUAL"
	date          class = "DATE"
	boolean       class = "BOOLEAN"
	enumeration   class = "ENUM"
	uuidClass     class = "UUID"
	ipClass       class = "IP"
	numericNoNot  class = "NUMERIC_AND_NOT_EQUAL"
	operationAnd        = "AND"
	operationOr         = "OR"
	filterMaximum       = 1 << 20
)

// allows is the table "supported operators" of the CSAM API guide's appendix.
func (c class) allows(op operator) bool {
	ordered := op == opGreater || op == opLesser || op == opGreaterEqual || op == opLessEqual
	switch c {
	case numeric:
		return ordered || op == opEquals || op == opIn || op == opNotEquals
	case numericNoNot:
		return ordered || op == opEquals || op == opIn
	case text:
		return op == opContains || op == opIn || op == opEquals || op == opNotEquals
	case textNoNot:
		return op == opContains || op == opIn || op == opEquals
	case date:
		return ordered || op == opEquals || op == opNotEquals
	case boolean:
		return op == opEquals
	case enumeration:
		return op == opEquals || op == opNotEquals || op == opIn
	case uuidClass, ipClass:
		return op == opEquals || op == opIn
	}
	return false
}

// refusal is the text of a 400, in the vendor's wording.
type refusal string

func (r refusal) Error() string { return string(r) }

// criterion is one line of the flat list, ready to be tried on assets.
type criterion struct {
	token   *filterToken
	op      operator
	values  []string
	numbers []float64
	at      time.Time
}

// filter is a parsed body; the zero value matches every asset.
type filter struct {
	criteria []criterion
	or       bool
}

// rawFilter is the body's shape. Other top-level keys are ignored in silence, as the vendor does: a client that sends
// some other query language gets the unfiltered first page.
type rawFilter struct {
	Filters   *[]rawCriterion `json:"filters"`
	Operation *string         `json:"operation"`
}

type rawCriterion struct {
	Field    *string         `json:"field"`
	Operator *string         `json:"operator"`
	Value    json.RawMessage `json:"value"`
}

type xmlFilter struct {
	XMLName xml.Name `xml:"FilterRequest"`
	Filters struct {
		Criteria []struct {
			Field    string `xml:"field,attr"`
			Operator string `xml:"operator,attr"`
			Value    string `xml:"value"`
		} `xml:"Criteria"`
	} `xml:"filters"`
	Operation string `xml:"operation"`
}

// parseFilter reads the body of search and count. An error's text is the vendor's responseMessage.
func parseFilter(body []byte, isXML bool) (filter, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return filter{}, nil
	}
	raw, err := decodeFilter(body, isXML)
	if err != nil {
		return filter{}, err
	}
	var f filter
	if raw.Operation != nil {
		switch *raw.Operation {
		case operationAnd:
		case operationOr:
			f.or = true
		default:
			return filter{}, refusal("Invalid operation: " + *raw.Operation)
		}
	}
	if raw.Filters == nil {
		return f, nil
	}
	for _, rc := range *raw.Filters {
		c, err := rc.compile()
		if err != nil {
			return filter{}, err
		}
		f.criteria = append(f.criteria, c)
	}
	return f, nil
}

func decodeFilter(body []byte, isXML bool) (rawFilter, error) {
	var raw rawFilter
	if !isXML {
		if err := json.Unmarshal(body, &raw); err != nil {
			return raw, refusal("Malformed JSON request")
		}
		return raw, nil
	}
	var x xmlFilter
	if err := xml.Unmarshal(body, &x); err != nil {
		return raw, refusal("Malformed XML request")
	}
	list := make([]rawCriterion, 0, len(x.Filters.Criteria))
	for _, c := range x.Filters.Criteria {
		quoted, _ := json.Marshal(c.Value)
		list = append(list, rawCriterion{&c.Field, &c.Operator, quoted})
	}
	raw.Filters = &list
	if x.Operation != "" {
		raw.Operation = &x.Operation
	}
	return raw, nil
}

func (rc rawCriterion) compile() (criterion, error) {
	if rc.Field == nil || rc.Operator == nil || len(rc.Value) == 0 || string(rc.Value) == "null" {
		return criterion{}, refusal("Invalid filter: field, operator and value are mandatory")
	}
	token := lookup(*rc.Field)
	if token == nil {
		return criterion{}, refusal("Invalid filter field: " + *rc.Field)
	}
	c := criterion{token: token, op: operator(*rc.Operator)}
	if !token.class.allows(c.op) {
		return criterion{}, refusal("Invalid operator " + *rc.Operator + " for field: " + *rc.Field)
	}
	var value string
	if err := json.Unmarshal(rc.Value, &value); err != nil {
		// Numbers and booleans are taken as their text; lists and objects are not.
		value = string(rc.Value)
		if value[0] == '[' || value[0] == '{' {
			return criterion{}, refusal("Invalid value for field: " + *rc.Field)
		}
	}
	c.values = []string{value}
	if c.op == opIn {
		c.values = strings.Split(value, ",")
	}
	for i := range c.values {
		c.values[i] = strings.ToLower(strings.TrimSpace(c.values[i]))
	}
	return c.typed(*rc.Field, value)
}

// typed checks the value against the token's type.
func (c criterion) typed(field, value string) (criterion, error) {
	bad := refusal("Invalid value for field: " + field)
	switch c.token.class {
	case numeric, numericNoNot:
		for _, v := range c.values {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return c, bad
			}
			c.numbers = append(c.numbers, n)
		}
	case date:
		at, ok := parseInstant(value)
		if !ok {
			return c, bad
		}
		c.at = at
	case boolean:
		if c.values[0] != "true" && c.values[0] != "false" {
			return c, bad
		}
	}
	return c, nil
}

// parseInstant reads the forms of instants that the API's examples show.
func parseInstant(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// match tries an asset.
func (f filter) match(e *estate.Estate, a *estate.Asset) bool {
	if len(f.criteria) == 0 {
		return true
	}
	for _, c := range f.criteria {
		if c.match(e, a) == f.or {
			return f.or
		}
	}
	return !f.or
}

// match tries one criterion. A token with several values (tags, addresses, software) matches when one of them does;
// NOT_EQUALS matches when none of them is equal.
func (c criterion) match(e *estate.Estate, a *estate.Asset) bool {
	found := false
	c.token.read(e, a, func(v value) bool {
		found = c.holds(v)
		return !found
	})
	if c.op == opNotEquals {
		return !found
	}
	return found
}

// holds compares one value; for NOT_EQUALS it tells whether they are equal.
func (c criterion) holds(v value) bool {
	switch c.token.class {
	case numeric, numericNoNot:
		for _, n := range c.numbers {
			if ordered(c.op, compare(v.number, n)) {
				return true
			}
		}
		return false
	case date:
		return ordered(c.op, v.at.Truncate(time.Second).Compare(c.at))
	}
	have := strings.ToLower(v.text)
	for _, want := range c.values {
		if c.op == opContains && strings.Contains(have, want) || c.op != opContains && have == want {
			return true
		}
	}
	return false
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(op operator, sign int) bool {
	switch op {
	case opGreater:
		return sign > 0
	case opLesser:
		return sign < 0
	case opGreaterEqual:
		return sign >= 0
	case opLessEqual:
		return sign <= 0
	}
	return sign == 0
}
