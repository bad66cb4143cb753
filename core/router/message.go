package router

import (
	"context"
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/payload/hints"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// mail is one message on its way to a local account.
type mail struct {
	event.AccountMessage
	typ    string
	to     jid.JID // what decides on the receivers: the stanza's "to", or the bare JID once its resource is gone
	keep   hints.Keep
	absent absence
	tries  int  // how often it has been decided where it goes
	moved  bool // it was on its way before: its first copy may be what a search for repetitions would find
	// lost are sessions that ended between the decision and the delivery; their references to the message go.
	lost []event.SessionInfo
}

// maxTries bounds how often a message follows sessions that come and go while it is committed.
const maxTries = 3

// message routes a message with a "to".
func (r *Router) message(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	rec := event.NewMessageRecord(u, r.o.IDs.Next(), st)
	if t.isAccount(st.From) && st.Type != stanza.TypeError {
		if err := r.sent(ctx, u, rec); err != nil {
			r.refuse(ctx, u, st, err)
			return
		}
		st = rec.Stanza
	}
	d := t.domains[st.To.Domain()]
	switch {
	case d == nil:
		if rec.Stored() {
			lead(u, rec)
		}
		r.remote(ctx, u, st)
	case d.handler != nil:
		d.handler.HandleStanza(ctx, u, st)
	case !st.To.HasLocal():
		// RFC 6120 §10.5.1 and §10.5.2: the server itself. Who listens there does so at event.Route.Any.
		r.refuse(ctx, u, st, stanza.NewError(stanza.ServiceUnavailable, "The server itself takes no messages."))
	default:
		u.Lane = journal.AccountLane(st.To.Bare().String())
		m := &mail{typ: messageType(st), to: st.To, keep: hints.Of(st)}
		m.MessageRecord, m.Account = rec, st.To.Bare()
		r.place(ctx, m)
	}
}

// sent fires event.Route.Sent on the sender's behalf.
func (r *Router) sent(ctx context.Context, u *journal.Unit, rec *event.MessageRecord) error {
	p := &r.o.Events.Route.Sent
	m := &event.AccountMessage{MessageRecord: rec, Account: rec.Stanza.From.Bare()}
	if err := p.Decide(ctx, m); err != nil {
		return err
	}
	if p.Has(event.Deliver) || p.Has(event.After) {
		u.After(r.lanes.of(m.Account), func(err error) {
			if err == nil {
				_ = p.Committed(context.Background(), m) // the point has told of a panic; nothing depends on the rest
			}
		})
	}
	return nil
}

// place decides who gets a message to a local account and submits its unit.
func (r *Router) place(ctx context.Context, m *mail) {
	u, st := m.Unit, m.Stanza
	m.tries++
	sessions := r.o.Sessions.Of(ctx, m.Account)
	if len(sessions) == 0 {
		if err := r.noSessions(ctx, m); err != nil {
			r.refuse(ctx, u, st, err)
			return
		}
	}
	m.Targets, m.absent = messageTargets(m.typ, m.to, sessions)
	if len(m.Targets) == 0 && m.absent != keep {
		r.refuse(ctx, u, st, nobody(m))
		return
	}
	before := u.Mark()
	if err := r.o.Events.Route.Account.Decide(ctx, &m.AccountMessage); err != nil {
		if !errors.Is(err, event.Stop) {
			u.Back(before) // what was recorded for the account before it was refused
		}
		r.refuse(ctx, u, st, err)
		return
	}
	r.unacked(m)
	if len(m.Targets) == 0 && !m.Offline && !m.Archived {
		r.refuse(ctx, u, st, nobody(m))
		return
	}
	if m.Stored() && !m.moved {
		lead(u, m.MessageRecord)
	}
	u.After(r.lanes.of(m.Account), func(err error) { r.placed(m, err) })
	r.o.Journal.Submit(u)
}

// noSessions looks whether the account is there at all. RFC 6121 §8.5.1: a message to one that is not may be answered.
func (r *Router) noSessions(ctx context.Context, m *mail) error {
	ok, err := r.exists(ctx, m.Account)
	if err != nil {
		return err
	}
	if ok {
		return nil
	}
	return noAccount(m.typ)
}

func noAccount(typ string) error {
	if typ == stanza.TypeHeadline {
		return event.Stop
	}
	return stanza.NewError(stanza.ServiceUnavailable, "There is no such account.")
}

// nobody is the answer where no session gets the message and nobody keeps it.
func nobody(m *mail) error {
	if m.absent == ignore {
		return event.Stop
	}
	// NOTSPEC: a chat state or marker to somebody who is away is dropped; an error for each would only disturb.
	if m.keep == hints.No && m.absent == keep && m.Stanza.Body() == "" {
		return event.Stop
	}
	return stanza.NewError(stanza.ServiceUnavailable, "The recipient is not online.")
}

// unacked refers to the message for every session that can be resumed (XEP-0198): until its client has acknowledged it.
func (r *Router) unacked(m *mail) {
	for _, s := range m.lost {
		m.Unit.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: s.SMID, ID: m.ID})
	}
	if !m.keep.Offline() {
		return
	}
	for i := range m.Targets {
		if id := m.Targets[i].SMID; id != "" {
			m.Ref(storage.Unacked, id, "", nil)
		}
	}
}

