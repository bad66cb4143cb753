package slack

import (
	"bytes"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

var update = flag.Bool("update", false, "write the golden files")

// TestNoPing: nothing that an XMPP person types calls anybody; only a moderator's call for
// everybody does, and a mention of somebody.
func TestNoPing(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	for _, text := range []string{"<!channel> @everyone <@" + s.ada + "> @here", "&lt;!channel&gt;", "*<!here>*"} {
		m := s.on(s.general, s.do(s.text(text)).Parts[0].Remote)
		if strings.Contains(string(m.Blocks), `"broadcast"`) || strings.Contains(string(m.Blocks), `"user"`) || strings.ContainsAny(m.Text, "<>") || shownAs(m).Plain() != text {
			t.Errorf("%s: %s %s", text, m.Text, m.Blocks)
		}
	}
	call := func(role sdk.Role) *slacktest.Message {
		op := s.text("")
		op.Sender.Role = role
		op.Content.Body = richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindMention, Text: "@all", Mention: richtext.Mention{Target: richtext.MentionAll}},
			richtext.Text(" "), richtext.MentionUserID(s.ada+":"+slacktest.TeamID, "Ada")))
		return s.on(s.general, s.do(op).Parts[0].Remote)
	}
	if m := call(sdk.RoleMember); strings.Contains(m.Text, "<!") || !strings.Contains(m.Text, "<@"+s.ada+">") || !strings.Contains(string(m.Blocks), `"user_id":"`+s.ada) {
		t.Error(m.Text, string(m.Blocks))
	}
	if m := call(sdk.RoleModerator); !strings.Contains(m.Text, "<!channel>") {
		t.Error(m.Text)
	}
}

func TestNamesAndFaces(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	for name, want := range map[string]string{
		"Romeo": "Romeo", "a \t b\x00": "a b", "\u200b": "romeo@example.org", "": "romeo@example.org", strings.Repeat("é", 100): strings.Repeat("é", 80), "a\u202eb": "ab",
	} {
		op := s.text("x")
		op.Sender.Name, op.Sender.Address = name, "romeo@example.org"
		op.Sender.Avatar = &sdk.Media{URL: "https://example.org/face.png"}
		m := s.on(s.general, s.do(op).Parts[0].Remote)
		if m.Username != want || string(m.Icons) != `{"image_48":"https://example.org/face.png"}` {
			t.Errorf("%q: %q %s", name, m.Username, m.Icons)
		}
	}
	op := s.text("x")
	op.Sender.Avatar = &sdk.Media{URL: "http://127.0.0.1/face.png"}
	if m := s.on(s.general, s.do(op).Parts[0].Remote); m.Icons != nil {
		t.Error("Slack is sent to an address of ours that is not public")
	}
	// Without the scope the name stands in the text.
	s.s.SetScopes(slices.DeleteFunc(slacktest.AllScopes(), func(sc string) bool { return sc == "chat:write.customize" }))
	for range 2 {
		if m := s.on(s.general, s.do(s.text("hello")).Parts[0].Remote); m.Username != "" || !strings.Contains(shownAs(m).Plain(), "Romeo") {
			t.Errorf("%+v", m)
		}
	}
}

// TestRateLimit: a limit stops one channel, costs no further question until its time, and
// says when to come back.
func TestRateLimit(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	other := s.s.AddChannel("other")
	s.s.Limit("chat.postMessage", true, 1, time.Minute)
	s.do(s.text("first"))
	posts := func() int { return len(s.s.Calls("chat.postMessage")) }
	_, err := s.try(s.text("second"))
	if !isCode(err, sdk.CodeRateLimited, true) || err.RetryAfter < time.Second {
		t.Fatal(err)
	}
	before := posts()
	for range 20 {
		if _, err := s.try(s.text("again")); !isCode(err, sdk.CodeRateLimited, true) {
			t.Fatal(err)
		}
	}
	if posts() != before {
		t.Errorf("%d questions that Slack had forbidden", posts()-before)
	}
	elsewhere := s.text("elsewhere")
	elsewhere.Portal.Room = key(other)
	s.do(elsewhere)
}

