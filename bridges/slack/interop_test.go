//go:build interop

package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// peerScript runs a script of internal/dev/peers/slack and gives the NAME=VALUE lines it prints.
func peerScript(t *testing.T, env []string, name string, args ...string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), filepath.Join("..", "..", "internal", "dev", "peers", "slack", name), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			vars[k] = v
		}
	}
	return vars
}

// TestInteropSlackServer: the bridge with a Slack API server of another author, and a
// person there with a client library of a third one. That server sends presence_change
// over the socket, which Slack does not; the bridge takes no notice.
func TestInteropSlackServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	env := []string{fmt.Sprintf("INSTANCE=slack-bridge-%d", os.Getpid()), "HTTP_PORT=" + port, "ENV_PREFIX=SLACK"}
	peerScript(t, env, "setup.sh")
	v := peerScript(t, env, "start.sh")
	t.Cleanup(func() { peerScript(t, env, "stop.sh", "--wipe") })

	h := plugintest.NewHost()
	h.Logs = slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})
	bridge := sdk.NewLocal(New(Options{}), sdk.LocalOptions{})
	t.Cleanup(bridge.Close)
	conf, _ := json.Marshal(map[string]any{"bot_token": v["SLACK_BOT_TOKEN"], "app_token": v["SLACK_APP_TOKEN"], "api_url": v["SLACK_API_URL"]})
	if err := bridge.Configure(t.Context(), sdk.Configuration{Name: "slack", Domain: "example.org", JSON: conf}); err != nil {
		t.Fatal(err)
	}
	if err := bridge.Start(t.Context(), h, sdk.Resume{First: true}); err != nil {
		t.Fatal(err)
	}
	h.Await(t, "the connection", func() bool { return len(h.Cursors()) > 0 })
	s := &peerStory{t: t, h: h, l: bridge, channel: v["SLACK_CHANNEL_LOBBY"], team: v["SLACK_TEAM_ID"],
		alice: slackgo.New(v["SLACK_TOKEN_ALICE"], slackgo.OptionAPIURL(v["SLACK_API_URL"])), aliceID: v["SLACK_USER_ALICE"]}
	s.portal = sdk.PortalKey{Room: sdk.RemoteRoomID(s.channel + ":" + s.team)}
	info, err := bridge.JoinPortal(t.Context(), sdk.JoinRequest{Portal: s.portal, Members: 50})
	if err != nil || info.Name != "lobby" {
		t.Fatal(info, err)
	}
	if _, _, _, err := s.alice.JoinConversationContext(t.Context(), s.channel); err != nil {
		t.Log("alice is in already: ", err)
	}
	s.inward()
	s.outward()
}

type peerStory struct {
	t             *testing.T
	h             *plugintest.Host
	l             *sdk.Local
	alice         *slackgo.Client
	aliceID       string
	channel, team string
	portal        sdk.PortalKey
	ops           int
}

