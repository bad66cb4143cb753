package xmlstream

import (
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// contentSpace maps the namespaces of RFC 6120 §4.8.2 to the one that stands for all of them.
func contentSpace(space string) string {
	switch space {
	case ns.Server, ns.ComponentAccept:
		return ns.Client
	case ns.XML, ns.XMLNS: // no element is in these (Namespaces in XML 1.0 §3)
		return ""
	}
	return space
}

// AppendNode appends n in canonical form, for a place where parentNS is the default namespace: ns.Client
// for the content of any stream, "" for a document of its own.
func AppendNode(dst []byte, n *Node, parentNS string) []byte {
	if n == nil {
		return dst
	}
	if n.IsText() {
		return AppendEscapedText(dst, n.Text)
	}
	dst = appendOpen(dst, n.Name, n.Attrs, parentNS)
	start := len(dst)
	dst = append(dst, '>')
	if n.Text != "" {
		dst = AppendEscapedText(dst, n.Text)
	}
	space := contentSpace(n.Name.Space)
	for _, c := range n.Nodes {
		dst = AppendNode(dst, c, space)
	}
	if len(dst) == start+1 {
		return append(dst[:start], "/>"...)
	}
	return appendEnd(dst, n.Name.Local)
}

// AppendStart appends a start tag.
func AppendStart(dst []byte, name Name, attrs []Attr, parentNS string) []byte {
	return append(appendOpen(dst, name, attrs, parentNS), '>')
}

// AppendEnd appends the end tag that belongs to AppendStart.
func AppendEnd(dst []byte, name Name) []byte { return appendEnd(dst, name.Local) }

func appendEnd(dst []byte, local string) []byte {
	return append(appendElementName(append(dst, "</"...), local), '>')
}

// appendElementName keeps off the one name that the decoder refuses.
func appendElementName(dst []byte, local string) []byte {
	if local == "xmlns" {
		dst = append(dst, '_')
	}
	return appendName(dst, local)
}

// appendOpen appends a start tag up to where > or /> follows.
func appendOpen(dst []byte, name Name, attrs []Attr, parentNS string) []byte {
	dst = appendElementName(append(dst, '<'), name.Local)
	if space := contentSpace(name.Space); space != contentSpace(parentNS) {
		dst = append(appendSpace(append(dst, " xmlns='"...), space), '\'')
	}
	return appendAttrs(dst, attrs)
}

// appendAttrs appends attributes. Of two with one name the first is taken: XML has no place for both.
func appendAttrs(dst []byte, attrs []Attr) []byte {
	var prefixes prefixes
	for i := range attrs {
		a := &attrs[i]
		if isDeclaration(a.Name) || hasAttrBefore(attrs, i) {
			continue
		}
		dst = prefixes.declare(dst, a.Name.Space)
		dst = append(dst, ' ')
		dst = prefixes.append(dst, a.Name.Space)
		dst = append(appendName(dst, a.Name.Local), "='"...)
		dst = append(AppendEscapedAttr(dst, a.Value), '\'')
	}
	return dst
}

func isDeclaration(name Name) bool {
	return name.Space == ns.XMLNS || name.Space == "" && name.Local == "xmlns"
}

// hasAttrBefore compares the names as they are written.
func hasAttrBefore(attrs []Attr, i int) bool {
	for k := range attrs[:i] {
		if a, b := attrs[k].Name, attrs[i].Name; a == b || written(a) == written(b) {
			return true
		}
	}
	return false
}

// written returns a name with what the serializer puts in the place of wrong characters.
func written(name Name) Name {
	if !validNCName(name.Local) {
		name.Local = string(appendName(nil, name.Local))
	}
	if name.Space != "" {
		name.Space = string(appendSpace(nil, name.Space))
	}
	return name
}

// prefixes are those generated for the attributes of one element.
type prefixes struct {
	spaces []string
}

// declare appends the declaration that an attribute in space needs before it.
func (p *prefixes) declare(dst []byte, space string) []byte {
	if space == "" || space == ns.XML || p.index(space) > 0 {
		return dst
	}
	p.spaces = append(p.spaces, space)
	dst = strconv.AppendInt(append(dst, " xmlns:ns"...), int64(len(p.spaces)), 10)
	return append(appendSpace(append(dst, "='"...), space), '\'')
}

func (p *prefixes) append(dst []byte, space string) []byte {
	switch space {
	case "":
		return dst
	case ns.XML:
		return append(dst, "xml:"...)
	}
	return append(strconv.AppendInt(append(dst, "ns"...), int64(p.index(space)), 10), ':')
}

func (p *prefixes) index(space string) int {
	for i, s := range p.spaces {
		if s == space {
			return i + 1
		}
	}
	return 0
}
