package muc

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// privateFeature: private messages from one occupant to another (XEP-0045 §7.5).
func privateFeature(d *dispatch) {
	for _, typ := range []string{"", stanza.TypeNormal, stanza.TypeChat, stanza.TypeHeadline} {
		d.on(stanza.Message, true, typ, exclusive, (*actor).private)
	}
}

func (a *actor) private(in *inbound) {
	if a.room == nil {
		a.lookup(in, false, (*actor).noOccupant)
		return
	}
	from, to := a.room.BySession(in.st.From), a.room.ByNick(in.st.To.Resource())
	if err := a.room.MayWhisper(from, to); err != nil {
		a.refuse(in, err)
		return
	}
	st := in.st.Copy()
	// §7.5: the empty mark says that this is a private message; whatever the sender put into it is not passed on.
	st.Payload = a.sanitize(st.Payload).With(occupantIDNode(from.ID), mucUser())
	st.From = a.occupantJID(from.Nick)
	if to.Puppet {
		a.toPuppet(in, st, from, to)
		return
	}
	// §7.5: to all of the occupant's sessions. The router archives and keeps what is worth it; the first copy takes the unit along.
	u := in.u
	for _, s := range to.Sessions {
		copied := st.With(st.From, s)
		if u == nil {
			a.m.d.Router.Send(a.ctx, copied)
			continue
		}
		a.m.d.Router.Route(a.ctx, u, copied)
		u = nil
	}
}

// toPuppet gives a private message to the gateway of the puppet, if it takes it.
func (a *actor) toPuppet(in *inbound, st *stanza.Stanza, from, to *room.Occupant) {
	st.To = to.Bare
	rec := event.NewMessageRecord(in.u, a.m.d.IDs.Next(), st)
	v := &event.RoomPrivate{MessageRecord: rec, Room: a.jid, From: a.value(from, in.st.From), To: a.value(to, to.Bare)}
	err := decide(a, &a.m.ev.Private, v, nil)
	switch {
	case err == nil && !rec.Stored() && in.u.Empty():
		err = stanza.NewError(stanza.ServiceUnavailable, "this occupant cannot get private messages")
		fallthrough
	case err != nil && !errors.Is(err, event.Stop):
		a.refuse(in, err)
		return
	}
	a.stream(in.u, func(err error) {
		if err != nil {
			a.unsaid(in, err)
			return
		}
		_ = a.m.ev.Private.Committed(a.ctx, v)
	})
}
