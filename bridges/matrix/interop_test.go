//go:build interop

package matrix

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestInteropRoom(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		alias := must(s.alice.GetAliases(ctx, s.room))(t).Aliases[0]

		target := must(s.l.Resolve(ctx, sdk.ResolveRequest{Text: string(alias), For: s.juliet}))(t)
		if target.Portal != s.key || target.Alias != string(alias) {
			t.Fatalf("%+v", target)
		}
		info := must(s.l.JoinPortal(ctx, sdk.JoinRequest{Portal: target.Portal, Via: target.Via, For: s.juliet, Members: 10}))(t)
		if info.Name != "Operations" || info.Topic != "first topic" || !info.Public || len(info.Members) != 1 ||
			info.Members[0].User.ID != sdk.RemoteUserID(s.alice.UserID) || info.Members[0].Role != sdk.RoleOwner {
			t.Errorf("%+v", info)
		}

		// From Matrix to XMPP.
		if _, err := s.alice.SendText(ctx, s.room, "hello from Matrix"); err != nil {
			t.Fatal(err)
		}
		eventOf(s.h, "the message", func(m *sdk.Message) bool {
			return m.Content.Body.Plain() == "hello from Matrix" && m.Actor.User == sdk.RemoteUserID(s.alice.UserID) && !m.Own
		})

		// From XMPP to Matrix, with a name; the echo is known as one.
		s.do(&sdk.JoinGhost{OpHeader: s.header()})
		sent := &sdk.SendMessage{OpHeader: s.header(), Content: body("hello from XMPP")}
		d := s.do(sent)
		got := s.ev(d.Parts[0].Remote)
		if got.Content.AsMessage().Body != "hello from XMPP" || got.Sender.Localpart() != "_xmpp_juliet=40xmpp.test" {
			t.Errorf("%+v", got)
		}
		eventOf(s.h, "the echo", func(m *sdk.Message) bool {
			return m.Own && m.Origin == sent.ID && m.Actor.Address == "juliet@xmpp.test"
		})
		members := must(s.alice.JoinedMembers(ctx, s.room))(t).Joined
		if members[got.Sender].DisplayName != "Juliet" {
			t.Errorf("%+v", members)
		}

		// The same operation again is the same message.
		sent.Attempt, sent.Doubt = 2, true
		if again := s.do(sent); again.Parts[0].Remote != d.Parts[0].Remote {
			t.Errorf("sent twice: %v, %v", d, again)
		}

		// Topic and name, both ways.
		if _, err := s.alice.SendStateEvent(ctx, s.room, event.StateTopic, "", map[string]any{"topic": "second topic"}); err != nil {
			t.Fatal(err)
		}
		eventOf(s.h, "the topic", func(r *sdk.RoomChanged) bool { return r.Topic != nil && *r.Topic == "second topic" })
		if _, err := s.alice.SendStateEvent(ctx, s.room, event.StatePowerLevels, "", map[string]any{
			"users": map[string]any{string(s.alice.UserID): 100, string(got.Sender): 50},
		}); err != nil {
			t.Fatal(err)
		}
		eventOf(s.h, "the right", func(r *sdk.Rights) bool { return r.Member.Address == "juliet@xmpp.test" && r.Role >= sdk.RoleModerator })
		s.do(&sdk.SetTopic{OpHeader: s.header(), Topic: "third topic"})
		var topic event.TopicEventContent
		if err := s.alice.StateEvent(ctx, s.room, event.StateTopic, "", &topic); err != nil || topic.Topic != "third topic" {
			t.Errorf("%q, %v", topic.Topic, err)
		}

		// People come and go.
		bob := p.user("bob")
		if _, err := bob.JoinRoomByID(ctx, s.room); err != nil {
			t.Fatal(err)
		}
		eventOf(s.h, "bob's join", func(m *sdk.Membership) bool {
			return m.Member.User == sdk.RemoteUserID(bob.UserID) && m.Change == sdk.MembershipJoin
		})
		if _, err := bob.LeaveRoom(ctx, s.room); err != nil {
			t.Fatal(err)
		}
		eventOf(s.h, "bob's leave", func(m *sdk.Membership) bool {
			return m.Member.User == sdk.RemoteUserID(bob.UserID) && m.Change == sdk.MembershipLeave
		})
		s.do(&sdk.LeaveGhost{OpHeader: s.header()})
		if _, in := must(s.alice.JoinedMembers(ctx, s.room))(t).Joined[got.Sender]; in {
			t.Error("the ghost is still there")
		}
	})
}

