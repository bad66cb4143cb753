package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// proxy knows the links that it gives.
type proxy struct{ shelf }

func (p proxy) Known(ctx context.Context, link string) (sdk.Media, bool) {
	if name, ok := strings.CutPrefix(link, "https://example.org/proxy/"); ok {
		return sdk.Media{ID: sdk.MediaID("proxied:" + name), Name: name, Type: "image/png", Size: 100}, true
	}
	return p.shelf.Known(ctx, link)
}

// A file of one network is a file on the others.
func TestLinkFiles(t *testing.T) {
	w := newLinked(t, linkOptions{media: proxy{}})
	w.link(sides...)
	alice := w.in("alice")
	e := says("@bob:hs", "$f1", "")
	e.Content = sdk.Content{Attachments: []sdk.Attachment{{Media: sdk.Media{ID: "mxc://f1", Lazy: true, Name: "cat.png", Type: "image/png", Size: 100}}}}
	w.deliver("red", e)
	alice.until("the link", func(n *xmlstream.Node) bool { return textOf(n) == "https://example.org/proxy/cat.png" })
	alice.says("a1", "<body>https://example.org/f/dog.png</body><x xmlns='jabber:x:oob'><url>https://example.org/f/dog.png</url></x>")
	for _, side := range []string{"green", "blue"} {
		for _, want := range []sdk.MediaID{"proxied:cat.png", "shelf:dog.png"} {
			op := awaitOp(t, w.nets[side], func(op *sdk.SendMessage) bool {
				return len(op.Content.Attachments) == 1 && op.Content.Attachments[0].Media.ID == want
			})
			if !op.Content.Body.Empty() {
				t.Errorf("%s: beside the file stands %q", side, op.Content.Body.Plain())
			}
		}
	}
}

// Formatting and mentions arrive.
func TestLinkFormatting(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link(sides...)
	alice := w.in("alice")
	alice.says("a1", body("I am here"))
	who := w.sent("red", "I am here").Sender
	e := says("@bob:hs", "$1", "")
	e.Content.Body = richtext.Doc(richtext.Para(richtext.Bold(richtext.Text("look")), richtext.Text(" at this, "),
		richtext.Node{Kind: richtext.KindMention, Text: "alice", Mention: richtext.Mention{Target: richtext.MentionUser, Person: string(who.Person)}}))
	w.deliver("red", e)
	op := w.sent("blue", "look at this, alice")
	bold, called := false, false
	op.Content.Body.Walk(func(n richtext.Node) bool {
		bold = bold || n.Kind == richtext.KindBold
		called = called || n.Kind == richtext.KindMention
		return true
	})
	if m := op.Content.Body.Mentions(); len(m) != 1 || m[0].Address != "alice@example.org" {
		t.Errorf("%+v", m)
	}
	if !bold || !called {
		t.Errorf("%+v", op.Content.Body)
	}
}

// Two rooms of one network in one link: its people are the same in both, and leave when they have left both.
func TestLinkTwoOfOneBridge(t *testing.T) {
	w := newLinked(t, linkOptions{net: func(_ string, n *fakeNet) {
		dev := n.rooms["!Ops:hs"]
		dev.Portal.Room, dev.Name = "!Dev:hs", "Developers"
		n.rooms["!Dev:hs"], n.aliases["#dev:hs"] = dev, "!Dev:hs"
	}})
	w.link("red", "green")
	if got, err := w.gw.AddLink(context.Background(), linkRoom, []gateway.RemoteName{{Bridge: "red", Room: "#dev:hs"}}, jid.JID{}); err != nil || got[0].Err != nil {
		t.Fatal(got, err)
	}
	alice := w.in("alice")
	w.deliver("red", says("@bob:hs", "$1", "from ops"))
	op := w.sent("red", "from ops")
	if op.Portal.Room != "!Dev:hs" || op.Sender.Name != "Bob" {
		t.Errorf("%+v", op)
	}
	w.sent("green", "from ops")
	echo := says("", string(w.nets["red"].remoteID(op)), "from ops")
	echo.Portal.Room, echo.Actor, echo.Own = "!Dev:hs", sdk.Party{Person: op.Sender.Person}, true
	w.deliver("red", echo)
	// Eve answers there; the answer is to Bob himself here, and to our copy there.
	answer := says("@eve:hs", "$2", "from dev")
	answer.Portal.Room = "!Dev:hs"
	answer.Content.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: w.nets["red"].remoteID(op)}}
	w.deliver("red", answer)
	back := w.sent("red", "from dev")
	if r := back.Content.ReplyTo; back.Portal.Room != "!Ops:hs" || r == nil || r.Target.ID != "$1" || r.Target.Author.User != "@bob:hs" {
		t.Errorf("%+v %+v", back, r)
	}
	alice.says("a1", body("from here"))
	w.nets["red"].await(t, "both rooms", func() bool {
		var rooms []string
		for _, o := range w.nets["red"].ops {
			if m, ok := o.(*sdk.SendMessage); ok && m.Content.Body.Plain() == "from here" {
				rooms = append(rooms, string(m.Portal.Room))
			}
		}
		slices.Sort(rooms)
		return slices.Equal(rooms, []string{"!Dev:hs", "!Ops:hs"})
	})
	leave := func(id string, room sdk.RemoteRoomID) {
		e := &sdk.Membership{EventHeader: head(id, "@bob:hs"), Member: sdk.Party{User: "@bob:hs"}, Change: sdk.MembershipLeave}
		e.Portal.Room = room
		w.deliver("red", e)
	}
	leave("$l1", "!Ops:hs")
	w.deliver("green", says("@eve:hs", "$3", "is Bob still here?"))
	alice.until("the question", func(n *xmlstream.Node) bool {
		if n.Attr("from") == linkRoom.String()+"/Bob" && n.Attr("type") == "unavailable" {
			t.Error("Bob has left although he is in the other room")
		}
		return textOf(n) == "is Bob still here?"
	})
	leave("$l2", "!Dev:hs")
	alice.until("Bob leaves", func(n *xmlstream.Node) bool {
		return n.Attr("type") == "unavailable" && strings.HasPrefix(n.Attr("from"), linkRoom.String()+"/Bob")
	})
}

