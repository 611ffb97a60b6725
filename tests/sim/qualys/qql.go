package qualys

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/qbridge/qbridge/tests/sim/estate"
)

// predicate says whether an asset belongs to something.
type predicate func(e *estate.Estate, a *estate.Asset) bool

const (
	qqlLength = 8 << 10
	qqlDepth  = 50
)

// parseQQL compiles the query language of the inventory (QQL) as tag rules and the v1 API use it: token:value, where a
// value is a word or "quoted" or 'quoted' (contains, for texts), `exact`, a range [a .. b], or a group (a:"x" and b:"y")
// whose tokens continue the one before it; with and, or, not and parentheses; numbers and dates also take > >= < <=
// before the value; dates may be relative (now-30d). A word * asks for any value, "token is null" for none. Tokens are
// those of the filter, and operatingSystem alone, which is its name (samples of the tagging SDK).
//
// Details of QQL are not published as a grammar: ranges include both ends, and a day stands for its first instant. A
// relative date is counted from the moment at which an asset is tried, so the members of a tag move with the clock.
func parseQQL(text string, now func() time.Time) (predicate, error) {
	if len(text) > qqlLength {
		return nil, errors.New("the query is too long")
	}
	p := &qqlParser{rest: text, now: now}
	out, err := p.either(0)
	if err != nil {
		return nil, err
	}
	if p.skip(); p.rest != "" {
		return nil, errors.New("unexpected text at: " + p.rest)
	}
	return out, nil
}

type qqlParser struct {
	rest   string
	prefix string // of the group that is being read: "software."
	now    func() time.Time
}

func (p *qqlParser) skip() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

// word takes a keyword that stands alone.
func (p *qqlParser) word(want string) bool {
	p.skip()
	if len(p.rest) < len(want) || !strings.EqualFold(p.rest[:len(want)], want) {
		return false
	}
	after := p.rest[len(want):]
	if after != "" && !strings.ContainsAny(after[:1], " \t\r\n()") {
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
	return p.term(depth)
}

func (p *qqlParser) term(depth int) (predicate, error) {
	p.skip()
	start := p.rest
	end := strings.IndexAny(p.rest, ": \t\r\n()[]\"'`")
	if end <= 0 {
		return nil, errors.New("token:value is expected at: " + start)
	}
	field := p.rest[:end]
	p.rest = p.rest[end:]
	valued := p.sign(":")
	if !valued && (!p.word("is") || !p.word("null")) {
		return nil, errors.New("token:value is expected at: " + start)
	}
	if valued && p.sign("(") {
		return p.group(field, depth)
	}
	field = p.prefix + field
	if field == "operatingSystem" {
		field = "operatingSystem.name"
	}
	token := lookup(field)
	if token == nil {
		return nil, errors.New("unknown token: " + field)
	}
	if !valued {
		return func(e *estate.Estate, a *estate.Asset) bool { return !token.filled(e, a) }, nil
	}
	if p.sign("[") {
		return p.between(field, token)
	}
	op := opEquals
	for _, o := range []struct {
		sign string
		op   operator
	}{{">=", opGreaterEqual}, {"<=", opLessEqual}, {">", opGreater}, {"<", opLesser}} {
		if op == opEquals && p.sign(o.sign) {
			op = o.op
		}
	}
	wanted, exact, err := p.value()
	if err != nil {
		return nil, err
	}
	if wanted == "*" && !exact && op == opEquals {
		return token.filled, nil
	}
	if op == opEquals && !exact && token.class.allows(opContains) {
		op = opContains
	}
	return p.compare(field, token, op, wanted)
}

// group reads what stands in the parentheses after a token: software:(name:"x" and version:"1"). Each part is tried on
// its own, so two parts may hold for different elements of a list.
func (p *qqlParser) group(field string, depth int) (predicate, error) {
	outer := p.prefix
	p.prefix = outer + field + "."
	inner, err := p.either(depth + 1)
	p.prefix = outer
	if err == nil && !p.sign(")") {
		err = errors.New("a closing parenthesis is missing")
	}
	return inner, err
}

// filled tells whether the asset has a value for the token.
func (t *filterToken) filled(e *estate.Estate, a *estate.Asset) bool {
	found := false
	t.read(e, a, func(value) bool { found = true; return false })
	return found
}

// between reads a range after its opening bracket.
func (p *qqlParser) between(field string, token *filterToken) (predicate, error) {
	from, err1 := p.bound()
	ranged := p.sign("..")
	to, err2 := p.bound()
	if err1 != nil || err2 != nil || !ranged || !p.sign("]") {
		return nil, errors.New("a range [a .. b] is expected after " + field + ":")
	}
	least, err := p.compare(field, token, opGreaterEqual, from)
	if err != nil {
		return nil, err
	}
	most, err := p.compare(field, token, opLessEqual, to)
	return func(e *estate.Estate, a *estate.Asset) bool { return least(e, a) && most(e, a) }, err
}

// bound reads an end of a range. A quoted one may hold the signs of a range.
func (p *qqlParser) bound() (string, error) {
	p.skip()
	if p.rest != "" && strings.ContainsAny(p.rest[:1], "\"'`") {
		text, _, err := p.value()
		return text, err
	}
	end := len(p.rest)
	for _, sign := range []string{"..", "]"} {
		if at := strings.Index(p.rest, sign); at >= 0 {
			end = min(end, at)
		}
	}
	text := strings.TrimSpace(p.rest[:end])
	p.rest = p.rest[end:]
	return text, nil
}

// compare compiles one comparison.
func (p *qqlParser) compare(field string, token *filterToken, op operator, value string) (predicate, error) {
	if token.class != date || !relativeDate.MatchString(value) {
		c, err := criterionOf(field, op, value)
		return c.match, err
	}
	now := p.now
	c, err := criterionOf(field, op, instant(value, now()).Format(time.RFC3339))
	return func(e *estate.Estate, a *estate.Asset) bool {
		moved := c
		moved.at = instant(value, now())
		return moved.match(e, a)
	}, err
}

func criterionOf(field string, op operator, value string) (criterion, error) {
	quoted, err := json.Marshal(value)
	if err != nil {
		return criterion{}, err
	}
	name := string(op)
	return rawCriterion{Field: &field, Operator: &name, Value: quoted}.compile()
}

var relativeDate = regexp.MustCompile(`^now(?:-(\d{1,5})([smhdwMy]))?$`)

// instant counts a relative date from now, to the second as all dates are compared.
func instant(s string, now time.Time) time.Time {
	m := relativeDate.FindStringSubmatch(s)
	n, _ := strconv.Atoi(m[1]) // nothing stands for 0
	at := now.UTC().Truncate(time.Second)
	switch m[2] {
	case "s", "m", "h":
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]
		at = at.Add(-time.Duration(n) * unit)
	case "d":
		at = at.AddDate(0, 0, -n)
	case "w":
		at = at.AddDate(0, 0, -7*n)
	case "M":
		at = at.AddDate(0, -n, 0)
	case "y":
		at = at.AddDate(-n, 0, 0)
	}
	return at
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
	end := strings.IndexAny(p.rest, " \t\r\n()[]")
	if end < 0 {
		end = len(p.rest)
	}
	if end == 0 {
		return "", false, errors.New("a value is missing at: " + p.rest)
	}
	text, p.rest = p.rest[:end], p.rest[end:]
	return text, false, nil
}
