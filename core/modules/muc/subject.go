package muc

import (
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// changeSubject is an occupant's change of the subject (XEP-0045 §8.1).
func (a *actor) changeSubject(in *inbound, resumed *event.PendingError) {
	if a.room == nil {
		a.noRoom(in)
		return
	}
	o := a.room.BySession(in.st.From)
	if err := a.room.MaySetSubject(o); err != nil {
		a.refuse(in, err)
		return
	}
	st := a.reflection(in.st, o)
	rec := event.NewMessageRecord(in.u, a.m.d.IDs.Next(), st)
	m := &event.RoomMessage{MessageRecord: rec, Room: a.jid, Occupant: a.value(o, in.st.From), Live: true, At: rec.ID.Time()}
	err := decide(a, &a.m.ev.Subject, m, resumed)
	if a.postponed(in, err, (*actor).changeSubject) {
		return
	}
	if err != nil {
		a.refuse(in, err)
		return
	}
	s := subjectOf(m, o.Nick, o.ID)
	a.archive(m, o.Bare.String()) // XEP-0313 §5.1.3: subject changes are kept, too
	in.u.Add(storage.PutRoom{Room: a.row(a.room, a.room.Config, s)})
	a.commit(in.u, func(err error) {
		if err != nil {
			a.unsaid(in, err)
			return
		}
		a.showSubject(m, s)
	})
}

// subjectOf reads the subject that a message sets.
func subjectOf(m *event.RoomMessage, nick, occupant string) room.Subject {
	s := room.Subject{Lang: m.Stanza.Lang, Nick: nick, ID: occupant, At: m.At}
	if c, ok := m.Stanza.Child(ns.Client, "subject"); ok {
		s.Text = c.Text()
	}
	return s
}

// showSubject makes a committed subject the room's and tells everybody.
func (a *actor) showSubject(m *event.RoomMessage, s room.Subject) {
	a.room.Subject = s
	a.room.Version++
	st := m.Stanza
	if m.Stored() {
		st = st.WithPayload(st.Payload.With(a.stanzaIDNode(int64(m.ID))))
	}
	a.fan(st.WithPayload(st.Payload.With(m.Stamp...)), a.audience().all)
	_ = a.m.ev.Subject.Committed(a.ctx, m)
}

// subjectStanza is the subject for somebody who enters, also if there is none (XEP-0045 §7.2.15).
func (a *actor) subjectStanza() *stanza.Stanza {
	s := a.room.Subject
	st := stanza.NewMessage(stanza.TypeGroupchat, xmlstream.NewNode(ns.Client, "subject").SetText(s.Text))
	st.From, st.Lang, st.ID = a.jid, s.Lang, a.m.newID()
	if s.Nick != "" {
		st.From = a.occupantJID(s.Nick)
	}
	if s.ID != "" {
		st.Payload = st.Payload.With(occupantIDNode(s.ID))
	}
	if !s.At.IsZero() {
		st.Payload = st.Payload.With(delayNode(a.jid, s.At))
	}
	return st
}
