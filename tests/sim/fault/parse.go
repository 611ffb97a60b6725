package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The kinds of fault. The first group is done by Plan.Middleware; the second is left to the simulator's handler, which
// asks From(ctx), because it needs to know what the answer means.
const (
	Status          Kind = "status"            // status(code[,wait]): answer with the code, not processed; wait seconds go into the wait headers
	Delay           Kind = "delay"             // delay(duration): wait, then go on
	Cut             Kind = "cut"               // cut(bytes): the connection ends after so many bytes of the body
	Garble          Kind = "garble"            // some bytes of the body are changed
	DropBefore      Kind = "drop_before"       // the connection ends, the request was not processed
	DropAfterCommit Kind = "drop_after_commit" // the request was processed, the connection ends without an answer
	HTML            Kind = "html"              // a maintenance page with status 200
	GzipBad         Kind = "gzip_bad"          // says gzip, and the stream is broken
	Oversize        Kind = "oversize"          // oversize[(bytes)]: the body never seems to end; 256 MiB unless said
	Slow            Kind = "slow"              // slow(bytes per second)
	Close           Kind = "close"             // half of the body without a length, then an orderly close: no transport error tells
	Accepted202     Kind = "accepted202"       // 202 with an empty body, not processed
	Hibernate       Kind = "hibernate"         // the page of a hibernating instance, status 200

	RepeatPage  Kind = "repeat_page"  // the page before is sent again
	ShiftPage   Kind = "shift_page"   // some assets at the page's start are left out
	NullList    Kind = "null_list"    // hasMore, and no list
	ExpireJWT   Kind = "expire_jwt"   // all tokens issued so far expire
	QuotaCancel Kind = "quota_cancel" // quota_cancel(n): n items are committed, then the transaction is cancelled
	LockTimeout Kind = "lock_timeout" // lock_timeout(i): item i (from 0) meets a lock
	CloneBack   Kind = "clone_back"   // clone_back(duration): the instance is what it was so long ago
)

// Kind names what goes wrong.
type Kind string

// argument says what a kind takes in its parentheses.
type argument int

const (
	none argument = iota
	number
	numberOptional
	span
	statusCode
)

func arguments() map[Kind]argument {
	return map[Kind]argument{
		Status: statusCode, Delay: span, Cut: number, Garble: none, DropBefore: none, DropAfterCommit: none, HTML: none,
		GzipBad: none, Oversize: numberOptional, Slow: number, Close: none, Accepted202: none, Hibernate: none,
		RepeatPage: none, ShiftPage: none, NullList: none, ExpireJWT: none, QuotaCancel: number, LockTimeout: number,
		CloneBack: span,
	}
}

// Fault is what happens to one call.
type Fault struct {
	Kind Kind
	// N is the number in the parentheses: status code, bytes, bytes per second, items.
	N int64
	// Wait is the second number of status(code,wait), in seconds.
	Wait int64
	// D is the duration in the parentheses.
	D time.Duration
	// Roll is a number that is fixed by the rule's seed and the call's position, for handlers that need a choice.
	Roll uint64
}

type trigger int

const (
	always trigger = iota
	nth
	every
	share
)

// rule is one line of the plan, with the counters that it needs.
type rule struct {
	endpoint   string
	trigger    trigger
	k          int64
	percent    float64
	key, value string
	seed       uint64
	window     time.Duration
	fault      Fault

	seen  int64
	since time.Time
}

// token is a word of the specification with the place where it stands, both from 1.
type token struct {
	text         string
	line, column int
}

func (t token) errorf(format string, args ...any) error {
	return fmt.Errorf("fault: line %d, column %d: %s", t.line, t.column, fmt.Sprintf(format, args...))
}