func TestAnswersThatNeverCame(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	for name, f := range map[string]slacktest.Fault{
		"answer lost": slacktest.LoseAnswer("chat.postMessage", 1), "reset": slacktest.Reset("chat.postMessage", 1), "a page": slacktest.HTML("chat.postMessage", 502, 1),
		"a page with 200": slacktest.HTML("chat.postMessage", 200, 1), "in trouble": slacktest.Refuse("chat.postMessage", "internal_error", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s.s.Fail(f)
			op := s.text(name)
			if _, err := s.try(op); !isCode(err, sdk.CodeUnavailable, true) {
				t.Fatal(err)
			}
			op.Attempt, op.Doubt = 2, true
			d := s.do(op)
			n := 0
			for _, m := range s.s.Channel(s.general).Messages {
				if shownAs(m).Plain() == name {
					n++
				}
			}
			if n != 1 || s.on(s.general, d.Parts[0].Remote) == nil {
				t.Errorf("%d times on Slack", n)
			}
		})
	}
}

// TestDoubtInAThread: the second part of a long answer in a thread is found there.
func TestDoubtInAThread(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	root := s.s.Say(s.general, s.ada, "root")
	op := s.text(strings.Repeat("word ", 1500))
	op.Content.Thread = &sdk.Thread{ID: root}
	first := s.do(op)
	op.Attempt, op.Doubt = 2, true
	again := s.do(op)
	if len(first.Parts) < 2 || !slices.EqualFunc(first.Parts, again.Parts, func(a, b sdk.Part) bool { return a.Remote == b.Remote && a.ID == b.ID }) {
		t.Fatalf("%+v\n%+v", first, again)
	}
	for _, p := range first.Parts {
		if m := s.on(s.general, p.Remote); m == nil || m.ThreadTS != root {
			t.Errorf("%+v", m)
		}
	}
}

func TestReactionsAreCounted(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	ts := s.s.Say(s.general, s.ada, "react to this")
	ref := sdk.MessageRef{ID: sdk.RemoteMessageID(ts)}
	set := func(who string, added, removed []string) *sdk.Error {
		op := &sdk.SetReactions{OpHeader: s.head(who, s.general), Target: ref}
		for _, e := range added {
			op.Added = append(op.Added, sdk.Emoji{Text: e})
		}
		for _, e := range removed {
			op.Removed = append(op.Removed, sdk.Emoji{Text: e})
		}
		_, err := s.try(op)
		return err
	}
	shown := func() string {
		var out []string
		for _, r := range s.on(s.general, ref.ID).Reactions {
			out = append(out, r.Name)
		}
		return strings.Join(out, " ")
	}
	step := func(want string, errs ...*sdk.Error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		if got := shown(); got != want {
			t.Errorf("shown %q, not %q", got, want)
		}
	}
	step("+1", set("Romeo", []string{"👍"}, nil), set("Juliet", []string{"👍"}, nil))
	step("+1", set("Romeo", nil, []string{"👍"}))
	s.again() // who wants it is not forgotten
	step("+1", set("Romeo", nil, []string{"👍"}))
	step("", set("Juliet", nil, []string{"👍"}), set("Juliet", nil, []string{"👍"}))
	if err := set("Romeo", []string{"not an emoji"}, nil); !isCode(err, sdk.CodeUnsupported, false) {
		t.Error(err)
	}
	step("wave::skin-tone-4", set("Romeo", []string{"👋🏽"}, nil), set("Romeo", []string{"👋🏽"}, nil))
	s.mark("after")
	if got := events[*sdk.Reaction](s); len(got) != 0 {
		t.Errorf("our own reactions came back: %+v", got[0])
	}
}

