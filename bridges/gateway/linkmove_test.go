package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

const redRoom = "!ops~1%hs@rooms.red.example.org"

func (p *person) enter(room, nick string) {
	p.t.Helper()
	p.Send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })
}

func (w *linked) person(name string) *person {
	w.t.Helper()
	c := w.Login(w.t, name+"@example.org/phone")
	c.Online()
	return &person{c, w.t}
}

// A remote room that has a room of its own here moves: people are told, the old address says where it is, and what is there stays.
func TestLinkMovesARoom(t *testing.T) {
	w := newLinked(t, linkOptions{})
	alice := w.person("alice")
	alice.enter(redRoom, "alice")
	alice.Send("<message to='" + redRoom + "' type='groupchat' id='old1'><body>in the old room</body></message>")
	old := w.sent("red", "in the old room")
	w.link("red", "green")
	var invited, ended *xmlstream.Node
	for invited == nil || ended == nil {
		n := alice.Next()
		if n.Child(ns.Conference, "x") != nil {
			invited = n.Child(ns.Conference, "x")
		}
		if d := child(n.Child(ns.MUCUser, "x"), ns.MUCUser, "destroy"); d != nil {
			ended = d
		}
	}
	if invited.Attr("jid") != linkRoom.String() || ended.Attr("jid") != linkRoom.String() {
		t.Errorf("%s, %s", invited, ended)
	}
	for range 2 { // also after a restart
		gone := alice.tries(redRoom)
		if g := child(gone, ns.Stanzas, "gone"); g == nil || g.TextContent() != "xmpp:"+linkRoom.String()+"?join" {
			t.Errorf("%s", gone)
		}
		alice.Drop()
		w.Restart(t)
		w.attachAll()
		alice = w.person("alice")
	}
	if kept, _, err := w.Data().Messages().List(context.Background(), storage.Room, redRoom, storage.Range{}); err != nil || len(kept) == 0 {
		t.Errorf("of the old room's archive %d messages are left, %v", len(kept), err)
	}
	alice.enter(linkRoom.String(), "alice")
	w.deliver("red", says("@bob:hs", "$r1", "in the new room"))
	alice.until("the new room", func(n *xmlstream.Node) bool { return textOf(n) == "in the new room" })
	w.sent("green", "in the new room")
	// What refers to a message of the old room is said anew.
	w.deliver("red", &sdk.Edit{EventHeader: head("$e1", "@bob:hs"), Target: sdk.MessageRef{ID: "$unknown"}, Content: sdk.Content{Body: richtext.FromPlain("edited")}},
		&sdk.Reaction{EventHeader: head("$x1", "@bob:hs"), Target: sdk.MessageRef{ID: w.nets["red"].remoteID(old)}, Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{{Text: "👍"}}})
	w.sent("green", "edited")

	// Unlinked, the remote room is left; by its address it can be had again, with what was there.
	got, err := w.gw.RemoveLink(context.Background(), linkRoom, remotesOf("red"))
	if err != nil || len(got) != 1 || got[0].Err != nil || got[0].Note != "" {
		t.Fatal(got, err)
	}
	alice.until("Bob leaves", func(n *xmlstream.Node) bool {
		return n.Attr("from") == linkRoom.String()+"/Bob" && n.Attr("type") == "unavailable"
	})
	if r := w.deliver("red", says("@bob:hs", "$r2", "to nobody")); len(r.Problems) != 1 {
		t.Errorf("%+v", r)
	}
	alice.enter(redRoom, "alice")
	w.deliver("red", says("@bob:hs", "$r3", "back again"))
	alice.until("the old room", func(n *xmlstream.Node) bool {
		return textOf(n) == "back again" && strings.HasPrefix(n.Attr("from"), redRoom)
	})
	// The other goes, and with it the link.
	if got, err = w.gw.RemoveLink(context.Background(), linkRoom, nil); err != nil || len(got) != 1 || got[0].Err != nil {
		t.Fatal(got, err)
	}
	if _, err := w.gw.Link(context.Background(), linkRoom); !errors.Is(err, gateway.ErrNoLink) {
		t.Errorf("%v", err)
	}
	w.nets["green"].mu.Lock()
	defer w.nets["green"].mu.Unlock()
	if w.nets["green"].left != 1 {
		t.Errorf("green was left %d times", w.nets["green"].left)
	}
}

