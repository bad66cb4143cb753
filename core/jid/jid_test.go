package jid

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", MaxPart)
	for _, c := range []struct {
		name, in                string
		local, domain, resource string
	}{
		// RFC 7622 §3.5, table 1.
		{"1 bare", "juliet@example.com", "juliet", "example.com", ""},
		{"2 full", "juliet@example.com/foo", "juliet", "example.com", "foo"},
		{"3 space in resource", "juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
		{"4 at in resource", "juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
		{"5 escaped space", `foo\20bar@example.com`, `foo\20bar`, "example.com", ""},
		{"6 ss", "fussball@example.com", "fussball", "example.com", ""},
		{"7 sharp s differs from ss", "fu\u00DFball@example.com", "fu\u00DFball", "example.com", ""},
		{"8 pi", "\u03C0@example.com", "\u03C0", "example.com", ""},
		{"9 capital sigma is folded", "\u03A3@example.com/foo", "\u03C3", "example.com", "foo"},
		{"10 sigma", "\u03C3@example.com/foo", "\u03C3", "example.com", "foo"},
		{"11 final sigma stays", "\u03C2@example.com/foo", "\u03C2", "example.com", "foo"},
		{"12 symbol in resource", "king@example.com/\u265A", "king", "example.com", "\u265A"},
		{"13 domain", "example.com", "", "example.com", ""},
		{"14 domain and resource", "example.com/foobar", "", "example.com", "foobar"},
		{"15 slash before at", "a.example.com/b@example.net", "", "a.example.com", "b@example.net"},

		{"case is folded", "JULIET@EXAMPLE.com/Balcony", "juliet", "example.com", "Balcony"},
		{"fullwidth is folded", "\uFF4A\uFF55\uFF4C@example.com", "jul", "example.com", ""},
		{"decomposed becomes composed", "e\u0301@example.com/e\u0301", "\u00E9", "example.com", "\u00E9"},
		{"no-break space in resource", "a@b/x\u00A0y", "a", "b", "x y"},
		{"trailing dot", "juliet@example.com./x", "juliet", "example.com", "x"},
		{"A-label", "juliet@xn--bcher-kva.example", "juliet", "b\u00FCcher.example", ""},
		{"U-label", "juliet@B\u00DCCHER.example", "juliet", "b\u00FCcher.example", ""},
		{"decomposed U-label", "bu\u0308cher.example", "", "b\u00FCcher.example", ""},
		{"ideographic full stop", "a\u3002example", "", "a.example", ""},
		{"sharp s in a domain", "stra\u00DFe.example", "", "stra\u00DFe.example", ""},
		{"IPv4", "juliet@192.0.2.1", "juliet", "192.0.2.1", ""},
		{"IPv6 in one spelling", "juliet@[2001:DB8:0::1]/x", "juliet", "[2001:db8::1]", "x"},
		{"longest parts", long + "@" + strings.Repeat("a.", 511) + "a/" + long, long, strings.Repeat("a.", 511) + "a", long},
		{"slash in resource", "a@b/c/d", "a", "b", "c/d"},
		{"single label", "localhost", "", "localhost", ""},
		{"leading space in resource is OpaqueString", "juliet@example.com/ foo", "juliet", "example.com", " foo"},
		{"backslash", `d\27artagnan@musketeers.lit`, `d\27artagnan`, "musketeers.lit", ""},
		{"leading digit beside a letter", "1\u00E9@example.com", "1\u00E9", "example.com", ""},
		{"trailing hyphen in localpart", "\u00E9-@example.com", "\u00E9-", "example.com", ""},
		{"A-label in capitals", "XN--BCHER-KVA.example", "", "b\u00FCcher.example", ""},
		{"hebrew", "\u05D0\u05D1@example.com", "\u05D0\u05D1", "example.com", ""},

		// What RFC 6122 peers have and RFC 7622 has not.
		{"symbol in localpart", "\u265A@example.com", "\u265A", "example.com", ""},
		{"emoji in localpart", "Cat\U0001F408@example.com", "cat\U0001F408", "example.com", ""},
		{"emoji with variation selector", "a@b/\u2764\uFE0F", "a", "b", "\u2764"},
		{"emoji joined", "a@b/\U0001F468\u200D\U0001F469", "a", "b", "\U0001F468\U0001F469"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if j.Local() != c.local || j.Domain() != c.domain || j.Resource() != c.resource {
				t.Errorf("parts %q %q %q", j.Local(), j.Domain(), j.Resource())
			}
			checkInvariants(t, j)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     error
	}{
		// RFC 7622 §3.5, table 2; its symbol in a localpart and leading space are in TestParse.
		{"quotation mark", `"juliet"@example.com`, ErrLocal},
		{"space in localpart", "foo bar@example.com", ErrLocal},
		{"empty local and resource", "@example.com/", ErrResource},
		{"roman numeral has a compatibility form", "henry\u2163@example.com", ErrLocal},
		{"no domain", "juliet@", ErrDomain},
		{"only resource", "/foobar", ErrDomain},

		{"empty", "", ErrDomain},
		{"only at", "@", ErrLocal},
		{"empty local", "@example.com", ErrLocal},
		{"empty resource", "a@b/", ErrResource},
		{"two ats", "a@b@c", ErrDomain},
		{"ampersand", "a&b@example.com", ErrLocal},
		{"apostrophe", "o'hara@example.com", ErrLocal},
		{"colon", "a:b@example.com", ErrLocal},
		{"less than", "a<b@example.com", ErrLocal},
		{"fullwidth at", "a\uFF20b@example.com", ErrLocal},
		{"fullwidth slash", "a\uFF0Fb@example.com", ErrLocal},
		{"no-break space in localpart", "a\u00A0b@example.com", ErrLocal},
		{"ligature in localpart", "\uFB01@example.com", ErrLocal},
		{"control in localpart", "a\x01@example.com", ErrLocal},
		{"soft hyphen in localpart", "a\u00ADb@example.com", ErrLocal},
		{"bidi override in localpart", "a\u202Eb@example.com", ErrLocal},
		{"mixed direction", "\u05D0a@example.com", ErrLocal},
		{"long local", strings.Repeat("a", MaxPart+1) + "@b", ErrLocal},
		{"long non-ASCII local", strings.Repeat("\u00E9", 512) + "@b", ErrLocal},
		{"very long local", strings.Repeat("\u00E9", 5000) + "@b", ErrLocal},
		{"not UTF-8 local", "a\xff@b", ErrLocal},
		{"surrogate", "a\xed\xa0\x80@b", ErrLocal},

		{"empty label", "a@b..c", ErrDomain},
		{"only dot", "a@.", ErrDomain},
		{"two trailing dots", "a@b..", ErrDomain},
		{"leading dot", "a@.b", ErrDomain},
		{"leading hyphen", "a@-b", ErrDomain},
		{"trailing hyphen", "a@b-.c", ErrDomain},
		{"underscore", "a@b_c", ErrDomain},
		{"space in domain", "a@b c", ErrDomain},
		{"hyphens in third and fourth", "a@ab--c", ErrDomain},
		{"bad punycode", "a@xn--\u00FC", ErrDomain},
		{"A-label of plain ASCII", "a@xn--abc-", ErrDomain},
		{"A-label of a capital", "a@xn--bcher-2pa", ErrDomain},
		{"A-label of a hyphen name", "a@xn--xn---epa", ErrDomain},
		{"symbol in domain", "a@i\u2764.example", ErrDomain},
		{"long label", "a@" + strings.Repeat("a", 64), ErrDomain},
		{"long A-label", "a@" + strings.Repeat("\u00FC", 60), ErrDomain},
		{"long domain", "a@" + strings.Repeat("a.", 512) + "a", ErrDomain},
		{"IPv6 open", "a@[::1", ErrDomain},
		{"IPv6 zone", "a@[fe80::1%eth0]", ErrDomain},
		{"IPv4 in brackets", "a@[192.0.2.1]", ErrDomain},
		{"nothing in brackets", "a@[]", ErrDomain},
		{"not UTF-8 domain", "a@b\xff", ErrDomain},

		{"control in resource", "a@b/x\x00", ErrResource},
		{"newline in resource", "a@b/x\ny", ErrResource},
		{"delete in resource", "a@b/\x7f", ErrResource},
		{"bidi override in resource", "a@b/\u202Ex", ErrResource},
		{"only invisible", "a@b/\u200D", ErrResource},
		{"private use", "a@b/\uE000", ErrResource},
		{"noncharacter", "a@b/\uFFFE", ErrResource},
		{"not UTF-8 resource", "a@b/\xc0\x80", ErrResource},
		{"not UTF-8 and invisible", "a@b/\xff\u200D", ErrResource},
		{"long resource", "a@b/" + strings.Repeat("a", MaxPart+1), ErrResource},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := Parse(c.in)
			if !errors.Is(err, c.want) {
				t.Errorf("got %q, error %v; want %v", j, err, c.want)
			}
			if !j.IsZero() {
				t.Errorf("an address came with the error: %q", j)
			}
		})
	}
}

