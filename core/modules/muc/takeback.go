package muc

import (
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/form"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// takeBackFeature: people retract their own messages (XEP-0424). The room checks that it is their own, and what stays in its archive is a tombstone.
func takeBackFeature(d *dispatch) {
	d.guards = append(d.guards, (*actor).checkTakeBack)
	d.records = append(d.records, (*actor).recordTakeBack)
	d.said = append(d.said, func(a *actor, m *event.RoomMessage) {
		if id, _ := takesBack(m.Stanza.Payload); id != "" && !a.m.o.NoArchive {
			a.forgetPast()
		}
	})
	d.info = append(d.info, func(a *actor, _ jid.JID, _ *form.Form) []string {
		if a.m.o.NoArchive {
			return nil
		}
		return []string{ns.RetractTombstone} // XEP-0424 §4
	})
}

// takingBack is a retraction between its guard and its record.
type takingBack struct {
	m    *event.RoomMessage
	gone []storage.Stored
	said []*stanza.Stanza // gone, read
}

// takesBack returns which message a payload retracts, "" if none, in the form of today or of before XEP-0424 0.4.
func takesBack(f xmlstream.Fragment) (id string, ok bool) {
	if c, found := f.Child(ns.Retract, "retract"); found {
		return c.Attr("id"), true
	}
	if c, found := f.Child(ns.Fasten, "apply-to"); found && c.Node().Child(ns.RetractOld, "retract") != nil {
		return c.Attr("id"), true
	}
	return "", false
}

// checkTakeBack: XEP-0424 §5: a retraction counts only if it comes from the author. Whose the message is says the real bare JID that is stored with it.
func (a *actor) checkTakeBack(m *event.RoomMessage) error {
	id, ok := takesBack(m.Stanza.Payload)
	if !ok || a.m.o.NoArchive {
		return nil
	}
	old, said, err := a.ownMessage(id, m.Occupant.Real.Bare())
	if err != nil {
		return err
	}
	t := &takingBack{m: m, gone: []storage.Stored{old}, said: []*stanza.Stanza{said}}
	if err := a.corrections(t); err != nil {
		return err
	}
	a.extra.takingBack = t
	return nil
}

// ownMessage finds a message that its author wants to retract.
func (a *actor) ownMessage(id string, author jid.JID) (old storage.Stored, said *stanza.Stanza, err error) {
	n, ok := a.ids.Decode(a.jid.String(), id)
	if !ok {
		return a.recentMessage(id, author)
	}
	old, err = a.m.d.Store.Messages().Get(a.ctx, storage.Room, a.jid.String(), storage.MessageID(n))
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return old, nil, noSuchMessage()
	case err != nil:
		return old, nil, fmt.Errorf("muc: retract: %w", err)
	case old.Peer != author.String():
		return old, nil, stanza.NewError(stanza.Forbidden, "only its author can retract a message")
	}
	if said, err = stanza.Unmarshal(old.Body); err != nil {
		return old, nil, fmt.Errorf("muc: retract: %w", err)
	}
	return old, said, retractable(said)
}

// recentSpan is how far back a message is looked for by something else than the room's id.
const recentSpan = 100

// recentMessage finds a message by the id that its author gave it.
// COMPAT(clients before XEP-0424 0.4): they name the id of the stanza, or the origin-id, instead of the room's stanza-id.
func (a *actor) recentMessage(id string, author jid.JID) (old storage.Stored, said *stanza.Stanza, err error) {
	page, _, err := a.m.d.Store.Messages().List(a.ctx, storage.Room, a.jid.String(), storage.Range{Limit: recentSpan, Backward: true})
	if err != nil {
		return old, nil, fmt.Errorf("muc: retract: %w", err)
	}
	for i := len(page) - 1; i >= 0 && id != ""; i-- {
		if page[i].Peer != author.String() {
			continue
		}
		st, err := stanza.Unmarshal(page[i].Body)
		if err != nil {
			return old, nil, fmt.Errorf("muc: retract: %w", err)
		}
		if named(st, id) && retractable(st) == nil {
			return page[i], st, nil
		}
	}
	return old, nil, noSuchMessage()
}

// named tells whether a message bears an id that its author gave it.
func named(st *stanza.Stanza, id string) bool {
	c, ok := st.Child(ns.StanzaID, "origin-id")
	return st.ID == id || ok && c.Attr("id") == id
}

// retractable refuses what is no message of a person any more, or never was one (XEP-0424 §5, XEP-0425 §6).
func retractable(said *stanza.Stanza) error {
	if _, gone := said.Child(ns.Retract, "retracted"); gone {
		return stanza.NewError(stanza.ItemNotFound, "this message has been retracted before")
	}
	if _, is := takesBack(said.Payload); is {
		return stanza.NewError(stanza.NotAllowed, "a retraction cannot be retracted")
	}
	return nil
}

// Corrections are looked for among so many references behind the message, and so many messages of its author.
const (
	correctionSpan = 1000
	correctionMost = 50
)

// corrections adds what the author has put in place of the message (XEP-0308): the text stands there too.
func (a *actor) corrections(t *takingBack) error {
	first := t.gone[0]
	refs, _, err := a.m.d.Store.Messages().Refs(a.ctx, storage.Room, a.jid.String(), storage.Range{After: first.ID, Limit: correctionSpan})
	if err != nil {
		return fmt.Errorf("muc: retract: %w", err)
	}
	looked := 0
	for _, r := range refs {
		if r.Peer != first.Peer || r.Peer == "" {
			continue
		}
		if looked++; looked > correctionMost {
			break
		}
		s, err := a.m.d.Store.Messages().Get(a.ctx, storage.Room, a.jid.String(), r.ID)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("muc: retract: %w", err)
		}
		st, err := stanza.Unmarshal(s.Body)
		if err != nil {
			return fmt.Errorf("muc: retract: %w", err)
		}
		if c, ok := st.Child(ns.Correct, "replace"); ok && c.Attr("id") == t.said[0].ID && retractable(st) == nil {
			t.gone, t.said = append(t.gone, s), append(t.said, st)
		}
	}
	return nil
}

// recordTakeBack puts tombstones in place of the messages and sees to it that the retraction is stored, whatever hints it carries (XEP-0424 §4, §5).
func (a *actor) recordTakeBack(m *event.RoomMessage) {
	t := a.extra.takingBack
	a.extra.takingBack = nil
	if t == nil || t.m != m {
		return
	}
	if !m.Stored() {
		m.Ref(storage.Room, a.jid.String(), t.gone[0].Peer, nil)
	}
	stone := xmlstream.NewNode(ns.Retract, "retracted", "stamp", delay.Format(m.At), "id", m.Stanza.ID)
	a.bury(m, t, stone)
}

// bury replaces the bodies of messages: what stays is who said it and that it was retracted (XEP-0424 §4).
func (a *actor) bury(m *event.RoomMessage, t *takingBack, stones ...*xmlstream.Node) {
	for i, s := range t.gone {
		keep := t.said[i].Payload.Without(func(c xmlstream.Child) bool { return !isOccupantID(c) })
		out := t.said[i].WithPayload(keep.With(stones...))
		out.Lang = ""
		m.Unit.Add(storage.ReplaceMessage{ID: s.Msg, Body: out.Marshal()})
	}
}
