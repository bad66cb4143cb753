package gateway_test

import (
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
)

// Links by ad-hoc command and by chat with the bridge.
func TestLinkCommands(t *testing.T) {
	w := newLinked(t, linkOptions{allow: gateway.Allow{Link: []string{"alice@example.org"}}})
	alice, bob := w.person("alice"), w.person("bob")
	order := func(p *person, node, text string) string {
		t.Helper()
		n := p.ask("set", "red.example.org", "<command xmlns='"+ns.Commands+"' node='"+node+"' sessionid='s'><x xmlns='jabber:x:data' type='submit'><field var='text'><value>"+text+"</value></field></x></command>")
		return n.String()
	}
	for _, tc := range []struct {
		who              *person
		node, text, want string
	}{
		{bob, "link", "ops@rooms.example.org #ops:hs", "You may not link rooms"},
		{alice, "link", "nonsense", "Say which room here"},
		{alice, "link", "ops@rooms.example.org", "Say also with which room"},
		{alice, "link", "ops@rooms.example.org #none:hs", "nobody knows #none:hs"},
		{alice, "link", "ops@rooms.example.org #ops:hs", "is linked with #ops:hs"},
		{alice, "links", "", "ops@rooms.example.org: #ops:hs, connected"},
		{bob, "links", "", "No room is linked"},
		{bob, "unlink", "ops@rooms.example.org", "You may not link rooms"},
		{alice, "unlink", "ops@rooms.example.org #other:hs", "is not linked with that"},
		{alice, "unlink", "none@rooms.example.org", "is not linked"},
	} {
		if got := order(tc.who, tc.node, tc.text); !strings.Contains(got, tc.want) {
			t.Errorf("%s %s: %s lacks %q", tc.node, tc.text, got, tc.want)
		}
	}
	// The room is hers now; somebody else's is not.
	alice.enter(linkRoom.String(), "alice")
	if got := alice.ask("get", linkRoom.String(), "<query xmlns='http://jabber.org/protocol/muc#owner'/>"); got.Attr("type") != "result" {
		t.Errorf("%s", got)
	}
	if err := w.other.rooms.EnsureRoom(t.Context(), specOf(mustRoom("bobs@rooms.example.org"), "bob@example.org", "owner")); err != nil {
		t.Fatal(err)
	}
	if got := order(alice, "link", "bobs@rooms.example.org #ops:hs"); !strings.Contains(got, "Only an owner") {
		t.Error(got)
	}
	alice.Send("<message to='red.example.org' type='chat'><body>unlink ops@rooms.example.org</body></message>")
	if n := alice.until("the answer", func(n *node) bool { return n.Attr("from") == "red.example.org" && textOf(n) != "" }); textOf(n) != "#ops:hs is no longer linked." {
		t.Errorf("%s", n)
	}
}
