package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/bridges/discord"
	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/bridges/gateway"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/core/xmpptest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with the bridge, a Discord, and Alice in the channel's room.
type world struct {
	*xmpptest.Client
	t       *testing.T
	dc      *discordtest.Server
	gw      *gateway.Module
	local   *sdk.Local
	bridge  *discord.Connector
	room    string
	channel string
	guild   string
	ann     string
	app     discordtest.App
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dc: discordtest.New(discordtest.Options{})}
	t.Cleanup(func() { w.dc.Close(); http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	w.ann = w.dc.AddUser("ann", "Ann")
	w.guild = w.dc.AddGuild("Garden", w.ann)
	w.channel = w.dc.AddChannel(w.guild, "general")
	w.app = w.dc.AddBot("bridge")
	w.dc.Join(w.guild, w.app.User.ID)
	w.dc.Permit(w.guild, w.app.User.ID, discordtest.PermAdministrator)
	w.room = w.channel + "@rooms.discord.example.org"
	conf, _ := json.Marshal(map[string]any{"bot_token": w.app.Token, "api_url": w.dc.URL + "/api/v10", "cdn_url": w.dc.URL + "/cdn"})
	srv := xmpptest.Start(t, xmpptest.Options{
		Modules: modules.Options{MUC: muc.Options{Hosts: []muc.HostSpec{{Name: "rooms.discord.example.org", Origin: "discord.example.org"}}}},
		Extra: func() []module.Module {
			var err error
			w.gw, err = gateway.New(gateway.Options{
				Bridges: []gateway.BridgeSpec{{Name: "discord", Domain: "example.org", Configuration: sdk.Configuration{JSON: conf}}},
				Tune:    gateway.Tuning{RetryMin: time.Millisecond, PresenceDelay: time.Millisecond, GhostsPerSec: 1000},
			})
			if err != nil {
				t.Fatal(err)
			}
			return []module.Module{w.gw}
		},
	})
	t.Cleanup(func() { w.kill() })
	w.attach()
	w.Client = srv.Login(t, "alice@example.org/phone")
	w.Online()
	return w
}

func (w *world) attach() {
	w.t.Helper()
	w.bridge = discord.New(discord.Options{Settle: 300 * time.Millisecond})
	w.local = sdk.NewLocal(w.bridge, sdk.LocalOptions{})
	if err := w.gw.Attach(context.Background(), "discord", w.local); err != nil {
		w.t.Fatal("attach: ", err)
	}
}

// kill ends the plugin as kill -9 does: nothing is drained before.
func (w *world) kill() {
	w.local.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = w.bridge.Drain(ctx) // its goroutines are this process's
}

// connected waits until the bridge hears Discord.
func (w *world) connected() {
	w.t.Helper()
	w.saw("a connection", func() bool { return w.dc.Connected() > 0 })
}

func (w *world) saw(what string, ok func() bool) {
	w.t.Helper()
	limit := time.After(time.Minute)
	for {
		changed := w.dc.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			w.t.Fatal("nobody saw: ", what)
		}
	}
}

func (w *world) until(what string, fits func(n *xmlstream.Node) bool) *xmlstream.Node {
	w.t.Helper()
	for range 400 {
		if n := w.Next(); fits(n) {
			return n
		}
	}
	w.t.Fatal("never came: ", what)
	return nil
}

func textOf(n *xmlstream.Node) string {
	if b := n.Child(ns.Client, "body"); b != nil {
		return b.TextContent()
	}
	return ""
}

func archived(n *xmlstream.Node) string {
	if c := n.Child(ns.StanzaID, "stanza-id"); c != nil {
		return c.Attr("id")
	}
	return ""
}

func (w *world) hears(text string) *xmlstream.Node {
	w.t.Helper()
	return w.until(text, func(n *xmlstream.Node) bool { return n.Name.Local == "message" && textOf(n) == text })
}

func (w *world) having(space, local string) *xmlstream.Node {
	w.t.Helper()
	return w.until(local, func(n *xmlstream.Node) bool { return n.Name.Local == "message" && n.Child(space, local) != nil })
}

