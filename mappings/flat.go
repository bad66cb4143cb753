package mappings

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// style is what XMPP text can show of a run.
type style uint8

const (
	bold style = 1 << iota
	italic
	strike
	code
)

// run is text of one style within a line.
type run struct {
	text    string
	style   style
	mention *richtext.Mention
}

// line is one line of a body: how deep it is quoted and whether it is preformatted.
type line struct {
	quote int
	pre   bool
	block int // lines of one preformatted block have one number
	lang  string
	runs  []run
}

// flat is a document as lines: what a body, XEP-0393 and XEP-0394 have in common.
type flat struct {
	lines   []line
	spoiler bool // something in it is hidden
	block   int
}

// flatten turns a document into lines. What XMPP has no form for becomes plain text: lists, headings, links ("label (url)").
func flatten(d richtext.Document) *flat {
	f := &flat{}
	f.blocks(d.Blocks, 0, "", "")
	return f
}

func (f *flat) blocks(nodes []richtext.Node, quote int, first, rest string) {
	for i, n := range nodes {
		if i > 0 {
			if n.Kind == richtext.KindParagraph && nodes[i-1].Kind == richtext.KindParagraph {
				f.start(quote, "")
			}
			first = rest
		}
		f.blockNode(n, quote, first, rest)
	}
}

func (f *flat) blockNode(n richtext.Node, quote int, first, rest string) {
	switch n.Kind {
	case richtext.KindReplyFallback: // the reply itself brings its fallback
	case richtext.KindQuote:
		f.blocks(n.Children, quote+1, first, rest)
	case richtext.KindList:
		f.list(n, quote, first, rest)
	case richtext.KindListItem:
		f.blocks(n.Children, quote, first, rest)
	case richtext.KindCodeBlock:
		f.block++
		for _, l := range strings.Split(n.Text, "\n") {
			f.lines = append(f.lines, line{quote: quote, pre: true, block: f.block, lang: n.Lang, runs: []run{{text: l}}})
		}
	case richtext.KindHeading:
		f.start(quote, first)
		f.inlines(n.Children, bold, rest)
	default:
		f.start(quote, first)
		f.inlines(n.Children, 0, rest)
	}
}

func (f *flat) list(n richtext.Node, quote int, first, rest string) {
	for i, item := range n.Children {
		if i > 0 {
			first = rest
		}
		bullet := "- "
		if n.Ordered {
			bullet = strconv.Itoa(max(n.Start, 1)+i) + ". "
		}
		f.blockNode(item, quote, first+bullet, rest+strings.Repeat(" ", len(bullet)))
	}
}

func (f *flat) start(quote int, prefix string) {
	l := line{quote: quote}
	if prefix != "" {
		l.runs = []run{{text: prefix}}
	}
	f.lines = append(f.lines, l)
}

func (f *flat) add(r run) {
	l := &f.lines[len(f.lines)-1]
	if n := len(l.runs); n > 0 && r.mention == nil && l.runs[n-1].mention == nil && l.runs[n-1].style == r.style {
		l.runs[n-1].text += r.text
		return
	}
	if r.text != "" {
		l.runs = append(l.runs, r)
	}
}

var nodeStyles = [...]struct {
	kind  richtext.Kind
	style style
}{{richtext.KindBold, bold}, {richtext.KindItalic, italic}, {richtext.KindStrike, strike}}

func (f *flat) inlines(nodes []richtext.Node, s style, rest string) {
	for _, n := range nodes {
		f.inline(n, s, rest)
	}
}

func (f *flat) inline(n richtext.Node, s style, rest string) {
	switch n.Kind {
	case richtext.KindText, richtext.KindEmoji:
		f.add(run{text: n.Text, style: s})
	case richtext.KindCode:
		f.add(run{text: n.Text, style: s | code})
	case richtext.KindMention:
		m := n.Mention
		f.add(run{text: n.Text, style: s, mention: &m})
	case richtext.KindTime:
		f.add(run{text: richtext.Doc(richtext.Para(n)).Plain(), style: s})
	case richtext.KindLineBreak:
		f.start(f.lines[len(f.lines)-1].quote, rest)
	case richtext.KindLink:
		f.link(n, s, rest)
	case richtext.KindSpoiler:
		f.spoiler = true
		f.inlines(n.Children, s, rest)
	default:
		for _, row := range nodeStyles {
			if row.kind == n.Kind {
				s |= row.style
			}
		}
		f.inlines(n.Children, s, rest)
	}
}

