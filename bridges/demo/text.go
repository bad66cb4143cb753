package demo

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// The network's markup: *bold*, _italic_, ~struck~, `code`, fences of three
// back-quotes, @name for people. Nothing nests in code; a mark counts only where a
// word begins or ends, so that snake_case_names stay what they are.

// style is what a mark means; KindUnknown if it is none.
func style(mark rune) richtext.Kind {
	switch mark {
	case '*':
		return richtext.KindBold
	case '_':
		return richtext.KindItalic
	case '~':
		return richtext.KindStrike
	}
	return richtext.KindUnknown
}

// fromText reads a message of the network.
func fromText(s string) richtext.Document {
	var blocks []richtext.Node
	for i, piece := range strings.Split(s, "```") {
		if i%2 == 1 {
			blocks = append(blocks, richtext.CodeBlock("", strings.Trim(piece, "\n")))
			continue
		}
		for para := range strings.SplitSeq(piece, "\n\n") {
			if para = strings.Trim(para, "\n"); para != "" {
				blocks = append(blocks, richtext.Para(inlines(para, 0)...))
			}
		}
	}
	doc, _ := richtext.Normalize(richtext.Doc(blocks...), richtext.DefaultLimits())
	return doc
}

// inlines reads a run of text. Marks are looked for up to a small depth.
func inlines(s string, depth int) []richtext.Node {
	var out []richtext.Node
	plain := 0 // where the text not yet written begins
	flush := func(to int) {
		if plain < to {
			out = append(out, richtext.Text(s[plain:to]))
		}
	}
	before := ' '
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		node, length := richtext.Node{}, 0
		if !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			node, length = markup(s[i:], r, depth)
		}
		if length == 0 {
			before, i = r, i+size
			continue
		}
		flush(i)
		out = append(out, node)
		i += length
		plain, before = i, ' '
	}
	flush(len(s))
	return out
}

// markup reads what begins at the start of s, and its length; 0 if nothing does.
func markup(s string, r rune, depth int) (richtext.Node, int) {
	switch {
	case r == '@':
		end := 1
		for end < len(s) && (s[end] == '-' || s[end] >= '0' && s[end] <= '9' || s[end] >= 'a' && s[end] <= 'z') {
			end++
		}
		if end == 1 {
			return richtext.Node{}, 0
		}
		return richtext.MentionUserID(s[1:end], s[:end]), end
	case r == '`':
		if end := strings.IndexByte(s[1:], '`'); end > 0 {
			return richtext.Code(s[1 : 1+end]), end + 2
		}
	case style(r) != richtext.KindUnknown && depth < 4:
		end := strings.IndexRune(s[1:], r)
		if end <= 0 || s[1] == ' ' || s[end] == ' ' || strings.Contains(s[1:1+end], "\n") {
			return richtext.Node{}, 0
		}
		return richtext.Style(style(r), inlines(s[1:1+end], depth+1)...), end + 2
	}
	return richtext.Node{}, 0
}

// toText writes a document in the network's markup. Kinds without a mark are plain.
func toText(d richtext.Document) string {
	var parts []string
	for _, b := range d.WithoutReplyFallback().Blocks {
		parts = append(parts, blockText(b))
	}
	return strings.Join(parts, "\n\n")
}

// textRunes measures a document as the network counts it.
func textRunes(d richtext.Document) int { return utf8.RuneCountInString(toText(d)) }

func blockText(n richtext.Node) string {
	switch n.Kind {
	case richtext.KindCodeBlock:
		return "```\n" + n.Text + "\n```"
	case richtext.KindParagraph:
		return inlineText(n.Children)
	case richtext.KindHeading:
		return "*" + inlineText(n.Children) + "*"
	}
	return richtext.Doc(n).Plain()
}

func inlineText(nodes []richtext.Node) string {
	marks := map[richtext.Kind]string{richtext.KindBold: "*", richtext.KindItalic: "_", richtext.KindStrike: "~"}
	var b strings.Builder
	for _, n := range nodes {
		switch {
		case marks[n.Kind] != "":
			b.WriteString(marks[n.Kind] + inlineText(n.Children) + marks[n.Kind])
		case n.Kind == richtext.KindCode:
			b.WriteString("`" + n.Text + "`")
		case n.Kind == richtext.KindMention && n.Mention.Target == richtext.MentionUser && n.Mention.ID != "":
			b.WriteString("@" + n.Mention.ID)
		case n.Kind == richtext.KindLineBreak:
			b.WriteString("\n")
		case n.Kind.IsLeaf(), n.Kind == richtext.KindLink:
			b.WriteString(richtext.Doc(richtext.Para(n)).Plain())
		default:
			b.WriteString(inlineText(n.Children))
		}
	}
	return b.String()
}
