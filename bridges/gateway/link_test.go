package gateway_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// A message from any side is on every other once, and never on its own.
func TestLinkCarriesMessages(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	alice := w.in("alice")
	alice.says("a1", body("from here"))
	w.deliver("red", says("@bob:hs", "$r1", "from red"))
	alice.hears("Bob", "from red")
	w.deliver("blue", says("@eve:hs", "$b1", "from blue"))
	alice.hears("Eve", "from blue")
	w.awaitTexts("red", "from here", "from blue")
	w.awaitTexts("green", "from here", "from red", "from blue")
	w.awaitTexts("blue", "from here", "from red")

	bob, eve := w.sent("green", "from red").Sender, w.sent("green", "from blue").Sender
	if bob.Name != "Bob" || eve.Name != "Eve" || bob.Person == eve.Person || bob.Person == "" || bob.Foreign || bob.Address != "bob%hs@red.example.org" {
		t.Errorf("%+v and %+v", bob, eve)
	}
	// The network's echo of its own message, and the same event again, are nothing new.
	op := w.sent("green", "from red")
	echo := says("", string(w.nets["green"].remoteID(op)), "from red")
	echo.Actor, echo.Own = sdk.Party{Person: bob.Person}, true
	w.deliver("green", echo)
	w.deliver("red", says("@bob:hs", "$r1", "from red"))
	alice.says("a2", body("the end"))
	w.awaitTexts("green", "from here", "from red", "from blue", "the end")
}

// Two people of one name keep it on the third side, whatever the room calls them.
func TestLinkNamesAndFaces(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	alice := w.in("alice")
	w.deliver("red", says("@bob:hs", "$1", "one Bob"))
	w.deliver("green", says("@bob:hs", "$1", "another Bob"))
	alice.until("another Bob", func(n *xmlstream.Node) bool {
		return textOf(n) == "another Bob" && n.Attr("from") != linkRoom.String()+"/Bob"
	})
	one, two := w.sent("blue", "one Bob").Sender, w.sent("blue", "another Bob").Sender
	if one.Name != "Bob" || two.Name != "Bob" || one.Person == two.Person {
		t.Errorf("%+v and %+v", one, two)
	}
	// The face of each is fetched in the background; then it is shown on the other side.
	w.status("faces", func(gateway.LinkStatus) bool {
		w.deliver("red", says("@bob:hs", "$f"+time.Now().String(), "see me"))
		n := w.nets["blue"]
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.ContainsFunc(n.ops, func(op sdk.Op) bool {
			m, ok := op.(*sdk.SendMessage)
			return ok && m.Sender.Avatar != nil && m.Sender.Avatar.Type == "image/png"
		})
	})
}