func peerEvent[E sdk.Event](s *peerStory, what string, fits func(E) bool) E {
	s.t.Helper()
	var found E
	s.h.Await(s.t, what, func() bool {
		for _, ev := range s.h.Events() {
			if e, ok := ev.(E); ok && !ev.Head().Own && fits(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func (s *peerStory) inward() {
	ctx := s.t.Context()
	_, ts, err := s.alice.PostMessageContext(ctx, s.channel, slackgo.MsgOptionText("hello *from* Slack &amp; all", false))
	if err != nil {
		s.t.Fatal(err)
	}
	who := sdk.RemoteUserID(s.aliceID + ":" + s.team)
	peerEvent(s, "the message", func(m *sdk.Message) bool {
		return string(m.Message) == ts && m.Actor.User == who && m.Content.Body.Plain() == "hello from Slack & all"
	})
	if _, _, _, err := s.alice.UpdateMessageContext(ctx, s.channel, ts, slackgo.MsgOptionText("edited", false)); err != nil {
		s.t.Fatal(err)
	}
	peerEvent(s, "the edit", func(e *sdk.Edit) bool { return string(e.Target.ID) == ts && e.Content.Body.Plain() == "edited" })
	if err := s.alice.AddReactionContext(ctx, "tada", slackgo.NewRefToMessage(s.channel, ts)); err != nil {
		s.t.Fatal(err)
	}
	peerEvent(s, "the reaction", func(r *sdk.Reaction) bool { return r.Actor.User == who && r.Emoji[0].Text == "🎉" })
	if _, _, err := s.alice.PostMessageContext(ctx, s.channel, slackgo.MsgOptionText("reply", false), slackgo.MsgOptionTS(ts)); err != nil {
		s.t.Fatal(err)
	}
	peerEvent(s, "the reply", func(m *sdk.Message) bool { return m.Content.Thread != nil && string(m.Content.Thread.Root.ID) == ts })
	if _, err := s.alice.SetTopicOfConversationContext(ctx, s.channel, "another topic"); err != nil {
		s.t.Log("no topic: ", err)
	} else {
		s.t.Log("topic set; this server tells bots nothing of it unless it sends a message")
	}
	_, last, err := s.alice.PostMessageContext(ctx, s.channel, slackgo.MsgOptionText("unsaid", false))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := s.alice.DeleteMessageContext(ctx, s.channel, last); err != nil {
		s.t.Fatal(err)
	}
	peerEvent(s, "the deletion", func(r *sdk.Retract) bool { return string(r.Target.ID) == last })
}

func (s *peerStory) do(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	d, err := sdk.Handle(ctx, s.l, op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}

func (s *peerStory) head() sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: s.portal, Sender: sdk.Sender{Person: "k7romeo", Name: "Romeo"}, Time: time.Now(), Attempt: 1}
}

func (s *peerStory) outward() {
	ctx := s.t.Context()
	op := &sdk.SendMessage{OpHeader: s.head(), Content: sdk.Content{Body: richtext.Doc(richtext.Para(richtext.Text("hello "), richtext.Bold(richtext.Text("from XMPP"))))}}
	d := s.do(op)
	seen := func() slackgo.Message {
		s.t.Helper()
		page, err := s.alice.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{ChannelID: s.channel, Limit: 50})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range page.Messages {
			if m.Timestamp == string(d.Parts[0].Remote) {
				return m
			}
		}
		return slackgo.Message{}
	}
	m := seen()
	if m.Text != "hello *from XMPP*" {
		s.t.Errorf("%+v", m)
	}
	s.t.Logf("shown as %q, %d blocks", m.Username, len(m.Blocks.BlockSet))
	ref := sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}
	s.do(&sdk.EditMessage{OpHeader: s.head(), Target: ref, Content: sdk.Content{Body: richtext.FromPlain("corrected")}})
	if got := seen().Text; got != "corrected" {
		s.t.Error(got)
	}
	s.do(&sdk.SetReactions{OpHeader: s.head(), Target: ref, Added: []sdk.Emoji{{Text: "👍"}}})
	if r := seen().Reactions; len(r) != 1 || r[0].Name != "+1" {
		s.t.Errorf("%+v", r)
	}
	s.do(&sdk.RetractMessage{OpHeader: s.head(), Target: ref})
	if seen().Timestamp != "" {
		s.t.Error("not deleted")
	}
	op.Attempt, op.Doubt = 2, true
	op.OpHeader.ID = "OPnever"
	s.do(op) // one in doubt that never was is sent
	// The last, because the client cannot read that server's file objects.
	file := &sdk.SendMessage{OpHeader: s.head(), Content: sdk.Content{Body: richtext.FromPlain("a file"), Attachments: []sdk.Attachment{{Media: s.h.AddFile("a.txt", "text/plain", []byte("12345"))}}}}
	parts := s.do(file).Parts
	s.t.Logf("the file is %+v", parts[len(parts)-1])
}
