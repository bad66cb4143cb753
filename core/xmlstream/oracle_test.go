package xmlstream

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// oracleTree reads a document with encoding/xml, which takes more than we do but must understand the same
// by what we take.
func oracleTree(doc string) (*Node, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	root := &Node{}
	open := []*Node{root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &Node{Name: Name{contentSpace(token.Name.Space), token.Name.Local}}
			for _, a := range token.Attr {
				if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
					continue
				}
				n.Attrs = append(n.Attrs, Attr{Name(a.Name), a.Value})
			}
			top.Add(n)
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 1 { // outside of the root is only white space
				addText(top, string(token))
			}
		case xml.ProcInst:
			if token.Target != "xml" {
				return nil, fmt.Errorf("processing instruction %s", token.Target)
			}
		default:
			return nil, fmt.Errorf("unexpected %T", token)
		}
	}
	if len(root.Nodes) != 1 || len(open) != 1 {
		return nil, fmt.Errorf("%d roots", len(root.Nodes))
	}
	return root.Nodes[0], nil
}

// addText keeps text together as one piece.
func addText(n *Node, text string) {
	switch last := len(n.Nodes) - 1; {
	case text == "":
	case last < 0:
		n.Text += text
	case n.Nodes[last].IsText():
		n.Nodes[last].Text += text
	default:
		n.Add(TextNode(text))
	}
}

// dump writes a tree so that equal infosets are equal text. Attributes have no order; encoding/xml does not
// normalise white space in their values (XML 1.0 §3.3.3), so there all of it is one kind.
func dump(b *strings.Builder, n *Node, sameSpace bool) {
	fmt.Fprintf(b, "<%q %q", n.Name.Space, n.Name.Local)
	var attrs []string
	for _, a := range n.Attrs {
		value := a.Value
		if sameSpace {
			value = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(value)
		}
		attrs = append(attrs, fmt.Sprintf(" %q:%q=%q", a.Name.Space, a.Name.Local, value))
	}
	slices.Sort(attrs)
	fmt.Fprintf(b, "%s>%q", strings.Join(attrs, ""), n.Text)
	for _, c := range n.Nodes {
		if c.IsText() {
			fmt.Fprintf(b, "%q", c.Text)
		} else {
			dump(b, c, sameSpace)
		}
	}
	b.WriteString("</>")
}

func dumped(n *Node, sameSpace bool) string {
	var b strings.Builder
	dump(&b, n, sameSpace)
	return b.String()
}

// ourTrees returns the first-level elements if the document is a complete stream that we take.
func ourTrees(doc string) (trees []*Node, lastInner []Element, ok bool) {
	d := NewDecoder(S2S)
	defer d.Close()
	_, _ = d.Write([]byte(doc))
	for {
		kind, err := d.Next()
		switch {
		case err != nil || kind == NeedMore:
			return nil, nil, false
		case kind == StreamEnd:
			_, err := d.Next()
			return trees, lastInner, err == nil && d.Buffered() == 0
		case kind == StanzaElement:
			var e Element
			d.Element(&e)
			trees = append(trees, e.Node())
			lastInner = append(lastInner, e)
		}
	}
}

// checkAgainstOracle says whether we took the document.
func checkAgainstOracle(t *testing.T, doc string) bool {
	t.Helper()
	ours, elements, ok := ourTrees(doc)
	if !ok {
		return false
	}
	theirs, err := oracleTree(strings.TrimPrefix(doc, "\uFEFF"))
	if err != nil {
		t.Fatalf("we take what encoding/xml refuses: %q: %v", doc, err)
	}
	i := 0
	for n := range theirs.Elements() {
		if i == len(ours) {
			t.Fatalf("%q: we have %d elements, encoding/xml more", doc, i)
		}
		if a, b := dumped(dropLang(ours[i]), true), dumped(dropLang(n), true); a != b {
			t.Fatalf("%q\nwe read:       %s\nencoding/xml: %s", doc, a, b)
		}
		checkCanonical(t, &elements[i], ours[i])
		i++
	}
	if i != len(ours) {
		t.Fatalf("%q: we have %d elements, encoding/xml %d", doc, len(ours), i)
	}
	return true
}

// dropLang takes off an empty xml:lang of a first-level element, which an Element does not tell from none.
func dropLang(n *Node) *Node {
	if n.Lang() == "" {
		n.Attrs = slices.DeleteFunc(n.Attrs, func(a Attr) bool { return a.Name == Name{ns.XML, "lang"} })
	}
	return n
}

