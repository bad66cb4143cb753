package xmlstream

import (
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

func sampleFragment(t testing.TB) Fragment {
	return readElement(t, `<message> <body xml:lang='en' x='&lt;'>a &amp; b</body>text<p:y xmlns:p='urn:v' p:z='1' n='2'>`+
		`t0<p:w/>t1</p:y><empty/><body>second</body>tail</message>`).Inner
}

func checkFragment(t *testing.T, f Fragment) {
	t.Helper()
	parsed, err := ParseFragment(f.Bytes())
	if err != nil || parsed != f {
		t.Errorf("read again: %v\n%q\n%q", err, parsed, f)
	}
	if built := NewFragment(f.Nodes()...); built != f {
		t.Errorf("built again:\n%q\n%q", built, f)
	}
	for i := range f.NumChildren() {
		c := f.At(i)
		if one := NewFragment(c.Node()); one.String() != string(c.Raw()) || one.At(0).Name() != c.Name() {
			t.Errorf("child %d: %q and %q", i, one, c.Raw())
		}
	}
}

func TestFragment(t *testing.T) {
	f := sampleFragment(t)
	want := ` <body xml:lang='en' x='&lt;'>a &amp; b</body>text<y xmlns='urn:v' xmlns:ns1='urn:v' ns1:z='1' n='2'>` +
		`t0<w/>t1</y><empty/><body>second</body>tail`
	if f.String() != want || string(f.Bytes()) != want || f.Len() != len(want) || f.NumChildren() != 4 || f.IsEmpty() {
		t.Fatalf("got %q", f)
	}
	checkFragment(t, f)

	body, ok := f.Child(ns.Client, "body")
	if !ok || body.Text() != "a & b" || body.Attr("x") != "<" || body.Lang() != "en" || string(body.Raw()) != `<body xml:lang='en' x='&lt;'>a &amp; b</body>` {
		t.Errorf("got %+v", body)
	}
	y, ok := f.Child("urn:v", "y")
	if !ok || y.Text() != "t0t1" || y.Attr("n") != "2" || y.Attr("z") != "" || y.Lang() != "" {
		t.Errorf("got %+v", y)
	}
	if v, ok := y.AttrOK("xmlns"); ok {
		t.Errorf("a declaration is an attribute: %q", v)
	}
	n := y.Node()
	if n.Name != (Name{"urn:v", "y"}) || n.Child("urn:v", "w") == nil || len(n.Attrs) != 2 || n.Attrs[0] != (Attr{Name{"urn:v", "z"}, "1"}) {
		t.Errorf("got %v", n)
	}
	if e, ok := f.Child(ns.Client, "empty"); !ok || e.Text() != "" || e.Node().String() != "<empty xmlns='jabber:client'/>" {
		t.Errorf("got %+v", e)
	}
	var names []string
	for c := range f.All() {
		names = append(names, c.Name().Space+" "+c.Name().Local)
	}
	if !slices.Equal(names, []string{"jabber:client body", "urn:v y", "jabber:client empty", "jabber:client body"}) {
		t.Errorf("got %v", names)
	}
	for range f.All() {
		break
	}
	if f.Has(ns.Client, "y") || f.Has("", "body") || !f.Has(ns.Client, "empty") {
		t.Error("a child was found by another name")
	}
	if c, ok := f.Child("", "none"); ok || c.Node() != nil || c.Text() != "" || len(c.Raw()) != 0 {
		t.Errorf("got %+v", c)
	}
}

func TestFragmentChanges(t *testing.T) {
	f := sampleFragment(t)
	before := f.String()
	for _, c := range []struct {
		name string
		got  Fragment
		want string
	}{
		{"nothing added", f.With(), before},
		{"nothing dropped", f.Without(func(Child) bool { return false }), before},
		{"one added", f.With(NewNode("u", "n").SetText("x")), before + "<n xmlns='u'>x</n>"},
		{"several added", f.With(nil, NewNode(ns.Server, "n"), TextNode("t")), before + "<n/>t"},
		{"first dropped", f.Without(func(c Child) bool { return c.Attr("x") != "" }), strings.Replace(before, `<body xml:lang='en' x='&lt;'>a &amp; b</body>`, "", 1)},
		{"bodies dropped", f.Without(func(c Child) bool { return c.Is(ns.Client, "body") }), ` text<y xmlns='urn:v' xmlns:ns1='urn:v' ns1:z='1' n='2'>t0<w/>t1</y><empty/>tail`},
		{"all dropped", f.Without(func(Child) bool { return true }), " texttail"},
		{"joined", f.WithFragment(NewFragment(NewNode("u", "n"))), before + "<n xmlns='u'/>"},
		{"twice", f.WithFragment(f), before + before},
		{"joined with nothing", f.WithFragment(Fragment{}), before},
		{"nothing joined with it", Fragment{}.WithFragment(f), before},
		{"of nothing", NewFragment(), ""},
		{"of text", NewFragment(TextNode("a<b")), "a&lt;b"},
		{"of an empty name", NewFragment(NewNode("u", "")), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.String() != c.want {
				t.Errorf("got  %q\nwant %q", c.got, c.want)
			}
			checkFragment(t, c.got)
			if f.String() != before {
				t.Errorf("the original changed to %q", f)
			}
		})
	}
}

