package pubsub

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// outOfReach ends the subscriptions of a contact to nodes that she may read no longer, since the roster of their owner says something else of her
// (XEP-0060 §12.14).
func (m *Module) outOfReach(ctx context.Context, c *event.RosterChange, contact jid.JID) {
	owner := c.Owner.Bare().Clone()
	services := []*service{accountService(owner)}
	for _, h := range m.hosts {
		services = append(services, h.svc)
	}
	for _, svc := range services {
		m.eachNode(ctx, svc, contact.Bare(), func(name string) {
			m.change(svc, name, "end subscriptions", false, func(o *op) error { return o.endUnreadable(owner, contact.Bare()) })
		})
	}
}

// eachNode calls fn for each node of a service to which somebody is subscribed.
func (m *Module) eachNode(ctx context.Context, svc *service, who jid.JID, fn func(name string)) {
	var last string
	err := m.ofPerson(ctx, svc, who, "s"+sep, "s"+sepAfter, func(r storage.Row) {
		if name := nodeOf(r.Key); name != last || last == "" {
			last = name
			fn(name)
		}
	})
	if err != nil {
		m.d.Log.Error("a person's subscriptions cannot be read", "service", svc.name, "jid", who.String(), "err", err)
	}
}

// endUnreadable ends a contact's subscriptions to a node for whose readers the owner's roster decides.
func (o *op) endUnreadable(owner, contact jid.JID) (err error) {
	if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil || o.rec == nil {
		return err
	}
	c := &o.rec.Config
	if c.Access != node.Presence && c.Access != node.Roster || o.svc.holder(o.rec) != owner {
		return nil
	}
	rel, err := o.m.relation(o.ctx, o.svc, o.rec, contact)
	if err != nil || c.MayRetrieve(rel) == nil {
		return err
	}
	return o.endAll(contact)
}

// endAll ends all subscriptions of somebody to a node and tells her.
func (o *op) endAll(who jid.JID) error {
	list, err := o.m.subs(o.ctx, o.svc, o.rec, who, true)
	if err != nil || len(list) == 0 {
		return err
	}
	for i := range list {
		list[i].State = node.NoState
		o.dropSub(&list[i])
		o.tellSubscriber(&list[i])
		o.tellOwners(&list[i])
	}
	return o.save()
}

// bounced takes a notification that has come back: who is not there any more is subscribed to nothing (XEP-0060 §12.4). What may pass, such as
// that nobody is there to take it, changes nothing.
func (h *host) bounced(ctx context.Context, st *stanza.Stanza) {
	e := st.ErrorFrom()
	if e == nil || st.Type != stanza.TypeError || e.Condition != stanza.ItemNotFound && e.Condition != stanza.Gone {
		return
	}
	who := st.From.Clone()
	h.m.eachNode(ctx, h.svc, who.Bare(), func(name string) {
		h.m.change(h.svc, name, "end subscriptions", false, func(o *op) error {
			var err error
			if o.rec, err = o.m.find(o.ctx, o.svc, o.name); err != nil || o.rec == nil {
				return err
			}
			list, err := o.m.subs(o.ctx, o.svc, o.rec, who, false) // those of this address alone: she may have other resources
			if err != nil || len(list) == 0 {
				return err
			}
			for i := range list {
				list[i].State = node.NoState
				o.dropSub(&list[i])
				o.tellOwners(&list[i])
			}
			return o.save()
		})
	})
}

// removeAndTell deletes the node; subscribers are told with ev.
func (o *op) removeAndTell(ev *xmlstream.Node) error {
	if err := o.remove(); err != nil {
		return err
	}
	if o.rec.Config.NotifyDelete {
		// Before what is left of the node goes: who is subscribed is read from it.
		o.after = append([]func(){o.telling(node.ForNodes, ev)}, o.after...)
	}
	return nil
}
