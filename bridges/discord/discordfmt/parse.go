package discordfmt

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxInput bounds what is read: a message has at most 4,000 characters, an embed 6,000.
const maxInput = 64 << 10

// zero is a space of no width.
const zero = "\u200b"

// Names gives names to ids; nil functions, and "" from them, leave the id.
type Names struct {
	User    func(id string) string
	Channel func(id string) string
	Role    func(id string) string
	// Everyone: the author was allowed to call everybody (mention_everyone).
	Everyone bool
}

// Parse reads markdown. The result is in normal form within the default limits.
func Parse(source string, names Names) richtext.Document {
	if len(source) > maxInput {
		source = strings.ToValidUTF8(source[:maxInput], "")
	}
	source = clean(source)
	p := parser{names: names}
	doc, _ := richtext.Normalize(richtext.Document{Blocks: p.blocks(source, false)}, richtext.DefaultLimits())
	return doc
}

type parser struct{ names Names }

// clean leaves lines of text without control characters.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			return '\n'
		case r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff:
			return -1
		}
		return r
	}, s)
}

// plain drops the spaces that only part marks.
func plain(s string) string { return strings.ReplaceAll(s, zero, "") }

// blocks reads block by block; quotes do not nest.
func (p *parser) blocks(s string, quoted bool) []richtext.Node {
	var out []richtext.Node
	for s != "" {
		var n []richtext.Node
		n, s = p.block(s, quoted)
		out = append(out, n...)
	}
	return out
}

// block reads what begins at the start of a line.
func (p *parser) block(s string, quoted bool) ([]richtext.Node, string) {
	line, rest := cutLine(s)
	switch {
	case strings.TrimSpace(line) == "":
		return nil, rest
	case !quoted && strings.HasPrefix(line, ">>> "):
		return []richtext.Node{richtext.Quote(p.blocks(s[4:], true)...)}, ""
	case !quoted && strings.HasPrefix(line, "> "):
		inner, after := takeQuote(s)
		return []richtext.Node{richtext.Quote(p.blocks(inner, true)...)}, after
	}
	if text, ok := strings.CutPrefix(line, "-# "); ok && strings.TrimSpace(text) != "" {
		return []richtext.Node{richtext.Para(richtext.Style(richtext.KindSubtext, p.inlines(strings.TrimSpace(text), 0)...))}, rest
	}
	if level := headingLevel(line); level > 0 {
		return []richtext.Node{richtext.Heading(level, p.inlines(strings.TrimSpace(line[level+1:]), 0)...)}, rest
	}
	if _, ok := listItem(line); ok {
		return p.list(s)
	}
	if code, after, ok := fence(s); ok {
		return []richtext.Node{code}, strings.TrimPrefix(after, "\n")
	}
	text, after := takeParagraph(s, quoted)
	return []richtext.Node{richtext.Para(p.inlines(text, 0)...)}, after
}

func cutLine(s string) (line, rest string) {
	line, rest, _ = strings.Cut(s, "\n")
	return line, rest
}

// takeQuote takes the lines that begin with "> ".
func takeQuote(s string) (inner, rest string) {
	var b strings.Builder
	for s != "" {
		line, after := cutLine(s)
		text, ok := strings.CutPrefix(line, "> ")
		if !ok && line != ">" {
			break
		}
		if line == ">" {
			text = ""
		}
		b.WriteString(text)
		b.WriteByte('\n')
		s = after
	}
	return strings.TrimSuffix(b.String(), "\n"), s
}

// headingLevel is 1 to 3 for "# " to "### " with something behind it.
func headingLevel(line string) int {
	n := len(line) - len(strings.TrimLeft(line, "#"))
	if n < 1 || n > 3 || len(line) <= n || line[n] != ' ' || strings.TrimSpace(line[n:]) == "" {
		return 0
	}
	return n
}

// fence reads a code block at the start of s.
func fence(s string) (richtext.Node, string, bool) {
	if !strings.HasPrefix(s, "```") {
		return richtext.Node{}, s, false
	}
	body := s[3:]
	end := strings.Index(body, "```")
	if end < 0 || strings.Trim(body[:end], "\n") == "" {
		return richtext.Node{}, s, false
	}
	code, rest := body[:end], body[end+3:]
	lang := ""
	if first, more, ok := strings.Cut(code, "\n"); ok && isLang(first) && strings.Trim(more, "\n") != "" {
		lang, code = first, more
	}
	return richtext.CodeBlock(lang, strings.Trim(plain(code), "\n")), rest, true
}

func isLang(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.#") == ""
}

// takeParagraph takes text up to a blank line, a line that begins another block,
// or a code block, which may begin anywhere.
func takeParagraph(s string, quoted bool) (text, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 < len(s) && s[i+1] != '\n' {
				i++
			}
		case '`':
			if _, _, ok := fence(s[i:]); ok && i > 0 {
				return s[:i], s[i:]
			}
			if _, n, ok := codeSpan(s[i:]); ok {
				i += n - 1
				continue
			}
			i += len(s[i:]) - len(strings.TrimLeft(s[i:], "`")) - 1
		case '\n':
			if beginsBlock(s[i+1:], quoted) {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

// beginsBlock reports whether the next line is no part of a paragraph.
func beginsBlock(s string, quoted bool) bool {
	line, _ := cutLine(s)
	if strings.TrimSpace(line) == "" || headingLevel(line) > 0 || strings.HasPrefix(line, "-# ") && len(strings.TrimSpace(line)) > 2 {
		return true
	}
	if !quoted && (strings.HasPrefix(line, "> ") || strings.HasPrefix(line, ">>> ")) {
		return true
	}
	_, item := listItem(line)
	return item
}
