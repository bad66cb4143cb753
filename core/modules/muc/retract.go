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
		if a.room == nil {
			done(fmt.Errorf("%w: %s", ErrNoRoom, r.Room))
			return
		}
		w := withdrawal{id: r.ID, moderated: r.Moderated, reason: r.Reason, origin: r.Origin, record: r.Record, done: r.Done,
			refused: r.Author.IsZero() && !r.Moderated}
		if !r.Author.IsZero() {
			w.by = a.room.Puppet(r.Author)
		}
		done(a.retract(in, w))
	})
}

// withdrawal is a retraction: by the author, by a moderator (moderated), or in the room's name (refused: the other side did not take it).
type withdrawal struct {
	id                 storage.MessageID
	by                 *room.Occupant // nil: the room, or somebody who is not in it
	moderated, refused bool
	reason, origin     string
	record             func(*event.MessageRecord)
	done               func(error)
}

// retract adds the rows and commits; an error means that nothing was begun.
func (a *actor) retract(in *inbound, w withdrawal) error {
	old, err := a.m.d.Store.Messages().Get(a.ctx, storage.Room, a.jid.String(), w.id)
	if err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	said, err := stanza.Unmarshal(old.Body)
	if err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	t := &takingBack{gone: []storage.Stored{old}, said: []*stanza.Stanza{said}}
	if in.st != nil { // a gateway may say again what it has said before
		err = retractable(said)
	}
	if err == nil {
		err = a.corrections(t)
	}
	if err != nil {
		return err
	}
	rec := event.NewMessageRecord(in.u, a.m.d.IDs.Next(), a.retraction(w, said))
	m := &event.RoomMessage{MessageRecord: rec, Room: a.jid, Live: true, At: rec.ID.Time(), Origin: w.origin}
	if w.by != nil {
		m.Occupant = a.value(w.by, jid.JID{})
	}
	if w.record != nil {
		w.record(rec)
	}
	if err := decide(a, &a.m.ev.Message, m, nil); err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	rec.Ref(storage.Room, a.jid.String(), "", nil)
	a.bury(m, t, tombstones(m)...)
	a.commit(in.u, func(err error) {
		if err == nil {
			a.forgetPast()
			a.say(m)
			if w.refused {
				a.tellRefused(said, old.Peer, w.reason)
			}
		}
		if w.done != nil {
			w.done(err)
		}
	})
	return nil
}

// retraction is what everybody is told: by the author (XEP-0424 §4) or in the room's name (XEP-0425 §4).
func (a *actor) retraction(w withdrawal, said *stanza.Stanza) *stanza.Stanza {
	id := a.ids.Encode(a.jid.String(), int64(w.id))
	n := xmlstream.NewNode(ns.Retract, "retract", "id", id)
	st := &stanza.Stanza{Kind: stanza.Message, Type: stanza.TypeGroupchat, ID: a.m.newID(), From: a.jid}
	if w.by != nil && !w.moderated {
		st.From = said.From
		st.Payload = xmlstream.NewFragment(n, occupantIDNode(w.by.ID))
		return st
	}
	moderated, older := xmlstream.NewNode(ns.Moderate, "moderated"), xmlstream.NewNode(ns.ModerateOld, "moderated")
	if w.by != nil {
		by := a.occupantJID(w.by.Nick).String()
		moderated.SetAttr("by", by).Add(occupantIDNode(w.by.ID))
		older.SetAttr("by", by).Add(occupantIDNode(w.by.ID))
	}
	n.Add(moderated)
	older.Add(xmlstream.NewNode(ns.RetractOld, "retract"))
	if w.reason != "" {
		n.AddNew("reason").SetText(w.reason)
		older.AddNew("reason").SetText(w.reason)
	}
	// COMPAT(Gajim, Converse.js before XEP-0425 0.3): both namespaces are in use.
	st.Payload = xmlstream.NewFragment(n, xmlstream.NewNode(ns.Fasten, "apply-to", "id", id).Add(older))
	return st
}

// tombstones are what stays of the message in the archive (XEP-0424 §4, XEP-0425 §4).
func tombstones(m *event.RoomMessage) []*xmlstream.Node {
	stamp := delay.Format(m.At)
	n := xmlstream.NewNode(ns.Retract, "retracted", "stamp", stamp, "id", m.Stanza.ID)
	if c, ok := m.Stanza.Child(ns.Retract, "retract"); ok {
		for e := range c.Node().Elements() {
			n.Add(e.Clone())
		}
	}
	out := []*xmlstream.Node{n}
	c, ok := m.Stanza.Child(ns.Fasten, "apply-to")
	if !ok {
		return out
	}
	// COMPAT(Gajim, Converse.js before XEP-0425 0.3): theirs has the two elements the other way round.
	if older := c.Node().Child(ns.ModerateOld, "moderated"); older != nil {
		older = older.Clone()
		for e := range older.Children(ns.RetractOld, "retract") {
			e.Name.Local = "retracted"
			e.SetAttr("stamp", stamp)
		}
		out = append(out, older)
	}
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
