package matrix

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"maunium.net/go/mautrix/id"

	"github.com/viaduct-xmpp/viaduct/bridges/matrix/matrixtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// await waits for the last of the texts, and compares all.
func (s *stage) await(room string, want []string) {
	s.t.Helper()
	s.h.until(fmt.Sprint(want), func() bool {
		n := 0
		for _, ev := range s.h.events {
			if m, ok := ev.(*sdk.Message); ok && !m.Own && string(m.Portal.Room) == room {
				n++
			}
		}
		return n >= len(want)
	})
	if got := s.h.texts(room); !slices.Equal(got, want) {
		s.t.Errorf("got %q, want %q", got, want)
	}
}

// settled waits until the bridge has read everything back and pauses.
func (s *stage) settled() {
	s.t.Helper()
	s.h.until("the connection", func() bool {
		return len(s.h.status) > 0 && s.h.status[len(s.h.status)-1].State == sdk.LoginConnected
	})
}

func TestWhatWasNeverPushed(t *testing.T) {
	s := newStage(t)
	s.settled()
	room, key := s.room("Lobby")
	s.hs.Say(room, alice, "one")
	s.push(200)
	s.hs.Say(room, alice, "two, lost")
	s.hs.Lose()
	s.hs.Say(room, alice, "three")
	s.push(200)
	s.await(room, []string{"one", "three"})

	// The next look finds the hole; what comes late is shown all the same.
	s.clock.ring(t)
	s.await(room, []string{"one", "three", "two, lost"})
	late := eventOf(s.h, "two", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "two, lost" })
	if late.History {
		t.Errorf("%+v", late)
	}

	// Lost at the end: not late, in order.
	s.hs.Say(room, alice, "four, lost")
	s.hs.Lose()
	s.must(s.send(key, "something happens"))
	s.clock.ring(t)
	s.await(room, []string{"one", "three", "two, lost", "four, lost"})
	if four := eventOf(s.h, "four", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "four, lost" }); four.History {
		t.Errorf("%+v", four)
	}
	if s.h.repeats != 0 {
		t.Errorf("%d events were delivered again", s.h.repeats)
	}
}

func TestAfterAnOutage(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	other, _ := s.room("Other")
	var want []string
	say := func(text string) {
		want = append(want, text)
		s.hs.Say(room, alice, text)
	}
	say("before")
	s.push(200)
	s.stop()
	for i := range 250 {
		say(fmt.Sprint("meanwhile ", i))
	}
	s.hs.Say(other, bob, "elsewhere")
	s.hs.Lose()
	// What is pushed first after the start comes behind what was missed, although
	// nothing was read back yet.
	say("pushed")
	s.hs.Fail(matrixtest.Fault{Path: "/ping", Times: -1, Handle: answers(504, "application/json", `{"errcode":"M_CONNECTION_TIMEOUT"}`)})
	s.start()
	s.push(200)
	s.await(room, want)
	s.await(other, []string{"elsewhere"})
}

func TestGapTooBig(t *testing.T) {
	s := bareStage(t, matrixtest.Options{})
	s.conf["max_gap"] = 100
	s.start()
	room, _ := s.room("Lobby")
	s.stop()
	for i := range 500 {
		s.hs.Say(room, alice, fmt.Sprint(i))
	}
	s.hs.Lose()
	s.start()
	gap := eventOf(s.h, "the gap", func(g *sdk.Gap) bool { return g.Fillable })
	if gap.To.IsZero() || string(gap.Portal.Room) != room {
		t.Errorf("%+v", gap)
	}
	eventOf(s.h, "the newest", func(m *sdk.Message) bool { return m.Content.Body.Plain() == "499" })
	if got := s.h.texts(room); len(got) != 100 || got[0] != "400" {
		t.Errorf("%d messages", len(got))
	}
}

// A host that loses the session during the reading back gets everything again.
func TestGapAndALostHost(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	s.stop()
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("missed ", i))
		s.hs.Say(room, alice, want[i])
	}
	s.hs.Lose()
	s.h.mu.Lock()
	s.h.refuse = sdk.ErrSessionLost
	s.h.mu.Unlock()
	s.start()
	s.h.until("trouble", func() bool { return s.h.status[len(s.h.status)-1].State == sdk.LoginTrouble })
	s.h.mu.Lock()
	s.h.refuse = nil
	s.h.mu.Unlock()
	s.clock.ring(t)
	s.await(room, want)
}

