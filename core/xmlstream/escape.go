package xmlstream

import "unicode/utf8"

const replacement = "\uFFFD"

// AppendEscapedText appends s as character data. What XML 1.0 has no place for (most control
// characters, bytes that are not UTF-8) becomes U+FFFD.
func AppendEscapedText[T string | []byte](dst []byte, s T) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if charClass[c]&plainText != 0 || c == ']' {
			i++
			continue
		}
		n := 1
		var with string
		switch {
		case c == '<':
			with = "&lt;"
		case c == '>':
			with = "&gt;"
		case c == '&':
			with = "&amp;"
		case c == '\r': // a literal one would be read as a newline (XML 1.0 §2.11)
			with = "&#13;"
		case c < utf8.RuneSelf:
			with = replacement
		default:
			n, with = escapeRune(s[i:])
		}
		if with != "" {
			dst = append(append(dst, s[last:i]...), with...)
			last = i + n
		}
		i += n
	}
	return append(dst, s[last:]...)
}

// AppendEscapedAttr appends s as an attribute value for single quotes, with the same replacement.
func AppendEscapedAttr[T string | []byte](dst []byte, s T) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		if charClass[c]&plainValue != 0 || c == '"' {
			i++
			continue
		}
		n := 1
		var with string
		switch {
		case c == '<':
			with = "&lt;"
		case c == '&':
			with = "&amp;"
		case c == '\'':
			with = "&apos;"
		case c == '\t': // literal white space would be read as spaces (XML 1.0 §3.3.3)
			with = "&#9;"
		case c == '\n':
			with = "&#10;"
		case c == '\r':
			with = "&#13;"
		case c < utf8.RuneSelf:
			with = replacement
		default:
			n, with = escapeRune(s[i:])
		}
		if with != "" {
			dst = append(append(dst, s[last:i]...), with...)
			last = i + n
		}
		i += n
	}
	return append(dst, s[last:]...)
}

// escapeRune returns the length of the character at the start of s, and its replacement if it may not
// stand there.
func escapeRune[T string | []byte](s T) (n int, with string) {
	var b [utf8.UTFMax]byte
	r, n := utf8.DecodeRune(b[:copy(b[:], s)])
	if r == utf8.RuneError && n == 1 || !isXMLChar(r) {
		return n, replacement
	}
	return n, ""
}

// appendName appends s as a name without a colon, with _ for every character that may not stand
// there: whatever a caller builds, the output is well-formed.
func appendName(dst []byte, s string) []byte {
	if validNCName(s) {
		return append(dst, s...)
	}
	if s == "" {
		return append(dst, '_')
	}
	for i, r := range s {
		switch {
		case i == 0 && !isNameStart(r):
			dst = append(dst, '_')
			if isNameChar(r) {
				dst = utf8.AppendRune(dst, r)
			}
		case r == utf8.RuneError || !isNameChar(r):
			dst = append(dst, '_')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// appendSpace appends s as the name of a namespace, with percent signs for what may not stand there.
func appendSpace(dst []byte, s string) []byte {
	if validSpace(s) {
		return AppendEscapedAttr(dst, s)
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; charClass[c]&uriByte != 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return dst
}
