package richtext

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Plain renders the document as text without markup: paragraphs parted by a
// blank line, quotes prefixed with "> ", lists with "- " or numbers, a link as
// "label (url)", a hidden text in full. It never fails and is always valid
// UTF-8 if the document is normal.
func (d Document) Plain() string {
	var p plainWriter
	p.blocks(d.Blocks, "", "")
	return p.b.String()
}

// PlainRunes, PlainBytes and PlainUTF16 measure a document for Split by the
// length of its plain text.
func PlainRunes(d Document) int { return utf8.RuneCountInString(d.Plain()) }

// PlainBytes counts bytes of UTF-8.
func PlainBytes(d Document) int { return len(d.Plain()) }

// PlainUTF16 counts UTF-16 code units.
func PlainUTF16(d Document) int {
	n := 0
	for _, r := range d.Plain() {
		n += utf16.RuneLen(r)
	}
	return n
}

type plainWriter struct{ b strings.Builder }

// blocks writes blocks; first is the prefix of the first line (it may carry a
// bullet), rest that of every further line.
func (p *plainWriter) blocks(nodes []Node, first, rest string) {
	for i, n := range nodes {
		if i > 0 {
			p.b.WriteByte('\n')
			if n.Kind == KindParagraph && nodes[i-1].Kind == KindParagraph {
				p.b.WriteString(strings.TrimRight(rest, " "))
				p.b.WriteByte('\n')
			}
			first = rest
		}
		p.block(n, first, rest)
	}
}

func (p *plainWriter) block(n Node, first, rest string) {
	switch n.Kind {
	case KindQuote, KindReplyFallback:
		p.blocks(n.Children, first+"> ", rest+"> ")
	case KindList:
		p.list(n, first, rest)
	case KindListItem:
		p.blocks(n.Children, first, rest)
	case KindCodeBlock:
		p.b.WriteString(first)
		p.b.WriteString(strings.ReplaceAll(n.Text, "\n", "\n"+rest))
	default:
		p.b.WriteString(first)
		p.inlines(n.Children, rest)
	}
}

func (p *plainWriter) list(n Node, first, rest string) {
	for i, item := range n.Children {
		if i > 0 {
			p.b.WriteByte('\n')
			first = rest
		}
		bullet := "- "
		if n.Ordered {
			bullet = strconv.Itoa(max(n.Start, 1)+i) + ". "
		}
		p.block(item, first+bullet, rest+strings.Repeat(" ", len(bullet)))
	}
}

func (p *plainWriter) inlines(nodes []Node, rest string) {
	for _, n := range nodes {
		switch n.Kind {
		case KindText, KindCode, KindMention, KindEmoji:
			p.b.WriteString(n.Text)
		case KindTime:
			p.b.WriteString(n.Time.fallback(n.Text))
		case KindLineBreak:
			p.b.WriteByte('\n')
			p.b.WriteString(rest)
		case KindLink:
			p.link(n, rest)
		default:
			p.inlines(n.Children, rest)
		}
	}
}

func (p *plainWriter) link(n Node, rest string) {
	start := p.b.Len()
	p.inlines(n.Children, rest)
	label := p.b.String()[start:]
	if label == n.URL || label == strings.TrimPrefix(n.URL, "mailto:") {
		return
	}
	if label == "" {
		p.b.WriteString(n.URL)
		return
	}
	p.b.WriteString(" (" + n.URL + ")")
}

// fallback is the text for a reader whose client cannot show local times.
func (t Time) fallback(given string) string {
	if given != "" {
		return given
	}
	layouts := map[TimeStyle]string{TimeDate: "2006-01-02", TimeClock: "15:04 UTC"}
	layout, ok := layouts[t.Style]
	if !ok {
		layout = "2006-01-02 15:04 UTC"
	}
	return time.Unix(t.Unix, 0).UTC().Format(layout)
}
