package xmlstream

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// Characters that parsers trip over, and plain ones.
var textRunes = []rune("ab <>&'\"\t\n\r]=/;#x:!?-[\u0085\u00A0\u00E9\u2028\uD7FF\uE000\uFFFD\U0001F600\U0010FFFF")

func genText() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom(textRunes), 0, 12, -1)
}

func genLocal() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "body", "x-y", "_1.2", "xml", "xmlnsx", "\u00E9t\u00E9", "\u03BB\u00B7"})
}

func genSpace() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "u", "u", "http://v/?w=(1);#\u00E9", "urn:xmpp:sid:0", ns.Client, ns.Stream})
}

// genTree draws a tree in the form in which the parser yields trees: no empty text, no two pieces of text side
// by side, no attribute twice.
func genTree(t *rapid.T, depth int) *Node {
	n := &Node{Name: Name{genSpace().Draw(t, "space"), genLocal().Draw(t, "local")}}
	seen := map[Name]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "attributes") {
		name := Name{"", genLocal().Draw(t, "attribute")}
		if rapid.Bool().Draw(t, "qualified") {
			name.Space = rapid.SampledFrom([]string{"u", "http://v/?w=(1);#\u00E9", "w", ns.XML, ns.Client, ns.Server}).Draw(t, "attribute space")
		}
		if !seen[name] && !isDeclaration(name) {
			seen[name] = true
			n.Attrs = append(n.Attrs, Attr{name, genText().Draw(t, "value")})
		}
	}
	n.Text = genText().Draw(t, "text")
	if depth > 0 {
		for range rapid.IntRange(0, 3).Draw(t, "children") {
			n.Add(genTree(t, depth-1))
			if text := genText().Draw(t, "tail"); text != "" {
				n.Add(TextNode(text))
			}
		}
	}
	return n
}

// parse(serialise(t)) == t (attack 5), for the serializer's own form.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := genTree(t, 3)
		e := NewElement(NewNode(ns.Client, "message").Add(tree))
		d := NewDecoder(S2S)
		defer d.Close()
		_, _ = d.Write(AppendElement([]byte(header), &e, ns.Client))
		got := nextElement(t, d)
		want := dumped(tree, false)
		if child := dumped(got.Inner.At(0).Node(), false); child != want {
			t.Fatalf("as a child %s\nwant       %s", child, want)
		}
		if got.Inner != e.Inner {
			t.Fatalf("got  %q\nwant %q", got.Inner, e.Inner)
		}
		f, err := ParseFragment(e.Inner.Bytes())
		if err != nil || f != e.Inner {
			t.Fatalf("fragment %q, %v", f, err)
		}
		theirs, err := oracleTree(tree.String())
		if err != nil || dumped(theirs, false) != want {
			t.Fatalf("encoding/xml: %v\n%s\n%s", err, tree, want)
		}
	})
}

type fataler interface{ Fatalf(string, ...any) }

func nextElement(t fataler, d *Decoder) Element {
	for {
		kind, err := d.Next()
		if err != nil || kind == NeedMore || kind == StreamEnd {
			t.Fatalf("no element: %v, %v", kind, err)
		}
		if kind == StanzaElement {
			var e Element
			d.Element(&e)
			return e
		}
	}
}

// surface writes a tree in one of the many ways in which a peer may: any prefixes, quotes, white space,
// references and CDATA sections.
type surface struct {
	t *rapid.T
	b strings.Builder
}

func (s *surface) pick(label string, options ...string) string {
	return rapid.SampledFrom(options).Draw(s.t, label)
}

// scope is what prefixes mean; the empty prefix is the default.
type scope map[string]string

