package discordfmt

import (
	"strings"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// masked reads [label](address), with the address in angle brackets or a title
// behind it. Discord makes no links without a scheme.
func (p *parser) masked(s string, depth int) (richtext.Node, int) {
	end := closeBracket(s)
	if end < 0 || !strings.HasPrefix(s[end:], "](") || depth >= maxDepth {
		return richtext.Node{}, 0
	}
	label, rest := s[1:end], s[end+2:]
	stop := closeParen(rest)
	if stop < 0 || strings.TrimSpace(label) == "" {
		return richtext.Node{}, 0
	}
	address := strings.TrimSpace(rest[:stop])
	if before, _, ok := strings.Cut(address, ` "`); ok && strings.HasSuffix(address, `"`) {
		address = before
	}
	if inner, ok := strings.CutPrefix(address, "<"); ok {
		address = strings.TrimSuffix(inner, ">")
	}
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") || strings.ContainsAny(address, " \n<>") {
		return richtext.Node{}, 0
	}
	return richtext.Link(address, p.inlines(label, depth+1)...), end + 2 + stop + 1
}

// closeBracket is where the bracket at s[0] is closed, or -1.
func closeBracket(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		case '\n':
			if i+1 < len(s) && s[i+1] == '\n' {
				return -1
			}
		}
	}
	return -1
}

// closeParen is where an address ends, or -1.
func closeParen(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\n':
			return -1
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// styled reads a style that begins at s[0]. Where two fit (***a***), the longer
// wins, then the single mark, as Discord does it.
func (p *parser) styled(s string, depth int) (richtext.Node, int) {
	best, kind, mark := 0, richtext.KindUnknown, 0
	try := func(k richtext.Kind, m, size int) {
		if size > best {
			best, kind, mark = size, k, m
		}
	}
	switch s[0] {
	case '*':
		try(richtext.KindItalic, 1, closeStar(s))
		try(richtext.KindBold, 2, closeDouble(s, "**"))
	case '_':
		try(richtext.KindItalic, 1, closeUnderscore(s))
		try(richtext.KindUnderline, 2, closeDouble(s, "__"))
	case '~':
		try(richtext.KindStrike, 2, closeDouble(s, "~~"))
	case '|':
		try(richtext.KindSpoiler, 2, closeDouble(s, "||"))
	}
	if best == 0 {
		return richtext.Node{}, 0
	}
	return richtext.Style(kind, p.inlines(s[mark:best-mark], depth+1)...), best
}

// closeDouble is the length of a text between two double marks, or 0. The closing
// mark is not followed by one more of the same sign, unless the sign is a bar.
func closeDouble(s, mark string) int {
	if !strings.HasPrefix(s, mark) {
		return 0
	}
	for i := 2; i < len(s); i++ {
		if s[i] == '\\' {
			_, n := utf8.DecodeRuneInString(s[i+1:])
			i += n
			continue
		}
		if i > 2 && strings.HasPrefix(s[i:], mark) && (mark == "||" || i+2 >= len(s) || s[i+2] != mark[0]) {
			return i + 2
		}
	}
	return 0
}

// closeUnderscore is the length of _text_: the closing sign stands at a word's end.
func closeUnderscore(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			_, n := utf8.DecodeRuneInString(s[i+1:])
			i += n
		case strings.HasPrefix(s[i:], "__"):
			i++ // of an underlined text inside
		case s[i] == '_':
			if i > 1 && (i+1 == len(s) || !wordByte(s[i+1])) {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// closeStar is the length of *text*: no space at either end, no single star inside.
func closeStar(s string) int {
	if len(s) < 3 || strings.IndexByte(" \n\t", s[1]) >= 0 {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			_, n := utf8.DecodeRuneInString(s[i+1:])
			i += n
		case strings.HasPrefix(s[i:], "**"):
			i++
		case s[i] == '*':
			if i > 1 && strings.IndexByte(" \n\t", s[i-1]) < 0 {
				return i + 1
			}
			return 0
		}
	}
	return 0
}