func TestAppendFragment(t *testing.T) {
	f := sampleFragment(t)
	if got := string(AppendFragment([]byte("x"), f, ns.Server)); got != "x"+f.String() {
		t.Errorf("got %q", got)
	}
	want := ` <body xmlns='jabber:client' xml:lang='en' x='&lt;'>a &amp; b</body>text<y xmlns='urn:v' xmlns:ns1='urn:v' ns1:z='1' n='2'>` +
		`t0<w/>t1</y><empty xmlns='jabber:client'/><body xmlns='jabber:client'>second</body>tail`
	got := string(AppendFragment(nil, f, "u"))
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if e := readElement(t, "<x xmlns='u'>"+got+"</x>"); e.Inner != f {
		t.Errorf("read back as %q", e.Inner)
	}
}

func TestParseFragment(t *testing.T) {
	if f, err := ParseFragment(nil); err != nil || !f.IsEmpty() {
		t.Errorf("nothing is %q, %v", f, err)
	}
	f, err := ParseFragment([]byte(`<a x="1"></a>t<b xmlns='jabber:server'/>`)) // strict, and canonical afterwards
	if err != nil || f.String() != `<a x='1'/>t<b/>` || f.NumChildren() != 2 {
		t.Errorf("got %q, %v", f, err)
	}
	for in, want := range map[string]string{"x]": "x]", "]]": "]]", "<a/>\r": "<a/>\n"} {
		if f, err := ParseFragment([]byte(in)); err != nil || f.String() != want {
			t.Errorf("%q became %q, %v", in, f, err)
		}
	}
	for _, in := range []string{"<a>", "</a>", "<a/></a>", "<a", "<a></a", "&am", "]]>", "\xe2\x82", "<![CDATA[x", "<a><![CDATA[x]]", "<p:a/>", "\x00", "</>", "</\x00>", "</\x00><a/>", "<\x00/>"} {
		if f, err := ParseFragment([]byte(in)); err == nil {
			t.Errorf("%q became %q", in, f)
		}
	}
}

func TestLargeFragment(t *testing.T) {
	var nodes []*Node
	for range 5000 {
		nodes = append(nodes, NewNode("urn:example:long:namespace", "item", "name", "value"))
	}
	f := NewFragment(nodes...)
	checkFragment(t, f)
	half := f.Without(func(c Child) bool { nodes = nodes[1:]; return len(nodes)%2 == 0 })
	if half.NumChildren() != 2500 {
		t.Errorf("%d children", half.NumChildren())
	}
	checkFragment(t, half)
}
