package slack

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest/process"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The test binary is also the plugin.
const pluginName = "viaduct-slack"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		grpcbridge.Serve(New(Options{}), grpcbridge.ServeOptions{})
		return
	}
	goleak.VerifyTestMain(m)
}

// TestContractProcess runs what a process and gRPC may change against a real plugin, which
// is killed, too.
func TestContractProcess(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), pluginName)
	if err := os.Symlink(exe, path); err != nil {
		t.Fatal(err)
	}
	plugintest.Run(t, plugintest.Options{
		Launch: process.Launch(path, host.Socket), Driver: newDriver,
		Only: []string{"handshake", "configuration", "send", "echo", "messages in order", "acks lost", "crash at each step", "operations again after a crash", "files out", "files in", "drain", "setup"},
	})
}

func TestContract(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		New:    func(testing.TB, plugintest.Driver) sdk.Bridge { return New(Options{}) },
		Driver: newDriver,
		BadConfigs: map[string]string{
			"an unknown key": `{"bot_tokn": "xoxb-1"}`, "not JSON": `bot_token: x`, "nothing": `{}`, "no app token": `{"bot_token": "xoxb-1"}`,
			"a person's token": `{"bot_token": "xoxp-1", "app_token": "xapp-1"}`, "no address": `{"bot_token": "xoxb-1", "app_token": "xapp-1", "api_url": "slack"}`,
			"an odd choice": `{"bot_token": "xoxb-1", "app_token": "xapp-1", "replies": "never"}`, "no gap": `{"bot_token": "xoxb-1", "app_token": "xapp-1", "max_gap": 0}`,
			"an impatient one": `{"bot_token": "xoxb-1", "app_token": "xapp-1", "timeout": "1ms"}`, "too many polls": `{"bot_token": "xoxb-1", "app_token": "xapp-1", "presence_polls": 500}`,
		},
	})
}

// driver is a workspace with two channels.
type driver struct {
	s        *slacktest.Server
	ada      string
	bob      string
	one, two string
	began    map[string]int

	mu   sync.Mutex
	face int
}

func newDriver(t testing.TB) plugintest.Driver {
	d := &driver{s: slacktest.New(slacktest.Options{AckTimeout: 300 * time.Millisecond}), began: map[string]int{}}
	t.Cleanup(d.s.Close)
	d.ada, d.bob = d.s.AddUser("ada", "Ada Lovelace"), d.s.AddUser("bob", "Bob")
	d.one, d.two = d.s.AddChannel("general"), d.s.AddPrivate("secret")
	for _, ch := range []string{d.one, d.two} {
		d.s.Join(ch, d.ada)
		d.began[ch] = len(d.s.Channel(ch).Messages)
	}
	return d
}

func (d *driver) Config() []byte {
	raw, _ := json.Marshal(map[string]any{"bot_token": slacktest.BotToken, "app_token": slacktest.AppToken, "api_url": d.s.URL})
	return raw
}

func key(channel string) sdk.RemoteRoomID {
	return sdk.RemoteRoomID(channel + ":" + slacktest.TeamID)
}

func (d *driver) Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID) { return key(d.one), key(d.two) }

func (d *driver) Person() sdk.RemoteUserID { return sdk.RemoteUserID(d.ada + ":" + slacktest.TeamID) }

func (d *driver) Say(_ testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID {
	ch, _ := slackid.ParseChannel(string(room))
	if ch.Thread != "" {
		return sdk.RemoteMessageID(d.s.Reply(ch.ID, d.ada, string(ch.Thread), text))
	}
	return sdk.RemoteMessageID(d.s.Say(ch.ID, d.ada, text))
}

func (d *driver) Changed() <-chan struct{} { return d.s.Changed() }

func (d *driver) Reach(up bool) {
	if up {
		d.s.Heal()
		return
	}
	d.s.Fail(slacktest.Fault{Times: -1, Handle: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }})
	d.s.Drop()
}

func (d *driver) SignIn(sdk.LoginStep, bool) map[string]string { return nil }

func (d *driver) Room(_ testing.TB, room sdk.RemoteRoomID) plugintest.SeenRoom {
	ch, _ := slackid.ParseChannel(string(room))
	c := d.s.Channel(ch.ID)
	return plugintest.SeenRoom{Name: c.Name, Topic: c.Topic, Members: c.Members}
}

