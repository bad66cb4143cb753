package slackfmt

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Escape makes a text literal in mrkdwn: these three characters, and no others, have
// escapes there.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// Unescape is the reverse.
func Unescape(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(s)
}

// maxMrkdwn bounds what is parsed; Slack cuts a text at 40,000 characters.
const maxMrkdwn = 200_000

// mrkdwn reads a text: fences, quoted lines, then what stands in lines.
func (r reader) mrkdwn(s string) richtext.Document {
	if len(s) > maxMrkdwn {
		s = strings.ToValidUTF8(s[:maxMrkdwn], "")
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var doc richtext.Document
	for s != "" {
		before, code, after, ok := cutFence(s)
		if !ok {
			break
		}
		doc.Blocks = append(doc.Blocks, r.lines(before)...)
		doc.Blocks = append(doc.Blocks, richtext.CodeBlock("", plainEntities(code)))
		s = after
	}
	doc.Blocks = append(doc.Blocks, r.lines(s)...)
	return doc
}

const fence = "```"

func cutFence(s string) (before, code, after string, ok bool) {
	before, rest, ok := strings.Cut(s, fence)
	if !ok {
		return "", "", "", false
	}
	code, after, ok = strings.Cut(rest, fence)
	if !ok || strings.TrimSpace(code) == "" {
		return "", "", "", false
	}
	return before, code, after, true
}

// plainEntities is code: escapes are undone, references show what they show.
func plainEntities(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		b.WriteString(Unescape(s[:i]))
		inner, n := entity(s[i:])
		if n == 0 {
			b.WriteByte('<')
			s = s[i+1:]
			continue
		}
		target, label, _ := strings.Cut(inner, "|")
		b.WriteString(Unescape(cmp.Or(label, strings.TrimPrefix(target, "mailto:"))))
		s = s[i+n:]
	}
	b.WriteString(Unescape(s))
	return b.String()
}

// lines reads text without fences: quoted lines, and paragraphs between blank ones.
func (r reader) lines(s string) []richtext.Node {
	var out, para, quote []richtext.Node
	endPara := func() {
		if len(para) > 0 {
			out = append(out, richtext.Para(para...))
		}
		para = nil
	}
	endQuote := func() {
		if len(quote) > 0 {
			out = append(out, richtext.Quote(richtext.Para(quote...)))
		}
		quote = nil
	}
	toTheEnd := false
	for line := range strings.SplitSeq(s, "\n") {
		rest, quoted := quotedLine(line)
		if !toTheEnd && quoted && strings.HasPrefix(rest, "&gt;&gt;") {
			toTheEnd, rest = true, strings.TrimPrefix(rest, "&gt;&gt;")
		}
		switch {
		case toTheEnd || quoted:
			if !quoted {
				rest = line
			}
			endPara()
			if len(quote) > 0 {
				quote = append(quote, richtext.LineBreak())
			}
			quote = append(quote, r.line(strings.TrimPrefix(rest, " "))...)
		case strings.TrimSpace(line) == "":
			endQuote()
			endPara()
		default:
			endQuote()
			if len(para) > 0 {
				para = append(para, richtext.LineBreak())
			}
			para = append(para, r.line(line)...)
		}
	}
	endQuote()
	endPara()
	return out
}

func quotedLine(s string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(s, "&gt;"); ok {
		return rest, true
	}
	return strings.CutPrefix(s, ">")
}

func (r reader) line(s string) []richtext.Node {
	l := lineReader{r: r, s: s, last: map[markEnd]int{}}
	return l.span(0, len(s), nil)
}

// lineReader reads one line. last remembers for each mark the place from which on
// there is no closing one, so that a line of stars takes linear time.
type lineReader struct {
	r    reader
	s    string
	last map[markEnd]int
}

// markEnd is a mark, and where the text ends that it was looked for in.
type markEnd struct {
	mark byte
	to   int
}

// span reads s[from:to]; open are the marks around it.
func (l *lineReader) span(from, to int, open []byte) []richtext.Node {
	var out []richtext.Node
	text := from
	flush := func(end int) {
		if end > text {
			out = append(out, richtext.Text(Unescape(l.s[text:end])))
		}
	}
	for i := from; i < to; {
		n, node := l.at(i, to, open)
		if n == 0 {
			i++
			continue
		}
		flush(i)
		out = append(out, node)
		i += n
		text = i
	}
	flush(to)
	return out
}

// at reads what begins at i; n is 0 if that is plain text.
func (l *lineReader) at(i, to int, open []byte) (n int, node richtext.Node) {
	switch c := l.s[i]; c {
	case '<':
		inner, n := entity(l.s[i:to])
		if n > 0 {
			return n, l.r.reference(inner)
		}
	case '`':
		if end := l.closing(i, to); end > 0 {
			return end + 1 - i, richtext.Code(plainEntities(l.s[i+1 : end]))
		}
	case '*', '_', '~':
		if strings.IndexByte(string(open), c) >= 0 || !l.opens(i) {
			return 0, node
		}
		if end := l.closing(i, to); end > 0 {
			kids := l.span(i+1, end, append(open[:len(open):len(open)], c))
			return end + 1 - i, richtext.Style(kindOf(c), kids...)
		}
	case ':':
		if end := strings.IndexByte(l.s[i+1:to], ':'); end > 0 {
			return l.emoji(i, i+1+end, to)
		}
	}
	return 0, node
}

