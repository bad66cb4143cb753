package module

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Module is one part of the server.
type Module interface {
	Info() Info
	// Register is called once, before anything runs.
	Register(r *Registrar) error
}

// Starter is implemented by modules that do something when all are registered and needs are filled. Start returns quickly; Stop waits for what it started.
type Starter interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Info describes a module; the XEP table, doap.xml and the admin's module list are generated from it.
type Info struct {
	Name  string // the folder's name
	Specs []Spec
}

// Spec is one specification that a module implements.
type Spec struct {
	ID      string // "XEP-0199", "RFC 6121"
	Version string // the version implemented
	Status  string // complete, partial
	Note    string
}

// Deps is what every module is given.
type Deps struct {
	Log      *slog.Logger
	Clock    Clock
	Rand     io.Reader // cryptographic randomness; tests inject theirs
	Store    storage.Store
	Journal  journal.Submitter
	IDs      *storage.IDs
	Events   *event.Catalogue
	Router   Router
	Sessions Sessions
	Hosts    Hosts
	Version  string
}

// Clock is the time; tests inject theirs.
type Clock interface {
	Now() time.Time
	// AfterFunc is time.AfterFunc.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is the part of time.Timer that is used.
type Timer interface {
	Stop() bool
	Reset(d time.Duration) bool
}

// Router delivers stanzas.
type Router interface {
	// Route decides on st, which must have its "from", and adds to u what delivers it: rows and after-commit steps. It takes over u: whoever
	// makes the last decision submits it, exactly once, also if st is refused (the error goes back to the sender as a stanza).
	Route(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
	// Send is Route with a unit of its own.
	Send(ctx context.Context, st *stanza.Stanza)
	// Fanout delivers one stanza to many full JIDs, serialised once; to a remote domain that supports it, one copy. It is not durable and
	// must be called after the commit of what it shows. Receivers without a session are reported to gone (may be nil).
	Fanout(ctx context.Context, st *stanza.Stanza, to []jid.JID, gone func(jid.JID))
	// Request sends an iq of our own (its id is set here) and calls reply in q with the answer, or with an error stanza of condition
	// remote-server-timeout after the timeout.
	Request(ctx context.Context, iq *stanza.Stanza, timeout time.Duration, q journal.Poster, reply func(*stanza.Stanza))
}

// Burster is what a Router can do besides: deliver much to one session at once.
type Burster interface {
	// Burst delivers stanzas to one full JID, in order and with nothing between them. wires[i] is sts[i] serialised; it is shared with other
	// receivers. It is not durable, as Fanout; a receiver without a session is reported to gone (may be nil).
	Burst(ctx context.Context, to jid.JID, sts []*stanza.Stanza, wires []stanza.Wire, gone func(jid.JID))
}

// Sessions is the view of the bound sessions.
type Sessions interface {
	// Of returns the sessions of an account, in the order in which they were bound.
	Of(ctx context.Context, bare jid.JID) []event.SessionInfo
	// Get returns one session.
	Get(ctx context.Context, full jid.JID) (event.SessionInfo, bool)
	// Deliver puts a stanza into one session's ring, not kept. False if there is no such session.
	Deliver(ctx context.Context, full jid.JID, st *stanza.Stanza) bool
	// Count returns the number of bound sessions.
	Count() int
	// Close ends a session, or all of an account (bare JID), with a stream error condition, and returns when they are over. It is not called from
	// the queue of a session that it ends.
	Close(ctx context.Context, who jid.JID, condition, text string) int
}

// Hosts answers which domains are ours.
type Hosts interface {
	// Domains returns the account domains, the default first.
	Domains() []string
	// IsLocal tells whether an account domain or a host of a module has this name.
	IsLocal(domain string) bool
	// IsAccountDomain tells whether accounts live there.
	IsAccountDomain(domain string) bool
}

// RealClock is the system's clock.
type RealClock struct{}

// Now returns time.Now.
func (RealClock) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (RealClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
