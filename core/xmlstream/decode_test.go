package xmlstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

const (
	header  = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>`
	trailer = `</stream:stream>`
)

// outcome is everything that can be observed of a decoder.
type outcome struct {
	events    []string
	condition string
	reason    string
}

func (o outcome) String() string {
	return strings.Join(o.events, "\n") + "\n! " + o.condition + " " + o.reason
}

// drain calls Next until nothing more comes.
func (o *outcome) drain(d *Decoder) {
	for o.condition == "" {
		kind, err := d.Next()
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				panic(err)
			}
			o.condition, o.reason = syntax.Condition, syntax.Reason
			return
		}
		switch kind {
		case NeedMore:
			return
		case StreamStart:
			o.events = append(o.events, fmt.Sprintf("start %+v", *d.Start()))
		case StreamEnd:
			o.events = append(o.events, "end")
		case StanzaElement:
			var e Element
			d.Element(&e)
			o.events = append(o.events, string(AppendElement(nil, &e, "")))
		}
	}
}

func decodeWhole(lim Limits, in string) outcome {
	d := NewDecoder(lim)
	defer d.Close()
	var o outcome
	_, _ = d.Write([]byte(in))
	o.drain(d)
	return o
}

// decodeBytes writes byte by byte, gives the buffers back whenever it may, and compares what has come
// so far with what the same prefix yields at once.
func decodeBytes(t testing.TB, lim Limits, in string, everyPrefix bool) outcome {
	t.Helper()
	d := NewDecoder(lim)
	defer d.Close()
	var o outcome
	for i := range len(in) {
		_, _ = d.Write([]byte{in[i]})
		o.drain(d)
		if d.Idle() {
			d.Release()
		}
		if everyPrefix {
			if whole := decodeWhole(lim, in[:i+1]); whole.String() != o.String() {
				t.Fatalf("prefix %q\nat once: %v\nby byte: %v", in[:i+1], whole, o)
			}
		}
	}
	return o
}

// decodeStream reads in as the content of a client's stream.
func decodeStream(t testing.TB, lim Limits, in string) outcome {
	t.Helper()
	whole := decodeWhole(lim, header+in)
	pieces := decodeBytes(t, lim, header+in, false)
	if whole.String() != pieces.String() {
		t.Fatalf("%q\nat once: %v\nby byte: %v", in, whole, pieces)
	}
	if len(whole.events) == 0 {
		t.Fatalf("the header was not read: %v", whole)
	}
	whole.events = whole.events[1:]
	return whole
}

// readElement decodes one first-level element.
func readElement(t testing.TB, in string) Element {
	t.Helper()
	d := NewDecoder(C2S)
	defer d.Close()
	_, _ = d.Write([]byte(header + in))
	if kind, err := d.Next(); kind != StreamStart || err != nil {
		t.Fatal(kind, err)
	}
	if kind, err := d.Next(); kind != StanzaElement || err != nil {
		t.Fatalf("%q: %v, %v", in, kind, err)
	}
	var e Element
	d.Element(&e)
	return e
}

func TestCanonicalForm(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", `<a/>`, `<a xmlns='jabber:client'/>`},
		{"empty in two tags", `<a></a>`, `<a xmlns='jabber:client'/>`},
		{"empty CDATA", `<a><b><![CDATA[]]></b></a>`, `<a xmlns='jabber:client'><b/></a>`},
		{"space in tags", "<a\tx = \n'1' ><b\r\n/ ></a >", ``},
		{"space in tags that may be there", "<a\tx = \n'1' ><b\r\n/></a \t>", `<a xmlns='jabber:client' x='1'><b/></a>`},
		{"quotes", `<a><b x="'" y='"' z="&quot;&apos;"/></a>`, `<a xmlns='jabber:client'><b x='&apos;' y='"' z='"&apos;'/></a>`},
		{"references", `<a><b>&lt;&gt;&amp;&apos;&quot;&#65;&#x41;&#x10FFFF;&#0065;</b></a>`, "<a xmlns='jabber:client'><b>&lt;&gt;&amp;'\"AA\U0010FFFFA</b></a>"},
		{"greater than", `<a><b x='>'>></b></a>`, `<a xmlns='jabber:client'><b x='>'>&gt;</b></a>`},
		{"brackets", `<a><b>]]</b><b>]] ></b><b>]&#93;></b></a>`, `<a xmlns='jabber:client'><b>]]</b><b>]] &gt;</b><b>]]&gt;</b></a>`},
		{"CDATA", "<a><b>x<![CDATA[<&>]] ]]]>y</b></a>", `<a xmlns='jabber:client'><b>x&lt;&amp;&gt;]] ]y</b></a>`},
		{"two CDATA make an end", "<a><b><![CDATA[]]]]><![CDATA[>]]></b></a>", `<a xmlns='jabber:client'><b>]]&gt;</b></a>`},
		{"line ends", "<a><b>1\r\n2\r3\n4&#13;&#10;\r\r\n</b></a>", "<a xmlns='jabber:client'><b>1\n2\n3\n4&#13;\n\n\n</b></a>"},
		{"line ends in CDATA", "<a><b><![CDATA[1\r\n2\r3]]></b></a>", "<a xmlns='jabber:client'><b>1\n2\n3</b></a>"},
		{"white space in values", "<a><b x='1\r\n2\r3\n4\t5&#13;&#10;&#9;'/></a>", "<a xmlns='jabber:client'><b x='1 2 3 4 5&#13;&#10;&#9;'/></a>"},
		{"beyond ASCII", "<a><b x='é€😀'>é€😀</b></a>", "<a xmlns='jabber:client'><b x='é€😀'>é€😀</b></a>"},
		{"names beyond ASCII", "<a><été λ='1'/><b·c/></a>", "<a xmlns='jabber:client'><été λ='1'/><b·c/></a>"},
		{"delete and C1 controls are characters", "<a><b>\x7f\u0085\u2028</b></a>", "<a xmlns='jabber:client'><b>\x7f\u0085\u2028</b></a>"},
		{"edges of the character ranges", "<a><b>\uD7FF\uE000\uFFFD\U00010000\U0001FFFF</b></a>", "<a xmlns='jabber:client'><b>\uD7FF\uE000\uFFFD\U00010000\U0001FFFF</b></a>"},
		{"text between children", "<a> <b/>x<c/>\n</a>", "<a xmlns='jabber:client'> <b/>x<c/>\n</a>"},

		{"namespaces", `<a><b xmlns='u'><c/><d xmlns='v'/><e xmlns=''/></b></a>`, `<a xmlns='jabber:client'><b xmlns='u'><c/><d xmlns='v'/><e xmlns=''/></b></a>`},
		{"repeated declarations", `<a><b xmlns='u'><c xmlns='u'><d xmlns='u'/></c></b></a>`, `<a xmlns='jabber:client'><b xmlns='u'><c><d/></c></b></a>`},
		{"prefixes", `<a xmlns:p='u'><p:b><p:c/><d/></p:b></a>`, `<a xmlns='jabber:client'><b xmlns='u'><c/><d xmlns='jabber:client'/></b></a>`},
		{"prefix bound anew", `<a xmlns:p='u'><p:b xmlns:p='v'><p:c/></p:b><p:d/></a>`, `<a xmlns='jabber:client'><b xmlns='v'><c/></b><d xmlns='u'/></a>`},
		{"prefix of the stream", `<a><stream:b/></a>`, `<a xmlns='jabber:client'><b xmlns='http://etherx.jabber.org/streams'/></a>`},
		{"prefix for content", `<p:a xmlns:p='jabber:client'><p:b/></p:a>`, `<a xmlns='jabber:client'><b/></a>`},
		{"attributes in namespaces", `<a xmlns:p='u' xmlns:q='v'><b p:x='1' x='2' q:x='3' p:y='4'/></a>`, `<a xmlns='jabber:client'><b xmlns:ns1='u' ns1:x='1' x='2' xmlns:ns2='v' ns2:x='3' ns1:y='4'/></a>`},
		{"xml attributes", `<a><b xml:lang='de' xml:space='preserve'/></a>`, `<a xmlns='jabber:client'><b xml:lang='de' xml:space='preserve'/></a>`},
		{"xml declared as it is", `<a xmlns:xml='http://www.w3.org/XML/1998/namespace'><b xml:lang='de'/></a>`, `<a xmlns='jabber:client'><b xml:lang='de'/></a>`},
		{"unused declarations", `<a xmlns:p='u'><b xmlns:q='v'/></a>`, `<a xmlns='jabber:client'><b/></a>`},
		{"namespace name with references", `<a><b xmlns='u?a&#x3d;b'><c/></b></a>`, `<a xmlns='jabber:client'><b xmlns='u?a=b'><c/></b></a>`},
		{"namespace name beyond ASCII", `<a><b xmlns='urn:é'/></a>`, `<a xmlns='jabber:client'><b xmlns='urn:é'/></a>`},
		{"content of another kind of stream", `<a><b xmlns='jabber:server'/><c xmlns='u'><d xmlns='jabber:component:accept'/></c></a>`, `<a xmlns='jabber:client'><b/><c xmlns='u'><d xmlns='jabber:client'/></c></a>`},
		{"attributes in content namespaces", `<a xmlns:p='jabber:server' xmlns:q='jabber:client' p:x='1' q:x='2'><b p:x='3' q:x='4'/></a>`, `<a xmlns='jabber:client' xmlns:ns1='jabber:server' ns1:x='1' xmlns:ns2='jabber:client' ns2:x='2'><b xmlns:ns1='jabber:server' ns1:x='3' xmlns:ns2='jabber:client' ns2:x='4'/></a>`},
		{"no content namespace", `<a xmlns='u'><b/><c xmlns='jabber:client'/><d xmlns=''/></a>`, `<a xmlns='u'><b xmlns='u'/><c xmlns='jabber:client'/><d xmlns=''/></a>`},
		{"no namespace at all", `<a xmlns=''><b/></a>`, `<a xmlns=''><b xmlns=''/></a>`},
		{"attributes of the element", `<a id='1&amp;2' xml:lang="de" xmlns:p='u' p:x='3'/>`, `<a xmlns='jabber:client' xml:lang='de' id='1&amp;2' xmlns:ns1='u' ns1:x='3'/>`},
		{"stream namespace", `<stream:features><x xmlns='u'/></stream:features>`, `<stream:features xmlns:stream='http://etherx.jabber.org/streams'><x xmlns='u'/></stream:features>`},
		{"content in the stream namespace", `<stream:x><y/></stream:x>`, `<stream:x xmlns:stream='http://etherx.jabber.org/streams'><y xmlns='jabber:client'/></stream:x>`},
		{"a name like a declaration", `<xmlnsx xmlnsy='1' xmlns:p='u' p:xmlns='2'><xml/></xmlnsx>`, `<xmlnsx xmlns='jabber:client' xmlnsy='1' xmlns:ns1='u' ns1:xmlns='2'><xml/></xmlnsx>`},
		{"an element named xmlns", `<xmlns/>`, ``},
		{"an element named xmlns with a prefix", `<p:xmlns xmlns:p='u'/>`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := decodeStream(t, C2S, c.in)
			if c.want == "" {
				if o.condition != NotWellFormed {
					t.Errorf("got %v", o)
				}
				return
			}
			want := c.want
			if strings.HasPrefix(want, "<a xmlns=''>") {
				want = strings.Replace(want, " xmlns=''", "", 1) // stands alone, where that is the default
			}
			if len(o.events) != 1 || o.events[0] != want || o.condition != "" {
				t.Errorf("got  %v\nwant %s", o, want)
			}
			decodeBytes(t, C2S, header+c.in, true)
		})
	}
}

