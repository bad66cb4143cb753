package xmlstream

import (
	"strings"
	"testing"
)

// refusals lists what must not be taken, by construct, after the categories of the W3C conformance
// suite's documents that are not well-formed and those of its namespace part. Each stands on a stream.
var refusals = []struct{ name, in, condition string }{
	// RFC 6120 §11.1.
	{"DOCTYPE", `<!DOCTYPE a>`, RestrictedXML},
	{"DOCTYPE with internal subset", `<!DOCTYPE a [<!ENTITY x "y">]>`, RestrictedXML},
	{"external entity", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, RestrictedXML},
	{"billion laughs", `<!DOCTYPE l [<!ENTITY l0 "ha"><!ENTITY l1 "&l0;&l0;">]><l>&l1;</l>`, RestrictedXML},
	{"comment between elements", `<!-- c -->`, RestrictedXML},
	{"comment in an element", `<a><!-- c --></a>`, RestrictedXML},
	{"processing instruction", `<?php x ?>`, RestrictedXML},
	{"processing instruction in an element", `<a><?x y?></a>`, RestrictedXML},
	{"second XML declaration", `<?xml version='1.0'?>`, RestrictedXML},
	{"stylesheet", `<?xml-stylesheet href='x'?>`, RestrictedXML},
	{"element declaration", `<!ELEMENT a ANY>`, RestrictedXML},
	{"entity of its own", `<a>&nbsp;</a>`, RestrictedXML},
	{"entity of its own in a value", `<a x='&nbsp;'/>`, RestrictedXML},
	{"entity with a long name", `<a>&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;</a>`, RestrictedXML},
	{"predefined entity in capitals", `<a>&LT;</a>`, RestrictedXML},
	{"conditional section", `<![INCLUDE[x]]>`, RestrictedXML},

	// Characters (XML 1.0 production 2) and UTF-8.
	{"NUL in text", "<a>\x00</a>", NotWellFormed},
	{"control in text", "<a>\x0b</a>", NotWellFormed},
	{"escape in text", "<a>\x1b[0m</a>", NotWellFormed},
	{"control in a value", "<a x='\x01'/>", NotWellFormed},
	{"control in a tag", "<a \x01/>", NotWellFormed},
	{"control in a name", "<a\x01/>", NotWellFormed},
	{"control in CDATA", "<a><![CDATA[\x08]]></a>", NotWellFormed},
	{"control between elements", "\x00", NotWellFormed},
	{"U+FFFE in text", "<a>\uFFFE</a>", NotWellFormed},
	{"U+FFFF in a value", "<a x='\uFFFF'/>", NotWellFormed},
	{"lone continuation byte", "<a>\x80</a>", UnsupportedEncoding},
	{"overlong slash", "<a>\xc0\xaf</a>", UnsupportedEncoding},
	{"overlong NUL", "<a>\xc0\x80</a>", UnsupportedEncoding},
	{"overlong in three bytes", "<a>\xe0\x80\xaf</a>", UnsupportedEncoding},
	{"overlong in four bytes", "<a>\xf0\x80\x80\xaf</a>", UnsupportedEncoding},
	{"overlong markup in a value", "<a x='\xc0\xbc'/>", UnsupportedEncoding},
	{"high surrogate", "<a>\xed\xa0\x80</a>", UnsupportedEncoding},
	{"surrogate pair", "<a>\xed\xa0\xbd\xed\xb8\x80</a>", UnsupportedEncoding},
	{"beyond Unicode", "<a>\xf4\x90\x80\x80</a>", UnsupportedEncoding},
	{"five byte sequence", "<a>\xf8\x88\x80\x80\x80</a>", UnsupportedEncoding},
	{"byte FE", "<a>\xfe</a>", UnsupportedEncoding},
	{"byte FF in CDATA", "<a><![CDATA[\xff]]></a>", UnsupportedEncoding},
	{"Latin-1", "<a>caf\xe9 x</a>", UnsupportedEncoding},
	{"cut sequence before markup", "<a>\xe2\x82</a>", UnsupportedEncoding},
	{"not UTF-8 in a name", "<a\xff/>", NotWellFormed},

	// References (§4.1).
	{"bare ampersand", `<a>a & b</a>`, NotWellFormed},
	{"ampersand at the end", `<a>&</a>`, NotWellFormed},
	{"reference without an end", `<a>&amp</a>`, NotWellFormed},
	{"reference without a name", `<a>&;</a>`, NotWellFormed},
	{"reference with a space", `<a>&am p;</a>`, NotWellFormed},
	{"reference with a bad name", `<a>&1a;</a>`, NotWellFormed},
	{"reference to NUL", `<a>&#0;</a>`, NotWellFormed},
	{"reference to a control", `<a>&#8;</a>`, NotWellFormed},
	{"reference to a surrogate", `<a>&#xD800;</a>`, NotWellFormed},
	{"reference to U+FFFE", `<a>&#xFFFE;</a>`, NotWellFormed},
	{"reference beyond Unicode", `<a>&#x110000;</a>`, NotWellFormed},
	{"reference that overflows", `<a>&#4294967361;</a>`, NotWellFormed},
	{"reference without digits", `<a>&#;</a>`, NotWellFormed},
	{"reference without hex digits", `<a>&#x;</a>`, NotWellFormed},
	{"reference with a capital X", `<a>&#X41;</a>`, NotWellFormed},
	{"hex digits in a decimal reference", `<a>&#4A;</a>`, NotWellFormed},
	{"reference with an underscore", `<a>&#6_5;</a>`, NotWellFormed},
	{"reference with a sign", `<a>&#+65;</a>`, NotWellFormed},
	{"bare ampersand in a value", `<a x='a&b'/>`, NotWellFormed},
	{"ampersand at the end of a value", `<a x='&'/>`, NotWellFormed},
	{"reference to NUL in a value", `<a x='&#0;'/>`, NotWellFormed},
	{"reference in a name", `<a&#65;/>`, NotWellFormed},
	{"bare ampersand in a namespace", `<a xmlns='a&b'/>`, NotWellFormed},

	// Text (§2.4) and CDATA (§2.7).
	{"end of CDATA in text", `<a>]]></a>`, NotWellFormed},
	{"end of CDATA behind brackets", `<a>]]]]></a>`, NotWellFormed},
	{"CDATA in small letters", `<a><![cdata[x]]></a>`, RestrictedXML},
	{"CDATA with spaces", `<a><![ CDATA[x]]></a>`, RestrictedXML},
	{"CDATA in CDATA", `<a><![CDATA[<![CDATA[x]]>]]></a>`, NotWellFormed},
	{"CDATA between elements", `<![CDATA[x]]>`, InvalidXML},
	{"text between elements", `<a/>x`, InvalidXML},
	{"reference between elements", `&#32;`, InvalidXML},
	{"text before the first element", `x<a/>`, InvalidXML},

	// Tags (§3.1).
	{"space before the name", `< a/>`, NotWellFormed},
	{"no name", `<>`, NotWellFormed},
	{"slash alone", `</>`, NotWellFormed},
	{"name with a digit first", `<1a/>`, NotWellFormed},
	{"name with a hyphen first", `<-a/>`, NotWellFormed},
	{"name with a full stop first", `<.a/>`, NotWellFormed},
	{"name with a middle dot first", `<·a/>`, NotWellFormed},
	{"name with a times sign", `<a×b/>`, NotWellFormed},
	{"name with U+037E", "<a\u037Eb/>", NotWellFormed},
	{"name with U+2000", "<a\u2000b/>", NotWellFormed},
	{"name with U+3000", "<a\u3000b/>", NotWellFormed},
	{"name with a combining character first", "<\u0301a/>", NotWellFormed},
	{"name with an exclamation mark", `<a!/>`, NotWellFormed},
	{"attribute with a digit first", `<a 1='x'/>`, NotWellFormed},
	{"less than in a tag", `<a <b/>`, NotWellFormed},
	{"less than in a value", `<a x='<'/>`, NotWellFormed},
	{"slash in a tag", `<a / x='1'>`, NotWellFormed},
	{"two slashes", `<a//>`, NotWellFormed},
	{"attribute without a value", `<a x/>`, NotWellFormed},
	{"attribute with nothing behind =", `<a x=/>`, NotWellFormed},
	{"attribute without quotes", `<a x=1/>`, NotWellFormed},
	{"attribute without =", `<a x '1'/>`, NotWellFormed},
	{"attribute with two =", `<a x=='1'/>`, NotWellFormed},
	{"attribute without a name", `<a ='1'/>`, NotWellFormed},
	{"value alone", `<a '1'/>`, NotWellFormed},
	{"no space between attributes", `<a b='1'c='2'/>`, NotWellFormed},
	{"no space behind the name", `<a'1'/>`, NotWellFormed},
	{"quotes that differ", `<a x='1"></a>'`, NotWellFormed},
	{"attribute twice", `<a x='1' x='2'/>`, NotWellFormed},
	{"attribute twice in two quotes", `<a x='1' y='' x="1"/>`, NotWellFormed},
	{"attribute in an end tag", `<a></a x='1'>`, NotWellFormed},
	{"space before the name of an end tag", `<a></ a>`, NotWellFormed},
	{"end tag with a slash", `<a></a/>`, NotWellFormed},
	{"end tag of another name", `<a></b>`, NotWellFormed},
	{"end tag in capitals", `<a></A>`, NotWellFormed},
	{"end tag that is longer", `<a></aa>`, NotWellFormed},
	{"end tag that is shorter", `<aa></a>`, NotWellFormed},
	{"end tag with markup", `<a></a<b>`, NotWellFormed},
	{"tags that overlap", `<a><b></a></b>`, NotWellFormed},
	{"end tag without a start", `</a>`, NotWellFormed},
	{"end of the stream within an element", `<a></stream:stream>`, NotWellFormed},
	{"stream's end by another prefix", `</stream>`, NotWellFormed},

	// Namespaces in XML 1.0.
	{"unbound prefix", `<p:a/>`, BadNamespacePrefix},
	{"unbound prefix of an attribute", `<a p:x='1'/>`, BadNamespacePrefix},
	{"prefix out of scope", `<a><b xmlns:p='u'/><p:c/></a>`, BadNamespacePrefix},
	{"prefix is case sensitive", `<a xmlns:p='u'><P:b/></a>`, BadNamespacePrefix},
	{"prefix undeclared", `<a xmlns:p=''/>`, NotWellFormed},
	{"stream prefix undeclared", `<a xmlns:stream=''/>`, NotWellFormed},
	{"xml rebound", `<a xmlns:xml='u'/>`, NotWellFormed},
	{"xml undeclared", `<a xmlns:xml=''/>`, NotWellFormed},
	{"another prefix for xml", `<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>`, NotWellFormed},
	{"xml as the default", `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`, NotWellFormed},
	{"xmlns declared", `<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>`, NotWellFormed},
	{"xmlns rebound", `<a xmlns:xmlns='u'/>`, NotWellFormed},
	{"another prefix for xmlns", `<a xmlns:p='http://www.w3.org/2000/xmlns/'/>`, NotWellFormed},
	{"xmlns as the default", `<a xmlns='http://www.w3.org/2000/xmlns/'/>`, NotWellFormed},
	{"xmlns as an element's prefix", `<xmlns:a/>`, BadNamespacePrefix},
	{"xml as an element's prefix", `<xml:a/>`, NotWellFormed},
	{"colon first", `<:a/>`, NotWellFormed},
	{"colon last", `<a:/>`, NotWellFormed},
	{"colon alone", `<:/>`, NotWellFormed},
	{"two colons", `<a:b:c xmlns:a='u'/>`, NotWellFormed},
	{"digit behind the colon", `<a:1 xmlns:a='u'/>`, NotWellFormed},
	{"attribute with a colon first", `<a :x='1'/>`, NotWellFormed},
	{"attribute with a colon last", `<a x:='1'/>`, NotWellFormed},
	{"declaration without a prefix behind the colon", `<a xmlns:='u'/>`, NotWellFormed},
	{"attribute twice by two prefixes", `<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>`, NotWellFormed},
	{"attribute twice by one prefix", `<a xmlns:p='u' p:x='1' p:x='2'/>`, NotWellFormed},
	{"default declared twice", `<a xmlns='u' xmlns='u'/>`, NotWellFormed},
	{"prefix declared twice", `<a xmlns:p='u' xmlns:p='v'/>`, NotWellFormed},
	{"namespace with a space", `<a xmlns='u v'/>`, PolicyViolation},
	{"namespace with a line end", "<a xmlns='u\nv'/>", PolicyViolation},
	{"namespace with a brace", `<a xmlns:p='u}b'/>`, PolicyViolation},
	{"namespace with markup", `<a xmlns='&lt;'/>`, PolicyViolation},
	{"namespace with an ampersand", `<a xmlns='u?a&amp;b'/>`, PolicyViolation},
	{"namespace with an apostrophe", `<a xmlns="u'"/>`, PolicyViolation},
	{"declared twice by a reference", `<a xmlns:p='u' xmlns:q='&#117;' p:x='1' q:x='2'/>`, NotWellFormed},
}

