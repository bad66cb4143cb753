package jid

import "strings"

// escaped is the table of XEP-0106 §4.2: the characters and their two hexadecimal digits.
const (
	escapedChars = ` "&'/:<>@\`
	escapedHex   = `20222627` + `2f3a3c3e405c`
)

// EscapeLocal writes text that may hold characters forbidden in a localpart (XEP-0106 §4.2), for
// example an e-mail address. Spaces at either end are dropped, since `\20` must not stand there
// (XEP-0106 §5.1); everything else comes back from UnescapeLocal. The result still has to be
// prepared by New.
func EscapeLocal(s string) string {
	s = strings.Trim(s, " ")
	if !strings.ContainsAny(s, escapedChars) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); i++ {
		k := strings.IndexByte(escapedChars, s[i])
		// XEP-0106 §5.1: a backslash is escaped only where it would read as an escape.
		if k < 0 || s[i] == '\\' && unescapedAt(s, i) == 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('\\')
		b.WriteString(escapedHex[2*k : 2*k+2])
	}
	return b.String()
}

// UnescapeLocal turns the escapes of XEP-0106 §4.3 back, for people and foreign systems to read;
// the result is not a localpart. Other backslashes, and a `\20` at either end, stay as they are.
func UnescapeLocal(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := unescapedAt(s, i)
		if c == 0 || c == ' ' && (i == 0 || i+3 == len(s)) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String()
}

// unescapedAt returns the character whose escape begins at s[i], or 0. Case is significant
// (XEP-0106 §4.1).
func unescapedAt(s string, i int) byte {
	if s[i] != '\\' || i+3 > len(s) {
		return 0
	}
	for k := range len(escapedChars) {
		if s[i+1:i+3] == escapedHex[2*k:2*k+2] {
			return escapedChars[k]
		}
	}
	return 0
}
