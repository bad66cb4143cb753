package archive

import (
	"context"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// among is how far back a retracted message is looked for, in messages of its owner.
const among = 5000

// retraction returns which message a message retracts, by its sender's id: XEP-0424 §3, and as it was before version 0.4.
func retraction(st *stanza.Stanza) string {
	if c, ok := st.Child(ns.Retract, "retract"); ok {
		return c.Attr("id")
	}
	if c, ok := st.Child(ns.Fasten, "apply-to"); ok && c.Node().Child(ns.RetractOld, "retract") != nil {
		return c.Attr("id")
	}
	return ""
}

// retracted leaves a tombstone where a message retracts another (XEP-0424 §5): in the unit that keeps the retraction. The body is shared, so
// it is one for all who have the message. If it is not there, it may be on its way to the store: then it is looked for again behind it.
func (m *Module) retracted(ctx context.Context, am *event.AccountMessage, peer string) error {
	id := retraction(am.Stanza)
	if id == "" || am.Stanza.ID == "" {
		return nil
	}
	owner, st, at := am.Account.String(), am.Stanza, am.ID
	op, err := m.tombstone(ctx, owner, peer, id, st, at)
	if err != nil {
		return err
	}
	if op != nil {
		am.Unit.Add(*op)
		return nil
	}
	am.Unit.After(m.late, func(failed error) {
		if failed != nil {
			return
		}
		op, err := m.tombstone(context.Background(), owner, peer, id, st, at)
		if err != nil {
			m.d.Log.Error("a retracted message could not be looked for", "archive", owner, "err", err)
		}
		if op != nil {
			u := journal.NewUnit(journal.AccountLane(owner))
			u.Add(*op)
			m.d.Journal.Submit(u)
		}
	})
	return nil
}

// tombstone returns what replaces the message that st retracts, nil if there is none.
func (m *Module) tombstone(ctx context.Context, owner, peer, id string, st *stanza.Stanza, at storage.MessageID) (*storage.ReplaceMessage, error) {
	part := append(xmlstream.AppendEscapedAttr([]byte(" id='"), id), '\'') // as stanzas are stored
	list, err := m.messages.Find(ctx, storage.Archive, owner, peer, part, among)
	if err != nil {
		return nil, fmt.Errorf("archive: look for retracted message: %w", err)
	}
	for _, e := range list {
		said, err := stanza.Unmarshal(e.Body)
		if err != nil || e.ID == at || said.ID != id && stanzaid.Origin(said.Payload) != id || !sameAuthor(said, st) || retraction(said) != "" {
			continue
		}
		if said.Payload.Has(ns.Retract, "retracted") {
			return nil, nil
		}
		n := xmlstream.NewNode(ns.Retract, "retracted", "id", st.ID, "stamp", delay.Format(at.Time()))
		said.Lang = ""
		return &storage.ReplaceMessage{ID: e.Msg, Body: said.WithPayload(xmlstream.NewFragment(n)).Marshal()}, nil
	}
	return nil, nil
}

// sameAuthor: only the sender retracts (XEP-0424 §6): the same bare JID, and of an occupant of a room, whose bare JID is the room's, the same
// nick with the same occupant id.
func sameAuthor(said, st *stanza.Stanza) bool {
	if !private(said) && !private(st) {
		return said.From.Bare() == st.From.Bare()
	}
	return private(said) == private(st) && said.From == st.From && occupant(said) == occupant(st)
}

// private tells whether a message is between occupants of a room (XEP-0045 §7.5).
func private(st *stanza.Stanza) bool { return st.Payload.Has(ns.MUCUser, "x") }

func occupant(st *stanza.Stanza) string {
	c, ok := st.Child(ns.OccupantID, "occupant-id")
	if !ok {
		return ""
	}
	return c.Attr("id")
}
