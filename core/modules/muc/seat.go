package muc

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/plug"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// seat is a room as features in folders of their own see it.
type seat struct{ a *actor }

var _ plug.Room = seat{}

func (s seat) JID() jid.JID                       { return s.a.jid }
func (s seat) State() *room.Room                  { return s.a.room }
func (s seat) Context() context.Context           { return s.a.ctx }
func (s seat) Now() time.Time                     { return s.a.m.d.Clock.Now() }
func (s seat) Log() *slog.Logger                  { return s.a.m.d.Log }
func (s seat) Archived() bool                     { return !s.a.m.o.NoArchive }
func (s seat) Table(name string) storage.Table    { return s.a.m.d.Store.Table(name) }
func (s seat) Unit() *journal.Unit                { return s.a.unit() }
func (s seat) Submit(u *journal.Unit)             { s.a.m.d.Journal.Submit(u) }
func (s seat) Queue() journal.Poster              { return s.a.q }
func (s seat) Trace(u *journal.Unit, bare string) { s.a.trace(u, bare) }
func (s seat) NewID() string                      { return s.a.m.newID() }

func (s seat) StanzaID(id storage.MessageID) *xmlstream.Node { return s.a.stanzaIDNode(int64(id)) }

func (s seat) Send(st *stanza.Stanza, to jid.JID) { s.a.m.d.Router.Send(s.a.ctx, st.With(s.a.jid, to)) }

func (s seat) Memory(key any, fresh func() any) any {
	m := s.a.extra.memory
	if m == nil {
		m = map[any]any{}
		s.a.extra.memory = m
	}
	if m[key] == nil {
		m[key] = fresh()
	}
	return m[key]
}

func (s seat) Refuse(q *plug.Request, err error) { s.a.refuse(inboundOf(q), err) }

func (s seat) Reply(q *plug.Request, payload ...*xmlstream.Node) {
	s.a.reply(inboundOf(q), q.Stanza.Result(payload...))
}

func (s seat) Commit(q *plug.Request, then func(error))  { s.a.commit(q.Unit, then) }
func (s seat) Answer(q *plug.Request, p *xmlstream.Node) { s.a.answer(inboundOf(q), p) }
func (s seat) Failed(q *plug.Request, err error)         { s.a.answerFailure(inboundOf(q), err) }
func (s seat) SaveConfig(u *journal.Unit, c room.Config) { s.a.saveConfig(u, c) }
func (s seat) Status(codes ...int)                       { s.a.statusMessage(codes) }

func (s seat) SetConfig(c room.Config) {
	s.a.room.Config = c
	s.a.room.Version++
}

func (s seat) Reshow(who jid.JID) {
	for _, o := range slices.Clone(s.a.room.ByBare(who)) {
		o.SetPresence(o.Presence)
		s.a.tellAll(s.a.available(o), o.Role)
	}
}

// inboundOf is a request as the actor knows it.
func inboundOf(q *plug.Request) *inbound { return &inbound{u: q.Unit, st: q.Stanza} }

// plugged makes a feature of a folder one of this package's.
func plugged(feature func() plug.Hooks) func(*dispatch) {
	return func(d *dispatch) {
		p := feature()
		if p.Guard != nil {
			d.guards = append(d.guards, func(a *actor, m *event.RoomMessage) error { return p.Guard(seat{a}, m) })
		}
		if p.Record != nil {
			d.records = append(d.records, func(a *actor, m *event.RoomMessage) { p.Record(seat{a}, m) })
		}
		if p.Said != nil {
			d.said = append(d.said, func(a *actor, m *event.RoomMessage) { p.Said(seat{a}, m) })
		}
		if p.Info != nil {
			d.info = append(d.info, func(a *actor, _ jid.JID, f *form.Form) []string { return p.Info(seat{a}, f) })
		}
		if p.Load != nil {
			d.loads = append(d.loads, func(a *actor) error { return p.Load(seat{a}) })
		}
		if p.Configure != nil {
			d.configures = append(d.configures, func(a *actor, u *journal.Unit, c room.Config) { p.Configure(seat{a}, u, c) })
		}
		if p.Forget != nil {
			d.forgets = append(d.forgets, func(a *actor, who jid.JID) { p.Forget(seat{a}, who) })
		}
		if p.Worn != nil {
			d.worn = append(d.worn, func(a *actor, o *room.Occupant) *xmlstream.Node { return p.Worn(seat{a}, o) })
		}
		for _, q := range p.IQ {
			d.onIQ(q.Type, q.Space, q.Local, exclusive, func(a *actor, in *inbound) {
				if a.room == nil {
					a.noRoom(in)
					return
				}
				q.Handle(seat{a}, &plug.Request{Stanza: in.st, Query: in.query(), Unit: in.u})
			})
		}
		for node, list := range p.Items {
			d.items[node] = func(a *actor, asker jid.JID) []module.DiscoItem { return list(seat{a}, asker) }
		}
		d.tables = append(d.tables, p.Tables...)
		d.personTables = append(d.personTables, p.PersonTables...)
	}
}
