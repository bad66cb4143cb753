package discordfmt

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// inlineWriter writes the inlines of one block.
type inlineWriter struct {
	b     strings.Builder
	mark  byte // the sign of the style mark just written, or 0
	start bool // at the start of a line where a mark of a block could stand
	lines bool // the block may have several lines
	open  []richtext.Kind
	label bool // within the label of a link
	fresh bool // an italic text has just begun
}

func writeInlines(nodes []richtext.Node, lines bool) string {
	w := inlineWriter{start: true, lines: lines}
	w.nodes(nodes)
	return w.b.String()
}

func (w *inlineWriter) nodes(nodes []richtext.Node) {
	for _, n := range nodes {
		w.node(n)
	}
}

func (w *inlineWriter) node(n richtext.Node) {
	switch n.Kind {
	case richtext.KindText:
		w.text(n.Text)
	case richtext.KindLineBreak:
		w.lineBreak()
	case richtext.KindCode:
		w.code(n.Text)
	case richtext.KindLink:
		w.link(n)
	case richtext.KindMention:
		w.mention(n)
	case richtext.KindEmoji:
		w.emoji(n)
	case richtext.KindTime:
		styles := map[richtext.TimeStyle]string{richtext.TimeDate: ":D", richtext.TimeClock: ":t", richtext.TimeRelative: ":R"}
		w.raw("<t:" + strconv.FormatInt(n.Time.Unix, 10) + styles[n.Time.Style] + ">")
	default:
		w.styled(n)
	}
}

// raw writes what is complete in itself.
func (w *inlineWriter) raw(s string) {
	if s == "" {
		return
	}
	// "* a*" is no style: there is no space inside its signs.
	if w.fresh && (s[0] == ' ' || s[0] == '\t') {
		w.b.WriteString(zero)
	}
	w.b.WriteString(s)
	w.mark, w.start, w.fresh = 0, false, false
}

// sign writes a mark of a style; marks that would run together are parted.
func (w *inlineWriter) sign(s string) {
	if w.mark == s[0] || w.mark == '~' && s[0] == '_' {
		w.b.WriteString(zero)
	}
	w.b.WriteString(s)
	w.mark, w.start, w.fresh = s[0], false, false
}

func (w *inlineWriter) styled(n richtext.Node) {
	marks := map[richtext.Kind]string{
		richtext.KindBold: "**", richtext.KindItalic: "*", richtext.KindUnderline: "__", richtext.KindStrike: "~~", richtext.KindSpoiler: "||",
	}
	mark, ok := marks[n.Kind]
	if !ok || len(w.open) >= maxDepth-2 {
		w.nodes(n.Children)
		return
	}
	if n.Kind == richtext.KindSpoiler && n.Text != "" {
		w.text("(" + n.Text + ") ")
	}
	w.sign(mark)
	w.fresh = mark == "*"
	w.open = append(w.open, n.Kind)
	w.nodes(n.Children)
	w.open = w.open[:len(w.open)-1]
	if s := w.b.String(); mark == "*" && strings.TrimRight(s, " \t\n") != s {
		w.raw(zero) // nor at the end
	}
	w.sign(mark)
}

func (w *inlineWriter) lineBreak() {
	if !w.lines {
		w.raw(" ")
		return
	}
	// A blank line would end the paragraph.
	if s := w.b.String(); s == "" || strings.HasSuffix(s, "\n") {
		w.b.WriteString(zero)
	}
	if w.fresh {
		w.b.WriteString(zero)
	}
	w.b.WriteByte('\n')
	w.mark, w.start, w.fresh = 0, true, false
}

// code writes a span; within styles only what cannot be taken for their marks.
func (w *inlineWriter) code(s string) {
	if len(w.open) > 0 && strings.ContainsAny(s, "*_~|\\") || w.label && strings.ContainsAny(s, "[]\\") {
		w.text(s)
		return
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "``", "`"+zero+"`"), "``", "`"+zero+"`")
	mark := "`"
	if strings.Contains(s, "`") {
		mark = "``"
		if strings.HasPrefix(strings.TrimLeft(s, " "), "`") {
			s = " " + s
		}
		if strings.HasSuffix(strings.TrimRight(s, " "), "`") {
			s += " "
		}
	}
	w.raw(mark + s + mark)
}

func (w *inlineWriter) mention(n richtext.Node) {
	switch {
	case n.Mention.Target == richtext.MentionUser && discordid.Valid(n.Mention.ID):
		w.raw("<@" + n.Mention.ID + ">")
	case n.Mention.Target == richtext.MentionRoom && discordid.Valid(n.Mention.ID):
		w.raw("<#" + n.Mention.ID + ">")
	default: // roles and everybody are not called from outside
		w.text(n.Text)
	}
}

func (w *inlineWriter) emoji(n richtext.Node) {
	name := strings.Trim(n.Emoji.Name, ":")
	if !discordid.Valid(n.Emoji.ID) || !emojiName(name) || len(w.open) > 0 && strings.ContainsAny(name, "_~") {
		w.text(n.Text)
		return
	}
	kind := ""
	if n.Emoji.Animated {
		kind = "a"
	}
	w.raw("<" + kind + ":" + name + ":" + n.Emoji.ID + ">")
}

func (w *inlineWriter) link(n richtext.Node) {
	label := richtext.Doc(richtext.Para(n.Children...)).Plain()
	web := strings.HasPrefix(n.URL, "https://") || strings.HasPrefix(n.URL, "http://")
	switch {
	case web && (strings.TrimSpace(label) == "" || label == n.URL):
		w.raw("<" + w.address(n.URL) + ">")
	case web:
		w.raw("[")
		w.label = true
		w.nodes(n.Children)
		w.label = false
		address := w.address(n.URL)
		if closeParen(address+")") != len(address) {
			address = strings.NewReplacer("(", "%28", ")", "%29").Replace(address)
		}
		w.raw("](" + address + ")")
	default: // Discord makes no link of it
		w.nodes(n.Children)
		if label != n.URL && label != strings.TrimPrefix(n.URL, "mailto:") {
			w.text(" (" + n.URL + ")")
		}
	}
}

// address is an address whose signs are not taken for marks.
func (w *inlineWriter) address(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '`' || s[i] == '\\' || len(w.open) > 0 && strings.IndexByte("*_~|", s[i]) >= 0 {
			fmt.Fprintf(&b, "%%%02X", s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
