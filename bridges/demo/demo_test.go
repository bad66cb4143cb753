package demo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/demo/demonet"
	"github.com/viaduct-xmpp/viaduct/plugins/plugintest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// scene is a running bridge in a bubble, where an hour takes no time.
type scene struct {
	*testing.T
	host  *plugintest.Host
	local *sdk.Local
	ops   int
}

func play(t *testing.T, config string, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, host: plugintest.NewHost(), local: sdk.NewLocal(New(Options{}), sdk.LocalOptions{})}
		defer s.local.Close()
		if err := s.local.Configure(t.Context(), sdk.Configuration{Name: "demo", JSON: []byte(config)}); err != nil {
			t.Fatal(err)
		}
		if err := s.local.Start(t.Context(), s.host, sdk.Resume{First: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(s)
	})
}

// pass lets time go by.
func (s *scene) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *scene) write(room, text string) (sdk.Delivered, error) {
	s.ops++
	return sdk.Handle(s.Context(), s.local, &sdk.SendMessage{
		OpHeader: sdk.OpHeader{
			ID: sdk.OpID(fmt.Sprintf("op%d", s.ops)), Portal: sdk.PortalKey{Room: sdk.RemoteRoomID(room)}, Attempt: 1,
			Sender: sdk.Sender{Person: "juliet", Name: "Juliet"},
		},
		Content: sdk.Content{Body: richtext.FromPlain(text)},
	})
}

func (s *scene) must(room, text string) sdk.RemoteMessageID {
	s.Helper()
	d, err := s.write(room, text)
	if err != nil {
		s.Fatal(err)
	}
	return d.Parts[0].Remote
}

// news are the events that are not our own, from a place on.
func (s *scene) news(from int) []sdk.Event {
	return slices.DeleteFunc(s.host.Events()[from:], func(e sdk.Event) bool { return e.Head().Own })
}

func text(e sdk.Event) string {
	if m, ok := e.(*sdk.Message); ok {
		return m.Content.Body.Plain()
	}
	return ""
}

// Within a minute everybody sees that there is life.
func TestPeopleLiveByThemselves(t *testing.T) {
	play(t, `{}`, func(s *scene) {
		s.pass(time.Minute)
		if n := len(s.host.Events()); n < 6 {
			t.Fatalf("only %d events in the first minute", n)
		}
		s.pass(10 * time.Minute)
		sorts := map[string]int{}
		who := map[sdk.RemoteUserID]bool{}
		for _, e := range s.host.Events() {
			sorts[fmt.Sprintf("%T", e)]++
			who[e.Head().Actor.User] = true
		}
		for _, sig := range s.host.Signals() {
			sorts[fmt.Sprintf("%T", sig)]++
		}
		for _, sort := range []string{"*sdk.Message", "*sdk.Edit", "*sdk.Reaction", "*sdk.Typing", "*sdk.Presence"} {
			if sorts[sort] == 0 {
				t.Errorf("no %s in ten minutes: %v", sort, sorts)
			}
		}
		if len(who) < 4 {
			t.Errorf("only %v speak", who)
		}
	})
}

func TestSameSeedSameTalk(t *testing.T) {
	talk := func(seed int) []string {
		var out []string
		play(t, fmt.Sprintf(`{"seed": %d}`, seed), func(s *scene) {
			s.pass(5 * time.Minute)
			for _, e := range s.host.Events() {
				out = append(out, fmt.Sprintf("%T %s %s", e, e.Head().Actor.User, text(e)))
			}
		})
		return out
	}
	first := talk(1)
	if again := talk(1); !slices.Equal(first, again) {
		t.Errorf("%q\n%q", first, again)
	}
	if other := talk(2); slices.Equal(first, other) {
		t.Error("another seed changes nothing")
	}
}

func TestPeopleAnswer(t *testing.T) {
	play(t, `{"talk_every": "1h"}`, func(s *scene) {
		for _, words := range []string{"Otto, are you there", "hello", "does anybody know?"} {
			from := len(s.host.Events())
			id := s.must("lobby", words)
			s.pass(5 * time.Second)
			got := s.news(from)
			if len(got) != 1 {
				t.Fatalf("%q: %d answers", words, len(got))
			}
			m := got[0].(*sdk.Message)
			if m.Content.ReplyTo == nil || m.Content.ReplyTo.Target.ID != id || strings.HasPrefix(words, "Otto") && m.Actor.User != "otto" {
				t.Fatalf("%+v", m)
			}
		}
		from := len(s.host.Events())
		s.must("lobby", "just saying")
		s.pass(5 * time.Second)
		if got := s.news(from); len(got) != 0 {
			t.Fatalf("nobody was asked: %+v", got[0])
		}
	})
}