// A remote room that is no more: the others go on, what waited for it is told and kept.
func TestLinkPortalGone(t *testing.T) {
	w := newLinked(t, linkOptions{})
	w.link("red", "green")
	alice := w.in("alice")
	if err := w.gw.Pause("green"); err != nil {
		t.Fatal(err)
	}
	alice.says("a1", body("too late"))
	w.deliver("green", &sdk.PortalGone{EventHeader: sdk.EventHeader{Portal: ops, ID: "$gone"}, Code: sdk.CodeRoomGone, Reason: "deleted"})
	alice.until("the news", func(n *xmlstream.Node) bool {
		return strings.Contains(textOf(n), "Green: this room is no longer bridged")
	})
	if err := w.gw.Resume(context.Background(), "green"); err != nil {
		t.Fatal(err)
	}
	n := alice.until("the error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" })
	if n.Attr("id") != "a1" {
		t.Errorf("%s", n)
	}
	alice.says("a2", body("red is here"))
	w.awaitTexts("red", "too late", "red is here")
	s := w.status("a dead letter", func(s gateway.LinkStatus) bool { return len(s.Remotes[1].Dead) == 1 })
	if s.Remotes[1].State != "gone" || s.Remotes[1].Portal.Waiting != 0 {
		t.Errorf("%+v", s.Remotes[1])
	}
}

// Where a portal is alone, what is refused is taken back for all, and kept with its text.
func TestDeadLetterOfAPortalAlone(t *testing.T) {
	w := newWorld(t, worldOptions{net: func(n *fakeNet) {
		n.answer = func(op sdk.Op) (sdk.Delivered, error) {
			if _, ok := op.(*sdk.SendMessage); ok {
				return sdk.Delivered{}, sdk.Refuse(sdk.CodeForbidden, "not here")
			}
			return sdk.Delivered{}, nil
		}
	}})
	alice := w.in("alice")
	alice.say("m1", "refused words")
	alice.until("the error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" })
	rows, err := w.Data().Table("gateway.dead").Range(context.Background(), "fake\x1f\x1f!Ops:hs", "", "", 10, false)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d dead letters, %v", len(rows), err)
	}
	var d struct {
		Body   []byte `json:"body"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(rows[0].Value, &d); err != nil || d.Reason != "not here" || !strings.Contains(string(d.Body), "refused words") {
		t.Errorf("%+v, %v", d, err)
	}
}

// Two who replay at the same moment do not send anything twice.
func TestLinkReplayTwice(t *testing.T) {
	const letters = 40
	w := newLinked(t, linkOptions{net: func(name string, n *fakeNet) {
		if name == "green" {
			n.answer = func(op sdk.Op) (sdk.Delivered, error) {
				if _, ok := op.(*sdk.SendMessage); ok {
					return sdk.Delivered{}, sdk.Refuse(sdk.CodeForbidden, "the channel is archived")
				}
				return sdk.Delivered{}, nil
			}
		}
	}})
	w.link(sides...)
	for i := range letters {
		w.deliver("red", says("@bob:hs", fmt.Sprint("$r", i), fmt.Sprint("letter ", i)))
	}
	w.status("all are dead letters", func(s gateway.LinkStatus) bool { return len(s.Remotes[1].Dead) == letters })
	w.nets["green"].mu.Lock()
	w.nets["green"].answer = nil
	w.nets["green"].mu.Unlock()
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		wg.Go(func() {
			n, err := w.gw.ReplayLink(context.Background(), linkRoom, nil)
			if err != nil {
				t.Error(err)
			}
			sent.Add(int64(n))
		})
	}
	wg.Wait()
	if sent.Load() != letters {
		t.Errorf("%d of %d dead letters were sent", sent.Load(), letters)
	}
}
