package rejoin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// place is a room elsewhere in which sessions of one account are. Its account's lock guards it and its seats.
type place struct {
	a     *account
	room  jid.JID // bare
	seats []*seat
	heard time.Time     // when the room said something last
	timer module.Timer  // of the next ping; nil: nobody is in the room yet
	pause time.Duration // after pings that said nothing; 0: the last one did
	turn  int           // whose session is asked next
	due   bool          // it is asked whatever it has said
}

// seat is one session in one room: the state machine of states.go.
type seat struct {
	p     *place
	full  jid.JID
	state state
	gone  bool // not watched any more
	over  bool // because the client has left: nothing is for it any more

	nick     string
	password string // in memory only
	shown    string // what the client shows the room: the payload of its presence, canonical
	since    time.Time
	last     string // the room's stanza-id of what the session was shown last
	known    known
	subject  uint64 // hash of the subject
	recent   [recents]uint64
	recentAt int
	catching bool // the room has not shown all that it shows to those who enter

	asked   bool // a ping is under way
	askedAt time.Time
	token   string // begins the ids of what we ask in the client's name
	joinID  string // of the presence with which the server entered last
	joins   int
	healed  []time.Time
	r       *recovery // nil while all is well
}

// recovery is one attempt to get back, from the loss to the last message that waited.
type recovery struct {
	step    int // goes up with each question and each pause: what belongs to an earlier one comes too late
	timer   module.Timer
	goodbye *stanza.Stanza // with which the room has sent her away; the client is shown it if there is no way back

	tries     int
	conflicts int
	nick      string // under which she enters
	asked     bool   // the room was asked what it is
	archive   bool   // and has one
	seen      map[string]bool
	usurper   *stanza.Stanza // presence of somebody else who has the session's nick now

	held      []*stanza.Stanza
	heldBytes int

	after  string // what of the archive is there already
	begin  time.Time
	query  string
	pages  int
	got    int // of this page
	news   int // of these were not there yet
	count  int
	given  map[string]bool
	missed bool // something that waited was dropped since the page was asked for
	jumped bool // to the newest page
	byTime bool // the archive is asked by time
	again  bool // it was asked again after an error
	// settling: what waits is being delivered.
	settling bool
}

func (p *place) seat(full jid.JID) *seat {
	for _, s := range p.seats {
		if s.full == full {
			return s
		}
	}
	return nil
}

func (p *place) stopTimers() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for _, s := range p.seats {
		s.stopTimer()
	}
}

func (s *seat) stopTimer() {
	if s.r != nil && s.r.timer != nil {
		s.r.timer.Stop()
		s.r.timer = nil
	}
}

// add makes a seat; nil if there are too many. The account is locked.
func (a *account) add(full, room jid.JID) *seat {
	mine := 0
	for _, p := range a.places {
		if p.seat(full) != nil {
			mine++
		}
	}
	if mine >= a.m.o.Rooms || a.m.seats.Add(1) > int64(a.m.o.Seats) {
		if mine < a.m.o.Rooms {
			a.m.seats.Add(-1)
		}
		return nil
	}
	p := a.places[room]
	if p == nil {
		p = &place{a: a, room: room.Clone(), heard: a.m.d.Clock.Now()}
		a.places[p.room] = p
	}
	s := &seat{p: p, full: full.Clone(), token: a.m.newID()}
	p.seats = append(p.seats, s)
	return s
}

// remove ends the watch over a seat. The account is locked.
func (s *seat) remove() {
	if s.gone {
		return
	}
	s.gone = true
	s.endRecovery()
	a, p := s.p.a, s.p
	s.known.clear(a.m)
	a.m.seats.Add(-1)
	p.seats = slices.DeleteFunc(p.seats, func(o *seat) bool { return o == s })
	if len(p.seats) > 0 {
		return
	}
	p.stopTimers()
	delete(a.places, p.room)
	if len(a.places) == 0 {
		a.post(func() { a.m.accounts.drop(a) })
	}
}

// endRecovery forgets what was under way and what waits.
func (s *seat) endRecovery() {
	if s.r == nil {
		return
	}
	s.stopTimer()
	s.p.a.m.held.Add(-int64(s.r.heldBytes))
	s.r = nil
}

// ours marks what this module sends itself: it passes by unseen.
type ours struct{}

