package slack

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/bridges/slack/slackid"
	"github.com/viaduct-xmpp/viaduct/bridges/slack/slacktest"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// TestAckAfterTheJournal: Slack hears of an event only when the host has it; what comes
// again until then changes nothing.
func TestAckAfterTheJournal(t *testing.T) {
	s := bareStage(t, slacktest.Options{AckTimeout: time.Hour})
	var armed atomic.Bool
	held := make(chan *sdk.Ticket, 100)
	s.h.Settle = func(_ int, _ sdk.Batch, ticket *sdk.Ticket) {
		if armed.Load() {
			held <- ticket
			return
		}
		ticket.Settle(sdk.Receipt{}, nil)
	}
	s.start()
	s.mark("before")
	s.until("the first acknowledgement", func() bool { return len(s.s.Acks()) > 0 })
	acks, delivered := len(s.s.Acks()), s.h.Delivered()
	armed.Store(true)
	s.s.Repeat(1)
	s.s.Say(s.general, s.ada, "one")
	ticket := <-held
	if n := len(s.s.Acks()); n != acks {
		t.Fatal("acknowledged before it was stored")
	}
	armed.Store(false)
	ticket.Settle(sdk.Receipt{}, nil)
	s.until("the acknowledgement", func() bool { return len(s.s.Acks()) == acks+1 })
	s.arrived(s.general, "before", "one")
	if n := s.h.Delivered(); n != delivered+1 {
		t.Errorf("delivered %d times because it came twice", n-delivered)
	}
}

func TestRedelivery(t *testing.T) {
	s := newStage(t, slacktest.Options{AckTimeout: 20 * time.Millisecond})
	s.s.Deaf(true)
	s.s.Say(s.general, s.ada, "three times")
	s.arrived(s.general, "three times")
	s.s.Repeat(3)
	s.s.Deaf(false)
	s.s.Say(s.general, s.ada, "doubled")
	s.s.Lose(1)
	s.s.Say(s.general, s.ada, "lost at first")
	s.arrived(s.general, "three times", "doubled", "lost at first")
	s.until("all acknowledgements", func() bool { return len(s.s.Acks()) >= 2 })
	if s.h.Repeated() != 0 {
		t.Errorf("%d events reached the host twice", s.h.Repeated())
	}
}

// TestRefresh: Slack renews connections all the time; the next one is there before the
// old one goes, and nothing is lost, doubled or asked for.
func TestRefresh(t *testing.T) {
	for _, reason := range []string{"warning", "refresh_requested"} {
		t.Run(reason, func(t *testing.T) {
			s := newStage(t, slacktest.Options{})
			asked := len(s.s.Calls("conversations.history"))
			var want []string
			say := func(n int) {
				for range n {
					want = append(want, fmt.Sprintf("%s %d", reason, len(want)))
					s.s.Say(s.general, s.ada, want[len(want)-1])
				}
			}
			for range 3 {
				_, _, before := s.s.Sockets()
				say(5)
				s.s.Hold() // Slack sends the rest over the new connection
				s.s.Disconnect(reason)
				say(5)
				s.until("another connection", func() bool { _, _, all := s.s.Sockets(); return all > before })
				s.s.Release(false)
				s.h.Await(t, "what was held", func() bool { return len(s.texts(s.general)) >= len(want) })
				s.s.CloseOld()
				say(5)
				s.until("one connection", func() bool { open, _, _ := s.s.Sockets(); return open == 1 })
			}
			s.h.Await(t, "all", func() bool { return len(s.texts(s.general)) >= len(want) })
			got := s.texts(s.general)
			slices.Sort(got) // over two connections the order is Slack's
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			if _, most, _ := s.s.Sockets(); most < 2 {
				t.Error("there was a moment without a connection")
			}
			if n := len(s.s.Calls("conversations.history")); n != asked {
				t.Errorf("%d questions for what was not missed", n-asked)
			}
		})
	}
}

// TestGap: what happened while there was no connection is read back.
func TestGap(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	bob := s.s.AddUser("bob", "Bob")
	var ts [6]string
	for i := range ts {
		ts[i] = s.s.Say(s.general, s.ada, fmt.Sprintf("before %d", i))
	}
	own := s.sent("ours")
	s.mark("last")
	s.stop() // nobody listens
	s.s.Edit(s.general, ts[0], "edited meanwhile")
	s.s.Delete(s.general, ts[1])
	s.s.React(s.general, ts[2], bob, "tada")
	s.s.React(s.general, ts[2], bob, "+1")
	reply := s.s.Reply(s.general, s.ada, ts[3], "in a thread")
	s.s.Say(s.general, s.ada, "meanwhile")
	s.s.SetTopic(s.general, s.ada, "another topic")
	s.s.Join(s.general, bob)
	s.s.Post(s.general, slacktest.Message{User: s.ada, Text: "both", Subtype: "thread_broadcast", ThreadTS: ts[3]})
	s.start()
	s.mark("after")
	want := []string{"before 0", "before 1", "before 2", "before 3", "before 4", "before 5", "last", "in a thread", "meanwhile", "both", "after"}
	s.arrived(s.general, want...)
	await(s, "the edit", func(e *sdk.Edit) bool {
		return e.Target.ID == sdk.RemoteMessageID(ts[0]) && e.Content.Body.Plain() == "edited meanwhile"
	})
	await(s, "the deletion", func(r *sdk.Retract) bool { return r.Target.ID == sdk.RemoteMessageID(ts[1]) })
	await(s, "the reactions", func(r *sdk.Reaction) bool {
		return r.Target.ID == sdk.RemoteMessageID(ts[2]) && r.Change == sdk.ReactionSet && len(r.Emoji) == 2 && r.Actor.User == sdk.RemoteUserID(bob+":"+slacktest.TeamID)
	})
	await(s, "the reply", func(m *sdk.Message) bool {
		return m.Message == sdk.RemoteMessageID(reply) && m.Content.Thread.Root.ID == sdk.RemoteMessageID(ts[3])
	})
	await(s, "the topic", func(r *sdk.RoomChanged) bool { return r.Topic != nil && *r.Topic == "another topic" })
	await(s, "bob", func(m *sdk.Membership) bool {
		return m.Change == sdk.MembershipJoin && m.Member.User == sdk.RemoteUserID(bob+":"+slacktest.TeamID)
	})
	for _, ev := range s.h.Events() {
		if r, ok := ev.(*sdk.Retract); ok && r.Target.ID != sdk.RemoteMessageID(ts[1]) || ok && r.Target.ID == own.ID {
			t.Errorf("%+v", ev)
		}
	}
}

