package qualys

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// errDTD refuses document types: the API sends none, and what they declare could
// make a small answer large or have files read.
var errDTD = errors.New("the answer declares a document type")

// amXML turns elements into the JSON that the API would have answered: an element
// with children is an object, one called list is a list of objects with one key,
// one without children is a text. The decoder of the standard library resolves no
// entities but the five of XML, and never opens anything.
type amXML struct {
	dec  *xml.Decoder
	out  bytes.Buffer // JSON of the element at hand
	id   string       // of the asset at hand, for when it is too large
	deep bool
	full bool // more than an asset may have; the rest is only passed over
}

// readXML reads an answer in XML.
func (e *amEnvelope) readXML(r *bufio.Reader) error {
	return e.unreadable(e.elements(&amXML{dec: xml.NewDecoder(&xmlText{r: r})}))
}

func (e *amEnvelope) elements(x *amXML) error {
	root, err := x.root()
	if err != nil {
		return err
	}
	if root != "ServiceResponse" {
		return errors.New("the answer is not a ServiceResponse; a maintenance page or a proxy may stand in between")
	}
	err = x.children(func(name string) error {
		if name == "data" {
			return x.children(func(name string) error { return e.element(x, name) })
		}
		raw, err := x.value(name)
		if err != nil || x.full || x.deep {
			return err // nothing that counts is that large
		}
		return e.field(name, raw)
	})
	if err != nil {
		return err
	}
	return x.end()
}

// element reads one asset.
func (e *amEnvelope) element(x *amXML, name string) error {
	raw, err := x.value(name)
	if err != nil {
		return err
	}
	if !x.full && !x.deep {
		return e.entry(name, raw)
	}
	var id integer
	if err := id.UnmarshalJSON([]byte(x.id)); err != nil || id <= 0 || name != "HostAsset" {
		return errors.New("an asset has no id")
	}
	res := Result{ID: int64(id), Err: tooDeep()}
	if x.full {
		res.Err = tooLarge()
	}
	e.page.Results = append(e.page.Results, res)
	return nil
}

// token returns the next token that matters.
func (x *amXML) token() (xml.Token, error) {
	for {
		tok, err := x.dec.Token()
		if err != nil {
			return nil, err
		}
		switch tok.(type) {
		case xml.Directive:
			return nil, errDTD
		case xml.Comment, xml.ProcInst:
			continue
		}
		return tok, nil
	}
}

// root returns the name of the root element.
func (x *amXML) root() (string, error) {
	for {
		tok, err := x.token()
		if err != nil {
			return "", err
		}
		if start, ok := tok.(xml.StartElement); ok {
			return start.Name.Local, nil
		}
	}
}

// end checks that nothing follows the root element.
func (x *amXML) end() error {
	for {
		tok, err := x.token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := tok.(xml.CharData); !ok || len(bytes.TrimSpace(text)) > 0 {
			return errors.New("something follows the answer")
		}
	}
}

// children calls child for each child of the element that has begun; child reads
// it to its end.
func (x *amXML) children(child func(name string) error) error {
	for {
		tok, err := x.token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if err := child(t.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// value reads the element that has begun and returns it as JSON, valid until the
// next call.
func (x *amXML) value(name string) ([]byte, error) {
	x.out.Reset()
	x.id, x.deep, x.full = "", false, false
	err := x.element(name, 1)
	return x.out.Bytes(), err
}

func (x *amXML) element(name string, level int) error {
	if level > maxAMDepth {
		x.deep = true
		return x.dec.Skip()
	}
	var text []byte
	children, list := 0, name == "list"
	if list {
		x.put('[')
	}
	for {
		tok, err := x.token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.CharData:
			if len(text)+len(t) > maxAsset {
				x.full = true
			} else if children == 0 && !list {
				text = append(text, t...)
			}
		case xml.StartElement:
			x.open(list, children)
			children++
			x.text([]byte(t.Name.Local))
			x.put(':')
			if err := x.element(t.Name.Local, level+1); err != nil {
				return err
			}
			if list {
				x.put('}')
			}
		case xml.EndElement:
			switch {
			case list:
				x.put(']')
			case children > 0:
				x.put('}')
			default:
				text = bytes.TrimSpace(text) // of whoever made the answer pretty
				if name == "id" && level == 2 && len(text) < 32 {
					x.id = string(text)
				}
				x.text(text)
			}
			return nil
		}
	}
}

// open writes what stands before a child.
func (x *amXML) open(list bool, before int) {
	switch {
	case list && before == 0, !list && before == 0:
		x.put('{')
	case list:
		x.put(',')
		x.put('{')
	default:
		x.put(',')
	}
}

func (x *amXML) put(c byte) {
	if x.out.Len() >= maxAsset {
		x.full = true
		return
	}
	x.out.WriteByte(c)
}

// text writes a JSON text.
func (x *amXML) text(s []byte) {
	if x.out.Len()+len(s) >= maxAsset {
		x.full = true
		return
	}
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(string(s))
			if err == nil { // a string always can
				x.out.Write(quoted)
			}
			return
		}
	}
	x.out.WriteByte('"')
	x.out.Write(s)
	x.out.WriteByte('"')
}

// xmlText replaces what no XML text may hold, control characters, references to
// them and invalid UTF-8, by the replacement character: one odd software name must
// not make a page unreadable.
type xmlText struct {
	r    *bufio.Reader
	rest []byte
	tail [utf8.UTFMax]byte
}

func (t *xmlText) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	for n < len(p) {
		if n > 0 && t.r.Buffered() < utf8.UTFMax { // give what is there before waiting for more
			return n, nil
		}
		if k := t.plain(p[n:]); k > 0 {
			n += k
			continue
		}
		c, _, err := t.r.ReadRune()
		if err != nil {
			if n > 0 {
				return n, nil // the error comes again
			}
			return 0, err
		}
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff || c == '&' && t.badReference() {
			c = utf8.RuneError
		}
		rest := t.tail[:utf8.EncodeRune(t.tail[:], c)]
		k := copy(p[n:], rest)
		n += k
		if t.rest = rest[k:]; len(t.rest) > 0 {
			return n, nil
		}
	}
	return n, nil
}

// badReference passes over the rest of a reference such as "&#x1;" to a character
// that no XML text may hold; it leaves any other alone.
func (t *xmlText) badReference() bool {
	ahead, _ := t.r.Peek(len("#x10FFFF;")) // at the end there is less
	end := bytes.IndexByte(ahead, ';')
	if end < 2 || ahead[0] != '#' {
		return false
	}
	digits, base := string(ahead[1:end]), 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	c, err := strconv.ParseUint(digits, base, 32)
	if err != nil || c >= ' ' && c < 0xd800 || c >= 0xe000 && c < 0xfffe || c >= 0x10000 || c == '\t' || c == '\n' || c == '\r' {
		return false
	}
	_, _ = t.r.Discard(end + 1) // peeked above
	return true
}

// plain copies printable ASCII that is at hand.
func (t *xmlText) plain(p []byte) int {
	have, err := t.r.Peek(min(len(p), t.r.Buffered()))
	if err != nil {
		return 0
	}
	k := 0
	for k < len(have) && have[k] >= ' ' && have[k] < utf8.RuneSelf && have[k] != '&' || k < len(have) && (have[k] == '\n' || have[k] == '\t' || have[k] == '\r') {
		k++
	}
	copy(p, have[:k])
	_, _ = t.r.Discard(k) // peeked above
	return k
}
