package slackfmt

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// WriteOptions say who may be called; the zero value calls nobody.
type WriteOptions struct {
	// User gives the Slack id ("U012ABC") that a mention calls, or "".
	User func(m richtext.Mention) string
	// Channel gives the id of a mentioned channel, or "".
	Channel func(m richtext.Mention) string
	// Broadcast lets mentions of everybody call everybody.
	Broadcast bool
}

func (o WriteOptions) user(m richtext.Mention) string {
	if o.User == nil || m.Target != richtext.MentionUser {
		return ""
	}
	return o.User(m)
}

func (o WriteOptions) channel(m richtext.Mention) string {
	if o.Channel == nil || m.Target != richtext.MentionRoom {
		return ""
	}
	return o.Channel(m)
}

// everybody is the range of a broadcast that is allowed, else "".
func (o WriteOptions) everybody(m richtext.Mention) string {
	switch {
	case !o.Broadcast:
		return ""
	case m.Target == richtext.MentionAll:
		return "channel"
	case m.Target == richtext.MentionActive:
		return "here"
	}
	return ""
}

// Limit is the length of one message as Slack recommends it, in characters.
const Limit = 4000

// Split cuts a document into messages.
func Split(d richtext.Document) []richtext.Document { return richtext.Split(d, Limit, Measure) }

// Measure is the length of what is written.
func Measure(d richtext.Document) int {
	return max(utf8.RuneCountInString(Mrkdwn(d, WriteOptions{})), richtext.Len(d))
}

// Blocks writes a document as one rich_text block; none if it is empty.
func Blocks(d richtext.Document, o WriteOptions) []Block {
	w := blockWriter{o: o}
	w.blocks(normal(d.WithoutReplyFallback()).Blocks, 0)
	w.flush()
	if len(w.out) == 0 {
		return nil
	}
	return []Block{{Type: "rich_text", Elements: w.out}}
}

// blockWriter gathers elements. section is the open rich_text_section or _quote:
// paragraphs that follow each other stand in one, with a blank line between.
type blockWriter struct {
	o       WriteOptions
	out     []*Element
	section []*Element
	quoted  bool
}

func (w *blockWriter) flush() {
	if len(w.section) > 0 {
		kind := "rich_text_section"
		if w.quoted {
			kind = "rich_text_quote"
		}
		w.out = append(w.out, &Element{Type: kind, Elements: w.section})
	}
	w.section = nil
}

// blocks writes blocks; border is 1 within a quotation.
func (w *blockWriter) blocks(nodes []richtext.Node, border int) {
	for _, n := range nodes {
		switch n.Kind {
		case richtext.KindQuote:
			// One level is all that Slack has.
			if border == 0 {
				w.flush()
			}
			w.blocks(n.Children, 1)
			if border == 0 {
				w.flush()
			}
		case richtext.KindCodeBlock:
			w.flush()
			w.out = append(w.out, &Element{Type: "rich_text_preformatted", Border: border, Language: n.Lang, Elements: []*Element{{Type: "text", Text: Words(n.Text)}}})
		case richtext.KindList:
			w.flush()
			w.list(n, 0, border)
		default:
			w.paragraph(n, border > 0)
		}
	}
}

func (w *blockWriter) paragraph(n richtext.Node, quoted bool) {
	if len(w.section) > 0 && w.quoted != quoted {
		w.flush()
	}
	w.quoted = quoted
	style := Style{Bold: n.Kind == richtext.KindHeading}
	var line []*Element
	line = w.inlines(line, n.Children, style, "")
	if len(line) == 0 {
		return
	}
	if len(w.section) > 0 {
		w.section = text(w.section, "\n\n", Style{}, "")
	}
	for _, e := range line {
		w.section = join(w.section, e)
	}
}

// list writes a list: its items, and after an item the lists within it.
func (w *blockWriter) list(n richtext.Node, indent, border int) {
	kind := "bullet"
	if n.Ordered {
		kind = "ordered"
	}
	var open *Element
	for i, item := range n.Children {
		var line []*Element
		var inner []richtext.Node
		for _, b := range item.Children {
			if b.Kind == richtext.KindList {
				inner = append(inner, b)
				continue
			}
			line = w.itemLine(line, b)
		}
		if open == nil {
			open = &Element{Type: "rich_text_list", Style: &Style{List: kind}, Indent: min(indent, maxIndent), Border: border}
			if n.Ordered {
				open.Offset = max(n.Start, 1) - 1 + i
			}
			w.out = append(w.out, open)
		}
		open.Elements = append(open.Elements, &Element{Type: "rich_text_section", Elements: orBlank(line)})
		for _, l := range inner {
			w.list(l, indent+1, border)
			open = nil
		}
	}
}

// orBlank keeps an item without words an item.
func orBlank(line []*Element) []*Element {
	if len(line) == 0 {
		return []*Element{{Type: "text", Text: " "}}
	}
	return line
}

// itemLine adds a block of an item to its line: an item of Slack's holds no blocks.
func (w *blockWriter) itemLine(line []*Element, b richtext.Node) []*Element {
	if len(line) > 0 {
		line = text(line, "\n", Style{}, "")
	}
	switch b.Kind {
	case richtext.KindCodeBlock:
		return text(line, b.Text, Style{Code: true}, "")
	case richtext.KindQuote:
		for i, kid := range b.Children {
			if i > 0 {
				line = text(line, "\n", Style{}, "")
			}
			line = w.itemLine(text(line, "> ", Style{}, ""), kid)
		}
		return line
	case richtext.KindList:
		return linked(line, richtext.Doc(b).Plain(), Style{})
	}
	return w.inlines(line, b.Children, Style{Bold: b.Kind == richtext.KindHeading}, "")
}

