package muc

import (
	"slices"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// notice is a presence of an occupant as the room shows it: once with and once without the real JID.
type notice struct {
	o    *room.Occupant
	nick string // "from"; "": the occupant's nick
	typ  string
	id   string // for the occupant's own copy only (XEP-0045 §7.2.2)
	show xmlstream.Fragment
	real jid.JID // shown to those who may see it; zero: the occupant's
	over bool    // the session itself is no more: whoever has its address now is not told
	skip jid.JID // one more session that is not among the others

	aff     room.Affiliation
	role    room.Role
	newNick string // of a 303
	reason  string
	actor   string // nick of who did it
	status  []int  // for everybody
	own     []int  // for the occupant's own sessions, besides 110
	destroy *xmlstream.Node
	mark    *xmlstream.Node // versions of the lists (XEP-0463), for those who are sent this
	listed  string          // whose affiliation has changed, if this shows it
}

// available is the notice of what an occupant shows now.
func (a *actor) available(o *room.Occupant) notice {
	return notice{o: o, show: o.Presence, aff: a.room.Affiliation(o.Bare), role: o.Role}
}

// departure is the notice of an occupant that is no longer in the room.
func (a *actor) departure(o *room.Occupant, status ...int) notice {
	return notice{o: o, typ: stanza.TypeUnavailable, aff: a.room.Affiliation(o.Bare), role: room.NoRole, status: status}
}

// stanza builds the notice for a class of viewers. real is the JID that is shown, zero for none; own adds what only its own session is told.
func (n *notice) stanza(a *actor, real jid.JID, own bool) *stanza.Stanza {
	nick := n.nick
	if nick == "" {
		nick = n.o.Nick
	}
	item := xmlstream.NewNode(ns.MUCUser, "item", "affiliation", n.aff.String(), "role", n.role.String())
	if !real.IsZero() {
		item.SetAttr("jid", real.String())
	}
	if n.newNick != "" {
		item.SetAttr("nick", n.newNick)
	}
	if n.actor != "" {
		item.Add(xmlstream.NewNode(ns.MUCUser, "actor", "nick", n.actor))
	}
	if n.reason != "" {
		item.Add(xmlstream.NewNode(ns.MUCUser, "reason").SetText(n.reason))
	}
	x := mucUser()
	if n.mark != nil {
		x.Add(n.mark)
	}
	x.Add(item)
	if n.destroy != nil {
		x.Add(n.destroy)
	}
	codes := n.status
	if own {
		codes = append(append(slices.Clone(codes), 110), n.own...)
		slices.Sort(codes)
	}
	for _, c := range codes {
		x.AddNew("status", "code", strconv.Itoa(c))
	}
	st := &stanza.Stanza{Kind: stanza.Presence, Type: n.typ, From: a.occupantJID(nick),
		Payload: n.show.With(occupantIDNode(n.o.ID), x)}
	if n.typ == "" {
		st.Payload = a.m.dispatch.wear(a, n.o, st.Payload)
	}
	if own {
		st.ID = n.id
	}
	return st
}

// occupantJID returns room/nick. The nick has been an address's resource before.
func (a *actor) occupantJID(nick string) jid.JID {
	j, err := a.jid.WithResource(nick)
	if err != nil {
		return a.jid
	}
	return j
}

// tellOthers shows the notice to everybody but the occupant's own sessions: one serialisation for those who see real JIDs and one for the
// others. An occupant of a role that is not broadcast is shown to moderators only (muc#roomconfig_presencebroadcast).
func (a *actor) tellOthers(n notice, role room.Role) {
	h := a.audience()
	full, anon := h.full, h.anon
	if !a.room.Config.Broadcasts(role) {
		full, anon = h.mods, nil
	}
	own := n.o.Sessions
	if !n.skip.IsZero() {
		own = append(slices.Clone(own), n.skip)
	}
	full, anon = without(full, own), without(anon, own)
	if n.listed == n.o.Bare.String() {
		full = a.tellObservers(n, full)
	}
	if plain := n.plain(); plain {
		c := a.shown(n.o)
		a.fan(c.full.st, full)
		a.fan(c.anon.st, anon)
		return
	}
	if len(full) > 0 {
		a.fan(n.stanza(a, n.shownJID(), false), full)
	}
	if len(anon) > 0 {
		a.fan(n.stanza(a, jid.JID{}, false), anon)
	}
}

// tellObservers shows a change of an affiliation to those who see the versions of the lists in it, and returns the others.
func (a *actor) tellObservers(n notice, full []jid.JID) (rest []jid.JID) {
	groups, rest := a.marked(n.listed, full)
	for _, g := range groups {
		n.mark = g.mark
		a.fan(n.stanza(a, n.shownJID(), false), g.to)
	}
	return rest
}

// shownJID is the real address that is shown to those who may see it.
func (n *notice) shownJID() jid.JID {
	if n.real.IsZero() {
		return n.o.RealJID()
	}
	return n.real
}

// tellSelf shows the notice to one of the occupant's own sessions.
func (a *actor) tellSelf(n notice, to jid.JID) {
	a.send(n.self(a, to))
}

// self is the notice as the occupant's own session gets it. It may always see its own JID.
func (n *notice) self(a *actor, to jid.JID) *stanza.Stanza {
	st := n.stanza(a, to, true)
	st.To = to
	return st
}

// tellAll shows the notice to the occupant's own sessions and then to the others.
func (a *actor) tellAll(n notice, role room.Role) {
	for _, s := range n.o.Sessions {
		a.tellSelf(n, s)
	}
	a.tellOthers(n, role)
}

// plain tells whether the notice shows nothing but the occupant as she is: then it is made once for all.
func (n *notice) plain() bool {
	return n.typ == "" && n.nick == "" && n.newNick == "" && n.reason == "" && n.actor == "" && len(n.status) == 0 && n.destroy == nil
}

// shownAs is the presence of an occupant, built once: with her real JID and without.
type shownAs struct{ full, anon packet }

// shown returns what everybody who enters is shown of an occupant.
func (a *actor) shown(o *room.Occupant) *shownAs {
	if c, ok := o.Cache.(*shownAs); ok {
		return c
	}
	n := a.available(o)
	c := &shownAs{full: packet{st: n.stanza(a, o.RealJID(), false)}, anon: packet{st: n.stanza(a, jid.JID{}, false)}}
	o.Cache = c
	return c
}

// without returns the list less some sessions, the list itself if none is in it.
func without(list, drop []jid.JID) []jid.JID {
	if len(drop) == 0 || !slices.ContainsFunc(list, func(j jid.JID) bool { return slices.Contains(drop, j) }) {
		return list
	}
	out := make([]jid.JID, 0, len(list))
	for _, j := range list {
		if !slices.Contains(drop, j) {
			out = append(out, j)
		}
	}
	return out
}

func occupantIDNode(id string) *xmlstream.Node {
	return xmlstream.NewNode(ns.OccupantID, "occupant-id", "id", id)
}
