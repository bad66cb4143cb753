package discord

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest/process"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The test binary is also the plugin.
const pluginName = "viaduct-discord"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		grpcbridge.Serve(New(Options{Settle: settle}), grpcbridge.ServeOptions{})
		return
	}
	goleak.VerifyTestMain(m)
}

// settle is short: the fake has done what it was asked for when the connection breaks.
const settle = 300 * time.Millisecond

func plugin(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), pluginName)
	if err := os.Symlink(exe, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func badConfigs() map[string]string {
	return map[string]string{
		"an unknown key": `{"tokn": "x"}`, "not JSON": `token: x`, "nothing": `{}`, "with Bot before": `{"bot_token": "Bot x"}`,
		"a guild's name": `{"bot_token": "x", "guilds": ["Garden"]}`, "too many webhooks": `{"bot_token": "x", "webhooks": 16}`,
		"no URL": `{"bot_token": "x", "api_url": "discord.com"}`, "a number for a duration": `{"bot_token": "x", "timeout": 5}`, "no time": `{"bot_token": "x", "timeout": "1ms"}`,
	}
}

func TestContract(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		New:    func(testing.TB, plugintest.Driver) sdk.Bridge { return New(Options{Settle: settle}) },
		Driver: newDriver, BadConfigs: badConfigs(),
	})
}

func TestContractAsProcess(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		Launch: process.Launch(plugin(t), host.Socket), Driver: newDriver,
		Only: []string{"handshake", "send", "messages in order", "crash at each step", "crash under load", "files out", "files in"},
	})
}

// driver is a guild with two channels.
type driver struct {
	*discordtest.Server
	t                        testing.TB
	app                      discordtest.App
	guild, one, two, me, bob string
}

func newDriver(t testing.TB) plugintest.Driver { return newDriverWith(t, discordtest.Options{}) }

func newDriverWith(t testing.TB, o discordtest.Options) *driver {
	d := &driver{Server: discordtest.New(o), t: t}
	t.Cleanup(func() { d.Close(); http.DefaultTransport.(*http.Transport).CloseIdleConnections() })
	d.me, d.bob = d.AddUser("ann", "Ann"), d.AddUser("bob", "Bob")
	d.guild = d.AddGuild("Garden", d.me)
	d.SetAvatar("", d.me, []byte("\x89PNG a face"))
	d.one, d.two = d.AddChannel(d.guild, "general"), d.AddChannel(d.guild, "support")
	d.Join(d.guild, d.bob)
	d.app = d.AddBot("bridge")
	d.Join(d.guild, d.app.User.ID)
	d.Permit(d.guild, d.app.User.ID, invitePermissions())
	return d
}

func (d *driver) Config() []byte {
	raw, _ := json.Marshal(map[string]any{"bot_token": d.app.Token, "api_url": d.URL + "/api/v10", "cdn_url": d.URL + "/cdn", "timeout": "20s"})
	return raw
}

func (d *driver) Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID) {
	return sdk.RemoteRoomID(d.one), sdk.RemoteRoomID(d.two)
}

func (d *driver) Person() sdk.RemoteUserID { return sdk.RemoteUserID(d.me) }

func (d *driver) Say(_ testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID {
	return sdk.RemoteMessageID(d.Server.Say(string(room), d.me, text))
}

func (d *driver) SignIn(sdk.LoginStep, bool) map[string]string { return nil }

func (d *driver) Reach(up bool) {
	if up {
		d.Heal()
		return
	}
	d.Fail(discordtest.Fault{Times: -1, Reset: true})
	d.Refuse()
	d.Cut()
}

func (d *driver) Room(_ testing.TB, room sdk.RemoteRoomID) plugintest.SeenRoom {
	c := d.Channel(string(room))
	return plugintest.SeenRoom{Name: c.Name, Topic: c.Topic, Members: d.MemberNames(d.guild)}
}

// Seen shows a channel with its threads, marks taken away as a client does.
func (d *driver) Seen(_ testing.TB, room sdk.RemoteRoomID) []plugintest.Seen {
	out := d.seen(string(room), "")
	for _, t := range d.Threads(string(room)) {
		out = append(out, d.seen(t.ID, t.ID)...)
	}
	return out
}

func (d *driver) seen(channel, thread string) []plugintest.Seen {
	var out []plugintest.Seen
	for _, m := range d.Messages(channel) {
		s := plugintest.Seen{
			ID: messageRef(thread, m.ID).ID, Author: m.Author.Username, Text: unmarked(m.Content), Edited: !m.Edited.IsZero(), Deleted: m.Deleted,
			Thread: sdk.RemoteMessageID(thread), Reactions: map[string]int{},
		}
		if id, ok := m.Reference["message_id"].(string); ok {
			s.ReplyTo = sdk.RemoteMessageID(id)
		}
		for _, r := range m.Reactions {
			s.Reactions[r.Name]++
		}
		for _, f := range m.Files {
			s.Files = append(s.Files, plugintest.SeenFile{Name: f.Name, Data: f.Data})
		}
		out = append(out, s)
	}
	return out
}

func unmarked(s string) string {
	return strings.NewReplacer(`\`, "", "**", "", "\u200b", "").Replace(s)
}

// Cause implements plugintest.Driver.
func (d *driver) Cause(_ testing.TB, c plugintest.Cause) bool {
	last := func(mine bool) string {
		list := d.Messages(d.one)
		for _, m := range slices.Backward(list) {
			if !m.Deleted && (!mine || m.Author.ID == d.me) {
				return m.ID
			}
		}
		return ""
	}
	file := func() {
		data := make([]byte, plugintest.FileSize)
		for i := range data {
			data[i] = plugintest.FileByte(int64(i))
		}
		d.Post(d.one, d.me, discordtest.Draft{Content: "a file", Files: []discordtest.File{{Name: "made.bin", Type: "application/octet-stream", Data: data}}})
	}
	acts := map[plugintest.Cause]func(){
		plugintest.CauseEdit:    func() { d.Edit(d.one, last(true), "edited") },
		plugintest.CauseRetract: func() { d.Delete(d.one, last(true)) },
		plugintest.CauseReact:   func() { d.React(d.one, last(false), d.me, "👍") },
		plugintest.CauseUnreact: func() { d.React(d.one, last(false), d.me, "👍"); d.Unreact(d.one, last(false), d.me, "👍") },
		plugintest.CauseReply:   func() { d.Post(d.one, d.me, discordtest.Draft{Content: "a reply", ReplyTo: last(false)}) },
		plugintest.CauseThread: func() {
			d.Server.Say(d.StartThread(d.one, last(false), "talk"), d.me, "in a thread")
		},
		plugintest.CauseFormat:   func() { d.Server.Say(d.one, d.me, "some **bold** words") },
		plugintest.CauseFile:     file,
		plugintest.CauseJoin:     func() { d.Leave(d.guild, d.bob); d.Join(d.guild, d.bob) },
		plugintest.CauseLeave:    func() { d.Leave(d.guild, d.bob) },
		plugintest.CauseTopic:    func() { d.SetTopic(d.one, "new topic") },
		plugintest.CauseName:     func() { d.SetName(d.one, "new name") },
		plugintest.CauseRename:   func() { d.SetGlobalName(d.me, "New Name") },
		plugintest.CauseFace:     func() { d.SetAvatar("", d.me, []byte("\x89PNG another face")) },
		plugintest.CauseTyping:   func() { d.Typing(d.one, d.me) },
		plugintest.CausePresence: func() { d.SetPresence(d.me, "idle", "at lunch") },
	}
	act, ok := acts[c]
	if ok {
		act()
	}
	return ok
}
