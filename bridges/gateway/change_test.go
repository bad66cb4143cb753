package gateway_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func head(id string, who sdk.RemoteUserID) sdk.EventHeader {
	return sdk.EventHeader{Portal: ops, ID: sdk.EventID(id), Time: time.Now(), Actor: sdk.Party{User: who}}
}

func TestChangesFromTheNetwork(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	w.deliver(says("@bob:hs", "$1", "helo"))
	said := alice.hears("Bob", "helo")

	w.deliver(&sdk.Edit{EventHeader: head("$e1", "@bob:hs"), Target: sdk.MessageRef{ID: "$1"}, Content: sdk.Content{Body: richtext.FromPlain("hello")}})
	n := alice.hears("Bob", "hello")
	if r := child(n, ns.Correct, "replace"); r == nil || r.Attr("id") != said.Attr("id") || r.Attr("id") == "" {
		t.Errorf("the correction is %s, the message was %s", n, said)
	}

	answer := says("@bob:hs", "$2", "as I said")
	answer.Content.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: "$1"}, Author: "Bob", Excerpt: "hello"}
	w.deliver(answer)
	n = alice.having(ns.Reply, "reply")
	if r := child(n, ns.Reply, "reply"); r.Attr("id") != archived(said) || r.Attr("to") != opsRoom+"/Bob" {
		t.Errorf("the reply is %s, the message has the id %s", n, archived(said))
	}

	w.deliver(&sdk.Reaction{EventHeader: head("$r1", "@eve:hs"), Target: sdk.MessageRef{ID: "$1"}, Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{{Text: "👍"}}, Message: "$r1"})
	reactionsAre(t, alice, archived(said), "👍")
	w.deliver(&sdk.Reaction{EventHeader: head("$r2", "@eve:hs"), Target: sdk.MessageRef{ID: "$1"}, Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{{Text: "🎉"}}, Message: "$r2"})
	reactionsAre(t, alice, archived(said), "👍", "🎉")
	// The same set again is nothing new.
	w.deliver(&sdk.Reaction{EventHeader: head("$r3", "@eve:hs"), Target: sdk.MessageRef{ID: "$1"}, Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{{Text: "🎉"}}})
	w.deliver(&sdk.Retract{EventHeader: head("$x1", "@eve:hs"), Target: sdk.MessageRef{ID: "$r1"}})
	reactionsAre(t, alice, archived(said), "🎉")

	w.deliver(&sdk.Retract{EventHeader: head("$x2", "@bob:hs"), Target: sdk.MessageRef{ID: "$1"}})
	n = alice.having(ns.Retract, "retract")
	if r := child(n, ns.Retract, "retract"); r.Attr("id") != archived(said) || n.Attr("from") != opsRoom+"/Bob" {
		t.Errorf("the retraction is %s", n)
	}
	w.deliver(&sdk.Retract{EventHeader: head("$x3", "@bob:hs"), Target: sdk.MessageRef{ID: "$never"}})
}

func reactionsAre(t *testing.T, p *person, id string, want ...string) {
	t.Helper()
	n := p.having(ns.Reactions, "reactions")
	r := child(n, ns.Reactions, "reactions")
	var got []string
	for c := range r.Elements() {
		got = append(got, c.TextContent())
	}
	if r.Attr("id") != id || !slices.Equal(got, want) {
		t.Errorf("reactions %q to %s, want %q to %s", got, r.Attr("id"), want, id)
	}
}