func checkInvariants(t *testing.T, j JID) {
	t.Helper()
	again, err := Parse(j.String())
	if err != nil || again != j {
		t.Fatalf("Parse(%q) = %#v, %v; want %#v", j, again, err, j)
	}
	parts, err := New(j.Local(), j.Domain(), j.Resource())
	if err != nil || parts != j {
		t.Fatalf("New of the parts of %q = %q, %v", j, parts, err)
	}
	if len(j.Local()) > MaxPart || len(j.Domain()) > MaxPart || len(j.Resource()) > MaxPart {
		t.Fatalf("a part of %q is too long", j)
	}
	bare := j.Bare()
	if !bare.IsBare() || bare.IsFull() || bare.Resource() != "" || bare.Domain() != j.Domain() {
		t.Fatalf("bare of %q is %q", j, bare)
	}
	if d := j.DomainJID(); d.HasLocal() || d.IsFull() || d.String() != j.Domain() {
		t.Fatalf("domain of %q is %q", j, d)
	}
	if j.IsFull() {
		if full, err := bare.WithResource(j.Resource()); err != nil || full != j {
			t.Fatalf("%q with %q = %q, %v", bare, j.Resource(), full, err)
		}
	}
}

func TestSpellingsAreOne(t *testing.T) {
	for _, c := range [][2]string{
		{"Juliet@Example.COM", "juliet@example.com"},
		{"a@xn--bcher-kva", "a@B\u00FCcher."},
		{"\u212B@b", "\u00E5@b"},
		{"a@b/\u212B", "a@b/\u00C5"},
		{"a@[0:0::1]", "a@[::1]"},
		{"a@b/\u2764\uFE0F", "a@b/\u2764"},
		{"\u0130@b", "i\u0307@b"},
	} {
		if a, b := MustParse(c[0]), MustParse(c[1]); a != b || !a.Equal(b) {
			t.Errorf("%q became %q, %q became %q", c[0], a, c[1], b)
		}
	}
	if MustParse("a@b") == MustParse("b/a") || MustParse("a@b/c") == MustParse("a@b") {
		t.Error("different addresses are equal")
	}
}

