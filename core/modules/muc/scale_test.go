package muc

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// tally counts what a network delivers, instead of keeping it.
type tally struct {
	mu sync.Mutex
	by map[jid.JID]map[string]int // receiver -> kind -> number
}

// kindOf is what a stanza is to somebody in the room.
func kindOf(st *stanza.Stanza) string {
	switch {
	case st.Kind != stanza.Presence:
		if _, ok := st.Child(ns.Client, "subject"); ok {
			return "subject"
		}
		return st.Kind.String()
	case strings.Contains(st.Payload.String(), "<status code='110'/>"):
		return "self" + st.Type
	}
	return "presence" + st.Type
}

func (y *tally) count(st *stanza.Stanza, to jid.JID) {
	k := kindOf(st)
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.by[to] == nil {
		y.by[to] = map[string]int{}
	}
	y.by[to][k]++
}

// take returns how many of each kind everybody has got, and how many people have got something, and begins anew.
func (y *tally) take() (total map[string]int, people int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	total = map[string]int{}
	for _, kinds := range y.by {
		for k, n := range kinds {
			total[k] += n
		}
	}
	people = len(y.by)
	y.by = map[jid.JID]map[string]int{}
	return total, people
}

func visitor(i int) string { return fmt.Sprintf("u%05d@example.org/x", i) }

// enterAll lets visitors in, one after the other.
func (w *world) enterAll(from, to int) {
	template := parseStanza(w.t, "<presence to='"+coven+"/N'><x xmlns='http://jabber.org/protocol/muc'><history maxchars='0'/></x></presence>")
	for i := from; i < to; i++ {
		st := template.Copy()
		st.From = jid.MustParse(visitor(i))
		st.To = jid.MustParse(fmt.Sprintf("%s/U%05d", coven, i))
		w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), st)
	}
	w.sync()
}

// A room of 10,000 silent visitors whose presence is not broadcast: each gets what she needs and no more.
func TestTenThousandVisitors(t *testing.T) {
	const n = 10_000
	w := newWorld(t, Options{JoinsPerMinute: -1})
	w.open(alice, "Alice", coven, "muc#roomconfig_moderatedroom", "1", "muc#roomconfig_presencebroadcast", "moderator")
	w.join(bob, coven, "Bob")
	w.affiliate(alice, "bob@example.org", "member")
	y := &tally{by: map[jid.JID]map[string]int{}}
	w.net.tally, w.net.mute = y, true
	check := func(what string, wantPeople int, want map[string]int) {
		t.Helper()
		total, people := y.take()
		if fmt.Sprint(total) != fmt.Sprint(want) || people != wantPeople {
			t.Errorf("%s: %v to %d people, want %v to %d", what, total, people, want, wantPeople)
		}
	}
	w.enterAll(0, n-1)
	// Each visitor: the one moderator, herself, the subject. The moderator: each visitor. Bob, a participant: nothing.
	check("entering", n, map[string]int{"presence": 2 * (n - 1), "self": n - 1, "subject": n - 1})
	if w.net.bursts != n+1 { // and Alice and Bob, but for one of them who was there already
		t.Errorf("%d bursts for %d who entered", w.net.bursts, n-1)
	}
	w.enterAll(n-1, n)
	check("one more", 2, map[string]int{"presence": 2, "self": 1, "subject": 1})
	w.do(visitor(7), "<presence to='"+coven+"/U00007'><show>away</show></presence>")
	check("a visitor is away", 2, map[string]int{"presence": 1, "self": 1})
	w.do(bob, "<presence to='"+coven+"/Bob'><show>away</show></presence>")
	check("a participant is away", 2, map[string]int{"presence": 1, "self": 1})
	w.do(alice, "<message to='"+coven+"' type='groupchat' id='m'><body>hello</body></message>")
	check("a message", n+2, map[string]int{"message": n + 2})
	w.do(visitor(9), "<message to='"+coven+"' type='groupchat' id='m'><body>hello</body></message>")
	check("a message without voice", 1, map[string]int{"message": 1})
	w.do(visitor(8), "<presence type='unavailable' to='"+coven+"/U00008'/>")
	check("a visitor leaves", 2, map[string]int{"presenceunavailable": 1, "selfunavailable": 1})
	w.do(alice, "<presence to='"+coven+"/Alice'><show>dnd</show></presence>")
	check("the moderator is busy", n+1, map[string]int{"presence": n, "self": 1})
	w.do(alice, "<iq type='set' id='v' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='U00007' role='participant'/></query></iq>")
	check("voice for one", 2, map[string]int{"iq": 1, "presence": 1, "self": 1})
}

