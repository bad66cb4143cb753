package presence

import (
	"context"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Broadcast implements module.AccountPresence.
func (m *Module) Broadcast(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	s := event.SessionOf(ctx)
	if s == nil || s.Info().JID != st.From {
		m.d.Journal.Submit(u) // nobody's presence
		return
	}
	switch st.Type {
	case "":
		m.available(ctx, s, u, st)
	case stanza.TypeUnavailable:
		m.unavailable(ctx, s, u, st)
	default: // RFC 6121 §4.7.1: the others are about somebody, and say who
		m.fail(u, st, stanza.NewError(stanza.BadRequest, "This type of presence needs an address."))
	}
}

// available: RFC 6121 §4.2 (initial) and §4.4 (subsequent).
func (m *Module) available(ctx context.Context, s event.Session, u *journal.Unit, st *stanza.Stanza) {
	priority, err := priorityOf(st)
	if err != nil {
		m.fail(u, st, err)
		return
	}
	change := event.PresenceChange{Session: s, Stanza: st, Initial: !s.Info().Available, Unit: u}
	if err := m.d.Events.Presence.Available.Decide(ctx, &change); err != nil {
		m.fail(u, st, err)
		return
	}
	st = change.Stanza
	subscribers, err := m.rosters.Subscribers(ctx, st.From)
	var greet *greeting
	if err == nil && change.Initial {
		greet, err = m.greeting(ctx, s)
	}
	if err != nil {
		m.fail(u, st, err)
		return
	}
	s.SetPresence(st, priority)
	u.After(m.delivery.Lane(st.From), func(error) {
		ctx := context.Background()
		m.broadcast(ctx, st, subscribers)
		if greet != nil {
			m.greet(ctx, greet)
		}
		_ = m.d.Events.Presence.Available.Committed(ctx, &change) // the point has told of a panic
	})
	m.d.Journal.Submit(u)
}

// priorityOf: RFC 6121 §4.7.2.3.
func priorityOf(st *stanza.Stanza) (int8, error) {
	c, ok := st.Child(ns.Client, "priority")
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(c.Text()), 10, 8)
	if err != nil {
		return 0, stanza.NewError(stanza.BadRequest, "A priority is a number from -128 to 127.")
	}
	return int8(n), nil
}

// broadcast shows presence to the contacts that have a subscription and to the account's own resources (RFC 6121 §4.2.2, §4.4.2, §4.5.2).
func (m *Module) broadcast(ctx context.Context, st *stanza.Stanza, subscribers []jid.JID) {
	m.delivery.Multicast(ctx, st, append(subscribers[:len(subscribers):len(subscribers)], st.From.Bare()))
}

// unavailable: RFC 6121 §4.5.
func (m *Module) unavailable(ctx context.Context, s event.Session, u *journal.Unit, st *stanza.Stanza) {
	was := s.Info().Available
	s.SetPresence(nil, 0)
	gone := takeDirected(s)
	change := event.PresenceChange{Session: s, Stanza: st, Unit: u}
	if err := m.d.Events.Presence.Unavailable.Decide(ctx, &change); err != nil {
		m.fail(u, st, err)
		return
	}
	if err := m.leave(ctx, u, st, was, gone); err != nil {
		m.fail(u, st, err)
		return
	}
	u.After(m.delivery.Lane(st.From), func(error) {
		_ = m.d.Events.Presence.Unavailable.Committed(context.Background(), &change) // the point has told of a panic
	})
	m.d.Journal.Submit(u)
}

// leave adds the step that says goodbye to whom the session was available.
func (m *Module) leave(ctx context.Context, u *journal.Unit, st *stanza.Stanza, broadcast bool, directed []jid.JID) error {
	var subscribers []jid.JID
	if _, over := m.over.Load(st.From.Bare()); broadcast && !over {
		var err error
		if subscribers, err = m.rosters.Subscribers(ctx, st.From); err != nil {
			return err
		}
	}
	rest := without(directed, subscribers)
	u.After(m.delivery.Lane(st.From), func(error) {
		ctx := context.Background()
		if broadcast {
			m.broadcast(ctx, st, subscribers)
		}
		// RFC 6121 §4.6.4: and everybody else that was told she is available.
		m.delivery.Multicast(ctx, st, rest)
	})
	return nil
}

// closed says goodbye for a session that has ended without (RFC 6121 §4.5.2). It returns when that is delivered: only then can the full JID be
// bound anew, and a goodbye that came to the next session would seem to be its own.
func (m *Module) closed(ctx context.Context, e *event.SessionClosed) error {
	gone := takeDirected(e.Session)
	if !e.Info.Available && len(gone) == 0 {
		return nil
	}
	st := stanza.NewPresence(stanza.TypeUnavailable)
	st.From = e.Info.JID
	u := journal.NewUnit(journal.AccountLane(st.From.Bare().String()))
	change := event.PresenceChange{Session: e.Session, Stanza: st, Unit: u}
	if err := m.d.Events.Presence.Unavailable.Decide(ctx, &change); err != nil {
		m.d.Log.Error("a session's end was refused", "jid", st.From.String(), "err", err)
	}
	if err := m.leave(ctx, u, st, e.Info.Available, gone); err != nil {
		m.d.Journal.Submit(u)
		return err
	}
	told := make(chan struct{})
	lane := m.delivery.Lane(st.From)
	u.After(lane, func(error) {
		_ = m.d.Events.Presence.Unavailable.Committed(context.Background(), &change) // the point has told of a panic
		behind := journal.NewUnit(u.Lane)                                            // what goes to the account's own resources
		behind.After(lane, func(error) { close(told) })
		m.d.Journal.Submit(behind)
	})
	m.d.Journal.Submit(u)
	select {
	case <-told:
	case <-ctx.Done(): // the server stops
	}
	return nil
}
