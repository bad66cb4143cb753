package discord

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestTextIn(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.SetNick(s.guild, s.bob, "Bobby")
	s.Server.Say(s.one, s.me, "**bold** <@"+s.bob+"> <#"+s.two+"> @everyone <:party:555> \\*not\\*")
	m := s.message(func(m *sdk.Message) bool { return string(m.Portal.Room) == s.one })
	want := richtext.Doc(richtext.Para(
		richtext.Bold(richtext.Text("bold")), richtext.Text(" "), richtext.MentionUserID(s.bob, "@Bobby"), richtext.Text(" "),
		richtext.Node{Kind: richtext.KindMention, Text: "#support", Mention: richtext.Mention{Target: richtext.MentionRoom, ID: s.two}}, richtext.Text(" @everyone "),
		richtext.Node{Kind: richtext.KindEmoji, Text: ":party:", Emoji: richtext.Emoji{Name: "party", ID: "555"}}, richtext.Text(" *not*"),
	))
	if !m.Content.Body.Equal(want) {
		t.Errorf("%+v", m.Content.Body)
	}
	s.Post(s.one, s.me, discordtest.Draft{Content: "@everyone wake up", Everyone: true})
	m = s.said("@everyone wake up")
	if calls := m.Content.Body.Mentions(); len(calls) != 1 || calls[0].Target != richtext.MentionAll {
		t.Errorf("%+v", calls)
	}
}

// TestKindsOfMessages: forwarded ones, stickers, voice, cards, polls' ends, and what
// Discord itself writes.
func TestKindsOfMessages(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	first := s.Server.Say(s.one, s.me, "the original **text**")
	original := s.Messages(s.one)[0]
	s.Post(s.one, s.bob, discordtest.Draft{Forward: &original})
	s.message(func(m *sdk.Message) bool { return m.Content.Body.Plain() == "forwarded\n> the original text" })
	s.Post(s.one, s.bob, discordtest.Draft{Stickers: []string{"wave"}})
	m := s.message(func(m *sdk.Message) bool {
		return len(m.Content.Attachments) == 1 && m.Content.Attachments[0].Sticker
	})
	if media := m.Content.Attachments[0].Media; !media.Lazy || media.Name != "wave.png" {
		t.Errorf("%+v", media)
	}
	s.Post(s.one, s.bob, discordtest.Draft{Flags: 1 << 13, Files: []discordtest.File{{Name: "voice-message.ogg", Type: "audio/ogg", Data: []byte("x"), Duration: 2.5, Waveform: "AAAA"}}})
	m = s.message(func(m *sdk.Message) bool { return len(m.Content.Attachments) == 1 && m.Content.Attachments[0].Voice })
	if a := m.Content.Attachments[0]; a.Media.Duration != 2500*time.Millisecond || !a.Inline {
		t.Errorf("%+v", a)
	}
	s.Post(s.one, s.bob, discordtest.Draft{Embeds: []discordtest.M{{"type": "rich", "title": "Build failed", "description": "on **main**"}}})
	s.said("> Build failed\n>\n> on main")
	s.Post(s.one, s.bob, discordtest.Draft{Content: "https://example.org/", Embeds: []discordtest.M{{"type": "link", "url": "https://example.org/", "title": "Example", "description": "a page"}}})
	m = s.said("https://example.org/")
	if p := m.Content.Previews; len(p) != 1 || p[0].Title != "Example" || p[0].Text.Plain() != "a page" {
		t.Errorf("%+v", p)
	}
	for kind, want := range map[int]string{6: "pinned a message", 8: "boosted the server", 18: "started the thread plans", 46: "ended a poll"} {
		content := ""
		if kind == 18 {
			content = "plans"
		}
		s.Post(s.one, s.bob, discordtest.Draft{Type: kind, Content: content})
		if m := s.said(want); m.Content.Kind != sdk.KindNotice {
			t.Errorf("type %d is %+v", kind, m.Content)
		}
	}
	for _, kind := range []int{7, 21, 24, 99} { // told otherwise, or nobody's business
		s.Post(s.one, s.bob, discordtest.Draft{Type: kind, Content: "hidden"})
	}
	s.Post(s.one, s.me, discordtest.Draft{Content: "the answer", ReplyTo: first})
	m = s.said("the answer")
	if r := m.Content.ReplyTo; r == nil || string(r.Target.ID) != first || r.Author != "Ann" || r.Excerpt != "the original text" || !strings.HasSuffix(r.Link, first) {
		t.Errorf("%+v", r)
	}
	for _, e := range s.h.Events() {
		if m, ok := e.(*sdk.Message); ok && m.Content.Body.Plain() == "hidden" {
			t.Errorf("%+v", m)
		}
	}
}

