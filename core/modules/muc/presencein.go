package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// presenceFeature: entering, leaving, changing nick and availability (XEP-0045 §7.2, §7.6, §7.7, §7.14). Other types of presence mean nothing
// to a room (§17.3).
func presenceFeature(d *dispatch) {
	d.on(stanza.Presence, true, "", exclusive, (*actor).presence)
	d.on(stanza.Presence, false, "", immediate, refuseWith(stanza.NewError(stanza.JIDMalformed, "choose a nick: room/nick"))) // §7.2.1
	d.on(stanza.Presence, true, stanza.TypeUnavailable, exclusive, (*actor).unavailable)
	d.on(stanza.Presence, false, stanza.TypeUnavailable, exclusive, (*actor).unavailable)
}

// presence is available presence for room/nick.
func (a *actor) presence(in *inbound) {
	_, muc := in.st.Child(ns.MUC, "x")
	if a.room == nil {
		if !muc {
			a.notInRoom(in)
			return
		}
		a.lookup(in, true, (*actor).join)
		return
	}
	o := a.room.BySession(in.st.From)
	switch {
	case o == nil && muc:
		a.join(in)
	case o == nil:
		a.notInRoom(in)
	case o.Nick != in.st.To.Resource() && muc && a.room.LockedNick(in.st.From) == o.Nick:
		a.resync(in, o, 210) // she asks once more for the nick that she did not get
	case o.Nick != in.st.To.Resource():
		a.changeNick(in, o)
	case muc:
		a.resync(in, o)
	default:
		a.update(in, o)
	}
}

// notInRoom answers presence of somebody who believes to be in the room (XEP-0045 §7.2.18).
func (a *actor) notInRoom(in *inbound) {
	n := notice{o: &room.Occupant{Nick: in.st.To.Resource()}, typ: stanza.TypeUnavailable, aff: room.None, role: room.NoRole,
		reason: "You are not in the room.", status: []int{307, 333}}
	st := n.stanza(a, jid.JID{}, true)
	st.To, st.ID = in.st.From, in.st.ID
	st.Payload = st.Payload.Without(isOccupantID)
	a.reply(in, st)
}

// update is a change of availability (XEP-0045 §7.7).
func (a *actor) update(in *inbound, o *room.Occupant) {
	o.SetPresence(a.show(in.st.Payload))
	n := a.available(o)
	for _, s := range o.Sessions {
		n.id = ""
		if s == in.st.From {
			n.id = in.st.ID
		}
		a.tellSelf(n, s)
	}
	a.tellInTime(o)
	a.m.d.Journal.Submit(in.u)
	_ = a.m.ev.Presence.Fire(a.ctx, &event.RoomPresence{Occupant: a.value(o, in.st.From), Stanza: in.st})
}

// resync answers a join of somebody who is in the room already: she has lost track and gets everything again (XEP-0045 §7.2.1, §17.3). That is as much as
// for an entry, so it counts as one.
func (a *actor) resync(in *inbound, o *room.Occupant, codes ...int) {
	if err := a.countComing(in); err != nil {
		a.refuse(in, err)
		return
	}
	show := a.show(in.st.Payload)
	if show.String() != o.Presence.String() {
		o.SetPresence(show)
		for _, s := range without(o.Sessions, []jid.JID{in.st.From}) {
			a.tellSelf(a.available(o), s)
		}
		a.tellInTime(o)
	}
	j := a.joinOf(in)
	j.codes = codes
	a.welcome(o, in.st.From, j)
	a.m.d.Journal.Submit(in.u)
}

// value is an occupant as events show it; full is the session at hand, zero for the first.
func (a *actor) value(o *room.Occupant, full jid.JID) event.Occupant {
	if full.IsZero() {
		full = o.RealJID()
	}
	return event.Occupant{Room: a.jid, Nick: o.Nick, Real: full, ID: o.ID, Affiliation: a.room.Affiliation(o.Bare).String(),
		Role: o.Role.String(), Puppet: o.Puppet, Domain: o.Domain}
}
