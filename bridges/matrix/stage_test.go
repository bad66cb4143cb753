package matrix

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gopkg.in/yaml.v3"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixid"
	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock whose timers ring when the test says so.
type clock struct {
	mu     sync.Mutex
	timers []timer
	passed time.Duration // by which it is ahead of the wall clock
	asked  chan struct{} // one value for each timer that was set
}

type timer struct {
	d    time.Duration
	ring chan time.Time
}

func newClock() *clock { return &clock{asked: make(chan struct{}, 1000)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.passed)
}

// pass moves the clock; no timer rings.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := make(chan time.Time, 1)
	c.timers = append(c.timers, timer{d, t})
	c.asked <- struct{}{}
	return t
}

// await waits until somebody has set a timer of at most d.
func (c *clock) await(t *testing.T, d time.Duration) {
	t.Helper()
	timeout := time.After(patience)
	for !c.set(d) {
		select {
		case <-c.asked:
		case <-timeout:
			t.Fatalf("no timer of %v was set", d)
		}
	}
}

func (c *clock) set(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.timers, func(t timer) bool { return t.d <= d })
}

// ring waits until somebody has set a timer, and lets all of them ring.
func (c *clock) ring(t *testing.T) {
	t.Helper()
	timeout := time.After(patience)
	for !c.rung() {
		select {
		case <-c.asked:
		case <-timeout:
			t.Fatal("no timer was set")
		}
	}
}

func (c *clock) rung() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, timer := range c.timers {
		timer.ring <- time.Now()
	}
	any := len(c.timers) > 0
	c.timers = nil
	return any
}

// stage is a bridge between a host and a homeserver that the test owns.
type stage struct {
	t      *testing.T
	hs     *matrixtest.Server
	h      *recordingHost
	c      *Connector
	l      *sdk.Local
	url    string // where the homeserver pushes to
	clock  *clock
	juliet sdk.Sender
	stop   func()
	ops    int
	file   string
	conf   map[string]any
}

const (
	alice  = "@alice:hs.test"
	bob    = "@bob:hs.test"
	juliet = "@_xmpp_juliet=40xmpp.test:hs.test"
	botID  = "@xmppbridge:hs.test"
)

// newStage starts a homeserver, and a bridge that is connected to it.
func newStage(t *testing.T) *stage {
	s := bareStage(t, matrixtest.Options{})
	s.start()
	return s
}

func bareStage(t *testing.T, opt matrixtest.Options) *stage {
	t.Helper()
	s := &stage{t: t, h: newRecordingHost(t), juliet: sdk.Sender{Person: "p1", Address: "juliet@xmpp.test", Name: "Juliet"}}
	reg := newRegistration("matrix", "http://127.0.0.1:1", matrixid.Namespace{Prefix: "_xmpp_", Server: "hs.test"})
	opt.ASToken, opt.HSToken = reg.AppToken, reg.ServerToken
	s.hs = matrixtest.New(opt)
	t.Cleanup(s.hs.Close)
	raw, err := yaml.Marshal(reg)
	if err != nil {
		t.Fatal(err)
	}
	s.file = filepath.Join(t.TempDir(), "registration.yaml")
	if err := os.WriteFile(s.file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s.conf = map[string]any{"homeserver": s.hs.URL, "registration_file": s.file, "listen": "", "url": "http://127.0.0.1:1", "timeout": "20s"}
	return s
}

// start starts a bridge with what the host remembers.
func (s *stage) start() {
	s.t.Helper()
	s.configure()
	if err := s.l.Start(s.t.Context(), s.h, s.h.resume()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) configure() {
	s.t.Helper()
	s.clock = newClock() // the timers of a bridge that was stopped are nobody's
	s.c = New(Options{After: s.clock.after, Now: s.clock.now})
	s.l = sdk.NewLocal(s.c, sdk.LocalOptions{})
	raw, _ := json.Marshal(s.conf)
	if err := s.l.Configure(s.t.Context(), sdk.Configuration{Name: "matrix", Domain: "xmpp.test", JSON: raw}); err != nil {
		s.t.Fatal(err)
	}
	web := httptest.NewServer(s.l)
	s.url = web.URL
	local, once := s.l, sync.Once{}
	s.stop = func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := local.Drain(ctx); err != nil {
				s.t.Error(err)
			}
			web.Close()
			local.Close()
		})
	}
	s.t.Cleanup(s.stop)
}

// room makes a room and lets the bridge in.
func (s *stage) room(name string) (string, sdk.PortalKey) {
	s.t.Helper()
	room := s.hs.CreateRoom(alice, name)
	key := sdk.PortalKey{Room: sdk.RemoteRoomID(room)}
	if _, err := s.l.JoinPortal(s.t.Context(), sdk.JoinRequest{Portal: key, For: s.juliet, Members: 10}); err != nil {
		s.t.Fatal(err)
	}
	s.push(200)
	return room, key
}

func (s *stage) push(want int) {
	s.t.Helper()
	if got := s.hs.Push(s.t.Context(), s.url); got != want {
		s.t.Fatalf("the push was answered %d, not %d", got, want)
	}
}

func (s *stage) header(key sdk.PortalKey) sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: key, Sender: s.juliet, Time: time.Now(), Attempt: 1}
}

func (s *stage) send(key sdk.PortalKey, text string) *sdk.SendMessage {
	return &sdk.SendMessage{OpHeader: s.header(key), Content: sdk.Content{Body: richtext.FromPlain(text)}}
}

func (s *stage) do(op sdk.Op) (sdk.Delivered, *sdk.Error) {
	s.t.Helper()
	d, err := sdk.Handle(s.t.Context(), s.l, op)
	return d, sdk.AsError(err)
}

func (s *stage) must(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	d, err := s.do(op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}
