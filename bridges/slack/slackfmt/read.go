package slackfmt

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// ReadOptions are look-ups; nil functions know nobody.
type ReadOptions struct {
	// User, Channel and Group give the key and name of an id; an empty name falls back to
	// what the message says, an empty key to the id.
	User    func(id string) (key, name string)
	Channel func(id string) (key, name string)
	Group   func(id string) (name string)
	// Emoji gives the key of a custom emoji's picture, or "".
	Emoji func(name string) (media string)
}

// Source is what a message says.
type Source struct {
	Text        string
	Blocks      json.RawMessage
	Attachments json.RawMessage
}

// Read makes rich text of a message, in normal form.
func Read(s Source, o ReadOptions) richtext.Document {
	r := reader{o}
	blocks := decodeBlocks(s.Blocks)
	doc := richtext.Document{Blocks: r.blocks(blocks)}
	if doc.Empty() {
		doc = r.mrkdwn(s.Text)
	}
	doc.Blocks = append(doc.Blocks, r.attachments(s.Attachments)...)
	return normal(doc)
}

// FromMrkdwn reads mrkdwn alone, in normal form.
func FromMrkdwn(text string, o ReadOptions) richtext.Document { return normal(reader{o}.mrkdwn(text)) }

func normal(d richtext.Document) richtext.Document {
	d, _ = richtext.Normalize(d, richtext.DefaultLimits())
	return d
}

type reader struct{ o ReadOptions }

func (r reader) blocks(list []Block) []richtext.Node {
	var out []richtext.Node
	for _, b := range list {
		switch b.Type {
		case "rich_text":
			out = append(out, r.richText(b.Elements)...)
		case "section":
			out = append(out, r.text(b.Text)...)
			for _, f := range b.Fields {
				out = append(out, r.text(f)...)
			}
		case "header":
			if b.Text != nil {
				out = append(out, richtext.Heading(2, r.plain(b.Text.Text)...))
			}
		case "context":
			out = append(out, r.context(b.Elements)...)
		case "markdown":
			out = append(out, r.text(b.Text)...)
		case "image", "video":
			out = append(out, r.picture(b)...)
		}
	}
	return out
}

// text is a text object: mrkdwn, or plain with short names for emoji.
func (r reader) text(t *Text) []richtext.Node {
	switch {
	case t == nil:
		return nil
	case t.Type == "mrkdwn":
		return r.mrkdwn(t.Text).Blocks
	case t.Type == "markdown":
		return richtext.FromPlain(t.Text).Blocks
	}
	return []richtext.Node{richtext.Para(r.plain(t.Text)...)}
}

func (r reader) context(list []*Element) []richtext.Node {
	var inlines []richtext.Node
	for _, e := range list {
		if e == nil {
			continue
		}
		var kids []richtext.Node
		switch e.Type {
		case "mrkdwn":
			kids = flat(r.mrkdwn(string(e.Text)).Blocks)
		case "plain_text":
			kids = r.plain(string(e.Text))
		default:
			kids = r.plain(e.AltText)
		}
		if len(inlines) > 0 && len(kids) > 0 {
			inlines = append(inlines, richtext.Text(" "))
		}
		inlines = append(inlines, kids...)
	}
	return []richtext.Node{richtext.Para(richtext.Style(richtext.KindSubtext, inlines...))}
}

func (r reader) picture(b Block) []richtext.Node {
	label := b.AltText
	if b.Title != nil {
		label = b.Title.Text
	}
	if b.ImageURL == "" {
		return []richtext.Node{richtext.Para(r.plain(label)...)}
	}
	return []richtext.Node{richtext.Para(richtext.Link(b.ImageURL, r.plain(label)...))}
}

// flat are the inlines of paragraphs; blocks of other kinds are kept as they are and
// put into lines by Normalize.
func flat(blocks []richtext.Node) []richtext.Node {
	var out []richtext.Node
	for i, b := range blocks {
		if i > 0 {
			out = append(out, richtext.LineBreak())
		}
		if b.Kind == richtext.KindParagraph {
			out = append(out, b.Children...)
		} else {
			out = append(out, b)
		}
	}
	return out
}

