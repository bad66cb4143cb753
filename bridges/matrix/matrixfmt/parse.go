package matrixfmt

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxInput bounds what is parsed: an event has at most 64 KiB.
const maxInput = 128 << 10

// Parse reads HTML. The result is in normal form within the default limits.
func Parse(source string) richtext.Document {
	if len(source) > maxInput {
		source = source[:maxInput]
	}
	context := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(source), context)
	if err != nil {
		// Nested deeper than the parser takes: nobody writes that to be read.
		return richtext.Document{}
	}
	var out []richtext.Node
	for _, n := range nodes {
		out = append(out, walk(n, 0)...)
	}
	doc, _ := richtext.Normalize(richtext.Document{Blocks: paragraphs(out)}, richtext.DefaultLimits())
	return doc
}

// maxDepth bounds recursion; the parser itself stops earlier.
const maxDepth = 600

// walk converts a node to blocks and inlines, mixed as they come.
func walk(n *html.Node, depth int) []richtext.Node {
	if depth > maxDepth {
		return nil
	}
	switch n.Type {
	case html.TextNode:
		if s := collapse(n.Data); s != "" {
			return []richtext.Node{richtext.Text(s)}
		}
	case html.ElementNode:
		return element(n, depth)
	}
	return nil
}

func children(n *html.Node, depth int) []richtext.Node {
	var out []richtext.Node
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out = append(out, walk(c, depth+1)...)
	}
	return out
}

func element(n *html.Node, depth int) []richtext.Node {
	if kind, ok := styles(n.DataAtom); ok {
		return []richtext.Node{richtext.Style(kind, children(n, depth)...)}
	}
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Noscript:
		return nil
	case atom.Br:
		return []richtext.Node{richtext.LineBreak()}
	case atom.Code:
		return []richtext.Node{richtext.Code(text(n, 0))}
	case atom.Pre:
		return []richtext.Node{codeBlock(n)}
	case atom.A:
		return []richtext.Node{link(n, depth)}
	case atom.Img:
		return image(n)
	case atom.Span:
		return span(n, depth)
	}
	return block(n, depth)
}

func styles(a atom.Atom) (richtext.Kind, bool) {
	switch a {
	case atom.Strong, atom.B:
		return richtext.KindBold, true
	case atom.Em, atom.I:
		return richtext.KindItalic, true
	case atom.U, atom.Ins:
		return richtext.KindUnderline, true
	case atom.Del, atom.S, atom.Strike:
		return richtext.KindStrike, true
	}
	return 0, false
}

func block(n *html.Node, depth int) []richtext.Node {
	switch n.DataAtom {
	case atom.P, atom.Div, atom.Summary, atom.Caption, atom.Tr, atom.Section, atom.Article:
		return paragraphs(children(n, depth))
	case atom.Td, atom.Th:
		return append(children(n, depth), richtext.Text(" "))
	case atom.Blockquote:
		return []richtext.Node{richtext.Quote(paragraphs(children(n, depth))...)}
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return []richtext.Node{richtext.Heading(int(n.Data[1]-'0'), trim(children(n, depth))...)}
	case atom.Ul, atom.Ol:
		return []richtext.Node{list(n, depth)}
	case atom.Li:
		return paragraphs(children(n, depth))
	case atom.Hr:
		return []richtext.Node{richtext.Para(richtext.Text("---"))}
	}
	if n.Data == "mx-reply" {
		return []richtext.Node{richtext.ReplyFallback(paragraphs(children(n, depth))...)}
	}
	return children(n, depth)
}

// paragraphs gathers loose inlines into paragraphs between the blocks.
func paragraphs(nodes []richtext.Node) []richtext.Node {
	var out, loose []richtext.Node
	flush := func() {
		if loose = trim(loose); len(loose) > 0 {
			out = append(out, richtext.Para(loose...))
		}
		loose = nil
	}
	for _, n := range nodes {
		if n.Kind.IsBlock() {
			flush()
			out = append(out, n)
			continue
		}
		loose = append(loose, n)
	}
	flush()
	return out
}

