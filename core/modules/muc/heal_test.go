package muc

import (
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// questions are the requests of the room that somebody has received and not answered.
func (w *world) questions(who string) (ids, asked []string) {
	for _, st := range w.take(who) {
		if q, ok := st.Query(); ok && st.IsRequest() {
			ids, asked = append(ids, st.ID), append(asked, q.Name().Space)
		}
	}
	return ids, asked
}

// pass lets time go by in the steps of the room's timer.
func (w *world) pass(d time.Duration) {
	for ; d > 0; d -= pulseEvery {
		w.clock.advance(min(d, pulseEvery))
		w.sync()
	}
}

func (w *world) fails(who, id, condition string) {
	w.t.Helper()
	w.do(who, fmt.Sprintf("<iq type='error' id='%s' to='%s'><error type='cancel'><%s xmlns='%s'/></error></iq>", id, coven, condition, ns.Stanzas))
}

// XEP-0045 §18.1.2, §11.1: what an answer, an error or no answer says about an occupant of another server.
func TestGhostsAreFound(t *testing.T) {
	const remote = "ghost@example.net/x"
	for _, c := range []struct {
		name    string
		answers []string // error conditions, "" for a result
		asked   string
		gone    bool
	}{
		{"answers", []string{""}, ns.Ping, false},
		{"has gone", []string{"gone"}, ns.Ping, true},
		{"is not there", []string{"item-not-found"}, ns.Ping, true},
		{"recipient unavailable", []string{"recipient-unavailable"}, ns.Ping, true},
		{"an error of her own", []string{"feature-not-implemented"}, ns.Ping, false},
		{"knows no ping", []string{"service-unavailable", ""}, ns.Ping + " " + ns.DiscoInfo, false},
		{"knows nothing at all", []string{"service-unavailable", "service-unavailable"}, ns.Ping + " " + ns.DiscoInfo, true},
		{"server is not there", []string{"remote-server-not-found"}, ns.Ping, true},
		{"sleeps", []string{"remote-server-timeout"}, ns.Ping, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(alice, "Alice", coven)
			w.join(remote, coven, "Ghost")
			w.pass(14 * time.Minute)
			if ids, _ := w.questions(remote); len(ids) > 0 {
				t.Fatalf("asked after less than the time of silence: %v", ids)
			}
			w.pass(5 * time.Minute)
			asked := ""
			for _, answer := range c.answers {
				ids, spaces := w.questions(remote)
				if len(ids) != 1 {
					t.Fatalf("%d questions", len(ids))
				}
				if asked += spaces[0]; len(c.answers) > 1 && asked == ns.Ping {
					asked += " "
				}
				if answer == "" {
					w.do(remote, fmt.Sprintf("<iq type='result' id='%s' to='%s'/>", ids[0], coven))
				} else {
					w.fails(remote, ids[0], answer)
				}
			}
			if asked != c.asked {
				t.Errorf("asked %s, want %s", asked, c.asked)
			}
			left := false
			for _, st := range w.take(alice) {
				left = left || st.Type == stanza.TypeUnavailable && hasStatus(st, "333")
			}
			if left != c.gone {
				t.Errorf("gone: %v, want %v", left, c.gone)
			}
		})
	}
}

func hasStatus(st *stanza.Stanza, code string) bool {
	c, ok := st.Child(ns.MUCUser, "x")
	if !ok {
		return false
	}
	for n := range c.Node().Children(ns.MUCUser, "status") {
		if n.Attr("code") == code {
			return true
		}
	}
	return false
}

// A client that does not answer is not gone at once, and whoever speaks is not asked.
func TestSleepersStay(t *testing.T) {
	const sleeper, talker = "sleeper@example.net/x", "talker@example.net/x"
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	w.join(sleeper, coven, "Sleeper")
	w.join(talker, coven, "Talker")
	missed := 0
	for range 24 { // two hours
		w.pass(pulseEvery)
		w.do(talker, "<message to='"+coven+"' type='groupchat'><body>x</body></message>")
		ids, _ := w.questions(sleeper)
		for _, id := range ids {
			missed++
			w.fails(sleeper, id, "remote-server-timeout")
		}
		if ids, _ := w.questions(talker); len(ids) > 0 {
			t.Fatal("who speaks was asked")
		}
	}
	if missed != maxMissed {
		t.Errorf("taken out after %d questions, want %d", missed, maxMissed)
	}
}

// A server that cannot be reached takes all of its people out of the room, a few at a time; those of this server are never asked.
func TestDeadServer(t *testing.T) {
	const people = 90
	w := newWorld(t, Options{JoinsPerMinute: -1})
	w.open(alice, "Alice", coven)
	who := func(i int) string { return fmt.Sprintf("u%d@dead.example/x", i) }
	for i := range people {
		w.join(who(i), coven, fmt.Sprintf("U%d", i))
	}
	w.join("other@example.net/x", coven, "Other")
	w.pass(15 * time.Minute)
	for round := 0; ; round++ {
		asked := 0
		var ids [people]string
		for i := range people {
			if q, _ := w.questions(who(i)); len(q) > 0 {
				ids[i] = q[0]
				asked++
			}
		}
		if asked > maxPinging {
			t.Fatalf("%d questions at once", asked)
		}
		if asked == 0 {
			break
		}
		for i, id := range ids {
			if id != "" {
				w.fails(who(i), id, "remote-server-not-found")
			}
		}
		if round > people {
			t.Fatal("it does not end")
		}
	}
	if got := w.m.Occupants(t.Context(), mustRoom()); len(got) != 2 {
		t.Errorf("still there: %v", got)
	}
	if n := w.m.asking.Load(); n > 1 { // the one of the other server
		t.Errorf("%d questions are counted as open", n)
	}
}

// Whoever has blocked an occupant is not put out by what he writes to her: with service-unavailable answers her server for her (XEP-0191 §3.2), so the
// room asks. Of this server it is known who is there.
func TestBlockersStay(t *testing.T) {
	const remote, local, mallory = "carol@example.net/x", "carol@example.org/x", "mallory@example.org/x"
	for _, c := range []struct {
		name, who, answer string
		asked             int
		gone              bool
	}{
		{"of this server", local, "", 0, false},
		{"blocks", remote, "", 1, false},
		{"is not there", remote, "item-not-found", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(alice, "Alice", coven)
			w.join(mallory, coven, "Mallory")
			w.join(c.who, coven, "Carol")
			w.forgetAll()
			for range 2 { // once more while she is being asked
				w.do(c.who, "<message type='error' id='m' to='"+coven+"/Mallory'><error type='cancel'><service-unavailable xmlns='"+ns.Stanzas+"'/></error></message>")
			}
			ids, _ := w.questions(c.who)
			if len(ids) != c.asked {
				t.Fatalf("she is asked %d times", len(ids))
			}
			for _, id := range ids {
				if c.answer == "" {
					w.do(c.who, fmt.Sprintf("<iq type='result' id='%s' to='%s'/>", id, coven))
				} else {
					w.fails(c.who, id, c.answer)
				}
			}
			left := false
			for _, st := range w.take(alice) {
				left = left || st.Type == stanza.TypeUnavailable
			}
			if left != c.gone {
				t.Errorf("gone: %t", left)
			}
		})
	}
}
