package muc

import (
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// changeNick is presence of an occupant for another nick (XEP-0045 §7.6).
func (a *actor) changeNick(in *inbound, o *room.Occupant) {
	nick := in.st.To.Resource()
	if locked := a.room.LockedNick(in.st.From); locked != "" && locked != nick { // example 53
		a.refuse(in, &stanza.Error{Condition: stanza.NotAcceptable, Type: "cancel", Text: "in this room you have the nick that you have reserved"})
		return
	}
	if !o.Renames.Take(a.m.o.Renames, a.m.d.Clock.Now()) {
		a.refuse(in, &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "you change your nick too often"})
		return
	}
	displaced, err := a.room.CheckNick(in.st.From, nick)
	if err == nil {
		v := a.value(o, in.st.From)
		v.Nick = nick
		err = decide(a, &a.m.ev.Nick, &event.RoomJoin{Occupant: v, Stanza: in.st, Unit: in.u}, nil)
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.commit(in.u, func(err error) {
		if err != nil {
			a.send(in.st.ErrorReply(stored(err)))
			return
		}
		if displaced != nil {
			a.displace(displaced)
		}
		show := a.show(in.st.Payload)
		if len(o.Sessions) == 1 && a.room.ByNick(nick) == nil {
			o.SetPresence(show)
			a.rename(o, nick, in.st.ID)
		} else {
			a.splitNick(in, o, nick)
		}
		if now := a.room.BySession(in.st.From); now != nil {
			_ = a.m.ev.Nick.Committed(a.ctx, &event.RoomJoin{Occupant: a.value(now, in.st.From), Stanza: in.st})
		}
	})
}

// rename gives an occupant another nick: everybody is told that the old one is gone, with the new one, and then shown the new one.
func (a *actor) rename(o *room.Occupant, nick, id string) {
	n := a.renamed(o, o.Nick, nick)
	a.tellAll(n, o.Role)
	a.room.Rename(o, nick)
	now := a.available(o)
	now.id = id
	a.tellAll(now, o.Role)
}

// renamed is the notice that an old nick is gone and which one takes its place (status 303).
func (a *actor) renamed(o *room.Occupant, old, nick string) notice {
	return notice{o: o, nick: old, typ: stanza.TypeUnavailable, aff: a.room.Affiliation(o.Bare), role: o.Role,
		newNick: nick, status: []int{303}}
}

// splitNick moves one session of an occupant that has several, or that joins another session of the same person, to another nick: the
// occupant it leaves stays as long as it has sessions.
func (a *actor) splitNick(in *inbound, o *room.Occupant, nick string) {
	full, old, role := in.st.From, o.Nick, o.Role
	n := a.renamed(o, old, nick)
	n.real, n.skip = full, full
	_, last := a.room.Leave(full)
	a.hear.valid = false
	a.tellSelf(n, full)
	now, fresh := a.room.Enter(full, nick, role)
	a.hear.valid = false
	if last {
		a.tellOthers(n, role)
	}
	now.SetPresence(a.show(in.st.Payload))
	shown := a.available(now)
	shown.id = in.st.ID
	a.tellSelf(shown, full)
	if shown.id = ""; fresh {
		a.tellOthers(shown, role)
		return
	}
	for _, s := range slices.Clone(now.Sessions) {
		if s != full {
			a.tellSelf(shown, s)
		}
	}
	a.tellOthers(shown, role)
}

// displace makes a puppet give its nick to a person of this server or of another one: people win over puppets.
func (a *actor) displace(p *room.Occupant) {
	wanted := p.Nick
	taken := room.Nicks{}
	taken.Add(wanted)
	nick := a.room.FreeNick(p.Bare, taken, append(slices.Clone(p.Fallbacks), wanted)...)
	a.rename(p, nick, "")
	a.keepNick(p.Bare, wanted, nick)
}
