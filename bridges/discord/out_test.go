package discord

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// TestNobodyIsCalled: no text becomes a ping, in messages and in edits; who is
// named is called.
func TestNobodyIsCalled(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	role := s.AddRole(s.guild, "Crew", 0)
	hostile := "@everyone @here <@" + s.bob + "> <@!" + s.bob + "> <@&" + role + "> `@everyone` **@everyone**"
	d := s.must(s.send(hostile))
	s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: sdk.Content{Body: richtext.FromPlain("edited " + hostile)}})
	code := s.send("")
	code.Content.Body = richtext.Doc(richtext.CodeBlock("", "@everyone <@"+s.bob+">"), richtext.Para(richtext.Code("@here")))
	s.must(code)
	everyone := s.send("")
	everyone.Content.Body = richtext.Doc(richtext.Para(richtext.Node{Kind: richtext.KindMention, Text: "@everyone", Mention: richtext.Mention{Target: richtext.MentionAll}}))
	s.must(everyone)
	for _, m := range s.ours(s.one) {
		if len(m.Called) > 0 {
			t.Errorf("%q calls %v", m.Content, m.Called)
		}
	}
	op := s.send("")
	op.Content.Body = richtext.Doc(richtext.Para(richtext.MentionUserID(s.bob, "@Bob"), richtext.Text(" and not <@"+s.me+">")))
	d = s.must(op)
	if m := s.last(s.one); !slices.Equal(m.Called, []string{s.bob}) {
		t.Errorf("%q calls %v", m.Content, m.Called)
	}
	s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: op.Content})
	if m := s.last(s.one); !slices.Equal(m.Called, []string{s.bob, s.bob}) {
		t.Errorf("the edit of %q calls %v", m.Content, m.Called)
	}
}

func TestNamesAndFaces(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	for name, want := range map[string]string{"Clyde the discordant": "C\u200alyde the d\u200aiscordant", "": "XMPP user", strings.Repeat("x", 100): strings.Repeat("x", 79) + "…"} {
		op := s.send("hello")
		op.Sender.Name = name
		op.Sender.Avatar = &sdk.Media{ID: "a", URL: "https://example.org/face.png"}
		s.must(op)
		if m := s.last(s.one); m.Author.Username != want || m.AvatarURL != "https://example.org/face.png" {
			t.Errorf("%q speaks as %q with %q", name, m.Author.Username, m.AvatarURL)
		}
	}
	if n := len(s.Webhooks(s.one)); n != 1 {
		t.Errorf("%d webhooks", n)
	}
}

// TestWebhookDeleted: in the middle of a burst webhooks go; nothing is lost or
// doubled, and there is no storm of invalid requests.
func TestWebhookDeleted(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	var want []string
	for i := range 30 {
		if i%10 == 5 {
			s.DropWebhooks(s.one)
		}
		want = append(want, "burst "+string(rune('a'+i)))
		s.must(s.send(richtext.FromPlain(want[i]).Plain()))
	}
	if got := texts(s.ours(s.one)); len(got) != len(want) {
		t.Errorf("%d of %d", len(got), len(want))
	}
	if made := s.calls("POST", "/channels/"+s.one+"/webhooks"); made != 4 {
		t.Errorf("%d webhooks were made", made)
	}
	if s.Invalid() != 0 {
		t.Errorf("%d invalid requests", s.Invalid())
	}
	// One that cannot be made is not asked for again and again.
	s.Overwrite(s.one, s.app.User.ID, 0, discordtest.PermWebhooks)
	s.DropWebhooks(s.one)
	for range 50 {
		if _, err := s.try(s.send("x")); err == nil || err.Code != sdk.CodeForbidden || err.Temporary {
			t.Fatal(err)
		}
	}
	if s.Invalid() > 4 {
		t.Errorf("%d invalid requests", s.Invalid())
	}
}

// TestEditAfterWebhookGone says what was changed in a new message.
func TestEditAfterWebhookGone(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	d := s.must(s.send("a mistkae"))
	s.DropWebhooks(s.one)
	s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: sdk.Content{Body: richtext.FromPlain("a mistake")}})
	if m := s.last(s.one); !strings.Contains(m.Content, "edited:") || !strings.Contains(m.Content, "/"+string(d.Parts[0].Remote)+")") || !strings.HasSuffix(m.Content, "a mistake") {
		t.Errorf("%q", m.Content)
	}
	s.must(&sdk.RetractMessage{OpHeader: s.header(), Target: ref(d)}) // as the bot
	for _, m := range s.ours(s.one) {
		if m.ID == string(d.Parts[0].Remote) {
			t.Error("it is still there")
		}
	}
}

