package storage

import (
	"context"
	"time"
)

// RoomRow is one durable room (XEP-0045). What it means is core/modules/muc's; the store indexes the service and the public flag.
type RoomRow struct {
	JID     string // bare
	Service string // the domain part
	Public  bool   // listed in disco#items of the service
	Name    string
	Config  []byte // the module's own encoding
	Subject []byte // the module's own encoding, with author and time
	Secret  []byte // key of occupant ids and stanza ids of this room
	Created time.Time
	Version int64 // grows with each change of configuration or affiliations
}

// Affiliation is one entry of a room's lists.
type Affiliation struct {
	Room, JID   string
	Affiliation string // owner, admin, member, outcast
	Nick        string // reserved nick (XEP-0045 §7.10); "" none
	Reason      string
}

// Rooms reads rooms. A room that is not in use costs disk only.
type Rooms interface {
	// Get returns a room or ErrNotFound.
	Get(ctx context.Context, room string) (RoomRow, error)
	// List lists the rooms of a service in the order of their JIDs.
	List(ctx context.Context, service string, publicOnly bool, p Page) ([]RoomRow, error)
	// Affiliations returns the lists of a room in the order of the JIDs; affiliation "" means all.
	Affiliations(ctx context.Context, room, affiliation string, p Page) ([]Affiliation, error)
	// AffiliationOf returns one entry or ErrNotFound.
	AffiliationOf(ctx context.Context, room, bare string) (Affiliation, error)
	// RoomsOf lists the rooms in which a JID has an affiliation.
	RoomsOf(ctx context.Context, bare string, p Page) ([]Affiliation, error)
}

// PutRoom inserts or replaces a room.
type PutRoom struct{ Room RoomRow }

// CreateRoom inserts a room; the unit fails with journal.ErrConflict if it exists.
type CreateRoom struct{ Room RoomRow }

// DeleteRoom removes a room, its affiliations and its Room references.
type DeleteRoom struct{ JID string }

// PutAffiliation inserts or replaces an entry; an Affiliation of "none" removes it.
type PutAffiliation struct{ Affiliation Affiliation }

// JournalOp marks the type as a row operation.
func (PutRoom) JournalOp() {}

// JournalOp marks the type as a row operation.
func (CreateRoom) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRoom) JournalOp() {}

// JournalOp marks the type as a row operation.
func (PutAffiliation) JournalOp() {}
