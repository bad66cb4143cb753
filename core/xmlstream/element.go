package xmlstream

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// Element is a complete first-level child of a stream: a stanza, or what negotiation sends. A content
// namespace in Name is jabber:client whatever the stream's own is.
//
// Strings of an Element share one allocation with Inner; what outlives the element for long should be
// cloned.
type Element struct {
	Name  Name
	Attrs []Attr // without xml:lang
	Lang  string // xml:lang of the element itself; the stream's default applies if it is empty
	Inner Fragment
}

// Attr returns the value of an attribute without a namespace, or "".
func (e *Element) Attr(local string) string {
	value, _ := e.AttrOK(local)
	return value
}

// AttrOK is Attr and whether there is such an attribute.
func (e *Element) AttrOK(local string) (string, bool) { return attrValue(e.Attrs, Name{"", local}) }

// SetAttr sets an attribute without a namespace.
func (e *Element) SetAttr(local, value string) {
	e.Attrs = setAttr(e.Attrs, Name{"", local}, value)
}

// DelAttr removes an attribute without a namespace.
func (e *Element) DelAttr(local string) {
	e.Attrs = slices.DeleteFunc(e.Attrs, func(a Attr) bool { return a.Name == Name{"", local} })
}

// Is reports whether e has that name.
func (e *Element) Is(space, local string) bool {
	return e.Name.Local == local && e.Name.Space == space
}

// Node returns e as a tree.
func (e *Element) Node() *Node {
	n := &Node{Name: e.Name, Attrs: slices.Clone(e.Attrs)}
	if e.Lang != "" {
		n.SetLang(e.Lang)
	}
	r := reader{s: e.Inner.xml}
	r.content(n, ns.Client)
	return n
}

// NewElement returns a tree as an element.
func NewElement(n *Node) Element {
	e := Element{Name: Name{contentSpace(n.Name.Space), n.Name.Local}}
	for _, a := range n.Attrs {
		if a.Name.Space == ns.XML && a.Name.Local == "lang" {
			e.Lang = a.Value
		} else {
			e.Attrs = append(e.Attrs, a)
		}
	}
	nodes := n.Nodes
	if n.Text != "" {
		nodes = append([]*Node{TextNode(n.Text)}, nodes...)
	}
	e.Inner = NewFragment(nodes...)
	return e
}

// AppendElement appends e for a place where parentNS is the default namespace: ns.Client on any stream,
// "" where it has to stand alone, as in a WebSocket frame (RFC 7395 §3.3.3).
//
// Elements of the stream namespace get the prefix stream, which old clients look for (RFC 6120
// §4.8.5), and which every stream header declares.
func AppendElement(dst []byte, e *Element, parentNS string) []byte {
	inner := contentSpace(e.Name.Space)
	if e.Name.Space == ns.Stream {
		dst = appendElementName(append(dst, "<stream:"...), e.Name.Local)
		if contentSpace(parentNS) != ns.Client {
			dst = append(dst, " xmlns:stream='"+ns.Stream+"'"...)
		}
		inner = parentNS
	} else {
		dst = appendElementName(append(dst, '<'), e.Name.Local)
		if inner != contentSpace(parentNS) {
			dst = append(appendSpace(append(dst, " xmlns='"...), inner), '\'')
		}
	}
	if e.Lang != "" {
		dst = append(AppendEscapedAttr(append(dst, " xml:lang='"...), e.Lang), '\'')
	}
	dst = appendAttrs(dst, e.Attrs)
	if e.Inner.IsEmpty() {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = AppendFragment(dst, e.Inner, inner)
	if e.Name.Space == ns.Stream {
		return append(appendElementName(append(dst, "</stream:"...), e.Name.Local), '>')
	}
	return appendEnd(dst, e.Name.Local)
}