// TestPersonas: what other webhooks say comes under the name they say it under; ours
// is known as ours.
func TestPersonas(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	hook := s.AddWebhook(s.one, "kit")
	s.Post(s.one, "", discordtest.Draft{Content: "as Eve", Webhook: hook, Name: "Eve"})
	s.Post(s.one, "", discordtest.Draft{Content: "as Ivy", Webhook: hook, Name: "Ivy"})
	eve, ivy := s.said("as Eve"), s.said("as Ivy")
	if eve.Own || eve.Persona == nil || eve.Persona.Name != "Eve" || ivy.Persona == nil || eve.Persona.Key == ivy.Persona.Key || eve.Actor.User != ivy.Actor.User {
		t.Errorf("%+v %+v", eve.Persona, ivy.Persona)
	}
	op := s.send("as Romeo")
	d := s.must(op)
	own := s.message(func(m *sdk.Message) bool { return m.Message == d.Parts[0].Remote })
	if !own.Own || own.Persona != nil {
		t.Errorf("%+v", own)
	}
}

func TestChangesIn(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	id := s.Server.Say(s.one, s.me, "see https://example.org/")
	// A preview that comes later is no edit.
	s.Unfurl(s.one, id, discordtest.M{"type": "link", "url": "https://example.org/", "title": "Example"})
	a, b := s.Server.Say(s.one, s.me, "a"), s.Server.Say(s.one, s.bob, "b")
	s.BulkDelete(s.one, a, b)
	for _, id := range []string{a, b} {
		event(s, "the deletion", func(r *sdk.Retract) bool { return string(r.Target.ID) == id && !r.Moderated })
	}
	s.ReactCustom(s.one, id, s.bob, "party", "555")
	event(s, "the reaction", func(r *sdk.Reaction) bool {
		return r.Change == sdk.ReactionAdd && r.Emoji[0].ID == "555" && r.Emoji[0].Text == ":party:" && r.Emoji[0].Media.Lazy
	})
	s.React(s.one, id, s.me, "👍")
	s.ClearReactions(s.one, id, "👍")
	event(s, "the end of a reaction", func(r *sdk.Reaction) bool {
		return r.Change == sdk.ReactionClearOne && r.Emoji[0].Text == "👍"
	})
	s.ClearReactions(s.one, id, "")
	event(s, "the end of all reactions", func(r *sdk.Reaction) bool { return r.Change == sdk.ReactionClear })
	// Ours: deleted by a moderator, and by ourselves.
	mod, self := s.must(s.send("for the moderator")), s.must(s.send("taken back"))
	s.must(&sdk.RetractMessage{OpHeader: s.header(), Target: ref(self)})
	s.must(&sdk.SetReactions{OpHeader: s.header(), Target: refTo(id), Emoji: []sdk.Emoji{{Text: "🎉"}}})
	s.Delete(s.one, string(mod.Parts[0].Remote))
	event(s, "the moderation", func(r *sdk.Retract) bool { return r.Target.ID == mod.Parts[0].Remote && r.Moderated })
	for _, e := range s.h.Events() {
		switch v := e.(type) {
		case *sdk.Edit:
			t.Errorf("%+v", v)
		case *sdk.Retract:
			if v.Target.ID == self.Parts[0].Remote {
				t.Error("our own deletion came back")
			}
		case *sdk.Reaction:
			if string(v.Actor.User) == s.app.User.ID {
				t.Error("our own reaction came back")
			}
		}
	}
}