func TestFiles(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	file := s.h.AddFile("a picture.png", "image/png", []byte("12345"))
	share := func() *sdk.SendMessage {
		op := s.text("look")
		op.Content.Attachments = []sdk.Attachment{{Media: file}}
		return op
	}
	s.s.Late(3)
	d := s.do(share())
	m := s.on(s.general, d.Parts[1].Remote)
	if len(d.Parts) != 2 || m == nil || len(m.Files) != 1 || string(s.s.FileData(m.Files[0].ID)) != "12345" || !strings.Contains(m.Text, "Romeo") {
		t.Fatalf("%+v %+v", d, m)
	}
	// The answer is lost at each step: one file, one line.
	for _, method := range []string{"files.getUploadURLExternal", "upload", "files.completeUploadExternal", "chat.postMessage"} {
		before := len(s.s.Channel(s.general).Messages)
		if method == "upload" {
			s.s.Fail(slacktest.Reset(method, 1))
		} else {
			s.s.Fail(slacktest.LoseAnswer(method, 1))
		}
		op := share()
		if _, err := s.try(op); err == nil || !err.Temporary {
			t.Fatal(method, err)
		}
		op.Attempt, op.Doubt = 2, true
		s.do(op)
		if n := len(s.s.Channel(s.general).Messages) - before; n != 2 {
			t.Errorf("%s: %d messages", method, n)
		}
	}
	// Whether the files were shown is found out before they are shown again, however slowly Slack tells.
	for name, trouble := range map[string]func(){
		"a lost question": func() { s.s.Fail(slacktest.Reset("files.info", 1)) },
		"Slack is behind": func() { s.s.Late(3) },
	} {
		before := len(s.s.Channel(s.general).Messages)
		s.s.Fail(slacktest.LoseAnswer("files.completeUploadExternal", 1))
		op := share()
		if _, err := s.try(op); err == nil || !err.Temporary {
			t.Fatal(name, err)
		}
		op.Doubt = true
		trouble()
		for {
			op.Attempt++
			_, err := s.try(op)
			if err == nil {
				break
			}
			if !err.Temporary || op.Attempt > 3 {
				t.Fatal(name, err)
			}
		}
		if n := len(s.s.Channel(s.general).Messages) - before; n != 2 {
			t.Errorf("%s: %d messages", name, n)
		}
	}
	// Taking it back takes the file too, also where its place was never known.
	s.s.Late(100)
	d = s.do(share())
	if !slackid.IsFile(string(d.Parts[1].Remote)) {
		t.Fatalf("%+v", d)
	}
	before := len(s.s.Channel(s.general).Messages)
	s.do(&sdk.RetractMessage{OpHeader: s.head("Romeo", s.general), Target: sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}})
	if n := before - len(s.s.Channel(s.general).Messages); n != 2 {
		t.Errorf("%d messages fewer", n)
	}
	empty := share()
	empty.Content.Attachments[0].Media.Size = 0
	if _, err := s.try(empty); !isCode(err, sdk.CodeInvalid, false) {
		t.Error(err)
	}
}