// Edits, reactions, replies, threads and retractions find the message by each network's own id.
func TestLinkCarriesChanges(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	alice := w.in("alice")
	w.deliver("red", says("@bob:hs", "$r1", "helo"))
	said := alice.hears("Bob", "helo")
	ids := map[string]sdk.RemoteMessageID{"red": "$r1"}
	for _, side := range []string{"green", "blue"} {
		ids[side] = w.nets[side].remoteID(w.sent(side, "helo"))
	}

	w.deliver("red", &sdk.Edit{EventHeader: head("$e1", "@bob:hs"), Target: sdk.MessageRef{ID: "$r1"}, Content: sdk.Content{Body: richtext.FromPlain("hello")}})
	for _, side := range []string{"green", "blue"} {
		op := awaitOp(t, w.nets[side], any1[*sdk.EditMessage])
		if op.Target.ID != ids[side] || op.Content.Body.Plain() != "hello" || op.Target.Author.Person != op.Sender.Person || op.Sender.Name != "Bob" {
			t.Errorf("%s: %+v", side, op)
		}
	}

	// A reply from green to the message of red, on blue and on red.
	answer := says("@eve:hs", "$g1", "as you said")
	answer.Content.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: ids["green"]}}
	w.deliver("green", answer)
	for _, side := range []string{"red", "blue"} {
		op := w.sent(side, "as you said")
		if r := op.Content.ReplyTo; r == nil || r.Target.ID != ids[side] || r.Author != "Bob" {
			t.Errorf("%s: %+v", side, op.Content.ReplyTo)
		}
	}
	if op := w.sent("red", "as you said"); op.Content.ReplyTo.Target.Author.User != "@bob:hs" {
		t.Errorf("on red Bob is %+v", op.Content.ReplyTo.Target.Author)
	}

	// Reactions: the whole set, and what has changed for each network.
	react := func(id, emoji string) {
		w.deliver("blue", &sdk.Reaction{EventHeader: head(id, "@eve:hs"), Target: sdk.MessageRef{ID: ids["blue"]}, Change: sdk.ReactionAdd, Emoji: []sdk.Emoji{{Text: emoji}}, Message: sdk.RemoteMessageID(id)})
	}
	react("$x1", "👍")
	react("$x2", "🎉")
	for _, side := range []string{"red", "green"} {
		op := awaitOp(t, w.nets[side], func(op *sdk.SetReactions) bool { return len(op.Emoji) == 2 })
		if op.Target.ID != ids[side] || len(op.Added) != 1 || op.Added[0].Text != "🎉" || len(op.Removed) != 0 || op.Sender.Name != "Eve" {
			t.Errorf("%s: %+v", side, op)
		}
	}
	w.deliver("blue", &sdk.Retract{EventHeader: head("$x3", "@eve:hs"), Target: sdk.MessageRef{ID: "$x1"}})
	for _, side := range []string{"red", "green"} {
		op := awaitOp(t, w.nets[side], func(op *sdk.SetReactions) bool { return len(op.Removed) == 1 })
		if op.Removed[0].Text != "👍" || len(op.Emoji) != 1 {
			t.Errorf("%s: %+v", side, op)
		}
	}
	alice.says("a1", "<reactions xmlns='urn:xmpp:reactions:0' id='"+archived(said)+"'><reaction>🚀</reaction></reactions><store xmlns='urn:xmpp:hints'/>")
	for _, side := range sides {
		if op := awaitOp(t, w.nets[side], func(op *sdk.SetReactions) bool { return op.Sender.Name == "alice" }); op.Target.ID != ids[side] {
			t.Errorf("%s: %+v", side, op)
		}
	}

	// A thread that red has begun is one thread everywhere.
	first := says("@bob:hs", "$t1", "in a thread")
	first.Content.Thread = &sdk.Thread{ID: "$r1", Root: sdk.MessageRef{ID: "$r1"}}
	w.deliver("red", first)
	threaded := alice.until("the thread", func(n *xmlstream.Node) bool { return textOf(n) == "in a thread" })
	name := child(threaded, ns.Client, "thread").TextContent()
	if op := w.sent("green", "in a thread"); op.Content.Thread == nil || op.Content.Thread.ID != "" || op.Content.Thread.Root.ID != ids["green"] {
		t.Errorf("green: %+v", op.Content.Thread)
	}
	second := says("@eve:hs", "$t2", "from green in the thread")
	second.Content.Thread = &sdk.Thread{ID: string(ids["green"]), Root: sdk.MessageRef{ID: ids["green"]}}
	w.deliver("green", second)
	n := alice.until("the second", func(n *xmlstream.Node) bool { return textOf(n) == "from green in the thread" })
	if th := child(n, ns.Client, "thread"); th == nil || th.TextContent() != name {
		t.Errorf("green's thread is %s, red's %q", n, name)
	}
	if op := w.sent("red", "from green in the thread"); op.Content.Thread == nil || op.Content.Thread.ID != "$r1" || op.Content.Thread.Root.ID != "$r1" {
		t.Errorf("red: %+v", op.Content.Thread)
	}
	alice.says("a2", body("from here in the thread")+"<thread>"+name+"</thread>")
	if op := w.sent("blue", "from here in the thread"); op.Content.Thread == nil || op.Content.Thread.Root.ID != ids["blue"] {
		t.Errorf("blue: %+v", op.Content.Thread)
	}

	w.deliver("red", &sdk.Retract{EventHeader: head("$d1", "@bob:hs"), Target: sdk.MessageRef{ID: "$r1"}})
	for _, side := range []string{"green", "blue"} {
		if op := awaitOp(t, w.nets[side], any1[*sdk.RetractMessage]); op.Target.ID != ids[side] || op.Moderated {
			t.Errorf("%s: %+v", side, op)
		}
	}
	// What is taken back is taken back once.
	w.deliver("green", &sdk.Retract{EventHeader: head("$d2", "@eve:hs"), Target: sdk.MessageRef{ID: ids["green"]}, Moderated: true})
	alice.says("a3", body("the end"))
	w.sent("red", "the end")
	w.nets["red"].mu.Lock()
	defer w.nets["red"].mu.Unlock()
	if slices.ContainsFunc(w.nets["red"].ops, func(op sdk.Op) bool { _, ok := op.(*sdk.RetractMessage); return ok }) {
		t.Error("red was told of its own retraction")
	}
}

