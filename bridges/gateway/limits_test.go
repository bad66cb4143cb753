package gateway_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestPausedBridgeSendsNothing(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	if err := w.gw.Pause("fake"); err != nil {
		t.Fatal(err)
	}
	alice.say("m1", "later")
	w.deliver(says("@bob:hs", "$1", "still heard"))
	alice.hears("Bob", "still heard")
	s, _ := w.gw.Status(context.Background(), "fake")
	w.net.mu.Lock()
	if len(w.net.texts()) != 0 || s.Waiting != 1 {
		t.Errorf("%q were sent, %d wait", w.net.texts(), s.Waiting)
	}
	w.net.mu.Unlock()
	if err := w.gw.Resume(context.Background(), "fake"); err != nil {
		t.Fatal(err)
	}
	w.net.await(t, "the message", func() bool { return slices.Equal(w.net.texts(), []string{"later"}) })
	if w.gw.Pause("none") == nil || w.gw.Resume(context.Background(), "none") == nil {
		t.Error("a bridge that is none was paused")
	}
}

func TestTooOldGoesBack(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{MaxAge: time.Nanosecond}})
	alice := w.in("alice")
	alice.say("m1", "too late")
	e := alice.until("an error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" && n.Attr("id") == "m1" })
	if !strings.Contains(e.String(), "could not be delivered") {
		t.Errorf("%s", e)
	}
}

// What the network cannot do is done in another way, or refused with a reason.
func TestMissingCapabilities(t *testing.T) {
	w := newWorld(t, worldOptions{})
	alice := w.in("alice")
	caps := w.net.Info().Capabilities
	caps.Edit.Level, caps.Retract.Level, caps.Topic.Level = sdk.LevelNone, sdk.LevelNone, sdk.LevelNone
	if err := w.net.host.CapabilitiesChanged(context.Background(), sdk.CapabilitiesChange{Scope: sdk.ScopePortal, Portal: ops, Capabilities: &caps}); err != nil {
		t.Fatal(err)
	}
	first := alice.say("m1", "helo")
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m2'><body>hello</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/></message>")
	w.net.await(t, "the correction", func() bool { return slices.Equal(w.net.texts(), []string{"helo", "edited:\n\nhello"}) })
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m3'><retract xmlns='urn:xmpp:message-retract:1' id='" + archived(first) + "'/><store xmlns='urn:xmpp:hints'/></message>")
	e := alice.until("an error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" && n.Attr("id") == "m3" })
	if child(child(e, ns.Client, "error"), ns.Stanzas, "feature-not-implemented") == nil {
		t.Errorf("%s", e)
	}
	if err := w.ensure(roomAdmins("alice@example.org")); err != nil {
		t.Fatal(err)
	}
	alice.Send("<message to='" + opsRoom + "' type='groupchat' id='m4'><subject>x</subject></message>")
	alice.until("an error", func(n *xmlstream.Node) bool { return n.Attr("type") == "error" && n.Attr("id") == "m4" })
}

// A room of many: the first page is shown up to the bound, the others stand on the room's list.
func TestManyMembers(t *testing.T) {
	w := newWorld(t, worldOptions{tune: gateway.Tuning{MaxOccupants: 10}, net: func(n *fakeNet) {
		info := n.rooms["!Ops:hs"]
		for i := range 50 {
			info.Members = append(info.Members, sdk.Member{User: sdk.UserInfo{ID: sdk.RemoteUserID("@u" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ":hs"), Name: "U"}, Role: sdk.RoleMember})
		}
		n.rooms["!Ops:hs"] = info
	}})
	alice := w.person("alice")
	alice.Send("<presence to='" + opsRoom + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	shown := map[string]bool{}
	alice.until("the subject", func(n *xmlstream.Node) bool {
		if n.Name.Local == "presence" {
			shown[n.Attr("from")] = true
		}
		return n.Child(ns.Client, "subject") != nil
	})
	if len(shown) != 11 {
		t.Errorf("%d are shown", len(shown))
	}
	if list, err := w.Data().Rooms().Affiliations(context.Background(), opsRoom, "member", storage.Page{}); err != nil || len(list) != 50 {
		t.Errorf("%d members are listed, %v", len(list), err)
	}
	w.deliver(says("@eve:hs", "$1", "room for me?"))
	alice.hears("Eve", "room for me?")
	if list := w.gw.Portals(context.Background(), "fake"); len(list) != 1 || list[0].Puppets > 10 {
		t.Errorf("%+v", list)
	}
}