func TestFilesFromSlack(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	s.s.BareFiles(true) // the event says nothing but the id
	id, _ := s.s.ShareFile(s.general, s.ada, "notes.txt", "text/plain", "look", []byte("some notes"))
	m := await(s, "the file", func(m *sdk.Message) bool { return len(m.Content.Attachments) == 1 })
	a := m.Content.Attachments[0].Media
	if a.Name != "notes.txt" || a.Type != "text/plain" || a.Size != 10 || !a.Lazy || m.Content.Body.Plain() != "look" {
		t.Errorf("%+v", a)
	}
	got, err := s.l.FetchMedia(t.Context(), sdk.MediaRequest{ID: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(got.Body)
	_ = got.Body.Close()
	if err != nil || !bytes.Equal(data, []byte("some notes")) {
		t.Errorf("%q %v", data, err)
	}
	s.s.Post(s.general, slacktest.Message{User: s.ada, Subtype: "file_share", Text: "elsewhere", Files: []*slacktest.File{{ID: "F0GONE", Mode: "tombstone"}}})
	await(s, "the note", func(m *sdk.Message) bool { return strings.Contains(m.Content.Body.Plain(), "no longer on Slack") })
	if _, err := s.l.FetchMedia(t.Context(), sdk.MediaRequest{ID: sdk.MediaID("file:" + strings.TrimPrefix(id, "F"))}); err == nil {
		t.Error("fetched what is no file")
	}
	// A file without a right comes as the page to sign in: that is not handed on.
	s.s.Fail(slacktest.HTML("files", 200, 1))
	if _, err := s.l.FetchMedia(t.Context(), sdk.MediaRequest{ID: a.ID}); sdk.AsError(err) == nil || sdk.AsError(err).Code != sdk.CodeForbidden {
		t.Error(err)
	}
}

func TestReplies(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	ts := s.s.Say(s.general, s.ada, "what is it?")
	reply := s.s.Reply(s.general, s.ada, ts, "in the thread")
	await(s, "the reply", func(m *sdk.Message) bool { return m.Message == sdk.RemoteMessageID(reply) })
	answer := func(to string) *slacktest.Message {
		op := s.text("this")
		op.Content.ReplyTo = &sdk.Reply{Target: sdk.MessageRef{ID: sdk.RemoteMessageID(to)}, Author: "Ada", Excerpt: "what  is\nit?"}
		return s.on(s.general, s.do(op).Parts[0].Remote)
	}
	want := "> Ada (https://acme.slack.com/archives/" + s.general + "/p" + strings.ReplaceAll(ts, ".", "") + "): what is it?\nthis"
	if m := answer(ts); m.ThreadTS != "" || shownAs(m).Plain() != want {
		t.Errorf("%q", shownAs(m).Plain())
	}
	if m := answer(reply); m.ThreadTS != ts || shownAs(m).Plain() != "this" {
		t.Errorf("%+v", m)
	}
	if m := answer(""); m.ThreadTS != "" || shownAs(m).Plain() != "> Ada: what is it?\nthis" {
		t.Errorf("%q", shownAs(m).Plain())
	}
	s.stop()
	s.conf["replies"] = "thread"
	s.start()
	if m := answer(ts); m.ThreadTS != ts || shownAs(m).Plain() != "this" {
		t.Errorf("%+v", m)
	}
	// A thread whose root is gone is none.
	op := s.text("late")
	op.Content.Thread = &sdk.Thread{Root: sdk.MessageRef{ID: "1712345678.000100"}}
	if m := s.on(s.general, s.do(op).Parts[0].Remote); m == nil || m.ThreadTS != "" {
		t.Errorf("%+v", m)
	}
}

func TestEdits(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	long := strings.TrimSpace(strings.Repeat("word ", 2000))
	ref := s.sent("short")
	edit := func(text string) sdk.Delivered {
		d := s.do(&sdk.EditMessage{OpHeader: s.head("Romeo", s.general), Target: ref, Content: sdk.Content{Body: richtext.FromPlain(text)}})
		ref.Parts = d.Parts
		return d
	}
	said := func() string {
		var out []string
		for _, m := range s.s.Channel(s.general).Messages {
			if m.Username == "Romeo" {
				out = append(out, shownAs(m).Plain())
			}
		}
		return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
	}
	if d := edit(long); len(d.Parts) < 2 || said() != long {
		t.Errorf("%d parts, %d characters", len(d.Parts), len(said()))
	}
	if d := edit("short again"); len(d.Parts) != 1 || said() != "short again" {
		t.Errorf("%+v %q", d, said())
	}
	s.mark("after")
	if len(events[*sdk.Edit](s))+len(events[*sdk.Retract](s)) != 0 {
		t.Error("our own changes came back")
	}
	theirs := s.s.Say(s.general, s.ada, "hers")
	_, err := s.try(&sdk.EditMessage{OpHeader: s.head("Romeo", s.general), Target: sdk.MessageRef{ID: sdk.RemoteMessageID(theirs)}, Content: sdk.Content{Body: richtext.FromPlain("mine")}})
	if !isCode(err, sdk.CodeForbidden, false) {
		t.Error(err)
	}
}

func TestVeryLong(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	text := strings.TrimSpace(strings.Repeat("word ", 20_000))
	d := s.do(s.text(text))
	if len(d.Parts) != 2 {
		t.Fatalf("%+v", d)
	}
	m := s.on(s.general, d.Parts[1].Remote)
	if m == nil || m.Files[0].Name != "message.txt" || string(s.s.FileData(m.Files[0].ID)) != text {
		t.Errorf("%+v", m)
	}
}

func TestRefusals(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	secret := s.s.AddPrivate("secret")
	s.s.Leave(secret, slacktest.BotUser)
	if _, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: sdk.PortalKey{Room: key(secret)}}); err == nil || sdk.AsError(err).Temporary || !strings.Contains(err.Error(), "/invite @bridge") {
		t.Error(err)
	}
	s.s.Leave(s.general, slacktest.BotUser)
	if _, err := s.try(s.text("x")); !isCode(err, sdk.CodeForbidden, false) || !strings.Contains(err.Text, "/invite") {
		t.Error(err)
	}
	if info, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: sdk.PortalKey{Room: key(s.general)}, Members: 10}); err != nil || len(info.Members) != 1 || info.Aliases[0] != "#general:acme" {
		t.Error(info, err)
	}
	for text, want := range map[string]sdk.RemoteRoomID{"#general": key(s.general), "general": key(s.general), "#general:acme": key(s.general), "https://acme.slack.com/archives/" + s.general: key(s.general)} {
		if target, err := s.l.Resolve(t.Context(), sdk.ResolveRequest{Text: text}); err != nil || target.Portal.Room != want {
			t.Error(text, target, err)
		}
	}
	for _, text := range []string{"@ada", "ada", "ada@example.org", "<@" + s.ada + ">"} {
		if target, err := s.l.Resolve(t.Context(), sdk.ResolveRequest{Text: text, Want: sdk.TargetUser}); err != nil || target.User.Name != "Ada" {
			t.Error(text, target, err)
		}
	}
	if _, err := s.l.Resolve(t.Context(), sdk.ResolveRequest{Text: "#general:elsewhere"}); !isNotFound(err) || !strings.Contains(err.Error(), "not elsewhere") {
		t.Error(err)
	}
	s.s.Archive(s.general, s.ada)
	if _, err := s.try(s.text("x")); !isCode(err, sdk.CodeRoomGone, false) {
		t.Error(err)
	}
}

