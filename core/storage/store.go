package storage

import (
	"context"
	"errors"
	"io"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// Errors of the read side.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("storage: not found")
	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("storage: data directory is in use by another process")
	// ErrTooNew: the data was written by a newer version of the program.
	ErrTooNew = errors.New("storage: written by a newer version")
)

// Store is an open database. It is safe for concurrent use. Reads that run out of their context return its error.
type Store interface {
	journal.Backend

	Accounts() Accounts
	Roster() Roster
	Messages() Messages
	Sessions() Sessions
	Rooms() Rooms
	Gateway() Gateway
	// Table returns the ordered table of that name; it comes into being with its first row. Names are constants of the module that owns it.
	Table(name string) Table

	// Backup writes a consistent copy of the whole store to w while it is in use.
	Backup(ctx context.Context, w io.Writer) error
	// Epoch returns the highest epoch that is known of a lane; see ClaimEpoch.
	Epoch(ctx context.Context, lane journal.Lane) (uint64, error)
	// Sweeper finds what may be removed; NewSweep makes a background Work of it.
	Sweeper
	// Collect removes up to limit message bodies that nothing refers to, at once and in a transaction of its own: for commands and tests. A
	// server removes them by NewSweep, behind live units. more tells that there may be others.
	Collect(ctx context.Context, limit int) (more bool, err error)
	// Stats returns figures for the metrics page (rows, bytes, commits, sync times), by name.
	Stats(ctx context.Context) (map[string]float64, error)
	Close() error
}

// Page bounds a listing: at most Limit rows (0: 100) behind After ("" or 0: from the start).
type Page struct {
	After string
	Limit int
}
