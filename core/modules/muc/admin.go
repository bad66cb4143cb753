package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// adminFeature: the requests of moderators and admins (XEP-0045 §8, §9, §10.3 to §10.8), which are all one: read a list, or change items of it.
func adminFeature(d *dispatch) {
	d.onIQ(stanza.TypeGet, ns.MUCAdmin, "query", exclusive, (*actor).adminGet)
	d.onIQ(stanza.TypeSet, ns.MUCAdmin, "query", exclusive, func(a *actor, in *inbound) { a.adminSet(in) })
}

// adminGet reads the list that the item names (§8.5, §9.2, §9.5, §9.8, §10.5, §10.8).
func (a *actor) adminGet(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	item := in.query().Child(ns.MUCAdmin, "item")
	if item == nil {
		a.refuse(in, stanza.NewError(stanza.BadRequest, "name the list: an item with an affiliation or a role"))
		return
	}
	actor := a.room.ActorOf(in.st.From)
	q := xmlstream.NewNode(ns.MUCAdmin, "query")
	af, byAffiliation := room.ParseAffiliation(item.Attr("affiliation"))
	role, byRole := room.ParseRole(item.Attr("role"))
	var err error
	switch {
	case byAffiliation == byRole:
		err = stanza.NewError(stanza.BadRequest, "name either an affiliation or a role")
	case byAffiliation:
		if err = a.room.MayReadList(actor, af); err == nil {
			a.addAffiliated(q, af)
		}
	case role == room.NoRole:
		err = stanza.NewError(stanza.BadRequest, "there is no list of those who are not in the room")
	default:
		if err = a.room.MayReadRoles(actor, role); err == nil {
			a.addOccupants(q, role, actor)
		}
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.reply(in, in.st.Result(q))
}

// addAffiliated: §17.4: affiliation, jid and nick, but no role.
func (a *actor) addAffiliated(q *xmlstream.Node, af room.Affiliation) {
	for _, l := range a.room.List(af) {
		item := xmlstream.NewNode(ns.MUCAdmin, "item", "affiliation", af.String(), "jid", l.JID)
		if l.Nick != "" && af != room.Outcast {
			item.SetAttr("nick", l.Nick)
		}
		if l.Reason != "" {
			item.Add(xmlstream.NewNode(ns.MUCAdmin, "reason").SetText(l.Reason))
		}
		q.Add(item)
	}
}

// addOccupants: §17.4: nick, role, affiliation and the full JID, which moderators may see.
func (a *actor) addOccupants(q *xmlstream.Node, role room.Role, actor room.Actor) {
	for _, o := range a.room.Occupants() {
		if o.Role != role {
			continue
		}
		item := xmlstream.NewNode(ns.MUCAdmin, "item", "nick", o.Nick, "role", o.Role.String(),
			"affiliation", a.room.Affiliation(o.Bare).String())
		if a.room.Config.NonAnonymous || actor.Role == room.Moderator || actor.Affiliation >= room.Admin {
			item.SetAttr("jid", o.RealJID().String())
		}
		q.Add(item)
	}
}

// roleChange is one requested change of a role.
type roleChange struct {
	o      *room.Occupant
	role   room.Role
	reason string
}

// orders are the changes of one request.
type orders struct {
	actor  room.Actor
	by     event.Occupant
	lists  []room.AffiliationChange
	roles  []roleChange
	events []*event.RoomAffiliation
	next   int  // the event that is to be decided next
	silent bool // the person concerned has asked herself: nobody has to tell her
}

// adminSet changes roles and affiliations: all of the items or none (§9.2).
func (a *actor) adminSet(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	o, err := a.parseOrders(in)
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.order(in, o, nil)
}

// maxItems bounds the items of one request.
const maxItems = 1000

func (a *actor) parseOrders(in *inbound) (*orders, error) {
	o := &orders{actor: a.room.ActorOf(in.st.From)}
	o.by = event.Occupant{Room: a.jid, Nick: o.actor.Nick, Real: in.st.From, Affiliation: o.actor.Affiliation.String(), Role: o.actor.Role.String()}
	n := 0
	for item := range in.query().Children(ns.MUCAdmin, "item") {
		if n++; n > maxItems {
			return nil, stanza.NewError(stanza.PolicyViolation, "too many items at once")
		}
		if err := a.parseItem(o, item); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, stanza.NewError(stanza.BadRequest, "there is nothing to change")
	}
	return o, nil
}

func (a *actor) parseItem(o *orders, item *xmlstream.Node) error {
	reason := ""
	if r := item.Child(ns.MUCAdmin, "reason"); r != nil {
		reason = r.TextContent()
	}
	af, byAffiliation := room.ParseAffiliation(item.Attr("affiliation"))
	role, byRole := room.ParseRole(item.Attr("role"))
	switch {
	case byAffiliation == byRole: // §17.4: both, or neither
		return stanza.NewError(stanza.BadRequest, "an item changes either an affiliation or a role")
	case byRole:
		t := a.room.ByNick(item.Attr("nick"))
		if t == nil {
			return stanza.NewError(stanza.ItemNotFound, "there is no such occupant")
		}
		o.roles = append(o.roles, roleChange{t, role, reason})
		return nil
	}
	target, err := a.target(item)
	if err != nil {
		return err
	}
	c := room.AffiliationChange{Target: target, Affiliation: af, Reason: reason}
	if nick, ok := item.AttrOK("nick"); ok && item.Attr("jid") != "" {
		c.Nick = &nick // §9.5: a reserved nick; empty removes it
	}
	o.lists = append(o.lists, c)
	return nil
}

// target is whom an item is about: a bare JID (§10.3: the bare part of a full one), a domain, or by her nick.
func (a *actor) target(item *xmlstream.Node) (string, error) {
	if s := item.Attr("jid"); s != "" {
		j, err := jid.Parse(s)
		if err != nil {
			return "", stanza.NewError(stanza.JIDMalformed, "an item's address is not valid")
		}
		return j.Bare().String(), nil
	}
	// COMPAT(older clients): a ban by nick.
	if t := a.room.ByNick(item.Attr("nick")); t != nil {
		return t.Bare.String(), nil
	}
	return "", stanza.NewError(stanza.BadRequest, "an item needs an address")
}

// order checks and carries out; resumed is set when a guard's postponed decision on event next has been made.
func (a *actor) order(in *inbound, o *orders, resumed *event.PendingError) {
	if err := a.checkOrders(o); err != nil {
		a.refuse(in, err)
		return
	}
	if o.events == nil {
		o.events = a.eventsOf(o)
	}
	mark := in.u.Mark()
	for ; o.next < len(o.events); o.next++ {
		v := o.events[o.next]
		v.Unit = in.u
		err := decide(a, &a.m.ev.Affiliation, v, resumed)
		resumed = nil
		if a.postponed(in, err, func(a *actor, in *inbound, pe *event.PendingError) {
			if a.room == nil {
				a.noRoom(in)
				return
			}
			a.order(in, o, pe)
		}) {
			return
		}
		if err != nil {
			a.abandon(in, mark, err)
			return
		}
	}
	if len(o.lists) > 0 {
		a.saveAffiliations(in.u, o.lists)
	}
	a.saveVoices(in.u, o.roles)
	a.commit(in.u, func(err error) {
		if err != nil {
			a.answerFailure(in, err)
			return
		}
		tell := a.carryOut(o)
		a.answer(in, nil)
		tell()
		for _, v := range o.events {
			_ = a.m.ev.Affiliation.Committed(a.ctx, v)
		}
		a.vanish(&inbound{u: a.unit()})
	})
}

func (a *actor) checkOrders(o *orders) error {
	for _, r := range o.roles {
		if a.room.ByNick(r.o.Nick) != r.o {
			return stanza.NewError(stanza.ItemNotFound, "this occupant has left")
		}
		if err := a.room.CheckRole(o.actor, r.o, r.role); err != nil {
			return err
		}
	}
	return a.room.CheckAffiliations(o.actor, o.lists)
}

func (a *actor) eventsOf(o *orders) []*event.RoomAffiliation {
	var out []*event.RoomAffiliation
	for _, r := range o.roles {
		out = append(out, &event.RoomAffiliation{Room: a.jid, Actor: o.by, Target: r.o.Bare, Nick: r.o.Nick, Role: r.role.String(),
			Reason: r.reason, PreviousAffiliation: a.room.Affiliation(r.o.Bare).String()})
	}
	for _, c := range o.lists {
		target, err := jid.Parse(c.Target)
		if err != nil { // it was made of an address
			continue
		}
		out = append(out, &event.RoomAffiliation{Room: a.jid, Actor: o.by, Target: target, Affiliation: c.Affiliation.String(),
			Reason: c.Reason, PreviousAffiliation: a.room.Affiliation(target).String()})
	}
	return out
}

// answer sends the result of a request whose unit is committed.
func (a *actor) answer(in *inbound, payload *xmlstream.Node) {
	if in.st == nil || in.st.Kind != stanza.IQ {
		return
	}
	if payload == nil {
		a.send(in.st.Result())
		return
	}
	a.send(in.st.Result(payload))
}

// answerFailure tells that the unit of a request could not be committed.
func (a *actor) answerFailure(in *inbound, err error) {
	a.m.d.Log.Error("a change of a room could not be stored", "room", a.jid.String(), "err", err)
	if in.st == nil {
		return
	}
	if reply := in.st.ErrorReply(stored(err)); reply != nil {
		a.send(reply)
	}
}
