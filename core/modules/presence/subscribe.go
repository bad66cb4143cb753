package presence

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// book is the rosters that one subscription stanza concerns, while they are locked, and the unit that changes them.
type book struct {
	m   *Module
	u   *journal.Unit
	get func(owner, contact jid.JID) storage.RosterItem
	put func(owner jid.JID, item storage.RosterItem)
}

// Subscription implements module.AccountPresence: RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2.
func (m *Module) Subscription(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	me, contact := st.From.Bare(), st.To.Bare()
	if me == contact {
		m.d.Journal.Submit(u) // one's own presence one gets anyway
		return
	}
	asked := st               // an error goes to the session that has asked
	st = st.With(me, contact) // §3.1.2: stamped with the bare JID
	owners := []jid.JID{me}
	here := m.local(contact)
	if here {
		ok, err := m.accounts.Exists(ctx, contact)
		if err != nil {
			m.fail(u, asked, err)
			return
		}
		if here = ok; ok {
			owners = append(owners, contact)
		}
	}
	remote := false
	err := m.rosters.Update(ctx, u, owners, func(get func(o, c jid.JID) storage.RosterItem, put func(jid.JID, storage.RosterItem)) error {
		b := &book{m, u, get, put}
		was := get(me, contact)
		next, route := outbound(was, st.Type)
		b.replace(me, was, next)
		switch {
		case route && here:
			b.arrive(st)
		case route && m.d.Hosts.IsLocal(contact.Domain()):
			// A host may answer at once, from this goroutine: it gets the stanza when the rosters are free again.
			u.After(m.delivery.Lane(me), func(err error) {
				if err == nil {
					m.d.Router.Send(context.Background(), st)
				}
			})
		case route:
			remote = true
		}
		if route {
			b.presenceFollows(me, contact, was, next)
		}
		return nil
	}, func(u *journal.Unit) {
		if remote {
			m.d.Router.Route(ctx, u, st) // into the spool of that domain, in the same unit
		} else {
			m.d.Journal.Submit(u)
		}
	})
	if err != nil {
		m.fail(u, asked, err)
	}
}

// Inbound implements module.AccountPresence: a subscription stanza from another server or host, or a probe.
func (m *Module) Inbound(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if st.Type == stanza.TypeProbe {
		m.probe(ctx, u, st)
		return
	}
	err := m.rosters.Update(ctx, u, []jid.JID{st.To}, func(get func(o, c jid.JID) storage.RosterItem, put func(jid.JID, storage.RosterItem)) error {
		b := &book{m, u, get, put}
		b.arrive(st)
		return nil
	}, m.d.Journal.Submit)
	if err != nil {
		m.fail(u, st, err)
	}
}

// replace writes an item if it has changed.
func (b *book) replace(owner jid.JID, was, next storage.RosterItem) {
	if !same(was, next) {
		b.put(owner, next)
	}
}

// arrive applies a subscription stanza to the roster of the account that it is for, and adds what shows it: the stanza first, then the
// roster push that Update adds (RFC 6121 §3.1.6).
func (b *book) arrive(st *stanza.Stanza) {
	owner, contact := st.To, st.From
	was := b.get(owner, contact)
	a := inbound(was, st.Type, nil)
	if st.Type == stanza.TypeSubscribe && a.deliver {
		a = inbound(was, st.Type, st.Marshal())
	}
	if a.deliver {
		b.show(st)
	}
	b.replace(owner, was, a.next)
	if a.grant {
		b.grant(owner, contact)
	}
	if a.grant || a.deliver {
		b.presenceFollows(owner, contact, was, a.next)
	}
}

// grant answers subscribed on behalf of the owner (RFC 6121 §3.1.3, §3.4.2).
func (b *book) grant(owner, contact jid.JID) {
	yes := bare(stanza.TypeSubscribed, owner, contact)
	if b.m.local(contact) {
		b.arrive(yes)
		return
	}
	b.u.After(b.m.delivery.Lane(owner), func(err error) {
		if err == nil {
			b.m.d.Router.Send(context.Background(), yes)
		}
	})
}

