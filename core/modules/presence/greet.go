package presence

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// greeting is what a session is told when it becomes available: collected while the store may be read, sent when it is its turn.
type greeting struct {
	session  event.Session
	contacts []jid.JID        // whose presence the account gets
	asks     []jid.JID        // subscriptions that elsewhere have not been answered
	requests []*stanza.Stanza // subscriptions that others wait for
}

func (m *Module) greeting(ctx context.Context, s event.Session) (*greeting, error) {
	items, err := m.rosters.Items(ctx, s.Info().JID)
	if err != nil {
		return nil, err
	}
	g := &greeting{session: s}
	for i := range items {
		m.add(g, &items[i])
	}
	return g, nil
}

func (m *Module) add(g *greeting, it *storage.RosterItem) {
	contact, err := jid.Parse(it.Contact)
	if err != nil {
		m.d.Log.Error("a contact in the store has no address", "contact", it.Contact, "err", err)
		return
	}
	if withTo(it.Subscription) {
		g.contacts = append(g.contacts, contact)
	}
	if it.Ask && !m.local(contact) {
		g.asks = append(g.asks, contact)
	}
	if it.PendingIn != nil {
		st, err := stanza.Unmarshal(it.PendingIn)
		if err != nil {
			m.d.Log.Error("a subscription request in the store cannot be read", "contact", it.Contact, "err", err)
			return
		}
		g.requests = append(g.requests, st)
	}
}

// greet sends it all in one go: presence of contacts here straight from their sessions, probes to the others (RFC 6121 §4.3.1), the
// account's other resources (§4.2.2), and requests that wait for a decision (§3.1.3).
func (m *Module) greet(ctx context.Context, g *greeting) {
	me := g.session.Info().JID
	for _, s := range m.d.Sessions.Of(ctx, me.Bare()) {
		if s.JID != me && s.Presence != nil {
			g.session.Send(s.Presence.With(s.JID, me.Bare()))
		}
	}
	for _, contact := range g.contacts {
		if !m.local(contact) {
			probe := stanza.NewPresence(stanza.TypeProbe)
			probe.From, probe.To = me, contact
			m.d.Router.Send(ctx, probe)
			continue
		}
		for _, s := range m.d.Sessions.Of(ctx, contact) {
			if s.Presence != nil {
				g.session.Send(s.Presence.With(s.JID, me.Bare()))
			}
		}
	}
	for _, st := range g.requests {
		g.session.Send(st)
	}
	for _, contact := range g.asks {
		m.d.Router.Send(ctx, bare(stanza.TypeSubscribe, me, contact)) // §3.1.2: resent until it is answered
	}
}