func (s *surface) element(n *Node, outer scope) {
	in := scope{}
	for k, v := range outer {
		in[k] = v
	}
	declared := map[string]bool{}
	var tag strings.Builder
	declare := func(prefix, space string) {
		in[prefix], declared[prefix] = space, true
		name := "xmlns"
		if prefix != "" {
			name += ":" + prefix
		}
		tag.WriteString(s.space1() + name + s.equals() + s.value(space))
	}
	// prefixFor finds or declares a prefix; a prefix that this tag declares is not declared again.
	prefixFor := func(space string, mayDefault bool) string {
		if mayDefault && in[""] == space && s.pick("default", "yes", "no") == "yes" || space == "" {
			if in[""] != space && mayDefault {
				declare("", space)
			}
			return ""
		}
		for _, p := range []string{"p", "q", "ns1", "stream", "\u00E9"} {
			if in[p] == space && s.pick("use", "yes", "no") == "yes" {
				declared[p] = true // not to mean something else in the same tag
				return p + ":"
			}
		}
		for _, p := range []string{"p", "q", "ns1", "r0", "r1", "r2", "r3", "r4", "r5", "r6"} {
			if !declared[p] {
				declare(p, space)
				return p + ":"
			}
		}
		s.t.Fatalf("out of prefixes")
		return ""
	}
	qname := prefixFor(n.Name.Space, true) + n.Name.Local
	for _, a := range n.Attrs {
		prefix := "xml:"
		if a.Name.Space != ns.XML {
			// Declaring a default here would change the element's name: attributes never do.
			prefix = prefixFor(a.Name.Space, false)
		}
		tag.WriteString(s.space1() + prefix + a.Name.Local + s.equals() + s.value(a.Value))
	}
	s.b.WriteString("<" + qname + tag.String() + s.space0())
	if n.Text == "" && len(n.Nodes) == 0 && s.pick("empty", "one", "two") == "one" {
		s.b.WriteString("/>")
		return
	}
	s.b.WriteString(">")
	s.text(n.Text)
	for _, c := range n.Nodes {
		if c.IsText() {
			s.text(c.Text)
		} else {
			s.element(c, in)
		}
	}
	s.b.WriteString("</" + qname + s.space0() + ">")
}

func (s *surface) space0() string { return s.pick("space", "", "", " ", "\r\n\t") }
func (s *surface) space1() string { return s.pick("space", " ", " ", "\n", " \t") }
func (s *surface) equals() string { return s.space0() + "=" + s.space0() }

func (s *surface) value(v string) string {
	quote := s.pick("quote", "'", `"`)
	var b strings.Builder
	for _, r := range v {
		switch {
		case r == '<' || r == '&' || string(r) == quote || r == '\t' || r == '\n' || r == '\r':
			b.WriteString(s.reference(r))
		case r == ' ':
			b.WriteString(s.pick("white", " ", "\n", "\t", "\r\n", "&#x20;"))
		default:
			b.WriteString(s.pick("plain", string(r), string(r), s.reference(r)))
		}
	}
	return quote + b.String() + quote
}

func (s *surface) reference(r rune) string {
	options := []string{fmt.Sprintf("&#%d;", r), fmt.Sprintf("&#x%X;", r), fmt.Sprintf("&#x00%x;", r)}
	if named, ok := map[rune]string{'<': "&lt;", '>': "&gt;", '&': "&amp;", '\'': "&apos;", '"': "&quot;"}[r]; ok {
		options = append(options, named)
	}
	return s.pick("reference", options...)
}

func (s *surface) text(text string) {
	for _, piece := range strings.SplitAfter(text, " ") {
		if !strings.Contains(piece, "]]>") && !strings.Contains(piece, "\r") && s.pick("CDATA", "no", "no", "yes") == "yes" {
			s.b.WriteString("<![CDATA[" + piece + "]]>")
			continue
		}
		for _, r := range piece {
			switch r {
			case '<', '&', '\r', '>':
				s.b.WriteString(s.reference(r))
			case '\n':
				s.b.WriteString(s.pick("line end", "\n", "\r\n", "&#10;"))
			default:
				s.b.WriteString(s.pick("plain", string(r), string(r), s.reference(r)))
			}
		}
	}
}

func TestEverySpellingReadsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := genTree(t, 2)
		s := surface{t: t}
		s.element(NewNode("urn:outer", "outer").Add(tree), scope{"": ns.Client, "stream": ns.Stream})
		lim := S2S
		lim.MaxBytes = 1 << 20
		d := NewDecoder(lim)
		defer d.Close()
		_, _ = d.Write([]byte(header + s.b.String()))
		e := nextElement(t, d)
		if got, want := dumped(e.Inner.At(0).Node(), false), dumped(tree, false); got != want {
			t.Fatalf("%s\ngot  %s\nwant %s", s.b.String(), got, want)
		}
		if want := NewFragment(tree); e.Inner != want {
			t.Fatalf("%s\ngot  %q\nwant %q", s.b.String(), e.Inner, want)
		}
	})
}
