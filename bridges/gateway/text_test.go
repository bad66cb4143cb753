package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestTextBothWays(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.person("alice")
	alice.Send("<presence to='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.Expect("<presence from='" + opsRoom + "/Bob'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='admin' role='moderator' jid='" + bobJID + "'/></x>...</presence>")
	alice.Expect("<presence from='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/>...</x>...</presence>")
	alice.Expect("<message type='groupchat' from='" + opsRoom + "'><subject>all is well</subject>...</message>")

	w.deliver(says("@bob:hs", "$1", "hello there"))
	alice.hears("Bob", "hello there")
	alice.say("m1", "hi Bob")
	op := awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == "hi Bob" })
	if s := op.Sender; s.Address != "alice@example.org" || s.Name != "alice" || s.Foreign || op.Portal != ops || len(op.ID) != 26 || op.Attempt != 1 || op.Doubt {
		t.Errorf("sender %+v, operation %+v", s, op.OpHeader)
	}
}

func TestPuppetSpeaksThatWasNotThere(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	w.deliver(says("@eve:hs", "$1", "me too"))
	seen := false
	alice.until("the message", func(n *xmlstream.Node) bool {
		if n.Name.Local == "presence" && n.Attr("from") == opsRoom+"/Eve" {
			seen = true
		}
		return textOf(n) == "me too"
	})
	if !seen {
		t.Error("she spoke before she had entered")
	}
}

func TestNickOfPersonHereIsHers(t *testing.T) {
	w := newWorld(t, worldOptions{net: func(n *fakeNet) {
		n.users["@x:hs"] = sdk.UserInfo{ID: "@x:hs", Name: "аliсе"} // Cyrillic а and с
	}})
	alice := w.in("alice")
	w.deliver(says("@x:hs", "$1", "I am alice"))
	alice.hears("аliсе (hs)", "I am alice")
}

func TestDeliveredAgainIsShownOnce(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	first := says("@bob:hs", "$1", "one")
	w.deliver(first)
	w.deliver(first, says("@bob:hs", "$2", "two"), first)
	w.deliver(says("@bob:hs", "$2", "two"), says("@bob:hs", "$3", "three"))
	for _, text := range []string{"one", "two", "three"} {
		alice.hears("Bob", text)
	}
	if s, _ := w.gw.Status(context.Background(), "fake"); s.Duplicates != 3 {
		t.Errorf("%d repetitions were recognised", s.Duplicates)
	}
}

func TestManyEventsKeepTheirOrder(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	const n = 300
	var tickets []*sdk.Ticket
	for i := range n {
		tk, err := w.net.host.DeliverAsync(context.Background(), sdk.Batch{Events: []sdk.Event{says("@bob:hs", fmt.Sprintf("$%d", i), fmt.Sprintf("no %d", i))},
			Cursors: []sdk.CursorMark{{Cursor: sdk.Cursor(fmt.Sprint(i))}}})
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, tk)
	}
	for _, tk := range tickets {
		if _, err := tk.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		alice.hears("Bob", fmt.Sprintf("no %d", i))
	}
	w.detach()
	w.awaitAway()
	w.attach()
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if r := w.net.resume; len(r.Cursors) != 1 || r.Cursors[0].Cursor != sdk.Cursor(fmt.Sprint(n-1)) || r.First || !slices.Contains(r.Portals, ops) {
		t.Errorf("resume: %+v", r)
	}
}

