package muc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const coven = "coven@rooms.example.org"

// roomsInMemory counts the rooms of the table.
func (w *world) roomsInMemory() int {
	n := 0
	w.m.rooms.each(func(*actor) { n++ })
	return n
}

// A room at rest costs disk only: it is forgotten when nobody has been in it for the idle time, at once if it does not exist.
func TestRoomsAreForgotten(t *testing.T) {
	w := newWorld(t, Options{Idle: time.Minute})
	w.open(alice, "Alice", coven)
	if n := w.roomsInMemory(); n != 1 {
		t.Fatalf("%d rooms in memory with an occupant", n)
	}
	w.clock.advance(time.Hour)
	w.sync()
	if n := w.roomsInMemory(); n != 1 {
		t.Fatalf("%d rooms in memory with an idle occupant", n)
	}
	w.do(alice, "<presence to='"+coven+"/Alice' type='unavailable'/>")
	w.clock.advance(59 * time.Second)
	w.sync()
	if n := w.roomsInMemory(); n != 1 {
		t.Fatalf("%d rooms in memory before the idle time is over", n)
	}
	w.clock.advance(time.Second)
	w.sync()
	if n := w.roomsInMemory(); n != 0 {
		t.Fatalf("%d rooms in memory after the idle time", n)
	}
	w.do(bob, "<message to='nowhere@rooms.example.org' type='groupchat'><body>x</body></message>")
	if n := w.roomsInMemory(); n != 0 {
		t.Errorf("a room that does not exist stays in memory")
	}
	w.join(alice, coven, "Alice")
	if n := w.roomsInMemory(); n != 1 {
		t.Errorf("%d rooms in memory after coming back", n)
	}
}

// What could not be stored did not happen: its sender is told, the others see nothing, and the room goes on.
func TestStoreFails(t *testing.T) {
	for _, c := range []struct {
		name, send string
		heard      string
	}{
		{"message", "<message to='" + coven + "' type='groupchat' id='x'><body>x</body></message>", "message  error resource-constraint"},
		{"subject", "<message to='" + coven + "' type='groupchat' id='x'><subject>x</subject></message>", "message  error resource-constraint"},
		{"configuration", "<iq type='set' id='x' to='" + coven + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>x</value></field></x></query></iq>", "iq  error resource-constraint"},
		{"affiliation", "<iq type='set' id='x' to='" + coven + "'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='bob@example.org'/></query></iq>", "iq  error resource-constraint"},
		{"the end", "<iq type='set' id='x' to='" + coven + "'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>", "iq  error resource-constraint"},
		{"creation", "<presence to='new@rooms.example.org/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>", "presence Alice error resource-constraint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.open(alice, "Alice", coven, "muc#roomconfig_changesubject", "1")
			w.join(bob, coven, "Bob")
			full := w.breakStore(errors.New("disk full"))
			w.do(alice, c.send)
			w.wantHeard(alice, c.heard)
			w.wantHeard(bob)
			full.Store(false)
			w.do(bob, "<message to='"+coven+"' type='groupchat' id='y'><body>on</body></message>")
			w.wantHeard(alice, "message Bob groupchat on")
		})
	}
}

// Messages and what changes the room keep their order for every receiver, although messages wait for their commits together.
func TestOrder(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	w.join(bob, coven, "Bob")
	var want []string
	for i := range 20 {
		w.send(alice, fmt.Sprintf("<message to='%s' type='groupchat' id='m%d'><body>%d</body></message>", coven, i, i))
		want = append(want, fmt.Sprintf("message Alice groupchat %d", i))
		if i%5 == 4 {
			w.send(bob, fmt.Sprintf("<presence to='%s/Bob%d'/>", coven, i))
			old := "Bob"
			if i > 4 {
				old = fmt.Sprintf("Bob%d", i-5)
			}
			want = append(want, fmt.Sprintf("presence %s unavailable 303 now=Bob%d", old, i), fmt.Sprintf("presence Bob%d", i))
			w.send(alice, fmt.Sprintf("<message to='%s' type='groupchat' id='s%d'><subject>%d</subject></message>", coven, i, i))
			want = append(want, fmt.Sprintf("message Alice groupchat subject=%d", i))
		}
	}
	w.sync()
	w.wantHeard(alice, want...)
}

