package slacktest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func client(s *Server, token string) *slack.Client {
	return slack.New(token, slack.OptionAPIURL(s.URL), slack.OptionAppLevelToken(AppToken), slack.OptionHTTPClient(s.web.Client()))
}

// A client of another author is served: what it sends and reads is as Slack's.
func TestWebAPI(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	ctx := t.Context()
	ada, general := s.AddUser("ada", "Ada Lovelace"), s.AddChannel("general")
	s.Join(general, ada)
	bot, person := client(s, BotToken), client(s, s.UserToken(ada))

	who, err := bot.AuthTestContext(ctx)
	if err != nil || who.BotID != BotID || who.UserID != BotUser || who.TeamID != TeamID || !strings.Contains(who.Header.Get("X-OAuth-Scopes"), "chat:write.customize") {
		t.Fatal(who, err)
	}
	_, ts, err := bot.PostMessageContext(ctx, general, slack.MsgOptionText("hello &amp; all", false), slack.MsgOptionUsername("Romeo"),
		slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "viaduct_op", EventPayload: map[string]any{"op": "1"}}))
	if err != nil {
		t.Fatal(err)
	}
	_, reply, err := person.PostMessageContext(ctx, general, slack.MsgOptionText("an answer", false), slack.MsgOptionTS(ts))
	if err != nil {
		t.Fatal(err)
	}
	page, err := bot.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: general, IncludeAllMetadata: true})
	if err != nil || page.Messages[0].Timestamp != ts || page.Messages[0].Username != "Romeo" || page.Messages[0].ReplyCount != 1 || page.Messages[0].Metadata.EventPayload["op"] != "1" {
		t.Fatalf("%+v %v", page, err)
	}
	thread, _, _, err := bot.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: general, Timestamp: ts})
	if err != nil || len(thread) != 2 || thread[1].Timestamp != reply || thread[1].User != ada || len(thread[1].Blocks.BlockSet) != 1 {
		t.Fatalf("%+v %v", thread, err)
	}
	if _, _, _, err := bot.UpdateMessageContext(ctx, general, reply, slack.MsgOptionText("mine now", false)); err == nil || err.Error() != "cant_update_message" {
		t.Fatal(err)
	}
	if err := person.AddReactionContext(ctx, "+1", slack.NewRefToMessage(general, ts)); err != nil {
		t.Fatal(err)
	}
	if err := person.AddReactionContext(ctx, "+1", slack.NewRefToMessage(general, ts)); err == nil || err.Error() != "already_reacted" {
		t.Fatal(err)
	}
	if _, _, err := bot.DeleteMessageContext(ctx, general, ts); err != nil {
		t.Fatal(err)
	}
	if m := s.Channel(general).Messages; m[len(m)-2].Subtype != "tombstone" {
		t.Fatalf("%+v", m[len(m)-2])
	}
	file, err := bot.UploadFileContext(ctx, slack.UploadFileParameters{Channel: general, Filename: "a.txt", FileSize: 5, Content: "12345"})
	if err != nil {
		t.Fatal(err)
	}
	info, _, _, err := bot.GetFileInfoContext(ctx, file.ID, 0, 0)
	var got strings.Builder
	if err != nil || len(info.Shares.Public[general]) != 1 || bot.GetFileContext(ctx, info.URLPrivateDownload, &got) != nil || got.String() != "12345" {
		t.Fatalf("%+v %q %v", info, got.String(), err)
	}
	members, _, err := bot.GetUsersInConversationContext(ctx, &slack.GetUsersInConversationParameters{ChannelID: general})
	if err != nil || len(members) != 2 {
		t.Fatal(members, err)
	}
	users, err := bot.GetUsersContext(ctx)
	if err != nil || len(users) != 2 {
		t.Fatal(users, err)
	}
}

func TestScopesAndFaults(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	general := s.AddChannel("general")
	bot := client(s, BotToken)
	post := func() error {
		_, _, err := bot.PostMessageContext(t.Context(), general, slack.MsgOptionText("x", false), slack.MsgOptionUsername("Romeo"))
		return err
	}
	s.SetScopes([]string{"chat:write"})
	var scope slack.SlackErrorResponse
	if err := post(); !errors.As(err, &scope) || scope.Err != "missing_scope" || scope.Needed != "chat:write.customize" {
		t.Fatal(err)
	}
	s.SetScopes(AllScopes())
	s.Limit("chat.postMessage", true, 1, time.Minute)
	var limited *slack.RateLimitedError
	if err := post(); err != nil {
		t.Fatal(err)
	}
	if err := post(); !errors.As(err, &limited) || limited.RetryAfter < time.Second {
		t.Fatal(err)
	}
	s.Heal()
	for _, f := range []Fault{HTML("chat.postMessage", 502, 1), Reset("chat.postMessage", 1), RateLimit("chat.postMessage", 7, 1)} {
		s.Fail(f)
		if post() == nil {
			t.Error("no fault")
		}
	}
	before := len(s.Channel(general).Messages)
	s.Fail(LoseAnswer("chat.postMessage", 1))
	if err := post(); err == nil || len(s.Channel(general).Messages) != before+1 {
		t.Error("the answer was not lost, or nothing was done: ", err)
	}
	if err := post(); err != nil {
		t.Error(err)
	}
	s.Revoke()
	if err := post(); err == nil || err.Error() != "token_revoked" {
		t.Error(err)
	}
}

// TestSocketMode: envelopes until they are acknowledged, again if they are not.
func TestSocketMode(t *testing.T) {
	s := New(Options{AckTimeout: 50 * time.Millisecond})
	defer s.Close()
	ada, general := s.AddUser("ada", "Ada"), s.AddChannel("general")
	s.Join(general, ada)
	smc := socketmode.New(client(s, BotToken))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = smc.RunContext(ctx) }()
	defer func() { cancel(); <-done }()
	next := func() socketmode.Event {
		t.Helper()
		for {
			select {
			case ev := <-smc.Events:
				if ev.Type == socketmode.EventTypeHello || ev.Type == socketmode.EventTypeEventsAPI {
					return ev
				}
			case <-time.After(patience):
				t.Fatal("nothing came")
			}
		}
	}
	if ev := next(); ev.Type != socketmode.EventTypeHello {
		t.Fatalf("%+v", ev)
	}
	s.Lose(1)
	ts := s.Say(general, ada, "hello")
	ev := next()
	if ev.Request.RetryAttempt != 1 || ev.Request.RetryReason != "timeout" {
		t.Fatalf("%+v", ev.Request)
	}
	again := next()
	if again.Request.EnvelopeID != ev.Request.EnvelopeID || again.Request.RetryAttempt != 2 {
		t.Fatalf("%+v", again.Request)
	}
	outer, ok := again.Data.(slackevents.EventsAPIEvent)
	if m, is := outer.InnerEvent.Data.(*slackevents.MessageEvent); !ok || !is || m.TimeStamp != ts || m.User != ada {
		t.Fatalf("%+v", outer.InnerEvent)
	}
	changed := s.Changed()
	if err := smc.Ack(*again.Request); err != nil {
		t.Fatal(err)
	}
	for len(s.Acks()) == 0 {
		select {
		case <-changed:
			changed = s.Changed()
		case <-time.After(patience):
			t.Fatal("not acknowledged")
		}
	}
}
