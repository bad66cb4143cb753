package matrixfmt

import (
	"fmt"
	"html"
	"net/url"
	"strings"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// Options say what a renderer cannot know by itself.
type Options struct {
	// User gives the Matrix user a mention points at, "" if it points at nobody there.
	User func(richtext.Mention) string
}

// Formatted reports whether a document has anything that plain text lacks.
func Formatted(d richtext.Document) bool {
	formatted := false
	d.Walk(func(n richtext.Node) bool {
		switch n.Kind {
		case richtext.KindParagraph, richtext.KindText, richtext.KindLineBreak, richtext.KindReplyFallback:
		default:
			formatted = true
		}
		return !formatted && n.Kind != richtext.KindReplyFallback
	})
	return formatted
}

// HTML writes a document, reply fallbacks left out: Matrix has had none since v1.13.
func HTML(d richtext.Document, opt Options) string {
	w := writer{opt: opt}
	blocks := d.WithoutReplyFallback().Blocks
	// One paragraph stands without its tag, as every client sends it.
	if len(blocks) == 1 && blocks[0].Kind == richtext.KindParagraph {
		w.inlines(blocks[0].Children)
		return w.b.String()
	}
	w.blocks(blocks)
	return w.b.String()
}

// Mentioned lists the users a document calls and whether it calls the room.
func Mentioned(d richtext.Document, opt Options) (users []string, room bool) {
	seen := map[string]bool{}
	for _, m := range d.Mentions() {
		switch m.Target {
		case richtext.MentionAll, richtext.MentionActive:
			room = true
		case richtext.MentionUser, richtext.MentionUnknown:
			if user := opt.user(m); user != "" && !seen[user] {
				seen[user] = true
				users = append(users, user)
			}
		}
	}
	return users, room
}

func (o Options) user(m richtext.Mention) string {
	if o.User != nil {
		return o.User(m)
	}
	return m.ID
}

type writer struct {
	opt Options
	b   strings.Builder
}

func (w *writer) tag(name string, body func()) {
	w.b.WriteString("<" + name + ">")
	body()
	name, _, _ = strings.Cut(name, " ")
	w.b.WriteString("</" + name + ">")
}

func (w *writer) text(s string) { w.b.WriteString(html.EscapeString(s)) }

func (w *writer) blocks(nodes []richtext.Node) {
	for _, n := range nodes {
		w.block(n)
	}
}

func (w *writer) block(n richtext.Node) {
	inlines := func() { w.inlines(n.Children) }
	switch n.Kind {
	case richtext.KindParagraph:
		w.tag("p", inlines)
	case richtext.KindHeading:
		w.tag(fmt.Sprintf("h%d", min(max(n.Level, 1), 6)), inlines)
	case richtext.KindQuote:
		w.tag("blockquote", func() { w.blocks(n.Children) })
	case richtext.KindCodeBlock:
		w.tag("pre", func() {
			name := "code"
			if n.Lang != "" {
				name = `code class="language-` + html.EscapeString(n.Lang) + `"`
			}
			w.tag(name, func() { w.text(n.Text) })
		})
	case richtext.KindList:
		w.list(n)
	default:
		w.blocks(n.Children)
	}
}

func (w *writer) list(n richtext.Node) {
	name := "ul"
	if n.Ordered {
		name = "ol"
		if n.Start > 1 {
			name = fmt.Sprintf(`ol start="%d"`, n.Start)
		}
	}
	w.tag(name, func() {
		for _, item := range n.Children {
			w.tag("li", func() {
				if len(item.Children) == 1 && item.Children[0].Kind == richtext.KindParagraph {
					w.inlines(item.Children[0].Children)
					return
				}
				w.blocks(item.Children)
			})
		}
	})
}

func (w *writer) inlines(nodes []richtext.Node) {
	for _, n := range nodes {
		w.inline(n)
	}
}

func (w *writer) inline(n richtext.Node) {
	tags := map[richtext.Kind]string{
		richtext.KindBold: "strong", richtext.KindItalic: "em", richtext.KindUnderline: "u",
		richtext.KindStrike: "del", richtext.KindSubtext: "sub",
	}
	if name, ok := tags[n.Kind]; ok {
		w.tag(name, func() { w.inlines(n.Children) })
		return
	}
	switch n.Kind {
	case richtext.KindLineBreak:
		w.b.WriteString("<br>")
	case richtext.KindCode:
		w.tag("code", func() { w.text(n.Text) })
	case richtext.KindLink:
		w.tag(`a href="`+html.EscapeString(n.URL)+`"`, func() { w.inlines(n.Children) })
	case richtext.KindSpoiler:
		name := "span data-mx-spoiler"
		if n.Text != "" {
			name += `="` + html.EscapeString(n.Text) + `"`
		}
		w.tag(name, func() { w.inlines(n.Children) })
	case richtext.KindMention:
		w.mention(n)
	case richtext.KindEmoji:
		w.emoji(n)
	case richtext.KindTime:
		w.text(richtext.Doc(richtext.Para(n)).Plain())
	default:
		w.text(n.Text)
		w.inlines(n.Children)
	}
}

func (w *writer) mention(n richtext.Node) {
	id := ""
	switch n.Mention.Target {
	case richtext.MentionRoom:
		id = n.Mention.ID
	case richtext.MentionUser, richtext.MentionUnknown:
		id = w.opt.user(n.Mention)
	}
	if id == "" {
		w.text(n.Text)
		return
	}
	w.tag(`a href="`+html.EscapeString(Permalink(id))+`"`, func() { w.text(n.Text) })
}

func (w *writer) emoji(n richtext.Node) {
	if !strings.HasPrefix(n.Emoji.ID, "mxc://") {
		w.text(n.Text)
		return
	}
	name := html.EscapeString(n.Text)
	fmt.Fprintf(&w.b, `<img data-mx-emoticon src="%s" alt="%s" title="%s" height="32">`, html.EscapeString(n.Emoji.ID), name, name)
}

// Permalink is the matrix.to link of a user, room or alias.
func Permalink(id string) string { return "https://matrix.to/#/" + url.PathEscape(id) }
