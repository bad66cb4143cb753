// Package xmlstream holds the one strict parser of what comes from outside and the only serializer of
// what goes out.
//
// A Decoder takes bytes as they arrive and yields the stream header, each complete first-level element,
// and the end of the stream. While it reads, it writes the canonical form of what it understood, so
// that an Element's inner XML is a Fragment: immutable bytes with an index of the direct children,
// cheap to share between sessions, never bytes of the peer. A tree of Nodes is made only of the child
// that somebody wants to read or change.
//
// Canonical form: UTF-8; attribute values in single quotes; an element without content as <a/>; a
// default namespace declaration where the namespace differs from the parent's and no other, except
// that attributes in a namespace get the prefixes ns1, ns2, … declared on their own element (and xml
// its fixed one); no comments, processing instructions, CDATA sections or references beyond
// &amp; &lt; &gt; &apos; &#9; &#10; &#13;.
//
// The content namespaces jabber:client, jabber:server and jabber:component:accept are one namespace
// inside the server (RFC 6120 §4.8.2 allows no other difference between them): the decoder turns
// each into jabber:client, and a Fragment holds its top-level children of that namespace without a
// declaration, so that the same bytes go out on every kind of stream.
//
// The decoder refuses what RFC 6120 §11.1 forbids (DTD, processing instructions, comments, other
// entities), everything that XML 1.0 and Namespaces in XML 1.0 call not well-formed, and whatever is
// larger than its Limits. Each refusal is a *SyntaxError with the stream error condition to answer.
//
// Nothing here starts a goroutine or does I/O beyond Decoder.Fill. A Decoder and a Node belong to one
// goroutine at a time; Fragments are free for all.
//
//	d := xmlstream.NewDecoder(xmlstream.PreAuth)
//	d.Write(bytes)
//	for {
//		kind, err := d.Next()
//		if err != nil || kind == xmlstream.NeedMore { break }
//		if kind == xmlstream.StanzaElement {
//			var e xmlstream.Element
//			d.Element(&e)
//			if body, ok := e.Inner.Child(ns.Client, "body"); ok { use(body.Text()) }
//		}
//	}
//
// Specifications: XML 1.0 (fifth edition), Namespaces in XML 1.0 (third edition), RFC 6120 §4 and §11,
// RFC 7395 §3.3.
package xmlstream
