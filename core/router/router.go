package router

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Sessions is the table of bound sessions as the router uses it.
type Sessions interface {
	module.Sessions
	// Push puts a serialised stanza into the ring of one session; it never blocks. False: there is no such session.
	Push(full jid.JID, it session.Item) bool
	// PushAll is Push for several, with nothing between them.
	PushAll(full jid.JID, items []session.Item) bool
}

// Accounts tells which accounts exist.
type Accounts interface {
	Exists(ctx context.Context, bare jid.JID) (bool, error)
}

// Remote delivers to domains that are not ours.
type Remote interface {
	// Deliver takes over u and the stanza. False: it does not serve the domain, and has not touched u.
	Deliver(ctx context.Context, u *journal.Unit, st *stanza.Stanza) bool
}

// Options of a Router. Domains, Sessions, Accounts, Journal, IDs and Events are required.
type Options struct {
	Domains  []string // account domains, the default first
	Sessions Sessions
	Accounts Accounts
	Journal  journal.Submitter
	IDs      *storage.IDs
	Events   *event.Catalogue
	Remote   Remote       // nil: remote-server-not-found
	Clock    module.Clock // nil: the system's
	Rand     io.Reader    // nil: crypto/rand
	Log      *slog.Logger // nil: discarded
}

// Router implements module.Router and module.Hosts.
type Router struct {
	o        Options
	log      *slog.Logger
	table    atomic.Pointer[table]
	lanes    lanes
	requests requests
	stats    stats
}

var (
	_ module.Router  = (*Router)(nil)
	_ module.Burster = (*Router)(nil)
	_ module.Hosts   = (*Router)(nil)
)

// New returns a router that knows the account domains; hosts and requests come with Attach.
func New(o Options) (*Router, error) {
	if o.Sessions == nil || o.Accounts == nil || o.Journal == nil || o.IDs == nil || o.Events == nil {
		return nil, errors.New("router: new: sessions, accounts, journal, ids and events are required")
	}
	if o.Clock == nil {
		o.Clock = module.RealClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t, err := newTable(o.Domains)
	if err != nil {
		return nil, fmt.Errorf("router: new: %w", err)
	}
	r := &Router{o: o, log: o.Log}
	r.table.Store(t)
	r.lanes.init(r.panicked)
	r.requests.pending = map[string]*request{}
	return r, nil
}

// Attach gives the router what the modules have registered. It is called once, before anything is routed.
func (r *Router) Attach(reg *module.Registry) error {
	t, err := r.table.Load().with(reg)
	if err != nil {
		return fmt.Errorf("router: attach: %w", err)
	}
	r.table.Store(t)
	return nil
}

// SetRemote sets who delivers to other domains. It is called before anything is routed.
func (r *Router) SetRemote(remote Remote) { r.o.Remote = remote }

// Stop ends the timers of requests that wait for an answer; the requests get none.
func (r *Router) Stop() { r.requests.stop() }

func (r *Router) panicked(v any) {
	r.log.Error("a delivery panicked", "panic", v)
}
