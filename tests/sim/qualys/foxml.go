package qualys

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// foNode is an element of an FO answer. QPS answers are made of elem, which has a JSON form as well; FO has XML only, with
// attributes and CDATA.
type foNode struct {
	name, attrs, text string
	cdata             bool
	kids              []foNode
}

func leaf(name, text string) foNode             { return foNode{name: name, text: text} }
func cdata(name, text string) foNode            { return foNode{name: name, text: text, cdata: true} }
func branch(name string, kids ...foNode) foNode { return foNode{name: name, kids: kids} }

// optional adds a leaf unless its text is empty: FO leaves out what it does not know.
func (n *foNode) optional(name, text string) {
	if text != "" {
		n.kids = append(n.kids, leaf(name, text))
	}
}

func (n *foNode) write(b *bytes.Buffer, indent string) {
	b.WriteString(indent + "<" + n.name + n.attrs + ">")
	switch {
	case n.cdata:
		b.WriteString("<![CDATA[" + strings.ReplaceAll(n.text, "]]>", "]]]]><![CDATA[>") + "]]>")
	case n.kids == nil:
		// A write to a buffer does not fail.
		_ = xml.EscapeText(b, []byte(n.text))
	default:
		b.WriteByte('\n')
		for i := range n.kids {
			n.kids[i].write(b, indent+"  ")
		}
		b.WriteString(indent)
	}
	b.WriteString("</" + n.name + ">\n")
}

// confidential is the comment that recorded lists carry after the root.
const confidential = "<!-- CONFIDENTIAL AND PROPRIETARY INFORMATION. Qualys provides the service \"As Is,\" without any warranty of any kind. -->\n"

// document renders an answer with its DOCTYPE, whose DTD nobody should fetch.
func document(root foNode, dtd string, trailer bool) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<!DOCTYPE " + root.name + " SYSTEM \"" + dtd + "\">\n")
	root.write(&b, "")
	if trailer {
		b.WriteString(confidential)
	}
	return b.Bytes()
}
