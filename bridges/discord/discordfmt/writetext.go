package discordfmt

import "strings"

// text writes literal text: addresses stay clickable, everything else that could
// be markup is escaped, and nobody is called.
func (w *inlineWriter) text(s string) {
	if w.start {
		s = w.lineStart(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == 'h' {
			if size := bareURL(s[i:]); size > 0 {
				w.url(&b, s[i:i+size], s[i+size:])
				i += size - 1
				continue
			}
			// The beginning of an address must not become one with the escapes behind it.
			if scheme, _, ok := strings.Cut(s[i:min(len(s), i+len("https://"))], "://"); ok && (scheme == "http" || scheme == "https") && i+len(scheme+"://") < len(s) {
				b.WriteString(scheme + `\://`)
				i += len(scheme+"://") - 1
				continue
			}
		}
		switch {
		case w.callsAll(s, i):
			b.WriteString("@" + zero)
		case w.isMark(s, i):
			b.WriteByte('\\')
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	w.raw(b.String())
}

// url writes an address that stands in a text; in a label it must not be one.
func (w *inlineWriter) url(b *strings.Builder, address, rest string) {
	if w.label {
		scheme, after, _ := strings.Cut(address, ":")
		b.WriteString(scheme + `\:`)
		for i := range len(after) {
			if strings.IndexByte("*_~|`[]\\", after[i]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(after[i])
		}
		return
	}
	b.WriteString(w.address(address))
	// What follows without a space must not be taken for a part of it.
	if rest == "" || strings.IndexByte(" \t\n", rest[0]) < 0 {
		b.WriteString(zero)
	}
}

// callsAll reports whether s[i:] is "@everyone" or "@here", or may become that.
func (w *inlineWriter) callsAll(s string, i int) bool {
	if s[i] != '@' {
		return false
	}
	rest := strings.ToLower(s[i+1 : min(len(s), i+10)])
	for _, word := range []string{"everyone", "here"} {
		if n := min(len(word), len(rest)); rest[:n] == word[:n] {
			return true
		}
	}
	return rest[0] == '&' || rest[0] == '!'
}

// isMark reports whether the sign at s[i] has to be escaped.
func (w *inlineWriter) isMark(s string, i int) bool {
	next := func(set string) bool { return i+1 == len(s) || strings.IndexByte(set, s[i+1]) >= 0 }
	prev := func(c byte) bool { return i == 0 || s[i-1] == c }
	switch s[i] {
	case '\\', '*', '_', '`', '[':
		return true
	case ']':
		return w.label
	case '~', '|':
		return prev(s[i]) || next(string(s[i])) || len(w.open) > 0
	case '<':
		return !next(" \t=") || i+1 == len(s)
	}
	return false
}

// lineStart escapes what would begin a heading, a quote, a list or small print.
func (w *inlineWriter) lineStart(s string) string {
	body := strings.TrimLeft(s, " ")
	if body == "" {
		return s
	}
	indent := s[:len(s)-len(body)]
	digits := len(body) - len(strings.TrimLeft(body, "0123456789"))
	switch {
	case body[0] == '#' || body[0] == '>' || body[0] == '-':
		w.raw(indent + `\` + body[:1])
		return body[1:]
	case digits > 0 && strings.HasPrefix(body[digits:], "."):
		w.raw(indent + body[:digits] + `\.`)
		return body[digits+1:]
	}
	return s
}
