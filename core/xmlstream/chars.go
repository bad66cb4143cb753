package xmlstream

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a byte may be; the scanning loops run on these.
const (
	plainText  = 1 << iota // stands in text as it is: no markup, no control, ASCII
	plainValue             // stands in a value between single quotes as it is, ASCII
	nameByte               // ASCII NameChar
	nameStart              // ASCII NameStartChar
	nonASCII
	colonByte
	spaceByte // white space (XML 1.0 production 3)
	uriByte   // see validSpace
)

var charClass = charClasses()

func charClasses() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		switch {
		case c >= utf8.RuneSelf:
			t[i] |= nonASCII
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			t[i] |= spaceByte
		}
		if c >= ' ' || c == '\t' || c == '\n' {
			if c != '<' && c != '>' && c != '&' && c != ']' {
				t[i] |= plainText
			}
		}
		if c >= ' ' && c != '<' && c != '&' && c != '\'' && c != '"' {
			t[i] |= plainValue
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if letter {
			t[i] |= nameStart
		}
		if letter || c >= '0' && c <= '9' || c == '-' || c == '.' {
			t[i] |= nameByte
		}
		if c == ':' {
			t[i] |= colonByte
		}
		if letter || c >= '0' && c <= '9' || strings.IndexByte("-.~:/?#[]@!$()*+,;=%", c) >= 0 {
			t[i] |= uriByte
		}
	}
	return t
}

// isXMLChar is XML 1.0 production 2.
func isXMLChar(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// isNameStart and isNameChar take what both the fifth edition of XML 1.0 (productions 4 and 4a) and the
// fourth (appendix B) take: expat and others have the older tables to this day, and a name that they call
// not well-formed must not be passed on to them.
//
//go:generate go test -run TestNameTable -update
func isNameStart(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 0 && charClass[r]&nameStart != 0
	}
	return unicode.Is(nameStartTable, r)
}

func isNameChar(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 0 && charClass[r]&nameByte != 0
	}
	return unicode.Is(nameTable, r)
}

// validNCName reports whether s is a name without a colon (Namespaces in XML 1.0 production 4).
func validNCName[T string | []byte](s T) bool {
	if len(s) == 0 {
		return false
	}
	if charClass[s[0]]&nameStart != 0 {
		i := 1
		for i < len(s) && charClass[s[i]]&nameByte != 0 {
			i++
		}
		if i == len(s) {
			return true
		}
	}
	for i, r := range string(s) {
		if r == utf8.RuneError || i == 0 && !isNameStart(r) || !isNameChar(r) {
			return false
		}
	}
	return true
}

// scanRune reads one multi-byte character of text at the start of b. It returns 0 if b ends within
// it. Every prefix of a character that can still become a valid one is waited for.
func scanRune(b []byte) (n int, err error) {
	c := b[0]
	if len(b) >= 2 && c >= 0xC2 && c <= 0xDF && b[1]&0xC0 == 0x80 {
		return 2, nil
	}
	// The three-byte sequences without a special case: not E0 (overlong), ED (surrogates), EF (U+FFFE).
	if len(b) >= 3 && c >= 0xE1 && c <= 0xEE && c != 0xED && b[1]&0xC0 == 0x80 && b[2]&0xC0 == 0x80 {
		return 3, nil
	}
	if !utf8.FullRune(b) {
		return 0, nil
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		// RFC 6120 §4.9.3.22 covers text that breaks the rules of UTF-8.
		return 0, refuse(UnsupportedEncoding, "not UTF-8")
	}
	if !isXMLChar(r) {
		return 0, refusef(NotWellFormed, "character %U", r)
	}
	return n, nil
}

// validSpace reports whether s may be the name of a namespace: an IRI (Namespaces in XML 1.0 §2.2), of
// which neither & nor ' is taken.
//
// NOTSPEC: parsers differ on other names. Some join namespace and local part with a space or a brace, and
// refuse or misread a name that has one; libxml2 misreads &.
func validSpace[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if charClass[s[i]]&(uriByte|nonASCII) == 0 {
			return false
		}
	}
	return true
}
