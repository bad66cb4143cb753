package python

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/plugins/host"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest/process"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// interopEnv asks for the test: it needs Debian's packages for Python.
const interopEnv = "VIADUCT_INTEROP_PYTHON"

func program(t *testing.T) string {
	t.Helper()
	if os.Getenv(interopEnv) == "" {
		t.Skip("set " + interopEnv + "=1 where python3-grpcio and python3-protobuf are installed")
	}
	path, err := filepath.Abs("viaduct-echo")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestContract holds the plugin to everything that a bridge in Go is held to.
func TestContract(t *testing.T) {
	plugintest.Run(t, plugintest.Options{
		Launch: process.Launch(program(t), host.Socket),
		Driver: func(t testing.TB) plugintest.Driver { return newFolder(t) },
		BadConfigs: map[string]string{
			"nothing":        `{}`,
			"not JSON":       `folder: /tmp`,
			"no full path":   `{"folder": "here"}`,
			"an unknown key": `{"folder": "/", "floder": "/"}`,
			"not a switch":   `{"folder": "/", "echo": "yes"}`,
		},
	})
}

// TestInfo asks the plugin what it is, as `viaduct check config` does.
func TestInfo(t *testing.T) {
	d, err := host.Describe(t.Context(), program(t))
	if err != nil {
		t.Fatal(err)
	}
	if d.Protocol != 1 || d.Info.Plugin != "echo" || len(d.Info.Config.Keys) != 2 || len(d.Abilities) != 1 || d.Abilities[0] != sdk.AbilityMedia {
		t.Fatalf("%+v", d)
	}
	if err := d.Info.Addresses.Validate(); err != nil {
		t.Error(err)
	}
	if problems := d.Info.Config.Check([]byte(`{"floder": "/"}`), nil); len(problems) == 0 {
		t.Error("a wrong configuration was taken")
	}
}

// line is a message in a room's file.
type line struct {
	ID   string  `json:"id"`
	By   string  `json:"by"`
	Name string  `json:"name,omitempty"`
	Text string  `json:"text"`
	At   float64 `json:"at"`
	Op   string  `json:"op,omitempty"`
	File *file   `json:"file,omitempty"`
}

type file struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Size int64  `json:"size"`
}

// folder is the network; while it cannot be reached it has another name.
type folder struct {
	path string

	mu   sync.Mutex
	away bool
	next int
}

