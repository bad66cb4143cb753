package discordfmt

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// maxDepth bounds marks within marks; deeper ones are text.
const maxDepth = 20

// inlines reads the marks within a paragraph.
func (p *parser) inlines(s string, depth int) []richtext.Node {
	var out []richtext.Node
	start := 0
	flush := func(end int) {
		if end > start {
			out = append(out, richtext.Text(plain(s[start:end])))
		}
	}
	for i := 0; i < len(s); {
		n, size := p.inline(s, i, depth)
		if size == 0 {
			i++
			continue
		}
		flush(i)
		out = append(out, n)
		i += size
		start = i
	}
	flush(len(s))
	return out
}

// inline reads one thing at s[i:]; size 0: there is only a character of text.
func (p *parser) inline(s string, i, depth int) (richtext.Node, int) {
	rest := s[i:]
	switch rest[0] {
	case '\\':
		return escaped(rest)
	case '`':
		if n, size, ok := codeSpan(rest); ok {
			return n, size
		}
		run := len(rest) - len(strings.TrimLeft(rest, "`"))
		return richtext.Text(rest[:run]), run
	case '<':
		return p.angle(rest)
	case '[':
		return p.masked(rest, depth)
	case '@':
		return p.broadcast(rest)
	case 'h':
		if size := bareURL(rest); size > 0 {
			return richtext.Text(rest[:size]), size
		}
	case '*', '_', '~', '|':
		if depth < maxDepth {
			return p.styled(rest, depth)
		}
	}
	return richtext.Node{}, 0
}

// escaped is a backslash and what it makes literal.
func escaped(s string) (richtext.Node, int) {
	r, size := utf8.DecodeRuneInString(s[1:])
	if size == 0 || r <= ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		return richtext.Node{}, 0
	}
	return richtext.Text(s[1 : 1+size]), 1 + size
}

// codeSpan reads `code` with as many backticks on both sides.
func codeSpan(s string) (richtext.Node, int, bool) {
	run := len(s) - len(strings.TrimLeft(s, "`"))
	for i := run; run > 0 && i < len(s); {
		at := strings.IndexByte(s[i:], '`')
		if at < 0 {
			break
		}
		i += at
		closing := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if closing != run {
			i += closing
			continue
		}
		text := s[run:i]
		// One space beside a backtick at either end is only there to part them.
		if strings.HasPrefix(strings.TrimLeft(text, " "), "`") {
			text = strings.TrimPrefix(text, " ")
		}
		if strings.HasSuffix(strings.TrimRight(text, " "), "`") {
			text = strings.TrimSuffix(text, " ")
		}
		return richtext.Code(plain(text)), i + run, text != ""
	}
	return richtext.Node{}, 0, false
}

// bareURL is the length of an address that stands for itself.
func bareURL(s string) int {
	scheme := 0
	for _, prefix := range []string{"https://", "http://"} {
		if strings.HasPrefix(s, prefix) {
			scheme = len(prefix)
		}
	}
	if scheme == 0 {
		return 0
	}
	end := strings.IndexAny(s, " \t\n<"+zero)
	if end < 0 {
		end = len(s)
	}
	for end > scheme && strings.IndexByte(`.,:;"'])`, s[end-1]) >= 0 {
		if s[end-1] == ')' && strings.Count(s[:end], "(") >= strings.Count(s[:end], ")") {
			break
		}
		end--
	}
	if end == scheme {
		return 0
	}
	return end
}

// broadcast is @everyone or @here, if the author was allowed to.
func (p *parser) broadcast(s string) (richtext.Node, int) {
	if !p.names.Everyone {
		return richtext.Node{}, 0
	}
	for word, target := range map[string]richtext.MentionTarget{"@everyone": richtext.MentionAll, "@here": richtext.MentionActive} {
		if strings.HasPrefix(s, word) {
			return richtext.Node{Kind: richtext.KindMention, Text: word, Mention: richtext.Mention{Target: target}}, len(word)
		}
	}
	return richtext.Node{}, 0
}

// angle reads what stands in angle brackets: mentions, emoji, times, links.
func (p *parser) angle(s string) (richtext.Node, int) {
	end := strings.IndexAny(s[1:], "<> \n") + 1
	if end < 2 || s[end] != '>' {
		return richtext.Node{}, 0
	}
	inner, size := s[1:end], end+1
	if strings.HasPrefix(inner, "http://") || strings.HasPrefix(inner, "https://") {
		return richtext.Link(inner, richtext.Text(inner)), size
	}
	for _, m := range []struct {
		prefix, sign string
		target       richtext.MentionTarget
		name         func(string) string
	}{
		{"@&", "@", richtext.MentionRole, p.names.Role}, {"@!", "@", richtext.MentionUser, p.names.User},
		{"@", "@", richtext.MentionUser, p.names.User}, {"#", "#", richtext.MentionRoom, p.names.Channel},
	} {
		id, ok := strings.CutPrefix(inner, m.prefix)
		if !ok || !discordid.Valid(id) {
			continue
		}
		name := ""
		if m.name != nil {
			name = m.name(id)
		}
		if name == "" {
			name = id
		}
		return richtext.Node{Kind: richtext.KindMention, Text: m.sign + name, Mention: richtext.Mention{Target: m.target, ID: id}}, size
	}
	if n, ok := customEmoji(inner); ok {
		return n, size
	}
	if n, ok := timestamp(inner); ok {
		return n, size
	}
	return richtext.Node{}, 0
}

// customEmoji reads ":name:id" or "a:name:id".
func customEmoji(s string) (richtext.Node, bool) {
	f := strings.Split(s, ":")
	if len(f) != 3 || f[0] != "" && f[0] != "a" || !emojiName(f[1]) || !discordid.Valid(f[2]) {
		return richtext.Node{}, false
	}
	return richtext.Node{Kind: richtext.KindEmoji, Text: ":" + f[1] + ":", Emoji: richtext.Emoji{Name: f[1], ID: f[2], Animated: f[0] == "a"}}, true
}

func emojiName(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_~") == ""
}

// timestamp reads "t:unix" or "t:unix:style".
func timestamp(s string) (richtext.Node, bool) {
	f := strings.Split(s, ":")
	if len(f) < 2 || len(f) > 3 || f[0] != "t" {
		return richtext.Node{}, false
	}
	unix, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil || unix < -8_640_000_000_000 || unix > 8_640_000_000_000 {
		return richtext.Node{}, false
	}
	styles := map[string]richtext.TimeStyle{
		"f": richtext.TimeDateTime, "F": richtext.TimeDateTime, "s": richtext.TimeDateTime, "S": richtext.TimeDateTime,
		"d": richtext.TimeDate, "D": richtext.TimeDate, "t": richtext.TimeClock, "T": richtext.TimeClock, "R": richtext.TimeRelative,
	}
	t := richtext.Time{Unix: unix}
	if len(f) == 3 {
		style, ok := styles[f[2]]
		if !ok {
			return richtext.Node{}, false
		}
		t.Style = style
	}
	return richtext.Node{Kind: richtext.KindTime, Time: t}, true
}
