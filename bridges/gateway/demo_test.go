package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/demo"
	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

const lobby = "lobby@rooms.demo.example.org"

// TestDemoNetwork is the first minute of somebody who tries Viaduct: she enters the lobby, is answered, and sees an edit, a reaction, an outage.
func TestDemoNetwork(t *testing.T) {
	var gw *gateway.Module
	srv := xmpptest.Start(t, xmpptest.Options{
		Modules: modules.Options{MUC: muc.Options{Hosts: []muc.HostSpec{{Name: "rooms.demo.example.org", Origin: "demo.example.org"}}}},
		Extra: func() []module.Module {
			var err error
			if gw, err = gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{{Name: "demo", Domain: "example.org", Configuration: sdk.Configuration{JSON: []byte(`{"silent":true}`)}}}}); err != nil {
				t.Fatal(err)
			}
			return []module.Module{gw}
		},
	})
	local := sdk.NewLocal(demo.New(demo.Options{}), sdk.LocalOptions{})
	t.Cleanup(local.Close)
	if err := gw.Attach(context.Background(), "demo", local); err != nil {
		t.Fatal(err)
	}
	c := srv.Login(t, "alice@example.org/phone")
	c.Online()
	alice := &person{c, t}
	alice.Send("<presence to='" + lobby + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	people := 0
	alice.until("the subject", func(n *xmlstream.Node) bool {
		if n.Name.Local == "presence" && strings.HasPrefix(n.Attr("from"), lobby) {
			people++
		}
		return n.Child(ns.Client, "subject") != nil
	})
	if people < 4 {
		t.Errorf("%d people in the lobby, herself among them", people)
	}
	ask := func(text string) {
		alice.Send("<message to='" + lobby + "' type='groupchat' id='" + strings.Trim(text, "!") + "'><body>" + text + "</body></message>")
	}
	ask("!help")
	alice.until("an answer", func(n *xmlstream.Node) bool {
		return textOf(n) != "" && n.Attr("from") != lobby+"/alice"
	})
	ask("!edit")
	alice.having(ns.Correct, "replace")
	ask("!react")
	alice.having(ns.Reactions, "reactions")
	ask("!typing")
	alice.having(ns.ChatStates, "composing")
	if s, _ := gw.Status(context.Background(), "demo"); s.Refused != 0 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
}
