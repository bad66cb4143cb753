package rejoin

import (
	"context"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// directed sees the presence that a client sends to somebody: entering a room, changing something there, leaving it.
func (m *Module) directed(_ context.Context, c *event.PresenceChange) error {
	st := c.Stanza
	if !st.To.HasLocal() || !m.watches(st.To.Domain()) {
		return nil
	}
	x, enters := st.Child(ns.MUC, "x")
	switch {
	case st.Type == stanza.TypeUnavailable:
		m.leaves(st.From, func(p *place) bool { return p.room == st.To.Bare() })
	case enters && st.To.IsFull():
		password := ""
		if p := x.Node().Child(ns.MUC, "password"); p != nil {
			password = strings.Clone(p.TextContent())
		}
		m.enters(st, password)
	case st.Type == "":
		m.updates(st)
	}
	return nil
}

// enters: the client enters a room itself. Its own way wins over that of the server.
func (m *Module) enters(st *stanza.Stanza, password string) {
	a := m.accounts.make(m, st.From.Bare())
	defer a.mu.Unlock()
	var s *seat
	if p := a.places[st.To.Bare()]; p != nil {
		s = p.seat(st.From)
	}
	if s == nil {
		if s = a.add(st.From, st.To.Bare()); s == nil {
			if len(a.places) == 0 {
				a.post(func() { m.accounts.drop(a) })
			}
			return
		}
	}
	s.flush()
	s.endRecovery()
	s.state, s.catching = entering, false
	s.known.clear(m)
	s.nick, s.password, s.shown = strings.Clone(st.To.Resource()), password, shownPayload(st.Payload)
	s.since = m.d.Clock.Now()
}

// updates: the client shows a room something else.
func (m *Module) updates(st *stanza.Stanza) {
	a := m.accounts.get(st.From.Bare())
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.places[st.To.Bare()]; p != nil {
		if s := p.seat(st.From); s != nil {
			s.shown = shownPayload(st.Payload)
		}
	}
}

// leaves ends the watch over seats of a session.
func (m *Module) leaves(full jid.JID, which func(*place) bool) {
	a := m.accounts.get(full.Bare())
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.places {
		if s := p.seat(full); s != nil && which(p) {
			s.over = true
			s.remove()
		}
	}
}

// unavailable: the session says goodbye to everybody (RFC 6121 §4.6.4: also to rooms).
func (m *Module) unavailable(_ context.Context, c *event.PresenceChange) error {
	m.leaves(c.Stanza.From, func(*place) bool { return true })
	return nil
}

// closed: the session is over.
func (m *Module) closed(_ context.Context, c *event.SessionClosed) error {
	m.leaves(c.Info.JID, func(*place) bool { return true })
	return nil
}

// passing sees what a room says to one of its occupants here, before anybody decides on it.
func (m *Module) passing(ctx context.Context, v *event.Routed) error {
	st := v.Stanza
	if m.seats.Load() == 0 || !st.To.IsFull() || !st.From.HasLocal() {
		return nil
	}
	a := m.accounts.get(st.To.Bare())
	if a == nil || ctx.Value(ours{}) != nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.places[st.From.Bare()]
	if p == nil {
		return nil
	}
	s := p.seat(st.To)
	if s == nil {
		return nil
	}
	in, ok := s.read(st)
	if !ok {
		return nil
	}
	if in.what != failed && in.what != bounced && in.what != reflected {
		p.heard = m.d.Clock.Now()
	}
	if handle := table[s.state][in.what]; handle == nil || handle(s, &in) {
		return nil
	}
	return event.Stop
}

// incoming is what a room says.
type incoming struct {
	st    *stanza.Stanza
	what  what
	nick  string          // of whom a presence is
	codes map[string]bool // of a presence (XEP-0045 §15.6.2)
	// newNick goes with 303; ended tells that the room was destroyed.
	newNick string
	ended   bool
}

// read tells what a stanza is to the seat; false: nothing that concerns it.
func (s *seat) read(st *stanza.Stanza) (in incoming, ok bool) {
	in.st = st
	switch st.Kind {
	case stanza.Presence:
		return s.readPresence(in)
	case stanza.Message:
		return s.readMessage(in)
	case stanza.IQ:
		in.what = reflected
		return in, s.isReflected(st)
	}
	return in, false
}

func (s *seat) readPresence(in incoming) (incoming, bool) {
	st := in.st
	in.nick = st.From.Resource()
	switch st.Type {
	case stanza.TypeError:
		in.what = failed
		return in, true
	case "", stanza.TypeUnavailable:
	default:
		return in, false
	}
	if x, ok := st.Child(ns.MUCUser, "x"); ok {
		in.codes = map[string]bool{}
		for n := range x.Node().Elements() {
			switch n.Name.Local {
			case "status":
				in.codes[n.Attr("code")] = true
			case "item":
				in.newNick = n.Attr("nick")
			case "destroy":
				in.ended = true
			}
		}
	}
	// Old services do not send 110 (XEP-0045 §7.2.2).
	self := in.codes["110"] || in.nick != "" && in.nick == s.currentNick()
	switch {
	case st.Type == "" && self:
		in.what = selfIn
	case st.Type == "":
		in.what = otherIn
	case self:
		in.what = selfOut
	default:
		in.what = otherOut
	}
	return in, true
}

// currentNick is the nick that stands for this session at the moment.
func (s *seat) currentNick() string {
	if s.r != nil && s.state == rejoining {
		return s.r.nick
	}
	return s.nick
}

func (s *seat) readMessage(in incoming) (incoming, bool) {
	switch st := in.st; {
	case st.Type == stanza.TypeError:
		in.what = bounced
	case st.Type == stanza.TypeGroupchat:
		in.what = said
	case st.Payload.Has(ns.MAM, "result"):
		in.what = archived
	default:
		return in, false
	}
	return in, true
}