func TestRefuses(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			o := decodeBytes(t, C2S, header+c.in, true)
			if o.condition != c.condition {
				t.Errorf("%q: got %v, want %s", c.in, o, c.condition)
			}
		})
	}
}

// The same constructs are refused in a fragment from the store and in a WebSocket frame.
func TestRefusesEverywhere(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			if f, err := ParseFragment([]byte("<x>" + c.in + "</x>")); err == nil &&
				c.condition != InvalidXML && !strings.Contains(c.in, "stream:") {
				t.Errorf("as a fragment %q became %q", c.in, f)
			}
			d := NewFramedDecoder(C2S)
			if kind, err := d.Frame([]byte(c.in)); err == nil {
				t.Errorf("as a frame %q is a %v", c.in, kind)
			}
		})
	}
}

func TestRefusesBeforeTheStream(t *testing.T) {
	for _, c := range []struct{ name, in, condition string }{
		{"DOCTYPE", `<!DOCTYPE stream>`, RestrictedXML},
		{"comment", `<!-- -->`, RestrictedXML},
		{"processing instruction", `<?x?>`, RestrictedXML},
		{"text", `x`, NotWellFormed},
		{"HTTP", "GET / HTTP/1.1\r\n", NotWellFormed},
		{"TLS", "\x16\x03\x01\x02\x00\x01", NotWellFormed},
		{"CDATA", `<![CDATA[ ]]>`, NotWellFormed},
		{"end tag", `</stream:stream>`, NotWellFormed},
		{"UTF-16 big endian", "\xfe\xff\x00<", UnsupportedEncoding},
		{"UTF-16 little endian", "\xff\xfe<\x00", UnsupportedEncoding},
		{"UTF-16 without a mark", "<\x00s\x00", NotWellFormed},
		{"half a mark", "\xef\xbbx", NotWellFormed},
		{"two marks", "\uFEFF\uFEFF<a>", NotWellFormed},
		{"declaration behind space", ` <?xml version='1.0'?>`, RestrictedXML},
		{"declaration twice", `<?xml version='1.0'?><?xml version='1.0'?>`, RestrictedXML},
		{"declaration in capitals", `<?XML version='1.0'?>`, RestrictedXML},
		{"XML 1.1", `<?xml version='1.1'?>`, NotWellFormed},
		{"no version", `<?xml encoding='UTF-8'?>`, NotWellFormed},
		{"version without quotes", `<?xml version=1.0?>`, NotWellFormed},
		{"wrong order", `<?xml encoding='UTF-8' version='1.0'?>`, NotWellFormed},
		{"unknown part", `<?xml version='1.0' x='y'?>`, NotWellFormed},
		{"no space", `<?xml version='1.0'encoding='UTF-8'?>`, NotWellFormed},
		{"standalone maybe", `<?xml version='1.0' standalone='maybe'?>`, NotWellFormed},
		{"quotes that differ", `<?xml version='1.0"?>`, NotWellFormed},
		{"no end", `<?xml version='1.0'` + strings.Repeat(" ", maxDeclaration), NotWellFormed},
		{"Latin-1", `<?xml version='1.0' encoding='ISO-8859-1'?>`, UnsupportedEncoding},
		{"UTF-16 declared", `<?xml version="1.0" encoding="UTF-16"?>`, UnsupportedEncoding},
		{"UTF-7 declared", `<?xml version='1.0' encoding="UTF-7"?>`, UnsupportedEncoding},
		{"unbound prefix", `<stream:stream>`, BadNamespacePrefix},
		{"stream that ends at once", `<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>`, InvalidXML},
		{"bad value", `<stream to='&x;'>`, RestrictedXML},
		{"text behind the end", header + trailer + "x", NotWellFormed},
		{"element behind the end", header + trailer + "<a/>", NotWellFormed},
		{"end twice", header + trailer + trailer, NotWellFormed},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := decodeBytes(t, PreAuth, c.in, true)
			if o.condition != c.condition {
				t.Errorf("%q: got %v, want %s", c.in, o, c.condition)
			}
		})
	}
}

// What is wrong on its own must also be wrong deep inside something right.
func TestRefusesDeepInside(t *testing.T) {
	for _, c := range refusals {
		if c.condition == InvalidXML {
			continue // text is at home there
		}
		in := `<m><x xmlns='u'>text<y z='1'/>` + c.in + `</x></m>`
		if o := decodeStream(t, C2S, in); o.condition == "" || len(o.events) > 0 {
			t.Errorf("%s: %q: got %v", c.name, in, o)
		}
	}
}
