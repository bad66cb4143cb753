package muc

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// inviteFeature: mediated invitations and their refusal (XEP-0045 §7.8.2). Direct ones (XEP-0249) do not come by the room.
func inviteFeature(d *dispatch) {
	d.messages[xmlstream.Name{Space: ns.MUCUser, Local: "x"}] = entry{exclusive, (*actor).mediate}
}

// maxInvites bounds the invitations of one stanza.
const maxInvites = 50

// mediate consumes what a person says to the room in its own namespace: invitations and declines; anything else in it is dropped.
func (a *actor) mediate(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	c, _ := in.st.Child(ns.MUCUser, "x")
	x := c.Node()
	var invites []*xmlstream.Node
	for n := range x.Children(ns.MUCUser, "invite") {
		invites = append(invites, n)
	}
	switch d := x.Child(ns.MUCUser, "decline"); {
	case len(invites) > maxInvites:
		a.refuse(in, stanza.NewError(stanza.PolicyViolation, "too many invitations at once"))
	case len(invites) > 0:
		a.invite(in, invites)
	case d != nil:
		a.decline(in, d)
	default:
		a.refuse(in, stanza.NewError(stanza.BadRequest, "neither an invitation nor a refusal of one"))
	}
}

func (a *actor) invite(in *inbound, nodes []*xmlstream.Node) {
	o := a.room.BySession(in.st.From)
	members, err := a.room.MayInvite(o)
	if err != nil {
		a.refuse(in, err)
		return
	}
	var out []*stanza.Stanza
	var changes []room.AffiliationChange
	for _, n := range nodes {
		who, err := a.invitee(n.Attr("to"))
		if err != nil {
			a.refuse(in, err)
			return
		}
		out = append(out, a.invitation(in.st.ID, who, o.Bare, n))
		if members && a.room.Affiliation(who) == room.None { // §9.5: whoever may invite into a members-only room makes members
			changes = append(changes, room.AffiliationChange{Target: who.Bare().String(), Affiliation: room.Member})
		}
	}
	err = a.room.CheckPlace(len(changes))
	if err == nil {
		err = a.welcomeMembers(in, o, changes)
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.commit(in.u, func(err error) {
		if err != nil {
			a.unsaid(in, err)
			return
		}
		a.applyAffiliations(changes, room.Actor{Bare: o.Bare, Nick: o.Nick})
		for _, st := range out {
			a.m.d.Router.Send(a.ctx, st)
		}
	})
}

// invitee reads the address of an invitation and finds out whether it can be invited.
func (a *actor) invitee(s string) (jid.JID, error) {
	who, err := jid.Parse(s)
	if err != nil || s == "" {
		return who, stanza.NewError(stanza.JIDMalformed, "the address to invite is not valid")
	}
	if a.room.Affiliation(who) == room.Outcast {
		return who, stanza.NewError(stanza.NotAllowed, "this person is banned from the room")
	}
	if who.HasLocal() && a.m.d.Hosts.IsAccountDomain(who.Domain()) { // §7.8.2: a non-existent address
		if _, err := a.m.d.Store.Accounts().Get(a.ctx, who.Bare().String()); errors.Is(err, storage.ErrNotFound) {
			return who, stanza.NewError(stanza.ItemNotFound, "there is no such person")
		}
	}
	return who, nil
}

// welcomeMembers adds the rows of people who become members by an invitation.
func (a *actor) welcomeMembers(in *inbound, o *room.Occupant, changes []room.AffiliationChange) error {
	mark := in.u.Mark()
	for _, c := range changes {
		target, err := jid.Parse(c.Target)
		if err != nil {
			return err
		}
		v := &event.RoomAffiliation{Room: a.jid, Actor: a.value(o, in.st.From), Target: target, Affiliation: c.Affiliation.String(),
			PreviousAffiliation: room.None.String(), Unit: in.u}
		if err := decide(a, &a.m.ev.Affiliation, v, nil); err != nil {
			in.u.Back(mark)
			var pe *event.PendingError
			if errors.As(err, &pe) {
				return stanza.NewError(stanza.NotAcceptable, "members of this room are added by an admin, not by an invitation")
			}
			return err
		}
	}
	if len(changes) > 0 {
		a.saveAffiliations(in.u, changes)
	}
	return nil
}

// invitation is what the invitee gets (§7.8.2).
func (a *actor) invitation(id string, to, from jid.JID, n *xmlstream.Node) *stanza.Stanza {
	inv := xmlstream.NewNode(ns.MUCUser, "invite", "from", from.String())
	for _, name := range []string{"reason", "continue"} {
		if c := n.Child(ns.MUCUser, name); c != nil {
			inv.Add(c.Clone())
		}
	}
	x := mucUser().Add(inv)
	if p := a.room.Config.Password; p != "" {
		x.Add(xmlstream.NewNode(ns.MUCUser, "password").SetText(p))
	}
	st := stanza.NewMessage("", x)
	if st.ID = id; id == "" {
		st.ID = a.m.newID()
	}
	return st.With(a.jid, to)
}

// decline tells an inviter that somebody does not come. Only people of the room can be told: it is no relay to others.
func (a *actor) decline(in *inbound, n *xmlstream.Node) {
	to, err := jid.Parse(n.Attr("to"))
	if err != nil || to.IsZero() {
		a.refuse(in, stanza.NewError(stanza.JIDMalformed, "the inviter's address is not valid"))
		return
	}
	var receivers []jid.JID
	if to.Bare() == a.jid {
		if o := a.room.ByNick(to.Resource()); o != nil {
			receivers = o.Sessions
		}
	} else {
		for _, o := range a.room.ByBare(to.Bare()) {
			receivers = append(receivers, o.Sessions...)
		}
		if len(receivers) == 0 && a.room.Affiliation(to) >= room.Member {
			receivers = []jid.JID{to.Bare()}
		}
	}
	if len(receivers) == 0 {
		a.refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such person in the room"))
		return
	}
	d := xmlstream.NewNode(ns.MUCUser, "decline", "from", in.st.From.Bare().String())
	if r := n.Child(ns.MUCUser, "reason"); r != nil {
		d.Add(r.Clone())
	}
	st := stanza.NewMessage("", mucUser().Add(d))
	if st.ID = in.st.ID; st.ID == "" {
		st.ID = a.m.newID()
	}
	for _, r := range receivers {
		a.m.d.Router.Send(a.ctx, st.With(a.jid, r))
	}
	a.m.d.Journal.Submit(in.u)
}