func TestLinkModeration(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	if err := w.other.rooms.EnsureRoom(context.Background(), specOf(linkRoom, "alice@example.org", "owner")); err != nil {
		t.Fatal(err)
	}
	alice := w.in("alice")
	w.deliver("red", says("@eve:hs", "$r1", "spam"))
	said := alice.hears("Eve", "spam")
	for _, side := range []string{"green", "blue"} {
		w.sent(side, "spam")
	}
	done := alice.ask("set", linkRoom.String(), "<moderate xmlns='urn:xmpp:message-moderate:1' id='"+archived(said)+"'><retract xmlns='urn:xmpp:message-retract:1'/><reason>spam</reason></moderate>")
	if done.Attr("type") != "result" {
		t.Fatalf("%s", done)
	}
	for _, side := range sides {
		if op := awaitOp(t, w.nets[side], any1[*sdk.RetractMessage]); !op.Moderated || op.Reason != "spam" {
			t.Errorf("%s: %+v", side, op)
		}
	}
	// She is put out of the room on her own network only.
	alice.ask("set", linkRoom.String(), "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Eve' role='none'/></query>")
	if op := awaitOp(t, w.nets["red"], any1[*sdk.Moderate]); op.User != "@eve:hs" || op.Action != sdk.ModerateKick {
		t.Errorf("%+v", op)
	}
	// What networks do to people of this side, or say of their own, changes nothing in the room.
	carol := w.in("carol")
	carol.says("c1", body("hello"))
	person := w.sent("green", "hello").Sender.Person
	w.deliver("green", &sdk.Membership{EventHeader: head("$b1", "@bob:hs"), Member: sdk.Party{Person: person}, Change: sdk.MembershipBan},
		&sdk.Membership{EventHeader: head("$k1", "@bob:hs"), Member: sdk.Party{Person: person}, Change: sdk.MembershipKick},
		&sdk.Rights{EventHeader: head("$o1", "@bob:hs"), Member: sdk.Party{User: "@bob:hs"}, Role: sdk.RoleOwner})
	carol.says("c2", body("still here"))
	list, err := w.Data().Rooms().Affiliations(context.Background(), linkRoom.String(), "", storage.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.JID != "root@example.org" && a.JID != "alice@example.org" {
			t.Errorf("the room's list has %+v", a)
		}
	}
	w.nets["blue"].mu.Lock()
	defer w.nets["blue"].mu.Unlock()
	if slices.ContainsFunc(w.nets["blue"].ops, func(op sdk.Op) bool { _, ok := op.(*sdk.Moderate); return ok }) {
		t.Error("blue was told to put somebody out")
	}
}

// Topics: the last change counts, and nobody gets the one that it has.
func TestLinkTopics(t *testing.T) {
	w := newLinked(t, linkOptions{net: func(name string, n *fakeNet) {
		info := n.rooms["!Ops:hs"]
		if info.Topic = ""; name == "red" {
			info.Topic = "all is well"
		}
		n.rooms["!Ops:hs"] = info
	}})
	w.link(sides...)
	alice := w.in("alice")
	topics := func(side string) (out []string) {
		n := w.nets[side]
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, op := range n.ops {
			if s, ok := op.(*sdk.SetTopic); ok {
				out = append(out, s.Topic)
			}
		}
		return out
	}
	set := func(side, id, topic string, at time.Time) {
		e := &sdk.RoomChanged{EventHeader: head(id, "@bob:hs"), Topic: &topic}
		e.Time = at
		w.deliver(side, e)
	}
	now := time.Now().Add(time.Minute)
	set("green", "$t1", "green wins", now)
	alice.until("green's topic", func(n *xmlstream.Node) bool {
		s := n.Child(ns.Client, "subject")
		return s != nil && s.TextContent() == "green wins" && strings.HasSuffix(n.Attr("from"), "/Bob") || s != nil && s.TextContent() == "green wins"
	})
	for _, side := range []string{"red", "blue"} {
		awaitOp(t, w.nets[side], func(op *sdk.SetTopic) bool { return op.Topic == "green wins" })
	}
	// Red reports what it was given, as its own; that is the end of it.
	set("red", "$t2", "green wins", now.Add(time.Second))
	// Blue reports one that is older: it gets ours once more.
	set("blue", "$t3", "an old one", now.Add(-time.Hour))
	w.nets["blue"].await(t, "the topic again", func() bool {
		n := 0
		for _, op := range w.nets["blue"].ops {
			if s, ok := op.(*sdk.SetTopic); ok && s.Topic == "green wins" {
				n++
			}
		}
		return n == 2
	})
	alice.Send("<message to='" + linkRoom.String() + "' type='groupchat' id='s1'><subject>be nice</subject></message>")
	alice.until("the refusal or the subject", func(n *xmlstream.Node) bool { return n.Attr("id") == "s1" })
	if got := topics("green"); slices.Contains(got, "green wins") || slices.Contains(got, "an old one") {
		t.Errorf("green was given %q", got)
	}
	if got := topics("red"); slices.Contains(got, "an old one") {
		t.Errorf("red was given %q", got)
	}
}

