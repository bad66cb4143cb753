package storage

import (
	"context"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// MessageID is the 63-bit id of a stored message: milliseconds since 1970 of the message's own time << 20 | sequence, so that ids sort by
// time and a backfilled message lands in its past. It is allotted by the archive's owner (see IDs), never by the database.
type MessageID int64

// Time returns the time in the id.
func (id MessageID) Time() time.Time { return time.UnixMilli(int64(id) >> 20).UTC() }

// RefKind says what kind of list a reference belongs to.
type RefKind uint8

// The lists. Each is ordered by id within its owner.
const (
	Archive RefKind = iota + 1 // owner: bare JID of an account; its message archive
	Room                       // owner: bare JID of a room; its archive and history
	Offline                    // owner: bare JID of an account; not yet delivered to any client
	Unacked                    // owner: session id; sent to a client that has not acknowledged it (XEP-0198)
	Domain                     // owner: remote domain; waits for its server stream
	Outbox                     // owner: portal key; waits for the plugin's result
)

// Ref is a reference to a stored message. ID orders it in its list; it equals Msg except where a list has an order of its own.
type Ref struct {
	Kind  RefKind
	Owner string
	ID    MessageID
	Msg   MessageID
	Peer  string // bare JID of the other side, for filters; "" if the list needs none
	Note  []byte // small state of the list's owner (an operation id, a delivery state); opaque
}

// Stored is a reference with its message.
type Stored struct {
	Ref
	Body []byte // canonical bytes as in PutMessage
}

// Range selects part of a list by id, both ends exclusive; 0 is open. With Backward the page is the last Limit rows of the range, still returned
// in ascending order.
type Range struct {
	After, Before MessageID
	Peer          string // only references with this peer
	Limit         int    // 0: 100
	Backward      bool
}

// Volume is how much a part of a list holds.
type Volume struct {
	Parts   []VolumePart
	Through MessageID // what was measured: the next call goes on after it
	More    bool
	// Keep are operations, the backend's own, by which the next measure of the same is cheap. They may be left out.
	Keep []journal.Op
}

// VolumePart is the size of neighbouring messages.
type VolumePart struct {
	Oldest   MessageID
	Messages int
	Bytes    int64 // of their bodies
}

// Messages reads lists of references. All cost O(page), not O(list). A filter by Peer costs the peer's messages and, in archives and rooms, a
// bounded number of others for each: where they are is noted in the background (Sweeper), until then others are looked at, too.
type Messages interface {
	// List returns a page of a list with the bodies. more tells that the range holds more rows in the direction of reading.
	List(ctx context.Context, kind RefKind, owner string, r Range) (page []Stored, more bool, err error)
	// Refs is List without bodies.
	Refs(ctx context.Context, kind RefKind, owner string, r Range) (page []Ref, more bool, err error)
	// Get returns one entry of a list, or ErrNotFound.
	Get(ctx context.Context, kind RefKind, owner string, id MessageID) (Stored, error)
	// Body returns a message body by its id, or ErrNotFound.
	Body(ctx context.Context, id MessageID) ([]byte, error)
	// Count returns the length of a list up to max (0: without bound).
	Count(ctx context.Context, kind RefKind, owner string, limit int) (int, error)
	// CountRange returns how many references a range holds, up to its Limit (0: without bound). It looks at each.
	CountRange(ctx context.Context, kind RefKind, owner string, r Range) (int, error)
	// Find returns, newest first, the entries of a range whose bodies hold part. It looks at so many of its newest as the range's limit says; next
	// is where the following call goes on (its Before), 0 at the end.
	Find(ctx context.Context, kind RefKind, owner string, r Range, part []byte) (found []Stored, next MessageID, err error)
	// Beyond returns the highest id that has to go so that at most so many messages, and so many bytes of bodies, remain of a list (0: any
	// number); 0 if none has to. It looks at what remains.
	Beyond(ctx context.Context, kind RefKind, owner string, number int, size int64) (MessageID, error)
	// Volume tells how much the archive or room of an owner holds, in ascending order. It looks at about Limit rows of a range at a time; how many there
	// are does not depend on how many messages there are if it was asked before.
	Volume(ctx context.Context, kind RefKind, owner string, r Range) (Volume, error)
	// Owners lists the owners that have at least one reference of the kind, in order: what is waiting after a start.
	Owners(ctx context.Context, kind RefKind, p Page) ([]string, error)
	// LastID returns the highest id in use, 0 if none: where an id allocator goes on after a start.
	LastID(ctx context.Context) (MessageID, error)
}

// PutMessage stores a body under an id; it is an error if the id is in use with another body. Its first reference belongs into the same
// unit: a body without any may be removed at any time.
type PutMessage struct {
	ID   MessageID
	Body []byte
}

// ReplaceMessage replaces a body (a tombstone after a retraction); no error if it is gone.
type ReplaceMessage struct {
	ID   MessageID
	Body []byte
}

// PutRef adds or replaces a reference. It is an error if there is no such message.
type PutRef struct{ Ref Ref }

// DeleteRef removes one reference; no error if it is not there.
type DeleteRef struct {
	Kind  RefKind
	Owner string
	ID    MessageID
}

// DeleteRefs removes all references of a list with id <= Through (0: all). It takes time for each: who empties a long list does it in
// slices (journal.Work).
type DeleteRefs struct {
	Kind    RefKind
	Owner   string
	Through MessageID
}

// MoveRefs moves all references of one list to another, keeping ids and order: the unacknowledged messages of a session that is gone become the
// offline messages of its account. An id that the other list has already stays there as it is.
type MoveRefs struct {
	Kind    RefKind
	Owner   string
	ToKind  RefKind
	ToOwner string
}

// Dedupe recognises a retry: if the scope has the key already and it is not older than a day, the whole unit fails with
// *journal.DuplicateError that carries the first ID. Keys older than TTL are dropped by background work. It must be the unit's first op.
type Dedupe struct {
	Scope string // who sends to whom, or a bridge's inbox
	Key   [16]byte
	ID    int64
	At    time.Time
	TTL   time.Duration // 0: 24 h
}

// JournalOp marks the type as a row operation.
func (PutMessage) JournalOp() {}

// JournalOp marks the type as a row operation.
func (ReplaceMessage) JournalOp() {}

// JournalOp marks the type as a row operation.
func (PutRef) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRef) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRefs) JournalOp() {}

// JournalOp marks the type as a row operation.
func (MoveRefs) JournalOp() {}

// JournalOp marks the type as a row operation.
func (Dedupe) JournalOp() {}

// OpSize is the body's size in bytes.
func (op PutMessage) OpSize() int { return len(op.Body) }
