package gateway_test

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestDirectChat(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	alice.Send("<message to='" + bobJID + "' type='chat' id='d1'><body>psst</body><request xmlns='urn:xmpp:receipts'/></message>")
	op := awaitOp(t, w.net, any1[*sdk.SendMessage])
	if op.Portal.Room != "!dm-bob:hs" || op.Content.Body.Plain() != "psst" || op.Sender.Address != "alice@example.org" {
		t.Errorf("%+v", op)
	}
	if n := alice.having(ns.Receipts, "received"); n.Attr("from") != bobJID || child(n, ns.Receipts, "received").Attr("id") != "d1" {
		t.Errorf("%s", n)
	}
	m := says("@bob:hs", "$d1", "yes?")
	m.Portal.Room = "!dm-bob:hs"
	w.deliver(m)
	w.deliver(m)
	heard := alice.hears(bobJID, "yes?")
	e := &sdk.Edit{EventHeader: head("$d2", "@bob:hs"), Target: sdk.MessageRef{ID: "$d1"}, Content: sdk.Content{Body: richtext.FromPlain("yes!")}}
	e.Portal = m.Portal
	w.deliver(e)
	n := alice.hears(bobJID, "yes!")
	if r := child(n, ns.Correct, "replace"); r == nil || r.Attr("id") != heard.Attr("id") {
		t.Errorf("%s", n)
	}
	alice.Send("<message to='" + bobJID + "' type='chat' id='d3'><body>psst!</body><replace xmlns='urn:xmpp:message-correct:0' id='d1'/></message>")
	if edit := awaitOp(t, w.net, any1[*sdk.EditMessage]); edit.Target.ID == "" || edit.Content.Body.Plain() != "psst!" {
		t.Errorf("%+v", edit)
	}
	alice.Send("<message to='" + bobJID + "' type='chat' id='d4'><encrypted xmlns='eu.siacs.conversations.axolotl'/><body>x</body></message>")
	if n := alice.message(); child(child(n, ns.Client, "error"), ns.Stanzas, "policy-violation") == nil {
		t.Errorf("%s", n)
	}
	alice.Send("<message to='nobody@fake.example.org' type='chat' id='d5'><body>x</body></message>")
	if n := alice.message(); child(child(n, ns.Client, "error"), ns.Stanzas, "item-not-found") == nil {
		t.Errorf("%s", n)
	}
}

func TestDirectChatBegunByTheNetwork(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	k := sdk.PortalKey{Room: "!theirs:hs"}
	w.deliver(&sdk.PortalOpened{EventHeader: sdk.EventHeader{Portal: k, ID: "$o", Actor: sdk.Party{User: "@bob:hs"}}, Info: sdk.ChatInfo{Kind: sdk.ChatDirect},
		With: []sdk.Party{{User: "@bob:hs"}, {Address: "alice@example.org"}}})
	m := says("@bob:hs", "$1", "hello alice")
	m.Portal = k
	w.deliver(m)
	alice.hears(bobJID, "hello alice")
	alice.Send("<message to='" + bobJID + "' type='chat' id='d1'><body>hello bob</body></message>")
	if op := awaitOp(t, w.net, any1[*sdk.SendMessage]); op.Portal != k {
		t.Errorf("%+v", op)
	}
}

func TestPrivateMessageToPuppet(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	alice.Send("<message to='" + opsRoom + "/Bob' type='chat' id='p1'><body>between us</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>")
	if op := awaitOp(t, w.net, any1[*sdk.SendMessage]); op.Portal.Room != "!dm-bob:hs" || op.Content.Body.Plain() != "between us" {
		t.Errorf("%+v", op)
	}
}

func TestSubscribeToPuppet(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice") // so that Bob is known
	alice.Send("<presence to='" + bobJID + "' type='subscribe' id='s1'/>")
	alice.until("subscribed", func(n *xmlstream.Node) bool { return n.Attr("type") == "subscribed" && n.Attr("from") == bobJID })
	alice.until("her presence", func(n *xmlstream.Node) bool {
		return n.Name.Local == "presence" && n.Attr("from") == bobJID && n.Attr("type") == "" && n.Child(ns.VCardUpdate, "x") != nil
	})
	w.net.host.Signal(&sdk.Presence{Who: sdk.Party{User: "@bob:hs"}, Show: sdk.ShowBusy})
	alice.until("busy", func(n *xmlstream.Node) bool {
		return n.Attr("from") == bobJID && child(n, ns.Client, "show") != nil && n.Child(ns.Client, "show").TextContent() == "dnd"
	})
}

func TestInvitePuppet(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	alice.Send("<message to='" + opsRoom + "'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='eve%hs@fake.example.org'><reason>come</reason></invite></x></message>")
	if op := awaitOp(t, w.net, any1[*sdk.InviteUser]); op.User != "@eve:hs" || op.Portal != ops || op.Sender.Address != "alice@example.org" {
		t.Errorf("%+v", op)
	}
	alice.Send("<message to='eve%hs@fake.example.org' id='i2'><x xmlns='jabber:x:conference' jid='lounge@rooms.example.org'/></message>")
	n := alice.until("a refusal", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" })
	if child(child(n, ns.Client, "error"), ns.Stanzas, "not-acceptable") == nil {
		t.Errorf("%s", n)
	}
}

func TestPresenceByDemand(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.in("alice")
	w.net.await(t, "what to watch", func() bool { return len(w.net.watched) == 1 && w.net.watched[0] == "@bob:hs" })
}