// A newcomer gets each message once: in the history if it was said before she came in, live otherwise.
func TestHistoryMeetsLive(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven, "muc#maxhistoryfetch", "200")
	for i := range 10 {
		w.send(alice, fmt.Sprintf("<message to='%s' type='groupchat' id='m%d'><body>%d</body></message>", coven, i, i))
		who := fmt.Sprintf("u%d@example.org/x", i)
		w.send(who, fmt.Sprintf("<presence to='%s/U%d'><x xmlns='http://jabber.org/protocol/muc'/></presence>", coven, i))
	}
	w.sync()
	for i := range 10 {
		var bodies []string
		for _, st := range w.take(fmt.Sprintf("u%d@example.org/x", i)) {
			if b := st.Body(); b != "" {
				bodies = append(bodies, b)
			}
		}
		if got := strings.Join(bodies, " "); got != "0 1 2 3 4 5 6 7 8 9" {
			t.Errorf("u%d received %s", i, got)
		}
	}
}

// Property: whoever is in the room with a session receives a message, once, and nobody else does.
func TestFanoutReachesOccupants(t *testing.T) {
	w := newWorld(t, Options{JoinsPerMinute: -1})
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		coven := fmt.Sprintf("coven%d@rooms.example.org", run)
		w.open("owner@example.org/x", "Owner", coven, "muc#roomconfig_whois", rapid.SampledFrom([]string{"anyone", "moderators"}).Draw(rt, "whois"))
		in := map[string]bool{"owner@example.org/x": true}
		people := []string{"a@example.org/1", "a@example.org/2", "b@example.org/1", "c@example.org/1", "d@example.net/1"}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			nick := jid.MustParse(who).Local()
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				w.join(who, coven, nick)
				in[who] = true
			case 2:
				w.do(who, "<presence to='"+coven+"/"+nick+"' type='unavailable'/>")
				delete(in, who)
			case 3:
				if in[who] {
					w.do(who, "<presence to='"+coven+"/"+nick+"'><show>away</show></presence>")
				}
			case 4:
				w.do("owner@example.org/x", "<iq type='set' id='k' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='"+nick+"' role='none'/></query></iq>")
				for p := range in {
					if jid.MustParse(p).Local() == nick {
						delete(in, p)
					}
				}
			}
		}
		w.forgetAll()
		w.do("owner@example.org/x", "<message to='"+coven+"' type='groupchat'><body>who is here</body></message>")
		for _, p := range append(people, "owner@example.org/x") {
			n := 0
			for _, st := range w.take(p) {
				if st.Body() != "" {
					n++
				}
			}
			if want := map[bool]int{true: 1, false: 0}[in[p]]; n != want {
				rt.Fatalf("%s received %d copies, want %d", p, n, want)
			}
		}
	})
}

// attacks: join flood: strangers who enter too fast are told to wait, those who belong are not; and a join costs its joiner one burst.
func TestJoinFlood(t *testing.T) {
	w := newWorld(t, Options{JoinsPerMinute: 50})
	w.open(alice, "Alice", coven)
	join := func(i int) []string {
		who := fmt.Sprintf("u%d@example.net/x", i)
		w.do(who, fmt.Sprintf("<presence to='%s/U%d'><x xmlns='http://jabber.org/protocol/muc'/></presence>", coven, i))
		return w.heard(who)
	}
	for i := range 50 {
		before := w.net.bursts
		if got := join(i); len(got) != i+3 {
			t.Fatalf("join %d: received %v", i, got)
		}
		if n := w.net.bursts - before; n != 1 {
			t.Fatalf("join %d came in %d bursts", i, n)
		}
	}
	if got := join(50); len(got) != 1 || got[0] != "presence U50 error resource-constraint" {
		t.Errorf("the 51st received %v", got)
	}
	w.do(alice, "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='u51@example.net'/></query></iq>")
	if got := join(51); len(got) != 53 {
		t.Errorf("a member received %d stanzas", len(got))
	}
	w.clock.advance(2 * time.Second)
	if got := join(52); len(got) != 54 {
		t.Errorf("after a while: %v", got)
	}
}

// attacks: amplification: what a join of the N-th occupant makes the server send grows with N and not faster.
func TestJoinCost(t *testing.T) {
	w := newWorld(t, Options{JoinsPerMinute: -1})
	w.open(alice, "Alice", coven)
	cost := func(i int) int {
		before := w.net.bytes
		who := fmt.Sprintf("user%04d@example.net/x", i)
		w.do(who, fmt.Sprintf("<presence to='%s/User%04d'><x xmlns='http://jabber.org/protocol/muc'/></presence>", coven, i))
		return w.net.bytes - before
	}
	var at [201]int
	for i := range at {
		at[i] = cost(i)
		w.forgetAll()
	}
	if at[200] > 2*at[100]+4096 || at[100] > 2*at[50]+4096 {
		t.Errorf("bytes of the join of number 50: %d, 100: %d, 200: %d", at[50], at[100], at[200])
	}
}