func newFolder(t testing.TB) *folder {
	t.Helper()
	f := &folder{path: filepath.Join(t.TempDir(), "net")}
	if err := os.Mkdir(f.path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"people.json": `{"ann": "Ann", "ben": "Ben"}`, "lobby.jsonl": "", "porch.jsonl": ""} {
		if err := os.WriteFile(filepath.Join(f.path, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *folder) at(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return filepath.Join(f.path+".away", name)
	}
	return filepath.Join(f.path, name)
}

func (f *folder) Config() []byte {
	return fmt.Appendf(nil, `{"folder": %q}`, f.path)
}
func (f *folder) Rooms() (sdk.RemoteRoomID, sdk.RemoteRoomID)      { return "lobby", "porch" }
func (f *folder) Person() sdk.RemoteUserID                         { return "ann" }
func (f *folder) SignIn(_ sdk.LoginStep, _ bool) map[string]string { return nil }
func (f *folder) Say(t testing.TB, room sdk.RemoteRoomID, text string) sdk.RemoteMessageID {
	t.Helper()
	return f.write(t, room, line{Text: text})
}

func (f *folder) write(t testing.TB, room sdk.RemoteRoomID, l line) sdk.RemoteMessageID {
	t.Helper()
	f.mu.Lock()
	f.next++
	l.ID, l.By, l.At = fmt.Sprintf("ann-%d", f.next), "ann", float64(time.Now().UnixMicro())/1e6
	f.mu.Unlock()
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	f.append(t, room, string(raw)+"\n")
	return sdk.RemoteMessageID(l.ID)
}

func (f *folder) append(t testing.TB, room sdk.RemoteRoomID, lines string) {
	t.Helper()
	out, err := os.OpenFile(f.at(string(room)+".jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// Reach moves the folder away and back.
func (f *folder) Reach(up bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != up {
		return
	}
	from, to := f.path, f.path+".away"
	if up {
		from, to = to, from
	}
	if err := os.Rename(from, to); err != nil {
		panic(err)
	}
	f.away = !up
}

func (f *folder) Cause(t testing.TB, c plugintest.Cause) bool {
	t.Helper()
	switch c {
	case plugintest.CauseEmote:
		f.Say(t, "lobby", "/me waves")
	case plugintest.CauseFile:
		data := make([]byte, plugintest.FileSize)
		for i := range data {
			data[i] = plugintest.FileByte(int64(i))
		}
		if err := os.MkdirAll(f.at("files"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.at("files/made"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		f.write(t, "lobby", line{Text: "a file", File: &file{ID: "made", Name: "made.bin", Type: "application/octet-stream", Size: plugintest.FileSize}})
	default:
		return false
	}
	return true
}

// Changed: a folder tells nobody, so people look again after a moment.
func (f *folder) Changed() <-chan struct{} {
	out := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(out) })
	return out
}

func (f *folder) lines(t testing.TB, room sdk.RemoteRoomID) []line {
	t.Helper()
	raw, err := os.ReadFile(f.at(string(room) + ".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []line
	for text := range strings.Lines(string(raw)) {
		var l line
		if !strings.HasSuffix(text, "\n") {
			break // still being written
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %q", err, text)
		}
		out = append(out, l)
	}
	return out
}

func (f *folder) Seen(t testing.TB, room sdk.RemoteRoomID) []plugintest.Seen {
	t.Helper()
	var out []plugintest.Seen
	for _, l := range f.lines(t, room) {
		s := plugintest.Seen{ID: sdk.RemoteMessageID(l.ID), Author: l.Name, Reactions: map[string]int{}}
		s.Text, s.Emote = strings.CutPrefix(l.Text, "/me ")
		if l.File != nil {
			data, err := os.ReadFile(f.at("files/" + l.File.ID))
			if err != nil {
				t.Fatal(err)
			}
			s.Files = []plugintest.SeenFile{{Name: l.File.Name, Data: data}}
		}
		out = append(out, s)
	}
	return out
}

func (f *folder) Room(testing.TB, sdk.RemoteRoomID) plugintest.SeenRoom {
	return plugintest.SeenRoom{Name: "Lobby", Members: []string{"Ann", "Ben"}}
}

// TestEcho: somebody answers, once, and as herself; lines that are no messages harm nobody.
func TestEcho(t *testing.T) {
	path := program(t)
	net, h := newFolder(t), plugintest.NewHost()
	i := process.Launch(path, host.Socket)(t, net)
	if err := i.Remote.Configure(t.Context(), sdk.Configuration{Name: "echo", JSON: net.Config()}); err != nil {
		t.Fatal(err)
	}
	if err := i.Remote.Start(t.Context(), h, sdk.Resume{First: true}); err != nil {
		t.Fatal(err)
	}
	h.Await(t, "a first cursor", func() bool { return len(h.Cursors()) == 2 })
	op := &sdk.SendMessage{OpHeader: sdk.OpHeader{
		ID: "01JABCDEFGHJKMNPQRST000001", Portal: sdk.PortalKey{Room: "lobby"}, Sender: sdk.Sender{Person: "k7romeo", Name: "Romeo"}, Attempt: 1,
	}, Content: sdk.Content{Body: richtext.FromPlain("hello")}}
	net.append(t, "lobby", "no JSON\n[1]\n{\"id\": 7}\n{\"id\": \"x\", \"by\": \"ann\", \"text\": \"x\", \"at\": \"noon\"}\n")
	for range 2 { // a repeated operation is answered no second time
		if _, err := sdk.Handle(t.Context(), i.Remote, op); err != nil {
			t.Fatal(err)
		}
		op.Attempt, op.Doubt = op.Attempt+1, true
	}
	net.Say(t, "lobby", "the end")
	h.Await(t, "the end", func() bool {
		list := h.Events()
		return len(list) > 0 && list[len(list)-1].Head().Actor.User == "ann"
	})
	var said []string
	for _, e := range h.Events() {
		m := e.(*sdk.Message)
		said = append(said, fmt.Sprintf("%s own=%v: %s", m.Actor.User, m.Own, m.Content.Body.Plain()))
	}
	want := []string{"x-k7romeo own=true: hello", "echo own=false: You said: hello", "ann own=false: the end"}
	if !slices.Equal(said, want) {
		t.Fatalf("%q", said)
	}
}
