package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// stage is a bridge between a host and a Discord that the test owns.
type stage struct {
	*driver
	t     *testing.T
	h     *plugintest.Host
	c     *Connector
	l     *sdk.Local
	conf  map[string]any
	ops   int
	romeo sdk.Sender
	stop  func()
	opt   Options
}

const patience = 30 * time.Second

func newStage(t *testing.T, o discordtest.Options) *stage {
	t.Helper()
	s := bareStage(t, o)
	s.start()
	return s
}

// bareStage has not started its bridge.
func bareStage(t *testing.T, o discordtest.Options) *stage {
	t.Helper()
	s := &stage{driver: newDriverWith(t, o), t: t, h: plugintest.NewHost(), romeo: sdk.Sender{Person: "p1", Address: "romeo@example.org", Name: "Romeo"}}
	s.opt = Options{Settle: settle}
	s.conf = map[string]any{}
	if err := json.Unmarshal(s.Config(), &s.conf); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a bridge with what the host remembers, and waits until it hears.
func (s *stage) start() {
	s.t.Helper()
	s.run()
	s.awaitConnected()
}

func (s *stage) run() {
	s.t.Helper()
	s.c = New(s.opt)
	s.l = sdk.NewLocal(s.c, sdk.LocalOptions{})
	raw, _ := json.Marshal(s.conf)
	if err := s.l.Configure(s.t.Context(), sdk.Configuration{Name: "discord", Domain: "example.org", JSON: raw}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.l.Start(s.t.Context(), s.h, s.h.Resume()); err != nil {
		s.t.Fatal(err)
	}
	local, c := s.l, s.c
	s.stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Drain(ctx); err != nil {
			s.t.Error(err)
		}
		local.Close()
	}
	s.t.Cleanup(s.stop)
}

// awaitConnected waits until a message from Discord arrives.
func (s *stage) awaitConnected() {
	s.t.Helper()
	s.h.Await(s.t, "a first cursor", func() bool { return len(s.h.Cursors()) > 0 })
	id := s.Say(s.t, sdk.RemoteRoomID(s.two), "are you there?")
	s.message(func(m *sdk.Message) bool { return m.Message == id })
}

// event waits for one.
func event[E sdk.Event](s *stage, what string, ok func(E) bool) E {
	s.t.Helper()
	var found E
	s.h.Await(s.t, what, func() bool {
		for _, e := range s.h.Events() {
			if v, is := e.(E); is && ok(v) {
				found = v
				return true
			}
		}
		return false
	})
	return found
}

func (s *stage) message(ok func(*sdk.Message) bool) *sdk.Message {
	s.t.Helper()
	return event(s, "a message", ok)
}

// said waits for a message by its text.
func (s *stage) said(text string) *sdk.Message {
	s.t.Helper()
	return event(s, text, func(m *sdk.Message) bool { return m.Content.Body.Plain() == text })
}

// arrivedOnce are the texts of Ann's messages in a room, in order.
func (s *stage) arrivedTexts(room string) []string {
	var out []string
	for _, e := range s.h.Events() {
		if m, ok := e.(*sdk.Message); ok && string(m.Portal.Room) == room && string(m.Actor.User) == s.me {
			out = append(out, m.Content.Body.Plain())
		}
	}
	return out
}

func (s *stage) header() sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(s.one)}, Sender: s.romeo, Time: time.Now(), Attempt: 1}
}

func (s *stage) send(text string) *sdk.SendMessage {
	return &sdk.SendMessage{OpHeader: s.header(), Content: sdk.Content{Body: richtext.FromPlain(text)}}
}

func (s *stage) try(op sdk.Op) (sdk.Delivered, *sdk.Error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	d, err := sdk.Handle(ctx, s.l, op)
	return d, sdk.AsError(err)
}

func (s *stage) must(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	d, err := s.try(op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}

// ours are the messages of our webhooks in a channel that are not deleted.
func (s *stage) ours(channel string) []discordtest.Message {
	var out []discordtest.Message
	for _, m := range s.Messages(channel) {
		if m.Webhook != "" && m.App == s.app.ID && !m.Deleted {
			out = append(out, m)
		}
	}
	return out
}

func (s *stage) last(channel string) discordtest.Message {
	s.t.Helper()
	list := s.ours(channel)
	if len(list) == 0 {
		s.t.Fatal("nothing was written")
	}
	return list[len(list)-1]
}

func texts(list []discordtest.Message) []string {
	var out []string
	for _, m := range list {
		out = append(out, m.Content)
	}
	return out
}

func ref(d sdk.Delivered) sdk.MessageRef {
	return sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}
}

func refTo(id string) sdk.MessageRef {
	return sdk.MessageRef{ID: sdk.RemoteMessageID(id), Parts: []sdk.Part{{Remote: sdk.RemoteMessageID(id)}}}
}

// calls counts requests by method and a part of the path.
func (s *stage) calls(method, path string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Method == method && strings.Contains(c.Path, path) {
			n++
		}
	}
	return n
}
