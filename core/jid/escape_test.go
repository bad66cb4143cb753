package jid

import (
	"strings"
	"testing"
)

// The examples of XEP-0106 §3 to §5.
func TestEscapeLocal(t *testing.T) {
	for _, c := range []struct{ plain, escaped string }{
		{"d'artagnan", `d\27artagnan`},
		{"treville@musketeers.lit", `treville\40musketeers.lit`},
		{"space cadet", `space\20cadet`},
		{`call me "ishmael"`, `call\20me\20\22ishmael\22`},
		{"at&t guy", `at\26t\20guy`},
		{"/.fanboy", `\2f.fanboy`},
		{"::foo::", `\3a\3afoo\3a\3a`},
		{"<foo>", `\3cfoo\3e`},
		{"user@host", `user\40host`},
		{`c:\net`, `c\3a\net`},
		{`c:\\net`, `c\3a\\net`},
		{`c:\cool stuff`, `c\3a\cool\20stuff`},
		{`c:\5commas`, `c\3a\5c5commas`},
		{`\3and\2is\5cool`, `\5c3and\2is\5c5cool`},
		{`\2plus\2is\4`, `\2plus\2is\4`},
		{`foo\bar`, `foo\bar`},
		{`\2F`, `\2F`},
		{`\`, `\`},
		{"", ""},
	} {
		if got := EscapeLocal(c.plain); got != c.escaped {
			t.Errorf("EscapeLocal(%q) = %q, want %q", c.plain, got, c.escaped)
		}
		if got := UnescapeLocal(c.escaped); got != c.plain {
			t.Errorf("UnescapeLocal(%q) = %q, want %q", c.escaped, got, c.plain)
		}
	}
	if got := EscapeLocal("  a b "); got != `a\20b` {
		t.Errorf("spaces at the ends: %q", got)
	}
	if got := UnescapeLocal(`\20a\20`); got != `\20a\20` {
		t.Errorf("escaped spaces at the ends: %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a b", `\5c20`, `\\\2f`, "<\u00E9>@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := EscapeLocal(s)
		if strings.ContainsAny(escaped, localExcluded+" ") {
			t.Fatalf("%q escaped is %q", s, escaped)
		}
		if back := UnescapeLocal(escaped); back != strings.Trim(s, " ") {
			t.Fatalf("%q escaped is %q, and back is %q", s, escaped, back)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"juliet@example.com/balcony", "Juliet@EXAMPLE.com.", "a@xn--bcher-kva/\u2764\uFE0F", "\u265A@[::1]/x",
		"\u03A3\u03C2@stra\u00DFe.example", "a\uFF20b@c", "e\u0301@\u3002b", "@/", "\u05D0\u06611@b", "a@b/\u1100\u1161",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		j, err := Parse(s)
		if err != nil {
			return
		}
		checkInvariants(t, j)
		if quick, ok := parseCanonicalASCII(s); ok {
			local, errLocal := quick.Local(), error(nil)
			if local != "" {
				local, errLocal = prepareLocal(local)
			}
			domain, errDomain := domainProfile.ToUnicode(quick.Domain())
			if errLocal != nil || errDomain != nil || local != quick.Local() || domain != quick.Domain() {
				t.Fatalf("the quick way took %q, the slow way says %v, %v", s, errLocal, errDomain)
			}
		}
	})
}