func TestRoomAndPeopleChange(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	topic, name := "new topic", "Ops 2"
	w.deliver(&sdk.RoomChanged{EventHeader: head("$t1", "@bob:hs"), Topic: &topic, Name: &name})
	n := alice.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })
	if n.Attr("from") != opsRoom+"/Bob" || n.Child(ns.Client, "subject").TextContent() != topic {
		t.Errorf("subject %s", n)
	}
	w.deliver(&sdk.Membership{EventHeader: head("$j1", "@eve:hs"), Member: sdk.Party{User: "@eve:hs"}, Change: sdk.MembershipJoin})
	alice.until("Eve", func(n *xmlstream.Node) bool { return n.Attr("from") == opsRoom+"/Eve" && n.Attr("type") == "" })
	w.deliver(&sdk.UserChanged{EventHeader: sdk.EventHeader{ID: "$u1"}, User: sdk.UserInfo{ID: "@eve:hs", Name: "Eva"}})
	alice.until("Eva", func(n *xmlstream.Node) bool { return n.Attr("from") == opsRoom+"/Eva" })
	w.deliver(&sdk.Rights{EventHeader: head("$p1", "@bob:hs"), Member: sdk.Party{User: "@eve:hs"}, Role: sdk.RoleModerator})
	alice.until("the role", func(n *xmlstream.Node) bool {
		x := child(n, ns.MUCUser, "x")
		return n.Attr("from") == opsRoom+"/Eva" && child(x, ns.MUCUser, "item") != nil && x.Child(ns.MUCUser, "item").Attr("role") == "moderator"
	})
	w.deliver(&sdk.Membership{EventHeader: head("$k1", "@bob:hs"), Member: sdk.Party{User: "@eve:hs"}, Change: sdk.MembershipKick, Reason: "enough"})
	alice.until("the kick", func(n *xmlstream.Node) bool {
		x := child(n, ns.MUCUser, "x")
		return n.Attr("from") == opsRoom+"/Eva" && n.Attr("type") == "unavailable" && child(x, ns.MUCUser, "status") != nil && x.Child(ns.MUCUser, "status").Attr("code") == "307"
	})
	to := sdk.RemoteRoomID("!New:hs")
	w.deliver(&sdk.RoomMoved{EventHeader: head("$m1", "@bob:hs"), To: to})
	moved := says("@bob:hs", "$after", "we moved")
	moved.Portal.Room = to
	w.deliver(moved)
	alice.hears("Bob", "we moved")
	alice.say("m1", "so did we")
	if op := awaitOp(t, w.net, any1[*sdk.SendMessage]); op.Portal.Room != to {
		t.Errorf("sent to %s", op.Portal.Room)
	}
	w.deliver(&sdk.PortalGone{EventHeader: sdk.EventHeader{Portal: moved.Portal, ID: "$gone"}, Code: sdk.CodeRoomGone, Reason: "deleted"})
	alice.until("the news", func(n *xmlstream.Node) bool { return n.Attr("from") == opsRoom && textOf(n) != "" })
}

func TestChangesToTheNetwork(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	first := alice.say("m1", "helo")
	sent := awaitOp(t, w.net, any1[*sdk.SendMessage])
	w.net.mu.Lock()
	remote := w.net.byOp[sent.ID].Parts[0].Remote
	w.net.mu.Unlock()

	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m2'><body>hello</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/></message>")
	edit := awaitOp(t, w.net, any1[*sdk.EditMessage])
	if edit.Target.ID != remote || edit.Content.Body.Plain() != "hello" || edit.Target.Author.Person != edit.Sender.Person {
		t.Errorf("%+v", edit)
	}

	w.deliver(says("@bob:hs", "$b1", "what now?"))
	heard := alice.until("Bob", func(n *xmlstream.Node) bool { return textOf(n) == "what now?" })
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m3'><body>&gt; what now?\ncoffee</body><reply xmlns='urn:xmpp:reply:0' id='" + archived(heard) +
		"'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='12'/></fallback></message>")
	reply := awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.ReplyTo != nil })
	if r := reply.Content.ReplyTo; r.Target.ID != "$b1" || r.Author != "Bob" || r.Excerpt != "what now?" || reply.Content.Body.Plain() != "coffee" || r.Target.Author.User != "@bob:hs" {
		t.Errorf("%+v %q", r, reply.Content.Body.Plain())
	}

	react := func(id, emoji string) {
		alice.Send("<message to='" + opsRoom + "' type='groupchat' id='" + id + "'><reactions xmlns='urn:xmpp:reactions:0' id='" + archived(heard) + "'>" + emoji + "</reactions></message>")
	}
	react("m4", "<reaction>👍</reaction>")
	r1 := awaitOp(t, w.net, any1[*sdk.SetReactions])
	react("m5", "<reaction>🎉</reaction>")
	r2 := awaitOp(t, w.net, func(op *sdk.SetReactions) bool { return op.ID != r1.ID })
	if len(r1.Added) != 1 || len(r1.Removed) != 0 || len(r2.Added) != 1 || r2.Added[0].Text != "🎉" || len(r2.Removed) != 1 || r2.Removed[0].Text != "👍" {
		t.Errorf("%+v then %+v", r1, r2)
	}

	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m6'><retract xmlns='urn:xmpp:message-retract:1' id='" + archived(first) + "'/><store xmlns='urn:xmpp:hints'/></message>")
	if r := awaitOp(t, w.net, any1[*sdk.RetractMessage]); r.Target.ID != remote || r.Moderated {
		t.Errorf("%+v", r)
	}
	// Nobody takes back the words of another.
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m7'><retract xmlns='urn:xmpp:message-retract:1' id='" + archived(heard) + "'/><store xmlns='urn:xmpp:hints'/></message>")
	alice.until("the refusal", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" && n.Attr("id") == "m7" })
}

