package sasl

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// PreparePassword brings a password into the form that is hashed.
//
// SCRAM asks for SASLprep (RFC 5802 §2.2) and clients do that, so it comes
// first; unassigned code points are let through as in a query (RFC 3454 §7),
// else every emoji newer than Unicode 3.2 would be refused. What SASLprep's
// bidirectional rule refuses (right-to-left letters with digits at an end) is
// prepared as an OpaqueString (RFC 8265 §4.2), which keeps it.
func PreparePassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("sasl: prepare password: empty")
	}
	if isPrintableASCII(password) {
		return password, nil
	}
	out, err := saslprep(password)
	if errors.Is(err, errBidi) {
		out, err = precis.OpaqueString.String(password)
	}
	if err != nil {
		return "", fmt.Errorf("sasl: prepare password: %w", err)
	}
	if out == "" {
		return "", errors.New("sasl: prepare password: nothing is left of it")
	}
	return out, nil
}

// PrepareUsername is the default normalisation of simple user names: the
// UsernameCaseMapped profile (RFC 8265 §3.3) that also underlies local parts of
// addresses (RFC 7622 §3.3).
func PrepareUsername(name string) (string, error) {
	out, err := precis.UsernameCaseMapped.String(name)
	if err != nil {
		return "", fmt.Errorf("sasl: prepare user name: %w", err)
	}
	if out == "" || strings.ContainsAny(out, `"&'/:<>@`) {
		return "", errors.New("sasl: prepare user name: empty or with a character that no address may have")
	}
	return out, nil
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

var (
	errBidi       = errors.New("mixes writing directions")
	errProhibited = errors.New("a prohibited character")
	errUTF8       = errors.New("not UTF-8")
)

// saslprep is RFC 4013 for queries.
func saslprep(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errUTF8
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(asciiSpaceOf, r): // RFC 4013 §2.1: non-ASCII spaces become a space
			return ' '
		case unicode.Is(mappedToNothing, r):
			return -1
		}
		return r
	}, s)
	s = norm.NFKC.String(s)
	for _, r := range s {
		if unicode.Is(prohibited, r) || r&0xfffe == 0xfffe {
			return "", errProhibited
		}
	}
	return s, checkBidi(s)
}

// checkBidi is RFC 3454 §6.
func checkBidi(s string) error {
	var right, left, first, last bool
	for i, r := range s {
		p, _ := bidi.LookupRune(r)
		isRight := p.Class() == bidi.R || p.Class() == bidi.AL
		right = right || isRight
		left = left || p.Class() == bidi.L
		if i == 0 {
			first = isRight
		}
		last = isRight
	}
	if right && (left || !first || !last) {
		return errBidi
	}
	return nil
}

// The tables of RFC 3454 that RFC 4013 names; never written to.
var (
	asciiSpaceOf = &unicode.RangeTable{R16: []unicode.Range16{ // C.1.2
		{0x00a0, 0x00a0, 1}, {0x1680, 0x1680, 1}, {0x2000, 0x200b, 1}, {0x202f, 0x202f, 1}, {0x205f, 0x205f, 1}, {0x3000, 0x3000, 1},
	}}
	mappedToNothing = &unicode.RangeTable{R16: []unicode.Range16{ // B.1
		{0x00ad, 0x00ad, 1}, {0x034f, 0x034f, 1}, {0x1806, 0x1806, 1}, {0x180b, 0x180d, 1}, {0x200c, 0x200d, 1}, {0x2060, 0x2060, 1},
		{0xfe00, 0xfe0f, 1}, {0xfeff, 0xfeff, 1},
	}}
	prohibited = &unicode.RangeTable{ // C.1.2, C.2.1, C.2.2, C.3 to C.9 after mapping; the xFFFE and xFFFF of C.4 are tested by mask
		R16: []unicode.Range16{
			{0x0000, 0x001f, 1}, {0x007f, 0x00a0, 1}, {0x0340, 0x0341, 1}, {0x06dd, 0x06dd, 1}, {0x070f, 0x070f, 1}, {0x1680, 0x1680, 1}, {0x180e, 0x180e, 1},
			{0x2000, 0x200f, 1}, {0x2028, 0x202f, 1}, {0x205f, 0x2063, 1}, {0x206a, 0x206f, 1}, {0x2ff0, 0x2ffb, 1},
			{0x3000, 0x3000, 1}, {0xd800, 0xf8ff, 1}, {0xfdd0, 0xfdef, 1}, {0xfeff, 0xfeff, 1}, {0xfff9, 0xfffd, 1},
		},
		R32: []unicode.Range32{
			{0x1d173, 0x1d17a, 1}, {0xe0001, 0xe0001, 1}, {0xe0020, 0xe007f, 1}, {0xf0000, 0xffffd, 1}, {0x100000, 0x10fffd, 1},
		},
		LatinOffset: 2,
	}
)
