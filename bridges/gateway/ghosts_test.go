package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestGhostComesAndGoes(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: 50 * time.Millisecond}})
	alice := w.in("alice")
	j := awaitOp(t, w.net, any1[*sdk.JoinGhost])
	if j.Sender.Address != "alice@example.org" || j.Sender.Name != "alice" || j.Portal != ops {
		t.Errorf("%+v", j)
	}
	alice.Send("<presence to='" + opsRoom + "/alice' type='unavailable'/>")
	l := awaitOp(t, w.net, any1[*sdk.LeaveGhost])
	if l.Sender.Person != j.Sender.Person {
		t.Errorf("%+v", l)
	}
	carol := w.in("carol")
	awaitOp(t, w.net, func(op *sdk.JoinGhost) bool { return op.Sender.Name == "carol" })
	carol.Drop()
	awaitOp(t, w.net, func(op *sdk.LeaveGhost) bool { return op.Sender.Person != j.Sender.Person })
}

// Who comes back in time has not left; a ghost of one who never came back leaves after a restart.
func TestGhostStays(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: time.Hour}})
	alice := w.in("alice")
	awaitOp(t, w.net, any1[*sdk.JoinGhost])
	alice.Drop()
	again := w.in("alice")
	again.say("m1", "back")
	awaitOp(t, w.net, any1[*sdk.SendMessage])
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	joins := 0
	for _, op := range w.net.ops {
		switch op.(type) {
		case *sdk.LeaveGhost:
			t.Error("she left")
		case *sdk.JoinGhost:
			joins++
		}
	}
	if joins != 1 {
		t.Errorf("she joined %d times", joins)
	}
}

func TestGhostLeavesAfterRestart(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{LeaveAfter: 20 * time.Millisecond}})
	alice := w.in("alice")
	awaitOp(t, w.net, any1[*sdk.JoinGhost])
	alice.Drop()
	w.Restart(t)
	w.attach()
	awaitOp(t, w.net, any1[*sdk.LeaveGhost])
}

// A kick on the other side puts a person out of the room here, and she may enter again. (A kick in the very moment of the ghost's entry can still be
// followed by an order to leave: the network has nothing to do for it.)
func TestKickedOnTheOtherSide(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	j := awaitOp(t, w.net, any1[*sdk.JoinGhost])
	w.deliver(&sdk.Membership{EventHeader: head("$k1", "@bob:hs"), Member: sdk.Party{Person: j.Sender.Person}, Change: sdk.MembershipKick, Reason: "enough"})
	n := alice.until("the kick", func(n *xmlstream.Node) bool {
		return n.Attr("from") == opsRoom+"/alice" && n.Attr("type") == "unavailable"
	})
	x := n.Child(ns.MUCUser, "x")
	codes := map[string]bool{}
	for s := range x.Children(ns.MUCUser, "status") {
		codes[s.Attr("code")] = true
	}
	if !codes["307"] || !codes["110"] || x.Child(ns.MUCUser, "item").Child(ns.MUCUser, "reason").TextContent() != "enough" {
		t.Errorf("told %v: %s", codes, x.Child(ns.MUCUser, "item"))
	}
	w.in("alice")
	awaitOp(t, w.net, func(op *sdk.JoinGhost) bool { return op.ID != j.ID })
}

// An invitation on the other side says who invites, and why, as far as that is known.
func TestInvitedOnTheOtherSide(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	j := awaitOp(t, w.net, any1[*sdk.JoinGhost])
	for i, tc := range []struct{ by, reason, want string }{
		{"@bob:hs", "", "Bob invites you."},
		{"@bob:hs", "we miss you", "Bob: we miss you"},
		{"", "we miss you", "we miss you"},
		{"", "", ""},
	} {
		h := head(fmt.Sprintf("$i%d", i), sdk.RemoteUserID(tc.by))
		w.deliver(&sdk.Membership{EventHeader: h, Member: sdk.Party{Person: j.Sender.Person}, Change: sdk.MembershipInvite, Reason: tc.reason})
		n := alice.until("the invitation", func(n *xmlstream.Node) bool { return n.Child(ns.Conference, "x") != nil })
		x := n.Child(ns.Conference, "x")
		if x.Attr("jid") != opsRoom || x.Attr("reason") != tc.want {
			t.Errorf("by %q for %q: %s", tc.by, tc.reason, x)
		}
	}
}
