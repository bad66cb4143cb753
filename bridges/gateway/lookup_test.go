package gateway_test

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func (p *person) tries(room string) *xmlstream.Node {
	p.t.Helper()
	p.Send("<presence to='" + room + "/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	n := p.until("an error", func(n *xmlstream.Node) bool { return n.Name.Local == "presence" && n.Attr("type") == "error" })
	return child(n, ns.Client, "error")
}

func condition(e *xmlstream.Node) string {
	for c := range e.Elements() {
		if c.Name.Space == ns.Stanzas && c.Name.Local != "text" {
			return c.Name.Local
		}
	}
	return ""
}

func errorText(e *xmlstream.Node) string {
	if t := e.Child(ns.Stanzas, "text"); t != nil {
		return t.TextContent()
	}
	return ""
}

func TestAliasLeadsToTheRoom(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	alice.Send("<presence to='#ops%hs@rooms.fake.example.org/me'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	var gone, invited *xmlstream.Node
	for gone == nil || invited == nil {
		n := alice.Next()
		switch {
		case n.Attr("type") == "error":
			gone = child(n, ns.Client, "error")
		case n.Child(ns.Conference, "x") != nil:
			invited = n.Child(ns.Conference, "x")
		}
	}
	if g := child(gone, ns.Stanzas, "gone"); g == nil || g.TextContent() != "xmpp:"+opsRoom+"?join" || errorText(gone) == "" {
		t.Errorf("%s", gone)
	}
	if invited.Attr("jid") != opsRoom || invited.Attr("reason") != "You asked for #ops%hs@rooms.fake.example.org: this is its address." {
		t.Errorf("%s", invited)
	}
	w.in("carol")
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if w.net.joins != 1 {
		t.Errorf("the room was joined %d times", w.net.joins)
	}
}

func TestWhoMayEnter(t *testing.T) {
	w := newWorld(t, worldOptions{allow: gateway.Allow{Use: []string{"alice@example.org", "carol@example.org"}, CreateRooms: []string{"alice@example.org"}}})
	mallory, carol := w.person("mallory"), w.person("carol")
	if e := mallory.tries(opsRoom); condition(e) != "forbidden" || !strings.Contains(errorText(e), "Fakenet") {
		t.Errorf("%s", e)
	}
	if e := carol.tries(opsRoom); condition(e) != "forbidden" {
		t.Errorf("%s", e)
	}
	w.in("alice")
	if e := mallory.tries(opsRoom); condition(e) != "forbidden" {
		t.Errorf("in a room that is there: %s", e)
	}
	carol.enters("carol")
}

func TestRoomsThatCannotBeEntered(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	for room, want := range map[string][2]string{
		"!none%hs@rooms.fake.example.org":   {"item-not-found", "there is no room !none:hs"},
		"#none%hs@rooms.fake.example.org":   {"item-not-found", "nobody knows #none:hs"},
		"nonsense@rooms.fake.example.org":   {"item-not-found", "cannot be a room"},
		"!ops~01%hs@rooms.fake.example.org": {"item-not-found", "cannot be a room"},
	} {
		if e := alice.tries(room); condition(e) != want[0] || !strings.Contains(errorText(e), want[1]) {
			t.Errorf("%s: %s", room, e)
		}
	}
	w.net.mu.Lock()
	w.net.joinError = sdk.Refuse(sdk.CodeForbidden, "the bot is banned there")
	w.net.mu.Unlock()
	if e := alice.tries(opsRoom); condition(e) != "forbidden" || errorText(e) != "Fakenet: the bot is banned there." {
		t.Errorf("%s", e)
	}
	w.net.mu.Lock()
	w.net.joinError = nil
	w.net.mu.Unlock()
	w.detach()
	w.awaitAway()
	if e := alice.tries(opsRoom); e.Attr("type") != "wait" {
		t.Errorf("%s", e)
	}
	w.attach()
	alice.enters("alice")
}

func TestPortalOpenedByTheNetwork(t *testing.T) {
	w := newWorld(t, worldOptions{})
	k := sdk.PortalKey{Room: "!Party:hs"}
	m := says("@eve:hs", "$1", "early")
	m.Portal = k
	w.deliver(&sdk.PortalOpened{EventHeader: sdk.EventHeader{Portal: k, ID: "$o"}, Info: sdk.ChatInfo{Kind: sdk.ChatRoom, Name: "Party"}}, m)
	alice := w.person("alice")
	const room = "!party~1%hs@rooms.fake.example.org"
	alice.Send("<presence to='" + room + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.hears("Eve", "early") // from the history
}