// attacks: MUC information leak: who may read which list, in each kind of room.
func TestListsByAffiliation(t *testing.T) {
	lists := []string{"affiliation='owner'", "affiliation='admin'", "affiliation='member'", "affiliation='outcast'",
		"role='moderator'", "role='participant'", "role='visitor'"}
	people := []string{"owner", "admin", "member", "none", "outcast", "stranger"}
	allowed := map[string]string{ // by room and person: the lists that are given, in the order above
		"moderators owner": "1111111", "moderators admin": "0011111", "moderators member": "0000000", "moderators none": "0000000",
		"moderators outcast": "0000000", "moderators stranger": "0000000",
		"anyone owner": "1111111", "anyone admin": "1111111", "anyone member": "1110000", "anyone none": "0000000",
		"anyone outcast": "0000000", "anyone stranger": "0000000",
	}
	for _, whois := range []string{"moderators", "anyone"} {
		w := newWorld(t, Options{})
		w.open("owner@example.org/x", "owner", coven, "muc#roomconfig_whois", whois)
		for _, p := range people[1:5] {
			if p == "outcast" {
				continue
			}
			w.join(p+"@example.org/x", coven, p)
		}
		w.do("owner@example.org/x", "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='admin' jid='admin@example.org'/><item affiliation='member' jid='member@example.org'/><item affiliation='outcast' jid='outcast@example.org'/></query></iq>")
		for _, p := range people {
			got := ""
			for _, l := range lists {
				who := p + "@example.org/x"
				w.forgetAll()
				w.do(who, "<iq type='get' id='q' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item "+l+"/></query></iq>")
				st := w.take(who)
				if len(st) != 1 {
					t.Fatalf("%s %s %s: %v", whois, p, l, st)
				}
				if st[0].Type == stanza.TypeResult {
					got += "1"
				} else {
					got += "0"
				}
			}
			if want := allowed[whois+" "+p]; got != want {
				t.Errorf("%s: %s may read %s, want %s", whois, p, got, want)
			}
		}
	}
}

// A handler that panics costs its sender an error and nobody else anything.
func TestHandlerPanics(t *testing.T) {
	w := newWorld(t, Options{})
	w.ev.OnPanic = func(string, string, any, []byte) {}
	w.open(alice, "Alice", coven)
	w.ev.MUC.Message.On(event.Guard, "bad", func(_ context.Context, m *event.RoomMessage) error {
		if m.Stanza.Body() == "boom" {
			panic("boom")
		}
		return nil
	})
	w.do(alice, "<message to='"+coven+"' type='groupchat' id='m1'><body>boom</body></message>")
	w.wantHeard(alice, "message  error internal-server-error")
	w.do(alice, "<message to='"+coven+"' type='groupchat' id='m2'><body>fine</body></message>")
	w.wantHeard(alice, "message Alice groupchat fine")
}

