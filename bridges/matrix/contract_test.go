package matrix

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
	"maunium.net/go/mautrix/appservice"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

func TestContract(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		New:    func(testing.TB, plugintest.Driver) sdk.Bridge { return New(Options{}) },
		Driver: newDriver,
		BadConfigs: map[string]string{
			"an unknown key": `{"home_server": "http://127.0.0.1:1"}`, "not JSON": `homeserver: x`, "nothing": `{}`,
			"no URL": `{"homeserver": "hs.test", "registration_file": "x"}`, "no file": `{"homeserver": "http://127.0.0.1:1", "registration_file": "/nowhere/x.yaml"}`,
		},
	})
}

// driver is a homeserver with two rooms, which pushes what happens until it is taken.
type driver struct {
	hs       *matrixtest.Server
	reg      *appservice.Registration
	conf     []byte
	url      string
	one, two string
	began    map[string]int

	mu   sync.Mutex
	down bool
}

func newDriver(t testing.TB) plugintest.Driver {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	_ = l.Close()
	d := &driver{url: "http://" + listen, began: map[string]int{}}
	d.reg = newRegistration("test", d.url, matrixid.Namespace{Prefix: "_xmpp_", Server: "hs.test"})
	d.hs = matrixtest.New(matrixtest.Options{ASToken: d.reg.AppToken, HSToken: d.reg.ServerToken})
	raw, err := yaml.Marshal(d.reg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "registration.yaml")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	d.conf, _ = json.Marshal(map[string]any{"homeserver": d.hs.URL, "registration_file": file, "listen": listen})
	for _, room := range []*string{&d.one, &d.two} {
		*room = d.hs.CreateRoom(alice, "A room")
		d.hs.Member(*room, d.hs.BotID(), d.hs.BotID(), "join")
		d.hs.SetState(*room, alice, "m.room.power_levels", "", matrixtest.Event{"users": matrixtest.Event{alice: 100, d.hs.BotID(): 100}})
		d.began[*room] = len(d.hs.Events(*room))
	}
	d.hs.SetProfile(alice, "Alice", "")
	d.hs.Lose()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); d.pushing(t, stop) }()
	t.Cleanup(func() { close(stop); <-done; d.hs.Close(); http.DefaultClient.CloseIdleConnections() })
	return d
}

// pushing is the homeserver's queue.
func (d *driver) pushing(t testing.TB, stop chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		d.mu.Lock()
		down := d.down
		d.mu.Unlock()
		if !down && d.hs.Waiting() > 0 {
			d.hs.Push(t.Context(), d.url)
		}
	}
}

func (d *driver) Config() []byte { return d.conf }

func (d *driver) Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID) {
	return sdk.RemoteRoomID(d.one), sdk.RemoteRoomID(d.two)
}

func (d *driver) Person() sdk.RemoteUserID { return alice }

func (d *driver) Say(_ testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID {
	return sdk.RemoteMessageID(d.hs.Say(string(room), alice, text))
}

func (d *driver) Changed() <-chan struct{} { return d.hs.Changed() }

func (d *driver) Reach(up bool) {
	d.mu.Lock()
	d.down = !up
	d.mu.Unlock()
	if up {
		d.hs.Heal()
		return
	}
	d.hs.Fail(matrixtest.Fault{Path: "/", Times: -1, Handle: func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }})
}

func (d *driver) SignIn(sdk.LoginStep, bool) map[string]string { return nil }

func (d *driver) name(user string) string {
	name, _, _, _, _ := d.hs.Profile(user)
	return name
}

func (d *driver) Room(_ testing.TB, room sdk.RemoteRoomID) plugintest.SeenRoom {
	out := plugintest.SeenRoom{Name: d.hs.Name(string(room)), Topic: d.hs.Topic(string(room))}
	for _, user := range d.hs.Members(string(room)) {
		if user == d.hs.BotID() {
			continue
		}
		out.Members = append(out.Members, d.name(user))
		if d.hs.Typing(string(room), user) {
			out.Typing = append(out.Typing, d.name(user))
		}
	}
	return out
}

// Seen shows a room as a client does.
func (d *driver) Seen(_ testing.TB, room sdk.RemoteRoomID) []plugintest.Seen {
	var out []plugintest.Seen
	find := func(id any) *plugintest.Seen {
		for i := range out {
			if string(out[i].ID) == id {
				return &out[i]
			}
		}
		return &plugintest.Seen{Reactions: map[string]int{}}
	}
	for _, ev := range d.hs.Events(string(room))[d.began[string(room)]:] {
		content, _ := ev["content"].(matrixtest.Event)
		relates, _ := content["m.relates_to"].(matrixtest.Event)
		sender := ev["sender"].(string)
		switch ev["type"] {
		case "m.reaction":
			if key, ok := relates["key"].(string); ok {
				find(relates["event_id"]).Reactions[key]++
			}
		case "m.room.message":
			if relates["rel_type"] == "m.replace" {
				s := find(relates["event_id"])
				s.Text, s.Edited = content["m.new_content"].(matrixtest.Event)["body"].(string), true
				continue
			}
			out = append(out, d.seen(ev, content, relates, d.name(sender)))
		}
	}
	return out
}

func (d *driver) seen(ev, content, relates matrixtest.Event, author string) plugintest.Seen {
	s := plugintest.Seen{ID: sdk.RemoteMessageID(ev["event_id"].(string)), Author: author, Reactions: map[string]int{}}
	s.Text, _ = content["body"].(string)
	s.Emote = content["msgtype"] == "m.emote"
	s.Deleted = len(content) == 0
	if relates["rel_type"] == "m.thread" {
		s.Thread = sdk.RemoteMessageID(relates["event_id"].(string))
	}
	if to, ok := relates["m.in_reply_to"].(matrixtest.Event); ok && relates["is_falling_back"] != true {
		s.ReplyTo = sdk.RemoteMessageID(to["event_id"].(string))
	}
	if uri, ok := content["url"].(string); ok {
		name, _ := content["filename"].(string)
		s.Files = []plugintest.SeenFile{{Name: name, Data: d.hs.Media(uri)}}
		if s.Text == name {
			s.Text = ""
		}
	}
	return s
}