// richText reads the elements of a rich_text block. Lists of rising indent stand one
// after the other there, and are one tree here.
func (r reader) richText(list []*Element) []richtext.Node {
	var out []richtext.Node
	var lists listStack
	for _, e := range list {
		if e == nil {
			continue
		}
		if e.Type == "rich_text_list" {
			lists.add(r.items(e), e)
			continue
		}
		out = append(out, lists.take()...)
		switch e.Type {
		case "rich_text_preformatted":
			out = append(out, bordered(e.Border, richtext.CodeBlock(e.Language, r.code(e.Elements))))
		case "rich_text_quote":
			out = append(out, richtext.Quote(r.paragraphs(e.Elements)...))
		default:
			out = append(out, r.paragraphs(e.Elements)...)
		}
	}
	return append(out, lists.take()...)
}

func bordered(border int, n richtext.Node) richtext.Node {
	if border > 0 {
		return richtext.Quote(n)
	}
	return n
}

func (r reader) items(e *Element) []richtext.Node {
	var out []richtext.Node
	for _, item := range e.Elements {
		if item != nil {
			out = append(out, richtext.Item(richtext.Para(r.inlines(item.Elements)...)))
		}
	}
	return out
}

// code is the text of a preformatted element.
func (r reader) code(list []*Element) string {
	var b strings.Builder
	for _, e := range list {
		if e == nil {
			continue
		}
		text := string(e.Text)
		if text == "" {
			text = e.URL
		}
		b.WriteString(text)
	}
	return b.String()
}

// paragraphs parts inlines at blank lines.
func (r reader) paragraphs(list []*Element) []richtext.Node {
	var out, line []richtext.Node
	breaks := 0
	flush := func() {
		if len(line) > 0 {
			out = append(out, richtext.Para(line...))
		}
		line = nil
	}
	for _, n := range r.inlines(list) {
		if n.Kind != richtext.KindLineBreak {
			switch {
			case breaks > 1:
				flush()
			case breaks == 1 && len(line) > 0:
				line = append(line, richtext.LineBreak())
			}
			breaks = 0
			line = append(line, n)
			continue
		}
		breaks++
	}
	flush()
	return out
}

// inlines reads text-like elements; a text's line feeds become line breaks on the top
// level, each line with the style of the text.
func (r reader) inlines(list []*Element) []richtext.Node {
	var out []richtext.Node
	for _, e := range list {
		if e == nil {
			continue
		}
		if len(e.Elements) > 0 {
			out = append(out, r.inlines(e.Elements)...)
			continue
		}
		text := strings.ReplaceAll(string(e.Text), "\r\n", "\n")
		if e.Type != "text" || !strings.Contains(text, "\n") {
			out = append(out, r.inline(e, text)...)
			continue
		}
		for i, part := range strings.Split(text, "\n") {
			if i > 0 {
				out = append(out, richtext.LineBreak())
			}
			out = append(out, r.inline(e, part)...)
		}
	}
	return out
}

func (r reader) inline(e *Element, text string) []richtext.Node {
	n, ok := r.atom(e, text)
	if !ok {
		return nil
	}
	return []richtext.Node{styled(n, e.Style)}
}

func (r reader) atom(e *Element, text string) (richtext.Node, bool) {
	switch e.Type {
	case "link":
		return linkNode(e.URL, text), true
	case "user":
		return r.user(e.User, ""), true
	case "usergroup":
		return r.group(e.Group, ""), true
	case "channel":
		return r.channel(e.Channel, ""), true
	case "broadcast":
		return broadcast(e.Range), true
	case "emoji":
		return r.emoji(e), true
	case "date":
		return dateNode(e.Timestamp, e.Format, e.Fallback), true
	case "color":
		return richtext.Text(e.Value), true
	}
	if text == "" {
		text = e.Fallback
	}
	return richtext.Text(text), text != ""
}

