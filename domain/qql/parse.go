package qql

import (
	"fmt"
	"strings"

	"github.com/qbridge/qbridge/domain/classify"
)

// Query is a filter that was read. It is immutable and safe for concurrent use.
type Query struct {
	text string
	root *node
}

// Text returns the filter as it was written.
func (q *Query) Text() string { return q.text }

// op is what a node does.
type op string

const (
	opAnd     op = "and"
	opOr      op = "or"
	opNot     op = "not"
	opIs      op = "is"    // equals or contains, as the value was written
	opIn      op = "in"    // equals one of the values
	opRange   op = "range" // from values[0] to values[1]
	opLess    op = "<"
	opAtMost  op = "<="
	opMore    op = ">"
	opAtLeast op = ">="
	opNull    op = "null"
	opElement op = "element" // one element of a list satisfies what is below
)

type value struct {
	text  string
	quote quote
}

type node struct {
	op     op
	field  *field
	values []value
	below  []*node
	column int
}

// Parse reads a filter. Errors are of type *SyntaxError.
func Parse(text string) (*Query, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens}
	root, err := p.or(nil, 0)
	if err != nil {
		return nil, err
	}
	if p.peek().kind != "end" {
		return nil, p.unexpected("and, or, or the end")
	}
	return &Query{text: text, root: root}, nil
}

type parser struct {
	text   string
	tokens []token
	at     int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if p.at < len(p.tokens)-1 {
		p.at++
	}
	return t
}

// word reports whether the next token is a bare word of some text, and takes it.
func (p *parser) word(text string) bool {
	t := p.peek()
	if t.kind == "word" && t.quote == bare && strings.EqualFold(t.text, text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) sign(kind string) bool {
	if p.peek().kind == kind {
		p.at++
		return true
	}
	return false
}

func (p *parser) fail(column int, hint, format string, args ...any) error {
	return &SyntaxError{Text: p.text, Column: column, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

func (p *parser) unexpected(want string) error {
	t := p.peek()
	switch t.kind {
	case "end":
		return p.fail(t.column, "", "the filter ends where %s is expected", want)
	case "word":
		return p.fail(t.column, "", "%q stands where %s is expected", t.text, want)
	default:
		return p.fail(t.column, "", "%q stands where %s is expected", t.kind, want)
	}
}

// or reads terms joined by or; within is the list whose element is asked about.
func (p *parser) or(within *field, depth int) (*node, error) { return p.joined(opOr, within, depth) }

func (p *parser) joined(o op, within *field, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, p.fail(p.peek().column, "", "the filter is nested more than %d times", maxDepth)
	}
	read := func() (*node, error) {
		if o == opOr {
			return p.joined(opAnd, within, depth)
		}
		return p.not(within, depth)
	}
	first, err := read()
	if err != nil {
		return nil, err
	}
	list := []*node{first}
	for p.word(string(o)) {
		n, err := read()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	if len(list) == 1 {
		return first, nil
	}
	return &node{op: o, below: list, column: first.column}, nil
}

func (p *parser) not(within *field, depth int) (*node, error) {
	column := p.peek().column
	if p.word("not") {
		if depth > maxDepth {
			return nil, p.fail(column, "", "the filter is nested more than %d times", maxDepth)
		}
		n, err := p.not(within, depth+1)
		if err != nil {
			return nil, err
		}
		return &node{op: opNot, below: []*node{n}, column: column}, nil
	}
	if p.sign("(") {
		n, err := p.or(within, depth+1)
		if err != nil {
			return nil, err
		}
		if !p.sign(")") {
			return nil, p.unexpected(`")"`)
		}
		return n, nil
	}
	return p.term(within, depth)
}

// term reads a field and what it is compared with.
func (p *parser) term(within *field, depth int) (*node, error) {
	t := p.peek()
	if t.kind != "word" || t.quote != bare || isKeyword(t.text) {
		return nil, p.unexpected("the name of a field")
	}
	p.next()
	f, names := fieldOf(t.text, within)
	if f == nil {
		return nil, p.fail(t.column, fmt.Sprintf("did you mean %q?", classify.Nearest(t.text, names)), "unknown field %q", t.text)
	}
	n := &node{field: f, column: t.column}
	if p.word("is") {
		negated := p.word("not")
		if !p.word("null") {
			return nil, p.unexpected("null")
		}
		n.op = opNull
		if negated {
			return &node{op: opNot, below: []*node{n}, column: t.column}, nil
		}
		return n, nil
	}
	if !p.sign(":") && !isComparison(p.peek().kind) {
		return nil, p.unexpected(`":", a comparison or "is null"`)
	}
	if f.list != "" && p.peek().kind == "(" {
		p.next()
		inner, err := p.or(f, depth+1)
		if err != nil {
			return nil, err
		}
		if !p.sign(")") {
			return nil, p.unexpected(`")"`)
		}
		n.op, n.below = opElement, []*node{inner}
		return n, nil
	}
	if f.list != "" && f.path == "" {
		return nil, p.fail(p.peek().column, "", "%s is a list: write %s:(…)", f.name, f.name)
	}
	return n, p.compared(n)
}

func isComparison(kind string) bool {
	return kind == "<" || kind == "<=" || kind == ">" || kind == ">="
}

func isKeyword(s string) bool {
	return strings.EqualFold(s, "and") || strings.EqualFold(s, "or") || strings.EqualFold(s, "not")
}

// compared reads what a field is compared with.
func (p *parser) compared(n *node) error {
	if k := p.peek().kind; isComparison(k) {
		p.next()
		n.op = op(k)
		if n.field.kind != kindNumber && n.field.kind != kindDate {
			return p.fail(p.peek().column, "use : to compare texts", "%s is neither a number nor a date", n.field.name)
		}
		return p.value(n)
	}
	if !p.sign("[") {
		n.op = opIs
		return p.value(n)
	}
	if err := p.value(n); err != nil {
		return err
	}
	if p.sign("..") || p.sign("...") {
		n.op = opRange
		if n.field.kind != kindNumber && n.field.kind != kindDate {
			return p.fail(p.peek().column, "", "%s is neither a number nor a date, so it has no ranges", n.field.name)
		}
		if err := p.value(n); err != nil {
			return err
		}
	} else {
		n.op = opIn
		for p.sign(",") {
			if err := p.value(n); err != nil {
				return err
			}
			if len(n.values) > maxList {
				return p.fail(n.column, "", "the list has more than %d values", maxList)
			}
		}
	}
	if !p.sign("]") {
		return p.unexpected(`"]"`)
	}
	return nil
}

// value reads one value of the field's kind.
func (p *parser) value(n *node) error {
	t := p.peek()
	if t.kind != "word" || t.quote == bare && isKeyword(t.text) {
		return p.unexpected("a value")
	}
	p.next()
	if msg, hint := n.field.refuses(t.text); msg != "" {
		return p.fail(t.column, hint, "%s", msg)
	}
	n.values = append(n.values, value{text: t.text, quote: t.quote})
	return nil
}
