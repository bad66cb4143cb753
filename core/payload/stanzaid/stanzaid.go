package stanzaid

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Node returns <stanza-id by='…' id='…'/> (XEP-0359 §3.1).
func Node(by jid.JID, id string) *xmlstream.Node {
	return xmlstream.NewNode(ns.StanzaID, "stanza-id", "by", by.String(), "id", id)
}

// Of returns the id that by has given, "" if there is none. Ask only for a by whose stanza-ids are known to be stripped from foreign
// stanzas (XEP-0359 §6).
func Of(f xmlstream.Fragment, by jid.JID) string {
	for c := range f.All() {
		if c.Name() == name && c.Attr("by") == by.String() {
			return c.Attr("id")
		}
	}
	return ""
}

// Origin returns the sender's origin-id (XEP-0359 §3.2), "" if there is none.
func Origin(f xmlstream.Fragment) string {
	if c, ok := f.Child(ns.StanzaID, "origin-id"); ok {
		return c.Attr("id")
	}
	return ""
}

var name = xmlstream.Name{Space: ns.StanzaID, Local: "stanza-id"}

// Strip returns the fragment without the stanza-ids whose by is an address that forged answers true for. A by that is no address has
// no meaning to anybody and goes too.
func Strip(f xmlstream.Fragment, forged func(by jid.JID) bool) xmlstream.Fragment {
	bad := func(c xmlstream.Child) bool {
		if c.Name() != name {
			return false
		}
		by, err := jid.Parse(c.Attr("by"))
		return err != nil || forged(by)
	}
	for c := range f.All() {
		if bad(c) {
			return f.Without(bad)
		}
	}
	return f
}
