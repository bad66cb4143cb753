package slack

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestUnfurlIsNoEdit(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	ts := s.s.Say(s.general, s.ada, "see https://example.org/")
	s.s.Unfurl(s.general, ts, "https://example.org/")
	s.s.Edit(s.general, ts, "see https://example.org/2")
	s.mark("after")
	if got := events[*sdk.Edit](s); len(got) != 1 || got[0].Content.Body.Plain() != "see https://example.org/2" || got[0].Target.ID != sdk.RemoteMessageID(ts) {
		t.Fatalf("%+v", got)
	}
}

func TestThreads(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	root := s.s.Say(s.general, s.ada, "root")
	s.s.Reply(s.general, s.ada, root, "reply")
	s.s.Post(s.general, slacktest.Message{User: s.ada, Text: "broadcast", Subtype: "thread_broadcast", ThreadTS: root})
	s.arrived(s.general, "root", "reply", "broadcast")
	for i, m := range events[*sdk.Message](s)[1:] {
		if th := m.Content.Thread; th == nil || th.Root.ID != sdk.RemoteMessageID(root) || th.ID != root || th.Broadcast != (i == 1) || m.Content.ReplyTo.Target.ID != th.Root.ID {
			t.Errorf("%+v", m.Content)
		}
	}
	// Read back it is neither told again nor twice.
	s.s.Drop()
	s.mark("after the gap")
	s.arrived(s.general, "root", "reply", "broadcast", "after the gap")
	// The root of a thread becomes a tombstone.
	s.s.Delete(s.general, root)
	r := await(s, "the end of the root", func(r *sdk.Retract) bool { return r.Target.ID == sdk.RemoteMessageID(root) })
	if r.Moderated || r.Actor.User != sdk.RemoteUserID(s.ada+":"+slacktest.TeamID) {
		t.Errorf("%+v", r)
	}
}

func TestWhoDeletedOurs(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	mine, theirs := s.sent("I take this back"), s.sent("somebody there deletes this")
	s.do(&sdk.RetractMessage{OpHeader: s.head("Romeo", s.general), Target: mine})
	s.s.Delete(s.general, string(theirs.ID))
	s.mark("after")
	if got := events[*sdk.Retract](s); len(got) != 1 || got[0].Target.ID != theirs.ID || !got[0].Moderated || !got[0].Actor.IsZero() {
		t.Fatalf("%+v", got)
	}
}

func TestOtherApps(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	bot, user := s.s.AddBot("ci")
	s.s.Post(s.general, slacktest.Message{BotID: bot, User: user, Text: "*built*"})
	s.s.Post(s.general, slacktest.Message{BotID: bot, Subtype: "bot_message", Username: "Deploy Bot", Text: "deployed", Icons: json.RawMessage(`{"image_48":"https://a.slack-edge.com/i.png"}`)})
	s.s.Post(s.general, slacktest.Message{BotID: bot, Subtype: "bot_message", Username: "Spy", Text: "look", Icons: json.RawMessage(`{"image_48":"http://169.254.169.254/"}`),
		Attachments: json.RawMessage(`[{"title":"Build","text":"failed"}]`)})
	s.arrived(s.general, "built", "deployed", "look\n> Build\n>\n> failed")
	got := events[*sdk.Message](s)
	if got[0].Actor.User != sdk.RemoteUserID(user+":"+slacktest.TeamID) || got[0].Persona != nil {
		t.Errorf("%+v", got[0])
	}
	if p := got[1].Persona; p == nil || p.Name != "Deploy Bot" || p.Avatar == nil || got[1].Actor.User != sdk.RemoteUserID(bot+":"+slacktest.TeamID) {
		t.Errorf("%+v", got[1])
	}
	if got[2].Persona.Avatar != nil {
		t.Error("a picture from anywhere would be fetched")
	}
	if _, err := s.l.FetchMedia(t.Context(), sdk.MediaRequest{ID: "icon:http://169.254.169.254/"}); err == nil {
		t.Error("a picture from anywhere was fetched")
	}
	info, err := s.l.UserInfo(t.Context(), sdk.UserInfoRequest{User: got[1].Actor.User})
	if err != nil || info.Name != "ci" || !info.NoAddress || !info.Bot {
		t.Errorf("%+v %v", info, err)
	}
}

