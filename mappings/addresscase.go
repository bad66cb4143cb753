package mappings

import (
	"math/big"
	"strings"
	"unicode"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// encodeSegment escapes one part of an id and, where letters matter, appends '~' and the mask of its upper-case letters in hex: bit n is the
// n-th character. A part that would read as if it had a mask gets an empty one.
func encodeSegment(rule sdk.CaseRule, s string) string {
	switch rule {
	case sdk.CaseUpper:
		return jid.EscapeLocal(strings.ToLower(s))
	case sdk.CaseFold, sdk.CaseDigits:
		return jid.EscapeLocal(s)
	}
	var lower strings.Builder
	mask := new(big.Int)
	n := 0
	for _, r := range s {
		if l := unicode.ToLower(r); l != r && unicode.ToUpper(l) == r {
			mask.SetBit(mask, n, 1)
			r = l
		}
		lower.WriteRune(r)
		n++
	}
	out := jid.EscapeLocal(lower.String())
	if mask.Sign() != 0 {
		return out + "~" + mask.Text(16)
	}
	if _, _, masked := cutMask(out); masked {
		return out + "~0"
	}
	return out
}

// decodeSegment is the reverse; false if s cannot be one.
func decodeSegment(rule sdk.CaseRule, s string) (string, bool) {
	switch rule {
	case sdk.CaseUpper:
		return strings.ToUpper(jid.UnescapeLocal(s)), true
	case sdk.CaseFold:
		return jid.UnescapeLocal(s), true
	case sdk.CaseDigits:
		return s, strings.Trim(s, "0123456789") == ""
	}
	text, mask, masked := cutMask(s)
	plain := jid.UnescapeLocal(text)
	if !masked {
		return plain, true
	}
	var out strings.Builder
	n := 0
	for _, r := range plain {
		if mask.Bit(n) == 1 {
			r = unicode.ToUpper(r)
		}
		out.WriteRune(r)
		n++
	}
	return out.String(), mask.BitLen() <= n
}

// cutMask parts "text~hex".
func cutMask(s string) (text string, mask *big.Int, ok bool) {
	i := strings.LastIndexByte(s, '~')
	if i < 0 || i+1 == len(s) || strings.Trim(s[i+1:], "0123456789abcdef") != "" {
		return s, nil, false
	}
	mask, ok = new(big.Int).SetString(s[i+1:], 16)
	return s[:i], mask, ok
}