func TestStreamHeader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Header
	}{
		{"client", `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='a@b' to='b' version='1.0' xml:lang='en'>`,
			Header{Name: Name{ns.Stream, "stream"}, ContentNS: ns.Client, From: "a@b", To: "b", Version: "1.0", Lang: "en"}},
		{"declaration in full", "<?xml  version=\"1.0\"\tencoding='utf-8'\nstandalone=\"yes\" ?>\n <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' id=\"1&#50;\" x='y'>",
			Header{Name: Name{ns.Stream, "stream"}, ContentNS: ns.Server, ID: "12", Attrs: []Attr{{Name{"", "x"}, "y"}}}},
		{"byte order mark", "\uFEFF<?xml version='1.0'?><s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>",
			Header{Name: Name{ns.Stream, "stream"}, ContentNS: ns.Client}},
		{"space first", " \r\n<stream xmlns='http://etherx.jabber.org/streams'>",
			Header{Name: Name{ns.Stream, "stream"}, ContentNS: ns.Stream}},
		{"no namespace", `<stream>`, Header{Name: Name{"", "stream"}}},
		{"something else", `<a:b xmlns:a='u'>`, Header{Name: Name{"u", "b"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := decodeBytes(t, PreAuth, c.in, true)
			want := fmt.Sprintf("start %+v", c.want)
			if len(o.events) != 1 || o.events[0] != want || o.condition != "" {
				t.Errorf("got  %v\nwant %s", o, want)
			}
		})
	}
}

