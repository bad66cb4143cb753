package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/bridges/slack"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

const (
	rooms    = "rooms.slack.example.org"
	patience = 30 * time.Second
	fileURL  = "https://files.example.org/notes.txt"
)

// shelf is the server's files: one of ours, and links to Slack's.
type shelf struct{}

func (shelf) Put(context.Context, string, sdk.Media, io.Reader) (sdk.Media, error) {
	return sdk.Media{}, sdk.Unsupported("copying")
}

func (shelf) Open(context.Context, string, sdk.MediaRequest) (sdk.MediaContent, error) {
	return sdk.MediaContent{Body: io.NopCloser(bytes.NewReader([]byte("our notes"))), Size: 9, Type: "text/plain", Name: "notes.txt"}, nil
}

func (shelf) URL(bridge string, _ sdk.LoginID, _ sdk.PortalKey, m sdk.Media) string {
	return "https://example.org/bridge-media/" + bridge + "/" + m.Name
}

func (shelf) Known(_ context.Context, link string) (sdk.Media, bool) {
	return sdk.Media{ID: "ours", Name: "notes.txt", Type: "text/plain", Size: 9, URL: link}, link == fileURL
}

// scene is a server with the bridge, a workspace, and somebody on each side.
type scene struct {
	*xmpptest.Client
	t       *testing.T
	s       *slacktest.Server
	gw      *gateway.Module
	ada     string
	general string
	room    string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := slacktest.New(slacktest.Options{})
	t.Cleanup(s.Close)
	sc := &scene{t: t, s: s, ada: s.AddUser("ada", "Ada Lovelace"), general: s.AddChannel("general")}
	s.Join(sc.general, sc.ada)
	sc.room = strings.ToLower(sc.general+"%"+slacktest.TeamID) + "@" + rooms
	conf := fmt.Sprintf(`{"bot_token":%q,"app_token":%q,"api_url":%q}`, slacktest.BotToken, slacktest.AppToken, s.URL)
	srv := xmpptest.Start(t, xmpptest.Options{
		Modules: modules.Options{MUC: muc.Options{Hosts: []muc.HostSpec{{Name: rooms, Origin: "slack.example.org"}}}},
		Extra: func() []module.Module {
			spec := gateway.BridgeSpec{Name: "slack", Domain: "example.org", Configuration: sdk.Configuration{JSON: []byte(conf)}}
			gw, err := gateway.New(gateway.Options{Bridges: []gateway.BridgeSpec{spec}, Media: shelf{}})
			if err != nil {
				t.Fatal(err)
			}
			sc.gw = gw
			return []module.Module{gw}
		},
	})
	local := sdk.NewLocal(slack.New(slack.Options{}), sdk.LocalOptions{})
	t.Cleanup(local.Close)
	if err := sc.gw.Attach(context.Background(), "slack", local); err != nil {
		t.Fatal(err)
	}
	sc.slack("the connection", func() bool { open, _, _ := s.Sockets(); return open == 1 })
	sc.Client = srv.Login(t, "juliet@example.org/phone")
	sc.Online()
	return sc
}

// slack waits until something is so on Slack's side.
func (s *scene) slack(what string, ok func() bool) {
	s.t.Helper()
	limit := time.After(patience)
	for {
		changed := s.s.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			st, _ := s.gw.Status(context.Background(), "slack")
			s.t.Fatalf("never so on Slack: %s (%+v)", what, st)
		}
	}
}

// message waits for one on Slack that says something, and returns it.
func (s *scene) message(text string) *slacktest.Message {
	s.t.Helper()
	var found *slacktest.Message
	s.slack(text, func() bool {
		for _, m := range s.s.Channel(s.general).Messages {
			doc := slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks}, slackfmt.ReadOptions{})
			if doc.Plain() == text {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// until takes stanzas until one fits.
func (s *scene) until(what string, fits func(n *xmlstream.Node) bool) *xmlstream.Node {
	s.t.Helper()
	for range 300 {
		if n := s.Next(); fits(n) {
			return n
		}
	}
	s.t.Fatalf("%s did not come", what)
	return nil
}

func body(n *xmlstream.Node) string {
	if b := n.Child(ns.Client, "body"); b != nil {
		return b.TextContent()
	}
	return ""
}

// hears waits for a message of the room.
func (s *scene) hears(nick, text string) *xmlstream.Node {
	s.t.Helper()
	n := s.until(text, func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && (body(n) == text || n.Attr("type") == "error")
	})
	if n.Attr("from") != s.room+"/"+nick {
		s.t.Fatalf("%s", n)
	}
	return n
}

// having waits for a message with such a child.
func (s *scene) having(space, local string) *xmlstream.Node {
	s.t.Helper()
	return s.until(local, func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Child(space, local) != nil }).Child(space, local)
}

// say writes into the room, with a payload beside the text.
func (s *scene) say(id, text, payload string) *xmlstream.Node {
	s.t.Helper()
	s.Send("<message to='" + s.room + "' type='groupchat' id='" + id + "'><body>" + text + "</body>" + payload + "</message>")
	return s.until("the reflection of "+id, func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Attr("id") == id })
}

func archived(n *xmlstream.Node) string {
	if c := n.Child(ns.StanzaID, "stanza-id"); c != nil {
		return c.Attr("id")
	}
	return ""
}

