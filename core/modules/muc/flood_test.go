package muc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

func mustRoom() jid.JID { return jid.MustParse(coven) }

// attacks row 27: changes of presence beyond the rate are shown later, the last one only; what the sender sees of herself comes at once.
func TestPresenceFlood(t *testing.T) {
	w := newWorld(t, Options{Shows: room.Rate{Size: 3, Every: 2 * time.Second}})
	w.open(alice, "Alice", coven)
	w.join(bob, coven, "Bob")
	for i := range 10 {
		w.do(bob, fmt.Sprintf("<presence to='%s/Bob'><status>%d</status></presence>", coven, i))
	}
	if n := len(w.take(bob)); n != 10 {
		t.Errorf("bob has seen %d of his own changes", n)
	}
	if n := len(w.take(alice)); n != 3 {
		t.Errorf("alice has seen %d changes, want 3", n)
	}
	w.clock.advance(2 * time.Second)
	w.sync()
	got := w.take(alice)
	if len(got) != 1 || !strings.Contains(got[0].String(), "<status>9</status>") {
		t.Errorf("later alice has seen %v", got)
	}
	// Who enters sees what is shown now, and who has left is shown no more.
	for i := range 5 {
		w.do(bob, fmt.Sprintf("<presence to='%s/Bob'><status>a%d</status></presence>", coven, i))
	}
	w.do(bob, "<presence to='"+coven+"/Bob' type='unavailable'/>")
	w.forgetAll()
	w.clock.advance(time.Minute)
	w.sync()
	if got := w.take(alice); len(got) != 0 {
		t.Errorf("after she has left: %v", got)
	}
}

// attacks row 27: entering and leaving again and again is told everybody, so it has a bound; who is not forgotten is who came lately.
func TestComingAndGoing(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	in := "<presence to='" + coven + "/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
	out := "<presence to='" + coven + "/Bob' type='unavailable'/>"
	for range comingRate.Size {
		w.do(bob, in)
		w.do(bob, out)
	}
	w.forgetAll()
	w.do(bob, in)
	w.wantHeard(bob, "presence Bob error resource-constraint")
	w.clock.advance(comingRate.Every)
	w.do(bob, in)
	if got := w.heard(bob); len(got) != 3 {
		t.Errorf("after a while: %v", got)
	}
}

// attacks row 27: who is in the room and enters again gets everything again, which has the same bound.
func TestEnteringAgain(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	in := "<presence to='" + coven + "/Bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
	for range comingRate.Size {
		w.do(bob, in)
	}
	w.forgetAll()
	w.do(bob, in)
	if got := w.take(bob); len(got) != 1 || got[0].ErrorFrom() == nil || got[0].ErrorFrom().Condition != stanza.ResourceConstraint {
		t.Errorf("bob is told %v", got)
	}
	if got := w.take(alice); len(got) != 0 {
		t.Errorf("alice is told %v", got)
	}
	w.clock.advance(comingRate.Every)
	w.forgetAll()
	w.do(bob, in)
	if got := w.take(bob); len(got) < 2 || got[0].ErrorFrom() != nil {
		t.Errorf("later bob is told %v", got)
	}
}

func TestNickFlood(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven)
	w.join(bob, coven, "Bob")
	for i := range 5 {
		w.do(bob, fmt.Sprintf("<presence to='%s/Bob%d'/>", coven, i))
	}
	w.forgetAll()
	w.do(bob, "<presence to='"+coven+"/Bob5'/>")
	w.wantHeard(bob, "presence Bob5 error resource-constraint")
	w.clock.advance(10 * time.Second)
	w.do(bob, "<presence to='"+coven+"/Bob6'/>")
	if got := w.take(bob); len(got) != 2 || got[1].From.Resource() != "Bob6" {
		t.Errorf("after a while: %v", got)
	}
}

