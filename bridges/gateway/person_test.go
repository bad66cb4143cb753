package gateway_test

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
)

// person is a client that takes what it is waiting for and lets presence and the like go by.
type person struct {
	*xmpptest.Client
	t testing.TB
}

// until takes elements until one fits.
func (p *person) until(what string, fits func(n *xmlstream.Node) bool) *xmlstream.Node {
	p.t.Helper()
	for range 200 {
		if n := p.Next(); fits(n) {
			return n
		}
	}
	p.t.Fatalf("%s did not come", what)
	return nil
}

func child(n *xmlstream.Node, space, local string) *xmlstream.Node {
	if n == nil {
		return nil
	}
	return n.Child(space, local)
}

// textOf is the body of a message.
func textOf(n *xmlstream.Node) string {
	if b := n.Child(ns.Client, "body"); b != nil {
		return b.TextContent()
	}
	return ""
}

// message waits for the next message with a body, or an error.
func (p *person) message() *xmlstream.Node {
	p.t.Helper()
	return p.until("a message", func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && (textOf(n) != "" || n.Attr("type") == "error")
	})
}

// hears waits for the next message, which must be by that nick (or address) and say that.
func (p *person) hears(from, text string) *xmlstream.Node {
	p.t.Helper()
	n := p.message()
	who := n.Attr("from")
	if _, nick, ok := strings.Cut(who, "/"); ok {
		who = nick
	}
	if who != from || textOf(n) != text {
		p.t.Fatalf("heard %s, expected %q by %s", n, text, from)
	}
	return n
}

// having waits for a message with such a child.
func (p *person) having(space, local string) *xmlstream.Node {
	p.t.Helper()
	return p.until("a message with "+local, func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && n.Child(space, local) != nil
	})
}

// archived is the id that the room gave a message.
func archived(n *xmlstream.Node) string {
	if c := n.Child(ns.StanzaID, "stanza-id"); c != nil {
		return c.Attr("id")
	}
	return ""
}

// ask sends a request and returns its answer, whatever comes between.
func (p *person) ask(typ, to, payload string) *xmlstream.Node {
	p.t.Helper()
	p.Send("<iq type='" + typ + "' id='ask-" + typ + to[:3] + "' to='" + to + "'>" + payload + "</iq>")
	return p.until("an answer", func(n *xmlstream.Node) bool { return n.Name.Local == "iq" && strings.HasPrefix(n.Attr("id"), "ask-") })
}

// say sends a message to the room and waits for its reflection.
func (p *person) say(id, text string) *xmlstream.Node {
	p.t.Helper()
	p.Send("<message to='" + opsRoom + "' type='groupchat' id='" + id + "'><body>" + text + "</body></message>")
	return p.until("the reflection", func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && n.Attr("type") == "groupchat" && n.Attr("id") == id
	})
}

// in logs somebody in and lets her enter the room under her local name.
func (w *world) in(name string) *person {
	w.t.Helper()
	p := w.person(name)
	p.enters(name)
	return p
}

// enters lets her enter the room.
func (p *person) enters(nick string) {
	p.t.Helper()
	p.Send("<presence to='" + opsRoom + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })
}

// person logs somebody in.
func (w *world) person(name string) *person {
	w.t.Helper()
	c := w.Login(w.t, name+"@example.org/phone")
	c.Online()
	return &person{c, w.t}
}