// TestOneRoom goes through every feature once from each side, with a whole server between.
func TestOneRoom(t *testing.T) {
	s := newScene(t)
	// The name of a channel leads to its room.
	s.Send("<presence to='#general%acme@" + rooms + "/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	gone := s.until("where the room is", func(n *xmlstream.Node) bool { return n.Name.Local == "presence" && n.Attr("type") == "error" })
	if !strings.Contains(gone.String(), "gone") || !strings.Contains(gone.String(), strings.Split(s.room, "@")[0]) {
		t.Fatalf("%s", gone)
	}
	s.Send("<presence to='" + s.room + "/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	s.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })

	s.fromSlack()
	s.toSlack()
	if st, ok := s.gw.Status(context.Background(), "slack"); !ok || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

func (s *scene) fromSlack() {
	s.t.Helper()
	ts := s.s.Say(s.general, s.ada, "hello from Slack")
	first := s.hears("Ada Lovelace", "hello from Slack")
	s.s.Edit(s.general, ts, "hello again")
	if r := s.having(ns.Correct, "replace"); r.Attr("id") != first.Attr("id") {
		s.t.Errorf("%s", r)
	}
	s.s.React(s.general, ts, s.ada, "tada")
	if r := s.having(ns.Reactions, "reactions"); r.Attr("id") != archived(first) || !strings.Contains(r.String(), "🎉") {
		s.t.Errorf("%s", r)
	}
	s.s.Unreact(s.general, ts, s.ada, "tada")
	if r := s.having(ns.Reactions, "reactions"); strings.Contains(r.String(), "🎉") {
		s.t.Errorf("%s", r)
	}
	s.s.Reply(s.general, s.ada, ts, "in a thread")
	reply := s.until("the reply", func(n *xmlstream.Node) bool { return strings.HasSuffix(body(n), "in a thread") })
	if r := reply.Child(ns.Reply, "reply"); r == nil || r.Attr("id") != archived(first) || reply.Child(ns.Client, "thread").TextContent() != ts {
		s.t.Errorf("%s", reply)
	}
	s.s.ShareFile(s.general, s.ada, "plan.txt", "text/plain", "look", []byte("a plan"))
	s.hears("Ada Lovelace", "look\nhttps://example.org/bridge-media/slack/plan.txt")
	unsaid := s.s.Say(s.general, s.ada, "unsaid")
	n := s.hears("Ada Lovelace", "unsaid")
	s.s.Delete(s.general, unsaid)
	if r := s.having(ns.Retract, "retract"); r.Attr("id") != archived(n) {
		s.t.Errorf("%s", r)
	}
	s.s.SetTopic(s.general, s.ada, "a topic from Slack")
	s.until("the topic", func(n *xmlstream.Node) bool {
		c := n.Child(ns.Client, "subject")
		return c != nil && c.TextContent() == "a topic from Slack"
	})
}

func (s *scene) toSlack() {
	s.t.Helper()
	said := s.say("x1", "hello from XMPP", "")
	m := s.message("hello from XMPP")
	if m.Username != "juliet" || m.BotID != slacktest.BotID {
		s.t.Errorf("%+v", m)
	}
	s.say("x2", "hello, corrected", "<replace xmlns='"+ns.Correct+"' id='x1'/>")
	if got := s.message("hello, corrected"); got.TS != m.TS || got.Edited == nil {
		s.t.Errorf("%+v", got)
	}
	reactions := func(list string) {
		s.Send("<message to='" + s.room + "' type='groupchat' id='r" + fmt.Sprint(len(list)) + "'><reactions xmlns='" + ns.Reactions + "' id='" + archived(said) + "'>" + list + "</reactions><store xmlns='urn:xmpp:hints'/></message>")
	}
	named := func(want string) func() bool {
		return func() bool {
			var out []string
			for _, m2 := range s.s.Channel(s.general).Messages {
				if m2.TS == m.TS {
					for _, r := range m2.Reactions {
						out = append(out, r.Name)
					}
				}
			}
			return strings.Join(out, " ") == want
		}
	}
	reactions("<reaction>👍</reaction>")
	s.slack("a reaction", named("+1"))
	reactions("")
	s.slack("no reaction", named(""))
	root := s.s.Say(s.general, s.ada, "discuss this")
	heard := s.hears("Ada Lovelace", "discuss this")
	s.say("x3", "a quotation", "<reply xmlns='"+ns.Reply+"' id='"+archived(heard)+"' to='"+s.room+"/Ada Lovelace'/>")
	s.slack("the quotation", func() bool {
		for _, m := range s.s.Channel(s.general).Messages {
			if strings.Contains(m.Text, "discuss this") && strings.Contains(m.Text, "/p"+strings.ReplaceAll(root, ".", "")) && strings.HasSuffix(m.Text, "a quotation") {
				return true
			}
		}
		return false
	})
	s.say("x4", "in the thread", "<thread>"+root+"</thread>")
	if got := s.message("in the thread"); got.ThreadTS != root {
		s.t.Errorf("%+v", got)
	}
	s.say("x5", fileURL, "<x xmlns='"+ns.OOBMessage+"'><url>"+fileURL+"</url></x>")
	s.slack("the file", func() bool {
		for _, m := range s.s.Channel(s.general).Messages {
			if len(m.Files) == 1 && m.Files[0].Name == "notes.txt" && string(s.s.FileData(m.Files[0].ID)) == "our notes" {
				return true
			}
		}
		return false
	})
	s.Send("<message to='" + s.room + "' type='groupchat' id='x6'><retract xmlns='" + ns.Retract + "' id='" + archived(said) + "'/><store xmlns='urn:xmpp:hints'/></message>")
	s.slack("the retraction", func() bool {
		for _, c := range s.s.Channel(s.general).Messages {
			if c.TS == m.TS {
				return false
			}
		}
		return true
	})
}
