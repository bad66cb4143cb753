package muc

import (
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// lookup finds out about a room that does not exist: a gateway may make it or say where it is (event.MUC.Lookup). Then then goes on, with a
// room or without. While a gateway asks the remote side, everything for this address waits.
func (a *actor) lookup(in *inbound, joining bool, then handler) {
	a.look(in, &event.RoomLookup{Room: a.jid, Asker: in.st.From, Joining: joining}, nil, then)
}

func (a *actor) look(in *inbound, v *event.RoomLookup, resumed *event.PendingError, then handler) {
	err := decide(a, &a.m.ev.Lookup, v, resumed)
	var pe *event.PendingError
	if !errors.As(err, &pe) {
		a.found(in, err, then)
		return
	}
	if in.st.Kind != stanza.Message {
		a.m.d.Journal.Submit(in.u)
		in.u = a.unit()
	}
	a.barrier++
	a.looking = true
	a.ask(pe, func(err error) {
		a.looking = false
		a.release(in, func() {
			if err != nil {
				a.found(in, err, then)
				return
			}
			a.look(in, v, pe, then)
		})
	})
	a.drain()
}

func (a *actor) found(in *inbound, err error, then handler) {
	if err != nil {
		a.refuse(in, err)
		return
	}
	then(a, in)
}

// noRoom refuses a stanza for a room that does not exist (XEP-0045 §7.2.11, §17.2).
func (a *actor) noRoom(in *inbound) {
	a.refuse(in, stanza.NewError(stanza.ItemNotFound, "there is no such room"))
}

// mayCreate decides on who creates rooms (XEP-0045 §10.1.1).
func (a *actor) mayCreate(in *inbound) error {
	switch {
	case a.h.spec.Origin != "":
		return stanza.NewError(stanza.ItemNotFound, "there is no such room on the other side")
	case a.m.o.Create == CreateNobody, a.m.o.Create == CreateLocal && !a.m.d.Hosts.IsAccountDomain(in.st.From.Domain()):
		return stanza.NewError(stanza.NotAllowed, "you may not create rooms here")
	}
	return nil
}

// create makes a room for the person who enters it first (XEP-0045 §10.1): locked until she has configured it.
func (a *actor) create(in *inbound) {
	if err := a.mayCreate(in); err != nil {
		a.refuse(in, err)
		return
	}
	c := room.DefaultConfig()
	c.Locked = true
	r, err := a.m.newRoom(a.jid, c)
	if err != nil {
		a.refuse(in, err)
		return
	}
	j := a.joinOf(in)
	if _, err := r.CheckNick(j.request.Who, j.request.Nick); err != nil {
		a.refuse(in, err)
		return
	}
	mark := in.u.Mark()
	if err := decide(a, &a.m.ev.Create, &event.RoomCreate{Room: a.jid, Creator: in.st.From, Unit: in.u}, nil); err != nil {
		a.abandon(in, mark, err)
		return
	}
	a.saveNew(in.u, r, map[string]room.Affiliation{j.request.Who.Bare().String(): room.Owner})
	a.commit(in.u, func(err error) {
		if err == nil {
			err = a.adopt(r)
		}
		if err != nil {
			a.send(in.st.ErrorReply(stored(err)))
			return
		}
		o, _ := r.Enter(j.request.Who, j.request.Nick, room.Moderator)
		o.SetPresence(a.show(in.st.Payload))
		a.arrived(j.request.Who)
		j.codes = []int{201} // §10.1.1
		a.welcome(o, j.request.Who, j)
		a.awaitConfig(r)
		a.fireJoined(o, j.request.Who, in.st)
	})
}

// awaitConfig removes a room that nobody has configured in time (§10.1.1, §14.6).
func (a *actor) awaitConfig(r *room.Room) {
	a.waiting = a.m.d.Clock.AfterFunc(a.m.o.Unconfigured, func() {
		a.m.post(a.h, a.jid, func(b *actor) {
			b.accept(task{class: exclusive, run: func(b *actor, _ *inbound) {
				if b.room == r && r.Config.Locked {
					b.expire()
				}
			}})
		})
	})
}

// stopWaiting ends the wait for the first configuration.
func (a *actor) stopWaiting() {
	if a.waiting != nil {
		a.waiting.Stop()
		a.waiting = nil
	}
}

// expire ends a room that nobody has configured.
func (a *actor) expire() {
	a.endRoom(a.unit(), "This room was not configured in time.", func(err error) {
		if err != nil {
			a.m.d.Log.Error("an unconfigured room could not be removed", "room", a.jid.String(), "err", err)
		}
	})
}

// endRoom ends a room in its own name.
func (a *actor) endRoom(u *journal.Unit, reason string, done func(error)) {
	v := &event.RoomChange{Room: a.jid, Unit: u}
	if err := decide(a, &a.m.ev.Destroyed, v, nil); err != nil {
		done(err)
		return
	}
	a.drop(u)
	a.commit(u, func(err error) {
		if err == nil {
			a.end(xmlstream.NewNode(ns.MUCUser, "destroy").Add(xmlstream.NewNode(ns.MUCUser, "reason").SetText(reason)))
			_ = a.m.ev.Destroyed.Committed(a.ctx, v)
		}
		done(err)
	})
}

// abandon refuses a stanza and takes back what was added to its unit since the mark.
func (a *actor) abandon(in *inbound, mark journal.Mark, err error) {
	in.u.Back(mark)
	a.refuse(in, err)
}
