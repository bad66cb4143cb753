package discord

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/bridges/discord/discordtest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// TestResume: what breaks the connection loses nothing, and makes no new session.
func TestResume(t *testing.T) {
	s := newStage(t, discordtest.Options{Heartbeat: 100 * time.Millisecond})
	var want []string
	for i, fault := range []func(){s.Cut, s.Reconnect, func() { s.CloseWith(4000) }, s.Deafen, s.Cut} {
		fault()
		text := fmt.Sprintf("after fault %d", i)
		s.Server.Say(s.one, s.me, text)
		want = append(want, text)
		s.said(text)
	}
	if got := s.arrivedTexts(s.one); !slices.Equal(got, want) {
		t.Error(got)
	}
	if identified, resumed := s.Counts(); identified != 1 || resumed < 4 {
		t.Errorf("%d new sessions, %d resumed", identified, resumed)
	}
}

// TestCatchUp: when the session is gone each channel is read back from its cursor.
func TestCatchUp(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.Server.Say(s.one, s.me, "before")
	s.said("before")
	thread := s.StartThread(s.one, "", "talk")
	s.Server.Say(thread, s.me, "in the thread before")
	before := s.said("in the thread before")
	s.stop()
	s.Invalidate()
	var want []string
	for i := range 230 {
		want = append(want, fmt.Sprintf("missed %d", i))
		s.Server.Say(s.one, s.me, want[i])
	}
	s.Server.Say(thread, s.me, "missed in the thread")
	young := s.StartThread(s.one, "", "young")
	s.Server.Say(young, s.me, "missed in a young thread")
	s.Edit(s.one, s.Messages(s.one)[0].ID, "before, edited")
	s.start()
	s.Server.Say(s.one, s.me, "after")
	s.said("after")
	s.said("missed in the thread")
	s.said("missed in a young thread")
	event(s, "the edit", func(e *sdk.Edit) bool { return e.Content.Body.Plain() == "before, edited" })
	got := slices.DeleteFunc(s.arrivedTexts(s.one), func(text string) bool { return strings.Contains(text, "thread") })
	if want = append(append([]string{"before"}, want...), "after"); !slices.Equal(got, want) {
		t.Errorf("%d of %d: %q", len(got), len(want), got)
	}
	if before.Content.Thread == nil || before.Content.Thread.ID != thread || !strings.HasPrefix(string(before.Message), thread+"-") {
		t.Errorf("%+v", before)
	}
	if identified, _ := s.Counts(); identified != 2 {
		t.Errorf("%d sessions", identified)
	}
}

func TestGapIsToldOf(t *testing.T) {
	s := bareStage(t, discordtest.Options{})
	s.conf["max_gap"] = 100
	s.start()
	s.Server.Say(s.one, s.me, "before")
	s.said("before")
	s.stop()
	s.Invalidate()
	for i := range 350 {
		s.Server.Say(s.one, s.me, fmt.Sprint("missed ", i))
	}
	s.start()
	gap := event(s, "the gap", func(g *sdk.Gap) bool { return string(g.Portal.Room) == s.one })
	if !gap.Fillable || !gap.From.Before(gap.To) {
		t.Errorf("%+v", gap)
	}
	s.Server.Say(s.one, s.me, "after")
	s.said("after")
	if got := s.arrivedTexts(s.one); len(got) != 102 {
		t.Errorf("%d messages", len(got))
	}
}

// TestHopelessCloses: what trying again cannot mend is explained, once.
func TestHopelessCloses(t *testing.T) {
	s := bareStage(t, discordtest.Options{})
	s.Privileged(s.app.User.ID, discordtest.IntentMembers|discordtest.IntentPresences)
	s.run()
	s.h.Await(t, "the reason", func() bool {
		return slices.ContainsFunc(s.h.Logins(), func(l sdk.LoginStatus) bool {
			return l.State == sdk.LoginBadSecret && strings.Contains(l.Text, "Message Content Intent")
		})
	})
	report, err := s.l.Test(t.Context())
	if err != nil || !report.Failed() {
		t.Fatal(report, err)
	}
	if !slices.ContainsFunc(report.Checks, func(c sdk.Check) bool {
		return c.Name == "Message Content Intent" && c.Status == sdk.CheckFailed && strings.Contains(c.Fix, "/applications/"+s.app.ID+"/bot")
	}) {
		t.Errorf("%+v", report)
	}
	if identified, _ := s.Counts(); identified != 1 {
		t.Errorf("identified %d times", identified)
	}
}

func TestWrongToken(t *testing.T) {
	s := bareStage(t, discordtest.Options{})
	s.conf["bot_token"] = "wrong"
	s.run()
	s.h.Await(t, "the reason", func() bool {
		return slices.ContainsFunc(s.h.Logins(), func(l sdk.LoginStatus) bool { return l.Code == sdk.CodeBadCredentials })
	})
	for range 50 {
		if _, err := s.try(s.send("x")); err == nil || err.Temporary || err.Code != sdk.CodeBadCredentials {
			t.Fatal(err)
		}
	}
	if n := s.Invalid(); n > 3 {
		t.Errorf("%d invalid requests", n)
	}
}

// TestUnwantedRoom: what the server has no room for is not copied again.
func TestUnwantedRoom(t *testing.T) {
	s := bareStage(t, discordtest.Options{})
	var open atomic.Bool
	s.h.Settle = func(_ int, b sdk.Batch, ticket *sdk.Ticket) {
		var r sdk.Receipt
		for i, e := range b.Events {
			if string(e.Head().Portal.Room) == s.one && !open.Load() {
				r.Problems = append(r.Problems, sdk.EventProblem{Index: i, Outcome: sdk.OutcomeRejected, Text: "there is no room"})
			}
		}
		ticket.Settle(r, nil)
	}
	s.start()
	file := discordtest.Draft{Files: []discordtest.File{{Name: "a", Data: []byte("x")}}}
	s.Server.Say(s.one, s.me, "for nobody")
	s.awaitConnected()
	s.Post(s.one, s.me, file)
	s.Post(s.two, s.me, file)
	s.message(func(m *sdk.Message) bool { return len(m.Content.Attachments) == 1 })
	if n := s.calls("GET", "/cdn/attachments/"+s.one); n != 0 {
		t.Errorf("copied %d times", n)
	}
	if _, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: portal(s.one), For: s.romeo}); err != nil {
		t.Fatal(err)
	}
	open.Store(true)
	s.Server.Say(s.one, s.me, "now wanted")
	s.said("now wanted")
}

// TestEmptyChannel: a room that was entered while its channel was empty is read back
// from its beginning.
func TestEmptyChannel(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	if _, err := s.l.JoinPortal(t.Context(), sdk.JoinRequest{Portal: portal(s.one), For: s.romeo}); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.Invalidate()
	s.Server.Say(s.one, s.me, "the very first")
	s.start()
	s.said("the very first")
}

// TestOutageOfAGuild: what was said while Discord could not tell of a guild comes
// when the guild is back.
func TestOutageOfAGuild(t *testing.T) {
	s := newStage(t, discordtest.Options{})
	s.Server.Say(s.one, s.me, "before")
	s.said("before")
	s.Outage(s.guild, true)
	s.Server.Say(s.one, s.me, "unheard")
	s.Outage(s.guild, false)
	s.Server.Say(s.one, s.me, "after")
	s.said("after")
	if got := s.arrivedTexts(s.one); !slices.Equal(got, []string{"before", "unheard", "after"}) {
		t.Error(got)
	}
	for _, e := range s.h.Events() {
		if _, gone := e.(*sdk.PortalGone); gone {
			t.Error("an outage is not the end")
		}
	}
}
