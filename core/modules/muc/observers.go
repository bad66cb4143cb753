package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// What observers of a room's lists are told (XEP-0463 §5.2).

// versionItems bounds the items of one message.
const versionItems = 200

// version is how a number is shown: under the room's own cipher, so that nobody can make one up (XEP-0463 §6: past states are not disclosed to who was
// not there: whoever has a version has been given it).
func (a *actor) version(n int64) string { return a.ids.Encode(a.versionScope(), n) }

func (a *actor) versionScope() string { return "affiliations\x00" + a.jid.String() }

// sight is which lists somebody may read.
type sight map[room.Affiliation]bool

func (a *actor) sightOf(full jid.JID) sight {
	s := sight{}
	actor := a.room.ActorOf(full)
	for _, af := range []room.Affiliation{room.Outcast, room.Member, room.Admin, room.Owner} {
		if a.room.MayReadList(actor, af) == nil {
			s[af] = true
		}
	}
	return s
}

// item shows a change to somebody: what is out of her sight is no affiliation to her. nil: she sees nothing of it.
func (s sight) item(who string, was, is room.Affiliation) *xmlstream.Node {
	switch {
	case s[is]:
	case s[was]:
		is = room.None
	default:
		return nil
	}
	return xmlstream.NewNode(ns.MUCUser, "item", "jid", who, "affiliation", is.String())
}

// versionMessage is a message with items; since is "" in a full answer.
func (a *actor) versionMessage(since, until string, items []*xmlstream.Node) *stanza.Stanza {
	mav := xmlstream.NewNode(ns.MUCAffiliations, "mav")
	if since != "" {
		mav.SetAttr("since", since)
	}
	st := stanza.NewMessage("", mucUser().Add(mav.SetAttr("until", until)).Add(items...))
	st.From, st.ID = a.jid, a.m.newID()
	return st
}

// versionMessages splits what one message cannot hold. The versions between are nobody's: who has got a part only asks with a version that is not known
// and gets everything.
func (a *actor) versionMessages(since, until string, items []*xmlstream.Node) []*packet {
	var out []*packet
	for part := range slices.Chunk(items, versionItems) {
		to := until
		if len(out) < (len(items)-1)/versionItems {
			to = a.m.newID()
		}
		out = append(out, &packet{st: a.versionMessage(since, to, part)})
		since = to
	}
	if len(items) == 0 && since == "" { // §5.2.1: there is a full answer without items, and no such difference
		out = append(out, &packet{st: a.versionMessage("", until, nil)})
	}
	return out
}

// everything is all that somebody may read.
func (a *actor) everything(s sight) []*xmlstream.Node {
	var out []*xmlstream.Node
	for _, af := range []room.Affiliation{room.Owner, room.Admin, room.Member, room.Outcast} {
		if !s[af] {
			continue
		}
		for _, l := range a.room.List(af) {
			out = append(out, s.item(l.JID, room.None, af))
		}
	}
	return out
}

// versionsFor answers somebody who enters with a version, or asks for one (XEP-0463 §5.1, §5.2.1): what comes before all presence, and what her own
// presence says; mark is nil if she may not know.
func (a *actor) versionsFor(to jid.JID, j joining) (out []*packet, mark *xmlstream.Node) {
	delete(a.extra.lists.watch, to)
	if j.mav == nil {
		return nil, nil
	}
	s := a.sightOf(to)
	if len(s) == 0 { // §5.2.3
		se := &stanza.Error{Condition: stanza.Forbidden, By: a.jid.String()}
		return []*packet{{st: &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeError, ID: j.id, From: a.jid,
			Payload: xmlstream.NewFragment(se.Node())}}}, nil
	}
	until := a.extra.lists.now
	since, known := a.ids.Decode(a.versionScope(), j.mav.Attr("since"))
	items, partial, err := a.difference(to, s, since, known)
	switch {
	case err != nil:
		a.m.d.Log.Error("the changes of a room's lists could not be read", "room", a.jid.String(), "err", err)
		return nil, nil
	case !partial:
		out = a.versionMessages("", a.version(until), a.everything(s))
	case len(items) == 0: // nothing for her has changed: hers is as good
		until = since
	default:
		out = a.versionMessages(j.mav.Attr("since"), a.version(until), items)
	}
	a.extra.lists.note(to, until)
	return out, xmlstream.NewNode(ns.MUCAffiliations, "mav", "until", a.version(until))
}

