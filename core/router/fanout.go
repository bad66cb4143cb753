package router

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Fanout delivers one stanza to many addresses, serialised once; see module.Router. Beside full JIDs it takes bare ones, which stand for
// every available resource. event.Route.Any is not asked: whom a room shows something to is the room's decision.
func (r *Router) Fanout(ctx context.Context, st *stanza.Stanza, to []jid.JID, gone func(jid.JID)) {
	t := r.table.Load()
	w := st.Wire()
	delivered := uint64(0)
	for _, j := range to {
		d := t.domains[j.Domain()]
		switch {
		case d == nil || d.handler != nil:
			r.fanoutElsewhere(ctx, d, st.With(st.From, j))
		case j.IsFull():
			if r.o.Sessions.Push(j, session.Item{Wire: w, To: j}) {
				delivered++
			} else if gone != nil {
				gone(j)
			}
		default:
			if r.push(ctx, w, j) == 0 && gone != nil {
				gone(j)
			}
		}
	}
	r.stats.delivered.Add(delivered)
}

// fanoutElsewhere hands a copy to another server, or to another host of this one.
func (r *Router) fanoutElsewhere(ctx context.Context, d *domain, st *stanza.Stanza) {
	u := journal.NewUnit(journal.DomainLane(st.To.Domain()))
	defer r.recover(ctx, u, st)
	if d == nil {
		r.remote(ctx, u, st)
		return
	}
	d.handler.HandleStanza(ctx, u, st)
}

// Burst delivers many stanzas to one full JID; see module.Burster.
func (r *Router) Burst(ctx context.Context, to jid.JID, sts []*stanza.Stanza, wires []stanza.Wire, gone func(jid.JID)) {
	d := r.table.Load().domains[to.Domain()]
	if d == nil || d.handler != nil {
		for _, st := range sts {
			r.fanoutElsewhere(ctx, d, st.With(st.From, to))
		}
		return
	}
	items := make([]session.Item, len(wires))
	for i, w := range wires {
		items[i] = session.Item{Wire: w, To: to}
	}
	if r.o.Sessions.PushAll(to, items) {
		r.stats.delivered.Add(uint64(len(items)))
	} else if gone != nil {
		gone(to)
	}
}