// parse splits the specification at ';' and newlines and reads each rule. '#' starts a comment up to the line's end.
func parse(spec string) ([]*rule, error) {
	var rules []*rule
	for _, words := range split(spec) {
		r, err := parseRule(words)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func split(spec string) [][]token {
	var out [][]token
	var current []token
	line, column := 1, 0
	var word strings.Builder
	startColumn := 0
	comment := false
	endWord := func() {
		if word.Len() > 0 {
			current = append(current, token{word.String(), line, startColumn})
			word.Reset()
		}
	}
	endRule := func() {
		endWord()
		if len(current) > 0 {
			out = append(out, current)
			current = nil
		}
	}
	for _, r := range spec {
		column++
		switch {
		case r == '\n':
			endRule()
			line, column, comment = line+1, 0, false
		case comment:
		case r == '#':
			endRule()
			comment = true
		case r == ';':
			endRule()
		case r == ' ' || r == '\t' || r == '\r':
			endWord()
		default:
			if word.Len() == 0 {
				startColumn = column
			}
			word.WriteRune(r)
		}
	}
	endRule()
	return out
}

// parser walks over the words of one rule.
type parser struct {
	words []token
	pos   int
}

func (p *parser) next(what string) (token, error) {
	if p.pos >= len(p.words) {
		last := p.words[len(p.words)-1]
		last.column += len([]rune(last.text))
		return token{}, last.errorf("the rule ends where %s is expected", what)
	}
	p.pos++
	return p.words[p.pos-1], nil
}

func parseRule(words []token) (*rule, error) {
	p := &parser{words: words}
	on, _ := p.next("on")
	if on.text != "on" {
		return nil, on.errorf("a rule starts with \"on\", not %q", on.text)
	}
	endpoint, err := p.next("an endpoint or *")
	if err != nil {
		return nil, err
	}
	r := &rule{endpoint: endpoint.text}
	for {
		word, err := p.next("\"do\"")
		if err != nil {
			return nil, err
		}
		if word.text == "do" {
			break
		}
		if err := r.clause(p, word); err != nil {
			return nil, err
		}
	}
	kind, err := p.next("a kind of fault")
	if err != nil {
		return nil, err
	}
	// A kind may be written with spaces inside its parentheses.
	for p.pos < len(words) && !strings.Contains(kind.text, ")") && strings.Contains(kind.text, "(") {
		kind.text += words[p.pos].text
		p.pos++
	}
	if r.fault, err = parseFault(kind); err != nil {
		return nil, err
	}
	if p.pos < len(words) {
		return nil, words[p.pos].errorf("%q after the end of the rule", words[p.pos].text)
	}
	return r, nil
}

// clause reads one of the clauses between the endpoint and "do".
func (r *rule) clause(p *parser, word token) error {
	arg, err := p.next("the value of \"" + word.text + "\"")
	if err != nil {
		return err
	}
	switch word.text {
	case "nth", "every":
		if r.k, err = strconv.ParseInt(arg.text, 10, 64); err != nil || r.k < 1 {
			return arg.errorf("%q is not a count of calls", arg.text)
		}
		if r.trigger != always {
			return word.errorf("a rule has one of nth, every and share")
		}
		r.trigger = nth
		if word.text == "every" {
			r.trigger = every
		}
	case "share":
		text, ok := strings.CutSuffix(arg.text, "%")
		if r.percent, err = strconv.ParseFloat(text, 64); err != nil || !ok || !(r.percent >= 0 && r.percent <= 100) { // NaN is neither
			return arg.errorf("%q is not a percentage such as 5%%", arg.text)
		}
		if r.trigger != always {
			return word.errorf("a rule has one of nth, every and share")
		}
		r.trigger = share
	case "where":
		key, value, ok := strings.Cut(arg.text, "=")
		if !ok || key == "" {
			return arg.errorf("%q is not key=value", arg.text)
		}
		r.key, r.value = key, value
	case "seed":
		if r.seed, err = strconv.ParseUint(arg.text, 10, 64); err != nil {
			return arg.errorf("%q is not a seed", arg.text)
		}
	case "for":
		if r.window, err = time.ParseDuration(arg.text); err != nil || r.window <= 0 {
			return arg.errorf("%q is not a duration such as 30s", arg.text)
		}
	default:
		return word.errorf("unknown clause %q (nth, every, share, where, seed, for, do)", word.text)
	}
	return nil
}

func parseFault(t token) (Fault, error) {
	name, rest, has := strings.Cut(t.text, "(")
	kind := Kind(name)
	takes, known := arguments()[kind]
	if !known {
		return Fault{}, t.errorf("unknown kind of fault %q", name)
	}
	f := Fault{Kind: kind}
	if !has {
		if takes != none && takes != numberOptional {
			return f, t.errorf("%s needs a value in parentheses", name)
		}
		return f, nil
	}
	inner, closed := strings.CutSuffix(rest, ")")
	inside := token{inner, t.line, t.column + len([]rune(name)) + 1}
	if !closed {
		return f, t.errorf("%s has no closing parenthesis", name)
	}
	var err error
	switch takes {
	case none:
		return f, inside.errorf("%s takes no value", name)
	case span:
		if f.D, err = time.ParseDuration(inner); err != nil || f.D < 0 {
			return f, inside.errorf("%q is not a duration such as 500ms", inner)
		}
	case statusCode:
		code, wait, waits := strings.Cut(inner, ",")
		if f.N, err = strconv.ParseInt(code, 10, 64); err != nil || f.N < 200 || f.N > 599 {
			return f, inside.errorf("%q is not an HTTP status", code)
		}
		if waits {
			if f.Wait, err = strconv.ParseInt(wait, 10, 64); err != nil || f.Wait < 0 {
				return f, inside.errorf("%q is not a number of seconds", wait)
			}
		}
	default:
		if f.N, err = strconv.ParseInt(inner, 10, 64); err != nil || f.N < 0 {
			return f, inside.errorf("%q is not a number", inner)
		}
	}
	if kind == Slow && f.N == 0 {
		return f, inside.errorf("slow needs at least one byte a second")
	}
	return f, nil
}