// presence waits for a presence of Ada's.
func (s *stage) presence(show sdk.Show, status string) {
	s.t.Helper()
	s.h.Await(s.t, "a presence", func() bool {
		var last *sdk.Presence
		for _, sig := range s.h.Signals() {
			if p, ok := sig.(*sdk.Presence); ok && p.Who.User == sdk.RemoteUserID(s.ada+":"+slacktest.TeamID) {
				last = p
			}
		}
		return last != nil && last.Show == show && last.Status == status
	})
}

func TestPresence(t *testing.T) {
	s := bareStage(t, slacktest.Options{})
	s.conf["presence_polls"] = 50
	s.start()
	s.s.SetPresence(s.ada, true)
	watch := func() {
		if err := s.l.Watch(t.Context(), sdk.WatchRequest{Users: []sdk.RemoteUserID{sdk.RemoteUserID(s.ada + ":" + slacktest.TeamID)}}); err != nil {
			t.Fatal(err)
		}
	}
	watch()
	s.presence(sdk.ShowOnline, "")
	s.s.SetProfile(s.ada, func(p *slacktest.Profile) { p.StatusText, p.StatusEmoji = "tea", ":tea:" })
	s.presence(sdk.ShowOnline, "🍵 tea")
	s.s.SetDND(s.ada, time.Now().Add(time.Hour).Unix())
	s.presence(sdk.ShowBusy, "🍵 tea")
	s.s.SetDND(s.ada, 0)
	s.presence(sdk.ShowOnline, "🍵 tea")
	s.s.SetPresence(s.ada, false)
	s.s.SetProfile(s.ada, func(p *slacktest.Profile) { p.StatusText, p.StatusEmoji = "", "" })
	watch() // another round begins
	s.presence(sdk.ShowAway, "")
}

func TestSelfTest(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	s.s.SetScopes(slices.DeleteFunc(slacktest.AllScopes(), func(sc string) bool { return sc == "chat:write.customize" || sc == "users:read" }))
	s.c.publicURL = ""
	report, err := s.l.Test(t.Context())
	if err != nil || !report.Failed() {
		t.Fatal(report, err)
	}
	found := map[string]sdk.Check{}
	for _, c := range report.Checks {
		found[c.Name] = c
	}
	if c := found["scope chat:write.customize"]; c.Status != sdk.CheckWarning || !strings.Contains(c.Found, "under the bot's name") || c.Fix == "" {
		t.Errorf("%+v", c)
	}
	if c := found["scope users:read"]; c.Status != sdk.CheckFailed {
		t.Errorf("%+v", c)
	}
	if c := found["public_url"]; c.Status != sdk.CheckWarning || !strings.Contains(c.Found, "faces") {
		t.Errorf("%+v", c)
	}
	if found["app_token"].Status != sdk.CheckOK || found["bot_token"].Status != sdk.CheckOK {
		t.Errorf("%+v", found)
	}
	s.s.Revoke()
	if report, _ = s.l.Test(t.Context()); report.Checks[0].Status != sdk.CheckFailed || !strings.Contains(report.Checks[0].Fix, "OAuth Token") {
		t.Errorf("%+v", report)
	}
}

func TestSetupPlan(t *testing.T) {
	plan, err := New(Options{}).Setup(t.Context(), sdk.SetupRequest{Name: "acme", Answers: map[string]string{"app_name": "My Bridge"}})
	if err != nil || len(plan.Files) != 1 || len(plan.Steps) < 6 || !strings.Contains(strings.Join(plan.Steps, " "), "/invite @my-bridge") {
		t.Fatal(plan, err)
	}
	if *update {
		if err := os.WriteFile("testdata/manifest.golden", plan.Files[0].Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/manifest.golden")
	if err != nil || !bytes.Equal(want, plan.Files[0].Content) {
		t.Errorf("%v\n%s", err, plan.Files[0].Content)
	}
	if _, err := New(Options{}).Setup(t.Context(), sdk.SetupRequest{Answers: map[string]string{"app_name": "a\"b"}}); err == nil {
		t.Error("a name that breaks the manifest was taken")
	}
}