// deliver routes a stanza of the room to the client. It runs in the lane.
func (m *Module) deliver(st *stanza.Stanza) {
	if m.stopped.Load() {
		return
	}
	ctx := context.WithValue(event.WithOrigin(m.ctx, st.From.Domain()), ours{}, true)
	m.d.Router.Route(ctx, journal.NewUnit(journal.DomainLane(st.From.Domain())), st)
}

// send routes a stanza in the client's name. It runs in the lane.
func (m *Module) send(st *stanza.Stanza) {
	if !m.stopped.Load() {
		m.d.Router.Send(m.ctx, st)
	}
}

// show delivers a stanza to the client behind what is on its way already. Always false: it does not pass by itself.
func (s *seat) show(st *stanza.Stanza) bool {
	a := s.p.a
	a.post(func() {
		a.mu.Lock()
		over := s.over
		a.mu.Unlock()
		if !over {
			a.m.deliver(st)
		}
	})
	return false
}

// request asks the room something in the client's name. reply runs locked, unless something else has happened to the seat meanwhile.
func (s *seat) request(iq *stanza.Stanza, to jid.JID, reply func(answer *stanza.Stanza)) {
	a, r := s.p.a, s.r
	r.step++
	step := r.step
	a.post(func() {
		if a.m.stopped.Load() {
			return
		}
		a.m.d.Router.Request(a.m.ctx, iq.With(s.full, to), answerTime, a.lane, func(answer *stanza.Stanza) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if s.r == r && r.step == step {
				reply(answer)
			}
		})
	})
}

// after runs fn, locked, when a time has passed and nothing else has happened to the seat.
func (s *seat) after(d time.Duration, fn func()) {
	a, r := s.p.a, s.r
	s.stopTimer()
	step := r.step
	r.timer = a.later(d, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if s.r == r && r.step == step {
			fn()
		}
	})
}

// lose is the news that the room does not know the session any more. goodbye is what it has said to that, nil: nothing.
func (s *seat) lose(goodbye *stanza.Stanza) {
	m, now := s.p.a.m, s.p.a.m.d.Clock.Now()
	m.stats.lost.Add(1)
	s.healed = slices.DeleteFunc(s.healed, func(at time.Time) bool { return now.Sub(at) > healedWithin })
	s.endRecovery()
	s.r = &recovery{goodbye: goodbye, nick: s.nick, after: s.last, begin: s.since}
	switch {
	case len(s.healed) >= maxHealed:
		s.giveUp("too often")
	case goodbye != nil:
		s.wait(firstPause)
	default:
		s.inquire()
	}
}

// giveUp tells the client that it is not in the room any more (XEP-0045 §11.1), and ends the watch: what follows is up to the client.
func (s *seat) giveUp(why string) {
	a := s.p.a
	goodbye := (*stanza.Stanza)(nil)
	if s.r != nil {
		goodbye = s.r.goodbye
		for _, st := range s.r.held {
			a.post(func() { a.m.deliver(st) })
		}
	}
	if goodbye == nil {
		goodbye = s.farewell(s.nick, "333")
	}
	a.m.stats.gaveUp.Add(1)
	a.m.d.Log.Info("a room elsewhere could not be entered again", "jid", s.full.String(), "room", s.p.room.String(), "reason", why)
	s.remove()
	a.post(func() { a.m.deliver(goodbye) })
}

// farewell is the presence with which the session leaves the room.
func (s *seat) farewell(nick string, codes ...string) *stanza.Stanza {
	x := xmlstream.NewNode(ns.MUCUser, "x")
	x.AddNew("item", "affiliation", "none", "role", "none")
	x.AddNew("status", "code", "110")
	for _, c := range codes {
		x.AddNew("status", "code", c)
	}
	return s.fromOccupant(nick, stanza.TypeUnavailable, x)
}

// fromOccupant is a presence of room/nick for this client.
func (s *seat) fromOccupant(nick, typ string, x *xmlstream.Node) *stanza.Stanza {
	from, err := s.p.room.WithResource(nick)
	if err != nil { // it was one before
		from = s.p.room
	}
	st := stanza.NewPresence(typ, x)
	st.From, st.To = from, s.full
	return st
}

// shownPayload is what the client shows the room, without what is only said on entering.
func shownPayload(f xmlstream.Fragment) string {
	f = f.Without(func(c xmlstream.Child) bool { return c.Is(ns.MUC, "x") })
	if f.Len() > maxShown {
		return ""
	}
	return strings.Clone(f.String())
}