// difference is what has changed for somebody since a version; partial is false if she has to get everything: her version is not known, or she
// herself has another affiliation since, and may read other lists.
func (a *actor) difference(who jid.JID, s sight, since int64, known bool) (items []*xmlstream.Node, partial bool, err error) {
	if !known {
		return nil, false, nil
	}
	log, ok, err := a.changesSince(since)
	if err != nil || !ok {
		return nil, false, err
	}
	items, own := seen(log, s, who)
	return items, !own, nil
}

// seen are the items of changes for somebody; own tells that she is among those who were changed.
func seen(log []listChange, s sight, who jid.JID) (items []*xmlstream.Node, own bool) {
	me := who.Bare().String()
	own = slices.ContainsFunc(log, func(c listChange) bool { return c.JID == me })
	for _, c := range sum(log) {
		if n := s.item(c.JID, c.Was, c.Is); n != nil {
			items = append(items, n)
		}
	}
	return items, own
}

// group is observers who have the same version, and what a stanza that shows a change says to them.
type group struct {
	mark *xmlstream.Node
	to   []jid.JID
}

// marked divides those who are about to be shown a change of somebody's affiliation (XEP-0463 §5.2.2): rest gets it as it is, each group with the versions
// before and after it, which are its own from then on. A stanza can carry them only if there is nothing before this change that the observer has not
// been told; otherwise, and if it is about herself, she gets a message afterwards (tellVersions).
func (a *actor) marked(target string, to []jid.JID) (groups []group, rest []jid.JID) {
	l := &a.extra.lists
	i := slices.IndexFunc(l.fresh, func(c listChange) bool { return c.JID == target })
	if i < 0 || len(l.watch) == 0 {
		return nil, to
	}
	c := l.fresh[i]
	by := map[int64]int{}
	for _, full := range to {
		has, ok := l.watch[full]
		if !ok || !a.nextFor(full, has, l.fresh[:i], c) {
			rest = append(rest, full)
			continue
		}
		at, known := by[has]
		if !known {
			at = len(groups)
			by[has] = at
			groups = append(groups, group{mark: xmlstream.NewNode(ns.MUCAffiliations, "mav", "since", a.version(has), "until", a.version(c.n))})
		}
		groups[at].to = append(groups[at].to, full)
		l.watch[full] = c.n
	}
	return groups, rest
}

// nextFor tells whether a change is the next one that an observer is to be told of.
func (a *actor) nextFor(full jid.JID, has int64, before []listChange, c listChange) bool {
	if c.n <= has || c.JID == full.Bare().String() {
		return false
	}
	s := a.sightOf(full)
	for _, b := range before {
		if b.n > has && s.item(b.JID, b.Was, b.Is) != nil {
			return false
		}
	}
	return s[c.Is] || s[c.Was] && c.Is == room.None // what she is shown is what her lists say
}

// awaits tells whether an observer will be told of a change of somebody's affiliation by a message.
func (a *actor) awaits(full jid.JID, target string) bool {
	has, ok := a.extra.lists.watch[full]
	return ok && slices.ContainsFunc(a.extra.lists.fresh, func(c listChange) bool {
		return c.JID == target && c.n > has && a.sightOf(full).item(c.JID, c.Was, c.Is) != nil
	})
}

// tellVersions tells the observers of changes that are in force by messages, if no other stanza has done so (XEP-0463 §5.2.2).
func (a *actor) tellVersions(log []listChange) {
	if a.room == nil {
		return
	}
	last := log[len(log)-1].n
	a.extra.lists.fresh = slices.DeleteFunc(a.extra.lists.fresh, func(c listChange) bool { return c.n <= last })
	for full, has := range a.extra.lists.watch {
		news := slices.DeleteFunc(slices.Clone(log), func(c listChange) bool { return c.n <= has })
		if len(news) == 0 {
			continue // she has entered since
		}
		s := a.sightOf(full)
		items, own := seen(news, s, full)
		var out []*packet
		switch {
		case len(s) == 0:
			delete(a.extra.lists.watch, full)
			continue
		case own:
			out = a.versionMessages("", a.version(last), a.everything(s))
		case len(items) > 0:
			out = a.versionMessages(a.version(has), a.version(last), items)
		default:
			continue
		}
		a.extra.lists.watch[full] = last
		a.burst(full, out)
	}
}