func TestBigGap(t *testing.T) {
	s := bareStage(t, slacktest.Options{})
	s.conf["max_gap"] = 150
	s.start()
	s.mark("before")
	s.stop()
	for i := range 500 {
		s.s.Say(s.general, s.ada, fmt.Sprintf("missed %d", i))
	}
	s.start()
	gap := await(s, "the gap", func(g *sdk.Gap) bool { return g.Fillable && g.Portal.Room == key(s.general) })
	s.mark("after")
	got := s.texts(s.general)
	if len(got) < 150 || len(got) > 450 || got[len(got)-2] != "missed 499" || !gap.From.Before(gap.To) {
		t.Errorf("%d messages, gap from %v to %v", len(got), gap.From, gap.To)
	}
	// Nothing of it comes again.
	s.again()
	s.mark("later")
	if n := len(s.texts(s.general)); n != len(got)+1 {
		t.Errorf("%d, before it were %d", n, len(got))
	}
}

func TestOutOfOrder(t *testing.T) {
	s := newStage(t, slacktest.Options{})
	s.s.Hold()
	for i := range 5 {
		s.s.Say(s.general, s.ada, fmt.Sprint(i))
	}
	s.s.Release(true)
	s.arrived(s.general, "4", "3", "2", "1", "0")
	s.again()
	s.mark("after")
	s.arrived(s.general, "4", "3", "2", "1", "0", "after")
}

// TestSlackAway: a start while Slack is away is none the worse.
func TestSlackAway(t *testing.T) {
	s := bareStage(t, slacktest.Options{})
	s.s.Fail(slacktest.HTML("auth.test", 503, 1))
	s.s.Fail(slacktest.RateLimit("apps.connections.open", 1, 1))
	s.s.Fail(slacktest.Reset("link", 1))
	s.start()
	s.mark("hello")
	if l := s.h.Logins(); l[0].State != sdk.LoginTrouble || l[len(l)-1].State != sdk.LoginConnected {
		t.Errorf("%+v", l)
	}
}

func TestBadToken(t *testing.T) {
	s := bareStage(t, slacktest.Options{})
	s.s.Revoke()
	c := New(Options{})
	if err := c.Configure(t.Context(), sdk.Configuration{JSON: []byte(`{"bot_token":"xoxb-test","app_token":"xapp-test","api_url":"` + s.s.URL + `"}`)}); err != nil {
		t.Fatal(err)
	}
	if e := sdk.AsError(c.Start(t.Context(), s.h, sdk.Resume{First: true})); e == nil || e.Code != sdk.CodeBadCredentials {
		t.Fatal(e)
	}
	c.api.http.CloseIdleConnections()
}

// TestPosition: whatever order messages come in, none of the last ones is forgotten, none
// that came is lacking, and the cursor says the same.
func TestPosition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := slackid.TS("1712345678.000000")
		p := newPosition(start)
		var came []slackid.TS
		for range rapid.IntRange(0, 200).Draw(rt, "n") {
			ts := slackid.TS(fmt.Sprintf("17123456%02d.%06d", rapid.IntRange(78, 99).Draw(rt, "sec"), rapid.IntRange(1, 999).Draw(rt, "micro")))
			p.add(ts, rapid.Bool().Draw(rt, "reply"))
			came = append(came, ts)
			q, ok := parsePosition(p.cursor())
			if !ok || q.cursor() != p.cursor() || len(p.cursor()) > sdk.MaxCursor {
				rt.Fatalf("%q reads as %q", p.cursor(), q.cursor())
			}
		}
		for _, ts := range came {
			if p.lacks(ts) {
				rt.Fatalf("%s came, and is lacking in %s", ts, p.cursor())
			}
		}
		if next := slackid.TS("1712345700.000000"); !p.lacks(next) || p.has(next) {
			rt.Fatal("what never came is not lacking")
		}
	})
	for _, bad := range []sdk.Cursor{"", "x", "1 a b", "2 1712345678.000000 1712345678.000000", "1 1712345678.000000"} {
		if _, ok := parsePosition(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
