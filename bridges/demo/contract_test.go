package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/grpcbridge"
	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest/process"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// The test binary is also the plugin.
const pluginName = "viaduct-demo"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		grpcbridge.Serve(New(Options{}), grpcbridge.ServeOptions{})
		return
	}
	os.Exit(m.Run())
}

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
		"an unknown key":               `{"talk_evry": "6s"}`,
		"not JSON":                     `talk_every: 6s`,
		"a number for a duration":      `{"talk_every": 6}`,
		"too fast":                     `{"talk_every": "1ms"}`,
		"a network elsewhere":          `{"network": "192.0.2.1:80"}`,
		"a name instead of an address": `{"network": "localhost:80"}`,
		"control for everybody":        `{"control": "0.0.0.0:0"}`,
		"both":                         `{"network": "127.0.0.1:1", "control": "127.0.0.1:2"}`,
	}
}

func TestContractInProcess(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		New: func(_ testing.TB, d plugintest.Driver) sdk.Bridge {
			return faulty(os.Getenv(faultEnv), New(Options{Network: d.(*driver).net}))
		},
		Driver: func(t testing.TB) plugintest.Driver { return newDriver(t, false) }, BadConfigs: badConfigs(),
	})
}

func TestContractAsProcess(t *testing.T) {
	for transport, only := range map[host.Transport][]string{
		host.MTLS: nil,
		// What another transport could do to it; the rest is the same.
		host.Socket: {"handshake", "send", "messages in order", "crash under load", "both windows full", "files out", "files in", "http"},
	} {
		t.Run(string(transport), func(t *testing.T) {
			plugintest.Run(t, plugintest.Options{
				Launch: process.Launch(plugin(t), transport), Only: only,
				Driver: func(t testing.TB) plugintest.Driver { return newDriver(t, true) }, BadConfigs: badConfigs(),
			})
		})
	}
}

// driver is a demo network for plugintest.
type driver struct {
	net    *demonet.Network
	config string
	past   map[demonet.RoomID]int
}

const me demonet.UserID = "mira"

func newDriver(t testing.TB, served bool) *driver {
	t.Helper()
	d := &driver{net: demonet.New(demonet.Options{TalkEvery: -1}), config: `{"silent": true}`, past: map[demonet.RoomID]int{}}
	t.Cleanup(d.net.Close)
	for _, r := range []demonet.RoomID{"lobby", "support"} {
		d.past[r] = len(d.net.Messages(r))
	}
	// Mira is not in support by herself.
	d.act(t, demonet.Request{Do: "join", As: me, Room: "support"})
	if !served {
		return d
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- demonet.Serve(ctx, l, d.net) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	d.config = fmt.Sprintf(`{"network": %q}`, l.Addr())
	return d
}

func (d *driver) act(t testing.TB, r demonet.Request) demonet.Response {
	t.Helper()
	res, err := d.net.Act(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Do, err)
	}
	return res
}

func (d *driver) Config() []byte                              { return []byte(d.config) }
func (d *driver) Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID) { return "lobby", "support" }
func (d *driver) Person() sdk.RemoteUserID                    { return sdk.RemoteUserID(me) }
func (d *driver) Changed() <-chan struct{}                    { return d.net.News() }

