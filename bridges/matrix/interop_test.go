//go:build interop

package matrix

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// peer is a real homeserver that internal/dev/peers started for this test.
type peer struct {
	t    *testing.T
	kind string
	env  []string
	vars map[string]string
	conf string // JSON of the bridge's configuration
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startPeer makes the registration as an operator does, with Setup, and starts a
// homeserver with it.
func startPeer(t *testing.T, kind string) *peer {
	t.Helper()
	dir := t.TempDir()
	https, listen := freePort(t), "127.0.0.1:"+freePort(t)
	p := &peer{t: t, kind: kind, vars: map[string]string{}}
	httpPort := freePort(t)
	answers := map[string]string{"homeserver": "http://127.0.0.1:" + httpPort, "server_name": "localhost:" + https, "listen": listen}
	plan, err := New(Options{}).Setup(t.Context(), sdk.SetupRequest{Name: "matrix", Domain: "xmpp.test", Answers: answers})
	if err != nil || len(plan.Files) != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	file := filepath.Join(dir, plan.Files[0].Name)
	if err := os.WriteFile(file, plan.Files[0].Content, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := map[string]any{"verify_every": "1s"}
	for _, v := range plan.Config {
		conf[v.Key] = v.Value
	}
	conf["registration_file"] = file
	raw, _ := json.Marshal(conf)
	p.conf = string(raw)
	instance := fmt.Sprintf("matrix-bridge-%d-%s", os.Getpid(), kind)
	p.env = append(os.Environ(), "INSTANCE="+instance, "HTTP_PORT="+httpPort, "HTTPS_PORT="+https, "AS_REGISTRATION="+file, "ENV_PREFIX=HS")
	t.Cleanup(func() { p.script("stop.sh", "--wipe") })
	p.start()
	return p
}

func (p *peer) script(name string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", "internal", "dev", "peers", p.kind, name), args...)
	cmd.Env = p.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", p.kind, name, err, errs.String())
	}
	return out.String()
}

func (p *peer) start() {
	p.t.Helper()
	for line := range strings.Lines(p.script("start.sh")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			p.vars[key] = strings.ReplaceAll(strings.Trim(value, "'"), `\`, "")
		}
	}
}

// user is a foreign client: a person on the homeserver.
func (p *peer) user(name string) *mautrix.Client {
	p.t.Helper()
	upper := strings.ToUpper(name)
	c, err := mautrix.NewClient(p.vars["HS_URL"], id.UserID(p.vars["HS_USER_"+upper]), p.vars["HS_TOKEN_"+upper])
	if err != nil || c.UserID == "" || c.AccessToken == "" {
		p.t.Fatalf("%s: %v, %+v", name, err, p.vars)
	}
	return c
}

// bridge starts the connector as a host does.
func (p *peer) bridge(h *recordingHost) (*sdk.Local, func()) {
	p.t.Helper()
	l := sdk.NewLocal(New(Options{}), sdk.LocalOptions{})
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := l.Configure(ctx, sdk.Configuration{Name: "matrix", Domain: "xmpp.test", JSON: []byte(p.conf)}); err != nil {
		p.t.Fatal(err)
	}
	if err := l.Start(ctx, h, h.resume()); err != nil {
		p.t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.Drain(ctx); err != nil {
			p.t.Error(err)
		}
		l.Close()
	}
	p.t.Cleanup(stop)
	return l, stop
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func homeservers(t *testing.T, test func(t *testing.T, p *peer)) {
	for _, kind := range []string{"dendrite", "synapse"} {
		t.Run(kind, func(t *testing.T) { test(t, startPeer(t, kind)) })
	}
}

// story is a room with one person on either side.
type story struct {
	t      *testing.T
	p      *peer
	h      *recordingHost
	l      *sdk.Local
	stop   func()
	alice  *mautrix.Client
	room   id.RoomID
	key    sdk.PortalKey
	juliet sdk.Sender
	ops    int
}

func newStory(t *testing.T, p *peer) *story {
	s := &story{t: t, p: p, h: newRecordingHost(t), alice: p.user("alice")}
	s.juliet = sdk.Sender{Person: "p1", Address: "juliet@xmpp.test", Name: "Juliet"}
	made := must(s.alice.CreateRoom(t.Context(), &mautrix.ReqCreateRoom{
		Preset: "public_chat", Name: "Operations", Topic: "first topic", RoomAliasName: fmt.Sprintf("ops%d", time.Now().UnixNano()),
	}))(t)
	s.room, s.key = made.RoomID, sdk.PortalKey{Room: sdk.RemoteRoomID(made.RoomID)}
	s.l, s.stop = p.bridge(s.h)
	return s
}

func (s *story) header() sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: s.key, Sender: s.juliet, Time: time.Now(), Attempt: 1}
}

func (s *story) do(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	d, err := sdk.Handle(ctx, s.l, op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}

// ev reads an event as the foreign client.
func (s *story) ev(name sdk.RemoteMessageID) *event.Event {
	s.t.Helper()
	ev := must(s.alice.GetEvent(s.t.Context(), s.room, id.EventID(name)))(s.t)
	_ = ev.Content.ParseRaw(ev.Type)
	return ev
}

func body(s string) sdk.Content { return sdk.Content{Body: richtext.FromPlain(s)} }

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

func (s *story) join(members int) sdk.ChatInfo {
	s.t.Helper()
	return must(s.l.JoinPortal(s.t.Context(), sdk.JoinRequest{Portal: s.key, For: s.juliet, Members: members}))(s.t)
}

func (s *story) say(text string) id.EventID {
	s.t.Helper()
	return must(s.alice.SendText(s.t.Context(), s.room, text))(s.t).EventID
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

// insist does something again and again until a signal came of it.
func insist(t *testing.T, h *recordingHost, do func(), came func(sdk.Signal) bool) {
	t.Helper()
	eventually(t, "a signal", func() bool {
		do()
		timeout := time.After(time.Second)
		for {
			h.mu.Lock()
			changed := h.changed
			for _, s := range h.signals {
				if came(s) {
					h.mu.Unlock()
					return true
				}
			}
			h.mu.Unlock()
			select {
			case <-changed:
			case <-timeout:
				return false
			}
		}
	})
}

// eventually asks again and again what only asking tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s did not come", what)
		}
	}
}

func TestInteropGaps(t *testing.T) {
	homeservers(t, func(t *testing.T, p *peer) {
		s := newStory(t, p)
		ctx := t.Context()
		s.join(10)
		var want []string
		say := func(text string) {
			want = append(want, text)
			s.say(text)
		}
		arrived := func() {
			t.Helper()
			s.h.until(want[len(want)-1], func() bool {
				for _, ev := range s.h.events {
					if m, ok := ev.(*sdk.Message); ok && m.Content.Body.Plain() == want[len(want)-1] {
						return true
					}
				}
				return false
			})
			if got := s.h.texts(string(s.room)); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Fatalf("got  %q\nwant %q", got, want)
			}
		}
		say("before")
		arrived()

		// The bridge is away; what is said meanwhile comes in order and once.
		s.stop()
		for i := range 30 {
			say(fmt.Sprintf("while the bridge was away %d", i))
		}
		s.l, s.stop = p.bridge(s.h)
		say("the bridge is back")
		arrived()

		// The homeserver is killed while both sides talk. What it accepted comes
		// through, and nothing is said twice.
		accepted := make(chan string, 1000)
		talked := make(chan struct{})
		go func() {
			defer close(talked)
			for i := range 40 {
				text := fmt.Sprintf("through the kill %d", i)
				txn := fmt.Sprintf("kill%d", i)
				for ctx.Err() == nil {
					_, err := s.alice.SendMessageEvent(ctx, s.room, event.EventMessage, map[string]any{"msgtype": "m.text", "body": text}, mautrix.ReqSendEvent{TransactionID: txn})
					if err == nil {
						accepted <- text
						break
					}
					if i%10 == 0 {
						accepted <- "" // given up: in doubt
						break
					}
				}
			}
		}()
		sent := map[string]sdk.RemoteMessageID{}
		for i := range 20 {
			text := fmt.Sprintf("from XMPP %d", i)
			op := &sdk.SendMessage{OpHeader: s.header(), Content: body(text)}
			if i == 10 {
				p.kill()
				p.start()
			}
			eventually(t, text, func() bool {
				d, err := sdk.Handle(ctx, s.l, op)
				op.Attempt++
				if err != nil {
					if !sdk.AsError(err).Temporary {
						t.Fatalf("%s: %v", text, err)
					}
					return false
				}
				sent[text] = d.Parts[0].Remote
				return true
			})
		}
		<-talked
		say("the end")
		s.h.until("the end", func() bool {
			m, ok := s.h.events[len(s.h.events)-1].(*sdk.Message)
			return ok && m.Content.Body.Plain() == "the end"
		})

		// The judge is the homeserver's own history.
		var truth []string
		count := map[string]int{}
		from := ""
		for {
			page := must(s.alice.Messages(ctx, s.room, from, "", mautrix.DirectionBackward, nil, 100))(t)
			for _, ev := range page.Chunk {
				_ = ev.Content.ParseRaw(ev.Type)
				if ev.Type != event.EventMessage {
					continue
				}
				count[ev.Content.AsMessage().Body]++
				if ev.Sender == s.alice.UserID {
					truth = append([]string{ev.Content.AsMessage().Body}, truth...)
				} else if id := sent[ev.Content.AsMessage().Body]; id != sdk.RemoteMessageID(ev.ID) {
					t.Errorf("%s is %s, the bridge says %s", ev.Content.AsMessage().Body, ev.ID, id)
				}
			}
			if page.End == "" || len(page.Chunk) == 0 {
				break
			}
			from = page.End
		}
		for text := range sent {
			if count[text] != 1 {
				t.Errorf("%s is there %d times", text, count[text])
			}
		}
		if got := s.h.texts(string(s.room)); strings.Join(got, "|") != strings.Join(truth, "|") {
			t.Errorf("got  %q\nwant %q", got, truth)
		}
	})
}

// kill ends the homeserver without giving it time for anything.
func (p *peer) kill() {
	p.t.Helper()
	pid, err := strconv.Atoi(p.vars["HS_PID"])
	if err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the end of the homeserver", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
}

func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(raw), ") Z ")
}

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