// checkCanonical checks that what goes out reads the same to both parsers, and is its own canonical form.
func checkCanonical(t *testing.T, e *Element, tree *Node) {
	t.Helper()
	out := string(AppendElement(nil, e, ""))
	theirs, err := oracleTree(out)
	if err != nil {
		t.Fatalf("encoding/xml refuses what we wrote: %q: %v", out, err)
	}
	// What we write has no literal white space to normalise: the comparison is exact.
	if a, b := dumped(tree, false), dumped(theirs, false); a != b {
		t.Fatalf("we wrote %q\nas:           %s\nencoding/xml: %s", out, a, b)
	}
	if again := string(AppendNode(nil, tree, "")); e.Name.Space == ns.Client && e.Lang == "" && again != out {
		t.Fatalf("the element is written %q\nand the tree %q", out, again)
	}
	f, err := ParseFragment(e.Inner.Bytes())
	if err != nil || f != e.Inner {
		t.Fatalf("canonical bytes %q became %q, %v", e.Inner, f, err)
	}
}

// seeds are the corpora of the table tests and what a client really says.
func seeds() []string {
	list := []string{
		benchMessage,
		`<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='a@b' name='A &amp; B'><group>é</group></item></query></iq>`,
		"<a xmlns:p='u' xmlns:q='v'>\r\n<p:b q:x='1\t2'>&#x1F600;<![CDATA[<]]></p:b> ]] </a>",
		`<presence><x xmlns="vcard-temp:x:update"><photo/></x><c xmlns='http://jabber.org/protocol/caps' ver="a='"/></presence>`,
		`<a xmlns:a='1' a:b='' b=''><b xmlns:a='2' a:b='' b='' xmlns=''/></a>`,
		trailer + " ",
	}
	for _, c := range refusals {
		list = append(list, c.in)
	}
	return list
}

func TestOracle(t *testing.T) {
	taken := 0
	for _, s := range seeds() {
		if checkAgainstOracle(t, header+s+trailer) {
			taken++
		}
	}
	if taken < 5 {
		t.Errorf("only %d documents were taken", taken)
	}
}

func FuzzOracle(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkAgainstOracle(t, header+s+trailer)
		checkAgainstOracle(t, s)
	})
}

func FuzzSplits(f *testing.F) {
	small := Limits{MaxBytes: 200, MaxDepth: 4, MaxAttrs: 4, MaxElements: 8, MaxNamespaces: 3, MaxNameLen: 12, MaxAttrLen: 40}
	for _, s := range seeds() {
		f.Add(s, false)
		f.Add(header+s, true)
	}
	f.Fuzz(func(t *testing.T, s string, raw bool) {
		if !raw {
			s = "<?xml version='1.0'?><s:s xmlns:s='u'>" + s
		}
		if len(s) > 1000 {
			return
		}
		whole, bytes := decodeWhole(small, s), decodeBytes(t, small, s, len(s) < 200)
		if whole.String() != bytes.String() {
			t.Fatalf("%q\nat once: %v\nby byte: %v", s, whole, bytes)
		}
	})
}

func FuzzFragment(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fragment, err := ParseFragment([]byte(s))
		if err != nil {
			return
		}
		checkFragment(t, fragment)
		if out := string(AppendFragment(nil, fragment, "")); fragment.NumChildren() > 0 {
			if _, err := oracleTree("<x>" + out + "</x>"); err != nil {
				t.Fatalf("encoding/xml refuses %q: %v", out, err)
			}
		}
	})
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "<&>'\"\r\n\t", "\x00\xff\ufffe", "]]>", "\xed\xa0\x80", "é€😀\xf0\x9f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > C2S.MaxAttrLen/len("&apos;") {
			return
		}
		want := strings.Map(func(r rune) rune {
			if !isXMLChar(r) {
				return '\uFFFD'
			}
			return r
		}, s)
		e := readElement(t, "<a>"+string(AppendNode(nil, NewNode("u", "b", "x", s).SetText(s), ns.Client))+"</a>")
		n := e.Inner.At(0).Node()
		if n.Text != want || n.Attr("x") != want {
			t.Fatalf("%q became %q and %q", s, n.Text, n.Attr("x"))
		}
	})
}
