package gateway

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Scope is the scope of requests to the hosts of bridges.
const Scope module.Scope = "gateway"

// hostHandler takes what is addressed to a bridge's host or its puppets and is no request of the table.
type hostHandler struct{ b *Bridge }

// HandleStanza implements module.HostHandler.
func (h hostHandler) HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	var err error
	switch {
	case st.Kind == stanza.Presence:
		h.presence(ctx, u, st)
		return
	case st.Kind == stanza.IQ && st.IsRequest():
		err = stanza.NewError(stanza.ServiceUnavailable, "This request is not supported here.")
	case st.Kind == stanza.Message && st.To.HasLocal():
		err = h.b.toPuppet(ctx, u, st)
	case st.Kind == stanza.Message && st.Type != stanza.TypeError && st.Body() != "":
		h.b.m.d.Journal.Submit(u)
		h.b.chat(st)
		return
	default:
		h.b.m.d.Journal.Submit(u)
		return
	}
	if err == nil {
		return
	}
	if u.Submitted() {
		return
	}
	clean := journal.NewUnit(u.Lane)
	h.b.m.d.Journal.Submit(u)
	if reply := st.ErrorReply(stanza.AsError(err)); reply != nil {
		h.b.m.d.Router.Route(ctx, clean, reply)
	}
}

// presence answers subscriptions to puppets: remote people do not mind, and show what their network shows.
func (h hostHandler) presence(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	b := h.b
	row := storage.PutRow{Table: tableWatchers, Owner: st.To.Bare().String(), Key: st.From.Bare().String(), Value: []byte{}}
	switch st.Type {
	case stanza.TypeSubscribe:
		if !b.mayUse(st.From) {
			b.answer(ctx, u, st, stanza.TypeUnsubscribed)
			return
		}
		u.Add(row)
		u.After(direct{}, func(err error) {
			if err == nil {
				b.m.run(func(ctx context.Context) { b.subscribed(ctx, st) })
			}
		})
	case stanza.TypeUnsubscribe:
		u.Add(storage.DeleteRow{Table: row.Table, Owner: row.Owner, Key: row.Key})
		b.watchSoon()
		b.answer(ctx, u, st, stanza.TypeUnsubscribed)
		return
	case stanza.TypeProbe:
		b.m.run(func(ctx context.Context) { b.show(ctx, st.To.Bare(), st.From) })
	}
	b.m.d.Journal.Submit(u)
}

// subscribed answers a subscription once it is stored (RFC 6121 §3.1.5): yes, and how she is.
func (b *Bridge) subscribed(ctx context.Context, st *stanza.Stanza) {
	b.watchSoon()
	yes := stanza.NewPresence(stanza.TypeSubscribed)
	yes.From, yes.To = st.To.Bare(), st.From.Bare()
	b.m.d.Router.Send(ctx, yes)
	b.show(ctx, st.To.Bare(), st.From.Bare())
}

func (b *Bridge) answer(ctx context.Context, u *journal.Unit, st *stanza.Stanza, typ string) {
	no := stanza.NewPresence(typ)
	no.From, no.To = st.To.Bare(), st.From.Bare()
	b.m.d.Router.Route(ctx, u, no)
}

// show tells somebody how a puppet, or the bridge itself, is.
func (b *Bridge) show(ctx context.Context, who, to jid.JID) {
	if !who.HasLocal() {
		st := stanza.NewPresence("")
		if b.current() == nil {
			st = stanza.NewPresence(stanza.TypeUnavailable)
		}
		st.From, st.To = who, to
		b.m.d.Router.Send(ctx, st)
		return
	}
	q, err := b.puppetAt(ctx, who)
	if err != nil || q == nil {
		return
	}
	b.m.d.Router.Send(ctx, b.presenceStanza(q, to))
}

