package qualys

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// predicate says whether an asset belongs to something.
type predicate func(e *estate.Estate, a *estate.Asset) bool

const (
	qqlLength = 8 << 10
	qqlDepth  = 50
)

// parseQQL compiles the query language of the inventory, as far as tag rules use it: token:value, where a value is a
// word or "quoted" (contains, for texts) or `exact`, with and, or, not and parentheses; numbers and dates also take
// > >= < <= before the value. Tokens are those of the filter.
func parseQQL(text string) (predicate, error) {
	if len(text) > qqlLength {
		return nil, errors.New("the query is too long")
	}
	p := &qqlParser{rest: text}
	out, err := p.either(0)
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest != "" {
		return nil, errors.New("unexpected text at: " + p.rest)
	}
	return out, nil
}

type qqlParser struct{ rest string }

func (p *qqlParser) skip() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

// word takes a keyword that stands alone.
func (p *qqlParser) word(want string) bool {
	p.skip()
	if len(p.rest) < len(want) || !strings.EqualFold(p.rest[:len(want)], want) {
		return false
	}
	after := p.rest[len(want):]
	if after != "" && !strings.ContainsAny(after[:1], " \t\r\n(") {
		return false
	}
	p.rest = after
	return true
}

func (p *qqlParser) sign(want string) bool {
	p.skip()
	after, ok := strings.CutPrefix(p.rest, want)
	if ok {
		p.rest = after
	}
	return ok
}

func (p *qqlParser) either(depth int) (predicate, error) {
	left, err := p.both(depth)
	for err == nil && p.word("or") {
		var right predicate
		first := left
		right, err = p.both(depth)
		left = func(e *estate.Estate, a *estate.Asset) bool { return first(e, a) || right(e, a) }
	}
	return left, err
}

func (p *qqlParser) both(depth int) (predicate, error) {
	left, err := p.single(depth)
	for err == nil && p.word("and") {
		var right predicate
		first := left
		right, err = p.single(depth)
		left = func(e *estate.Estate, a *estate.Asset) bool { return first(e, a) && right(e, a) }
	}
	return left, err
}

func (p *qqlParser) single(depth int) (predicate, error) {
	if depth > qqlDepth {
		return nil, errors.New("the query is nested too deeply")
	}
	if p.word("not") {
		inner, err := p.single(depth + 1)
		return func(e *estate.Estate, a *estate.Asset) bool { return !inner(e, a) }, err
	}
	if p.sign("(") {
		inner, err := p.either(depth + 1)
		if err == nil && !p.sign(")") {
			err = errors.New("a closing parenthesis is missing")
		}
		return inner, err
	}
	return p.term()
}

func (p *qqlParser) term() (predicate, error) {
	p.skip()
	field, rest, ok := strings.Cut(p.rest, ":")
	if !ok || field == "" || strings.ContainsAny(field, " \t\r\n()\"`") {
		return nil, errors.New("token:value is expected at: " + p.rest)
	}
	p.rest = rest
	op := opEquals
	for _, o := range []struct {
		sign string
		op   operator
	}{{">=", opGreaterEqual}, {"<=", opLessEqual}, {">", opGreater}, {"<", opLesser}} {
		if op == opEquals && p.sign(o.sign) {
			op = o.op
		}
	}
	value, exact, err := p.value()
	if err != nil {
		return nil, err
	}
	token := lookup(field)
	if token == nil {
		return nil, errors.New("unknown token: " + field)
	}
	if op == opEquals && !exact && token.class.allows(opContains) {
		op = opContains
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	name := string(op)
	c, err := rawCriterion{Field: &field, Operator: &name, Value: quoted}.compile()
	if err != nil {
		return nil, err
	}
	return c.match, nil
}

func (p *qqlParser) value() (text string, exact bool, err error) {
	p.skip()
	if p.rest == "" {
		return "", false, errors.New("a value is missing")
	}
	if mark := p.rest[:1]; mark == `"` || mark == "`" || mark == "'" {
		value, rest, closed := strings.Cut(p.rest[1:], mark)
		if !closed {
			return "", false, errors.New("a quote is not closed")
		}
		p.rest = rest
		return value, mark == "`", nil
	}
	end := strings.IndexAny(p.rest, " \t\r\n()")
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		return "", false, errors.New("a value is missing at: " + p.rest)
	}
	text, p.rest = p.rest[:end], p.rest[end:]
	return text, false, nil
}
