package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// packet is a stanza without "to" and its serialised form, made once when it is first needed and shared by all receivers.
type packet struct {
	st   *stanza.Stanza
	wire stanza.Wire
}

func (p *packet) serialised() stanza.Wire {
	if p.wire.IsZero() {
		p.wire = p.st.Wire()
	}
	return p.wire
}

// send delivers one stanza to the address that it names. Everything that a room tells somebody goes this way, so that it arrives in order.
func (a *actor) send(st *stanza.Stanza) {
	a.m.d.Router.Fanout(a.ctx, st, []jid.JID{st.To}, a.lost)
}

// fan delivers one stanza to many sessions.
func (a *actor) fan(st *stanza.Stanza, to []jid.JID) {
	if len(to) > 0 {
		a.m.d.Router.Fanout(a.ctx, st, to, a.lost)
	}
}

// burst delivers many stanzas to one session at once.
func (a *actor) burst(to jid.JID, packets []*packet) {
	if a.m.burs == nil {
		for _, p := range packets {
			a.m.d.Router.Fanout(a.ctx, p.st, []jid.JID{to}, a.lost)
		}
		return
	}
	sts, wires := make([]*stanza.Stanza, len(packets)), make([]stanza.Wire, len(packets))
	for i, p := range packets {
		sts[i], wires[i] = p.st, p.serialised()
	}
	a.m.burs.Burst(a.ctx, to, sts, wires, a.lost)
}

// lost is told of a receiver without a session; it may be called from any goroutine.
func (a *actor) lost(full jid.JID) {
	a.m.post(a.h, a.jid, func(b *actor) { b.accept(task{class: exclusive, run: func(b *actor, _ *inbound) { b.gone(full, "") }}) })
}

// audience holds the sessions of a room by what they are shown. It is rebuilt when it is needed after somebody left or changed.
type audience struct {
	valid bool
	full  []jid.JID // sees real JIDs
	anon  []jid.JID // does not
	mods  []jid.JID // is shown hidden roles too
	all   []jid.JID
}

func (a *actor) audience() *audience {
	if a.hear.valid {
		return &a.hear
	}
	a.hear = audience{valid: true}
	for _, o := range a.room.Occupants() {
		for _, s := range o.Sessions {
			a.hear.add(a.room, o, s)
		}
	}
	return &a.hear
}

func (h *audience) add(r *room.Room, o *room.Occupant, full jid.JID) {
	h.all = append(h.all, full)
	if r.SeesJIDs(o) {
		h.full = append(h.full, full)
	} else {
		h.anon = append(h.anon, full)
	}
	if o.Role == room.Moderator {
		h.mods = append(h.mods, full)
	}
}