func TestKickedBot(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	s.hs.Member(room, alice, botID, "leave")
	s.push(200)
	eventOf(s.h, "the end", func(g *sdk.PortalGone) bool { return g.Code == sdk.CodeForbidden })
	s.stop()
	s.start()
	s.settled() // a room that cannot be read any more stops nothing
}

// A homeserver without pushes of its own for it: the bot's sync finds an invitation.
func TestInvitationBySync(t *testing.T) {
	s := bareStage(t, matrixtest.Options{NoPing: true})
	room := s.hs.CreateRoom(alice, "Cellar")
	s.hs.Member(room, alice, botID, "invite")
	s.hs.Lose()
	s.start()
	eventOf(s.h, "the room", func(o *sdk.PortalOpened) bool { return string(o.Portal.Room) == room })
	if s.hs.Membership(room, botID) != "join" {
		t.Error("the bot did not follow")
	}
}

// A homeserver whose sync answers at once again and again is asked once a second.
func TestSyncHasABudget(t *testing.T) {
	s := bareStage(t, matrixtest.Options{NoPing: true})
	s.hs.Fail(matrixtest.Fault{Path: "/sync", Times: -1, Handle: answers(200, "application/json", `{"next_batch":"s1"}`)})
	s.start()
	syncs := func() (n int) {
		for _, r := range s.hs.Requests() {
			if strings.HasSuffix(r, "/sync") {
				n++
			}
		}
		return n
	}
	for want := 1; want <= 3; want++ {
		s.clock.await(t, syncEvery)
		if got := syncs(); got != want {
			t.Fatalf("%d requests instead of %d", got, want)
		}
		s.clock.ring(t)
	}
}

// A connection that breaks may be the only sign that the homeserver was killed: what
// it pushes next is not the next unless the room was read back.
func TestBrokenConnectionIsSuspicious(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	for _, path := range []string{"/send/", "/sync"} {
		t.Run(path, func(t *testing.T) {
			s := bareStage(t, matrixtest.Options{NoPing: true})
			s.start()
			s.settled()
			room, key := s.room("Lobby")
			r := s.c.rooms.get(id.RoomID(room))
			suspect := func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.suspect
			}
			s.clock.await(t, syncEvery)
			if err := r.take(t.Context()); err != nil { // the keeper cannot look
				t.Fatal(err)
			}
			defer r.release()
			s.hs.Fail(matrixtest.Fault{Path: path, Times: -1, Handle: abort})
			if suspect() {
				t.Fatal("suspect without a reason")
			}
			if path == "/sync" {
				s.clock.ring(t)
				s.clock.await(t, firstPause)
			} else if _, err := s.do(s.send(key, "unheard")); err == nil {
				t.Fatal("sent")
			}
			if !suspect() {
				t.Error("nothing is suspected")
			}
		})
	}
}

// A room that the homeserver always fails to read stops neither the others nor what
// is pushed.
func TestUnreadableRoom(t *testing.T) {
	s := newStage(t)
	bad, _ := s.room("Bad")
	good, _ := s.room("Good")
	s.stop()
	s.hs.Fail(matrixtest.Fault{Path: bad + "/messages", Times: -1, Handle: answers(500, "application/json", `{"errcode":"M_UNKNOWN"}`)})
	s.hs.Say(good, alice, "missed")
	s.hs.Lose()
	s.start()
	s.await(good, []string{"missed"})
	s.hs.Say(bad, alice, "pushed")
	for i := 0; s.hs.Push(t.Context(), s.url) != 200; i++ {
		if i > patienceWithRooms {
			t.Fatal("one bad room stops all pushes")
		}
	}
	s.await(bad, []string{"pushed"})
}

// A single event that cannot be decoded hides nothing else.
func TestPoisonedPage(t *testing.T) {
	s := newStage(t)
	room, _ := s.room("Lobby")
	s.stop()
	s.hs.Say(room, alice, "before")
	s.hs.Poison(room)
	s.hs.Say(room, alice, "after")
	s.hs.Lose()
	s.start()
	s.await(room, []string{"before", "after"})
}
