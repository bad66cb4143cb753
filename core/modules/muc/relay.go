package muc

import (
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// relayFeature: requests from one occupant to another (XEP-0045 §17.4), and the ping to oneself (XEP-0410).
func relayFeature(d *dispatch) {
	d.on(stanza.IQ, true, stanza.TypeGet, immediate, (*actor).relay)
	d.on(stanza.IQ, true, stanza.TypeSet, immediate, (*actor).relay)
}

// relayTimeout is how long an occupant may take to answer another's request.
const relayTimeout = time.Minute

func (a *actor) relay(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	from, to := a.room.BySession(in.st.From), a.room.ByNick(in.st.To.Resource())
	q, _ := in.st.Query()
	name := q.Name()
	switch {
	case from == nil && name.Space == ns.DiscoInfo, from == nil && name.Space == ns.DiscoItems:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "you are not in this room")) // §6.6
	case from == nil: // XEP-0410 §3.2: this tells the client that it is not in the room any more
		a.refuse(in, stanza.NewError(stanza.NotAcceptable, "you are not in this room"))
	case to == nil:
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such occupant"))
	case to == from && name.Space == ns.Ping && in.st.Type == stanza.TypeGet: // XEP-0410 §3.3: answered here
		a.reply(in, in.st.Result())
	default:
		a.pass(in, from, to)
	}
}

// pass sends a request on under the sender's occupant JID, so that neither learns the other's address, and brings the answer back.
func (a *actor) pass(in *inbound, from, to *room.Occupant) {
	q, _ := in.st.Query()
	receiver := to.RealJID()
	if q.Is(ns.VCard, "vCard") || q.Is(ns.PubSub, "pubsub") {
		receiver = to.Bare // what an account answers, not a client
	}
	if to.Puppet && !q.Is(ns.VCard, "vCard") {
		a.refuse(in, notHere())
		return
	}
	request := in.st.With(a.occupantJID(from.Nick), receiver)
	a.m.d.Journal.Submit(in.u)
	a.pending++
	a.m.d.Router.Request(a.ctx, request, relayTimeout, a.q, func(answer *stanza.Stanza) {
		defer a.rest()
		a.pending--
		back := answer.With(in.st.To, in.st.From)
		back.ID = in.st.ID
		if e := answer.ErrorFrom(); e != nil { // an error may name the real address
			e.By, e.Cause = "", nil
			back = in.st.ErrorReply(e)
		}
		a.sendBack(back, in.st.From)
	})
}

// sendBack delivers an answer if its asker is still in the room.
func (a *actor) sendBack(st *stanza.Stanza, to jid.JID) {
	if a.room != nil && a.room.BySession(to) != nil {
		a.send(st)
	}
}
