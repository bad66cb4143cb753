package mappings

import (
	"strings"
	"unicode"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// ReadXHTML reads XHTML-IM (XEP-0071, deprecated, but several clients and gateways still send it). Nothing is written in it. The body beside
// it decides what was said: markup whose words differ from the body's is refused, so that nobody is shown other words than another.
func ReadXHTML(html *xmlstream.Node, body string) (richtext.Document, bool) {
	b := html.Child(ns.XHTML, "body")
	if b == nil {
		return richtext.Document{}, false
	}
	x := xhtmlReader{}
	d := bounded(richtext.Document{Blocks: x.blocks(b, 0)})
	if d.Empty() || words(d.Plain()) != words(body) && words(x.text.String()) != words(body) {
		return richtext.Document{}, false
	}
	return d, true
}

// words is a text without all that markup may differ in.
func words(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

const maxHTMLDepth = 24

type xhtmlReader struct{ text strings.Builder }

var xhtmlInline = map[string]richtext.Kind{
	"strong": richtext.KindBold, "b": richtext.KindBold, "em": richtext.KindItalic, "i": richtext.KindItalic, "cite": richtext.KindItalic,
	"u": richtext.KindUnderline, "s": richtext.KindStrike, "del": richtext.KindStrike, "strike": richtext.KindStrike,
}

// xhtmlStyles are the styles of XEP-0071 §7.5.4 that a tree can hold.
var xhtmlStyles = [...]struct {
	css  string
	kind richtext.Kind
}{
	{"font-weight:bold", richtext.KindBold}, {"font-style:italic", richtext.KindItalic}, {"font-style:oblique", richtext.KindItalic},
	{"text-decoration:underline", richtext.KindUnderline}, {"text-decoration:line-through", richtext.KindStrike},
}

// blocks reads what stands where blocks stand; inlines between blocks become paragraphs.
func (x *xhtmlReader) blocks(n *xmlstream.Node, depth int) []richtext.Node {
	var out, para []richtext.Node
	flush := func() {
		if len(para) > 0 {
			out = append(out, richtext.Para(para...))
			para = nil
		}
	}
	if depth > maxHTMLDepth {
		return nil
	}
	para = x.words(para, n.Text)
	for _, c := range n.Nodes {
		if c.IsText() {
			para = x.words(para, c.Text)
			continue
		}
		if b, ok := x.block(c, depth+1); ok {
			flush()
			out = append(out, b...)
			continue
		}
		para = append(para, x.inline(c, depth+1)...)
	}
	flush()
	return out
}

func (x *xhtmlReader) words(to []richtext.Node, text string) []richtext.Node {
	if text == "" {
		return to
	}
	x.text.WriteString(text)
	// White space collapses, as in HTML.
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\t' || r == '\r' }), " ")
	if text == "" {
		text = " "
	}
	return append(to, richtext.Text(text))
}

func (x *xhtmlReader) block(n *xmlstream.Node, depth int) ([]richtext.Node, bool) {
	switch name := n.Name.Local; name {
	case "p", "div", "address":
		return x.blocks(n, depth), true
	case "blockquote":
		return []richtext.Node{richtext.Quote(x.blocks(n, depth)...)}, true
	case "pre":
		text := allText(n, depth)
		x.text.WriteString(text)
		return []richtext.Node{richtext.CodeBlock("", strings.Trim(text, "\n"))}, true
	case "ul", "ol":
		var items []richtext.Node
		for c := range n.Elements() {
			if c.Name.Local == "li" {
				items = append(items, richtext.Item(x.blocks(c, depth)...))
			}
		}
		if name == "ol" {
			return []richtext.Node{richtext.OrderedList(1, items...)}, true
		}
		return []richtext.Node{richtext.List(items...)}, true
	case "h1", "h2", "h3", "h4", "h5", "h6":
		return []richtext.Node{richtext.Heading(int(name[1]-'0'), x.inlines(n, depth)...)}, true
	}
	return nil, false
}

func (x *xhtmlReader) inlines(n *xmlstream.Node, depth int) []richtext.Node {
	out := x.words(nil, n.Text)
	for _, c := range n.Nodes {
		if c.IsText() {
			out = x.words(out, c.Text)
			continue
		}
		out = append(out, x.inline(c, depth+1)...)
	}
	return out
}

func (x *xhtmlReader) inline(n *xmlstream.Node, depth int) []richtext.Node {
	if depth > maxHTMLDepth {
		return nil
	}
	switch n.Name.Local {
	case "br":
		return []richtext.Node{richtext.LineBreak()}
	case "code", "kbd", "samp", "tt":
		text := allText(n, depth)
		x.text.WriteString(text)
		return []richtext.Node{richtext.Code(text)}
	case "img":
		return x.words(nil, n.Attr("alt"))
	case "a":
		if href := n.Attr("href"); webLink(href) {
			return []richtext.Node{richtext.Link(href, x.inlines(n, depth)...)}
		}
	}
	kids := x.inlines(n, depth)
	if k, ok := xhtmlInline[n.Name.Local]; ok {
		kids = []richtext.Node{richtext.Style(k, kids...)}
	}
	css := strings.ReplaceAll(strings.ToLower(n.Attr("style")), " ", "")
	for _, s := range xhtmlStyles {
		if strings.Contains(css, s.css) {
			kids = []richtext.Node{richtext.Style(s.kind, kids...)}
		}
	}
	return kids
}

// webLink tells whether a link may be shown as one: no javascript, data or local schemes.
func webLink(u string) bool {
	scheme, _, ok := strings.Cut(strings.ToLower(strings.TrimSpace(u)), ":")
	switch scheme {
	case "http", "https", "mailto", "xmpp", "tel", "geo", "matrix":
		return ok
	}
	return false
}

func allText(n *xmlstream.Node, depth int) string {
	if depth > maxHTMLDepth {
		return ""
	}
	var b strings.Builder
	b.WriteString(n.Text)
	for _, c := range n.Nodes {
		switch {
		case c.IsText():
			b.WriteString(c.Text)
		case c.Name.Local == "br":
			b.WriteByte('\n')
		default:
			b.WriteString(allText(c, depth+1))
		}
	}
	return b.String()
}