func TestEditChangesTheNumberOfMessages(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	long := strings.Repeat("many words ", 400)
	d := s.must(s.send(long))
	if len(d.Parts) != 3 {
		t.Fatal(len(d.Parts))
	}
	d = s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: sdk.Content{Body: richtext.FromPlain("short")}})
	if got := texts(s.ours(s.one)); !slices.Equal(got, []string{"short"}) || len(d.Parts) != 1 {
		t.Error(got, d)
	}
	d = s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: sdk.Content{Body: richtext.FromPlain(long)}})
	if got := strings.Join(texts(s.ours(s.one)), " "); strings.Count(got, "many words") != 400 || len(d.Parts) != 3 {
		t.Error(len(got), len(d.Parts))
	}
}

func TestVeryLongText(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	text := strings.TrimSpace(strings.Repeat("many words ", 2000))
	s.must(s.send(text))
	list := s.ours(s.one)
	if len(list) != 1 || len(list[0].Files) != 1 || list[0].Files[0].Name != "message.txt" || string(list[0].Files[0].Data) != text || !strings.HasPrefix(list[0].Content, "many words") {
		t.Errorf("%d messages: %+v", len(list), texts(list))
	}
}

func TestFilesOverTheLimit(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	op := s.send("look")
	op.Content.Attachments = []sdk.Attachment{{Media: s.h.AddFile("big.bin", "", make([]byte, 10<<20+1))}, {Media: s.h.AddFile("small.txt", "text/plain", []byte("x"))}}
	s.must(op)
	if m := s.last(s.one); len(m.Files) != 1 || m.Files[0].Name != "small.txt" || !strings.Contains(m.Content, "[big.bin](https://example.org/file/") {
		t.Errorf("%+v", m)
	}
	op = s.send("")
	for range 12 {
		op.Content.Attachments = append(op.Content.Attachments, sdk.Attachment{Media: s.h.AddFile("f", "", make([]byte, 4<<20))})
	}
	d := s.must(op)
	n := 0
	for _, m := range s.ours(s.one) {
		n += len(m.Files)
	}
	if n != 13 || len(d.Parts) != 2 {
		t.Errorf("%d files in %d messages", n, len(d.Parts))
	}
}

// TestReplies: webhooks cannot answer; a quotation with a link does.
func TestReplies(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	id := s.Server.Say(s.one, s.me, "a question")
	op := s.send("the answer")
	op.Content.ReplyTo = &sdk.Reply{Target: refTo(id), Author: "Ann", Excerpt: "a question\n\n@everyone"}
	s.must(op)
	want := "> **Ann** [↩](https://discord.com/channels/" + s.guild + "/" + s.one + "/" + id + ")\n> a question\n> @\u200beveryone\nthe answer"
	if m := s.last(s.one); m.Content != want || len(m.Called) > 0 {
		t.Errorf("%q", m.Content)
	}
}

func TestThreads(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	id := s.Server.Say(s.one, s.me, "let us talk about this at length")
	say := func(text string) sdk.Delivered {
		op := s.send(text)
		op.Content.Thread = &sdk.Thread{Root: refTo(id)}
		return s.must(op)
	}
	d := say("first")
	say("second")
	threads := s.Threads(s.one)
	if len(threads) != 1 || threads[0].ID != id || threads[0].Name != "let us talk about this at length" {
		t.Fatalf("%+v", threads)
	}
	if got := texts(s.ours(id)); !slices.Equal(got, []string{"first", "second"}) {
		t.Error(got)
	}
	if got := string(d.Parts[0].Remote); !strings.HasPrefix(got, id+"-") {
		t.Error(got)
	}
	s.must(&sdk.EditMessage{OpHeader: s.header(), Target: ref(d), Content: sdk.Content{Body: richtext.FromPlain("first, edited")}})
	s.must(&sdk.SetReactions{OpHeader: s.header(), Target: ref(d), Emoji: []sdk.Emoji{{Text: "👍"}}})
	if m := s.ours(id)[0]; m.Content != "first, edited" || len(m.Reactions) != 1 {
		t.Errorf("%+v", m)
	}
	s.must(&sdk.RetractMessage{OpHeader: s.header(), Target: ref(d)})
	if got := texts(s.ours(id)); !slices.Equal(got, []string{"second"}) {
		t.Error(got)
	}
	// Without the right it is an answer in the channel.
	s.Overwrite(s.one, s.app.User.ID, 0, discordtest.PermPublicThreads)
	other := s.Server.Say(s.one, s.me, "and this")
	op := s.send("no thread")
	op.Content.Thread = &sdk.Thread{Root: refTo(other)}
	s.must(op)
	if m := s.last(s.one); !strings.Contains(m.Content, other) || !strings.HasSuffix(m.Content, "no thread") {
		t.Errorf("%q", m.Content)
	}
}

