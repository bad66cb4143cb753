package muc

import (
	"context"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// unavailable is somebody leaving (XEP-0045 §7.14). From somebody who is not in the room it is ignored (§17.3).
func (a *actor) unavailable(in *inbound) {
	var o *room.Occupant
	if a.room != nil {
		o = a.room.BySession(in.st.From)
	}
	if o == nil {
		a.m.d.Journal.Submit(in.u)
		return
	}
	n := a.departure(o)
	n.show, n.id = onlyStatus(a.show(in.st.Payload)), in.st.ID
	left := event.RoomLeft{Gone: a.m.offline(in.st.From)}
	a.leave(in, in.st.From, n, left)
}

// offline tells whether a session of this server is over or says good-bye to everybody, not to this room.
func (m *Module) offline(full jid.JID) bool {
	if !m.d.Hosts.IsAccountDomain(full.Domain()) {
		return false
	}
	info, ok := m.d.Sessions.Get(m.base, full)
	return !ok || !info.Available
}

// onlyStatus keeps the exit message of a presence.
func onlyStatus(f xmlstream.Fragment) xmlstream.Fragment {
	return f.Without(func(c xmlstream.Child) bool { return !c.Is(ns.Client, "status") })
}

// leave removes one session. in carries the unit; its stanza may be nil.
func (a *actor) leave(in *inbound, full jid.JID, n notice, left event.RoomLeft) {
	value := a.value(n.o, full)
	o, last := a.room.Leave(full)
	a.hear.valid = false
	a.departed(full)
	n.real = full
	if a.room.Config.Locked && a.room.Len() == 0 { // §10.1.3: the room goes with the owner who has not configured it
		n.destroy = xmlstream.NewNode(ns.MUCUser, "destroy")
	}
	if !n.over {
		a.tellSelf(n, full)
	}
	if last {
		a.tellOthers(n, o.Role)
	}
	left.Occupant, left.Last = value, len(a.room.ByBare(o.Bare)) == 0
	a.fireLeft(left, n)
	a.vanish(in)
}

// fireLeft tells modules of a departure.
func (a *actor) fireLeft(left event.RoomLeft, n notice) {
	left.Status, left.Reason = slices.Clone(n.status), n.reason
	_ = a.m.ev.Left.Fire(a.ctx, &left)
}

// vanish ends the unit of a departure; a temporary room that is empty now goes with it (XEP-0045 §7.14, last note).
func (a *actor) vanish(in *inbound) {
	if a.room == nil || a.room.Len() > 0 || !temporary(a.room.Config) {
		a.m.d.Journal.Submit(in.u)
		return
	}
	a.drop(in.u)
	_ = decide(a, &a.m.ev.Destroyed, &event.RoomChange{Room: a.jid, Unit: in.u}, nil)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.m.d.Log.Error("a temporary room could not be removed", "room", a.jid.String(), "err", err)
			return
		}
		a.clear()
		_ = a.m.ev.Destroyed.Committed(a.ctx, &event.RoomChange{Room: a.jid})
	})
}

// removal says how somebody is put out of a room.
type removal struct {
	status []int
	reason string
	actor  room.Actor
	listed string            // whose change of affiliation this is, if it is one
	aff    *room.Affiliation // shown; nil: as it is
}

// remove puts an occupant with all its sessions out of the room. She is told at once; the others by the function that is returned, because the
// moderator's answer goes between (XEP-0045 §8.2).
func (a *actor) remove(o *room.Occupant, r removal) (tell func()) {
	n := a.departure(o, r.status...)
	n.reason, n.actor, n.listed = r.reason, r.actor.Nick, r.listed
	if r.aff != nil {
		n.aff = *r.aff
	}
	value := a.value(o, jid.JID{})
	n.real = o.RealJID()
	a.room.Remove(o)
	a.hear.valid = false
	for _, s := range o.Sessions {
		a.departed(s)
		a.tellSelf(n, s)
	}
	last := len(a.room.ByBare(o.Bare)) == 0
	return func() {
		a.tellOthers(n, o.Role)
		a.fireLeft(event.RoomLeft{Occupant: value, Actor: r.actor.Bare, Last: last}, n)
	}
}

// gone removes a session that is no more: it ended without a word, or cannot be reached. why is the error's condition, "" if it just ended.
func (a *actor) gone(full jid.JID, why stanza.Condition) {
	if a.room == nil {
		return
	}
	o := a.room.BySession(full)
	if o == nil {
		return
	}
	n := a.departure(o)
	if n.over = why == ""; !n.over {
		n.status = []int{333} // XEP-0045 §11.1
	}
	a.leave(&inbound{u: a.unit()}, full, n, event.RoomLeft{Gone: true})
}

// sessionClosed is told of every session of this server that is over for good.
func (m *Module) sessionClosed(_ context.Context, v *event.SessionClosed) error {
	full := v.Info.JID
	for _, at := range m.joined.of(full) {
		h := m.hosts[at.Domain()]
		m.post(h, at, func(a *actor) {
			a.accept(task{class: exclusive, run: func(a *actor, _ *inbound) { a.gone(full, "") }})
		})
	}
	return nil
}