func TestWhoMayCreate(t *testing.T) {
	for _, c := range []struct {
		policy CreatePolicy
		who    string
		ok     bool
	}{
		{CreateLocal, alice, true}, {CreateLocal, "eve@example.net/x", false},
		{CreateAnyone, "eve@example.net/x", true}, {CreateNobody, alice, false},
	} {
		t.Run(string(c.policy)+" "+c.who, func(t *testing.T) {
			w := newWorld(t, Options{Create: c.policy})
			w.do(c.who, "<presence to='"+coven+"/N'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			got := w.heard(c.who)
			if c.ok != (len(got) == 2) || !c.ok && got[0] != "presence N error not-allowed" {
				t.Errorf("received %v", got)
			}
		})
	}
}

// The session index follows the rooms, so that the end of a session costs no search.
func TestSessionIndex(t *testing.T) {
	w := newWorld(t, Options{})
	full := jid.MustParse(alice)
	for i := range 3 {
		w.join(alice, fmt.Sprintf("r%d@rooms.example.org", i), "Alice")
	}
	if n := len(w.m.joined.of(full)); n != 3 {
		t.Fatalf("in %d rooms", n)
	}
	_ = w.ev.C2S.Closed.Fire(context.Background(), &event.SessionClosed{Info: event.SessionInfo{JID: full}})
	w.sync()
	if n := len(w.m.joined.of(full)); n != 0 {
		t.Errorf("in %d rooms after the end", n)
	}
	if n := w.roomsInMemory(); n != 0 {
		t.Errorf("%d temporary rooms are left", n)
	}
	rows, err := w.store.Rooms().List(context.Background(), "rooms.example.org", false, storage.Page{})
	if err != nil || len(rows) != 0 {
		t.Errorf("stored rooms: %v %v", rows, err)
	}
}

// Without an archive nothing is written, and who enters gets the history as long as the room is in use.
func TestNoArchive(t *testing.T) {
	w := newWorld(t, Options{NoArchive: true})
	w.open(alice, "Alice", coven)
	w.do(alice, "<message to='"+coven+"' type='groupchat' id='m1'><body>one</body></message>")
	w.wantHeard(alice, "message Alice groupchat one")
	w.do(bob, "<presence to='"+coven+"/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	w.wantHeard(bob, "presence Alice", "presence Bob 110 170", "message Alice groupchat one", "message  groupchat subject=")
	n, err := w.store.Messages().Count(context.Background(), storage.Room, coven, 0)
	if err != nil || n != 0 {
		t.Errorf("%d messages are stored, %v", n, err)
	}
}

// attacks: presence flood: what an occupant shows is bounded, because it is kept and sent to everybody who comes.
func TestPresenceIsBounded(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	big := strings.Repeat("x", maxShow)
	for _, c := range []struct{ sent, shown string }{
		{"<show>away</show><a xmlns='urn:example:a'>small</a>", "<show>away</show><a xmlns='urn:example:a'>small</a>"},
		{"<show>away</show><status>here</status><a xmlns='urn:example:a'>" + big + "</a>", "<show>away</show><status>here</status>"},
		{"<show>away</show><status>" + big + "</status>", "<show>away</show>"},
	} {
		w.do(alice, "<presence to='"+coven+"/Alice'>"+c.sent+"</presence>")
		got := w.take(alice)
		if len(got) != 1 || !strings.HasPrefix(got[0].Payload.String(), c.shown+"<occupant-id") {
			t.Errorf("sent %.60s, shown %v", c.sent, got)
		}
	}
}

// Whoever leaves says whether she meant the room or her whole session ended: a gateway treats them differently.
func TestLeftTellsHow(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world)
		gone bool
	}{
		{"she leaves", func(w *world) { w.do(alice, "<presence to='"+coven+"/Alice' type='unavailable'/>") }, false},
		{"she goes offline", func(w *world) {
			w.net.sessions[jid.MustParse(alice)] = event.SessionInfo{JID: jid.MustParse(alice)}
			w.do(alice, "<presence to='"+coven+"/Alice' type='unavailable'/>")
		}, true},
		{"her server says it for her", func(w *world) {
			w.net.missing = map[jid.JID]bool{jid.MustParse(alice): true}
			w.do(alice, "<presence to='"+coven+"/Alice' type='unavailable'/>")
		}, true},
		{"nobody says it", func(w *world) {
			_ = w.ev.C2S.Closed.Fire(context.Background(), &event.SessionClosed{Info: event.SessionInfo{JID: jid.MustParse(alice)}})
			w.sync()
		}, true},
		{"a message does not reach her", func(w *world) {
			w.net.missing = map[jid.JID]bool{jid.MustParse(alice): true}
			w.do(bob, "<message to='"+coven+"' type='groupchat' id='m'><body>x</body></message>")
			w.sync()
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			var got []string
			w.ev.MUC.Left.On(event.After, "test", func(_ context.Context, v *event.RoomLeft) error {
				got = append(got, fmt.Sprintf("%s gone=%v last=%v", v.Occupant.Nick, v.Gone, v.Last))
				return nil
			})
			w.open("owner@example.org/x", "Owner", coven)
			w.join(alice, coven, "Alice")
			w.join(bob, coven, "Bob")
			c.do(w)
			w.sync()
			if want := fmt.Sprintf("Alice gone=%v last=true", c.gone); len(got) != 1 || got[0] != want {
				t.Errorf("%v, want %s", got, want)
			}
		})
	}
}

// attacks row 27: one session does not enter, and does not make, rooms without end.
func TestRoomsOfOneSession(t *testing.T) {
	w := newWorld(t, Options{})
	enter := func(i int) []string {
		w.do(alice, fmt.Sprintf("<presence to='r%d@rooms.example.org/A'><x xmlns='http://jabber.org/protocol/muc'/></presence>", i))
		return w.heard(alice)
	}
	for i := range maxRooms - 1 {
		w.m.joined.add(jid.MustParse(alice), jid.MustParse(fmt.Sprintf("other%d@rooms.example.org", i)))
	}
	if got := enter(0); len(got) < 2 {
		t.Fatalf("the last room: %v", got)
	}
	if got := enter(maxRooms); len(got) != 1 || got[0] != "presence A error resource-constraint" {
		t.Errorf("one room too many: %v", got)
	}
	w.do(alice, "<presence to='r0@rooms.example.org/A' type='unavailable'/>")
	w.heard(alice)
	if got := enter(maxRooms); len(got) < 2 {
		t.Errorf("after leaving one: %v", got)
	}
}