// TestReactionsAreCounted: the bot reacts once for all of this side.
func TestReactionsAreCounted(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	id := s.Server.Say(s.one, s.me, "what do you think?")
	react := func(who string, emoji ...sdk.Emoji) *sdk.Error {
		op := &sdk.SetReactions{OpHeader: s.header(), Target: refTo(id), Emoji: emoji}
		op.Sender = sdk.Sender{Person: sdk.PersonID(who), Name: who}
		_, err := s.try(op)
		return err
	}
	count := func() map[string]int {
		out := map[string]int{}
		for _, m := range s.Messages(s.one) {
			for _, r := range m.Reactions {
				out[r.Name]++
			}
		}
		return out
	}
	thumb, custom := sdk.Emoji{Text: "👍"}, sdk.Emoji{Text: ":party:", ID: "555"}
	for _, step := range []struct {
		who   string
		emoji []sdk.Emoji
		thumb int
	}{
		{"romeo", []sdk.Emoji{thumb}, 1}, {"juliet", []sdk.Emoji{thumb, custom}, 1}, {"romeo", nil, 1}, {"juliet", []sdk.Emoji{custom}, 0},
		{"romeo", []sdk.Emoji{thumb, {Text: ":word:"}, {Text: "lol"}}, 1},
	} {
		if err := react(step.who, step.emoji...); err != nil {
			t.Fatal(err)
		}
		if got := count(); got["👍"] != step.thumb || got["party"] != 1 && step.who == "juliet" || len(got) > 2 {
			t.Errorf("after %+v: %v", step, got)
		}
		if step.who == "juliet" { // a new process counts on
			s.stop()
			s.start()
		}
	}
	for i := range 18 {
		s.React(s.one, id, s.bob, string(rune(0x1F600+i)))
	}
	if err := react("tybalt", sdk.Emoji{Text: "🎉"}); err == nil || err.Temporary || err.Code != sdk.CodeBlocked {
		t.Error(err)
	}
}

// TestRateLimits: a channel whose limit is used up says when to come again, and
// stalls no other.
func TestRateLimits(t *testing.T) {
	s := newStage(t, discordtest.Options{Limits: map[string]discordtest.Limit{"webhook": {Count: 3, Per: time.Hour}, "channel": {Count: 2, Per: 10 * time.Minute}}})
	for range 3 {
		s.must(s.send("within"))
	}
	_, err := s.try(s.send("beyond"))
	if err == nil || err.Code != sdk.CodeRateLimited || err.RetryAfter < 50*time.Minute {
		t.Fatal(err)
	}
	other := s.send("elsewhere")
	other.Portal.Room = sdk.RemoteRoomID(s.two)
	s.must(other)
	if s.Invalid() != 0 {
		t.Errorf("%d requests were refused: the headers say enough", s.Invalid())
	}
	for i, topic := range []string{"one", "two", "two", "three"} {
		_, err := s.try(&sdk.SetTopic{OpHeader: s.header(), Topic: topic})
		if late := topic == "three"; late != (err != nil) || late && (err.Code != sdk.CodeRateLimited || err.RetryAfter < time.Minute) {
			t.Fatal(i, topic, err)
		}
		s.h.Await(t, "the topic", func() bool { c, _ := s.c.world.channel(s.one); return topic == "three" || c.Topic == topic })
	}
}

// TestShortLimitIsWaitedFor: a pause of a moment is no reason to go back.
func TestShortLimitIsWaitedFor(t *testing.T) {
	s := newStage(t, discordtest.Options{Limits: map[string]discordtest.Limit{"webhook": {Count: 2, Per: 200 * time.Millisecond}, "webhook-channel": {Count: 5, Per: 300 * time.Millisecond}}})
	for i := range 12 {
		op := s.send("quick")
		for {
			_, err := s.try(op)
			if err == nil {
				break
			}
			if !err.Temporary {
				t.Fatal(i, err)
			}
			op.Attempt++
		}
	}
	if got := s.ours(s.one); len(got) != 12 {
		t.Errorf("%d messages", len(got))
	}
}

