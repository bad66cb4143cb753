package event

import (
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// AccountPoints are about accounts as such. They run in the goroutine of whoever changes the account.
type AccountPoints struct {
	Created Point[AccountChange] // record may add rows; after is told
	Deleted Point[AccountChange]
}

func (p *AccountPoints) register(c *Catalogue) {
	add(c, &p.Created, "account.created")
	add(c, &p.Deleted, "account.deleted")
}

// AccountChange is a creation or deletion of an account.
type AccountChange struct {
	JID  jid.JID
	Unit *journal.Unit
}

// RosterPoints are about contact lists. They run in the goroutine that handles the request.
type RosterPoints struct {
	// Removing: an account removes a contact; nothing is written yet. It runs while the rosters of both (if the contact is an account here) are
	// locked: handlers use what the value offers and call nothing that reads or changes a roster.
	Removing Point[RosterRemoval]
	// Changed: an item was changed or removed (Removed) and the change is committed.
	Changed Point[RosterChange]
}

func (p *RosterPoints) register(c *Catalogue) {
	add(c, &p.Removing, "roster.removing")
	add(c, &p.Changed, "roster.changed")
}

// RosterRemoval is the removal of one contact. Rows and after-commit steps of handlers ride in Unit.
type RosterRemoval struct {
	Owner, Contact jid.JID
	Item           storage.RosterItem
	Unit           *journal.Unit
	// Get and Put read and change the other side's roster, if Contact is an account here; both are nil otherwise.
	Get func(owner, contact jid.JID) storage.RosterItem
	Put func(owner jid.JID, item storage.RosterItem)
}

// RosterChange is one changed item.
type RosterChange struct {
	Owner    jid.JID
	Item     storage.RosterItem
	Previous storage.RosterItem
	Removed  bool
}

// PresencePoints are about the presence of local sessions. They run in the goroutine of that session.
type PresencePoints struct {
	// Available: a session broadcasts available presence; Initial for the first time (RFC 6121 §4.2).
	Available Point[PresenceChange]
	// Unavailable: it broadcasts unavailable presence or has ended.
	Unavailable Point[PresenceChange]
	// Directed: it sends presence to somebody else (RFC 6121 §4.6).
	Directed Point[PresenceChange]
}

func (p *PresencePoints) register(c *Catalogue) {
	add(c, &p.Available, "presence.available")
	add(c, &p.Unavailable, "presence.unavailable")
	add(c, &p.Directed, "presence.directed")
}

// PresenceChange is a presence of a local session.
type PresenceChange struct {
	Session Session
	Stanza  *stanza.Stanza
	Initial bool
	Unit    *journal.Unit
}