func (w *world) enter() {
	w.t.Helper()
	w.connected()
	w.Send("<presence to='" + w.room + "/alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	w.until("the subject", func(n *xmlstream.Node) bool { return n.Child(ns.Client, "subject") != nil })
}

func (w *world) message(id, payload string) {
	w.Send("<message to='" + w.room + "' type='groupchat' id='" + id + "'>" + payload + "</message>")
}

// said waits for a message of Alice's on Discord.
func (w *world) said(text string) discordtest.Message {
	w.t.Helper()
	var found discordtest.Message
	w.saw(text, func() bool {
		for _, m := range w.dc.Messages(w.channel) {
			if m.Author.Username == "alice" && strings.HasSuffix(m.Content, text) && !m.Deleted {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// TestChannel is a conversation: every feature once from each side.
func TestChannel(t *testing.T) {
	w := newWorld(t)
	w.enter()
	id := w.dc.Say(w.channel, w.ann, "hello from **Discord**")
	n := w.until("Ann", func(n *xmlstream.Node) bool {
		return n.Name.Local == "message" && strings.Contains(textOf(n), "Discord")
	})
	if n.Attr("from") != w.room+"/Ann" || textOf(n) != "hello from *Discord*" {
		t.Errorf("%s", n)
	}
	first := archived(n)
	w.dc.Edit(w.channel, id, "hello again")
	if n = w.hears("hello again"); n.Child(ns.Correct, "replace") == nil {
		t.Errorf("%s", n)
	}
	w.dc.React(w.channel, id, w.ann, "👍")
	if n = w.having(ns.Reactions, "reactions"); n.Child(ns.Reactions, "reactions").Attr("id") != first {
		t.Errorf("%s", n)
	}
	w.message("m1", "<body>hello from *XMPP* @everyone</body>")
	n = w.until("the reflection", func(n *xmlstream.Node) bool { return n.Attr("id") == "m1" })
	mine := archived(n)
	m := w.said("hello from **XMPP** @\u200beveryone")
	if len(m.Called) > 0 || m.Webhook == "" {
		t.Errorf("%+v", m)
	}
	w.dc.Post(w.channel, w.ann, discordtest.Draft{Content: "an answer", ReplyTo: m.ID})
	if n = w.having(ns.Reply, "reply"); n.Child(ns.Reply, "reply").Attr("id") != mine {
		t.Errorf("%s", n)
	}
	w.dc.React(w.channel, m.ID, w.ann, "🎉")
	if n = w.having(ns.Reactions, "reactions"); n.Child(ns.Reactions, "reactions").Attr("id") != mine {
		t.Errorf("%s", n)
	}
	w.message("m2", "<body>corrected</body><replace xmlns='"+ns.Correct+"' id='m1'/>")
	w.saw("the correction", func() bool {
		return slices.ContainsFunc(w.dc.Messages(w.channel), func(o discordtest.Message) bool { return o.ID == m.ID && o.Content == "corrected" })
	})
	w.message("m3", "<reactions xmlns='"+ns.Reactions+"' id='"+first+"'><reaction>❤️</reaction></reactions>")
	w.saw("the reaction", func() bool { return len(w.dc.Messages(w.channel)[0].Reactions) == 2 })
	w.message("m4", "<reply xmlns='"+ns.Reply+"' id='"+first+"' to='"+w.room+"/Ann'/><body>my answer</body>")
	if m := w.said("my answer"); !strings.Contains(m.Content, "/"+id+")") {
		t.Errorf("%q", m.Content)
	}
	w.dc.SetTopic(w.channel, "gardening")
	w.until("the topic", func(n *xmlstream.Node) bool {
		s := n.Child(ns.Client, "subject")
		return s != nil && s.TextContent() == "gardening"
	})
	w.message("m5", "<retract xmlns='"+ns.Retract+"' id='"+mine+"'/>")
	w.saw("the retraction", func() bool {
		return slices.ContainsFunc(w.dc.Messages(w.channel), func(o discordtest.Message) bool { return o.ID == m.ID && o.Deleted })
	})
	w.dc.Delete(w.channel, id)
	n = w.until("the deletion", func(n *xmlstream.Node) bool {
		return n.Child(ns.Retract, "retract") != nil && n.Attr("from") == w.room+"/Ann"
	})
	if n.Child(ns.Retract, "retract").Attr("id") != first {
		t.Errorf("%s", n)
	}
}

// TestKills: numbered messages from each side while the plugin is killed, the
// session ends and webhooks go: none is lost or doubled, and the order is kept.
func TestKills(t *testing.T) {
	w := newWorld(t)
	w.enter()
	const count = 40
	var there, here []string
	for i := range count {
		there = append(there, fmt.Sprintf("from Discord %d", i))
		w.dc.Say(w.channel, w.ann, there[i])
		here = append(here, fmt.Sprintf("from XMPP %d", i))
		w.message(fmt.Sprintf("n%d", i), "<body>"+here[i]+"</body>")
		switch i % 10 {
		case 2:
			w.dc.Fail(discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 1, After: true, Reset: true})
		case 4:
			w.kill()
			w.attach()
		case 6:
			w.dc.DropWebhooks(w.channel)
		case 8:
			w.dc.Invalidate()
			w.dc.Cut()
		case 9:
			w.dc.Fail(discordtest.Fault{Method: "POST", Path: "/webhooks/", Times: 2, Status: http.StatusBadGateway})
		}
	}
	w.said(here[count-1])
	var heard []string
	w.until("the last one", func(n *xmlstream.Node) bool {
		if n.Attr("from") == w.room+"/Ann" && textOf(n) != "" {
			heard = append(heard, textOf(n))
		}
		return len(heard) > 0 && heard[len(heard)-1] == there[count-1]
	})
	if !slices.Equal(heard, there) {
		t.Errorf("heard %d of %d: %q", len(heard), count, heard)
	}
	var shown []string
	for _, m := range w.dc.Messages(w.channel) {
		if m.Author.Username == "alice" {
			shown = append(shown, m.Content)
		}
	}
	if !slices.Equal(shown, here) {
		t.Errorf("shown %d of %d: %q", len(shown), count, shown)
	}
	if w.dc.Invalid() > 0 {
		t.Errorf("%d invalid requests", w.dc.Invalid())
	}
}
