package jid

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/runes"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// maxLabel is the greatest length of a domain label in its A-label form (RFC 5890 §2.3.1).
const maxLabel = 63

// A rule of PRECIS is applied until its result stays (RFC 8264 §7), and not more often than this.
const maxPasses = 4

// The profiles are immutable after construction and safe for concurrent use.
var (
	// usernameCaseMapped is RFC 8265 §3.3 with the bidi rule left to checkBidi.
	usernameCaseMapped = precis.NewIdentifier(precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC))
	// legacyLocal takes what nodeprep (RFC 6122 appendix A) takes beyond UsernameCaseMapped:
	// symbols and punctuation. It refuses spaces and whatever has a compatibility form, since
	// stringprep replaces those, and so no peer of that age sends them.
	legacyLocal = precis.NewFreeform(
		precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC),
		precis.Disallow(runes.Predicate(notInLegacyLocal)),
	)
	// uLabel checks the code points and contexts of a label (RFC 5892 and the IdentifierClass
	// derive them from the same categories); domainProfile checks its direction.
	uLabel = precis.NewIdentifier(precis.Norm(norm.NFC))

	domainProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule())
)

func notInLegacyLocal(r rune) bool {
	if unicode.Is(unicode.Zs, r) {
		return true
	}
	// RFC 8264 §9.17, HasCompat.
	s := string(r)
	return norm.NFKC.String(s) != norm.NFC.String(s)
}

// prepareLocal applies RFC 7622 §3.3.
func prepareLocal(s string) (string, error) {
	// Preparation can shorten a text, but never by as much as this.
	if len(s) > 4*MaxPart {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrLocal, MaxPart)
	}
	out, err := strictLocal(s)
	if err != nil {
		// COMPAT(servers of RFC 6122): their people may have symbols in their names.
		legacy, legacyErr := untilStable(s, legacyLocal.String)
		if legacyErr == nil {
			legacyErr = checkBidi(legacy)
		}
		if legacyErr != nil {
			return "", fmt.Errorf("%w: %w", ErrLocal, err)
		}
		out = legacy
	}
	switch {
	case out == "":
		return "", fmt.Errorf("%w: it is empty", ErrLocal)
	case len(out) > MaxPart:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrLocal, MaxPart)
	case strings.ContainsAny(out, localExcluded): // checked after the mapping: U+FF20 becomes @
		return "", fmt.Errorf("%w: it holds one of %s", ErrLocal, localExcluded)
	}
	return out, nil
}

func strictLocal(s string) (string, error) {
	if isASCII(s) {
		s = strings.ToLower(s)
		for i := 0; i < len(s); i++ {
			if s[i] <= ' ' || s[i] == 0x7f {
				return "", fmt.Errorf("character %U", s[i])
			}
		}
		return s, nil
	}
	out, err := untilStable(s, usernameCaseMapped.String)
	if err != nil {
		return "", err
	}
	return out, checkBidi(out)
}

// checkBidi applies RFC 5893 §2 to text with right-to-left code points, and only to such text
// (RFC 8265 §3.3.2 point 5).
func checkBidi(s string) error {
	if bidirule.DirectionString(s) != bidi.LeftToRight && !bidirule.ValidString(s) {
		return fmt.Errorf("it breaks the bidi rule")
	}
	return nil
}

// prepareResource applies RFC 7622 §3.4.
func prepareResource(s string) (string, error) {
	if len(s) > 4*MaxPart {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrResource, MaxPart)
	}
	if isCanonicalResource(s) {
		return s, nil
	}
	out, err := untilStable(s, precis.OpaqueString.String)
	if err != nil {
		// COMPAT(clients of RFC 6122): resourceprep deletes these; names with emoji are full of them.
		visible := strings.Map(deleteIgnorable, s)
		if visible == s || !utf8.ValidString(s) {
			return "", fmt.Errorf("%w: %w", ErrResource, err)
		}
		if out, err = untilStable(visible, precis.OpaqueString.String); err != nil {
			return "", fmt.Errorf("%w: %w", ErrResource, err)
		}
	}
	switch {
	case out == "":
		return "", fmt.Errorf("%w: it is empty", ErrResource)
	case len(out) > MaxPart:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrResource, MaxPart)
	}
	return out, nil
}

// deleteIgnorable is RFC 3454 table B.1, "commonly mapped to nothing".
func deleteIgnorable(r rune) rune {
	switch {
	case r == 0x00AD, r == 0x034F, r == 0x1806, r >= 0x180B && r <= 0x180D,
		r >= 0x200B && r <= 0x200D, r == 0x2060, r >= 0xFE00 && r <= 0xFE0F, r == 0xFEFF:
		return -1
	}
	return r
}

func untilStable(s string, apply func(string) (string, error)) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("not UTF-8")
	}
	for range maxPasses {
		next, err := apply(s)
		if err != nil {
			return "", err
		}
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", fmt.Errorf("preparation does not settle")
}

// prepareDomain applies RFC 7622 §3.2.
func prepareDomain(s string) (string, error) {
	switch {
	case s == "":
		return "", fmt.Errorf("%w: it is empty", ErrDomain)
	case len(s) > 4*MaxPart:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrDomain, MaxPart)
	case s[0] == '[':
		return prepareIPv6(s)
	case canonicalDomainEnd(s, 0) == len(s) && len(s) <= MaxPart:
		return s, nil
	case !utf8.ValidString(s):
		return "", fmt.Errorf("%w: not UTF-8", ErrDomain)
	}
	out, err := domainProfile.ToUnicode(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDomain, err)
	}
	// RFC 7622 §3.2: a final dot is stripped before anything else is done with the name.
	out = strings.TrimSuffix(out, ".")
	if len(out) == 0 || len(out) > MaxPart {
		return "", fmt.Errorf("%w: it is empty or longer than %d bytes", ErrDomain, MaxPart)
	}
	for label := range strings.SplitSeq(out, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("%w: label %q: %w", ErrDomain, label, err)
		}
	}
	// A label that reads otherwise the second time would have two spellings.
	if again, err := domainProfile.ToUnicode(out); err != nil || again != out {
		return "", fmt.Errorf("%w: its form is not stable", ErrDomain)
	}
	return out, nil
}

func checkLabel(label string) error {
	if isASCII(label) {
		if label == "" || canonicalDomainEnd(label, 0) != len(label) {
			return fmt.Errorf("not a host name")
		}
		return nil
	}
	ascii, err := domainProfile.ToASCII(label)
	if err != nil {
		return err
	}
	if len(ascii) > maxLabel {
		return fmt.Errorf("longer than %d bytes", maxLabel)
	}
	prepared, err := uLabel.String(label)
	if err != nil {
		return err
	}
	if prepared != label {
		return fmt.Errorf("not normalised")
	}
	return nil
}

func prepareIPv6(s string) (string, error) {
	inner, closed := strings.CutSuffix(s[1:], "]")
	addr, err := netip.ParseAddr(inner)
	if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", fmt.Errorf("%w: not an IPv6 address in brackets", ErrDomain)
	}
	// RFC 5952: one spelling per address.
	return "[" + addr.String() + "]", nil
}

// Strict reports whether the localpart conforms to RFC 7622 without the latitude that Parse grants
// to stringprep peers. New accounts and rooms should be strict.
func (j JID) Strict() bool {
	if !j.HasLocal() {
		return true
	}
	out, err := strictLocal(j.Local())
	return err == nil && out == j.Local()
}