// Every command of the help does what the help says.
func TestCommands(t *testing.T) {
	sort := func(want string) func(*scene, []sdk.Event) bool {
		return func(_ *scene, list []sdk.Event) bool {
			return slices.ContainsFunc(list, func(e sdk.Event) bool { return fmt.Sprintf("%T", e) == "*sdk."+want })
		}
	}
	says := func(part string) func(*scene, []sdk.Event) bool {
		return func(_ *scene, list []sdk.Event) bool {
			return slices.ContainsFunc(list, func(e sdk.Event) bool { return strings.Contains(text(e), part) })
		}
	}
	message := func(f func(c sdk.Content) bool) func(*scene, []sdk.Event) bool {
		return func(_ *scene, list []sdk.Event) bool {
			return slices.ContainsFunc(list, func(e sdk.Event) bool { m, ok := e.(*sdk.Message); return ok && f(m.Content) })
		}
	}
	member := func(c sdk.MembershipChange) func(*scene, []sdk.Event) bool {
		return func(_ *scene, list []sdk.Event) bool {
			return slices.ContainsFunc(list, func(e sdk.Event) bool { m, ok := e.(*sdk.Membership); return ok && m.Change == c })
		}
	}
	signal := func(f func(sdk.Signal) bool) func(*scene, []sdk.Event) bool {
		return func(s *scene, _ []sdk.Event) bool { return slices.ContainsFunc(s.host.Signals(), f) }
	}
	show := func(want sdk.Show) func(*scene, []sdk.Event) bool {
		return signal(func(x sdk.Signal) bool { p, ok := x.(*sdk.Presence); return ok && p.Show == want })
	}
	tests := map[string]func(*scene, []sdk.Event) bool{
		"!help": says("What you can try:"), "!say good day": says("good day"), "!edit": sort("Edit"), "!react 🎉": sort("Reaction"),
		"!reply": message(func(c sdk.Content) bool { return c.ReplyTo != nil }), "!thread": message(func(c sdk.Content) bool { return c.Thread != nil }),
		"!retract": sort("Retract"), "!format": message(func(c sdk.Content) bool { return len(c.Body.Blocks) > 1 }),
		"!away at lunch": show(sdk.ShowAway), "!busy": show(sdk.ShowBusy), "!back": show(sdk.ShowOnline),
		"!rename Somebody": sort("UserChanged"), "!face": sort("UserChanged"), "!topic Something": sort("RoomChanged"), "!title Hall": sort("RoomChanged"),
		"!leave": member(sdk.MembershipLeave), "!kick": member(sdk.MembershipKick),
		"!typing": signal(func(x sdk.Signal) bool { v, ok := x.(*sdk.Typing); return ok && v.Active }),
		"!read":   signal(func(x sdk.Signal) bool { _, ok := x.(*sdk.ReadState); return ok }),
		"!file":   message(func(c sdk.Content) bool { return len(c.Attachments) == 1 && c.Attachments[0].Inline }),
		"!file 100": message(func(c sdk.Content) bool {
			return len(c.Attachments) == 1 && c.Attachments[0].Media.Size == 100<<10
		}),
		"!dm": sort("PortalOpened"), "!invite x@example.org": says("I cannot invite x@example.org: nobody has this address"),
		"!bring x@example.org": says("I cannot bring x@example.org: this room stays where it is"),
		"!history":             says("messages, since"), "!strict on": sort("RoomChanged"), "!flood 50": says("flood 50"),
		"!outage forever": says("How long?"), "!nonsense": says("I do not know !nonsense"),
	}
	covered := map[string]bool{"join": true, "unreact": true, "outage": true} // below
	for command, ok := range tests {
		t.Run(command, func(t *testing.T) {
			play(t, `{"talk_every": "1h"}`, func(s *scene) {
				from := len(s.host.Events())
				s.must("lobby", command)
				s.pass(4 * time.Second)
				if !ok(s, s.news(from)) {
					for _, e := range s.news(from) {
						s.Logf("%T %+v", e, e)
					}
					s.Fatal("it did not happen")
				}
			})
		})
		name, _, _ := strings.Cut(strings.TrimPrefix(command, "!"), " ")
		covered[name] = true
	}
	play(t, `{"silent": true}`, func(s *scene) {
		s.must("lobby", "!help")
		s.pass(time.Second)
		for line := range strings.SplitSeq(text(s.news(0)[len(s.news(0))-1]), "\n") {
			if name, _, ok := strings.Cut(strings.TrimPrefix(line, "!"), " "); ok && strings.HasPrefix(line, "!") && !covered[name] {
				t.Errorf("!%s is not tested", name)
			}
		}
	})
}

