package muc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/slowmode"
)

// says lets somebody speak and tells what becomes of it: "" or the condition of an error.
func (w *world) says(who, id string) string {
	w.t.Helper()
	st := w.ask(who, fmt.Sprintf("<message to='%s' type='groupchat' id='%s'><body>%s</body></message>", coven, id, id))
	if e := st.ErrorFrom(); e != nil {
		return string(e.Condition)
	}
	return ""
}

func (w *world) rows(table, owner string) int {
	w.t.Helper()
	rows, err := w.store.Table(table).Range(context.Background(), owner, "", "", 1000, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(rows)
}

func (w *world) leaves(who, nick string) {
	w.t.Helper()
	w.do(who, "<presence type='unavailable' to='"+coven+"/"+nick+"'/>")
	w.forgetAll()
}

// XEP-0500 §6, §9: neither a room that has left memory nor a server that starts again lets anybody off.
func TestPaceIsDurable(t *testing.T) {
	const wait = 1200 * time.Second
	w := newWorld(t, Options{Idle: time.Minute})
	w.open(alice, "Alice", coven, "muc#roomconfig_slow_mode_duration", "1200")
	w.join(bob, coven, "Bob")
	if got := w.says(bob, "m1"); got != "" {
		t.Fatalf("the first message: %s", got)
	}
	spoken := w.clock.Now()
	comeBack := func(after string) {
		w.join(bob, coven, "Bob")
		if got := w.says(bob, "x"+after); got != "policy-violation" {
			t.Errorf("after %s: %q", after, got)
		}
	}
	w.leaves(alice, "Alice")
	w.leaves(bob, "Bob")
	w.clock.advance(2 * time.Minute)
	w.sync()
	if w.m.rooms.has(jid.MustParse(coven)) {
		t.Fatal("the room is still in memory")
	}
	comeBack("a rest")
	w.stop()
	w.start()
	comeBack("a restart")
	w.clock.advance(spoken.Add(wait).Sub(w.clock.Now()) - time.Second)
	w.join(bob, coven, "Bob")
	if got := w.says(bob, "early"); got != "policy-violation" {
		t.Errorf("a second too early: %q", got)
	}
	w.clock.advance(time.Second)
	if got := w.says(bob, "m2"); got != "" {
		t.Errorf("in time: %q", got)
	}
	// Who has waited is forgotten when the room is read, or when slow mode ends.
	w.leaves(bob, "Bob")
	w.clock.advance(wait)
	w.sync()
	w.join(alice, coven, "Alice")
	_ = w.says(alice, "a1") // is stored behind it
	if n := w.rows(slowmode.Table, coven); n != 0 {
		t.Errorf("%d are remembered who have waited", n)
	}
	w.join(bob, coven, "Bob")
	_ = w.says(bob, "m3")
	w.forgetAll()
	if n := w.rows(slowmode.Table, coven); n != 1 {
		t.Errorf("%d are remembered", n)
	}
	w.configure(alice, coven, "muc#roomconfig_slow_mode_duration", "0")
	if n := w.rows(slowmode.Table, coven); n != 0 {
		t.Errorf("%d are remembered in a room that is not slow", n)
	}
}

// What could not be stored was not said, and a repetition of what was said prolongs nothing.
func TestPaceCountsWhatIsSaid(t *testing.T) {
	w := newWorld(t, Options{})
	w.open(alice, "Alice", coven, "muc#roomconfig_slow_mode_duration", "60")
	w.join(bob, coven, "Bob")
	broken := w.breakStore(errBroken)
	if got := w.says(bob, "lost"); got != "resource-constraint" {
		t.Errorf("with a full disk: %q", got)
	}
	broken.Store(false)
	if got := w.says(bob, "m1"); got != "" {
		t.Errorf("afterwards: %q", got)
	}
	w.clock.advance(40 * time.Second)
	w.forgetAll()
	w.do(bob, "<message to='"+coven+"' type='groupchat' id='m1'><body>m1</body></message>")
	if got := w.take(bob); len(got) != 0 {
		t.Errorf("a repetition is answered: %v", got)
	}
	w.clock.advance(20 * time.Second)
	if got := w.says(bob, "m2"); got != "" {
		t.Errorf("a minute after the message: %q", got)
	}
}
