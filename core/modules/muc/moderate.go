package muc

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// moderateFeature: a moderator retracts somebody's message (XEP-0425), in the two forms that clients use.
func moderateFeature(d *dispatch) {
	d.onIQ(stanza.TypeSet, ns.Moderate, "moderate", exclusive, func(a *actor, in *inbound) { a.moderate(in, nil) })
	d.onIQ(stanza.TypeSet, ns.Fasten, "apply-to", exclusive, func(a *actor, in *inbound) { a.moderate(in, nil) })
}

// moderation reads the request: which message and why.
func moderation(q *xmlstream.Node) (id, reason string, ok bool) {
	m, retract := q, ns.Retract
	if q.Name.Space == ns.Fasten {
		m, retract = q.Child(ns.ModerateOld, "moderate"), ns.RetractOld
	}
	if m == nil || m.Child(retract, "retract") == nil {
		return "", "", false
	}
	if r := m.Child(m.Name.Space, "reason"); r != nil {
		reason = r.TextContent()
	}
	return q.Attr("id"), reason, true
}

func (a *actor) moderate(in *inbound, resumed *event.PendingError) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	who := a.room.ActorOf(in.st.From)
	if who.Role != room.Moderator {
		a.refuse(in, stanza.NewError(stanza.Forbidden, "only moderators may do this")) // XEP-0425 §3
		return
	}
	text, reason, ok := moderation(in.query())
	if !ok {
		a.refuse(in, stanza.NewError(stanza.BadRequest, "this cannot be done to a message"))
		return
	}
	id, ok := a.ids.Decode(a.jid.String(), text)
	if !ok {
		a.refuse(in, noSuchMessage())
		return
	}
	by := a.room.ByNick(who.Nick)
	mark := in.u.Mark()
	v := &event.RoomModeration{Room: a.jid, Actor: a.value(by, in.st.From), Target: storage.MessageID(id), Reason: reason, Unit: in.u}
	err := decide(a, &a.m.ev.Moderate, v, resumed)
	if a.postponed(in, err, (*actor).moderate) {
		return
	}
	if err == nil {
		err = a.retract(in, withdrawal{id: v.Target, by: by, moderated: true, reason: v.Reason, done: func(err error) {
			if err != nil {
				a.answerFailure(in, err)
				return
			}
			a.answer(in, nil)
			_ = a.m.ev.Moderate.Committed(a.ctx, v)
		}})
	}
	if errors.Is(err, storage.ErrNotFound) {
		err = noSuchMessage()
	}
	if err != nil {
		a.abandon(in, mark, err)
	}
}

func noSuchMessage() error {
	return stanza.NewError(stanza.ItemNotFound, "there is no such message in this room")
}
