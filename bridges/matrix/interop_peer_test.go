//go:build interop

package matrix

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// peer is a real homeserver that internal/dev/peers started for this test.
type peer struct {
	t    *testing.T
	kind string
	env  []string
	vars map[string]string
	conf string // JSON of the bridge's configuration
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startPeer makes the registration as an operator does, with Setup, and starts a
// homeserver with it.
func startPeer(t *testing.T, kind string) *peer {
	t.Helper()
	dir := t.TempDir()
	https, listen := freePort(t), "127.0.0.1:"+freePort(t)
	p := &peer{t: t, kind: kind, vars: map[string]string{}}
	httpPort := freePort(t)
	answers := map[string]string{"homeserver": "http://127.0.0.1:" + httpPort, "server_name": "localhost:" + https, "listen": listen}
	plan, err := New(Options{}).Setup(t.Context(), sdk.SetupRequest{Name: "matrix", Domain: "xmpp.test", Answers: answers})
	if err != nil || len(plan.Files) != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	file := filepath.Join(dir, plan.Files[0].Name)
	if err := os.WriteFile(file, plan.Files[0].Content, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := map[string]any{"verify_every": "1s"}
	for _, v := range plan.Config {
		conf[v.Key] = v.Value
	}
	conf["registration_file"] = file
	raw, _ := json.Marshal(conf)
	p.conf = string(raw)
	instance := fmt.Sprintf("matrix-bridge-%d-%s", os.Getpid(), kind)
	p.env = append(os.Environ(), "INSTANCE="+instance, "HTTP_PORT="+httpPort, "HTTPS_PORT="+https, "AS_REGISTRATION="+file, "ENV_PREFIX=HS")
	t.Cleanup(func() { p.script("stop.sh", "--wipe") })
	p.start()
	return p
}

func (p *peer) script(name string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", "internal", "dev", "peers", p.kind, name), args...)
	cmd.Env = p.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", p.kind, name, err, errs.String())
	}
	return out.String()
}

func (p *peer) start() {
	p.t.Helper()
	for line := range strings.Lines(p.script("start.sh")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			p.vars[key] = strings.ReplaceAll(strings.Trim(value, "'"), `\`, "")
		}
	}
}

// user is a foreign client: a person on the homeserver.
func (p *peer) user(name string) *mautrix.Client {
	p.t.Helper()
	upper := strings.ToUpper(name)
	c, err := mautrix.NewClient(p.vars["HS_URL"], id.UserID(p.vars["HS_USER_"+upper]), p.vars["HS_TOKEN_"+upper])
	if err != nil || c.UserID == "" || c.AccessToken == "" {
		p.t.Fatalf("%s: %v, %+v", name, err, p.vars)
	}
	return c
}

// bridge starts the connector as a host does.
func (p *peer) bridge(h *recordingHost) (*sdk.Local, func()) {
	p.t.Helper()
	l := sdk.NewLocal(New(Options{}), sdk.LocalOptions{})
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := l.Configure(ctx, sdk.Configuration{Name: "matrix", Domain: "xmpp.test", JSON: []byte(p.conf)}); err != nil {
		p.t.Fatal(err)
	}
	if err := l.Start(ctx, h, h.resume()); err != nil {
		p.t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.Drain(ctx); err != nil {
			p.t.Error(err)
		}
		l.Close()
	}
	p.t.Cleanup(stop)
	return l, stop
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func homeservers(t *testing.T, test func(t *testing.T, p *peer)) {
	for _, kind := range []string{"dendrite", "synapse"} {
		t.Run(kind, func(t *testing.T) { test(t, startPeer(t, kind)) })
	}
}

// story is a room with one person on either side.
type story struct {
	t      *testing.T
	p      *peer
	h      *recordingHost
	l      *sdk.Local
	stop   func()
	alice  *mautrix.Client
	room   id.RoomID
	key    sdk.PortalKey
	juliet sdk.Sender
	ops    int
}

func newStory(t *testing.T, p *peer) *story {
	s := &story{t: t, p: p, h: newRecordingHost(t), alice: p.user("alice")}
	s.juliet = sdk.Sender{Person: "p1", Address: "juliet@xmpp.test", Name: "Juliet"}
	made := must(s.alice.CreateRoom(t.Context(), &mautrix.ReqCreateRoom{
		Preset: "public_chat", Name: "Operations", Topic: "first topic", RoomAliasName: fmt.Sprintf("ops%d", time.Now().UnixNano()),
	}))(t)
	s.room, s.key = made.RoomID, sdk.PortalKey{Room: sdk.RemoteRoomID(made.RoomID)}
	s.l, s.stop = p.bridge(s.h)
	return s
}

func (s *story) header() sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: s.key, Sender: s.juliet, Time: time.Now(), Attempt: 1}
}

func (s *story) do(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	d, err := sdk.Handle(ctx, s.l, op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}

// ev reads an event as the foreign client.
func (s *story) ev(name sdk.RemoteMessageID) *event.Event {
	s.t.Helper()
	ev := must(s.alice.GetEvent(s.t.Context(), s.room, id.EventID(name)))(s.t)
	_ = ev.Content.ParseRaw(ev.Type)
	return ev
}

func body(s string) sdk.Content { return sdk.Content{Body: richtext.FromPlain(s)} }

func (s *story) join(members int) sdk.ChatInfo {
	s.t.Helper()
	return must(s.l.JoinPortal(s.t.Context(), sdk.JoinRequest{Portal: s.key, For: s.juliet, Members: members}))(s.t)
}

func (s *story) say(text string) id.EventID {
	s.t.Helper()
	return must(s.alice.SendText(s.t.Context(), s.room, text))(s.t).EventID
}

// insist does something again and again until a signal came of it.
func insist(t *testing.T, h *recordingHost, do func(), came func(sdk.Signal) bool) {
	t.Helper()
	eventually(t, "a signal", func() bool {
		do()
		timeout := time.After(time.Second)
		for {
			h.mu.Lock()
			changed := h.changed
			for _, s := range h.signals {
				if came(s) {
					h.mu.Unlock()
					return true
				}
			}
			h.mu.Unlock()
			select {
			case <-changed:
			case <-timeout:
				return false
			}
		}
	})
}

// eventually asks again and again what only asking tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s did not come", what)
		}
	}
}

// kill ends the homeserver without giving it time for anything.
func (p *peer) kill() {
	p.t.Helper()
	pid, err := strconv.Atoi(p.vars["HS_PID"])
	if err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the end of the homeserver", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
}

func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(raw), ") Z ")
}