// emoji reads :name: and :name::skin-tone-2:.
func (l *lineReader) emoji(i, end, to int) (int, richtext.Node) {
	name := l.s[i+1 : end]
	if tone, ok := strings.CutPrefix(l.s[end:to], "::skin-tone-"); ok && len(tone) > 1 && tone[1] == ':' && tone[0] >= '2' && tone[0] <= '6' {
		name += "::skin-tone-" + tone[:1]
		end += len("::skin-tone-2")
	}
	base, _, _ := strings.Cut(name, "::")
	if !shortName(base) {
		return 0, richtext.Node{}
	}
	if EmojiText(name) == "" && (l.r.o.Emoji == nil || l.r.o.Emoji(base) == "") {
		return 0, richtext.Node{} // 12:30:45 is no emoji
	}
	return end + 1 - i, l.r.emojiName(name)
}

func shortName(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_+-'") == ""
}

func kindOf(c byte) richtext.Kind {
	switch c {
	case '*':
		return richtext.KindBold
	case '_':
		return richtext.KindItalic
	}
	return richtext.KindStrike
}

// opens: a mark opens at a word's beginning, before something that is no space.
func (l *lineReader) opens(i int) bool {
	before, _ := utf8.DecodeLastRuneInString(l.s[:i])
	after, _ := utf8.DecodeRuneInString(l.s[i+1:])
	return (i == 0 || !word(before)) && after != utf8.RuneError && !unicode.IsSpace(after)
}

// closing finds the mark that closes the one at i, in front of to; 0 if there is none.
func (l *lineReader) closing(i, to int) int {
	c := l.s[i]
	key := markEnd{c, to}
	if none, ok := l.last[key]; ok && i >= none {
		return 0
	}
	for j := i + 1; j < to; j++ {
		switch l.s[j] {
		case '<':
			if _, n := entity(l.s[j:to]); n > 0 {
				j += n - 1
			}
		case c:
			if j == i+1 {
				continue
			}
			before, _ := utf8.DecodeLastRuneInString(l.s[:j])
			after, size := utf8.DecodeRuneInString(l.s[j+1:])
			if c == '`' || !unicode.IsSpace(before) && (size == 0 || !word(after)) {
				return j
			}
		}
	}
	l.last[key] = i
	return 0
}

func word(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// maxEntity bounds what stands between angle brackets.
const maxEntity = 4096

// entity reads <...> at the beginning of s; n is its length, 0 if there is none.
func entity(s string) (inner string, n int) {
	end := strings.IndexAny(s[1:min(len(s), maxEntity)], "<>\n")
	if end <= 0 || s[1+end] != '>' {
		return "", 0
	}
	return s[1 : 1+end], end + 2
}

// reference reads what stands between angle brackets.
func (r reader) reference(inner string) richtext.Node {
	target, label, _ := strings.Cut(inner, "|")
	label = Unescape(label)
	if target == "" {
		return richtext.Text(Unescape("<" + inner + ">"))
	}
	switch target[0] {
	case '@':
		return r.user(target[1:], label)
	case '#':
		return r.channel(target[1:], label)
	case '!':
		return r.command(target[1:], label)
	}
	return linkNode(Unescape(target), label)
}

func (r reader) command(target, label string) richtext.Node {
	name, rest, _ := strings.Cut(target, "^")
	switch name {
	case "here", "channel", "everyone":
		return broadcast(name)
	case "subteam":
		return r.group(rest, label)
	case "date":
		parts := strings.SplitN(rest, "^", 3)
		unix, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil || len(parts) < 2 {
			return richtext.Text(label)
		}
		return dateNode(unix, parts[1], label)
	}
	return richtext.Text(cmp.Or(label, target))
}

// plain reads a plain_text object: nothing but short names for emoji.
func (r reader) plain(s string) []richtext.Node {
	var out []richtext.Node
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			out = append(out, richtext.LineBreak())
		}
		out = append(out, richtext.Text(replaceNames(line)))
	}
	return out
}

// replaceNames turns the short names of a text into emoji.
func replaceNames(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			break
		}
		end := strings.IndexByte(s[i+1:], ':')
		if end < 0 {
			break
		}
		name := s[i+1 : i+1+end]
		if text := EmojiText(name); shortName(name) && text != "" {
			b.WriteString(s[:i] + text)
			s = s[i+end+2:]
			continue
		}
		b.WriteString(s[:i+1])
		s = s[i+1:]
	}
	b.WriteString(s)
	return b.String()
}

// StatusText is a status as text: its emoji, and the words.
func StatusText(emoji, text string) string {
	name := strings.Trim(emoji, ":")
	if name != "" {
		emoji = cmp.Or(EmojiText(name), ":"+name+":")
	}
	return strings.TrimSpace(emoji + " " + Unescape(text))
}