// Cause implements plugintest.Driver.
func (d *driver) Cause(t testing.TB, c plugintest.Cause) bool {
	romeo := "@_xmpp_romeo=40example.org:hs.test"
	last := func() any {
		events := d.hs.Events(d.one)
		for _, ev := range slices.Backward(events) {
			if ev["type"] == "m.room.message" && ev["sender"] == alice && len(ev["content"].(matrixtest.Event)) > 0 {
				return ev["event_id"]
			}
		}
		return nil
	}
	message := func(more matrixtest.Event) {
		content := matrixtest.Event{"msgtype": "m.text", "body": "text"}
		maps.Copy(content, more)
		d.hs.Send(d.one, alice, "m.room.message", content)
	}
	state := func(kind, key, value string) { d.hs.SetState(d.one, alice, kind, "", matrixtest.Event{key: value}) }
	acts := map[plugintest.Cause]func(){
		plugintest.CauseEdit: func() {
			message(matrixtest.Event{"m.new_content": matrixtest.Event{"msgtype": "m.text", "body": "edited"}, "m.relates_to": matrixtest.Event{"rel_type": "m.replace", "event_id": last()}})
		},
		plugintest.CauseRetract: func() { d.hs.Send(d.one, alice, "m.room.redaction", matrixtest.Event{"redacts": last()}) },
		plugintest.CauseReact: func() {
			d.hs.Send(d.one, alice, "m.reaction", matrixtest.Event{"m.relates_to": matrixtest.Event{"rel_type": "m.annotation", "event_id": last(), "key": "👍"}})
		},
		plugintest.CauseReply: func() {
			message(matrixtest.Event{"m.relates_to": matrixtest.Event{"m.in_reply_to": matrixtest.Event{"event_id": last()}}})
		},
		plugintest.CauseThread: func() {
			message(matrixtest.Event{"m.relates_to": matrixtest.Event{"rel_type": "m.thread", "event_id": last()}})
		},
		plugintest.CauseFormat: func() {
			message(matrixtest.Event{"format": "org.matrix.custom.html", "formatted_body": "some <b>bold</b>"})
		},
		plugintest.CauseEmote: func() { message(matrixtest.Event{"msgtype": "m.emote", "body": "waves"}) },
		plugintest.CauseFile: func() {
			var raw bytes.Buffer
			for i := range int64(plugintest.FileSize) {
				raw.WriteByte(plugintest.FileByte(i))
			}
			message(matrixtest.Event{"msgtype": "m.file", "body": "file.bin", "url": d.hs.Upload(raw.Bytes()), "info": matrixtest.Event{"size": plugintest.FileSize}})
		},
		plugintest.CauseJoin:   func() { d.hs.Member(d.one, bob, bob, "join") },
		plugintest.CauseLeave:  func() { d.hs.Member(d.one, bob, bob, "leave") },
		plugintest.CauseTopic:  func() { state("m.room.topic", "topic", "new topic") },
		plugintest.CauseName:   func() { state("m.room.name", "name", "new name") },
		plugintest.CauseRename: func() { d.hs.SetProfile(alice, "New Name", "") },
		plugintest.CauseFace:   func() { d.hs.SetProfile(alice, "Alice", d.hs.Upload([]byte("another face"))) },
		plugintest.CauseKick:   func() { d.hs.Member(d.one, alice, romeo, "leave") },
		plugintest.CauseInvite: func() { d.hs.Member(d.one, alice, "@_xmpp_invited=40example.org:hs.test", "invite") },
		plugintest.CauseBring:  func() { d.ask(t, "/_matrix/app/v1/rooms/%23_xmpp_brought=40rooms.example.org:hs.test") },
		plugintest.CauseDirect: func() {
			room := d.hs.CreateRoom(alice, "")
			d.hs.SetState(room, alice, "m.room.member", romeo, matrixtest.Event{"membership": "invite", "is_direct": true})
		},
		plugintest.CauseTyping: func() {
			d.now(t, "m.typing", d.one, "", matrixtest.Event{"user_ids": []string{alice}})
		},
		plugintest.CausePresence: func() {
			d.now(t, "m.presence", "", alice, matrixtest.Event{"presence": "unavailable", "status_msg": "at lunch"})
		},
		plugintest.CauseRead: func() {
			d.now(t, "m.receipt", d.one, "", matrixtest.Event{last().(string): matrixtest.Event{"m.read": matrixtest.Event{alice: matrixtest.Event{"ts": 1}}}})
		},
	}
	act, ok := acts[c]
	if ok {
		act()
	}
	return ok
}

func (d *driver) ask(t testing.TB, path string) {
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
	req.Header.Set("Authorization", "Bearer "+d.reg.ServerToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_ = resp.Body.Close()
}

// now pushes something ephemeral.
func (d *driver) now(t testing.TB, kind, room, sender string, content matrixtest.Event) {
	ev := matrixtest.Event{"type": kind, "content": content}
	if room != "" {
		ev["room_id"] = room
	}
	if sender != "" {
		ev["sender"] = sender
	}
	if code := d.hs.PushAs(t.Context(), d.url, "now-"+kind+strings.ToLower(time.Now().String()), nil, []matrixtest.Event{ev}); code != http.StatusOK {
		t.Error(code)
	}
}
