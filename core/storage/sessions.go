package storage

import (
	"context"
	"time"
)

// Session is what is kept of a session with stream management, so that it can be resumed (XEP-0198 §5).
type Session struct {
	ID      string // hex SHA-256 of the SM-ID; the id itself is never stored
	JID     string // full
	Node    string // cluster node that has it; "" on a single node
	Epoch   uint64 // grows with each takeover
	HIn     uint32 // stanzas handled from the client
	HOut    uint32 // stanzas acknowledged by the client
	State   []byte // what else a clean stop keeps (presence, carbons, CSI, joined rooms …); the session's own encoding
	Clean   bool   // written at a clean stop: it can be resumed whole; otherwise only HIn and the Unacked list count
	Expires time.Time
}

// Sessions reads session rows.
type Sessions interface {
	// Get returns the row or ErrNotFound.
	Get(ctx context.Context, id string) (Session, error)
	// All lists the rows, for the start after a stop.
	All(ctx context.Context, p Page) ([]Session, error)
}

// PutSession inserts or replaces a row.
type PutSession struct{ Session Session }

// SessionIn sets HIn of an existing row, but never back: a stanza whose unit is submitted late (by a room) rides with the count of its beginning, and the
// client may have been told a later one meanwhile. Later is meant across the wrap at 2^32. In one group only the last per session is written.
type SessionIn struct {
	ID string
	H  uint32
}

// SessionOut sets HOut and removes the Unacked references with id <= Through.
type SessionOut struct {
	ID      string
	H       uint32
	Through MessageID
}

// DeleteSession removes a row; its Unacked references are moved or removed by the same unit.
type DeleteSession struct{ ID string }

// JournalOp marks the type as a row operation.
func (PutSession) JournalOp() {}

// JournalOp marks the type as a row operation.
func (SessionIn) JournalOp() {}

// JournalOp marks the type as a row operation.
func (SessionOut) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteSession) JournalOp() {}
