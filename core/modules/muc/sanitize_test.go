package muc

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// FuzzSanitize: whatever a client sends, nothing that only the room may say is left, and what is left stays as it is.
func FuzzSanitize(f *testing.F) {
	for _, s := range []string{
		"<body xmlns='jabber:client'>x</body>",
		"<stanza-id xmlns='urn:xmpp:sid:0' by='coven@rooms.example.org' id='x'/><body xmlns='jabber:client'>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='COVEN@rooms.example.org.' id='x'/>",
		"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='y'/>",
		"<retract xmlns='urn:xmpp:message-retract:1' id='x'><a xmlns='urn:example:a'><moderated xmlns='urn:xmpp:message-moderate:1'/></a></retract>",
		"<apply-to xmlns='urn:xmpp:fasten:0' id='x'><moderated xmlns='urn:xmpp:message-moderate:0'/></apply-to>",
		"<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x><delay xmlns='urn:xmpp:delay' from='rooms.example.org' stamp='2001-01-01T00:00:00Z'/>",
		"<hats xmlns='urn:xmpp:hats:0'/><show xmlns='jabber:client'>away</show>",
	} {
		f.Add([]byte(s))
	}
	a := &actor{jid: jid.MustParse(coven)}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := xmlstream.ParseFragment(b)
		if err != nil {
			return
		}
		out := a.sanitize(in)
		for c := range out.All() {
			n := c.Name()
			if forged(n) || n.Space == ns.OccupantID || n.Space == ns.MUCUser {
				t.Fatalf("%s is left of %s", n, b)
			}
			if nested[n] && hides(c.Node()) {
				t.Fatalf("something hides in %s", c.Raw())
			}
		}
		if stanzaid.Of(out, a.jid) != "" {
			t.Fatalf("a stanza-id of the room is left of %s", b)
		}
		if again := a.sanitize(out); again.String() != out.String() {
			t.Fatalf("%s became %s", out, again)
		}
	})
}

func hides(n *xmlstream.Node) bool {
	for c := range n.Elements() {
		if forged(c.Name) || hides(c) {
			return true
		}
	}
	return false
}