// A network that is away delays nobody but itself, and gets everything in order when it is back.
func TestLinkOutage(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	alice := w.in("alice")
	w.detach("green")
	w.awaitAway("green")
	alice.says("a1", body("one")+"<request xmlns='urn:xmpp:receipts'/>")
	w.deliver("red", says("@bob:hs", "$r1", "two"))
	alice.says("a2", body("three"))
	w.awaitTexts("blue", "one", "two", "three")
	w.awaitTexts("red", "one", "three")
	s := w.status("what waits", func(s gateway.LinkStatus) bool {
		return s.Remotes[1].Portal.Waiting == 3 && s.Remotes[0].Portal.Sent == 2
	})
	if s.Remotes[1].State != "away" || s.Remotes[0].State != "connected" || s.Remotes[0].Portal.Sent != 2 {
		t.Errorf("%+v", s)
	}
	w.attach("green")
	w.awaitTexts("green", "one", "two", "three")
	// The receipt comes when the last has it.
	n := alice.having(ns.Receipts, "received")
	if child(n, ns.Receipts, "received").Attr("id") != "a1" {
		t.Errorf("%s", n)
	}
}

// What one network refuses the others have; it is told, kept, and sent again when asked.
func TestLinkRefusal(t *testing.T) {
	w := newLinked(t, linkOptions{net: func(name string, n *fakeNet) {
		if name == "green" {
			n.answer = func(op sdk.Op) (sdk.Delivered, error) {
				if m, ok := op.(*sdk.SendMessage); ok && strings.HasPrefix(m.Content.Body.Plain(), "bad") {
					return sdk.Delivered{}, sdk.Refuse(sdk.CodeForbidden, "the channel is archived")
				}
				return sdk.Delivered{}, nil
			}
		}
	}})
	w.link(sides...)
	alice := w.in("alice")
	alice.says("a1", body("bad news")+"<request xmlns='urn:xmpp:receipts'/>")
	n := alice.until("the error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" })
	if n.Attr("id") != "a1" || n.Attr("from") != linkRoom.String() || errorText(child(n, ns.Client, "error")) != "Green: the channel is archived." {
		t.Errorf("%s", n)
	}
	w.deliver("red", says("@bob:hs", "$r1", "bad from red"))
	w.awaitTexts("blue", "bad news", "bad from red")
	alice.says("a2", body("good news"))
	w.awaitTexts("red", "bad news", "good news")
	w.awaitTexts("green", "good news")
	s := w.status("two dead letters", func(s gateway.LinkStatus) bool { return len(s.Remotes[1].Dead) == 2 })
	if d := s.Remotes[1].Dead[0]; d.Op != "say" || d.Who != "alice@example.org" || d.Reason != "the channel is archived" || s.Remotes[1].Portal.Refused != 2 {
		t.Errorf("%+v", s.Remotes[1])
	}
	w.nets["green"].mu.Lock()
	w.nets["green"].answer = nil
	w.nets["green"].mu.Unlock()
	if sent, err := w.gw.ReplayLink(context.Background(), linkRoom, remotesOf("red")); err != nil || sent != 0 {
		t.Errorf("red: %d, %v", sent, err)
	}
	sent, err := w.gw.ReplayLink(context.Background(), linkRoom, remotesOf("green"))
	if err != nil || sent != 2 {
		t.Fatal(sent, err)
	}
	w.awaitTexts("green", "good news", "bad news", "bad from red")
	w.status("no dead letters", func(s gateway.LinkStatus) bool {
		return len(s.Remotes[1].Dead) == 0 && s.Remotes[1].Portal.Waiting == 0
	})
	// It is the same message: a correction finds it.
	alice.says("a3", body("better news")+"<replace xmlns='urn:xmpp:message-correct:0' id='a1'/>")
	if op := awaitOp(t, w.nets["green"], any1[*sdk.EditMessage]); op.Target.ID != w.nets["green"].remoteID(w.sent("green", "bad news")) {
		t.Errorf("%+v", op)
	}
}

