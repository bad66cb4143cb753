package event

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Flag is one bit of what a session has asked for or is; they are kept when a session is resumed.
type Flag uint32

// The flags. A module uses its own only.
const (
	FlagInterested Flag = 1 << iota // has requested the roster (RFC 6121 §2.2)
	FlagCarbons                     // XEP-0280
	FlagInactive                    // XEP-0352: the client said that nobody looks
	FlagBlocklist                   // XEP-0191: has requested the block list
	FlagSM                          // XEP-0198 is on: unacknowledged messages are kept
)

// SessionInfo is what is known of a bound session, as values: nobody holds another session's pointer.
type SessionInfo struct {
	JID       jid.JID // full
	ID        string  // connection id for logs
	SMID      string  // owner of its Unacked list; "" without stream management
	Node      string  // cluster node; "" on a single one
	Priority  int8
	Available bool // has sent available presence
	Detached  bool // has no connection at the moment but can be resumed (XEP-0198 §5)
	Flags     Flag
	// Presence is the last available presence without "to"; nil if there is none.
	Presence *stanza.Stanza
}

// Has tells whether all of the flags are set.
func (s SessionInfo) Has(f Flag) bool { return s.Flags&f == f }

// Session is a bound session as its own events carry it. Its methods may be called from any goroutine and never block.
type Session interface {
	// Info returns a snapshot.
	Info() SessionInfo
	// Queue is the session's own mailbox: after-commit steps that answer its client are posted there.
	Queue() journal.Poster
	// Send puts a stanza into the session's ring. It is for what is addressed to this session alone and not kept.
	Send(st *stanza.Stanza)
	// SendNonza puts an element that is no stanza into the ring.
	SendNonza(n *xmlstream.Node)
	// SetFlag sets or clears flags.
	SetFlag(f Flag, on bool)
	// SetPresence records the presence that the client broadcasts; nil: unavailable.
	SetPresence(st *stanza.Stanza, priority int8)
	// Value and SetValue keep a module's own state of this session; keys are unexported types of the module. The values must not be changed in place.
	Value(key any) any
	SetValue(key, value any)
	// Close ends the stream with a stream error condition ("" for a graceful close) and text.
	Close(condition, text string)
}

type sessionKey struct{}

type originKey struct{}

// WithSession returns a context that carries the session whose stanzas are handled under it: the stream makes it once, when the resource is
// bound, and everything that it routes runs under it.
func WithSession(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// SessionOf returns the session of WithSession, nil if the stanza at hand came from elsewhere.
func SessionOf(ctx context.Context) Session {
	s, _ := ctx.Value(sessionKey{}).(Session)
	return s
}

// WithOrigin returns a context that carries the domain of the server stream or component by which stanzas come in.
func WithOrigin(ctx context.Context, domain string) context.Context {
	return context.WithValue(ctx, originKey{}, domain)
}

// OriginOf returns the domain of WithOrigin, "" for this server itself and its clients.
func OriginOf(ctx context.Context) string {
	d, _ := ctx.Value(originKey{}).(string)
	return d
}
