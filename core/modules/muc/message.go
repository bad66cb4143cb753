package muc

import (
	"encoding/base32"
	"errors"
	"io"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// groupchatFeature: messages to everybody (XEP-0045 §7.4) and the subject (§8.1).
func groupchatFeature(d *dispatch) {
	d.on(stanza.Message, false, stanza.TypeGroupchat, pipelined, (*actor).groupchat)
	subject := entry{exclusive, func(a *actor, in *inbound) { a.changeSubject(in, nil) }}
	d.refine[stanzaKey{stanza.Message, false, stanza.TypeGroupchat}] = func(st *stanza.Stanza) (entry, bool) { return subject, isSubject(st) }
	d.on(stanza.Message, true, stanza.TypeGroupchat, immediate,
		refuseWith(stanza.NewError(stanza.BadRequest, "a message to one occupant is not of type groupchat"))) // §7.5
	other := refuseWith(stanza.NewError(stanza.BadRequest, "a message to a room is of type groupchat")) // §17.2
	for _, typ := range []string{"", stanza.TypeNormal, stanza.TypeChat, stanza.TypeHeadline} {
		d.on(stanza.Message, false, typ, immediate, other)
	}
}

// groupchat is a message to everybody.
func (a *actor) groupchat(in *inbound) {
	if a.room == nil { // then nothing is under way either
		a.lookup(in, false, (*actor).noOccupant)
		return
	}
	o := a.room.BySession(in.st.From)
	if err := a.room.MaySpeak(o); err != nil {
		a.refuse(in, err)
		return
	}
	st := a.reflection(in.st, o)
	rec := event.NewMessageRecord(in.u, a.m.d.IDs.Next(), st)
	m := &event.RoomMessage{MessageRecord: rec, Room: a.jid, Occupant: a.value(o, in.st.From), Live: true, At: rec.ID.Time()}
	err := a.m.dispatch.guard(a, m)
	if err == nil {
		err = decide(a, &a.m.ev.Message, m, nil)
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	a.keep(m, o.Bare.String())
	a.m.dispatch.record(a, m)
	if rec.Stored() {
		a.dedupe(in, rec, o)
	}
	a.stream(in.u, func(err error) {
		if err != nil {
			a.unsaid(in, err)
			return
		}
		a.say(m)
	})
}

// noOccupant answers a message to a room that has just been made, or to none: nobody can be in it yet.
func (a *actor) noOccupant(in *inbound) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	a.refuse(in, a.room.MaySpeak(nil))
}

// reflection is a message as the room shows and stores it: from the occupant, with the sender's id (XEP-0045 §7.4, muc#stable_id).
func (a *actor) reflection(st *stanza.Stanza, o *room.Occupant) *stanza.Stanza {
	out := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeGroupchat, ID: st.ID, Lang: st.Lang, From: a.occupantJID(o.Nick),
		Payload: a.sanitize(st.Payload).With(occupantIDNode(o.ID))}
	if out.ID == "" {
		out.ID = a.m.newID()
	}
	return out
}

// keep stores a message for the room's history and archive, if it is worth it: what has a body, and what hints say (XEP-0334). Its
// peer is the real sender, for filters and for who may see her.
func (a *actor) keep(m *event.RoomMessage, peer string) {
	if hints.Payload(m.Stanza.Payload).Archive() {
		a.archive(m, peer)
	}
}

// dedupe makes the unit fail if the sender repeats a message: same id and same body within a day.
func (a *actor) dedupe(in *inbound, rec *event.MessageRecord, o *room.Occupant) {
	if stanzaid.Origin(in.st.Payload) == "" && in.st.ID == "" {
		return
	}
	sum := room.Repetition(in.st)
	d := storage.Dedupe{Scope: a.jid.String() + "\x00" + o.Bare.String(), ID: int64(rec.ID), At: a.m.d.Clock.Now()}
	copy(d.Key[:], sum[:])
	rec.Unit.Lead(d)
}

// unsaid tells the sender that her message was not stored; a repetition is nothing to tell: it is there.
func (a *actor) unsaid(in *inbound, err error) {
	var dup *journal.DuplicateError
	if errors.As(err, &dup) {
		return
	}
	a.m.d.Log.Error("a room message could not be stored", "room", a.jid.String(), "err", err)
	se := *stanza.AsError(stored(err))
	se.By = a.jid.String()
	if reply := in.st.ErrorReply(&se); reply != nil {
		a.send(reply)
	}
}

// say shows a committed message to every session in the room, the sender's own among them.
func (a *actor) say(m *event.RoomMessage) {
	if a.room == nil {
		return
	}
	st := m.Stanza
	switch {
	case m.Stored():
		st = st.WithPayload(st.Payload.With(a.stanzaIDNode(int64(m.ID))))
		a.remember(m.ID, st)
	case a.m.o.NoArchive && hints.Payload(st.Payload).Archive():
		a.remember(m.ID, st)
	}
	if len(m.Stamp) > 0 {
		st = st.WithPayload(st.Payload.With(m.Stamp...))
	}
	if m.Live {
		a.fan(st, a.audience().all)
	}
	a.m.dispatch.tell(a, m)
	_ = a.m.ev.Message.Committed(a.ctx, m)
}

// isSubject tells whether a message changes the subject: it has one, and neither body nor thread (XEP-0045 §7.2.15, §8.1).
func isSubject(st *stanza.Stanza) bool {
	_, subject := st.Child(ns.Client, "subject")
	_, body := st.Child(ns.Client, "body")
	_, thread := st.Child(ns.Client, "thread")
	return subject && !body && !thread
}

var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns an id for a stanza that came without one: 80 random bits.
func (m *Module) newID() string {
	var b [10]byte
	if _, err := io.ReadFull(m.d.Rand, b[:]); err != nil {
		m.d.Log.Error("no randomness for an id", "err", err)
		return strconv.FormatInt(int64(m.d.IDs.Next()), 36)
	}
	return idText.EncodeToString(b[:])
}
