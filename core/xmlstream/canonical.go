package xmlstream

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// reader reads canonical bytes back. It is no parser of anything else: all it gets was written by the
// decoder or the serializer, so it checks nothing.
type reader struct {
	s  string
	at int
}

// rawAttr reads the next attribute of a start tag, with its prefix and its escapes.
func (r *reader) rawAttr() (name, value string, ok bool) {
	if r.at >= len(r.s) || r.s[r.at] != ' ' {
		return "", "", false
	}
	s := r.s[r.at+1:]
	equals := strings.IndexByte(s, '=')
	name = s[:equals]
	s = s[equals+2:]
	end := strings.IndexByte(s, '\'')
	r.at += 1 + equals + 2 + end + 1
	return name, s[:end], true
}

// localEnd returns where the name that begins at s[at] ends.
func localEnd(s string, at int) int {
	for s[at] != ' ' && s[at] != '>' && s[at] != '/' {
		at++
	}
	return at
}

// indexEntry describes the element at the cursor, which is the last thing in s.
func (r *reader) indexEntry() entry {
	nameEnd := localEnd(r.s, r.at+1)
	e := entry{
		start: uint32(r.at), end: uint32(len(r.s)),
		localLen: uint32(nameEnd - r.at - 1), spaceLen: inContent,
	}
	r.at = nameEnd
	for {
		name, value, ok := r.rawAttr()
		if !ok {
			break
		}
		if name == "xmlns" {
			e.spaceLen = uint32(len(value))
		}
	}
	if r.s[r.at] == '/' {
		e.content = e.end
	} else {
		e.content = uint32(r.at + 1)
	}
	return e
}

// element reads the element at the cursor, where space is the default namespace.
func (r *reader) element(space string) *Node {
	start := r.at + 1
	r.at = localEnd(r.s, start)
	n := &Node{Name: Name{space, intern(r.s[start:r.at])}}
	r.attrs(n)
	if r.s[r.at] == '/' {
		r.at += len("/>")
		return n
	}
	r.at++
	r.content(n, n.Name.Space)
	r.at += len("</>") + (localEnd(r.s, start) - start)
	return n
}

// attrs reads attributes and declarations; the latter come before what they are for.
func (r *reader) attrs(n *Node) {
	count := 0
	ahead := *r
	for {
		name, _, ok := ahead.rawAttr()
		if !ok {
			break
		}
		if !strings.HasPrefix(name, "xmlns") {
			count++
		}
	}
	if count > 0 {
		n.Attrs = make([]Attr, 0, count)
	}
	var generated []string
	for {
		name, value, ok := r.rawAttr()
		if !ok {
			return
		}
		value = unescape(value)
		prefix, local, prefixed := strings.Cut(name, ":")
		switch {
		case name == "xmlns":
			n.Name.Space = intern(value)
		case !prefixed:
			n.Attrs = append(n.Attrs, Attr{Name{"", intern(name)}, value})
		case prefix == "xmlns":
			generated = append(generated, intern(value))
		case prefix == "xml":
			n.Attrs = append(n.Attrs, Attr{Name{ns.XML, intern(local)}, value})
		default: // ns1, ns2, …
			i, err := strconv.Atoi(prefix[len("ns"):])
			if err == nil && i >= 1 && i <= len(generated) {
				n.Attrs = append(n.Attrs, Attr{Name{generated[i-1], intern(local)}, value})
			}
		}
	}
}

// content reads up to the end tag of n, or to the end of a fragment.
func (r *reader) content(n *Node, space string) {
	for r.at < len(r.s) {
		if r.s[r.at] != '<' {
			end := strings.IndexByte(r.s[r.at:], '<')
			if end < 0 {
				end = len(r.s) - r.at
			}
			text := unescape(r.s[r.at : r.at+end])
			r.at += end
			if len(n.Nodes) == 0 {
				n.Text = text
			} else {
				n.Nodes = append(n.Nodes, TextNode(text))
			}
			continue
		}
		if r.s[r.at+1] == '/' {
			return
		}
		n.Nodes = append(n.Nodes, r.element(space))
	}
}

// unescape decodes the references that the canonical form has.
func unescape(s string) string {
	i := strings.IndexByte(s, '&')
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i >= 0 {
		b.WriteString(s[:i])
		c, n := canonicalReference(s[i:])
		b.WriteByte(c)
		s = s[i+n:]
		i = strings.IndexByte(s, '&')
	}
	b.WriteString(s)
	return b.String()
}

// canonicalReference reads the reference at the start of s and returns its length.
func canonicalReference(s string) (c byte, n int) {
	switch s[1] {
	case 'l':
		return '<', len("&lt;")
	case 'g':
		return '>', len("&gt;")
	case 'a':
		if s[2] == 'm' {
			return '&', len("&amp;")
		}
		return '\'', len("&apos;")
	}
	switch s[2:4] { // #
	case "9;":
		return '\t', len("&#9;")
	case "10":
		return '\n', len("&#10;")
	}
	return '\r', len("&#13;")
}
