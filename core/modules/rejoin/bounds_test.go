package rejoin

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// list keeps what is posted until the test runs it.
type list struct{ posted []func() }

func (l *list) Post(fn func()) { l.posted = append(l.posted, fn) }

// still is a clock that stands still; its timers never run.
type still struct{ now time.Time }

func (c still) Now() time.Time                               { return c.now }
func (c still) AfterFunc(time.Duration, func()) module.Timer { return c }
func (still) Stop() bool                                     { return true }
func (still) Reset(time.Duration) bool                       { return true }

func newAccount(o Options) *account {
	m := New(o)
	m.d = module.Deps{Clock: module.RealClock{}, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
	m.accounts.init()
	return &account{m: m, bare: jid.MustParse("a@b"), lane: &list{}, places: map[jid.JID]*place{}}
}

func room(i int) jid.JID { return jid.MustParse(fmt.Sprintf("r%d@x", i)) }

func TestSeatsAreBounded(t *testing.T) {
	a := newAccount(Options{Rooms: 3, Seats: 5})
	phone, desk := jid.MustParse("a@b/phone"), jid.MustParse("a@b/desk")
	var mine []*seat
	for i := range 3 {
		mine = append(mine, a.add(phone, room(i)))
	}
	if a.add(phone, room(3)) != nil {
		t.Error("a session has more rooms than it may have")
	}
	if a.add(desk, room(0)) == nil || a.add(desk, room(1)) == nil || a.add(desk, room(2)) != nil {
		t.Error("the server has more seats or fewer than it may have")
	}
	if got := a.m.seats.Load(); got != 5 {
		t.Errorf("%d seats", got)
	}
	mine[2].remove()
	mine[2].remove() // twice counts once
	if a.add(desk, room(2)) == nil || a.m.seats.Load() != 5 {
		t.Error("what was left is not free")
	}
	for _, p := range a.places {
		for len(p.seats) > 0 {
			p.seats[0].remove()
		}
	}
	if len(a.places) != 0 || a.m.seats.Load() != 0 {
		t.Errorf("%d places, %d seats", len(a.places), a.m.seats.Load())
	}
}

func TestOccupantsAreBounded(t *testing.T) {
	a := newAccount(Options{Occupants: 3, AllOccupants: 5})
	var one, two known
	for i := range 3 {
		if nick := fmt.Sprint(i); !one.note(a.m, nick, 1) || one.note(a.m, nick, 1) || !one.note(a.m, nick, 2) {
			t.Error("what is news is not told")
		}
	}
	for i := range 2 {
		two.note(a.m, fmt.Sprint(i), 1)
	}
	if !two.note(a.m, "2", 1) || !two.over || len(two.list) != 0 || a.m.known.Load() != 3 {
		t.Errorf("beyond all: %+v, %d", two, a.m.known.Load())
	}
	if !two.note(a.m, "0", 1) || !two.remove(a.m, "0") {
		t.Error("who knows nothing takes nothing for known")
	}
	if one.note(a.m, "3", 1); !one.over || a.m.known.Load() != 0 {
		t.Errorf("beyond one's own: %+v, %d", one, a.m.known.Load())
	}
	one.clear(a.m)
	if one.over || a.m.known.Load() != 0 {
		t.Errorf("cleared: %+v, %d", one, a.m.known.Load())
	}
}

// message is one of size bytes and a bit.
func message(size int) *incoming {
	st := stanza.NewMessage(stanza.TypeGroupchat, xmlstream.NewNode(ns.Client, "body").SetText(strings.Repeat("x", size)))
	return &incoming{st: st.With(jid.MustParse("r0@x/n"), jid.MustParse("a@b/c")), what: said}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
		size int
		want int // that wait
	}{
		{"by number", Options{Held: 4}, 10, 4},
		{"by size", Options{HeldBytes: 3000}, 1000 - overhead - len("<body></body>"), 3},
		{"by size of all", Options{AllHeldBytes: 2000}, 1000 - overhead - len("<body></body>"), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAccount(tc.o)
			s := a.add(jid.MustParse("a@b/c"), room(0))
			s.state, s.r = filling, &recovery{archive: true}
			for i := range tc.want {
				if s.hold(message(tc.size)) || s.r.missed || len(s.r.held) != i+1 {
					t.Fatalf("message %d does not wait", i)
				}
			}
			if s.hold(message(tc.size)) || !s.r.missed || len(s.r.held) != 0 || a.m.held.Load() != 0 {
				t.Errorf("beyond: %d wait, %d bytes", len(s.r.held), a.m.held.Load())
			}
			s.hold(message(tc.size))
			if a.m.held.Load() == 0 {
				t.Error("nothing waits after that")
			}
			s.remove()
			if a.m.held.Load() != 0 {
				t.Errorf("%d bytes stay behind", a.m.held.Load())
			}
		})
	}
}

func TestPingsAreBounded(t *testing.T) {
	a := newAccount(Options{Pings: 2})
	for i := range 3 {
		s := a.add(jid.MustParse("a@b/c"), room(i))
		s.nick = "n"
		if sent := s.ping(); sent != (i < 2) || s.asked != sent {
			t.Errorf("ping %d: %v", i, sent)
		}
	}
	if got := a.m.asking.Load(); got != 2 {
		t.Errorf("%d under way", got)
	}
}

func TestConfig(t *testing.T) {
	c := Config{}.WithDefaults()
	if err := c.Check(); err != nil || c != (Config{SilentMinutes: 10, Messages: 500, Days: 7}) {
		t.Errorf("%+v: %v", c, err)
	}
	if o, d := c.Options().withDefaults(), (Options{}).withDefaults(); o != d {
		t.Errorf("%+v, the module's own are %+v", o, d)
	}
	for name, bad := range map[string]Config{
		"silence": {SilentMinutes: -1}, "messages": {Messages: -1}, "too many": {Messages: maxMessages + 1}, "days": {Days: -1},
	} {
		if bad.WithDefaults().Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