// inlines writes inlines with a style, within a link if url is set.
func (w *blockWriter) inlines(line []*Element, nodes []richtext.Node, st Style, url string) []*Element {
	for _, n := range nodes {
		line = w.inline(line, n, st, url)
	}
	return line
}

func (w *blockWriter) inline(line []*Element, n richtext.Node, st Style, url string) []*Element {
	switch n.Kind {
	case richtext.KindText:
		if url == "" {
			return linked(line, n.Text, st)
		}
		return text(line, n.Text, st, url)
	case richtext.KindLineBreak:
		if url != "" {
			return text(line, " ", st, url)
		}
		return text(line, "\n", Style{}, "")
	case richtext.KindCode:
		st.Code = true
		return text(line, n.Text, st, url)
	case richtext.KindBold:
		st.Bold = true
	case richtext.KindItalic:
		st.Italic = true
	case richtext.KindStrike:
		st.Strike = true
	case richtext.KindUnderline:
		st.Underlined = true
	case richtext.KindSpoiler:
		// Slack hides nothing: who reads on is at least warned.
		line = text(line, spoilerMark(n), st, url)
	case richtext.KindLink:
		return w.inlines(line, n.Children, st, n.URL)
	case richtext.KindMention, richtext.KindEmoji, richtext.KindTime:
		return w.atom(line, n, st, url)
	}
	return w.inlines(line, n.Children, st, url)
}

func spoilerMark(n richtext.Node) string {
	if n.Text == "" {
		return "(spoiler) "
	}
	return "(spoiler: " + n.Text + ") "
}

func (w *blockWriter) atom(line []*Element, n richtext.Node, st Style, url string) []*Element {
	if url != "" {
		return text(line, n.Text, st, url)
	}
	e := &Element{Style: &st}
	switch {
	case n.Kind == richtext.KindEmoji && validName(n.Emoji.Name):
		e.Type, e.Name, e.Style = "emoji", n.Emoji.Name, nil
	case n.Kind == richtext.KindTime && n.Time.Unix >= 0 && n.Time.Unix <= maxUnix:
		e.Type, e.Timestamp, e.Format, e.Fallback = "date", n.Time.Unix, dateFormat(n.Time.Style), timeText(n)
	case w.o.user(n.Mention) != "":
		e.Type, e.User = "user", w.o.user(n.Mention)
	case w.o.channel(n.Mention) != "":
		e.Type, e.Channel = "channel", w.o.channel(n.Mention)
	case w.o.everybody(n.Mention) != "":
		e.Type, e.Range = "broadcast", w.o.everybody(n.Mention)
	default:
		return text(line, n.Text, st, "")
	}
	if st == (Style{}) {
		e.Style = nil
	}
	return append(line, e)
}

// timeText is what a reader without local times sees.
func timeText(n richtext.Node) string {
	return richtext.Doc(richtext.Para(n)).Plain()
}

// text appends a text, or the label of a link.
func text(line []*Element, s string, st Style, url string) []*Element {
	if s == "" {
		return line
	}
	e := &Element{Type: "text", Text: Words(s)}
	if url != "" {
		e.Type, e.URL = "link", url
		if s == url {
			e.Text = ""
		}
	}
	if st != (Style{}) {
		e.Style = &st
	}
	return join(line, e)
}

// join appends e, as one with a text of the same style before it.
func join(line []*Element, e *Element) []*Element {
	if len(line) == 0 || e.Type != "text" {
		return append(line, e)
	}
	last := line[len(line)-1]
	if last.Type != "text" || styleOf(last) != styleOf(e) {
		return append(line, e)
	}
	last.Text += e.Text
	return line
}

func styleOf(e *Element) Style {
	if e.Style == nil {
		return Style{}
	}
	return *e.Style
}

// bare finds addresses in a text: in rich_text nothing else makes links of them.
var bare = regexp.MustCompile(`https?://[^\s<>"` + "`" + `]+`)

// linked appends a text with its addresses as links.
func linked(line []*Element, s string, st Style) []*Element {
	for s != "" {
		at := bare.FindStringIndex(s)
		if at == nil {
			break
		}
		address := trimAddress(s[at[0]:at[1]])
		end := at[0] + len(address)
		if len(address) <= len("https://") || at[0] > 0 && word(lastRune(s[:at[0]])) {
			line = text(line, s[:end], st, "")
		} else {
			line = text(line, s[:at[0]], st, "")
			line = text(line, address, st, address)
		}
		s = s[end:]
	}
	return text(line, s, st, "")
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// trimAddress takes off what ends a sentence, and a bracket that was opened before.
func trimAddress(s string) string {
	for {
		t := strings.TrimRight(s, ".,;:!?'*_~")
		if strings.HasSuffix(t, ")") && strings.Count(t, "(") < strings.Count(t, ")") {
			t = t[:len(t)-1]
		}
		if t == s {
			return s
		}
		s = t
	}
}
