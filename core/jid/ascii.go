package jid

import "strings"

// What an ASCII byte may be in each part, once prepared.
const (
	inLocal    = 1 << iota // IdentifierClass in lower case, without RFC 7622 §3.3.1
	inLabel                // letter or digit of a domain label, in lower case
	inResource             // printable
)

// localExcluded is RFC 7622 §3.3.1.
const localExcluded = `"&'/:<>@`

var classes = classTable()

func classTable() (t [256]uint8) {
	for c := byte(' '); c < 0x7f; c++ {
		t[c] |= inResource
		if c != ' ' && (c < 'A' || c > 'Z') && strings.IndexByte(localExcluded, c) < 0 {
			t[c] |= inLocal
		}
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			t[c] |= inLabel
		}
	}
	return t
}

// parseCanonicalASCII is the way nearly every address takes: it accepts s only if s is its own
// prepared form, and leaves everything else (also every error) to the slow way.
func parseCanonicalASCII(s string) (JID, bool) {
	i, n := 0, len(s)
	for i < n && classes[s[i]]&inLocal != 0 {
		i++
	}
	localLen := 0
	domainStart := 0
	if i < n && s[i] == '@' {
		localLen, domainStart = i, i+1
		if localLen == 0 || localLen > MaxPart {
			return JID{}, false
		}
	}
	domainEnd := canonicalDomainEnd(s, domainStart)
	domainLen := domainEnd - domainStart
	if domainLen <= 0 || domainLen > MaxPart {
		return JID{}, false
	}
	j := JID{s: s, localLen: uint16(localLen), domainLen: uint16(domainLen)}
	if domainEnd == n {
		return j, true
	}
	if s[domainEnd] != '/' || !isCanonicalResource(s[domainEnd+1:]) {
		return JID{}, false
	}
	return j, true
}

// canonicalDomainEnd returns where the run of plain lower-case labels that begins at start ends, or
// -1 if any label is empty, too long, begins or ends with a hyphen, or has hyphens in its third and
// fourth place, where A-labels are told from plain ones (RFC 5890 §2.3.1).
func canonicalDomainEnd(s string, start int) int {
	label := start
	for i := start; ; i++ {
		if i < len(s) && (classes[s[i]]&inLabel != 0 || s[i] == '-') {
			continue
		}
		n := i - label
		if n == 0 || n > maxLabel || s[label] == '-' || s[i-1] == '-' ||
			n >= 4 && s[label+2] == '-' && s[label+3] == '-' {
			return -1
		}
		if i == len(s) || s[i] != '.' {
			return i
		}
		label = i + 1
	}
}

func isCanonicalResource(s string) bool {
	if s == "" || len(s) > MaxPart {
		return false
	}
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&inResource == 0 {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
