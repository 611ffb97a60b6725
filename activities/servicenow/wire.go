package servicenow

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// The wire types. Releases of the platform differ in what they send — a string
// for a number, a lone value for a list, null for an object — so every type here
// takes what it can and leaves out what it cannot read: one odd value must not
// cost the answers of 250 items.

// text is a string that may come as a number, a boolean, null or a reference
// object ({"value":…,"display_value":…}).
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case '{':
		var o struct {
			Value   json.RawMessage `json:"value"`
			Display json.RawMessage `json:"display_value"`
			Name    json.RawMessage `json:"name"`
		}
		if err := json.Unmarshal(b, &o); err != nil {
			return err
		}
		for _, v := range []json.RawMessage{o.Value, o.Display, o.Name} {
			if len(v) > 0 && v[0] != '{' {
				return t.UnmarshalJSON(v)
			}
		}
	case 'n', '[':
	default:
		*t = text(b)
	}
	return nil
}

// int returns the leading whole number, or 0.
func (t text) int() int {
	s, _, _ := strings.Cut(strings.TrimSpace(string(t)), ".")
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// bool reads "true", "1" and true.
func (t text) bool() bool { return strings.EqualFold(string(t), "true") || t == "1" }

// list is a list that may come as null, as a lone element, or with elements of
// another shape; those are kept as zero values, so that positions stay.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	if b[0] != '[' {
		var one T
		empty := b[0] == 'n' || bytes.Equal(b, []byte(`""`)) || bytes.Equal(b, []byte(`{}`))
		if !empty && json.Unmarshal(b, &one) == nil {
			*l = list[T]{one}
		}
		return nil
	}
	var whole []T
	if json.Unmarshal(b, &whole) == nil {
		*l = whole
		return nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	out := make(list[T], len(parts))
	for i := range parts {
		var one T
		if json.Unmarshal(parts[i], &one) == nil {
			out[i] = one
		}
	}
	*l = out
	return nil
}

// index is a position in the payload; -1 when it cannot be read.
type index int

func (i *index) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err != nil {
		n = -1
	}
	*i = index(n)
	return nil
}

// names is a list of names, or one string with commas between them.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	*n = nil
	var l list[text]
	if err := l.UnmarshalJSON(b); err != nil {
		return err
	}
	for _, t := range l {
		for s := range strings.SplitSeq(string(t), ",") {
			if s = strings.TrimSpace(s); s != "" {
				*n = append(*n, s)
			}
		}
	}
	return nil
}

// wireError is the error object of the REST envelope; OAuth sends a lone string.
type wireError struct {
	Message text
	Detail  text
}

func (e *wireError) UnmarshalJSON(b []byte) error {
	*e = wireError{}
	if b[0] != '{' {
		return e.Message.UnmarshalJSON(b)
	}
	var o struct {
		Message text `json:"message"`
		Detail  text `json:"detail"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	e.Message, e.Detail = o.Message, o.Detail
	return nil
}

// The answer of IRE. Identification and Reconciliation API, response body.

type wireResult struct {
	Items     list[wireItem]     `json:"items"`
	Relations list[wireRelation] `json:"relations"`
}

// wireMessage is an error or warning {error, message}, or an info entry {code,
// message, ruleSysId}.
type wireMessage struct {
	Error   text `json:"error"`
	Message text `json:"message"`
	Code    text `json:"code"`
	Rule    text `json:"ruleSysId"`
}

func (m *wireMessage) UnmarshalJSON(b []byte) error {
	*m = wireMessage{}
	if b[0] != '{' {
		return m.Message.UnmarshalJSON(b)
	}
	type plain wireMessage
	return json.Unmarshal(b, (*plain)(m))
}

type wireAttempt struct {
	Identifier text  `json:"identifierName"`
	Result     text  `json:"attemptResult"`
	Attributes names `json:"attributes"`
	Hybrid     names `json:"hybridEntryCiAttributes"`
	Table      text  `json:"searchOnTable"`
	Info       text  `json:"info"`
}

type wireItem struct {
	ClassName       text              `json:"className"`
	Operation       text              `json:"operation"`
	SysID           text              `json:"sysId"`
	IdentifierEntry text              `json:"identifierEntrySysId"`
	Attempts        list[wireAttempt] `json:"identificationAttempts"`
	Errors          list[wireMessage] `json:"errors"`
	Warnings        list[wireMessage] `json:"warnings"`
	Info            list[wireMessage] `json:"info"`
	Masked          names             `json:"maskedAttributes"`
	Indices         list[index]       `json:"inputIndices"`
	Duplicates      list[index]       `json:"duplicateIndices"`
	Related         list[wireRelated] `json:"relatedItems"`
}

// wireRelated is the answer to a lookup or related row of an item.
type wireRelated struct {
	Operation text              `json:"operation"`
	Errors    list[wireMessage] `json:"errors"`
	Warnings  list[wireMessage] `json:"warnings"`
	Info      list[wireMessage] `json:"info"`
}

type wireRelation struct {
	Operation text              `json:"operation"`
	Errors    list[wireMessage] `json:"errors"`
	Warnings  list[wireMessage] `json:"warnings"`
	Indices   list[index]       `json:"inputIndices"`
}