func TestPeopleIn(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.SetNick(s.guild, s.bob, "Bobby")
	u := event(s, "the nick", func(u *sdk.UserChanged) bool { return u.User.Name == "Bobby" })
	if string(u.Portal.Room) != s.one && string(u.Portal.Room) != s.two {
		t.Errorf("a nick is the guild's: %+v", u.Portal)
	}
	s.SetAvatar(s.guild, s.bob, []byte("\x89PNG of the guild"))
	u = event(s, "the guild's face", func(u *sdk.UserChanged) bool {
		return u.User.Avatar != nil && strings.HasPrefix(string(u.User.Avatar.ID), "guilds/")
	})
	content, err := s.l.FetchMedia(t.Context(), sdk.MediaRequest{ID: u.User.Avatar.ID})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(content.Body)
	_ = content.Body.Close()
	if string(data) != "\x89PNG of the guild" {
		t.Errorf("%q", data)
	}
	s.SetGlobalName(s.me, "Anna")
	event(s, "the name", func(u *sdk.UserChanged) bool { return u.User.Name == "Anna" && u.Portal.Room == "" })
	// A channel that somebody does not see is not told of her.
	s.Overwrite(s.two, s.bob, 0, discordtest.PermView)
	s.Server.Say(s.one, s.me, "the channel has changed")
	s.said("the channel has changed")
	s.BanMember(s.guild, s.bob)
	ban := event(s, "the ban", func(m *sdk.Membership) bool { return m.Change == sdk.MembershipBan })
	if string(ban.Portal.Room) != s.one || string(ban.Member.User) != s.bob {
		t.Errorf("%+v", ban)
	}
	s.DeleteChannel(s.two)
	event(s, "the end of a channel", func(p *sdk.PortalGone) bool {
		return string(p.Portal.Room) == s.two && p.Code == sdk.CodeRoomGone
	})
	s.Leave(s.guild, s.app.User.ID)
	event(s, "the end of the guild", func(p *sdk.PortalGone) bool {
		return string(p.Portal.Room) == s.one && p.Code == sdk.CodeForbidden
	})
}

func TestPresence(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.SetPresence(s.bob, "dnd", "writing")
	shown := func(user string, show sdk.Show) func() bool {
		return func() bool {
			return slices.ContainsFunc(s.h.Signals(), func(sig sdk.Signal) bool {
				p, ok := sig.(*sdk.Presence)
				return ok && string(p.Who.User) == user && p.Show == show
			})
		}
	}
	s.h.Await(t, "bob is busy", shown(s.bob, sdk.ShowBusy))
	if err := s.l.Watch(t.Context(), sdk.WatchRequest{Users: []sdk.RemoteUserID{sdk.RemoteUserID(s.me)}}); err != nil {
		t.Fatal(err)
	}
	s.SetPresence(s.bob, "online", "")
	s.SetPresence(s.me, "idle", "at lunch")
	s.h.Await(t, "ann is away", shown(s.me, sdk.ShowAway))
	if shown(s.bob, sdk.ShowOnline)() {
		t.Error("nobody watches bob")
	}
}

// TestAddressesExpire: an attachment is copied when it arrives, with a fresh
// address where the first was stale; else it becomes a link.
func TestAddressesExpire(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.Fail(discordtest.Fault{Path: "/cdn/attachments", Times: 2, Status: 404})
	s.Post(s.one, s.me, discordtest.Draft{Content: "late", Files: []discordtest.File{{Name: "a.txt", Type: "text/plain", Data: []byte("data")}}})
	m := s.said("late")
	if len(m.Content.Attachments) != 1 || m.Content.Attachments[0].Media.Lazy {
		t.Fatalf("%+v", m.Content)
	}
	if n := s.calls("GET", "/messages/"+string(m.Message)); n != 2 {
		t.Errorf("the message was asked for %d times", n)
	}
	// An edit does not copy it again.
	s.Edit(s.one, string(m.Message), "later")
	e := event(s, "the edit", func(e *sdk.Edit) bool { return e.Content.Body.Plain() == "later" })
	if len(e.Content.Attachments) != 1 || e.Content.Attachments[0].Media.ID != m.Content.Attachments[0].Media.ID {
		t.Errorf("%+v", e.Content)
	}
	s.Fail(discordtest.Fault{Path: "/cdn/attachments", Times: -1, Status: 404})
	s.Post(s.one, s.me, discordtest.Draft{Files: []discordtest.File{{Name: "lost.txt", Data: []byte("data")}}})
	s.message(func(m *sdk.Message) bool { return strings.HasPrefix(m.Content.Body.Plain(), "lost.txt (http") })
}

// TestSilentCDN: a file that does not come holds up nothing for ever, and is asked for again.
func TestSilentCDN(t *testing.T) {
	s := bareStage(t, discordtest.Options{})
	s.conf["timeout"] = "1s"
	s.start()
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	s.Fail(discordtest.Fault{Path: "/cdn/attachments", Times: 1, Hold: hold, Status: 404})
	s.Post(s.one, s.me, discordtest.Draft{Content: "slow", Files: []discordtest.File{{Name: "a.txt", Type: "text/plain", Data: []byte("data")}}})
	s.Server.Say(s.one, s.me, "behind it")
	if m := s.said("slow"); len(m.Content.Attachments) != 1 {
		t.Errorf("%+v", m.Content)
	}
	s.said("behind it")
}