func linkNode(url, text string) richtext.Node {
	if text == "" || text == url {
		return richtext.Link(url)
	}
	return richtext.Link(url, richtext.Text(text))
}

// styled wraps a node, always in the same order from the outside in.
func styled(n richtext.Node, s *Style) richtext.Node {
	if s == nil {
		return n
	}
	if s.Code {
		switch n.Kind {
		case richtext.KindText:
			n = richtext.Code(n.Text)
		case richtext.KindLink:
			for i, kid := range n.Children {
				n.Children[i] = richtext.Code(kid.Text)
			}
		}
	}
	for _, st := range []struct {
		on   bool
		kind richtext.Kind
	}{{s.Underlined, richtext.KindUnderline}, {s.Strike, richtext.KindStrike}, {s.Italic, richtext.KindItalic}, {s.Bold, richtext.KindBold}} {
		if st.on {
			n = richtext.Style(st.kind, n)
		}
	}
	return n
}

func (r reader) user(id, label string) richtext.Node {
	key, name := id, label
	if r.o.User != nil {
		if k, n := r.o.User(id); k != "" {
			key, name = k, cmp.Or(n, label)
		}
	}
	return richtext.Node{Kind: richtext.KindMention, Text: "@" + strings.TrimPrefix(cmp.Or(name, id), "@"),
		Mention: richtext.Mention{Target: richtext.MentionUser, ID: key}}
}

func (r reader) channel(id, label string) richtext.Node {
	key, name := id, label
	if r.o.Channel != nil {
		if k, n := r.o.Channel(id); k != "" {
			key, name = k, cmp.Or(n, label)
		}
	}
	return richtext.Node{Kind: richtext.KindMention, Text: "#" + strings.TrimPrefix(cmp.Or(name, id), "#"),
		Mention: richtext.Mention{Target: richtext.MentionRoom, ID: key}}
}

func (r reader) group(id, label string) richtext.Node {
	if r.o.Group != nil {
		label = cmp.Or(r.o.Group(id), label)
	}
	return richtext.Node{Kind: richtext.KindMention, Text: "@" + strings.TrimPrefix(cmp.Or(label, id), "@"),
		Mention: richtext.Mention{Target: richtext.MentionRole, ID: id}}
}

func broadcast(what string) richtext.Node {
	target := richtext.MentionAll
	if what == "here" {
		target = richtext.MentionActive
	}
	return richtext.Node{Kind: richtext.KindMention, Text: "@" + cmp.Or(what, "channel"), Mention: richtext.Mention{Target: target}}
}

// emoji: the element says the code points, or the short name tells them; else it is a
// custom one.
func (r reader) emoji(e *Element) richtext.Node {
	name := e.Name
	if e.SkinTone > 1 {
		name += "::skin-tone-" + strconv.Itoa(e.SkinTone)
	}
	if s := codePoints(e.Unicode); s != "" {
		return richtext.Text(s)
	}
	return r.emojiName(name)
}

func (r reader) emojiName(name string) richtext.Node {
	if s := EmojiText(name); s != "" {
		return richtext.Text(s)
	}
	n := richtext.Node{Kind: richtext.KindEmoji, Text: ":" + name + ":", Emoji: richtext.Emoji{Name: name, ID: name}}
	if r.o.Emoji != nil {
		n.Emoji.Media = r.o.Emoji(name)
	}
	return n
}

// codePoints reads "1f44b-1f3fd".
func codePoints(s string) string {
	if s == "" || len(s) > 120 {
		return ""
	}
	var b strings.Builder
	for part := range strings.SplitSeq(s, "-") {
		v, err := strconv.ParseUint(part, 16, 32)
		if err != nil || v < 0x20 || v > 0x10FFFF || v >= 0xD800 && v < 0xE000 {
			return ""
		}
		b.WriteRune(rune(v))
	}
	return b.String()
}