// Each remote is linked or not at all, and the result says why not.
func TestLinkAddAllOrNothing(t *testing.T) {
	w := newLinked(t, linkOptions{net: func(name string, n *fakeNet) {
		if name == "green" {
			n.joinError = sdk.Refuse(sdk.CodeForbidden, "the bot is not invited")
		}
	}})
	w.detach("blue")
	w.awaitAway("blue")
	ctx := context.Background()
	names := append(remotesOf(sides...), gateway.RemoteName{Bridge: "red", Room: "#none:hs"}, gateway.RemoteName{Bridge: "pink", Room: "x"}, gateway.RemoteName{Bridge: "red", Room: "@bob:hs"},
		gateway.RemoteName{Bridge: "red", Room: "#ops:hs"})
	got, err := w.gw.AddLink(ctx, linkRoom, names, jid.JID{})
	if err != nil || len(got) != len(names) {
		t.Fatal(got, err)
	}
	for i, want := range []string{"", "the bot is not invited", "Blue cannot be reached", "nobody knows #none:hs", `no bridge "pink"`, "is no room there", "it is linked with ops@rooms.example.org already"} {
		if res := got[i]; want == "" != (res.Err == nil) || res.Err != nil && !strings.Contains(res.Err.Error(), want) {
			t.Errorf("%s: %v, want %q", res.Remote, res.Err, want)
		}
	}
	s := w.status("red", func(s gateway.LinkStatus) bool { return true })
	if len(s.Remotes) != 1 || s.Remotes[0].Remote.Bridge != "red" {
		t.Errorf("%+v", s)
	}
	other := jid.MustParse("other@rooms.example.org")
	if got, err = w.gw.AddLink(ctx, other, remotesOf("red", "green"), jid.JID{}); err != nil || got[0].Err == nil || got[1].Err == nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.gw.Link(ctx, other); err == nil {
		t.Error("a link of nothing is there")
	}
	if f, err := w.other.rooms.Facts(ctx, other); err != nil || f.Exists {
		t.Error("the room of a link of nothing was made")
	}
	if a, err := w.Data().Rooms().AffiliationOf(ctx, linkRoom.String(), "root@example.org"); err != nil || a.Affiliation != "owner" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"example.org", redRoom, "ops@elsewhere.example.net", "alice@example.org"} {
		if _, err := w.gw.AddLink(ctx, jid.MustParse(bad), remotesOf("red"), jid.JID{}); err == nil {
			t.Errorf("%s was linked", bad)
		}
	}
}

// Links of the file are joined when their bridges are there, and belong to the file.
func TestLinksOfTheFile(t *testing.T) {
	spec := gateway.LinkSpec{Room: linkRoom, Remotes: remotesOf("red", "green")}
	w := newLinked(t, linkOptions{links: []gateway.LinkSpec{spec}, away: true})
	ctx := context.Background()
	s := w.status("pending", func(gateway.LinkStatus) bool { return true })
	if len(s.Remotes) != 2 || s.Remotes[0].State != "pending" || !s.Remotes[0].File || s.Remotes[0].Error != "Red cannot be reached at the moment" {
		t.Errorf("%+v", s)
	}
	w.nets["green"].joinError = sdk.Refuse(sdk.CodeForbidden, "the bot is not invited")
	w.attachAll()
	s = w.status("one of them", func(s gateway.LinkStatus) bool {
		return s.Remotes[0].State == "connected" && s.Remotes[1].Error != ""
	})
	if s.Remotes[1].State != "pending" || s.Remotes[1].Error != "Green: the bot is not invited" {
		t.Errorf("%+v", s)
	}
	w.nets["green"].mu.Lock()
	w.nets["green"].joinError = nil
	w.nets["green"].mu.Unlock()
	w.attach("green")
	w.status("both", func(s gateway.LinkStatus) bool { return s.Remotes[1].State == "connected" })
	alice := w.in("alice")
	alice.says("a1", body("hello"))
	w.sent("red", "hello")
	w.sent("green", "hello")

	w.link("blue") // by command
	got, err := w.gw.RemoveLink(ctx, linkRoom, nil)
	if err != nil || len(got) != 3 || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "configuration file") || got[2].Err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// The file changes: green goes, blue comes, and stays that way.
	w.detach("green")
	w.awaitAway("green")
	changed := []gateway.LinkSpec{{Room: linkRoom, Remotes: remotesOf("red", "blue")}}
	if err := w.gw.SetLinks(ctx, changed); err != nil {
		t.Fatal(err)
	}
	w.status("blue in place of green", func(s gateway.LinkStatus) bool {
		return len(s.Remotes) == 2 && s.Remotes[1].Remote.Bridge == "blue" && s.Remotes[1].State == "connected"
	})
	alice.says("a2", body("again"))
	w.sent("blue", "again")
	alice.Drop()
	w.links = changed
	w.Restart(t)
	w.attachAll()
	w.status("the same", func(s gateway.LinkStatus) bool {
		return len(s.Remotes) == 2 && s.Remotes[0].State == "connected" && s.Remotes[1].State == "connected"
	})
	n := w.nets["green"] // left when it was back
	n.await(t, "leaving", func() bool { return n.left == 1 })
	if err := w.gw.SetLinks(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Link(ctx, linkRoom); err == nil {
		t.Error("a link that is no longer in the file is there")
	}
}