func TestJoinAndUnreact(t *testing.T) {
	play(t, `{"silent": true}`, func(s *scene) {
		for range 5 { // until everybody has left
			s.must("lobby", "!leave")
			s.pass(time.Second)
		}
		from := len(s.host.Events())
		s.must("lobby", "!join")
		s.pass(time.Second)
		joined := 0
		for _, e := range s.news(from) {
			if m, ok := e.(*sdk.Membership); ok && m.Change == sdk.MembershipJoin {
				joined++
			}
		}
		if joined < 3 {
			t.Fatalf("%d came back", joined)
		}
		s.must("lobby", "!react 👍")
		s.pass(time.Second)
		from = len(s.host.Events())
		s.must("lobby", "!unreact")
		s.pass(time.Second)
		if !slices.ContainsFunc(s.news(from), func(e sdk.Event) bool { r, ok := e.(*sdk.Reaction); return ok && len(r.Emoji) == 0 }) {
			t.Fatal("the reaction stays")
		}
	})
}

// During an outage nothing goes in or out; afterwards everything comes, in order,
// and what was tried again arrives once.
func TestOutage(t *testing.T) {
	play(t, `{"silent": true}`, func(s *scene) {
		s.must("lobby", "!outage 30s")
		s.pass(2 * time.Second)
		from := len(s.host.Events())
		s.pass(15 * time.Second)
		_, err := s.write("lobby", "is anybody there?")
		var e *sdk.Error
		if !errors.As(err, &e) || !e.Temporary || e.RetryAfter == 0 {
			t.Fatal(err)
		}
		if n := len(s.host.Events()); n != from {
			t.Fatalf("%d events during the outage", n-from)
		}
		report, err := s.local.Test(s.Context())
		if err != nil || !report.Failed() {
			t.Fatal(report, err)
		}
		s.pass(20 * time.Second)
		var got []string
		for _, e := range s.news(from) {
			got = append(got, text(e))
		}
		want := []string{"Said during the outage: 1 of 3", "Said during the outage: 2 of 3", "Said during the outage: 3 of 3"}
		if !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
		s.must("lobby", "good to have you back")
		var states []sdk.LoginState
		for _, l := range s.host.Logins() {
			states = append(states, l.State)
		}
		if !slices.Equal(states, []sdk.LoginState{sdk.LoginTrouble, sdk.LoginConnected}) {
			t.Fatal(states)
		}
	})
}

func TestBigRoomComesInPages(t *testing.T) {
	play(t, `{"silent": true}`, func(s *scene) {
		all, after, pages := 0, sdk.Cursor(""), 0
		for {
			info, err := s.local.ChatInfo(s.Context(), sdk.ChatInfoRequest{Portal: sdk.PortalKey{Room: "crowd"}, Members: 100, After: after})
			if err != nil || info.MemberCount != 255 {
				t.Fatal(info.MemberCount, err)
			}
			all, pages = all+len(info.Members), pages+1
			if after = info.NextMembers; after == "" {
				break
			}
		}
		if all != 255 || pages != 3 {
			t.Fatal(all, pages)
		}
	})
}

// The control socket serves the bridge's own network, and only if asked to.
func TestControl(t *testing.T) {
	b := New(Options{})
	l := sdk.NewLocal(b, sdk.LocalOptions{})
	defer l.Close()
	rec := plugintest.NewHost()
	logged := make(chan string, 10)
	rec.Logs = addressLog{logged}
	if err := l.Configure(t.Context(), sdk.Configuration{JSON: []byte(`{"silent": true, "control": "127.0.0.1:0"}`)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), rec, sdk.Resume{}); err != nil {
		t.Fatal(err)
	}
	c := demonet.Dial(<-logged)
	defer c.Close()
	res, err := c.Call(t.Context(), demonet.Request{Do: "post", As: "mira", Room: "lobby", Text: "by remote control"})
	if err != nil || res.Message == nil {
		t.Fatal(res, err)
	}
	rec.Await(t, "what was said", func() bool {
		return slices.ContainsFunc(rec.Events(), func(e sdk.Event) bool { return text(e) == "by remote control" })
	})
	var e *demonet.Error
	if _, err := c.Call(t.Context(), demonet.Request{Do: "nothing"}); !errors.As(err, &e) || e.Code != demonet.Invalid {
		t.Fatal(err)
	}
	if _, err := c.Events(t.Context(), "x.y", 1); err != nil {
		t.Fatal("a position of another life is the beginning: ", err)
	}
}