func TestGuestsKeepTheirTeam(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	guest := s.s.AddForeigner("eve", "Eve", "T0OTHER")
	s.s.Join(s.general, guest)
	ts := s.s.Say(s.general, guest, "hello")
	s.s.React(s.general, ts, guest, "party_parrot")
	want := sdk.RemoteUserID(guest + ":T0OTHER")
	await(s, "her message", func(m *sdk.Message) bool { return m.Actor.User == want })
	await(s, "her joining", func(m *sdk.Membership) bool { return m.Member.User == want && m.Profile.Name == "Eve" })
	r := await(s, "her reaction", func(r *sdk.Reaction) bool { return r.Actor.User == want })
	if r.Emoji[0].Text != ":party_parrot:" || r.Emoji[0].ID != "party_parrot" {
		t.Errorf("%+v", r.Emoji)
	}
}

func TestReferences(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	s.s.Emoji("acme", s.s.URL+"../avatar/acme.png")
	s.s.Post(s.general, slacktest.Message{User: s.ada, Text: "<@" + s.ada + "> in <#" + s.general + "> for <!subteam^S0DEVS> <!here> :acme: <@U0NOBODY>"})
	m := await(s, "the message", func(*sdk.Message) bool { return true })
	if got := m.Content.Body.Plain(); got != "@Ada in #general for @devs @here :acme: @U0NOBODY" {
		t.Error(got)
	}
	mentions := m.Content.Body.Mentions()
	if mentions[0].ID != s.ada+":"+slacktest.TeamID || mentions[1].ID != string(key(s.general)) || mentions[3].Target != richtext.MentionActive {
		t.Errorf("%+v", mentions)
	}
}

func TestRoomLife(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	private := s.s.AddPrivate("late")
	s.s.Leave(private, slacktest.BotUser)
	s.s.Invite(private, slacktest.BotUser, s.ada)
	await(s, "the invitation", func(o *sdk.PortalOpened) bool {
		return o.Portal.Room == key(private) && o.Info.Name == "late" && o.Info.Kind == sdk.ChatRoom && !o.Info.Public
	})
	s.s.Leave(private, slacktest.BotUser)
	await(s, "the removal", func(g *sdk.PortalGone) bool { return g.Portal.Room == key(private) && g.Code == sdk.CodeForbidden })
	moved := s.s.Move(s.general)
	await(s, "the new id", func(m *sdk.RoomMoved) bool { return m.Portal.Room == key(s.general) && m.To == key(moved) })
	s.s.Archive(moved, s.ada)
	await(s, "the end", func(g *sdk.PortalGone) bool { return g.Portal.Room == key(moved) && g.Code == sdk.CodeRoomGone })
}

func TestDirect(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	s.h.AddPerson("juliet@example.org", sdk.Sender{Person: "k7juliet", Address: "juliet@example.org", Name: "Juliet"})
	dm := s.s.OpenDM(s.ada)
	ts := s.s.Say(dm, s.ada, "Juliet@example.org: are you there?")
	room := sdk.RemoteRoomID(slackid.Channel{ID: dm, Team: slacktest.TeamID, Thread: slackid.TS(ts)}.String())
	await(s, "the chat", func(o *sdk.PortalOpened) bool {
		return o.Portal.Room == room && o.Info.Kind == sdk.ChatDirect && o.With[1].Person == "k7juliet"
	})
	await(s, "the message", func(m *sdk.Message) bool { return m.Portal.Room == room && m.Content.Body.Plain() == "are you there?" })
	answer := s.text("yes")
	answer.Portal.Room = room
	if m := s.on(dm, s.do(answer).Parts[0].Remote); m.ThreadTS != ts || m.Username != "Romeo" {
		t.Errorf("%+v", m)
	}
	s.s.Reply(dm, s.ada, ts, "good")
	await(s, "her answer", func(m *sdk.Message) bool {
		return m.Portal.Room == room && m.Content.Body.Plain() == "good" && m.Content.Thread == nil
	})
	// Two people here have a conversation each with her, and she can tell them apart.
	var rooms []sdk.RemoteRoomID
	for _, name := range []string{"Romeo", "Tybalt"} {
		info, err := s.l.CreateDM(t.Context(), sdk.CreateDMRequest{For: s.person(name), Users: []sdk.RemoteUserID{sdk.RemoteUserID(s.ada + ":" + slacktest.TeamID)}})
		if err != nil {
			t.Fatal(err)
		}
		rooms = append(rooms, info.Portal.Room)
		ch, _ := slackid.ParseChannel(string(info.Portal.Room))
		if m := s.on(dm, sdk.RemoteMessageID(ch.Thread)); m == nil || !strings.Contains(m.Text, name+"@example.org") {
			t.Errorf("%+v", m)
		}
	}
	if rooms[0] == rooms[1] {
		t.Error("two people share a conversation")
	}
	// Who writes to nobody is told how.
	s.s.Say(dm, s.ada, "hello?")
	s.s.Say(dm, s.ada, "nobody@example.org hi")
	s.until("two answers", func() bool {
		n := 0
		for _, c := range s.s.Calls("chat.postMessage") {
			if strings.Contains(c.Args["text"], "name@example.org") || strings.Contains(c.Args["text"], "Nobody can be reached") {
				n++
			}
		}
		return n == 2
	})
}

