package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What a change of affiliations means for people who are not in the room, and for nicks.

// absence is a changed affiliation of somebody who is not in the room.
type absence struct {
	who jid.JID
	now room.Affiliation
}

// maxAbsent bounds of how many such changes of one request people are told.
const maxAbsent = 50

// absentees are those whose affiliation a request is about to change while they are not in the room.
func (a *actor) absentees(changes []room.AffiliationChange) []absence {
	var out []absence
	for _, c := range changes {
		who, err := jid.Parse(c.Target)
		if err != nil || !who.HasLocal() || len(out) == maxAbsent {
			continue
		}
		if len(a.room.ByBare(who)) == 0 && a.room.Affiliation(who) != c.Affiliation {
			out = append(out, absence{who, c.Affiliation})
		}
	}
	return out
}

// tellOfAbsent tells the occupants who see real addresses (XEP-0045 examples 176, 190, 195) and, with status 101, the people themselves (§18.1)
// unless they have been invited by it or have done it themselves.
func (a *actor) tellOfAbsent(list []absence, invited []jid.JID, by jid.JID) {
	for _, v := range list {
		item := xmlstream.NewNode(ns.MUCUser, "item", "affiliation", v.now.String(), "jid", v.who.String(), "role", room.NoRole.String())
		a.tellAbsence(v.who.String(), item)
		if d := v.who.Domain(); v.who == by || slices.Contains(invited, v.who) || a.m.d.Hosts.IsLocal(d) && !a.m.d.Hosts.IsAccountDomain(d) {
			continue // an invitation says it too; a bridge's people are told on their network
		}
		own := item.Clone()
		x := mucUser().Add(own)
		x.AddNew("status", "code", "101")
		told := stanza.NewMessage("", x)
		told.ID = a.m.newID()
		a.m.d.Router.Send(a.ctx, told.With(a.jid, v.who))
	}
}

// tellAbsence tells those who see real addresses. Observers of the lists' versions get them in the same message (XEP-0463 §5.2.2), or in one that
// follows (tellVersions), but not twice.
func (a *actor) tellAbsence(who string, item *xmlstream.Node) {
	message := func(x *xmlstream.Node) *stanza.Stanza {
		st := stanza.NewMessage("", x.Add(item.Clone()))
		st.From, st.ID = a.jid, a.m.newID()
		return st
	}
	groups, rest := a.marked(who, a.audience().full)
	for _, g := range groups {
		a.fan(message(mucUser().Add(g.mark)), g.to)
	}
	if len(a.extra.lists.fresh) > 0 && len(a.extra.lists.watch) > 0 {
		rest = slices.DeleteFunc(slices.Clone(rest), func(full jid.JID) bool { return a.awaits(full, who) })
	}
	if len(rest) > 0 {
		a.fan(message(mucUser()), rest)
	}
}

// lockNicks gives the people of a change the nicks that they have reserved, if the room insists on them (§7.10, status 210), and drops the
// requests that the change has settled.
func (a *actor) lockNicks(changes []room.AffiliationChange) {
	for _, c := range changes {
		if a.requests != nil && c.Affiliation != room.None {
			a.requests.remove(c.Target)
		}
		who, err := jid.Parse(c.Target)
		if err != nil {
			continue
		}
		for _, o := range slices.Clone(a.room.ByBare(who)) {
			a.lockNick(o)
		}
	}
}

// lockAllNicks does so for everybody: the room has just begun to insist.
func (a *actor) lockAllNicks() {
	for _, o := range slices.Clone(a.room.Occupants()) {
		a.slowly(func() { a.lockNick(o) })
	}
}

// lockNick renames one occupant to her reserved nick; a puppet that has it gives way.
func (a *actor) lockNick(o *room.Occupant) {
	if a.room == nil || o.Puppet || a.room.ByNick(o.Nick) != o {
		return
	}
	nick := a.room.LockedNick(o.Bare)
	if nick == "" || nick == o.Nick {
		return
	}
	displaced, err := a.room.CheckNick(o.RealJID(), nick)
	if err != nil || displaced == nil && a.room.ByNick(nick) != nil {
		return // somebody has it: she gets it the next time
	}
	if displaced != nil {
		a.displace(displaced)
	}
	n := a.renamed(o, o.Nick, nick)
	a.tellAll(n, o.Role)
	a.room.Rename(o, nick)
	now := a.available(o)
	now.status = []int{210}
	a.tellAll(now, o.Role)
}