// Seen shows a channel, or a thread of a direct chat, as a client does.
func (d *driver) Seen(_ testing.TB, room sdk.RemoteRoomID) []plugintest.Seen {
	ch, _ := slackid.ParseChannel(string(room))
	var out []plugintest.Seen
	for _, m := range d.s.Channel(ch.ID).Messages[d.began[ch.ID]:] {
		if strings.HasPrefix(m.Subtype, "channel_") || ch.Thread != "" && m.ThreadTS != string(ch.Thread) {
			continue
		}
		out = append(out, d.seen(m))
	}
	return d.deleted(ch.ID, out)
}

// deleted puts those that were deleted among the others: the contract wants to see that.
func (d *driver) deleted(channel string, out []plugintest.Seen) []plugintest.Seen {
	for _, c := range d.s.Calls("chat.delete") {
		if c.Args["channel"] == channel && c.Error == "" {
			out = append(out, plugintest.Seen{ID: sdk.RemoteMessageID(c.Args["ts"]), Deleted: true})
		}
	}
	return out
}

func (d *driver) seen(m *slacktest.Message) plugintest.Seen {
	doc := slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks}, slackfmt.ReadOptions{})
	s := plugintest.Seen{ID: sdk.RemoteMessageID(m.TS), Author: m.Username, Text: doc.Plain(), Edited: m.Edited != nil, Thread: sdk.RemoteMessageID(m.ThreadTS), Reactions: map[string]int{}}
	if m.User == d.ada {
		s.Author = "Ada Lovelace"
	}
	s.Deleted = m.Subtype == "tombstone"
	for _, r := range m.Reactions {
		s.Reactions[slackfmt.EmojiText(r.Name)] = r.Count
	}
	for _, f := range m.Files {
		s.Files = append(s.Files, plugintest.SeenFile{Name: f.Name, Data: d.s.FileData(f.ID)})
	}
	return s
}

// last is Ada's last message.
func (d *driver) last() string {
	for _, m := range slices.Backward(d.s.Channel(d.one).Messages) {
		if m.User == d.ada && m.Subtype == "" {
			return m.TS
		}
	}
	return ""
}

// Cause implements plugintest.Driver. What is not in the table Slack does not tell a bot,
// or does not have.
func (d *driver) Cause(_ testing.TB, c plugintest.Cause) bool {
	bold := json.RawMessage(`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"some "},{"type":"text","text":"bold","style":{"bold":true}}]}]}]`)
	acts := map[plugintest.Cause]func(){
		plugintest.CauseEdit:    func() { d.s.Edit(d.one, d.last(), "edited") },
		plugintest.CauseRetract: func() { d.s.Delete(d.one, d.last()) },
		plugintest.CauseReact:   func() { d.s.React(d.one, d.last(), d.ada, "+1") },
		plugintest.CauseUnreact: func() {
			d.s.React(d.one, d.last(), d.ada, "tada")
			d.s.Unreact(d.one, d.last(), d.ada, "tada")
		},
		plugintest.CauseReply:  func() { d.s.Reply(d.one, d.ada, d.last(), "a reply") },
		plugintest.CauseThread: func() { d.s.Reply(d.one, d.ada, d.last(), "in a thread") },
		plugintest.CauseFormat: func() {
			d.s.Post(d.one, slacktest.Message{User: d.ada, Text: "some *bold*", Blocks: bold})
		},
		plugintest.CauseEmote: func() { d.s.Post(d.one, slacktest.Message{User: d.ada, Subtype: "me_message", Text: "waves"}) },
		plugintest.CauseFile: func() {
			data := make([]byte, plugintest.FileSize)
			for i := range data {
				data[i] = plugintest.FileByte(int64(i))
			}
			d.s.ShareFile(d.one, d.ada, "file.bin", "application/octet-stream", "look", data)
		},
		plugintest.CauseJoin:   func() { d.s.Join(d.one, d.bob) },
		plugintest.CauseLeave:  func() { d.s.Join(d.one, d.bob); d.s.Leave(d.one, d.bob) },
		plugintest.CauseTopic:  func() { d.s.SetTopic(d.one, d.ada, "new topic") },
		plugintest.CauseName:   func() { d.s.Rename(d.one, d.ada, "new name") },
		plugintest.CauseRename: func() { d.s.SetProfile(d.ada, func(p *slacktest.Profile) { p.DisplayName = "New Name" }) },
		plugintest.CauseFace: func() {
			d.mu.Lock()
			d.face++
			hash := strings.Repeat("f", d.face)
			d.mu.Unlock()
			d.s.SetProfile(d.ada, func(p *slacktest.Profile) { p.AvatarHash = hash })
		},
		plugintest.CausePresence: func() { d.s.SetProfile(d.ada, func(p *slacktest.Profile) { p.StatusText = "at lunch" }) },
	}
	act, ok := acts[c]
	if ok {
		act()
	}
	return ok
}
