package storage

import (
	"context"
	"time"
)

// Portal is a remote room with its room here. Several may have the same room: a link.
type Portal struct {
	Bridge string // the bridge's name
	Key    string // receiver login (or "") and remote room id, joined by the gateway; also the owner of its Outbox list
	Room   string // bare JID of the MUC
	State  []byte // the gateway's own encoding: name, topic, avatar, capabilities, permissions …
}

// Puppet is a remote person with her JID here.
type Puppet struct {
	Bridge string
	Remote string // remote user id
	JID    string
	State  []byte // the gateway's own encoding: name, avatar hash, nick per room …
}

// IDPair is one row of the permanent id map: one part of a remote message and one part of a message here.
type IDPair struct {
	Bridge     string
	Portal     string // Portal.Key
	Remote     string // remote message id
	RemotePart int
	Room       string // bare JID of the archive
	Stanza     MessageID
	StanzaPart int
	Author     string // bare JID, or occupant
	At         time.Time
}

// Gateway reads what the gateway keeps beside its tables.
type Gateway interface {
	// Portal returns a portal by key; ErrNotFound if there is none.
	Portal(ctx context.Context, bridge, key string) (Portal, error)
	// PortalsByRoom returns the portals of a room, in the order of bridge and key; none is no error.
	PortalsByRoom(ctx context.Context, room string) ([]Portal, error)
	// Portals lists the portals of a bridge in the order of their keys.
	Portals(ctx context.Context, bridge string, p Page) ([]Portal, error)
	// Puppet returns a puppet by remote id, PuppetByJID by its JID; ErrNotFound if there is none.
	Puppet(ctx context.Context, bridge, remote string) (Puppet, error)
	PuppetByJID(ctx context.Context, jid string) (Puppet, error)
	Puppets(ctx context.Context, bridge string, p Page) ([]Puppet, error)
	// ByRemote and ByStanza return the id map's rows of a message, in the order of their parts; none is no error.
	ByRemote(ctx context.Context, bridge, portal, remote string) ([]IDPair, error)
	ByStanza(ctx context.Context, room string, id MessageID) ([]IDPair, error)
}

// PutPortal inserts or replaces a portal.
type PutPortal struct{ Portal Portal }

// DeletePortal removes a portal with its id map and Outbox list.
type DeletePortal struct{ Bridge, Key string }

// PutPuppet inserts or replaces a puppet.
type PutPuppet struct{ Puppet Puppet }

// PutIDPair adds a row to the id map; an equal row is no error.
type PutIDPair struct{ Pair IDPair }

// DeleteIDPairs removes the rows of a remote message.
type DeleteIDPairs struct{ Bridge, Portal, Remote string }

// JournalOp marks the type as a row operation.
func (PutPortal) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeletePortal) JournalOp() {}

// JournalOp marks the type as a row operation.
func (PutPuppet) JournalOp() {}

// JournalOp marks the type as a row operation.
func (PutIDPair) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteIDPairs) JournalOp() {}
