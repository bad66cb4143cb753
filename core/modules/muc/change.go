package muc

import (
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// What a committed change of roles and affiliations does to the people in the room, and what they are told.

// carryOut applies the changes. Those who are put out are told at once, everybody else by the function that is returned.
func (a *actor) carryOut(o *orders) (tell func()) {
	var later []func()
	for _, r := range o.roles {
		if r.role == room.NoRole { // XEP-0045 §8.2
			later = append(later, a.remove(r.o, removal{status: []int{307}, reason: r.reason, actor: o.actor}))
			continue
		}
		a.keepVoice(r.o, r.role)
		later = append(later, func() { a.changeRole(r.o, r.role, r.reason, "") })
	}
	later = append(later, a.applyLists(o.lists, o.actor, !o.silent))
	return func() {
		for _, f := range later {
			f()
		}
	}
}

// applyAffiliations is applyLists and telling at once, without invitations.
func (a *actor) applyAffiliations(changes []room.AffiliationChange, actor room.Actor) {
	a.applyLists(changes, actor, false)()
}

// applyLists applies changes of the lists; with invite, people who have become members by them are invited.
func (a *actor) applyLists(changes []room.AffiliationChange, actor room.Actor, invite bool) (tell func()) {
	var invited []jid.JID
	var absent []absence
	if invite {
		invited = a.newMembers(changes)
		absent = a.absentees(changes)
	}
	effects := a.room.Apply(changes)
	if len(changes) > 0 {
		a.room.Version++
	}
	var later []func()
	for _, e := range effects {
		if e.Role == room.NoRole {
			later = append(later, a.remove(e.Occupant, removal{status: []int{e.Status}, reason: e.Change.Reason, actor: actor, listed: e.Change.Target}))
			continue
		}
		later = append(later, func() { a.changeRole(e.Occupant, e.Role, e.Change.Reason, e.Change.Target) })
	}
	return func() {
		for _, f := range later {
			f()
		}
		a.lockNicks(changes)
		a.tellOfAbsent(absent, invited, actor.Bare)
		for _, who := range invited {
			a.m.d.Router.Send(a.ctx, a.invitation("", who, actor.Bare, mucUser()))
		}
	}
}

// newMembers are those who are invited because they have become members of a members-only room and are not in it (XEP-0045 §9.5).
func (a *actor) newMembers(changes []room.AffiliationChange) []jid.JID {
	var out []jid.JID
	for _, c := range changes {
		who, err := jid.Parse(c.Target)
		if err != nil || !who.HasLocal() || !a.room.Config.MembersOnly || c.Affiliation != room.Member {
			continue
		}
		if _, known := a.room.Entry(who); !known && len(a.room.ByBare(who)) == 0 {
			out = append(out, who)
		}
	}
	return out
}

// changeRole gives an occupant a role (or shows a new affiliation, of whom listed names) and tells everybody: those who do not see the new role any more that she is
// gone, the others what she is now.
func (a *actor) changeRole(o *room.Occupant, role room.Role, reason, listed string) {
	if a.room.ByNick(o.Nick) != o {
		return // she has left in the same request
	}
	old := o.Role
	a.room.SetRole(o, role)
	a.hear.valid = false
	if role >= room.Participant {
		o.VoiceAsked = false
	}
	n := a.available(o)
	n.reason, n.listed = reason, listed
	for _, s := range o.Sessions {
		a.tellSelf(n, s)
	}
	if a.room.Config.Broadcasts(old) && !a.room.Config.Broadcasts(role) {
		a.hide(o)
	}
	a.tellOthers(n, role)
	if role == room.Moderator && old != room.Moderator && (!a.room.Config.NonAnonymous || len(a.room.Config.HiddenRoles) > 0) {
		a.reveal(o)
	}
	if role == room.Moderator && old != room.Moderator {
		a.askNew(o)
	}
}

// hide tells those who are not shown a role that the occupant is gone.
func (a *actor) hide(o *room.Occupant) {
	n := a.departure(o)
	h := a.audience()
	gone := without(without(h.all, h.mods), o.Sessions)
	if len(gone) > 0 {
		a.fan(n.stanza(a, jid.JID{}, false), gone)
	}
}

// reveal shows a new moderator what moderators see: real JIDs and hidden occupants (XEP-0045 §8, first privilege).
func (a *actor) reveal(o *room.Occupant) {
	var out []*packet
	for _, other := range a.room.Occupants() {
		if other != o {
			out = append(out, &a.shown(other).full)
		}
	}
	if len(out) == 0 {
		return
	}
	for _, s := range o.Sessions {
		a.burst(s, out)
	}
}

// statusMessage tells everybody of a change of the room as a whole (XEP-0045 §10.2.1).
func (a *actor) statusMessage(codes []int) {
	if len(codes) == 0 {
		return
	}
	x := mucUser()
	for _, c := range codes {
		x.AddNew("status", "code", strconv.Itoa(c))
	}
	st := stanza.NewMessage(stanza.TypeGroupchat, x)
	st.From, st.ID = a.jid, a.m.newID()
	a.fan(st, a.audience().all)
}
