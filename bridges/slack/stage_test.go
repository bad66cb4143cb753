package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackfmt"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// patience is how long a test waits for what must come; it is no assertion.
const patience = 30 * time.Second

// stage is a bridge between a host and a workspace that the test owns.
type stage struct {
	t       *testing.T
	s       *slacktest.Server
	h       *plugintest.Host
	c       *Connector
	l       *sdk.Local
	ada     string
	general string
	conf    map[string]any
	ops     int
}

func newStage(t *testing.T, opt slacktest.Options) *stage {
	s := bareStage(t, opt)
	s.start()
	return s
}

func bareStage(t *testing.T, opt slacktest.Options) *stage {
	t.Helper()
	if opt.AckTimeout == 0 {
		opt.AckTimeout = 100 * time.Millisecond
	}
	s := &stage{t: t, s: slacktest.New(opt), h: plugintest.NewHost()}
	t.Cleanup(s.s.Close)
	s.ada, s.general = s.s.AddUser("ada", "Ada"), s.s.AddChannel("general")
	s.s.Join(s.general, s.ada)
	s.conf = map[string]any{"bot_token": slacktest.BotToken, "app_token": slacktest.AppToken, "api_url": s.s.URL}
	return s
}

// start starts a bridge with what the host remembers, and waits until it listens.
func (s *stage) start() {
	s.t.Helper()
	// Pauses are shortened; what waits for Slack waits as long as it takes.
	s.c = New(Options{After: func(d time.Duration) <-chan time.Time {
		if d <= doubtWait {
			d /= 20
		}
		return time.After(d)
	}})
	s.l = sdk.NewLocal(s.c, sdk.LocalOptions{})
	s.t.Cleanup(s.l.Close)
	raw, _ := json.Marshal(s.conf)
	if err := s.l.Configure(s.t.Context(), sdk.Configuration{Name: "slack", Domain: "example.org", JSON: raw}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.l.Start(s.t.Context(), s.h, s.h.Resume()); err != nil {
		s.t.Fatal(err)
	}
	s.until("a connection", func() bool { open, _, _ := s.s.Sockets(); return open == 1 })
	s.h.Await(s.t, "a cursor", func() bool { return s.h.Cursors()[sdk.PortalKey{}] != "" })
}

// stop ends the bridge as a crash does, and waits until Slack has noticed.
func (s *stage) stop() {
	s.t.Helper()
	s.l.Close()
	s.until("no connection", func() bool { open, _, _ := s.s.Sockets(); return open == 0 })
}

// again is a crash and a new start.
func (s *stage) again() {
	s.t.Helper()
	s.stop()
	s.start()
}

// until waits until something is so on Slack's side.
func (s *stage) until(what string, ok func() bool) {
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
			s.t.Fatalf("never so on Slack: %s", what)
		}
	}
}

func (s *stage) person(name string) sdk.Sender {
	return sdk.Sender{Person: sdk.PersonID("k7" + name), Address: name + "@example.org", Name: name, Role: sdk.RoleMember}
}

func (s *stage) head(name, channel string) sdk.OpHeader {
	s.ops++
	return sdk.OpHeader{ID: sdk.OpID(fmt.Sprintf("OP%024d", s.ops)), Portal: sdk.PortalKey{Room: key(channel)}, Sender: s.person(name), Time: time.Now(), Attempt: 1}
}

func (s *stage) text(text string) *sdk.SendMessage {
	return &sdk.SendMessage{OpHeader: s.head("Romeo", s.general), Content: sdk.Content{Body: richtext.FromPlain(text)}}
}

func (s *stage) try(op sdk.Op) (sdk.Delivered, *sdk.Error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	d, err := sdk.Handle(ctx, s.l, op)
	return d, sdk.AsError(err)
}

func (s *stage) do(op sdk.Op) sdk.Delivered {
	s.t.Helper()
	d, err := s.try(op)
	if err != nil {
		s.t.Fatalf("%T: %v", op, err)
	}
	return d
}

// sent sends a text and gives a reference to it.
func (s *stage) sent(text string) sdk.MessageRef {
	s.t.Helper()
	d := s.do(s.text(text))
	return sdk.MessageRef{ID: d.Parts[0].Remote, Parts: d.Parts}
}

// on is a message as it stands on Slack, nil if it does not.
func (s *stage) on(channel string, id sdk.RemoteMessageID) *slacktest.Message {
	for _, m := range s.s.Channel(channel).Messages {
		if m.TS == string(id) {
			return m
		}
	}
	return nil
}

// shownAs is a message as people on Slack read it.
func shownAs(m *slacktest.Message) richtext.Document {
	return slackfmt.Read(slackfmt.Source{Text: m.Text, Blocks: m.Blocks}, slackfmt.ReadOptions{})
}

// events are those of a type that are durable, those of our own left out.
func events[E sdk.Event](s *stage) []E {
	var out []E
	for _, ev := range s.h.Events() {
		if e, ok := ev.(E); ok && !ev.Head().Own {
			out = append(out, e)
		}
	}
	return out
}

// await waits for an event of a type that fits.
func await[E sdk.Event](s *stage, what string, fits func(E) bool) E {
	s.t.Helper()
	var found E
	s.h.Await(s.t, what, func() bool {
		i := slices.IndexFunc(events[E](s), fits)
		if i >= 0 {
			found = events[E](s)[i]
		}
		return i >= 0
	})
	return found
}

// mark says something and waits for it: what was caused before it in the channel has been
// worked on then.
func (s *stage) mark(text string) {
	s.t.Helper()
	s.s.Say(s.general, s.ada, text)
	await(s, text, func(m *sdk.Message) bool { return m.Content.Body.Plain() == text })
}

func (s *stage) texts(channel string) []string {
	var out []string
	for _, m := range events[*sdk.Message](s) {
		if m.Portal.Room == key(channel) {
			out = append(out, m.Content.Body.Plain())
		}
	}
	return out
}

func (s *stage) arrived(channel string, want ...string) {
	s.t.Helper()
	s.h.Await(s.t, fmt.Sprint(want), func() bool { return len(s.texts(channel)) >= len(want) })
	if got := s.texts(channel); !slices.Equal(got, want) {
		s.t.Fatalf("arrived %q, not %q", got, want)
	}
}

func isCode(err *sdk.Error, code sdk.Code, temporary bool) bool {
	return err != nil && err.Code == code && err.Temporary == temporary && !errors.Is(err, sdk.ErrSessionLost)
}