func (f *flat) link(n richtext.Node, s style, rest string) {
	label := richtext.Doc(richtext.Para(n.Children...)).Plain()
	switch {
	case label == "" || label == n.URL || label == strings.TrimPrefix(n.URL, "mailto:"):
		f.add(run{text: n.URL, style: s})
	default:
		f.inlines(n.Children, s, rest)
		f.add(run{text: " (" + n.URL + ")", style: s &^ code})
	}
}

// styled tells whether there is anything but text.
func (f *flat) styled() bool {
	for _, l := range f.lines {
		if l.pre || l.quote > 0 {
			return true
		}
		for _, r := range l.runs {
			if r.style != 0 {
				return true
			}
		}
	}
	return false
}

// same compares the look of two texts, mentions aside.
func (f *flat) same(o *flat) bool {
	if len(f.lines) != len(o.lines) {
		return false
	}
	for i := range f.lines {
		a, b := &f.lines[i], &o.lines[i]
		if a.quote != b.quote || a.pre != b.pre || a.signature() != b.signature() {
			return false
		}
		if i > 0 && a.pre && (f.lines[i-1].block == a.block) != (o.lines[i-1].block == b.block) {
			return false
		}
	}
	return true
}

// signature is the line's text with its styles, however it is cut into runs.
func (l *line) signature() string {
	var b strings.Builder
	last := style(0)
	for _, r := range l.runs {
		if r.text == "" {
			continue
		}
		if r.style != last {
			b.WriteByte(0)
			b.WriteByte(byte(r.style))
			last = r.style
		}
		b.WriteString(r.text)
	}
	return b.String()
}

// document is the tree of the lines: lines next to each other are one paragraph, an empty one parts paragraphs.
func (f *flat) document() richtext.Document {
	blocks, _ := f.tree(f.lines, 0)
	return richtext.Document{Blocks: blocks}
}

func (f *flat) tree(lines []line, quote int) ([]richtext.Node, int) {
	var out, para []richtext.Node
	flush := func() {
		if len(para) > 0 {
			out = append(out, richtext.Para(para...))
			para = nil
		}
	}
	i := 0
	for i < len(lines) {
		l := lines[i]
		switch {
		case l.quote > quote:
			flush()
			n := 0
			for i+n < len(lines) && lines[i+n].quote > quote {
				n++
			}
			inner, _ := f.tree(lines[i:i+n], quote+1)
			out = append(out, richtext.Quote(inner...))
			i += n
			continue
		case l.pre:
			flush()
			var text []string
			n := 0
			for i+n < len(lines) && lines[i+n].pre && lines[i+n].block == l.block && lines[i+n].quote == l.quote {
				text = append(text, lines[i+n].plain())
				n++
			}
			out = append(out, richtext.CodeBlock(l.lang, strings.Join(text, "\n")))
			i += n
			continue
		case len(l.runs) == 0 || l.plain() == "":
			flush()
		default:
			if len(para) > 0 {
				para = append(para, richtext.LineBreak())
			}
			para = append(para, l.nodes()...)
		}
		i++
	}
	flush()
	return out, i
}

func (l *line) plain() string {
	var b strings.Builder
	for _, r := range l.runs {
		b.WriteString(r.text)
	}
	return b.String()
}

func (l *line) nodes() []richtext.Node {
	var out []richtext.Node
	for _, r := range l.runs {
		n := richtext.Text(r.text)
		switch {
		case r.mention != nil:
			n = richtext.Node{Kind: richtext.KindMention, Mention: *r.mention, Text: r.text}
		case r.style&code != 0:
			n = richtext.Code(r.text)
		}
		for i := len(nodeStyles) - 1; i >= 0; i-- {
			if r.style&nodeStyles[i].style != 0 {
				n = richtext.Style(nodeStyles[i].kind, n)
			}
		}
		out = append(out, n)
	}
	return out
}

func runes(s string) int { return utf8.RuneCountInString(s) }
