package mappings

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// span is a range of a body in code points, end exclusive.
type span struct {
	start, end int
	style      style
	mention    *richtext.Mention
}

// Body is a document as XMPP clients see it.
type Body struct {
	Text string
	// Nodes are what stands beside <body/>: <markup/> (XEP-0394) or <unstyled/> (XEP-0393 §6), where the text alone would be read wrongly.
	Nodes []*xmlstream.Node
	// Mentions are the ranges of those who are called, in code points.
	Mentions []MentionSpan
	Spoiler  bool // something in it was hidden
}

// MentionSpan is a mention in a body.
type MentionSpan struct {
	Start, End int
	Mention    richtext.Mention
}

// WriteStyling renders a document with XEP-0393. If that text would not read as the document (it holds a mark by accident, or a style
// that starts within a word: XEP-0393 cannot escape), it is plain text with XEP-0394 ranges and <unstyled/> instead.
func WriteStyling(d richtext.Document) Body {
	f := flatten(d)
	if len(f.lines) == 0 {
		return Body{}
	}
	w := styleWriter{marks: true}
	w.write(f)
	if parseStyling(w.b.String(), nil).same(f) {
		return Body{Text: w.b.String(), Mentions: w.mentions, Spoiler: f.spoiler}
	}
	w = styleWriter{}
	w.write(f)
	out := Body{Text: w.b.String(), Mentions: w.mentions, Spoiler: f.spoiler}
	out.Nodes = append(out.Nodes, xmlstream.NewNode(ns.Styling, "unstyled"))
	if f.styled() && len(w.markup) > 0 {
		out.Nodes = append(out.Nodes, xmlstream.NewNode(ns.Markup, "markup").Add(w.markup...))
	}
	return out
}

// styleWriter writes lines with marks (XEP-0393), or without and with ranges (XEP-0394).
type styleWriter struct {
	b        strings.Builder
	n        int // code points written
	marks    bool
	mentions []MentionSpan
	markup   []*xmlstream.Node
	pre      int // where the open block began, -1: none
	quotes   []int
}

func (w *styleWriter) put(s string) {
	w.b.WriteString(s)
	w.n += runes(s)
}

func (w *styleWriter) write(f *flat) {
	w.pre = -1
	for i := range f.lines {
		l := &f.lines[i]
		if i > 0 {
			prev := &f.lines[i-1]
			if prev.pre && (!l.pre || l.block != prev.block || l.quote != prev.quote) {
				w.endPre(prev)
			}
			w.setQuote(min(l.quote, len(w.quotes)))
			w.put("\n")
		}
		w.setQuote(l.quote)
		if l.pre && (i == 0 || f.lines[i-1].block != l.block || !f.lines[i-1].pre || f.lines[i-1].quote != l.quote) {
			w.startPre(l)
		}
		w.prefix(l.quote)
		w.runs(l)
	}
	if n := len(f.lines); n > 0 && f.lines[n-1].pre {
		w.endPre(&f.lines[n-1])
	}
	w.setQuote(0)
}

func (w *styleWriter) prefix(quote int) { w.put(strings.Repeat("> ", quote)) }

func (w *styleWriter) startPre(l *line) {
	if w.marks {
		w.prefix(l.quote)
		w.put(fence + l.lang + "\n")
		return
	}
	w.pre = w.n
}

func (w *styleWriter) endPre(l *line) {
	if w.marks {
		w.put("\n")
		w.prefix(l.quote)
		w.put(fence)
		return
	}
	n := rangeNode("bcode", w.pre, w.n)
	if l.lang != "" {
		n.SetAttr("language", l.lang)
	}
	w.markup = append(w.markup, n)
}

// setQuote opens and closes the ranges of quotes (XEP-0394 §4.4).
func (w *styleWriter) setQuote(depth int) {
	for len(w.quotes) > depth {
		last := len(w.quotes) - 1
		if w.n > w.quotes[last] {
			w.markup = append(w.markup, rangeNode("bquote", w.quotes[last], w.n))
		}
		w.quotes = w.quotes[:last]
	}
	for len(w.quotes) < depth {
		w.quotes = append(w.quotes, w.n)
	}
}

func rangeNode(local string, start, end int) *xmlstream.Node {
	return xmlstream.NewNode(ns.Markup, local, "start", strconv.Itoa(start), "end", strconv.Itoa(end))
}

var marks = [...]struct {
	style style
	mark  string
	local string // in XEP-0394
}{{bold, "*", "strong"}, {italic, "_", "emphasis"}, {strike, "~", "deleted"}, {code, "`", "code"}}

func (w *styleWriter) runs(l *line) {
	var open []int // indexes of marks, outermost first
	for _, r := range l.runs {
		if w.marks {
			open = w.change(open, r.style)
		}
		start := w.n
		w.put(r.text)
		if r.mention != nil {
			w.mentions = append(w.mentions, MentionSpan{start, w.n, *r.mention})
		}
		if !w.marks && r.style != 0 && w.n > start {
			n := rangeNode("span", start, w.n)
			for _, m := range marks {
				if r.style&m.style != 0 {
					n.AddNew(m.local)
				}
			}
			w.markup = append(w.markup, n)
		}
	}
	if w.marks {
		w.change(open, 0)
	}
}

// change closes the marks that end, and those inside of them, and opens what is missing.
func (w *styleWriter) change(open []int, want style) []int {
	keep := len(open)
	for i, m := range open {
		if want&marks[m].style == 0 {
			keep = i
			break
		}
	}
	for i := len(open) - 1; i >= keep; i-- {
		w.put(marks[open[i]].mark)
	}
	open = open[:keep:keep]
	for i, m := range marks {
		have := false
		for _, o := range open {
			have = have || o == i
		}
		if want&m.style != 0 && !have {
			w.put(m.mark)
			open = append(open, i)
		}
	}
	return open
}