func TestInteropMessages(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		s.join(10)

		// Formatting, replies, edits, reactions and redactions from Matrix.
		first := s.say("first")
		must(s.alice.SendMessageEvent(ctx, s.room, event.EventMessage, map[string]any{
			"msgtype": "m.text", "body": "* edited", "m.new_content": map[string]any{"msgtype": "m.text", "body": "edited", "format": "org.matrix.custom.html", "formatted_body": "<b>edited</b>"},
			"m.relates_to": map[string]any{"rel_type": "m.replace", "event_id": first},
		}))(t)
		eventOf(s.h, "the edit", func(e *sdk.Edit) bool {
			return e.Target.ID == sdk.RemoteMessageID(first) && e.Content.Body.Equal(richtext.Doc(richtext.Para(richtext.Bold(richtext.Text("edited")))))
		})
		must(s.alice.SendMessageEvent(ctx, s.room, event.EventMessage, map[string]any{
			"msgtype": "m.text", "body": "> <@a:b> first\n\nanswer", "m.relates_to": map[string]any{"m.in_reply_to": map[string]any{"event_id": first}},
		}))(t)
		eventOf(s.h, "the reply", func(m *sdk.Message) bool {
			return m.Content.Body.Plain() == "answer" && m.Content.ReplyTo != nil && m.Content.ReplyTo.Target.ID == sdk.RemoteMessageID(first)
		})
		reaction := must(s.alice.SendReaction(ctx, s.room, first, "👍"))(t)
		eventOf(s.h, "the reaction", func(r *sdk.Reaction) bool {
			return r.Target.ID == sdk.RemoteMessageID(first) && r.Emoji[0].Text == "👍" && r.Message == sdk.RemoteMessageID(reaction.EventID)
		})
		must(s.alice.RedactEvent(ctx, s.room, first, mautrix.ReqRedact{Reason: "oops"}))(t)
		eventOf(s.h, "the redaction", func(r *sdk.Retract) bool {
			return r.Target.ID == sdk.RemoteMessageID(first) && r.Reason == "oops"
		})

		// The same to Matrix.
		said := s.say("to be answered")
		reply := body("the answer")
		reply.Body = richtext.Doc(richtext.Para(richtext.Text("the "), richtext.Bold(richtext.Text("answer")), richtext.Text(" "), richtext.MentionUserID(string(s.alice.UserID), "alice")))
		reply.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: sdk.RemoteMessageID(said)}}
		d := s.do(&sdk.SendMessage{OpHeader: s.header(), Content: reply})
		got := s.ev(d.Parts[0].Remote).Content.AsMessage()
		if got.RelatesTo.GetReplyTo() != said || !strings.Contains(got.FormattedBody, "<strong>answer</strong>") || len(got.Mentions.UserIDs) != 1 {
			t.Errorf("%+v", got)
		}
		ref := sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}
		edit := s.do(&sdk.EditMessage{OpHeader: s.header(), Target: ref, Content: body("another answer")})
		if e := s.ev(edit.Parts[0].Remote).Content.AsMessage(); e.NewContent == nil || e.NewContent.Body != "another answer" || e.RelatesTo.GetReplaceID() != id.EventID(ref.ID) {
			t.Errorf("%+v", e)
		}
		emoji := []sdk.Emoji{{Text: "🎉"}}
		r := s.do(&sdk.SetReactions{OpHeader: s.header(), Target: ref, Emoji: emoji, Added: emoji})
		if ev := s.ev(r.Parts[0].Remote); ev.Content.AsReaction().RelatesTo.Key != "🎉" {
			t.Errorf("%+v", ev)
		}
		s.do(&sdk.SetReactions{OpHeader: s.header(), Target: ref, Removed: emoji})
		if ev := s.ev(r.Parts[0].Remote); ev.Content.AsReaction().RelatesTo.Key != "" {
			t.Errorf("the reaction stands: %+v", ev)
		}
		s.do(&sdk.RetractMessage{OpHeader: s.header(), Target: ref})
		if ev := s.ev(ref.ID); ev.Content.AsMessage().Body != "" {
			t.Errorf("the message stands: %+v", ev)
		}

		// Files both ways.
		s.h.mu.Lock()
		s.h.files["f1"] = []byte("\x89PNG\r\n\x1a\npicture")
		s.h.mu.Unlock()
		file := sdk.Content{Body: richtext.FromPlain("a caption"), Attachments: []sdk.Attachment{{Media: sdk.Media{ID: "f1", Name: "cat.png", Type: "image/png", Size: 15, Width: 3}}}}
		d = s.do(&sdk.SendMessage{OpHeader: s.header(), Content: file})
		got = s.ev(d.Parts[0].Remote).Content.AsMessage()
		if got.MsgType != event.MsgImage || got.FileName != "cat.png" || got.Body != "a caption" || got.Info.Width != 3 {
			t.Errorf("%+v", got)
		}
		uri, _ := got.URL.Parse()
		if raw := must(s.alice.DownloadBytes(ctx, uri))(t); string(raw) != "\x89PNG\r\n\x1a\npicture" {
			t.Errorf("%q", raw)
		}
		up := must(s.alice.UploadBytesWithName(ctx, []byte("text of a file"), "text/plain", "notes.txt"))(t)
		must(s.alice.SendMessageEvent(ctx, s.room, event.EventMessage, map[string]any{"msgtype": "m.file", "body": "notes.txt", "url": up.ContentURI.String(), "info": map[string]any{"size": 14, "mimetype": "text/plain"}}))(t)
		m := eventOf(s.h, "the file", func(m *sdk.Message) bool { return !m.Own && len(m.Content.Attachments) == 1 })
		media := m.Content.Attachments[0].Media
		content := must(s.l.FetchMedia(ctx, sdk.MediaRequest{ID: media.ID}))(t)
		defer content.Body.Close()
		var buf bytes.Buffer
		if _, err := buf.ReadFrom(content.Body); err != nil || buf.String() != "text of a file" || media.Name != "notes.txt" || media.Size != 14 {
			t.Errorf("%q, %v, %+v", buf.String(), err, media)
		}

		// The past, newest page first.
		page := must(s.l.FetchHistory(ctx, sdk.HistoryRequest{Portal: s.key, Limit: 3}))(t)
		older := must(s.l.FetchHistory(ctx, sdk.HistoryRequest{Portal: s.key, Limit: 100, Before: page.Older}))(t)
		texts := map[string]bool{}
		for _, ev := range append(older.Events, page.Events...) {
			if !ev.Head().History {
				t.Errorf("%+v", ev)
			}
			if m, ok := ev.(*sdk.Message); ok {
				texts[m.Content.Body.Plain()] = true
			}
		}
		if !texts["to be answered"] || !texts["a caption"] {
			t.Errorf("%v", texts)
		}
	})
}