// In a room that hides addresses the networks do not get them either.
func TestLinkHidesAddresses(t *testing.T) {
	w := newLinked(t, linkOptions{})
	if err := w.other.rooms.EnsureRoom(context.Background(), event.RoomSpec{Room: linkRoom, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	w.link("red", "green")
	alice := w.in("alice")
	alice.says("a1", body("who am I?"))
	if s := w.sent("red", "who am I?").Sender; s.Address != "" || s.Name != "alice" || s.Person == "" || s.Occupant == "" {
		t.Errorf("%+v", s)
	}
	w.deliver("green", says("@eve:hs", "$1", "I am Eve"))
	if s := w.sent("red", "I am Eve").Sender; s.Address != "eve%hs@green.example.org" {
		t.Errorf("%+v", s)
	}
	alice.Drop()
	w.Restart(t)
	w.attachAll()
	alice = w.in("alice")
	alice.says("a2", body("and now?"))
	w.sent("green", "and now?")
	for _, side := range []string{"red", "green"} {
		n := w.nets[side]
		n.mu.Lock()
		for _, op := range n.ops {
			if strings.Contains(op.Head().Sender.Address, "alice") {
				t.Errorf("%s knows %+v", side, op.Head().Sender)
			}
		}
		for _, s := range n.signals {
			if p, ok := s.(*sdk.Presence); ok && p.Sender != nil && p.Sender.Address != "" {
				t.Errorf("%s knows %+v", side, p.Sender)
			}
		}
		n.mu.Unlock()
	}
	// The owner decides otherwise.
	if err := w.other.rooms.EnsureRoom(context.Background(), specOf(linkRoom, "alice@example.org", "owner")); err != nil {
		t.Fatal(err)
	}
	done := alice.ask("set", linkRoom.String(), "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_whois'><value>anyone</value></field></x></query>")
	if done.Attr("type") != "result" {
		t.Fatalf("%s", done)
	}
	alice.says("a3", body("hello all"))
	if s := w.sent("red", "hello all").Sender; s.Address != "alice@example.org" {
		t.Errorf("%+v", s)
	}
}

// Who may not use a bridge is not heard there, and knows it; a linked room stays.
func TestLinkRights(t *testing.T) {
	w := newLinked(t, linkOptions{allow: gateway.Allow{Use: []string{"root@example.org"}}})
	w.link("red", "green")
	alice := w.in("alice")
	alice.Send("<message to='" + linkRoom.String() + "' type='groupchat' id='a1'>" + body("can you hear me?") + "</message>")
	n := alice.until("the notice", func(n *xmlstream.Node) bool { return n.Attr("type") == "chat" })
	if !strings.Contains(textOf(n), "you may not use that bridge") {
		t.Errorf("%s", n)
	}
	// Nor is she seen there.
	alice.Send("<message to='" + linkRoom.String() + "' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	root := w.in("root")
	root.Send("<message to='" + linkRoom.String() + "' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	w.nets["red"].await(t, "that root writes", func() bool {
		typing := false
		for _, sig := range w.nets["red"].signals {
			var who *sdk.Sender
			switch sig := sig.(type) {
			case *sdk.Typing:
				who, typing = sig.Sender, true
			case *sdk.Presence:
				who = sig.Sender
			}
			if who != nil && who.Name != "root" {
				t.Errorf("red sees %+v", sig)
			}
		}
		return typing
	})
	w.deliver("red", says("@bob:hs", "$1", "we hear red"))
	w.awaitTexts("green", "we hear red")
	if err := w.other.rooms.EnsureRoom(context.Background(), specOf(linkRoom, "alice@example.org", "owner")); err != nil {
		t.Fatal(err)
	}
	no := alice.ask("set", linkRoom.String(), "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>")
	if no.Attr("type") != "error" {
		t.Errorf("%s", no)
	}
	alice.Send("<message to='" + linkRoom.String() + "' type='groupchat' id='o1'><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted><body>x</body></message>")
	no = alice.until("the refusal", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" && n.Attr("id") == "o1" })
	if child(child(no, ns.Client, "error"), ns.Stanzas, "policy-violation") == nil || !strings.Contains(no.String(), "Red, Green") {
		t.Errorf("%s", no)
	}
}
