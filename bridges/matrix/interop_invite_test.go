//go:build interop

package matrix

import (
	"testing"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestInteropInvitations(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		s.join(10)
		s.do(&sdk.JoinGhost{OpHeader: s.header()})
		server := s.alice.UserID.Homeserver()
		juliet, bot := id.UserID("@_xmpp_juliet=40xmpp.test:"+server), id.UserID("@xmppbridge:"+server)
		s.h.mu.Lock()
		s.h.people["juliet@xmpp.test"] = s.juliet
		s.h.people["romeo@xmpp.test"] = sdk.Sender{Person: "p2", Address: "romeo@xmpp.test", Name: "Romeo"}
		s.h.rooms["den@conf.xmpp.test"] = sdk.RoomCard{Address: "den@conf.xmpp.test", Name: "The den", Public: true}
		s.h.mu.Unlock()

		// A direct chat with somebody who never was on Matrix: the homeserver asks
		// for her, the ghost comes, and both can write.
		romeo := id.UserID("@_xmpp_romeo=40xmpp.test:" + server)
		dm := must(s.alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "trusted_private_chat", IsDirect: true, Invite: []id.UserID{romeo}}))(t).RoomID
		opened := eventOf(s.h, "the direct chat", func(o *sdk.PortalOpened) bool { return o.Portal.Room == sdk.RemoteRoomID(dm) })
		if opened.Info.Kind != sdk.ChatDirect || len(opened.With) != 2 || opened.With[0].Address != "romeo@xmpp.test" {
			t.Errorf("%+v", opened)
		}
		must(s.alice.SendText(ctx, dm, "just us"))(t)
		eventOf(s.h, "the private message", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "just us" })
		op := &sdk.SendMessage{OpHeader: s.header(), Content: body("yes")}
		op.Portal.Room, op.Sender = sdk.RemoteRoomID(dm), sdk.Sender{Person: "p2", Address: "romeo@xmpp.test", Name: "Romeo"}
		s.do(op)
		members := must(s.alice.JoinedMembers(ctx, dm))(t).Joined
		if _, in := members[bot]; in || len(members) != 2 {
			t.Errorf("%+v", members)
		}

		// A private room that invites the bot.
		private := must(s.alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "private_chat", Name: "Cellar", Invite: []id.UserID{bot}}))(t).RoomID
		got := eventOf(s.h, "the private room", func(o *sdk.PortalOpened) bool { return o.Portal.Room == sdk.RemoteRoomID(private) })
		if got.Info.Name != "Cellar" || got.Info.Public {
			t.Errorf("%+v", got.Info)
		}
		op = &sdk.SendMessage{OpHeader: s.header(), Content: body("in the cellar")}
		op.Portal.Room = sdk.RemoteRoomID(private)
		s.do(op) // she is let in by the bot

		// A private room that invites a person: she brings the bot in.
		third := must(s.alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "private_chat", Name: "Attic", Invite: []id.UserID{juliet}}))(t).RoomID
		eventOf(s.h, "the invitation", func(m *sdk.Membership) bool {
			return m.Portal.Room == sdk.RemoteRoomID(third) && m.Change == sdk.MembershipInvite && m.Member.Address == "juliet@xmpp.test"
		})
		info := must(s.l.JoinPortal(ctx, sdk.JoinRequest{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(third)}, For: s.juliet, Members: 5}))(t)
		if info.Name != "Attic" {
			t.Errorf("%+v", info)
		}
		must(s.alice.SendText(ctx, third, "in the attic"))(t)
		eventOf(s.h, "the message from the attic", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "in the attic" })

		// A room that nobody of ours may enter is refused with the reason.
		closed := must(s.alice.CreateRoom(ctx, &mautrix.ReqCreateRoom{Preset: "private_chat"}))(t).RoomID
		_, err := s.l.JoinPortal(ctx, sdk.JoinRequest{Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(closed)}, For: s.juliet})
		if e := sdk.AsError(err); e == nil || e.Temporary || e.Code != sdk.CodeForbidden || e.Text == "" {
			t.Errorf("%v", err)
		}

		// An XMPP room is found by its alias.
		alias := id.RoomAlias("#_xmpp_den=40conf.xmpp.test:" + server)
		den := must(s.alice.JoinRoom(ctx, string(alias), nil))(t).RoomID
		card := eventOf(s.h, "the room of XMPP", func(o *sdk.PortalOpened) bool { return o.XMPPRoom == "den@conf.xmpp.test" })
		if card.Portal.Room != sdk.RemoteRoomID(den) || card.Info.Name != "The den" {
			t.Errorf("%+v", card)
		}

		// Leaving takes everybody of ours along.
		if err := s.l.LeavePortal(ctx, sdk.LeaveRequest{Portal: s.key, Forget: true}); err != nil {
			t.Fatal(err)
		}
		if members := must(s.alice.JoinedMembers(ctx, s.room))(t).Joined; len(members) != 1 {
			t.Errorf("%+v", members)
		}
	})
}

func TestInteropTest(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		l, _ := p.bridge(newRecordingHost(t))
		report := must(l.Test(t.Context()))(t)
		for _, check := range report.Checks {
			t.Logf("%+v", check)
		}
		if report.Failed() || len(report.Checks) < 4 {
			t.Errorf("%+v", report)
		}
		round := report.Checks[len(report.Checks)-1]
		if round.Name != "round trip" || (p.kind == "synapse") != (round.Status == sdk.CheckOK) {
			t.Errorf("%+v", round)
		}
	})
}