// placed delivers a message once its unit is done. It runs in the account's lane.
func (r *Router) placed(m *mail, err error) {
	var dup *journal.DuplicateError
	switch {
	case errors.As(err, &dup):
		return // acknowledged, and not shown again
	case err != nil:
		r.log.Error("a message could not be stored", "to", m.Account.String(), "err", err)
		r.bounce(m.Stanza, unitError(err))
		return
	}
	if !r.deliver(m) && !m.Offline {
		r.again(m)
		return
	}
	if p := &r.o.Events.Route.Account; p.Has(event.Deliver) || p.Has(event.After) {
		_ = p.Committed(context.Background(), &m.AccountMessage) // the point has told of a panic; the message is where it belongs
	}
}

// deliver puts the message into the rings of its targets. False: there were some, and all have ended since the decision.
func (r *Router) deliver(m *mail) bool {
	if len(m.Targets) == 0 {
		return true
	}
	st := m.Stanza
	if len(m.Stamp) > 0 {
		st = st.WithPayload(st.Payload.With(m.Stamp...))
	}
	w := st.Wire()
	m.lost = nil
	delivered := 0
	for i := range m.Targets {
		s := &m.Targets[i]
		var kept storage.MessageID
		if s.SMID != "" && m.keep.Offline() {
			kept = m.ID
		}
		// RFC 6121 §8.5.2.1.1: the "to" stays as it was written.
		if r.o.Sessions.Push(s.JID, session.Item{Wire: w, To: st.To, Msg: kept, At: m.ID.Time()}) {
			delivered++
		} else if kept != 0 {
			m.lost = append(m.lost, *s)
		}
	}
	r.stats.delivered.Add(uint64(delivered))
	return delivered > 0
}

// again decides anew on a message whose targets are gone. The record keeps its id, so that what an archive has of it stays one entry.
func (r *Router) again(m *mail) {
	if m.tries >= maxTries {
		r.bounce(m.Stanza, nobody(&mail{AccountMessage: m.AccountMessage, keep: m.keep, absent: reject}))
		return
	}
	ctx := context.Background()
	u := journal.NewUnit(journal.AccountLane(m.Account.String()))
	next := &mail{typ: m.typ, to: m.to, keep: m.keep, tries: m.tries, lost: m.lost, moved: true}
	next.MessageRecord, next.Account = event.NewMessageRecord(u, m.ID, m.Stanza), m.Account
	defer r.recover(ctx, u, m.Stanza)
	r.place(ctx, next)
}
