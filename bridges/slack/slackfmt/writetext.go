package slackfmt

import (
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Mrkdwn writes a document as mrkdwn: the text for notifications, and for places that
// have no blocks.
func Mrkdwn(d richtext.Document, o WriteOptions) string {
	w := textWriter{o: o}
	w.blocks(normal(d.WithoutReplyFallback()).Blocks, "", "")
	return w.b.String()
}

type textWriter struct {
	o WriteOptions
	b strings.Builder
}

// blocks writes blocks; first begins the first line, rest all others.
func (w *textWriter) blocks(nodes []richtext.Node, first, rest string) {
	for i, n := range nodes {
		if i > 0 {
			w.b.WriteByte('\n')
			if n.Kind == richtext.KindParagraph && nodes[i-1].Kind == richtext.KindParagraph {
				w.b.WriteString(strings.TrimRight(rest, " ") + "\n")
			}
			first = rest
		}
		w.block(n, first, rest)
	}
}

func (w *textWriter) block(n richtext.Node, first, rest string) {
	switch n.Kind {
	case richtext.KindQuote:
		w.blocks(n.Children, first+"> ", rest+"> ")
	case richtext.KindList:
		for i, item := range n.Children {
			bullet := "• "
			if n.Ordered {
				bullet = strconv.Itoa(max(n.Start, 1)+i) + ". "
			}
			if i > 0 {
				w.b.WriteByte('\n')
				first = rest
			}
			w.blocks(item.Children, first+bullet, rest+"    ")
		}
	case richtext.KindListItem:
		w.blocks(n.Children, first, rest)
	case richtext.KindCodeBlock:
		w.b.WriteString(first + fence + "\n" + strings.ReplaceAll(Escape(breakFence(n.Text)), "\n", "\n"+rest) + "\n" + rest + fence)
	case richtext.KindHeading:
		w.b.WriteString(first)
		w.wrap("*", n.Children, rest)
	default:
		w.b.WriteString(first)
		w.inlines(n.Children, rest)
	}
}

// breakFence keeps code from ending its own fence.
func breakFence(s string) string { return strings.ReplaceAll(s, fence, "`\u200b``") }

func (w *textWriter) inlines(nodes []richtext.Node, rest string) {
	for _, n := range nodes {
		w.inline(n, rest)
	}
}

func (w *textWriter) inline(n richtext.Node, rest string) {
	switch n.Kind {
	case richtext.KindText:
		w.b.WriteString(Escape(n.Text))
	case richtext.KindLineBreak:
		w.b.WriteString("\n" + rest)
	case richtext.KindCode:
		w.b.WriteString("`" + Escape(strings.ReplaceAll(n.Text, "`", "'")) + "`")
	case richtext.KindBold:
		w.wrap("*", n.Children, rest)
	case richtext.KindItalic:
		w.wrap("_", n.Children, rest)
	case richtext.KindStrike:
		w.wrap("~", n.Children, rest)
	case richtext.KindLink:
		w.link(n)
	case richtext.KindSpoiler:
		w.b.WriteString(Escape(spoilerMark(n)))
		w.inlines(n.Children, rest)
	case richtext.KindMention:
		w.mention(n)
	case richtext.KindEmoji:
		w.b.WriteString(Escape(n.Text))
	case richtext.KindTime:
		w.b.WriteString(Escape(timeText(n)))
	default:
		w.inlines(n.Children, rest)
	}
}

func (w *textWriter) wrap(mark string, kids []richtext.Node, rest string) {
	w.b.WriteString(mark)
	w.inlines(kids, rest)
	w.b.WriteString(mark)
}

func (w *textWriter) link(n richtext.Node) {
	label := richtext.Doc(richtext.Para(n.Children...)).Plain()
	url := strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E").Replace(n.URL)
	w.b.WriteString("<" + Escape(url))
	if label != n.URL && label != "" {
		w.b.WriteString("|" + Escape(strings.ReplaceAll(label, "\n", " ")))
	}
	w.b.WriteByte('>')
}

func (w *textWriter) mention(n richtext.Node) {
	switch {
	case w.o.user(n.Mention) != "":
		w.b.WriteString("<@" + w.o.user(n.Mention) + ">")
	case w.o.channel(n.Mention) != "":
		w.b.WriteString("<#" + w.o.channel(n.Mention) + ">")
	case w.o.everybody(n.Mention) != "":
		w.b.WriteString("<!" + w.o.everybody(n.Mention) + ">")
	default:
		w.b.WriteString(Escape(n.Text))
	}
}