func TestInteropSignals(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		s.join(10)
		s.do(&sdk.JoinGhost{OpHeader: s.header()})
		said := s.say("is anybody there?")
		eventOf(s.h, "the message", func(m *sdk.Message) bool { return !m.Own })
		me := sdk.RemoteUserID(s.alice.UserID)

		// Inward: repeated until the way of this homeserver is known and running.
		insist(t, s.h, func() {
			_, _ = s.alice.UserTyping(ctx, s.room, false, 0)
			_, _ = s.alice.UserTyping(ctx, s.room, true, 20*time.Second)
		}, func(sig sdk.Signal) bool {
			v, ok := sig.(*sdk.Typing)
			return ok && v.Active && v.Who.User == me && v.Portal == s.key
		})
		must(s.alice.UserTyping(ctx, s.room, false, 0))(t)
		signal(s.h, "the end of typing", func(v *sdk.Typing) bool { return !v.Active && v.Who.User == me })
		if err := s.alice.MarkRead(ctx, s.room, said); err != nil {
			t.Fatal(err)
		}
		signal(s.h, "the receipt", func(v *sdk.ReadState) bool { return v.Who.User == me && v.UpTo.ID == sdk.RemoteMessageID(said) })
		states := []event.Presence{event.PresenceUnavailable, event.PresenceOnline}
		n := 0
		insist(t, s.h, func() {
			n++
			_ = s.alice.SetPresence(ctx, mautrix.ReqPresence{Presence: states[n%2], StatusMsg: "out for lunch"})
		}, func(sig sdk.Signal) bool {
			v, ok := sig.(*sdk.Presence)
			return ok && v.Who.User == me && v.Status == "out for lunch" && v.Show != sdk.ShowUnknown
		})

		// Outward.
		ghost := id.UserID("@_xmpp_juliet=40xmpp.test:" + s.alice.UserID.Homeserver())
		s.l.Signal(&sdk.Presence{Sender: &s.juliet, Who: sdk.Party{Address: s.juliet.Address}, Show: sdk.ShowAway, Status: "thinking"})
		eventually(t, "her presence", func() bool {
			got, err := s.alice.GetPresence(ctx, ghost)
			return err == nil && got.Presence == event.PresenceUnavailable && got.StatusMsg == "thinking"
		})
		since := must(s.alice.SyncRequest(ctx, 0, "", "", false, ""))(t).NextBatch
		s.l.Signal(&sdk.Typing{Portal: s.key, Sender: &s.juliet, Who: sdk.Party{Address: s.juliet.Address}, Active: true, Expires: 20 * time.Second})
		s.l.Signal(&sdk.ReadState{Portal: s.key, Sender: &s.juliet, Who: sdk.Party{Address: s.juliet.Address}, UpTo: sdk.MessageRef{ID: sdk.RemoteMessageID(said)}})
		typing, read := false, false
		eventually(t, "her typing and receipt", func() bool {
			resp, err := s.alice.SyncRequest(ctx, 2000, since, "", false, "")
			if err != nil {
				return false
			}
			since = resp.NextBatch
			joined := resp.Rooms.Join[s.room]
			if joined == nil {
				return false
			}
			for _, ev := range joined.Ephemeral.Events {
				raw := string(ev.Content.VeryRaw)
				typing = typing || ev.Type.Type == "m.typing" && strings.Contains(raw, string(ghost))
				read = read || ev.Type.Type == "m.receipt" && strings.Contains(raw, string(ghost)) && strings.Contains(raw, string(said))
			}
			return typing && read
		})
	})
}