// puppetAt returns the puppet of an address, which may never have been seen.
func (b *Bridge) puppetAt(ctx context.Context, at jid.JID) (*puppet, error) {
	user, err := b.userAt(ctx, at)
	if err != nil {
		q, qerr := b.puppets.byJID(ctx, at)
		if qerr != nil || q == nil {
			return nil, err
		}
		return q, nil
	}
	q, err := b.puppets.known(ctx, user)
	if q != nil || err != nil {
		return q, err
	}
	i := b.current()
	if i == nil {
		return nil, stanza.NewError(stanza.RemoteServerTimeout, b.title()+" cannot be reached at the moment.")
	}
	info, err := i.remote.UserInfo(ctx, userInfoRequest(user))
	if err != nil {
		return nil, b.stanzaError(err)
	}
	info.ID = user
	return b.puppets.make(ctx, user, &info)
}

// registerHost adds the requests to the hosts of bridges.
func (m *Module) registerHost(r *module.Registrar) error {
	r.Feature(Scope, ns.Gateway, ns.Register, ns.VCard, ns.Commands, ns.DiscoInfo)
	r.Disco(Scope, discoSource{m})
	return r.IQ(
		module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.VCard, Local: "vCard", Handle: m.later(m.vcardRequest)},
		module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.Gateway, Local: "query", Handle: m.gatewayPrompt},
		module.IQRoute{Scope: Scope, Type: stanza.TypeSet, Space: ns.Gateway, Local: "query", Handle: m.later(m.gatewayResolve)},
		module.IQRoute{Scope: Scope, Type: stanza.TypeGet, Space: ns.Register, Local: "query", Handle: m.registration},
		module.IQRoute{Scope: Scope, Type: stanza.TypeSet, Space: ns.Register, Local: "query", Handle: m.later(m.register)},
		module.IQRoute{Scope: Scope, Type: stanza.TypeSet, Space: ns.Commands, Local: "command", Handle: m.later(m.command)},
	)
}

// later answers a request in a goroutine of its own: it asks the network, which nobody's stream waits for.
func (m *Module) later(h func(ctx context.Context, b *Bridge, req *module.Request) (*xmlstream.Node, error)) module.IQHandler {
	return func(_ context.Context, req *module.Request) (*xmlstream.Node, error) {
		b := m.byHost[req.IQ.To.Domain()]
		if b == nil {
			return nil, stanza.NewError(stanza.ItemNotFound, "There is no such bridge.")
		}
		// Somebody in a room asks from her place there; who may enter it was decided at the door.
		if !b.mayUse(req.IQ.From) && !m.d.Hosts.IsLocal(req.IQ.From.Domain()) {
			return nil, b.notAllowed()
		}
		req.Defer()
		m.d.Journal.Submit(req.Unit)
		iq := req.IQ
		started := m.run(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, m.o.Tune.JoinTimeout)
			defer cancel()
			n, err := h(ctx, b, req)
			reply := iq.ErrorReply(b.replyError(err))
			if err == nil {
				reply = iq.Result()
				if n != nil {
					reply = iq.Result(n)
				}
			}
			m.d.Router.Send(m.base, reply)
		})
		if !started {
			m.d.Router.Send(m.base, iq.ErrorReply(stanza.NewError(stanza.ServiceUnavailable, "The server is being stopped.")))
		}
		return nil, nil
	}
}

func (b *Bridge) replyError(err error) error {
	if err == nil {
		return nil
	}
	return b.stanzaError(err)
}

func (m *Module) vcardRequest(ctx context.Context, b *Bridge, req *module.Request) (*xmlstream.Node, error) {
	if !req.IQ.To.HasLocal() {
		v := xmlstream.NewNode(ns.VCard, "vCard")
		v.AddNew("FN").SetText(b.title())
		return v, nil
	}
	q, err := b.puppetAt(ctx, req.IQ.To.Bare())
	if err != nil {
		return nil, err
	}
	return b.vcard(ctx, q), nil
}