func TestOddEvents(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	for _, frame := range []string{"", "{", `"x"`, `{"type":"hello"}`, `{"type":"unheard_of","envelope_id":"e1"}`, `{"type":"events_api"}`, `{"type":"events_api","envelope_id":"e2","payload":7}`,
		`{"type":"events_api","envelope_id":"e3","payload":{"type":"event_callback","event_id":"Ev1","event":{"type":"message","channel":5}}}`,
		`{"type":"slash_commands","envelope_id":"e4","payload":{}}`} {
		if frame != "" {
			s.s.Raw(frame)
		}
	}
	s.s.Event(map[string]any{"type": "presence_change", "user": s.ada, "presence": "active"})
	s.s.Event(map[string]any{"type": "user_typing", "user": s.ada, "channel": s.general})
	s.s.Event(map[string]any{"type": "message", "channel": s.general, "ts": "not a ts", "text": "odd"})
	s.s.Event(map[string]any{"type": "message", "channel": s.general, "ts": 17.5, "text": "a float"})
	s.s.Event(map[string]any{"type": "message", "subtype": "message_changed", "channel": s.general})
	s.s.Event(map[string]any{"type": "message", "subtype": "message_deleted", "channel": s.general})
	s.s.Event(map[string]any{"type": "reaction_added", "item": map[string]any{"type": "file"}})
	s.s.Event(map[string]any{"type": "user_change", "user": "not an object"})
	s.s.Event(map[string]any{"type": "dnd_updated_user", "user": s.ada})
	s.s.Event(map[string]any{"type": "channel_rename", "channel": map[string]any{"id": s.general}})
	s.s.Event(map[string]any{"type": "message", "channel": s.general, "ts": "1712345678.000100", "text": "still read", "files": "odd", "reactions": 5, "user": s.ada})
	s.mark("after")
	s.arrived(s.general, "still read", "after")
	if got := events[*sdk.Edit](s); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if open, _, all := s.s.Sockets(); open != 1 || all != 1 {
		t.Errorf("%d sockets open, %d were", open, all)
	}
}

func FuzzEvent(f *testing.F) {
	for _, s := range []string{
		`{"type":"message","channel":"C0A","user":"U0A","text":"x","ts":"1712345678.000100"}`, `{"type":"message","subtype":"message_changed","channel":"C0A","message":{"ts":"1.1"},"previous_message":null}`,
		`{"type":"user_change","user":{"id":"U0A","profile":{"status_text":5}}}`, `{"type":"channel_rename","channel":{"id":"C0A","name":"n"}}`, `{"type":"reaction_added","item":{"type":"message","channel":"C0A","ts":"x"}}`,
		`[]`, `{"type":5}`, `{"type":"message","files":[null]}`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, raw []byte) {
		ev, kind, err := parseEvent(raw)
		if err != nil {
			return
		}
		destination(kind, ev)
		if ev.Message != nil && ev.Previous != nil {
			sameContent(ev.Message, ev.Previous)
		}
	})
}
