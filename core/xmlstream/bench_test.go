package xmlstream

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
)

const benchHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>`

// benchMessage has 311 bytes: five elements, attributes, a reference, and text beyond ASCII.
const benchMessage = `<message to='juliet@capulet.example/balcony' from='romeo@montague.example/orchard' type='chat' id='a1b2'>` +
	`<body>Wherefore art thou, Roméo &amp; co — tonight?</body><active xmlns='http://jabber.org/protocol/chatstates'/>` +
	`<request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='9f2'/></message>`

func benchDecoder(tb testing.TB) *Decoder {
	d := NewDecoder(C2S)
	_, _ = d.Write([]byte(benchHeader))
	if kind, err := d.Next(); kind != StreamStart || err != nil {
		tb.Fatal(kind, err)
	}
	return d
}

func BenchmarkTokenize(b *testing.B) {
	d := benchDecoder(b)
	in := []byte(benchMessage)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Write(in)
		if kind, err := d.Next(); kind != StanzaElement || err != nil {
			b.Fatal(kind, err)
		}
	}
}

func BenchmarkTokenizeElement(b *testing.B) {
	d := benchDecoder(b)
	in := []byte(benchMessage)
	var e Element
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Write(in)
		if kind, err := d.Next(); kind != StanzaElement || err != nil {
			b.Fatal(kind, err)
		}
		d.Element(&e)
	}
}

func benchElement(tb testing.TB) Element {
	d := benchDecoder(tb)
	_, _ = d.Write([]byte(benchMessage))
	if kind, err := d.Next(); kind != StanzaElement || err != nil {
		tb.Fatal(kind, err)
	}
	var e Element
	d.Element(&e)
	return e
}

func BenchmarkSerialize(b *testing.B) {
	e := benchElement(b)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendElement(out[:0], &e, ns.Client)
	}
	b.SetBytes(int64(len(out)))
}

func BenchmarkSerializeNode(b *testing.B) {
	e := benchElement(b)
	n := e.Node()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendNode(out[:0], n, ns.Client)
	}
	b.SetBytes(int64(len(out)))
}

func BenchmarkParseToNode(b *testing.B) {
	d := benchDecoder(b)
	in := []byte(benchMessage)
	var e Element
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Write(in)
		if kind, err := d.Next(); kind != StanzaElement || err != nil {
			b.Fatal(kind, err)
		}
		d.Element(&e)
		e.Node()
	}
}

func BenchmarkParseFragment(b *testing.B) {
	e := benchElement(b)
	in := e.Inner.Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseFragment(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFragmentWith(b *testing.B) {
	e := benchElement(b)
	n := NewNode(ns.StanzaID, "stanza-id", "by", "juliet@capulet.example", "id", "28482-98726-73623")
	b.ReportAllocs()
	for b.Loop() {
		e.Inner.With(n)
	}
}

func BenchmarkChildText(b *testing.B) {
	e := benchElement(b)
	b.ReportAllocs()
	for b.Loop() {
		if c, ok := e.Inner.Child(ns.Client, "body"); !ok || c.Text() == "" {
			b.Fatal("no body")
		}
	}
}