func TestResolving(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	thread := s.StartThread(s.one, "", "talk")
	for text, want := range map[string]string{
		"#general:garden": s.one, "#general": s.one, "#support:" + s.guild: s.two, "<#" + s.two + ">": s.two, s.one: s.one,
		"https://discord.com/channels/" + s.guild + "/" + s.one + "/1": s.one, thread: s.one, "@bob": s.bob, "Bob": s.bob, "<@" + s.bob + ">": s.bob, s.bob: s.bob,
	} {
		got, err := s.l.Resolve(t.Context(), sdk.ResolveRequest{Text: text, For: s.romeo})
		if err != nil || string(got.Portal.Room) != want && string(got.User.ID) != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	hidden := s.AddChannel(s.guild, "hidden")
	s.Overwrite(hidden, s.guild, 0, discordtest.PermView)
	if _, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: portal(hidden)}); sdk.AsError(err).Code != sdk.CodeForbidden {
		t.Error(err)
	}
	info, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: portal(s.one), For: s.romeo})
	if err != nil || info.Name != "general" || info.Aliases[0] != "#general:garden" || len(info.Members) != 2 || len(info.Missing) != 0 || info.MemberCount != 2 {
		t.Errorf("%+v %v", info, err)
	}
	if m := info.Members[0]; string(m.User.ID) != s.me || m.Role != sdk.RoleOwner {
		t.Errorf("%+v", m)
	}
	for _, shape := range []struct {
		forms []sdk.AddressForm
		id    string
		ok    bool
	}{
		{addresses().Users, s.me, true}, {addresses().Users, "wh-1-a", false}, {addresses().Rooms, s.one, true},
		{addresses().Aliases, info.Aliases[0], true}, {addresses().Aliases, info.Aliases[1], true}, {addresses().Aliases, "#General:x", false},
	} {
		if _, ok := shape.forms[0].Split(shape.id); ok != shape.ok {
			t.Errorf("%s: %v", shape.id, ok)
		}
	}
}

// TestReport names what is missing, and what is lost with it.
func TestReport(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	if _, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: portal(s.one), For: s.romeo}); err != nil {
		t.Fatal(err)
	}
	report, err := s.l.Test(t.Context())
	if err != nil || report.Failed() {
		t.Fatal(report, err)
	}
	s.Overwrite(s.one, s.app.User.ID, 0, discordtest.PermWebhooks|discordtest.PermReact)
	s.Privileged(s.app.User.ID, discordtest.IntentMembers|discordtest.IntentContent)
	s.Server.Say(s.one, s.me, "the rights have changed")
	s.said("the rights have changed")
	if report, err = s.l.Test(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := map[string]sdk.CheckStatus{}
	for _, c := range report.Checks {
		found[c.Name] = c.Status
		if c.Status != sdk.CheckOK && (c.Found == "" || c.Fix == "") {
			t.Errorf("%+v", c)
		}
	}
	for name, want := range map[string]sdk.CheckStatus{
		"permission Manage Webhooks": sdk.CheckFailed, "permission Add Reactions": sdk.CheckWarning, "Presence Intent": sdk.CheckFailed,
		"Server Members Intent": sdk.CheckOK, "Message Content Intent": sdk.CheckOK, "gateway": sdk.CheckOK, "public_url": sdk.CheckOK, "token": sdk.CheckOK,
	} {
		if found[name] != want {
			t.Errorf("%s: %v in %+v", name, found[name], report.Checks)
		}
	}
}

func TestSetup(t *testing.T) {
	c := New(Options{})
	plan, err := c.Setup(t.Context(), sdk.SetupRequest{Name: "discord", Domain: "example.org"})
	if err != nil || len(plan.Questions) != 1 || plan.Questions[0].Name != "application_id" {
		t.Fatal(plan, err)
	}
	all := func(p sdk.SetupPlan) string { return strings.Join(p.Steps, "\n") }
	invite := "https://discord.com/oauth2/authorize?client_id=123456789012345678&scope=bot&permissions=309774904400"
	for name, r := range map[string]sdk.SetupRequest{
		"by an answer":   {Name: "discord", Answers: map[string]string{"application_id": "123456789012345678"}},
		"from the token": {Name: "discord", JSON: []byte(`{"bot_token":"MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y"}`)},
	} {
		plan, err := c.Setup(t.Context(), r)
		if err != nil || len(plan.Questions) != 0 || !strings.Contains(all(plan), invite) || !strings.Contains(all(plan), "Message Content Intent") {
			t.Errorf("%s: %v\n%s", name, err, all(plan))
		}
	}
	c.client.CloseIdleConnections()
}
