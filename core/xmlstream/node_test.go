package xmlstream

import (
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

func TestNode(t *testing.T) {
	n := NewNode(ns.DiscoInfo, "query", "node", "x", "y", "z", "without a value")
	if n.Attr("node") != "x" || n.Attr("y") != "z" || len(n.Attrs) != 2 || n.Attr("none") != "" {
		t.Errorf("got %v", n)
	}
	n.SetAttr("node", "1").SetAttr("new", "").SetLang("de")
	if v, ok := n.AttrOK("new"); v != "" || !ok || n.Attr("node") != "1" || n.Lang() != "de" {
		t.Errorf("got %v", n)
	}
	n.DelAttr("y")
	n.Add(NewNode("u", "a", "n", "1"), TextNode("t1"), NewNode("u", "a", "n", "2"), TextNode("t2")).Text = "t0"
	n.AddNew("b").SetText("B")
	if got, want := n.String(), `<query xmlns='`+ns.DiscoInfo+`' node='1' new='' xml:lang='de'>t0<a xmlns='u' n='1'/>t1<a xmlns='u' n='2'/>t2<b>B</b></query>`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n.TextContent() != "t0t1t2" || n.Child("u", "a").Attr("n") != "1" || n.Child("v", "a") != nil || n.Child("", "") != nil {
		t.Errorf("got %q", n.TextContent())
	}
	var found []string
	for c := range n.Children("u", "a") {
		found = append(found, c.Attr("n"))
	}
	for c := range n.Elements() {
		found = append(found, c.Name.Local)
	}
	if !slices.Equal(found, []string{"1", "2", "a", "a", "b"}) {
		t.Errorf("got %v", found)
	}
	for range n.Children("u", "a") {
		break
	}
	for range n.Elements() {
		break
	}

	c := n.Clone()
	c.Nodes[0].SetAttr("n", "changed")
	c.SetText("new").SetAttr("node", "changed")
	if n.Nodes[0].Attr("n") != "1" || n.TextContent() != "t0t1t2" || n.Attr("node") != "1" {
		t.Errorf("the original changed: %v", n)
	}
	if got, want := c.TextContent(), "new"; got != want || len(c.Nodes) != 3 {
		t.Errorf("got %v", c)
	}
	if (*Node)(nil).Clone() != nil {
		t.Error("a clone of nothing is something")
	}
}

func TestSerializer(t *testing.T) {
	for _, c := range []struct {
		name string
		node *Node
		want string
	}{
		{"nothing", nil, ""},
		{"text", TextNode("<&>]]>\r\n\t\"'"), "&lt;&amp;&gt;]]&gt;&#13;\n\t\"'"},
		{"value", NewNode("", "a", "x", "<&>\r\n\t\"'"), `<a x='&lt;&amp;>&#13;&#10;&#9;"&apos;'/>`},
		{"not XML characters", NewNode("", "a", "x", "\x00\ufffe\xff\xed\xa0\x80").SetText("\x1b\uffff\xc0\xaf\U0010FFFF"), "<a x='\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD'>\uFFFD\uFFFD\uFFFD\uFFFD\U0010FFFF</a>"},
		{"cut at the end", TextNode("x\xe2\x82"), "x\uFFFD\uFFFD"},
		{"empty text", NewNode("", "a").Add(TextNode("")), "<a/>"},
		{"not names", NewNode("", "a b").Add(NewNode("", "1", "x'y", "1", "", "2"), NewNode("", "p:q"), NewNode("", "a>\xff")), "<a_b><_1 x_y='1' _='2'/><p_q/><a__/></a_b>"},
		{"an element named xmlns", NewNode("u", "xmlns").SetText("x"), "<_xmlns xmlns='u'>x</_xmlns>"},
		{"not the name of a namespace", &Node{Name: Name{"u v&'<}\xff", "a"}, Attrs: []Attr{{Name{"{", "x"}, "1"}, {Name{"%7B", "x"}, "2"}}}, "<a xmlns='u%20v%26%27%3C%7D%FF' xmlns:ns1='%7B' ns1:x='1'/>"},
		{"names that become one", NewNode("", "a", "b c", "1", "b_c", "2", "b_c", "3"), "<a b_c='1'/>"},
		{"declarations are not attributes", &Node{Name: Name{"u", "a"}, Attrs: []Attr{{Name{"", "xmlns"}, "v"}, {Name{ns.XMLNS, "p"}, "w"}}}, "<a xmlns='u'/>"},
		{"attribute twice", &Node{Name: Name{"", "a"}, Attrs: []Attr{{Name{"", "x"}, "1"}, {Name{"u", "x"}, "2"}, {Name{"", "x"}, "3"}}}, "<a x='1' xmlns:ns1='u' ns1:x='2'/>"},
		{"attributes in namespaces", &Node{Name: Name{"", "a"}, Attrs: []Attr{{Name{"u", "x"}, "1"}, {Name{"v", "x"}, "2"}, {Name{"u", "y"}, "3"}, {Name{ns.XML, "base"}, "4"}}}, "<a xmlns:ns1='u' ns1:x='1' xmlns:ns2='v' ns2:x='2' ns1:y='3' xml:base='4'/>"},
		{"content is one namespace", NewNode(ns.Server, "a").Add(NewNode(ns.ComponentAccept, "b"), NewNode(ns.Client, "c")), "<a xmlns='jabber:client'><b/><c/></a>"},
		{"no element is in the namespace of xml", NewNode(ns.XML, "a"), "<a/>"},
		{"namespace and back", NewNode("u", "a").Add(NewNode("", "b").Add(NewNode("u", "c"))), "<a xmlns='u'><b xmlns=''><c xmlns='u'/></b></a>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(AppendNode(nil, c.node, "")); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	if got, want := string(AppendEnd(AppendStart(nil, Name{"u", "a"}, []Attr{{Name{"", "x"}, "1"}}, "v"), Name{"u", "a"})), "<a xmlns='u' x='1'></a>"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestAppendElement(t *testing.T) {
	inner := NewFragment(NewNode(ns.Client, "body").SetText("x"), NewNode("u", "y"), NewNode(ns.Stream, "z"))
	for _, c := range []struct {
		name     string
		e        Element
		parentNS string
		want     string
	}{
		{"stanza on a stream", Element{Name: Name{ns.Client, "message"}, Attrs: []Attr{{Name{"", "to"}, "a"}}, Lang: "en", Inner: inner}, ns.Client,
			"<message xml:lang='en' to='a'><body>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></message>"},
		{"stanza by another name of content", Element{Name: Name{ns.Server, "message"}, Inner: inner}, ns.ComponentAccept,
			"<message><body>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></message>"},
		{"stanza in a frame", Element{Name: Name{ns.Client, "message"}, Inner: inner}, "",
			"<message xmlns='jabber:client'><body>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></message>"},
		{"no stanza", Element{Name: Name{"v", "n"}, Inner: inner}, ns.Client,
			"<n xmlns='v'><body xmlns='jabber:client'>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></n>"},
		{"features", Element{Name: Name{ns.Stream, "features"}, Inner: inner}, ns.Client,
			"<stream:features><body>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></stream:features>"},
		{"features in a frame", Element{Name: Name{ns.Stream, "features"}, Inner: inner}, "",
			"<stream:features xmlns:stream='http://etherx.jabber.org/streams'><body xmlns='jabber:client'>x</body><y xmlns='u'/><z xmlns='http://etherx.jabber.org/streams'/></stream:features>"},
		{"empty", Element{Name: Name{ns.SM, "r"}}, ns.Client, "<r xmlns='urn:xmpp:sm:3'/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(AppendElement(nil, &c.e, c.parentNS))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if c.parentNS != "" {
				again := readElement(t, got)
				if again.Inner != c.e.Inner || again.Name.Local != c.e.Name.Local {
					t.Errorf("read back %v", again.Node())
				}
			}
		})
	}
}

func TestElementAndNode(t *testing.T) {
	in := readElement(t, `<message to='a' xml:lang='de' xmlns:p='u' p:x='1'>text<body>b</body>more<c xmlns='v'/></message>`)
	n := in.Node()
	out := NewElement(n)
	if a, b := string(AppendElement(nil, &in, "")), string(AppendElement(nil, &out, "")); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if in.Inner != out.Inner || in.Lang != out.Lang {
		t.Errorf("got %+v", out)
	}
	out.SetAttr("from", "f")
	out.SetAttr("to", "changed")
	out.DelAttr("none")
	if v, ok := out.AttrOK("from"); v != "f" || !ok || out.Attr("to") != "changed" || in.Attr("to") != "a" {
		t.Errorf("got %+v and %+v", in, out)
	}
	if out.DelAttr("from"); out.Attr("from") != "" || !out.Is(ns.Client, "message") || out.Is("", "message") {
		t.Errorf("got %+v", out)
	}
}

func TestAppendHeader(t *testing.T) {
	for _, h := range []Header{
		{ContentNS: ns.Client, From: "example.com", To: "a'b@c", ID: "<1>", Version: "1.0", Lang: "en"},
		{ContentNS: ns.Server, Attrs: []Attr{{Name{"", "x"}, "y"}}},
		{ContentNS: ns.ComponentAccept, ID: "3"},
	} {
		d := NewDecoder(PreAuth)
		_, _ = d.Write(AppendTrailer(AppendHeader(nil, &h)))
		if kind, err := d.Next(); kind != StreamStart || err != nil {
			t.Fatal(kind, err)
		}
		got := *d.Start()
		if h.Name = (Name{ns.Stream, "stream"}); got.ContentNS != h.ContentNS || got.From != h.From || got.To != h.To ||
			got.ID != h.ID || got.Version != h.Version || got.Lang != h.Lang || !slices.Equal(got.Attrs, h.Attrs) || got.Name != h.Name {
			t.Errorf("got %+v, want %+v", got, h)
		}
		if kind, err := d.Next(); kind != StreamEnd || err != nil {
			t.Error(kind, err)
		}
	}
}
