package mappings

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Skeleton folds what looks alike onto one spelling, in the manner of UTS #39 §4: two names with one skeleton cannot be told apart by
// looking. It folds more than that (case, spaces and punctuation between letters), because a nick is read in passing. It is for comparing
// only, never for showing.
func Skeleton(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		if unicode.Is(unicode.M, r) || unicode.Is(unicode.C, r) || unicode.IsSpace(r) || strings.ContainsRune("._-'`", r) {
			continue
		}
		if to, ok := lookalike(r); ok {
			b.WriteString(to)
			continue
		}
		l := unicode.ToLower(r)
		if to, ok := lookalike(l); ok {
			b.WriteString(to)
			continue
		}
		b.WriteRune(l)
	}
	// "rn" is read as "m" and "vv" as "w" in most fonts.
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(b.String())
}

// lookalikes pairs each letter with the characters that are taken for it: Latin, Cyrillic, Greek, Armenian, Cherokee and digits. It
// holds what impersonation uses, not all of Unicode's confusables.txt.
var lookalikes = [...]struct{ to, from string }{
	{"a", "аαɑӑӓａ@"}, {"b", "ЬƅᏏьвΒВ"}, {"c", "сϲⅽᴄСϹ"}, {"d", "ԁⅾɗᏧ"}, {"e", "еҽєёѐεΕЕℯ"}, {"f", "ƒϝſ"}, {"g", "ɡցԍ"}, {"h", "һհΗНᏂн"},
	{"i", "іıιӏїÍίΙІӀlI1|ⅰⅼ!Ꭵ"}, {"j", "јϳЈ"}, {"k", "кκΚКқ"}, {"m", "мΜМⅿ"}, {"n", "ոпηΝ"}, {"o", "оοօ०০0ОΟσʘөѳ"},
	{"p", "рρΡРϱ"}, {"q", "ԛզ"}, {"r", "гᴦՐ"}, {"s", "ѕꜱЅ5"}, {"t", "тτΤТ"}, {"u", "υսцᴜμ"}, {"v", "ѵνᴠⅴ"}, {"w", "ԝѡωШшɯ"}, {"x", "хχΧХ×ⅹ"},
	{"y", "уүγуΥУҮ"}, {"z", "ᴢΖʐ"}, {"ss", "ß"}, {"ae", "æ"}, {"oe", "œ"},
}

func lookalike(r rune) (string, bool) {
	if r < 0x80 && !strings.ContainsRune("@|!Il105", r) {
		return "", false
	}
	for _, l := range lookalikes {
		if strings.ContainsRune(l.from, r) {
			return l.to, true
		}
	}
	return "", false
}

// LooksLike tells whether a nick would be taken for one of the names.
func LooksLike(nick string, names []string) bool {
	if len(names) == 0 {
		return false
	}
	skeleton := Skeleton(nick)
	for _, n := range names {
		if Skeleton(n) == skeleton {
			return true
		}
	}
	return false
}