func TestStrict(t *testing.T) {
	for in, want := range map[string]bool{
		"juliet@example.com": true, "\u03C0@example.com": true, "example.com": true,
		"\u265A@example.com": false, "cat\U0001F408@example.com": false,
	} {
		if got := MustParse(in).Strict(); got != want {
			t.Errorf("Strict(%q) = %v", in, got)
		}
	}
}

func TestZero(t *testing.T) {
	var j JID
	if !j.IsZero() || j.IsBare() || j.IsFull() || j.HasLocal() || j.String() != "" || j.Bare() != j || j.DomainJID() != j {
		t.Error("the zero value is not empty")
	}
	if _, err := j.WithResource("x"); !errors.Is(err, ErrDomain) {
		t.Errorf("resource on no address: %v", err)
	}
	if _, err := MustParse("a@b").WithResource(""); !errors.Is(err, ErrResource) {
		t.Errorf("empty resource: %v", err)
	}
	if _, err := New("", "", ""); !errors.Is(err, ErrDomain) {
		t.Errorf("New of nothing: %v", err)
	}
}

func TestText(t *testing.T) {
	type doc struct{ A, B JID }
	in := doc{A: MustParse("a@b/c")}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out doc
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s became %v, %v", b, out, err)
	}
	if err := out.A.UnmarshalText([]byte("@")); err == nil {
		t.Error("a malformed address was read")
	}
	if got := string(in.A.AppendTo([]byte("to "))); got != "to a@b/c" {
		t.Errorf("AppendTo: %q", got)
	}
	if in.A.Clone() != in.A {
		t.Error("a clone differs")
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MustParse("@")
}

func TestAllocations(t *testing.T) {
	for _, in := range []string{"juliet@example.com/balcony", "example.com"} {
		n := testing.AllocsPerRun(100, func() {
			j, _ := Parse(in)
			_, _, _, _, _ = j.Local(), j.Domain(), j.Resource(), j.Bare(), j.DomainJID()
		})
		if n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, in string }{
		{"ascii", "juliet@capulet.example.com/balcony"},
		{"upper", "Juliet@capulet.example.com/balcony"},
		{"unicode", "jul\u00EFet@b\u00FCcher.example/balc\u00F3n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(c.in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