func TestSignals(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	alice.Send("<message to='" + opsRoom + "' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	w.net.await(t, "typing", func() bool {
		return slices.ContainsFunc(w.net.signals, func(s sdk.Signal) bool {
			ty, ok := s.(*sdk.Typing)
			return ok && ty.Active && ty.Sender.Address == "alice@example.org"
		})
	})
	alice.Send("<presence to='" + opsRoom + "/alice'><show>dnd</show></presence>")
	w.net.await(t, "presence", func() bool {
		return slices.ContainsFunc(w.net.signals, func(s sdk.Signal) bool {
			p, ok := s.(*sdk.Presence)
			return ok && p.Show == sdk.ShowBusy
		})
	})
	w.net.host.Signal(&sdk.Typing{Portal: ops, Who: sdk.Party{User: "@bob:hs"}, Active: true})
	alice.having(ns.ChatStates, "composing")
	w.net.host.Signal(&sdk.Presence{Who: sdk.Party{User: "@bob:hs"}, Show: sdk.ShowAway, Status: "lunch"})
	alice.until("lunch", func(n *xmlstream.Node) bool {
		s := n.Child(ns.Client, "status")
		return n.Attr("from") == opsRoom+"/Bob" && s != nil && s.TextContent() == "lunch" && child(n, ns.Client, "show").TextContent() == "away"
	})
}

func TestReceipt(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m1'><body>there?</body><request xmlns='urn:xmpp:receipts'/></message>")
	if n := alice.having(ns.Receipts, "received"); child(n, ns.Receipts, "received").Attr("id") != "m1" || n.Attr("from") != opsRoom {
		t.Errorf("%s", n)
	}
}

func TestEncryptedIsRefused(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m1'><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted><body>I sent you an OMEMO encrypted message</body></message>")
	n := alice.until("an error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" })
	if child(child(n, ns.Client, "error"), ns.Stanzas, "policy-violation") == nil {
		t.Errorf("%s", n)
	}
	alice.say("m2", "in the clear")
	awaitOp(t, w.net, any1[*sdk.SendMessage])
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if got := w.net.texts(); !slices.Equal(got, []string{"in the clear"}) {
		t.Errorf("%q crossed", got)
	}
}

func TestTopicAndModerationOut(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	spec := roomAdmins("alice@example.org")
	if err := w.ensure(spec); err != nil {
		t.Fatal(err)
	}
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='s1'><subject>be nice</subject></message>")
	if op := awaitOp(t, w.net, any1[*sdk.SetTopic]); op.Topic != "be nice" {
		t.Errorf("%+v", op)
	}
	w.deliver(says("@eve:hs", "$1", "spam"))
	alice.hears("Eve", "spam")
	alice.ask("set", opsRoom, "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Eve' role='none'><reason>spam</reason></item></query>")
	if op := awaitOp(t, w.net, any1[*sdk.Moderate]); op.User != "@eve:hs" || op.Action != sdk.ModerateKick || op.Reason != "spam" {
		t.Errorf("%+v", op)
	}
	if s, _ := w.gw.Status(context.Background(), "fake"); s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}