// attacks row 27: a room of silent visitors whose presence is not broadcast: the join of the last costs no more than that of the first, and
// nobody but the moderators is told of it.
func TestSilentCrowd(t *testing.T) {
	const people = 1500
	w := newWorld(t, Options{JoinsPerMinute: -1})
	w.open(alice, "Alice", coven, "muc#roomconfig_moderatedroom", "1")
	w.do(alice, "<iq type='set' id='c' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='muc#roomconfig_presencebroadcast'><value>moderator</value><value>participant</value></field></x></query></iq>")
	w.forgetAll()
	w.net.mute = true
	cost := func(i int) int {
		before := w.net.bytes
		st := parseStanza(t, fmt.Sprintf("<presence to='%s/User%04d'><x xmlns='http://jabber.org/protocol/muc'><history maxchars='0'/></x></presence>", coven, i))
		st.From = jid.MustParse(fmt.Sprintf("user%04d@example.org/desk", i))
		w.net.Route(context.Background(), journal.NewUnit(journal.Lane{}), st)
		w.sync()
		return w.net.bytes - before
	}
	first := cost(0)
	last := 0
	for i := 1; i < people; i++ {
		last = cost(i)
	}
	if last > first+64 {
		t.Errorf("the first join cost %d bytes, the last %d", first, last)
	}
	// A change of what is shown is shown little by little.
	w.net.mute = false
	w.do(alice, "<iq type='set' id='c' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>"+
		"<field var='muc#roomconfig_presencebroadcast'><value>moderator</value><value>participant</value><value>visitor</value></field></x></query></iq>")
	seen := func() (n int) {
		for _, st := range w.take("user0000@example.org/desk") {
			if st.Kind == stanza.Presence {
				n++
			}
		}
		w.forgetAll()
		return n
	}
	total := 0
	for range 2 + people/slowBatch {
		w.clock.advance(slowEvery)
		w.sync()
		n := seen()
		if n > slowBatch {
			t.Fatalf("%d presences at once", n)
		}
		total += n
	}
	if total != people-1 {
		t.Errorf("user 0 was shown %d others, want %d", total, people-1)
	}
}

// XEP-0045 §5.1: in a moderated room voice that was given or taken outlives the visit, and the server.
func TestVoiceIsKept(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven, "muc#roomconfig_moderatedroom", "1")
	roleOf := func(nick string) (role string) {
		w.do(alice, "<iq type='get' id='l' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item role='participant'/></query></iq>")
		for _, st := range w.take(alice) {
			if strings.Contains(st.String(), "nick='"+nick+"'") {
				return "participant"
			}
		}
		return "other"
	}
	w.join(bob, coven, "Bob")
	w.do(alice, "<iq type='set' id='v' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob' role='participant'/></query></iq>")
	w.stop()
	w.start()
	w.join(alice, coven, "Alice")
	w.join(bob, coven, "Bob")
	if got := roleOf("Bob"); got != "participant" {
		t.Errorf("after a restart: %s", got)
	}
	// A change of her affiliation decides anew.
	for _, af := range []string{"member", "none"} {
		w.do(alice, "<iq type='set' id='a' to='"+coven+"'><query xmlns='http://jabber.org/protocol/muc#admin'><item jid='bob@example.org' affiliation='"+af+"'/></query></iq>")
	}
	w.do(bob, "<presence to='"+coven+"/Bob' type='unavailable'/>")
	w.stop()
	w.start()
	w.join(alice, coven, "Alice")
	w.join(bob, coven, "Bob")
	if got := roleOf("Bob"); got != "other" {
		t.Errorf("after her membership: %s", got)
	}
}

// XEP-0045 §10.1.1, §14.6: a room that is not configured in time is no more, and its owner is told.
func TestUnconfiguredRoom(t *testing.T) {
	w := newWorld(t, Options{Unconfigured: time.Hour})
	w.join(alice, coven, "Alice")
	w.clock.advance(59 * time.Minute)
	w.sync()
	w.wantHeard(alice)
	w.clock.advance(time.Minute)
	w.sync()
	got := w.take(alice)
	if len(got) != 1 || got[0].Type != stanza.TypeUnavailable || !strings.Contains(got[0].String(), "<destroy") {
		t.Errorf("after an hour: %v", got)
	}
	// One that was configured stays.
	w.open(alice, "Alice", coven)
	w.clock.advance(2 * time.Hour)
	w.sync()
	w.wantHeard(alice)
}

// XEP-0045 §7.10: requests for membership are bounded, and so is how often admins are told of them.
func TestRequestsAreBounded(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven, "muc#roomconfig_membersonly", "1")
	ask := func(i int) string {
		who := fmt.Sprintf("u%d@example.net/x", i)
		w.do(who, fmt.Sprintf("<iq type='set' id='r' to='%s'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"+
			"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'><value>U%d</value></field></x></query></iq>", coven, i))
		return strings.Join(w.heard(who), " ")
	}
	for i := range maxRequests {
		if got := ask(i); got != "iq  result" {
			t.Fatalf("request %d: %s", i, got)
		}
	}
	if got := ask(maxRequests); got != "iq  error resource-constraint" {
		t.Errorf("one too many: %s", got)
	}
	if n := len(w.take(alice)); n != toldRate.Size {
		t.Errorf("alice was told of %d", n)
	}
	w.do(alice, "<presence to='"+coven+"/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	if n := len(w.take(alice)); n != maxAsked+2 {
		t.Errorf("on entering she gets %d stanzas", n)
	}
}
