package richtext

import "strings"

// Doc makes a document of blocks.
func Doc(blocks ...Node) Document { return Document{Blocks: blocks} }

// Para is a paragraph.
func Para(inlines ...Node) Node { return Node{Kind: KindParagraph, Children: inlines} }

// Quote is a block quotation.
func Quote(blocks ...Node) Node { return Node{Kind: KindQuote, Children: blocks} }

// CodeBlock is preformatted code; lang may be empty.
func CodeBlock(lang, code string) Node { return Node{Kind: KindCodeBlock, Lang: lang, Text: code} }

// List is a bullet list of items.
func List(items ...Node) Node { return Node{Kind: KindList, Children: items} }

// OrderedList is a numbered list whose first number is start.
func OrderedList(start int, items ...Node) Node {
	return Node{Kind: KindList, Ordered: true, Start: start, Children: items}
}

// Item is a list item.
func Item(blocks ...Node) Node { return Node{Kind: KindListItem, Children: blocks} }

// Heading is a heading of level 1 to 6.
func Heading(level int, inlines ...Node) Node {
	return Node{Kind: KindHeading, Level: level, Children: inlines}
}

// ReplyFallback marks blocks as a quotation that stands in for a reply.
func ReplyFallback(blocks ...Node) Node { return Node{Kind: KindReplyFallback, Children: blocks} }

// Text is plain text; a line feed in it becomes a line break when normalised.
func Text(s string) Node { return Node{Kind: KindText, Text: s} }

// LineBreak is a line break within a paragraph.
func LineBreak() Node { return Node{Kind: KindLineBreak} }

// Style wraps inlines in a kind that has no attributes: KindBold and so on.
func Style(k Kind, inlines ...Node) Node { return Node{Kind: k, Children: inlines} }

// Bold is strong text.
func Bold(inlines ...Node) Node { return Style(KindBold, inlines...) }

// Italic is emphasised text.
func Italic(inlines ...Node) Node { return Style(KindItalic, inlines...) }

// Strike is struck-out text.
func Strike(inlines ...Node) Node { return Style(KindStrike, inlines...) }

// Underline is underlined text.
func Underline(inlines ...Node) Node { return Style(KindUnderline, inlines...) }

// Code is inline code.
func Code(s string) Node { return Node{Kind: KindCode, Text: s} }

// Link is a link; without inlines its label is the address itself.
func Link(url string, inlines ...Node) Node {
	return Node{Kind: KindLink, URL: url, Children: inlines}
}

// Spoiler hides inlines until the reader asks; reason may be empty.
func Spoiler(reason string, inlines ...Node) Node {
	return Node{Kind: KindSpoiler, Text: reason, Children: inlines}
}

// MentionUserID mentions a user of the network by id, shown as name.
func MentionUserID(id, name string) Node {
	return Node{Kind: KindMention, Text: name, Mention: Mention{Target: MentionUser, ID: id}}
}

// FromPlain reads text without any markup: blank lines part paragraphs, line
// feeds are line breaks, everything else is itself.
func FromPlain(s string) Document {
	s = cleanText(s, true)
	var d Document
	for para := range strings.SplitSeq(s, "\n\n") {
		para = strings.Trim(para, "\n")
		if para == "" {
			continue
		}
		d.Blocks = append(d.Blocks, Para(textLines(para)...))
	}
	return d
}

// textLines is text and line breaks of s, which is clean.
func textLines(s string) []Node {
	var out []Node
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			out = append(out, LineBreak())
		}
		if line != "" {
			out = append(out, Text(line))
		}
	}
	return out
}