// show delivers the stanza to the account's sessions: a request to those that are available (RFC 6121 §3.1.3), an answer to those that
// have asked for the roster (§3.1.6, §3.2.3, §3.3.3).
func (b *book) show(st *stanza.Stanza) {
	d := b.m.d
	request := st.Type == stanza.TypeSubscribe
	b.u.After(b.m.delivery.Lane(st.To), func(err error) {
		if err != nil {
			return
		}
		ctx := context.Background()
		for _, s := range d.Sessions.Of(ctx, st.To) {
			if request && s.Available || !request && (s.Has(event.FlagInterested) || s.Available) {
				d.Sessions.Deliver(ctx, s.JID, st)
			}
		}
	})
}

// presenceFollows adds what a contact is shown of the owner when a subscription begins (RFC 6121 §3.1.5) or ends (§3.2.2, §3.3.3).
func (b *book) presenceFollows(owner, contact jid.JID, was, next storage.RosterItem) {
	before, after := withFrom(was.Subscription), withFrom(next.Subscription)
	if before == after {
		return
	}
	m := b.m
	b.u.After(m.delivery.Lane(owner), func(err error) {
		if err != nil {
			return
		}
		ctx := context.Background()
		for _, s := range m.d.Sessions.Of(ctx, owner) {
			if s.Presence == nil {
				continue
			}
			p := s.Presence.With(s.JID, contact)
			if !after {
				p = stanza.NewPresence(stanza.TypeUnavailable).With(s.JID, contact)
			}
			m.delivery.Multicast(ctx, p, []jid.JID{contact})
		}
	})
}

// removing ends the subscriptions of a contact who is removed from a roster (RFC 6121 §2.5.2).
func (m *Module) removing(_ context.Context, r *event.RosterRemoval) error {
	var stanzas []*stanza.Stanza
	if r.Item.Ask || withTo(r.Item.Subscription) {
		stanzas = append(stanzas, bare(stanza.TypeUnsubscribe, r.Owner, r.Contact))
	}
	if r.Item.PendingIn != nil || withFrom(r.Item.Subscription) {
		stanzas = append(stanzas, bare(stanza.TypeUnsubscribed, r.Owner, r.Contact))
	}
	if len(stanzas) == 0 {
		return nil
	}
	b := &book{m, r.Unit, r.Get, r.Put}
	for _, st := range stanzas {
		if r.Put != nil {
			b.arrive(st)
			continue
		}
		r.Unit.After(m.delivery.Lane(r.Owner), func(err error) {
			if err == nil {
				m.d.Router.Send(context.Background(), st)
			}
		})
	}
	b.presenceFollows(r.Owner, r.Contact, r.Item, storage.RosterItem{Subscription: none})
	return nil
}

// deleted ends the subscriptions of an account that is deleted, once it is.
func (m *Module) deleted(ctx context.Context, c *event.AccountChange) error {
	items, err := m.rosters.Items(ctx, c.JID)
	if err != nil {
		return err
	}
	me := c.JID.Bare()
	var online []jid.JID
	for _, s := range m.d.Sessions.Of(ctx, me) {
		if s.Available {
			online = append(online, s.JID)
		}
	}
	// Its sessions end about now, and whether there are contacts left then is a matter of luck: they are told here, once.
	m.over.Store(me, struct{}{})
	c.Unit.After(m.delivery.Lane(me), func(err error) {
		if err != nil {
			m.over.Delete(me)
			return
		}
		ctx := context.Background()
		for i := range items {
			it := &items[i]
			contact, err := jid.Parse(it.Contact)
			if err != nil {
				continue
			}
			if it.Ask || withTo(it.Subscription) {
				m.d.Router.Send(ctx, bare(stanza.TypeUnsubscribe, me, contact))
			}
			if withFrom(it.Subscription) { // RFC 6121 §3.2.1
				for _, full := range online {
					m.delivery.Multicast(ctx, stanza.NewPresence(stanza.TypeUnavailable).With(full, contact), []jid.JID{contact})
				}
			}
			if it.PendingIn != nil || withFrom(it.Subscription) {
				m.d.Router.Send(ctx, bare(stanza.TypeUnsubscribed, me, contact))
			}
		}
	})
	return nil
}
