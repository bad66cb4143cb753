package muc

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// host is one domain that serves rooms.
type host struct {
	m    *Module
	spec HostSpec
}

var _ module.HostHandler = (*host)(nil)

// HandleStanza takes a stanza for the service, a room or an occupant. It runs in the sender's goroutine and does not wait.
func (h *host) HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if !st.To.HasLocal() {
		h.service(ctx, u, st)
		return
	}
	in := &inbound{u: u, st: st, h: h}
	run, class := h.m.dispatch.find(st)
	if run == nil {
		h.m.d.Journal.Submit(u)
		return
	}
	u.Lane = journal.RoomLane(st.To.Bare().String())
	h.m.post(h, st.To.Bare(), func(a *actor) { a.accept(task{class: class, in: in, run: run}) })
}

// service answers what is addressed to the host itself.
func (h *host) service(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	if q, ok := st.Query(); ok && st.IsRequest() {
		if answer := h.m.dispatch.service[iqKey{st.Type, q.Name()}]; answer != nil {
			h.m.d.Router.Route(ctx, u, st.Result(answer(h)))
			return
		}
	}
	if reply := st.ErrorReply(notHere()); reply != nil && st.Kind != stanza.Presence {
		h.m.d.Router.Route(ctx, u, reply)
		return
	}
	h.m.d.Journal.Submit(u)
}

func notHere() error {
	return stanza.NewError(stanza.ServiceUnavailable, "this is not offered here")
}
