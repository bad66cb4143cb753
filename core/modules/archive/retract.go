package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// among is how many of the newest messages with the same person are looked at at once for one that is retracted.
const among = 500

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

// sought is a message that is retracted: st, with the number at, says so.
type sought struct {
	owner, peer string
	id          string
	st          *stanza.Stanza
	at          storage.MessageID
	before      storage.MessageID // what is not behind it has been looked at; 0: nothing
}

// retracted leaves a tombstone where a message retracts another (XEP-0424 §5): in the unit that keeps the retraction. The body is shared, so
// it is one for all who have the message. If it is not there, it may be on its way to the store: then it is looked for again behind it, and
// at last among all that there is.
func (m *Module) retracted(ctx context.Context, am *event.AccountMessage, peer string) error {
	id := retraction(am.Stanza)
	if id == "" || am.Stanza.ID == "" {
		return nil
	}
	s := &sought{owner: am.Account.String(), peer: peer, id: id, st: am.Stanza, at: am.ID}
	op, err := m.named(ctx, s)
	if err == nil && op == nil {
		op, _, err = m.look(ctx, s)
	}
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
		s.before = 0
		op, done, err := m.look(context.Background(), s)
		switch {
		case err != nil:
			m.d.Log.Error("a retracted message could not be looked for", "archive", s.owner, "err", err)
		case op != nil:
			u := journal.NewUnit(journal.AccountLane(s.owner))
			u.Add(*op)
			m.d.Journal.Submit(u)
		case !done:
			m.seek(s)
		}
	})
	return nil
}

// named finds the message by the id that the archive has given it (XEP-0359), which some take for that of its sender.
func (m *Module) named(ctx context.Context, s *sought) (*storage.ReplaceMessage, error) {
	n, ok := m.ids.Decode(s.owner, s.id)
	if !ok {
		return nil, nil
	}
	e, err := m.messages.Get(ctx, storage.Archive, s.owner, storage.MessageID(n))
	if errors.Is(err, storage.ErrNotFound) || err == nil && e.Peer != s.peer {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("archive: look for retracted message: %w", err)
	}
	said, err := stanza.Unmarshal(e.Body)
	if err != nil {
		return nil, fmt.Errorf("archive: look for retracted message: %w", err)
	}
	return m.tombstone(ctx, s, e, said)
}

// look goes through the next messages with the same person, newest first, and returns what replaces the retracted one, nil if it is not among
// them. done: there is nothing more to look for.
func (m *Module) look(ctx context.Context, s *sought) (op *storage.ReplaceMessage, done bool, err error) {
	part := append(xmlstream.AppendEscapedAttr([]byte(" id='"), s.id), '\'') // as stanzas are stored
	list, next, err := m.messages.Find(ctx, storage.Archive, s.owner, storage.Range{Peer: s.peer, Before: s.before, Limit: among}, part)
	if err != nil {
		return nil, false, fmt.Errorf("archive: look for retracted message: %w", err)
	}
	s.before = next
	for _, e := range list {
		said, err := stanza.Unmarshal(e.Body)
		if err != nil || said.ID != s.id && stanzaid.Origin(said.Payload) != s.id {
			continue
		}
		op, err := m.tombstone(ctx, s, e, said)
		if err != nil || op != nil {
			return op, true, err
		}
		if said.Payload.Has(ns.Retract, "retracted") {
			return nil, true, nil
		}
	}
	return nil, next == 0, nil
}

// tombstone returns what replaces a message if it is the one, and may be retracted.
func (m *Module) tombstone(ctx context.Context, s *sought, e storage.Stored, said *stanza.Stanza) (*storage.ReplaceMessage, error) {
	if e.ID == s.at || retraction(said) != "" || said.Payload.Has(ns.Retract, "retracted") {
		return nil, nil
	}
	if ok, err := m.sameAuthor(ctx, s.owner, said, s.st); err != nil || !ok {
		return nil, err
	}
	n := xmlstream.NewNode(ns.Retract, "retracted", "id", s.st.ID, "stamp", delay.Format(s.at.Time()))
	said.Lang = ""
	return &storage.ReplaceMessage{ID: e.Msg, Body: said.WithPayload(xmlstream.NewFragment(n)).Marshal()}, nil
}

// sameAuthor: only the sender retracts (XEP-0424 §6). Of a person that is the same bare JID; of whoever might be an occupant of a room, whose bare
// JID is the room's, the same full JID with the same occupant id.
func (m *Module) sameAuthor(ctx context.Context, owner string, said, st *stanza.Stanza) (bool, error) {
	if said.From.Bare() != st.From.Bare() {
		return false, nil
	}
	if said.From == st.From && occupant(said) == occupant(st) && private(said) == private(st) {
		return true, nil
	}
	if private(said) || private(st) || occupant(said) != occupant(st) {
		return false, nil
	}
	return m.person(ctx, owner, st.From.Bare())
}

// person tells whether a bare JID is known to be a person's: an account of this server, or somebody who has agreed to be a contact, which no room
// does. A private message of a room need not say that it is one (XEP-0045 §7.5), and rooms elsewhere look like accounts.
func (m *Module) person(ctx context.Context, owner string, bare jid.JID) (bool, error) {
	if bare.IsZero() || m.d.Hosts.IsAccountDomain(bare.Domain()) {
		return true, nil
	}
	of, err := jid.Parse(owner)
	if err != nil || m.contacts == nil {
		return false, nil //nolint:nilerr // who has no address has no contacts
	}
	item, err := m.contacts.Item(ctx, of, bare)
	if err != nil {
		return false, fmt.Errorf("archive: look up contact: %w", err)
	}
	return item.Subscription == "to" || item.Subscription == "both", nil
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
