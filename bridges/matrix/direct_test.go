package matrix

import (
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestDirectChats(t *testing.T) {
	s := newStage(t)
	s.hs.CreateRoom(bob, "so that there is a bob")
	open := func() sdk.PortalKey {
		t.Helper()
		info, err := s.l.CreateDM(t.Context(), sdk.CreateDMRequest{For: s.juliet, Users: []sdk.RemoteUserID{bob}})
		if err != nil || info.Kind != sdk.ChatDirect {
			t.Fatalf("%+v, %v", info, err)
		}
		return info.Portal
	}
	key := open()
	room := string(key.Room)
	if s.hs.Membership(room, bob) != "invite" || s.hs.Membership(room, juliet) != "join" || s.hs.Membership(room, botID) != "" {
		t.Error("the wrong people are in the chat")
	}
	s.must(s.send(key, "hello Bob"))
	s.hs.Member(room, bob, bob, "join")
	s.hs.Say(room, bob, "hello Juliet")
	s.push(200)
	if got := s.h.texts(room); !slices.Equal(got, []string{"hello Juliet"}) {
		t.Errorf("%q", got)
	}
	if open() != key {
		t.Error("a second chat was opened")
	}
	// What was missed is read through the ghost, also by a bridge that knows nothing.
	s.stop()
	s.hs.Say(room, bob, "are you there?")
	s.hs.Lose()
	s.start()
	s.await(room, []string{"hello Juliet", "are you there?"})
	// She left it: a new one.
	s.must(&sdk.LeaveGhost{OpHeader: s.header(key)})
	if open() == key {
		t.Error("she is in a chat that she has left")
	}
	for _, bad := range [][]sdk.RemoteUserID{nil, {"bob"}, {juliet}} {
		if _, err := s.l.CreateDM(t.Context(), sdk.CreateDMRequest{For: s.juliet, Users: bad}); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestRoomUpgrade(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Old")
	next := s.hs.CreateRoom(alice, "New")
	s.hs.SetState(room, alice, "m.room.tombstone", "", matrixtest.Event{"body": "moved", "replacement_room": next})
	s.push(200)
	eventOf(s.h, "the move", func(m *sdk.RoomMoved) bool { return string(m.To) == next && slices.Equal(m.Via, []string{"hs.test"}) })
	// The bot follows, and the new room has a cursor of its own.
	s.h.until("the new room's cursor", func() bool { return s.h.cursors[sdk.PortalKey{Room: sdk.RemoteRoomID(next)}] != "" })
	if s.hs.Membership(next, botID) != "join" {
		t.Error("the bot did not follow")
	}
}

func TestInvitationsOfTheBot(t *testing.T) {
	s := newStage(t)
	room := s.hs.CreateRoom(alice, "Cellar")
	s.hs.SetState(room, alice, "m.room.join_rules", "", matrixtest.Event{"join_rule": "invite"})
	s.hs.Member(room, alice, botID, "invite")
	s.push(200)
	opened := eventOf(s.h, "the room", func(o *sdk.PortalOpened) bool { return string(o.Portal.Room) == room })
	if opened.Actor.User != alice || opened.Info.Name != "Cellar" {
		t.Errorf("%+v", opened)
	}

	// A host that does not want the room sees the bot leave.
	s.h.mu.Lock()
	s.h.reject = "too many rooms"
	s.h.mu.Unlock()
	other := s.hs.CreateRoom(alice, "Attic")
	s.hs.Member(other, alice, botID, "invite")
	s.push(200)
	for {
		changed := s.hs.Changed() // before the look, so that no change is missed
		if s.hs.Membership(other, botID) == "leave" {
			break
		}
		<-changed
	}
}