// A foreign bridge between red and green is found within three echoes; people who agree are not.
func TestLinkQuarantine(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	root := w.Login(t, "root@example.org/desk")
	root.Online()
	alice := w.in("alice")
	for i := range 3 {
		for _, side := range sides {
			w.deliver(side, says("@eve:hs", "$plus"+side+string(rune('0'+i)), "+1"))
		}
	}
	if s := w.status("the link", func(gateway.LinkStatus) bool { return true }); s.Paused {
		t.Fatalf("people who agree: %+v", s)
	}
	alice.says("a1", body("is anybody here?"))
	text := "is anybody here?"
	name := "alice"
	for i := range 3 {
		w.sent("green", text) // what the foreign bridge hears
		text = "<" + name + "> " + text
		name = "relay"
		w.nets["red"].mu.Lock()
		w.nets["red"].users["@relay:hs"] = sdk.UserInfo{ID: "@relay:hs", Name: "relay"}
		w.nets["red"].mu.Unlock()
		w.deliver("red", says("@relay:hs", "$echo"+string(rune('0'+i)), text))
	}
	s := w.status("the quarantine", func(s gateway.LinkStatus) bool { return s.Quarantined })
	if !strings.Contains(s.Reason, "relay%hs@red.example.org") {
		t.Errorf("%+v", s)
	}
	told := (&person{root, t}).message()
	if !strings.Contains(textOf(told), "viaduct link resume ops@rooms.example.org") {
		t.Errorf("%s", told)
	}
	// What people say meanwhile waits, echoes do not.
	w.deliver("red", says("@relay:hs", "$echo9", "<relay> "+text))
	alice.says("a2", body("what has happened?"))
	w.Restart(t)
	w.attachAll()
	if s := w.status("the quarantine after a restart", func(s gateway.LinkStatus) bool { return s.Quarantined }); s.Remotes[1].State != "paused" {
		t.Errorf("%+v", s)
	}
	if err := w.gw.ResumeLink(context.Background(), linkRoom); err != nil {
		t.Fatal(err)
	}
	w.sent("green", "what has happened?")
	w.nets["green"].mu.Lock()
	defer w.nets["green"].mu.Unlock()
	if got := w.nets["green"].texts(); len(got) != 1+6+2+1 || slices.Contains(got, "<relay> "+text) {
		t.Errorf("green has %q", got)
	}
}

func TestLinkPause(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link("red", "green")
	alice := w.in("alice")
	ctx := context.Background()
	if err := w.gw.PauseLink(ctx, linkRoom, "maintenance"); err != nil {
		t.Fatal(err)
	}
	alice.says("a1", body("later"))
	w.deliver("red", says("@bob:hs", "$1", "shown at once"))
	alice.hears("Bob", "shown at once")
	s := w.status("what waits", func(s gateway.LinkStatus) bool {
		return s.Remotes[0].Portal.Waiting == 1 && s.Remotes[1].Portal.Waiting == 2
	})
	if !s.Paused || s.Quarantined || s.Reason != "maintenance" {
		t.Errorf("%+v", s)
	}
	if err := w.gw.ResumeLink(ctx, linkRoom); err != nil {
		t.Fatal(err)
	}
	w.awaitTexts("green", "later", "shown at once")
	if err := w.gw.PauseLink(ctx, jid.MustParse("none@rooms.example.org"), ""); err == nil {
		t.Error("a room without a link was paused")
	}
}