// A crowd that is put out of sight, or comes into it, is shown little by little: no more than a batch a second.
func TestCrowdIsShownLittleByLittle(t *testing.T) {
	const n = 500
	w := newWorld(t, Options{JoinsPerMinute: -1})
	w.open(alice, "Alice", coven, "muc#roomconfig_moderatedroom", "1", "muc#roomconfig_presencebroadcast", "moderator")
	y := &tally{by: map[jid.JID]map[string]int{}}
	w.net.tally, w.net.mute = y, true
	w.enterAll(0, n)
	y.take()
	w.net.mute = false
	w.do(alice, "<iq type='set' id='cfg' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_presencebroadcast'><value>moderator</value><value>visitor</value></field></x></query></iq>")
	w.net.mute = true
	y.take()
	for i := range n / slowBatch {
		w.clock.advance(slowEvery)
		w.sync()
		total, _ := y.take()
		if want := slowBatch * n; total["presence"] != want { // each of a batch to everybody but herself and the moderator, who has seen her all along
			t.Errorf("second %d: %v, want %d", i, total, want)
		}
	}
}

// Rooms at rest cost disk: nothing of them stays in memory.
func TestRoomsAtRest(t *testing.T) {
	const n = 20_000
	w := newWorld(t, Options{PerAccount: -1})
	ctx := context.Background()
	w.net.mute = true
	make := func(from, to int) {
		var wait sync.WaitGroup
		next := from
		var mu sync.Mutex
		for range 64 { // so that many share a commit
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					mu.Lock()
					i := next
					next++
					mu.Unlock()
					if i >= to {
						return
					}
					if err := w.m.Create(ctx, jid.MustParse(fmt.Sprintf("r%05d@rooms.example.org", i)), "Room", jid.MustParse("alice@example.org")); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		wait.Wait()
	}
	rest := func() {
		w.sync()
		w.clock.advance(2 * w.m.o.Idle)
		w.sync()
		if left := w.roomsInMemory(); left != 0 {
			t.Fatalf("%d rooms are in memory", left)
		}
	}
	heap := func() int64 { // what is left when pools and finalisers have let go
		var s runtime.MemStats
		for last := uint64(1 << 62); ; last = s.HeapAlloc {
			runtime.GC()
			if runtime.ReadMemStats(&s); s.HeapAlloc+(16<<10) > last {
				return int64(s.HeapAlloc)
			}
		}
	}
	make(0, 2000) // caches are filled
	rest()
	before := heap()
	make(2000, n)
	rest()
	if per := (heap() - before) / (n - 2000); per > 256 { // a room in memory has some kilobytes; what is below comes and goes with buffers
		t.Errorf("%d bytes of each room stay in memory", per)
	}
	if n := w.clock.timersLeft(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	// One of them is woken, serves, and rests again.
	w.net.mute = false
	if got := w.ask(bob, "<presence to='r12345@rooms.example.org/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"); kindOf(got) != "self" {
		t.Errorf("entering a room that was at rest: %s", got)
	}
	w.do(bob, "<presence type='unavailable' to='r12345@rooms.example.org/Bob'/>")
	rest()
}
