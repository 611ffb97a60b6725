package qualys

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// The Asset Management & Tagging API speaks XML unless a header asks for JSON, each direction apart. Both directions
// therefore pass through one tree: node for what comes in, elem for what goes out.

const (
	qpsBodyLimit = 4 << 20
	qpsDepth     = 64
)

// node is a piece of a request. An XML attribute and a child element of the same meaning read alike, because the JSON
// form has no attributes.
type node struct {
	name, text string
	kids       []*node
}

// child returns the first child of that name; nil when there is none, also for a nil node.
func (n *node) child(name string) *node {
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				return k
			}
		}
	}
	return nil
}

// value returns the text of a child and whether the child exists.
func (n *node) value(name string) (string, bool) {
	if k := n.child(name); k != nil {
		return strings.TrimSpace(k.text), true
	}
	return "", false
}

// all returns the children of that name.
func (n *node) all(name string) (out []*node) {
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				out = append(out, k)
			}
		}
	}
	return out
}

var errDepth = errors.New("the document is nested too deeply")

// decodeXML reads a document. Names lose their namespace: payloads carry none.
func decodeXML(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	top := &node{}
	open := []*node{top}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(top.kids) != 1 {
				return nil, errors.New("one root element is expected")
			}
			return top.kids[0], nil
		}
		if err != nil {
			return nil, err
		}
		parent := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) > qpsDepth {
				return nil, errDepth
			}
			n := &node{name: t.Name.Local}
			for _, a := range t.Attr {
				n.kids = append(n.kids, &node{name: a.Name.Local, text: a.Value})
			}
			parent.kids = append(parent.kids, n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			parent.text += string(t)
		}
	}
}

// decodeJSON reads a document. A list is its elements under the list's name, so that a list of one and a lone object
// are the same.
func decodeJSON(body []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text follows the document")
	}
	top := &node{}
	if err := top.adopt("", v, 0); err != nil {
		return nil, err
	}
	return top.kids[0].child("ServiceRequest"), nil
}

func (n *node) adopt(name string, v any, depth int) error {
	if depth > qpsDepth {
		return errDepth
	}
	k := &node{name: name}
	switch t := v.(type) {
	case []any:
		for _, item := range t {
			if err := n.adopt(name, item, depth+1); err != nil {
				return err
			}
		}
		if depth > 0 {
			return nil
		}
	case map[string]any:
		for key, item := range t {
			if err := k.adopt(key, item, depth+1); err != nil {
				return err
			}
		}
		// The text of a criterion is "value" in JSON and the element's own text in XML.
		if text, ok := t["value"].(string); ok {
			k.text = text
		} else if number, ok := t["value"].(json.Number); ok {
			k.text = number.String()
		}
	case string:
		k.text = t
	case json.Number:
		k.text = t.String()
	case bool:
		k.text = yes(t)
	}
	n.kids = append(n.kids, k)
	return nil
}

// decodeQPS reads a request. A JSON body without the wrapper is ignored in silence, as the vendor does.
func decodeQPS(w http.ResponseWriter, r *http.Request) (*node, *qpsFailure) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, qpsBodyLimit))
	if err != nil {
		return nil, invalid400("The request body could not be read.", "Send a smaller body.")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return &node{}, nil
	}
	var n *node
	if isJSON(r.Header.Get("Content-Type")) {
		n, err = decodeJSON(body)
	} else if n, err = decodeXML(body); err == nil && n.name != "ServiceRequest" {
		err = errors.New("the root element is not ServiceRequest")
	}
	if err != nil {
		return nil, &qpsFailure{"INVALID_XML", "The request contains invalid data: " + err.Error(), "Check the request body."}
	}
	if n == nil {
		n = &node{}
	}
	return n, nil
}

func isJSON(header string) bool {
	media, _, err := mime.ParseMediaType(header)
	return err == nil && media == "application/json"
}

// elem is a piece of an answer: a text, a number, an object of kids, or a list of them.
type elem struct {
	name, text           string
	kids                 []elem
	number, object, list bool
}

func textElem(name, text string) elem        { return elem{name: name, text: text} }
func numberElem(name, text string) elem      { return elem{name: name, text: text, number: true} }
func objectElem(name string, k ...elem) elem { return elem{name: name, kids: k, object: true} }
func listElem(name string, k ...elem) elem   { return elem{name: name, kids: k, list: true} }
func listOf(name string, kids ...elem) elem  { return objectElem(name, listElem("list", kids...)) }
func (e *elem) add(k ...elem)                { e.kids = append(e.kids, k...) }
func (e *elem) addText(name, text string) {
	if text != "" {
		e.add(textElem(name, text))
	}
}

func (e elem) xml(b *bytes.Buffer, indent string) {
	b.WriteString(indent + "<" + e.name)
	switch {
	case !e.object && !e.list:
		b.WriteString(">")
		_ = xml.EscapeText(b, []byte(e.text))
		b.WriteString("</" + e.name + ">\n")
	case len(e.kids) == 0:
		b.WriteString("/>\n")
	default:
		b.WriteString(">\n")
		for _, k := range e.kids {
			k.xml(b, indent+"  ")
		}
		b.WriteString(indent + "</" + e.name + ">\n")
	}
}

func (e elem) json(b *bytes.Buffer) {
	quote := func(s string) {
		raw, _ := json.Marshal(s)
		b.Write(raw)
	}
	switch {
	case e.number:
		b.WriteString(e.text)
	case e.list:
		b.WriteByte('[')
		for i, k := range e.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			objectElem("", k).json(b)
		}
		b.WriteByte(']')
	case e.object:
		b.WriteByte('{')
		for i, k := range e.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(k.name)
			b.WriteByte(':')
			k.json(b)
		}
		b.WriteByte('}')
	default:
		quote(e.text)
	}
}

// answerQPS writes a ServiceResponse. Errors have status 200 too, as recorded.
func (s *Server) answerQPS(w http.ResponseWriter, r *http.Request, schema string, kids ...elem) {
	h := w.Header()
	h.Set("Server", "Apache")
	h.Set("X-Powered-By", "Qualys:USPOD03:11111111-2222-4333-8444-555555555555:66666666-7777-4888-8999-aaaaaaaaaaaa")
	if kids[0].text == "SUCCESS" {
		h.Set("evaluation", "false")
	}
	var b bytes.Buffer
	if isJSON(r.Header.Get("Accept")) {
		h.Set("Content-Type", "application/json")
		objectElem("", objectElem("ServiceResponse", kids...)).json(&b)
	} else {
		h.Set("Content-Type", "application/xml")
		b.WriteString(xml.Header + `<ServiceResponse xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://`)
		_ = xml.EscapeText(&b, []byte(r.Host))
		b.WriteString("/qps/xsd/" + schema + ".xsd\">\n")
		for _, k := range kids {
			k.xml(&b, "  ")
		}
		b.WriteString("</ServiceResponse>\n")
	}
	_, _ = w.Write(b.Bytes())
}

// qpsFailure is an answer that is not SUCCESS.
type qpsFailure struct{ code, message, resolution string }

func invalid400(message, resolution string) *qpsFailure {
	return &qpsFailure{"INVALID_REQUEST", message, resolution}
}

func notFound(object, id string) *qpsFailure {
	return &qpsFailure{"OBJECT_NOT_FOUND", object + " with id " + id + " was not found.", "Check that the id exists and is in your scope."}
}
