package room

import "unicode"

// visible tells whether a nick shows something and hides nothing: no control characters, no bidirectional overrides, and at least one character
// that is not a space or a mark.
func visible(nick string) bool {
	seen := false
	for _, c := range nick {
		switch {
		case unicode.IsControl(c) || isBidi(c):
			return false
		case c == '\u200b' || c == '\ufeff' || c == '\u2060' || unicode.IsSpace(c) || unicode.Is(unicode.M, c) || unicode.Is(unicode.Cf, c):
		default:
			seen = true
		}
	}
	return seen
}

// isBidi: characters that turn the reading direction of what follows them, outside of the nick too.
func isBidi(c rune) bool {
	return c == '\u061c' || c == '\u200e' || c == '\u200f' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
}
