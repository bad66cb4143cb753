package discordfmt

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Write renders a document as markdown. What only looks like markup is escaped.
func Write(d richtext.Document) string {
	return writeBlocks(d.WithoutReplyFallback().Blocks, false)
}

// Mentions are the ids of the users whom Write calls, each once, for allowed_mentions.
func Mentions(d richtext.Document) []string {
	var out []string
	for _, m := range d.Mentions() {
		if m.Target == richtext.MentionUser && discordid.Valid(m.ID) && !slices.Contains(out, m.ID) {
			out = append(out, m.ID)
		}
	}
	return out
}

// Length is what Discord counts, at most: UTF-16 code units.
func Length(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// Split renders a document as messages of at most limit characters each; every
// mark and fence is closed in the message it was opened in.
func Split(d richtext.Document, limit int) []string {
	var out []string
	measure := func(d richtext.Document) int { return Length(Write(d)) }
	for _, part := range richtext.Split(d.WithoutReplyFallback(), limit, measure) {
		if s := strings.TrimSpace(Write(part)); plain(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

func writeBlocks(nodes []richtext.Node, quoted bool) string {
	var b strings.Builder
	for i, n := range nodes {
		s := writeBlock(n, quoted)
		if i > 0 {
			b.WriteString(between(nodes[i-1], n, s))
		}
		b.WriteString(s)
	}
	return b.String()
}

// between parts two blocks: by a blank line where one would go on in the other.
func between(a, b richtext.Node, next string) string {
	switch {
	case a.Kind == richtext.KindParagraph && b.Kind == richtext.KindParagraph && (isSubtext(a) || isSubtext(b)):
		return "\n"
	case a.Kind == b.Kind && a.Kind != richtext.KindHeading && a.Kind != richtext.KindCodeBlock:
		return "\n\n"
	case a.Kind == richtext.KindList && strings.HasPrefix(next, " "):
		return "\n\n"
	}
	return "\n"
}

// isSubtext reports whether a paragraph is a line of small print.
func isSubtext(n richtext.Node) bool {
	return len(n.Children) == 1 && n.Children[0].Kind == richtext.KindSubtext &&
		!slices.ContainsFunc(n.Children[0].Children, func(k richtext.Node) bool { return k.Kind == richtext.KindLineBreak })
}

func writeBlock(n richtext.Node, quoted bool) string {
	switch n.Kind {
	case richtext.KindQuote:
		inner := writeBlocks(n.Children, true)
		if quoted { // quotes do not nest
			return inner
		}
		return "> " + strings.ReplaceAll(inner, "\n", "\n> ")
	case richtext.KindCodeBlock:
		return writeCodeBlock(n)
	case richtext.KindList:
		return writeList(n, 0)
	case richtext.KindHeading:
		return strings.Repeat("#", min(n.Level, 3)) + " " + writeInlines(n.Children, false)
	case richtext.KindReplyFallback, richtext.KindListItem:
		return writeBlocks(n.Children, quoted)
	}
	if isSubtext(n) {
		return "-# " + writeInlines(n.Children[0].Children, false)
	}
	return writeInlines(n.Children, true)
}

func writeCodeBlock(n richtext.Node) string {
	code := strings.ReplaceAll(n.Text, "``", "`"+zero+"`")
	if strings.HasSuffix(code, "`") {
		code += zero
	}
	lang := n.Lang
	if !isLang(lang) {
		lang = ""
	}
	return "```" + lang + "\n" + code + "\n```"
}

// writeList indents what belongs to an item by two spaces.
func writeList(n richtext.Node, depth int) string {
	indent := strings.Repeat("  ", depth)
	var lines []string
	for i, it := range n.Children {
		bullet := "- "
		if n.Ordered {
			bullet = strconv.Itoa(max(n.Start, 1)+i) + ". "
		}
		for j, kid := range it.Children {
			switch {
			case kid.Kind == richtext.KindList:
				lines = append(lines, writeList(kid, depth+1))
				continue
			case j == 0:
				lines = append(lines, indent+bullet+continued(writeItem(kid), indent))
			default:
				lines = append(lines, indent+"  "+continued(writeItem(kid), indent))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// writeItem is a block within a list; only text and lists stand there.
func writeItem(n richtext.Node) string {
	switch n.Kind {
	case richtext.KindParagraph, richtext.KindHeading:
		return writeInlines(n.Children, true)
	case richtext.KindCodeBlock:
		return writeInlines([]richtext.Node{richtext.Code(strings.ReplaceAll(n.Text, "\n", " "))}, true)
	}
	return writeInlines(richtext.FromPlain(richtext.Doc(n.Children...).Plain()).Blocks[0].Children, true)
}

func continued(s, indent string) string { return strings.ReplaceAll(s, "\n", "\n"+indent+"  ") }
