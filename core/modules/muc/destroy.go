package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// destroy ends a room (XEP-0045 §10.9); d is the owner's <destroy/>.
func (a *actor) destroy(in *inbound, d *xmlstream.Node) {
	shown, err := destroyNode(d)
	if err != nil {
		a.refuse(in, err)
		return
	}
	v := &event.RoomChange{Room: a.jid, By: in.st.From.Bare(), Unit: in.u}
	mark := in.u.Mark()
	if err := decide(a, &a.m.ev.Destroyed, v, nil); err != nil {
		a.abandon(in, mark, err)
		return
	}
	a.drop(in.u)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		a.end(shown)
		a.answer(in, nil)
		_ = a.m.ev.Destroyed.Committed(a.ctx, v)
	})
}

// end puts everybody out: one presence for each session, nothing about the others.
func (a *actor) end(shown *xmlstream.Node) {
	for _, o := range a.room.Occupants() {
		n := notice{o: o, typ: stanza.TypeUnavailable, aff: room.None, role: room.NoRole, destroy: shown}
		for _, s := range o.Sessions {
			a.departed(s)
			a.tellSelf(n, s)
		}
	}
	a.clear()
}

// clear forgets a room that is no more.
func (a *actor) clear() {
	a.room, a.ids = nil, nil
	a.hist, a.hear = history{}, audience{}
	a.requests, a.behind, a.slow, a.remote = nil, nil, nil, nil
	a.stopWaiting()
}

// destroyNode is what the occupants are told: an alternate venue with its password, and the reason.
func destroyNode(d *xmlstream.Node) (*xmlstream.Node, error) {
	out := xmlstream.NewNode(ns.MUCUser, "destroy")
	if s := d.Attr("jid"); s != "" {
		venue, err := jid.Parse(s)
		if err != nil {
			return nil, stanza.NewError(stanza.JIDMalformed, "the address of the other room is not valid")
		}
		out.SetAttr("jid", venue.String())
	}
	for _, name := range []string{"password", "reason"} {
		if c := d.Child(ns.MUCOwner, name); c != nil {
			out.AddNew(name).SetText(c.TextContent())
		}
	}
	return out, nil
}
