package gateway_test

import (
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestTextBothWays(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.Login(t, "alice@example.org/phone")
	alice.Online()
	alice.Send("<presence to='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.Expect("<presence from='" + opsRoom + "/Bob'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='admin' role='moderator' jid='" + bobJID + "'/></x>...</presence>")
	alice.Expect("<presence from='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/>...</x>...</presence>")
	alice.Expect("<message type='groupchat' from='" + opsRoom + "'><subject>all is well</subject>...</message>")

	w.deliver(says("@bob:hs", "$1", "hello there"))
	alice.Expect("<message type='groupchat' from='" + opsRoom + "/Bob'><body>hello there</body>...</message>")

	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m1'><body>hi Bob</body></message>")
	alice.Expect("<message type='groupchat' from='" + opsRoom + "/alice' id='m1'><body>hi Bob</body>...</message>")
	op := awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == "hi Bob" })
	if s := op.Sender; s.Address != "alice@example.org" || s.Name != "alice" || s.Foreign || op.Portal != ops || len(op.ID) != 26 {
		t.Errorf("sender %+v in %+v, id %q", s, op.Portal, op.ID)
	}
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if !slices.Equal(w.net.texts(), []string{"hi Bob"}) {
		t.Errorf("the network has %q", w.net.texts())
	}
}
