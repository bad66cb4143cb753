package rejoin

import (
	"context"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// arm sets the timer of the next look. The account is locked.
func (p *place) arm(d time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = p.a.later(d, p.look)
}

// look asks the room whether the person is still in it, if that is due (XEP-0410 §3.2). It runs in the lane.
func (p *place) look() {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places[p.room] != p {
		return
	}
	m := a.m
	if silent := m.d.Clock.Now().Sub(p.heard); !p.due && p.pause == 0 && silent < m.o.Silent {
		p.arm(m.jittered(m.o.Silent - silent))
		return
	}
	s := p.next()
	switch {
	case s == nil:
		p.arm(m.jittered(m.o.Silent))
	case !s.ping():
		p.arm(m.jittered(soonest))
	default:
		p.due = false
	}
}

// next returns the session that is asked for: one after the other, nil if none can be.
func (p *place) next() *seat {
	for range p.seats {
		p.turn++
		if s := p.seats[p.turn%len(p.seats)]; s.state == joined && !s.asked && s.attached() {
			return s
		}
	}
	return nil
}

// attached tells whether the session has a connection (XEP-0410 §4: one that hibernates does not ask).
func (s *seat) attached() bool {
	info, ok := s.p.a.m.d.Sessions.Get(s.p.a.m.ctx, s.full)
	return ok && !info.Detached
}

// ping asks in the client's name. False: too many are under way.
func (s *seat) ping() bool {
	a, p := s.p.a, s.p
	m := a.m
	to, err := p.room.WithResource(s.nick)
	if err != nil {
		return false
	}
	if m.asking.Add(1) > int64(m.o.Pings) {
		m.asking.Add(-1)
		return false
	}
	s.asked, s.askedAt = true, m.d.Clock.Now()
	m.stats.pings.Add(1)
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.Ping, "ping")).With(s.full, to)
	a.post(func() {
		if m.stopped.Load() {
			return
		}
		m.d.Router.Request(m.ctx, iq, answerTime, a.lane, func(answer *stanza.Stanza) {
			m.asking.Add(-1)
			a.mu.Lock()
			defer a.mu.Unlock()
			if s.asked = false; !s.gone {
				s.pinged(answer)
			}
		})
	})
	return true
}

// sign is what the answer to a ping says.
type sign uint8

const (
	lost    sign = iota // not in the room any more
	there               // in it
	unclear             // another nick here, no such room there
	silence             // no decision can be based on it
)

// signs are the errors of XEP-0410 §3.2. Any other means lost.
var signs = map[stanza.Condition]sign{
	stanza.ServiceUnavailable:    there,
	stanza.FeatureNotImplemented: there,
	stanza.ItemNotFound:          unclear,
}

func signOf(answer *stanza.Stanza) sign {
	e := answer.ErrorFrom()
	if e == nil {
		return there
	}
	if v, ok := signs[e.Condition]; ok {
		return v
	}
	if undecided(e) {
		return silence
	}
	return lost
}

// pinged judges an answer.
func (s *seat) pinged(answer *stanza.Stanza) {
	p, m := s.p, s.p.a.m
	switch signOf(answer) {
	case there:
		p.present()
	case silence:
		p.quiet()
	case unclear:
		s.isThere()
	case lost:
		p.pause = 0
		p.arm(m.jittered(m.o.Silent))
		for _, o := range p.seats { // the other sessions of hers, most likely
			if o != s && o.state == joined && !o.asked && o.attached() {
				o.ping()
			}
		}
		if s.state == joined {
			s.lose(nil)
		}
	}
}

// present: the person is in the room.
func (p *place) present() {
	p.heard, p.pause = p.a.m.d.Clock.Now(), 0
	p.arm(p.a.m.jittered(p.a.m.o.Silent))
}

// quiet: the room cannot be reached. It is asked again sooner than usual, but not more and more often.
func (p *place) quiet() {
	m := p.a.m
	p.pause = min(max(2*p.pause, answerTime), m.o.Silent)
	p.arm(m.jittered(p.pause))
}

// isThere asks whether there is such a room: with item-not-found some answer to the ping of an occupant who is just being renamed, others where there is no room.
func (s *seat) isThere() {
	a, p := s.p.a, s.p
	iq := stanza.NewIQ(stanza.TypeGet, "", xmlstream.NewNode(ns.DiscoInfo, "query")).With(s.full, p.room)
	s.asked = true
	a.post(func() {
		a.m.d.Router.Request(a.m.ctx, iq, answerTime, a.lane, func(answer *stanza.Stanza) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if s.asked = false; s.gone {
				return
			}
			e := answer.ErrorFrom()
			switch {
			case e == nil:
				p.present()
			case e.Condition != stanza.ItemNotFound && e.Condition != stanza.Gone:
				p.quiet()
			default:
				if p.arm(a.m.jittered(a.m.o.Silent)); s.state == joined {
					s.giveUp("the room is not there any more")
				}
			}
		})
	})
}

// doubtful: a message of the client comes back (XEP-0045 §7.4: whoever is not in the room gets not-acceptable). The client is told, and the room is asked.
func (s *seat) doubtful(in *incoming) bool {
	if e := in.st.ErrorFrom(); e != nil && e.Condition == stanza.NotAcceptable &&
		!s.asked && s.p.a.m.d.Clock.Now().Sub(s.askedAt) >= soonest {
		s.ping()
	}
	return true
}

// isReflected tells whether an iq is a ping of ours that the room has passed on to a client of the person.
func (s *seat) isReflected(st *stanza.Stanza) bool {
	if q, one := st.Query(); !one || st.Type != stanza.TypeGet || !q.Is(ns.Ping, "ping") {
		return false
	}
	for _, o := range s.p.seats {
		if o.asked && st.From.Resource() == o.nick {
			return true
		}
	}
	return false
}

// resumed: a client is there again, and hears what its rooms have said meanwhile. Those that were silent are asked.
func (m *Module) resumed(_ context.Context, v *event.SessionBound) error {
	full := v.Session.Info().JID
	a := m.accounts.get(full.Bare())
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.places {
		if p.seat(full) != nil && (p.due || m.d.Clock.Now().Sub(p.heard) >= m.o.Silent) {
			p.due = true
			a.post(p.look)
		}
	}
	return nil
}

// spread is over how much time the rooms of a domain are asked when it is back.
const spread = 5 * time.Second

// linked: a domain can be reached again. Whoever waits for that goes on, the others are asked.
func (m *Module) linked(_ context.Context, v *event.Linked) error {
	m.accounts.each(func(a *account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range a.places {
			if p.room.Domain() != v.Domain {
				continue
			}
			if p.timer != nil {
				p.due = true
				p.arm(m.within(spread))
			}
			for _, s := range p.seats {
				if s.state == waiting && s.r.conflicts == 0 {
					s.r.step++
					s.after(m.within(spread), s.proceed)
				}
			}
		}
	})
	return nil
}