func (d *driver) Say(t testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID {
	t.Helper()
	res := d.act(t, demonet.Request{Do: "post", As: me, Room: demonet.RoomID(room), Text: text})
	return sdk.RemoteMessageID(res.Message.ID)
}

func (d *driver) Reach(up bool) {
	if up {
		d.net.Outage(0)
	} else {
		d.net.Outage(time.Hour)
	}
}

func (d *driver) SignIn(_ sdk.LoginStep, good bool) map[string]string {
	if good {
		return map[string]string{"name": "zoe", "word": demonet.Word}
	}
	return map[string]string{"name": "zoe", "word": "guess"}
}

func (d *driver) name(t testing.TB, id demonet.UserID) string {
	if res, err := d.net.Act(demonet.Request{Do: "user", User: id}); err == nil {
		return res.User.Name
	}
	return string(id)
}

func (d *driver) Seen(t testing.TB, room sdk.RemoteRoomID) []plugintest.Seen {
	t.Helper()
	var out []plugintest.Seen
	for _, m := range d.net.Messages(demonet.RoomID(room))[d.past[demonet.RoomID(room)]:] {
		s := plugintest.Seen{
			ID: sdk.RemoteMessageID(m.ID), Author: d.name(t, m.Author), Text: m.Text, Emote: m.Emote, Edited: m.Version > 0, Deleted: m.Deleted,
			ReplyTo: sdk.RemoteMessageID(m.ReplyTo), Thread: sdk.RemoteMessageID(m.Thread), Reactions: map[string]int{},
		}
		for e, who := range m.Reactions {
			s.Reactions[e] = len(who)
		}
		for _, f := range m.Files {
			_, body, err := d.net.Download(context.Background(), f.ID, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			s.Files = append(s.Files, plugintest.SeenFile{Name: f.Name, Data: data})
		}
		out = append(out, s)
	}
	return out
}

func (d *driver) Room(t testing.TB, room sdk.RemoteRoomID) plugintest.SeenRoom {
	t.Helper()
	res := d.act(t, demonet.Request{Do: "room", Room: demonet.RoomID(room)})
	out := plugintest.SeenRoom{Name: res.Room.Name, Topic: res.Room.Topic}
	for _, u := range res.Users {
		out.Members = append(out.Members, u.Name)
	}
	for _, e := range d.net.Log() {
		if e.Kind == demonet.KindTyping && e.Active {
			out.Typing = append(out.Typing, d.name(t, e.Actor))
		}
	}
	return out
}

// Cause does what plugintest asks for in the lobby.
func (d *driver) Cause(t testing.TB, c plugintest.Cause) bool {
	t.Helper()
	last := func(mine bool) demonet.MessageID {
		list := d.net.Messages("lobby")
		for _, m := range slices.Backward(list) {
			if !m.Deleted && (!mine || m.Author == me) {
				return m.ID
			}
		}
		t.Fatal("there is no message")
		return ""
	}
	do := func(r demonet.Request) {
		if r.As == "" {
			r.As = me
		}
		r.Room = "lobby"
		d.act(t, r)
	}
	command := func(text string) { // what somebody types; here by the guest
		do(demonet.Request{Do: "post", As: "x-k7romeo", Text: text})
	}
	text := func(s string) *string { return &s }
	actions := map[plugintest.Cause]func(){
		plugintest.CauseEdit:    func() { do(demonet.Request{Do: "edit", Message: last(true), Text: "edited"}) },
		plugintest.CauseRetract: func() { do(demonet.Request{Do: "delete", Message: last(true)}) },
		plugintest.CauseReact:   func() { do(demonet.Request{Do: "react", Message: last(false), Emoji: []string{"👍"}}) },
		plugintest.CauseUnreact: func() { do(demonet.Request{Do: "react", Message: last(false)}) },
		plugintest.CauseReply:   func() { do(demonet.Request{Do: "post", Text: "a reply", ReplyTo: last(false)}) },
		plugintest.CauseThread:  func() { do(demonet.Request{Do: "post", Text: "in a thread", Thread: last(false)}) },
		plugintest.CauseFormat:  func() { do(demonet.Request{Do: "post", Text: "some *bold* words"}) },
		plugintest.CauseEmote:   func() { do(demonet.Request{Do: "post", Text: "waves", Emote: true}) },
		plugintest.CauseFile:    func() { d.file(t, do) },
		plugintest.CauseJoin: func() {
			do(demonet.Request{Do: "leave", As: "juno"})
			do(demonet.Request{Do: "join", As: "juno"})
		},
		plugintest.CauseLeave:  func() { do(demonet.Request{Do: "leave", As: "juno"}) },
		plugintest.CauseTopic:  func() { do(demonet.Request{Do: "change", Text: "new topic"}) },
		plugintest.CauseName:   func() { do(demonet.Request{Do: "change", Name: text("new name")}) },
		plugintest.CauseRename: func() { do(demonet.Request{Do: "profile", Name: text("New Name")}) },
		plugintest.CauseFace:   func() { do(demonet.Request{Do: "profile", Face: text("face-mira-new")}) },
		plugintest.CauseKick:   func() { do(demonet.Request{Do: "kick", As: "pip", User: "x-k7romeo", Text: "a test"}) },
		plugintest.CauseInvite: func() { command("!invite invited@example.org") },
		plugintest.CauseBring:  func() { command("!bring brought@rooms.example.org") },
		plugintest.CauseDirect: func() { do(demonet.Request{Do: "direct", User: "x-k7romeo"}) },
		plugintest.CauseRules: func() {
			do(demonet.Request{Do: "strict", Active: !d.act(t, demonet.Request{Do: "room", Room: "lobby"}).Room.Strict})
		},
		plugintest.CauseTyping:   func() { do(demonet.Request{Do: "typing", Active: true}) },
		plugintest.CausePresence: func() { do(demonet.Request{Do: "presence", Show: "away", Status: "at lunch"}) },
		plugintest.CauseRead:     func() { do(demonet.Request{Do: "read", Message: last(false)}) },
	}
	f := actions[c]
	if f == nil {
		return false
	}
	f()
	return true
}

func (d *driver) file(t testing.TB, do func(demonet.Request)) {
	data := make([]byte, plugintest.FileSize)
	for i := range data {
		data[i] = plugintest.FileByte(int64(i))
	}
	f, err := d.net.Upload(context.Background(), "made.bin", "application/octet-stream", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	do(demonet.Request{Do: "post", Text: "a file", Files: []string{f.ID}})
}