func TestFaultsOfREST(t *testing.T) {
	for name, test := range map[string]struct {
		fault discordtest.Fault
		code  sdk.Code
		after time.Duration
	}{
		"an outage behind Cloudflare": {discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, Status: http.StatusBadGateway}, sdk.CodeUnavailable, 0},
		"Cloudflare's limit":          {discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "600"}}, sdk.CodeRateLimited, 10 * time.Minute},
		"a reset":                     {discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, Reset: true}, sdk.CodeUnavailable, 0},
		"no JSON":                     {discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, Status: http.StatusOK}, sdk.CodeUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, discordtest.Options{})
			s.must(s.send("before"))
			s.Fail(test.fault)
			op := s.send("through")
			_, err := s.try(op)
			if err == nil || !err.Temporary || err.Code != test.code || err.RetryAfter != test.after {
				t.Fatal(err)
			}
			if test.after > 0 {
				return
			}
			op.Attempt++
			s.must(op)
			if got := texts(s.ours(s.one)); !slices.Equal(got, []string{"before", "through"}) {
				t.Error(got)
			}
		})
	}
}

// TestLostAnswers: what Discord has taken is not sent again, though its answer was
// lost, and what stands there from before is not taken for it.
func TestLostAnswers(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	var want []string
	for i := range 6 {
		want = append(want, "ok") // the same words each time
		op := s.send("ok")
		if i%2 == 1 {
			s.Fail(discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, After: i%4 == 1, Reset: true})
			if _, err := s.try(op); err == nil || !err.Temporary {
				t.Fatal(err)
			}
			if i == 3 {
				s.stop()
				s.start()
			}
			op.Attempt, op.Doubt = 2, true
		}
		d := s.must(op)
		if got := s.ours(s.one); string(d.Parts[0].Remote) != got[len(got)-1].ID {
			t.Errorf("message %d is said to be another", i)
		}
	}
	if got := texts(s.ours(s.one)); !slices.Equal(got, want) {
		t.Error(got)
	}
	// In the middle of a long one: the rest is sent, once.
	op := s.send(strings.Repeat("many words ", 700))
	s.Fail(discordtest.Fault{Method: "POST", Path: "/webhooks/", Skip: 1, Times: 1, After: true})
	if _, err := s.try(op); err == nil || !err.Temporary {
		t.Fatal(err)
	}
	op.Attempt, op.Doubt = 2, true
	d := s.must(op)
	if got := strings.Join(texts(s.ours(s.one)), " "); strings.Count(got, "many words") != 700 || len(d.Parts) != 4 {
		t.Errorf("%d of 700, %d parts", strings.Count(got, "many words"), len(d.Parts))
	}
}

// TestInvalidRequestsStop: before Discord shuts us out we stop by ourselves.
func TestInvalidRequestsStop(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimits(func() time.Time { return now })
	for range invalidBreaker {
		l.refused("GET /x", http.StatusTooManyRequests, false)
	}
	l.refused("GET /x", http.StatusTooManyRequests, true) // shared limits do not count
	if pause, err := l.take("GET /y", false); err != nil || pause < 9*time.Minute || l.invalidRequests() != invalidBreaker {
		t.Error(pause, err)
	}
	now = now.Add(invalidWindow + time.Second)
	if pause, err := l.take("GET /y", false); err != nil || pause != 0 || l.invalidRequests() != 0 {
		t.Error(pause, err)
	}
	l.refused("GET /y", http.StatusForbidden, false)
	if _, err := l.take("GET /y", false); err == nil {
		t.Error("asked again at once")
	}
	l.forgive()
	if _, err := l.take("GET /y", false); err != nil {
		t.Error(err)
	}
	for range perSecond {
		_, _ = l.take("GET /z", false)
	}
	if pause, _ := l.take("GET /z", false); pause <= 0 || pause > time.Second {
		t.Error("no limit of a second: ", pause)
	}
	if pause, _ := l.take("POST /webhooks/1", true); pause != 0 {
		t.Error("webhooks have limits of their own")
	}
}

// A new process that could not ask who it is, because Discord was down, still finds what the one before it has sent.
func TestDoubtBeforeCaughtUp(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	op := s.send("once")
	s.must(op)
	s.stop()
	s.Fail(discordtest.Fault{Path: "/users/@me", Times: 1, Status: 503})
	s.run()
	op.Attempt, op.Doubt = 2, true
	if _, err := s.try(op); err != nil { // it met the outage itself
		op.Attempt++
		s.must(op)
	}
	if got := texts(s.ours(s.one)); len(got) != 1 {
		t.Errorf("on Discord: %q", got)
	}
}
