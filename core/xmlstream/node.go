package xmlstream

import (
	"iter"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// Name is an expanded name: a namespace (or "") and a local part.
type Name struct{ Space, Local string }

// Attr is an attribute. Declarations of namespaces are never attributes here.
type Attr struct {
	Name  Name
	Value string
}

// Node is a mutable element, for building and reading payloads, or, with an empty local name, a piece
// of text. Content namespaces are jabber:client (see the package comment).
//
// An element's Text is the character data before its first child. Text after a child is a node of its
// own among Nodes.
type Node struct {
	Name  Name
	Attrs []Attr
	Nodes []*Node
	Text  string
}

// NewNode returns an element with attributes given as alternating local names and values; a last name
// without a value is ignored.
func NewNode(space, local string, attrs ...string) *Node {
	n := &Node{Name: Name{space, local}}
	if len(attrs) > 1 {
		n.Attrs = make([]Attr, 0, len(attrs)/2)
		for i := 0; i+1 < len(attrs); i += 2 {
			n.Attrs = append(n.Attrs, Attr{Name{"", attrs[i]}, attrs[i+1]})
		}
	}
	return n
}

// TextNode returns a node of text, for text after a child.
func TextNode(text string) *Node { return &Node{Text: text} }

// IsText reports whether n is text and not an element.
func (n *Node) IsText() bool { return n.Name.Local == "" }

// Add appends children and returns n.
func (n *Node) Add(children ...*Node) *Node {
	n.Nodes = append(n.Nodes, children...)
	return n
}

// AddNew appends a new element in n's own namespace and returns the new element.
func (n *Node) AddNew(local string, attrs ...string) *Node {
	child := NewNode(n.Name.Space, local, attrs...)
	n.Nodes = append(n.Nodes, child)
	return child
}

// SetText replaces the character data directly in n and returns n.
func (n *Node) SetText(text string) *Node {
	n.Text = text
	n.Nodes = slices.DeleteFunc(n.Nodes, (*Node).IsText)
	return n
}

// Attr returns the value of an attribute without a namespace, or "".
func (n *Node) Attr(local string) string {
	value, _ := n.AttrOK(local)
	return value
}

// AttrOK is Attr and whether there is such an attribute.
func (n *Node) AttrOK(local string) (string, bool) { return attrValue(n.Attrs, Name{"", local}) }

// Lang returns the xml:lang of n itself, or "".
func (n *Node) Lang() string {
	value, _ := attrValue(n.Attrs, Name{ns.XML, "lang"})
	return value
}

// SetAttr sets an attribute without a namespace and returns n.
func (n *Node) SetAttr(local, value string) *Node {
	n.Attrs = setAttr(n.Attrs, Name{"", local}, value)
	return n
}

// SetLang sets xml:lang and returns n.
func (n *Node) SetLang(lang string) *Node {
	n.Attrs = setAttr(n.Attrs, Name{ns.XML, "lang"}, lang)
	return n
}

// DelAttr removes an attribute without a namespace.
func (n *Node) DelAttr(local string) {
	n.Attrs = slices.DeleteFunc(n.Attrs, func(a Attr) bool { return a.Name == Name{"", local} })
}

func attrValue(attrs []Attr, name Name) (string, bool) {
	for i := range attrs {
		if attrs[i].Name == name {
			return attrs[i].Value, true
		}
	}
	return "", false
}

func setAttr(attrs []Attr, name Name, value string) []Attr {
	for i := range attrs {
		if attrs[i].Name == name {
			attrs[i].Value = value
			return attrs
		}
	}
	return append(attrs, Attr{name, value})
}

// Child returns the first child element of that name, or nil.
func (n *Node) Child(space, local string) *Node {
	for _, c := range n.Nodes {
		if c.Name.Local == local && c.Name.Space == space && local != "" {
			return c
		}
	}
	return nil
}

// Children yields the child elements of that name.
func (n *Node) Children(space, local string) iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for _, c := range n.Nodes {
			if c.Name.Local == local && c.Name.Space == space && local != "" && !yield(c) {
				return
			}
		}
	}
}

// Elements yields the child elements.
func (n *Node) Elements() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for _, c := range n.Nodes {
			if !c.IsText() && !yield(c) {
				return
			}
		}
	}
}

// TextContent returns the character data directly in n, without that of child elements.
func (n *Node) TextContent() string {
	text := n.Text
	var more *strings.Builder
	for _, c := range n.Nodes {
		if !c.IsText() || c.Text == "" {
			continue
		}
		if more == nil {
			more = &strings.Builder{}
			more.WriteString(text)
		}
		more.WriteString(c.Text)
	}
	if more != nil {
		return more.String()
	}
	return text
}

// Clone returns a deep copy.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := &Node{Name: n.Name, Attrs: slices.Clone(n.Attrs), Text: n.Text}
	if n.Nodes != nil {
		c.Nodes = make([]*Node, len(n.Nodes))
		for i, child := range n.Nodes {
			c.Nodes[i] = child.Clone()
		}
	}
	return c
}

// String returns n as XML that stands alone, for logs and tests.
func (n *Node) String() string { return string(AppendNode(nil, n, "")) }
