package richtext

import (
	"strings"
	"unicode/utf8"
)

// cleanText makes s valid UTF-8, drops control characters and what XML cannot
// carry, and makes every line end a line feed; without lines, line ends become
// spaces.
func cleanText(s string, lines bool) string {
	if isClean(s, lines) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			if lines {
				return '\n'
			}
			return ' '
		case forbidden(r):
			return -1
		}
		return r
	}, s)
}

func isClean(s string, lines bool) bool {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return false
			}
			continue
		}
		if r == '\n' && lines {
			continue
		}
		if r == '\n' || r == '\u2028' || r == '\u2029' || forbidden(r) {
			return false
		}
	}
	return true
}

// forbidden are the control characters and what XML 1.0 §2.2 does not allow.
func forbidden(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' || r >= 0x7F && r < 0xA0 || r == 0xFFFE || r == 0xFFFF
}

// cleanName is a short token such as a language: no spaces, no quotes.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '`' || r == '"' || r == '\'' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || forbidden(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "")
	}
	return s
}

// linkSchemes are the addresses that a message may make clickable.
const linkSchemes = " http https mailto xmpp matrix tel sip sips geo ftp ftps magnet "

// cleanURL returns the address, or "" if it may not be a link.
func cleanURL(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, ""))
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || scheme == "" || !strings.Contains(linkSchemes, " "+strings.ToLower(scheme)+" ") {
		return ""
	}
	for _, r := range s {
		if r <= ' ' || r == '<' || r == '>' || r == '"' || r == '\u2028' || r == '\u2029' || forbidden(r) {
			return ""
		}
	}
	return s
}
