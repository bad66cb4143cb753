package mappings

import (
	"crypto/sha256"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// MaxGraphemes is the longest nick, MaxNickBytes the most bytes it may take: rooms refuse more.
const (
	MaxGraphemes = 64
	MaxNickBytes = 240
)

// Nick makes a nick of a display name: normalised (NFKC), without what cannot be seen or turns text around, at most [MaxGraphemes]
// long. What nothing is left of becomes "user-" and a hash of the id.
func Nick(display string, id sdk.RemoteUserID) string {
	s := norm.NFKC.String(strings.ToValidUTF8(display, ""))
	s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
	var b strings.Builder
	seen := false
	for _, r := range s {
		if !nickRune(r) {
			continue
		}
		seen = seen || unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.M, r)
		b.WriteRune(r)
	}
	out := strings.TrimSpace(Cut(b.String(), MaxGraphemes, MaxNickBytes))
	if !seen || !resource(out) {
		return fallbackNick(id)
	}
	return out
}

// nickRune tells what may stand in a nick: no controls, no bidi controls, nothing invisible. A joiner is kept, since emoji and several scripts
// are spelt with it.
func nickRune(r rune) bool {
	const zwnj, zwj = 0x200c, 0x200d
	switch {
	case r == zwnj || r == zwj || r == ' ':
		return true
	case r == utf8.RuneError, r == 0x3164, r == 0xffa0, r == 0x115f, r == 0x1160, r == 0x2800, r == 0x00ad, r == 0x034f, r == 0x180e:
		return false // blanks that count as letters, and the invisible ones
	}
	return unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Co, r)
}

func resource(s string) bool {
	if s == "" {
		return false
	}
	j, err := jid.New("a", "b", s)
	return err == nil && j.Resource() != ""
}

func fallbackNick(id sdk.RemoteUserID) string {
	sum := sha256.Sum256([]byte(id))
	return "user-" + lowerBase32.EncodeToString(sum[:])[:6]
}

// Nicks are the nicks a person may have, in the order in which they are tried: the name; with the network or server it is from; with
// the whole id. Since the order in which people join decides and the gateway keeps what was given, nobody is renamed later.
func Nicks(display string, id sdk.RemoteUserID, from string) []string {
	first := Nick(display, id)
	out := []string{first}
	for _, suffix := range []string{from, strings.TrimLeft(string(id), "@#!&")} {
		if suffix == "" {
			continue
		}
		suffix = " (" + Cut(Nick(suffix, id), 40, 120) + ")"
		out = append(out, Cut(first, MaxGraphemes-utf8.RuneCountInString(suffix), MaxNickBytes-len(suffix))+suffix)
	}
	return append(out, fallbackNick(id))
}

// Cut shortens s to so many user-perceived characters and bytes, without cutting one apart. It goes by combining marks, joiners, variation
// selectors, emoji modifiers and pairs of regional indicators; what a rare script joins otherwise may be cut.
func Cut(s string, graphemes, bytes int) string {
	if len(s) <= bytes && len(s) <= graphemes {
		return s
	}
	n, end := 0, 0
	joined, regional := true, false
	for i, r := range s {
		extends := unicode.Is(unicode.M, r) || r == 0x200d || r == 0x200c || r >= 0x1f3fb && r <= 0x1f3ff || r >= 0xe0020 && r <= 0xe007f
		isRegional := r >= 0x1f1e6 && r <= 0x1f1ff
		if i == 0 || !extends && !joined && !(isRegional && regional) {
			if n == graphemes {
				return s[:i]
			}
			n++
			end = i
			regional = isRegional
		} else {
			regional = false
		}
		joined = r == 0x200d
		if i+utf8.RuneLen(r) > bytes {
			return s[:end]
		}
	}
	return s
}
