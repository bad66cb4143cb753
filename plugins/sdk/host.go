package sdk

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// Host is the server as a bridge sees it. All methods may be called from any
// goroutine. After the session with the server is lost every method fails with
// ErrSessionLost, and the bridge must acknowledge nothing to the network.
type Host interface {
	// Deliver hands over events and cursors and waits until they are durable.
	// On an error nothing is promised, and every batch that was handed over after
	// the failed one fails too, so that no event and no cursor overtakes it: the
	// bridge delivers again, in order. Duplicates are recognised by (portal, id,
	// version).
	Deliver(ctx context.Context, b Batch) (Receipt, error)
	// DeliverAsync is Deliver without the wait: batches are taken in the order of
	// the calls; it blocks only while the server's window is full. ctx bounds
	// that wait, not the ticket.
	DeliverAsync(ctx context.Context, b Batch) (*Ticket, error)
	// Signal passes on something that is worth nothing later. It never blocks,
	// and may drop or coalesce.
	Signal(s Signal)
	// State is the bridge's small durable memory in the server's store.
	State() State
	// CapabilitiesChanged replaces the capabilities of the bridge, a login or a portal.
	CapabilitiesChanged(ctx context.Context, c CapabilitiesChange) error
	// LoginChanged reports a login's state and, if they were renewed, its credentials.
	LoginChanged(ctx context.Context, s LoginStatus) error
	// Upload copies a file to the server at once, for files whose source expires.
	// The result goes into an event.
	Upload(ctx context.Context, info Media, body io.Reader) (Media, error)
	// Open reads a file that stands in an operation. The content must be closed.
	Open(ctx context.Context, req MediaRequest) (MediaContent, error)
	// LookupPerson asks who an address is and whether she may be shown to the
	// network; CodeNotFound and CodeForbidden say no.
	LookupPerson(ctx context.Context, q PersonQuery) (Sender, error)
	// LookupRoom asks whether an XMPP room may be had on the network, for a
	// network whose users type addresses (Matrix aliases). The bridge then makes
	// the room and reports PortalOpened with XMPPRoom.
	LookupRoom(ctx context.Context, q RoomQuery) (RoomCard, error)
	// PublicURL is where the network's servers and people's browsers reach this
	// bridge's HTTPHandler, ending in "/bridge/NAME/"; "" if the server has no
	// public address.
	PublicURL() string
	// Log is where the bridge logs; it ends up in the server's log.
	Log() slog.Handler
}

// Batch is a unit: its events and cursors become durable together or not at all.
// At most MaxBatch events.
type Batch struct {
	Events  []Event
	Cursors []CursorMark
}

// MaxBatch bounds a batch; MaxEventBytes bounds one event as it travels.
const (
	MaxBatch      = 256
	MaxEventBytes = 512 << 10
)

// CursorMark says that everything up to Cursor has been delivered, for a login,
// or for one room of it if Portal.Room is set.
type CursorMark struct {
	Portal PortalKey
	Cursor Cursor
}

// Outcome is what became of an event.
type Outcome int32

const (
	OutcomeAccepted    Outcome = 0 // taken, or known already
	OutcomeUnsupported Outcome = 1 // the server does not know this sort of event
	OutcomeRejected    Outcome = 2 // not this bridge's to say, or malformed; logged
)

// EventProblem is an event that was not taken. It will not be taken later
// either; the bridge logs it and goes on.
type EventProblem struct {
	Index   int // in the batch
	Outcome Outcome
	Text    string
}

// Receipt is the answer to a batch.
type Receipt struct {
	Problems []EventProblem
}

// Ticket is a batch under way.
type Ticket struct {
	mu      sync.Mutex
	done    chan struct{}
	settled bool
	receipt Receipt
	err     error
	then    []func(Receipt, error)
}

// NewTicket makes an open ticket; whoever took the batch settles it.
func NewTicket() *Ticket { return &Ticket{done: make(chan struct{})} }

// Settle closes the ticket; only the first call counts.
func (t *Ticket) Settle(r Receipt, err error) {
	t.mu.Lock()
	if t.settled {
		t.mu.Unlock()
		return
	}
	t.settled, t.receipt, t.err = true, r, err
	then := t.then
	t.then = nil
	close(t.done)
	t.mu.Unlock()
	for _, f := range then {
		f(r, err)
	}
}

// Done is closed when the batch is durable or lost.
func (t *Ticket) Done() <-chan struct{} { return t.done }

// Wait waits for the ticket or for ctx.
func (t *Ticket) Wait(ctx context.Context) (Receipt, error) {
	select {
	case <-t.done:
		return t.receipt, t.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// Then calls f once the ticket is settled, on the goroutine that settles it (or
// at once if it is); f must not block.
func (t *Ticket) Then(f func(Receipt, error)) {
	t.mu.Lock()
	if !t.settled {
		t.then = append(t.then, f)
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	f(t.receipt, t.err)
}

// State is a key-value store with compare-and-set, private to the bridge.
// Keys have 1 to 512 bytes, values at most 1 MiB.
type State interface {
	// Get returns ErrNotFound for a key that is not there.
	Get(ctx context.Context, key string) (Entry, error)
	// Put writes if the key's revision is still expect (0: it must not exist,
	// AnyRevision: whatever it is), else it fails with ErrConflict.
	Put(ctx context.Context, key string, value []byte, expect Revision) (Revision, error)
	// Delete removes under the same condition.
	Delete(ctx context.Context, key string, expect Revision) error
	// List returns entries with a prefix in key order, after a key, at most limit
	// (and at most 1,000); more follow if it returns as many as asked for.
	List(ctx context.Context, prefix, after string, limit int) ([]Entry, error)
}

// Revision counts the writes of a key.
type Revision uint64

// AnyRevision as an expectation writes whatever stands there.
const AnyRevision = ^Revision(0)

// Entry is a key with its value.
type Entry struct {
	Key      string
	Value    []byte
	Revision Revision
}

// PersonQuery asks for an XMPP person by address, on behalf of a user.
type PersonQuery struct {
	Address string // bare JID
	By      Party
}

// RoomQuery asks for an XMPP room by address, on behalf of a user.
type RoomQuery struct {
	Address string
	By      Party
}

// RoomCard is what the network may know of an XMPP room.
type RoomCard struct {
	Address string
	Name    string
	Topic   string
	Avatar  *Media
	Public  bool
	Portal  PortalKey // if the room already has one on this network
}