func TestPluginAwayMessagesWait(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	w.detach()
	w.awaitAway()
	for i := range 5 {
		alice.Send(fmt.Sprintf("<message to='%s' type='groupchat' id='m%d'><body>wait %d</body></message>", opsRoom, i, i))
	}
	told := 0
	for range 6 {
		if n := alice.message(); n.Attr("from") == opsRoom {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the room was told %d times", told)
	}
	w.attach()
	w.net.await(t, "five messages", func() bool { return len(w.net.texts()) >= 5 })
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if got := w.net.texts(); !slices.Equal(got, []string{"wait 0", "wait 1", "wait 2", "wait 3", "wait 4"}) {
		t.Errorf("%q", got)
	}
}

func TestRestartKeepsWhatWaits(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	w.detach()
	w.awaitAway()
	alice.say("m1", "kept")
	alice.say("m2", "kept too")
	alice.Drop()
	w.Restart(t)
	w.attach()
	w.net.await(t, "the messages", func() bool { return slices.Equal(w.net.texts(), []string{"kept", "kept too"}) })
	again := w.in("alice")
	w.deliver(says("@bob:hs", "$1", "back"))
	again.hears("Bob", "back")
}

// A 429 in one portal: it waits, order is kept, and other portals go on.
func TestRateLimitStallsOnePortal(t *testing.T) {
	var limited atomic.Int32
	release := make(chan struct{})
	w := newWorld(t, worldOptions{tune: gateway.Tuning{RetryMin: time.Millisecond}, net: func(n *fakeNet) {
		n.rooms["!Dev:hs"] = sdk.ChatInfo{Portal: sdk.PortalKey{Room: "!Dev:hs"}, Kind: sdk.ChatRoom, Name: "Dev"}
		n.answer = func(op sdk.Op) (sdk.Delivered, error) {
			select {
			case <-release:
				return sdk.Delivered{}, nil
			default:
			}
			if _, ok := op.(*sdk.SendMessage); ok && op.Head().Portal == ops {
				limited.Add(1)
				return sdk.Delivered{}, sdk.RetryAfter(5*time.Millisecond, errors.New("429"))
			}
			return sdk.Delivered{}, nil
		}
	}})
	alice := w.in("alice")
	alice.say("m1", "first")
	alice.say("m2", "second")
	const dev = "!dev~1%hs@rooms.fake.example.org"
	alice.Send("<presence to='" + dev + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	alice.Send("<message to='" + dev + "' type='groupchat' id='d1'><body>elsewhere</body></message>")
	awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == "elsewhere" })
	close(release)
	w.net.await(t, "what was limited", func() bool { return len(w.net.texts()) == 3 })
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	if got := w.net.texts(); !slices.Equal(got, []string{"elsewhere", "first", "second"}) || limited.Load() == 0 {
		t.Errorf("%q after %d refusals", got, limited.Load())
	}
}

func TestRefusedForGoodIsTakenBack(t *testing.T) {
	w := newWorld(t, worldOptions{net: func(n *fakeNet) {
		n.answer = func(op sdk.Op) (sdk.Delivered, error) {
			if m, ok := op.(*sdk.SendMessage); ok && m.Content.Body.Plain() == "bad word" {
				return sdk.Delivered{}, sdk.Refuse(sdk.CodeBlocked, "the room's rules forbid this")
			}
			return sdk.Delivered{}, nil
		}
	}})
	alice := w.in("alice")
	carol := w.in("carol")
	said := carol.say("m1", "bad word")
	id := archived(said)
	retraction := alice.having(ns.Retract, "retract")
	if got := child(retraction, ns.Retract, "retract").Attr("id"); got != id || id == "" {
		t.Errorf("%s is taken back, not %s", got, id)
	}
	e := carol.until("an error", func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Attr("type") == "error" })
	if text := child(child(e, ns.Client, "error"), ns.Stanzas, "text"); text == nil || text.TextContent() != "Fakenet: the room's rules forbid this." {
		t.Errorf("the sender is told %s", e)
	}
	carol.say("m2", "good word")
	awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == "good word" })
}

