package muc

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Retract removes a message for everybody (XEP-0424, XEP-0425): the room says so, and in its archive stands a tombstone. If the room itself
// retracts because the other side refused the message for good (neither Author nor Moderated), its sender gets an error with the reason.
func (m *Module) Retract(ctx context.Context, r event.RoomRetraction) error {
	return m.call(ctx, r.Room, exclusive, func(a *actor, in *inbound, done func(error)) {
		done(a.retract(in, r))
	})
}

func (a *actor) retract(in *inbound, r event.RoomRetraction) error {
	if a.room == nil {
		return fmt.Errorf("%w: %s", ErrNoRoom, r.Room)
	}
	old, err := a.m.d.Store.Messages().Get(a.ctx, storage.Room, a.jid.String(), r.ID)
	if err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	said, err := stanza.Unmarshal(old.Body)
	if err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	var author *room.Occupant
	if !r.Author.IsZero() {
		author = a.room.Puppet(r.Author)
	}
	st := a.retraction(r, author, said)
	rec := event.NewMessageRecord(in.u, a.m.d.IDs.Next(), st)
	m := &event.RoomMessage{MessageRecord: rec, Room: a.jid, Live: true, At: rec.ID.Time(), Origin: r.Origin}
	if author != nil {
		m.Occupant = a.value(author, jid.JID{})
	}
	if r.Record != nil {
		r.Record(rec)
	}
	if err := decide(a, &a.m.ev.Message, m, nil); err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	rec.Ref(storage.Room, a.jid.String(), "", nil)
	in.u.Add(storage.ReplaceMessage{ID: old.Msg, Body: a.tombstone(said, r, m).Marshal()})
	a.commit(in.u, func(err error) {
		if err == nil {
			a.forgetPast()
			a.say(m)
			if r.Author.IsZero() && !r.Moderated {
				a.tellRefused(said, old.Peer, r.Reason)
			}
		}
		if r.Done != nil {
			r.Done(err)
		}
	})
	return nil
}

// retraction is what everybody is told: by the author (XEP-0424 §4) or in the room's name (XEP-0425 §4).
func (a *actor) retraction(r event.RoomRetraction, author *room.Occupant, said *stanza.Stanza) *stanza.Stanza {
	id := a.ids.Encode(a.jid.String(), int64(r.ID))
	n := xmlstream.NewNode(ns.Retract, "retract", "id", id)
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeGroupchat, ID: a.m.newID(), From: a.jid}
	if author != nil && !r.Moderated {
		st.From = said.From
		st.Payload = xmlstream.NewFragment(n, occupantIDNode(author.ID))
		return st
	}
	moderated := xmlstream.NewNode(ns.Moderate, "moderated")
	if author != nil {
		moderated.SetAttr("by", a.occupantJID(author.Nick).String())
		moderated.Add(occupantIDNode(author.ID))
	}
	n.Add(moderated)
	if r.Reason != "" {
		n.AddNew("reason").SetText(r.Reason)
	}
	st.Payload = xmlstream.NewFragment(n)
	return st
}

// tombstone is what stays of the message in the archive (XEP-0424 §5, XEP-0425 §5).
func (a *actor) tombstone(said *stanza.Stanza, r event.RoomRetraction, m *event.RoomMessage) *stanza.Stanza {
	n := xmlstream.NewNode(ns.Retract, "retracted", "stamp", delay.Format(m.At), "id", m.Stanza.ID)
	if c, ok := m.Stanza.Child(ns.Retract, "retract"); ok {
		for e := range c.Node().Elements() {
			n.Add(e.Clone())
		}
	}
	keep := said.Payload.Without(func(c xmlstream.Child) bool { return !isOccupantID(c) })
	out := said.WithPayload(keep.With(n))
	out.Lang = ""
	return out
}

// tellRefused tells the author of a message that the other side has refused it.
func (a *actor) tellRefused(said *stanza.Stanza, peer, reason string) {
	bare, err := jid.Parse(peer)
	if err != nil {
		return
	}
	if reason == "" {
		reason = "The other side has refused this message."
	}
	se := &stanza.Error{Condition: stanza.NotAcceptable, Text: reason, By: a.jid.String()}
	for _, o := range a.room.ByBare(bare) {
		for _, s := range o.Sessions {
			a.send(&stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeError, ID: said.ID, From: a.jid, To: s,
				Payload: xmlstream.NewFragment(se.Node())})
		}
	}
}
