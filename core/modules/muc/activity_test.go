package muc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// XEP-0502 §4, §5.
func TestActivity(t *testing.T) {
	w := newWorld(t, Options{})
	w.open("alice@example.org/desk", "Alice", coven, "muc#roomconfig_publicroom", "1")
	w.join("bob@example.org/phone", coven, "Bob")
	rate := func() string {
		info, ok, err := discoSource{w.m}.DiscoInfo(context.Background(), jid.MustParse("bob@example.org/phone"), jid.MustParse(coven), "")
		if err != nil || !ok || len(info.Forms) != 1 {
			t.Fatalf("disco: %v %v %d forms", ok, err, len(info.Forms))
		}
		f, err := form.Parse(info.Forms[0])
		if err != nil {
			t.Fatal(err)
		}
		return f.Value("{urn:xmpp:muc-activity}message-activity")
	}
	say := func(n int, inner string) {
		for range n {
			w.do("bob@example.org/phone", "<message to='"+coven+"' type='groupchat'>"+inner+"</message>")
		}
		w.forgetAll()
	}
	if r := rate(); r != "" {
		t.Errorf("nothing is known yet: %q", r)
	}
	say(20, "<body>x</body>")
	say(3, "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
	say(2, "<body>y</body><replace xmlns='urn:xmpp:message-correct:0' id='z'/>")
	if r := rate(); r != "" {
		t.Errorf("the hour that runs does not count: %q", r)
	}
	w.clock.advance(time.Hour)
	if r := rate(); r != "20.00" {
		t.Errorf("after an hour: %q", r)
	}
	w.clock.advance(time.Hour)
	say(1, "<body>x</body>") // the first of an hour stores the register
	if r := rate(); r != "10.00" {
		t.Errorf("after two: %q", r)
	}
	w.stop()
	w.start()
	if r := rate(); r != "10.00" {
		t.Errorf("after a restart: %q", r)
	}
	w.clock.advance(30 * time.Hour)
	if r := rate(); r != "0.00" {
		t.Errorf("a day later: %q", r)
	}
	w.join("alice@example.org/desk", coven, "Alice")
	w.configure("alice@example.org/desk", coven, "muc#roomconfig_membersonly", "1")
	if r := rate(); r != "" {
		t.Errorf("a members-only room: %q", r)
	}
}

// XEP-0500 §6, §9: who waits, for how long, and that a repetition is no second message.
func TestSlowMode(t *testing.T) {
	const bob, bob2 = "bob@example.org/phone", "bob@example.org/desk"
	w := newWorld(t, Options{})
	w.open("alice@example.org/desk", "Alice", coven, "muc#roomconfig_slow_mode_duration", "20")
	w.join(bob, coven, "Bob")
	w.join(bob2, coven, "Bobby")
	say := func(who, id string) string {
		w.forgetAll()
		w.do(who, "<message to='"+coven+"' type='groupchat' id='"+id+"'><body>"+id+"</body></message>")
		got := w.take(who)
		if len(got) == 0 {
			return "nothing"
		}
		if e := got[0].ErrorFrom(); e != nil {
			return e.Type + " " + string(e.Condition)
		}
		return "said"
	}
	for i, c := range []struct {
		who, id string
		after   time.Duration
		want    string
	}{
		{bob, "1", 0, "said"},
		{bob, "1", 0, "nothing"}, // a repetition: stored once, told once
		{bob, "2", 0, "wait policy-violation"},
		{bob2, "3", 0, "wait policy-violation"},
		{bob2, "4", 19 * time.Second, "wait policy-violation"},
		{bob2, "5", time.Second, "said"},
		{bob, "6", 0, "wait policy-violation"},
		{"alice@example.org/desk", "7", 0, "said"},
		{"alice@example.org/desk", "8", 0, "said"},
	} {
		w.clock.advance(c.after)
		if got := say(c.who, c.id); got != c.want {
			t.Errorf("%d: %s says %s: %s, want %s", i, c.who, c.id, got, c.want)
		}
	}
	if strings.Contains(w.logs.String(), "level=ERROR") {
		t.Error(w.logs.String())
	}
}

// Whoever gives all her messages the same id waits all the same, and so does who repeats what is not stored, which is shown each time.
func TestSlowModeSameID(t *testing.T) {
	const bob = "bob@example.org/phone"
	w := newWorld(t, Options{})
	w.open("alice@example.org/desk", "Alice", coven, "muc#roomconfig_slow_mode_duration", "20")
	w.join(bob, coven, "Bob")
	for _, c := range []struct{ name, first, second string }{
		{"another text", "<body>one</body>", "<body>two</body>"},
		{"not stored", "<body>three</body><no-store xmlns='urn:xmpp:hints'/>", "<body>three</body><no-store xmlns='urn:xmpp:hints'/>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.clock.advance(time.Minute)
			w.forgetAll()
			w.do(bob, "<message to='"+coven+"' type='groupchat' id='same'>"+c.first+"</message>")
			w.do(bob, "<message to='"+coven+"' type='groupchat' id='same'>"+c.second+"</message>")
			got := w.take(bob)
			if len(got) != 2 || got[0].ErrorFrom() != nil || got[1].ErrorFrom() == nil || got[1].ErrorFrom().Condition != stanza.PolicyViolation {
				t.Errorf("Bob is told %v", got)
			}
		})
	}
}
