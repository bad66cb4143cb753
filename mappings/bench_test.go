package mappings_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	rt "github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// formatted is a message as people write it: a mention, emphasis, a link, a quotation and some code.
const formatted = "<body>Ann: *yes*, _that_ one, see https://example.org/a?b=c\n&gt; shall we?\n```\ngo test ./...\n```\n`ok`</body>" +
	"<origin-id xmlns='urn:xmpp:sid:0' id='o1'/><request xmlns='urn:xmpp:receipts'/>"

// BenchmarkReadMessage maps a formatted message of an XMPP client to the neutral form.
func BenchmarkReadMessage(b *testing.B) {
	f := frag(b, formatted)
	nick := func(n string) (rt.Mention, bool) { return rt.Mention{ID: "@ann:hs"}, n == "Ann" }
	b.ReportAllocs()
	for b.Loop() {
		if in := mappings.ReadMessage(f, mappings.ReadOptions{Nick: nick}); in.Act != mappings.ActSay {
			b.Fatal(in.Act)
		}
	}
}

// BenchmarkWriteMessage maps the same message back, to the bytes of its payload.
func BenchmarkWriteMessage(b *testing.B) {
	nick := func(n string) (rt.Mention, bool) { return rt.Mention{ID: "@ann:hs"}, n == "Ann" }
	c := mappings.ReadMessage(frag(b, formatted), mappings.ReadOptions{Nick: nick}).Content
	c.ReplyTo = &sdk.Reply{Author: "Bob", Excerpt: "which?"}
	address := func(rt.Mention) string { return "room@rooms.d/Ann" }
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for _, n := range mappings.WriteMessage(c, mappings.WriteOptions{ReplyID: "s1", ReplyTo: "room@rooms.d/Bob", Mention: address}) {
			dst = xmlstream.AppendNode(dst, n, "jabber:client")
		}
	}
	if len(dst) < len(formatted) {
		b.Fatalf("%s", dst)
	}
}
