package router

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// subscriptionTypes are those of RFC 6121 §3.
var subscriptionTypes = map[string]bool{
	stanza.TypeSubscribe: true, stanza.TypeSubscribed: true, stanza.TypeUnsubscribe: true, stanza.TypeUnsubscribed: true,
}

// presence routes a presence stanza: what a local client says about itself goes through the module that decides on it first.
func (r *Router) presence(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	decides := t.reg.Presence
	if st.To.IsZero() {
		u.Lane = journal.AccountLane(st.From.Bare().String())
		if decides == nil || !t.isAccount(st.From) {
			r.o.Journal.Submit(u)
			return
		}
		decides.Broadcast(ctx, u, st) // RFC 6120 §10.3.2
		return
	}
	if decides != nil && st.From.IsFull() && t.isAccount(st.From) {
		switch {
		case subscriptionTypes[st.Type]:
			u.Lane = journal.AccountLane(st.From.Bare().String())
			decides.Subscription(ctx, u, st)
			return
		case st.Type == "" || st.Type == stanza.TypeUnavailable:
			decides.Directed(ctx, st)
		}
	}
	r.presenceTo(ctx, t, u, st)
}

func (r *Router) presenceTo(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	d := t.domains[st.To.Domain()]
	switch {
	case d == nil:
		r.remote(ctx, u, st)
	case d.handler != nil:
		d.handler.HandleStanza(ctx, u, st)
	case !st.To.HasLocal():
		r.o.Journal.Submit(u) // RFC 6120 §10.5.1: the server has no presence of its own
	default:
		r.presenceToAccount(ctx, t, u, st)
	}
}

// presenceToAccount: RFC 6121 §8.5.
func (r *Router) presenceToAccount(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	u.Lane = journal.AccountLane(st.To.Bare().String())
	if subscriptionTypes[st.Type] || st.Type == stanza.TypeProbe {
		r.presenceRequest(ctx, t, u, st)
		return
	}
	if st.To.IsBare() && st.Type == stanza.TypeError {
		r.o.Journal.Submit(u) // nobody has asked on behalf of the account itself
		return
	}
	u.After(r.lanes.of(st.To), func(err error) {
		if err == nil {
			r.show(st)
		}
	})
	r.o.Journal.Submit(u)
}

// presenceRequest hands subscriptions and probes for accounts that exist to the module that decides.
func (r *Router) presenceRequest(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	bare := st.To.Bare()
	ok, err := r.exists(ctx, bare)
	if err != nil {
		r.refuse(ctx, u, st, err)
		return
	}
	if !ok || t.reg.Presence == nil {
		r.o.Journal.Submit(u) // RFC 6121 §8.5.1: ignored
		return
	}
	// RFC 6121 §3.1.3, §4.3.2: whatever resource it names, the account answers. A subscription comes from the bare JID.
	from := st.From
	if subscriptionTypes[st.Type] {
		from = from.Bare()
	}
	t.reg.Presence.Inbound(ctx, u, st.With(from, bare))
}

// show delivers presence: to the resource, or to all that are available (RFC 6121 §8.5.2.1.2, §8.5.3.1). Without one it is dropped.
func (r *Router) show(st *stanza.Stanza) {
	r.push(context.Background(), st.Wire(), st.To)
}

// push puts a stanza that is not kept into the session of a full JID, or into all available ones of a bare JID; it returns into how many.
func (r *Router) push(ctx context.Context, w stanza.Wire, to jid.JID) int {
	n := 0
	if to.IsFull() {
		if r.o.Sessions.Push(to, session.Item{Wire: w, To: to}) {
			n = 1
		}
	} else {
		for _, s := range availableSessions(r.o.Sessions.Of(ctx, to)) {
			if r.o.Sessions.Push(s.JID, session.Item{Wire: w, To: to}) {
				n++
			}
		}
	}
	r.stats.delivered.Add(uint64(n))
	return n
}

// Multicast routes one presence or message that is not kept to many addresses (RFC 6121 §4.2.2): as Send to each of them, each in its
// place behind what is on its way to the same account, but serialised once.
func (r *Router) Multicast(ctx context.Context, st *stanza.Stanza, to []jid.JID) {
	t := r.table.Load()
	w := st.With(st.From, jid.JID{}).Wire()
	origin := event.OriginOf(ctx)
	for _, j := range to {
		u := journal.NewUnit(journal.AccountLane(j.Bare().String()))
		one := st.With(st.From, j)
		v := event.Routed{Stanza: one, Unit: u, Origin: origin}
		if err := r.o.Events.Route.Any.Decide(ctx, &v); err != nil {
			r.refuse(ctx, u, one, err)
			continue
		}
		if v.Stanza != one || !t.isAccount(j) {
			r.stats.count(st.Kind)
			r.dispatch(ctx, u, v.Stanza)
			continue
		}
		r.stats.count(st.Kind)
		u.After(r.lanes.of(j), func(err error) {
			if err == nil {
				r.push(context.Background(), w, j)
			}
		})
		r.o.Journal.Submit(u)
	}
}