// The network takes the message, but the session breaks before the answer: it is in doubt and comes again under the same id.
func TestLostAnswer(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprint("idempotent=", idempotent), func(t *testing.T) {
			var w *world
			var lost atomic.Bool
			seen := make(chan sdk.OpHeader, 10)
			w = newWorld(t, worldOptions{net: func(n *fakeNet) {
				n.idempotent = idempotent
				n.answer = func(op sdk.Op) (sdk.Delivered, error) {
					if _, ok := op.(*sdk.SendMessage); !ok {
						return sdk.Delivered{}, nil
					}
					seen <- *op.Head()
					if lost.CompareAndSwap(false, true) {
						n.accept(op)
						return sdk.Delivered{}, sdk.ErrSessionLost
					}
					if op.Head().Doubt { // a bridge looks before it repeats
						n.mu.Lock()
						defer n.mu.Unlock()
						return n.byOp[op.Head().ID], nil
					}
					return sdk.Delivered{}, nil
				}
			}})
			alice := w.in("alice")
			alice.say("m1", "once")
			first := <-seen
			second := <-seen
			if first.ID != second.ID || first.Doubt || !second.Doubt || second.Attempt != 2 {
				t.Errorf("first %+v, second %+v", first, second)
			}
			alice.say("m2", "next")
			awaitOp(t, w.net, func(op *sdk.SendMessage) bool { return op.Content.Body.Plain() == "next" })
			// The network's own event of what was in doubt is known.
			w.net.mu.Lock()
			part := w.net.byOp[first.ID].Parts[0].Remote
			w.net.mu.Unlock()
			echo := says("", string(part), "once")
			echo.Own = true
			w.deliver(echo, says("@bob:hs", "$b", "done"))
			alice.hears("Bob", "done")
		})
	}
}

// An event of our own sender that comes before the answer waits for it.
func TestEchoBeforeTheAnswer(t *testing.T) {
	hold := make(chan struct{})
	begun := make(chan struct{})
	w := newWorld(t, worldOptions{net: func(n *fakeNet) {
		n.answer = func(op sdk.Op) (sdk.Delivered, error) {
			if _, ok := op.(*sdk.SendMessage); ok {
				close(begun)
				<-hold
				return sdk.DeliveredAs("$mine", time.Now()), nil
			}
			return sdk.Delivered{}, nil
		}
	}})
	alice := w.in("alice")
	alice.say("m1", "mine")
	<-begun
	echo := says("@bot:hs", "$mine", "mine")
	echo.Own = true
	tk, err := w.net.host.DeliverAsync(context.Background(), sdk.Batch{Events: []sdk.Event{echo, says("@bob:hs", "$1", "after")}})
	if err != nil {
		t.Fatal(err)
	}
	close(hold)
	if _, err := tk.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	alice.hears("Bob", "after")
	foreign := says("@bot:hs", "$other", "the webhook was used by somebody else")
	foreign.Own = true
	w.deliver(foreign)
	if n := alice.message(); textOf(n) != "the webhook was used by somebody else" {
		t.Errorf("heard %s", n)
	}
}

func TestProgressIsRemembered(t *testing.T) {
	begun := make(chan sdk.OpID, 1)
	hold := make(chan struct{})
	var calls atomic.Int32
	again := make(chan sdk.OpHeader, 1)
	w := newWorld(t, worldOptions{net: func(n *fakeNet) {
		n.answer = func(op sdk.Op) (sdk.Delivered, error) {
			if _, ok := op.(*sdk.SendMessage); !ok {
				return sdk.Delivered{}, nil
			}
			if calls.Add(1) == 1 {
				begun <- op.Head().ID
				<-hold
				return sdk.Delivered{}, sdk.RetryAfter(0, errors.New("broken in the middle"))
			}
			again <- *op.Head()
			return sdk.Delivered{}, nil
		}
	}})
	alice := w.in("alice")
	alice.say("m1", "long")
	id := <-begun
	w.deliver(&sdk.Progress{EventHeader: sdk.EventHeader{Portal: ops}, Op: id, Parts: []sdk.Part{{ID: "1", Remote: "$part1"}}})
	close(hold)
	if h := <-again; len(h.Prior) != 1 || h.Prior[0].Remote != "$part1" || !h.Doubt {
		t.Errorf("%+v", h)
	}
}

func TestFormatting(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	m := says("@bob:hs", "$1", "")
	m.Content.Body = richtext.Doc(richtext.Para(richtext.Text("be "), richtext.Bold(richtext.Text("bold")), richtext.Text(", alice")))
	w.deliver(m)
	alice.hears("Bob", "be *bold*, alice")
	alice.say("m1", "Bob: *really*")
	op := awaitOp(t, w.net, any1[*sdk.SendMessage])
	if ms := op.Content.Body.Mentions(); len(ms) != 1 || ms[0].ID != "@bob:hs" {
		t.Errorf("mentions %+v in %+v", ms, op.Content.Body)
	}
}