func TestContentOfTheStream(t *testing.T) {
	const server = `<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>`
	const bare = `<stream xmlns='http://etherx.jabber.org/streams'>`
	for _, c := range []struct{ name, in, want, condition string }{
		{"server", server + `<iq><ping xmlns='urn:xmpp:ping'/><x/></iq>`, `<iq xmlns='jabber:client'><ping xmlns='urn:xmpp:ping'/><x/></iq>`, ""},
		{"client's on a server stream", server + `<iq xmlns='jabber:client'/>`, "", InvalidNamespace},
		{"component's on a client stream", header + `<iq xmlns='jabber:component:accept'/>`, "", InvalidNamespace},
		{"declared by each", bare + `<iq xmlns='jabber:server'/>`, `<iq xmlns='jabber:client'/>`, ""},
		{"declared by each, two kinds", bare + `<iq xmlns='jabber:server'/><iq xmlns='jabber:client'/>`, `<iq xmlns='jabber:client'/>`, InvalidNamespace},
		{"dialback", `<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'><db:result to='a' from='b'>k</db:result>`, `<result xmlns='jabber:server:dialback' to='a' from='b'>k</result>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := decodeBytes(t, PreAuth, c.in, true)
			got := ""
			if len(o.events) > 1 {
				got = o.events[1]
			}
			if got != c.want || o.condition != c.condition {
				t.Errorf("got %v", o)
			}
		})
	}
}

func TestSequence(t *testing.T) {
	o := decodeBytes(t, PreAuth, header+" <a/>\n\t<b>x</b><c/>\r\n"+trailer+" \n", true)
	want := []string{`<a xmlns='jabber:client'/>`, `<b xmlns='jabber:client'>x</b>`, `<c xmlns='jabber:client'/>`, "end"}
	if strings.Join(o.events[1:], "\n") != strings.Join(want, "\n") || o.condition != "" {
		t.Errorf("got %v", o)
	}
}