// trim takes away the white space that a browser would not show: at either end,
// around line breaks, and twice in a row.
func trim(nodes []richtext.Node) []richtext.Node {
	var out []richtext.Node
	space := true
	for _, n := range nodes {
		switch n.Kind {
		case richtext.KindText:
			if space {
				n.Text = strings.TrimLeft(n.Text, " ")
			}
			if n.Text == "" {
				continue
			}
			space = strings.HasSuffix(n.Text, " ")
		case richtext.KindLineBreak:
			out = rightTrim(out)
			space = true
		default:
			space = false
		}
		out = append(out, n)
	}
	out = rightTrim(out)
	// A line break at the very end or beginning is not shown either.
	for len(out) > 0 && out[len(out)-1].Kind == richtext.KindLineBreak {
		out = rightTrim(out[:len(out)-1])
	}
	for len(out) > 0 && out[0].Kind == richtext.KindLineBreak {
		out = out[1:]
	}
	return out
}

func rightTrim(nodes []richtext.Node) []richtext.Node {
	if len(nodes) == 0 {
		return nodes
	}
	last := &nodes[len(nodes)-1]
	if last.Kind != richtext.KindText {
		return nodes
	}
	if last.Text = strings.TrimRight(last.Text, " "); last.Text == "" {
		return nodes[:len(nodes)-1]
	}
	return nodes
}

// collapse makes every run of white space one space; a no-break space stays.
func collapse(s string) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		if r == ' ' || r == '\n' || r == '\t' || r == '\r' || r == '\f' {
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

func list(n *html.Node, depth int) richtext.Node {
	out := richtext.List()
	if n.DataAtom == atom.Ol {
		out.Ordered = true
		if start, err := strconv.Atoi(attr(n, "start")); err == nil && start > 0 && start < 1<<30 {
			out.Start = start
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if items := walk(c, depth+1); len(items) > 0 && !blank(items) {
			out.Children = append(out.Children, richtext.Item(paragraphs(items)...))
		}
	}
	return out
}

func blank(nodes []richtext.Node) bool {
	for _, n := range nodes {
		if n.Kind != richtext.KindText || strings.TrimSpace(n.Text) != "" {
			return false
		}
	}
	return true
}

// text is the bare text below n, white space kept.
func text(n *html.Node, depth int) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	if n.DataAtom == atom.Br {
		return "\n"
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil && depth < maxDepth; c = c.NextSibling {
		b.WriteString(text(c, depth+1))
	}
	return b.String()
}

func codeBlock(n *html.Node) richtext.Node {
	lang := ""
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom != atom.Code {
			continue
		}
		for class := range strings.FieldsSeq(attr(c, "class")) {
			if l, ok := strings.CutPrefix(class, "language-"); ok {
				lang = l
			}
		}
	}
	return richtext.CodeBlock(lang, strings.TrimSuffix(text(n, 0), "\n"))
}

func link(n *html.Node, depth int) richtext.Node {
	href := attr(n, "href")
	label := children(n, depth)
	if t, err := matrixid.Parse(href); err == nil && t.Event == "" && strings.Contains(href, "matrix") {
		name := strings.TrimSpace(collapse(text(n, 0)))
		target := richtext.MentionRoom
		if t.Kind == matrixid.KindUser {
			target = richtext.MentionUser
		}
		return richtext.Node{Kind: richtext.KindMention, Text: name, Mention: richtext.Mention{Target: target, ID: t.ID}}
	}
	return richtext.Link(href, label...)
}

func image(n *html.Node) []richtext.Node {
	name := attr(n, "alt")
	if name == "" {
		name = attr(n, "title")
	}
	src := attr(n, "src")
	if _, emoticon := find(n, "data-mx-emoticon"); emoticon && strings.HasPrefix(src, "mxc://") {
		short := strings.Trim(name, ":")
		if short == "" {
			short = "emoji"
		}
		return []richtext.Node{{Kind: richtext.KindEmoji, Text: ":" + short + ":", Emoji: richtext.Emoji{Name: short, ID: src, Media: src}}}
	}
	if name == "" {
		return nil
	}
	return []richtext.Node{richtext.Text(collapse(name))}
}

func span(n *html.Node, depth int) []richtext.Node {
	if reason, ok := find(n, "data-mx-spoiler"); ok {
		return []richtext.Node{richtext.Spoiler(reason, children(n, depth)...)}
	}
	return children(n, depth)
}

func attr(n *html.Node, key string) string {
	v, _ := find(n, key)
	return v
}

func find(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}
