package module

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Scope says on whose behalf a request is answered.
type Scope string

// The scopes. A host that a module brings (Registrar.Host) has a scope of its own: its kind, such as "muc" or "gateway".
const (
	ScopeAny     Scope = "*"       // in every scope that has no entry of its own for the request
	ScopeServer  Scope = "server"  // addressed to an account domain
	ScopeAccount Scope = "account" // addressed to a local bare JID, or by a client without "to" (RFC 6120 §10.3.3)
)

// Request is one iq of type get or set.
type Request struct {
	IQ    *stanza.Stanza
	Query xmlstream.Child // its only child
	// Unit takes rows that must be durable before the reply. It is submitted by the framework after the handler has returned.
	Unit *journal.Unit
	// Session is the session that asks, nil if the request came from elsewhere.
	Session event.Session
	// Own tells that the sender is the account that is addressed (or addresses nobody).
	Own bool

	deferred bool
	onCommit []func()
}

// Target returns the address that the request is for: its "to", or the bare JID of the sender's account if it has none
// (RFC 6120 §10.3.3).
func (r *Request) Target() jid.JID {
	if r.IQ.To.IsZero() {
		return r.IQ.From.Bare()
	}
	return r.IQ.To
}

// OnCommit adds fn to what is done after the commit, in order, after the reply was sent. It runs in the replier's queue.
func (r *Request) OnCommit(fn func()) { r.onCommit = append(r.onCommit, fn) }

// Commits returns what OnCommit collected; for the framework.
func (r *Request) Commits() []func() { return r.onCommit }

// Defer says that the reply comes later, through the router: the handler returns (nil, nil) and answers with Router.Send(req.IQ.Result(…)).
// The unit is then the handler's to submit.
func (r *Request) Defer() { r.deferred = true }

// Deferred tells whether Defer was called; for the framework.
func (r *Request) Deferred() bool { return r.deferred }

// IQHandler answers a request: with the payload of the result (nil: an empty result), or an error (a *stanza.Error is shown to the asker, any
// other becomes internal-server-error and is logged).
type IQHandler func(ctx context.Context, req *Request) (*xmlstream.Node, error)

// Unsupported is the answer to a request that nobody answers here (RFC 6121 §8.5.1, §8.5.2.1.3). Modules give the same where it is nobody's
// business whether an account exists (RFC 6120 §13.11).
func Unsupported() *stanza.Error {
	return stanza.NewError(stanza.ServiceUnavailable, "This request is not supported here.")
}

// HostHandler gets every stanza that is addressed to a host which a module brought, except iq requests that the registrar's table answers for the host's scope. It takes
// over u and sees to it that it is submitted exactly once.
type HostHandler interface {
	HandleStanza(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
}

// AccountPresence decides on the presence of local accounts (RFC 6121 §3 and §4); the router asks the one that a module registered.
type AccountPresence interface {
	// Broadcast gets presence that a local client sends to nobody in particular (RFC 6121 §4.2, §4.4, §4.5). It takes over u.
	Broadcast(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
	// Directed is told of available and unavailable presence that a local client sends to somebody (RFC 6121 §4.6), before it is routed.
	Directed(ctx context.Context, st *stanza.Stanza)
	// Subscription gets a subscription stanza (RFC 6121 §3) from a full JID of a local account. It takes over u; what goes on to a host or
	// another server it routes again, from the bare JID, which does not come back here.
	Subscription(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
	// Inbound gets a subscription stanza or a probe for a local account; "to" is its bare JID. It takes over u.
	Inbound(ctx context.Context, u *journal.Unit, st *stanza.Stanza)
}
