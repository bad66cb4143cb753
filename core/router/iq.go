package router

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// iq routes an iq.
func (r *Router) iq(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	if st.To.IsZero() {
		r.toAccount(ctx, t, u, st) // RFC 6120 §10.3.3
		return
	}
	d := t.domains[st.To.Domain()]
	switch {
	case d == nil:
		r.remote(ctx, u, st)
	case d.handler != nil:
		r.toHost(ctx, t, d, u, st)
	case st.To.HasLocal() && st.To.IsFull():
		r.relay(ctx, u, st)
	case st.To.HasLocal():
		r.toAccount(ctx, t, u, st)
	default:
		r.serve(ctx, t, module.ScopeServer, u, st)
	}
}

// toHost: what the table answers for the host's kind it answers, for the host and its bare JIDs; the rest is the host's.
func (r *Router) toHost(ctx context.Context, t *table, d *domain, u *journal.Unit, st *stanza.Stanza) {
	if q, one := st.Query(); one && st.IsRequest() && !st.To.IsFull() {
		if e, ok := t.request(d.scope, st.Type, q.Name().Space, q.Name().Local); ok {
			u.Lane = journal.AccountLane(st.From.Bare().String())
			r.handle(ctx, e, u, st, q)
			return
		}
	}
	d.handler.HandleStanza(ctx, u, st)
}

// toAccount answers on behalf of an account (RFC 6121 §8.5.2.1.3).
func (r *Router) toAccount(ctx context.Context, t *table, u *journal.Unit, st *stanza.Stanza) {
	if st.IsRequest() && !own(st) {
		ok, err := r.exists(ctx, st.To)
		if err == nil && !ok {
			err = r.stranger(t, st)
		}
		if err != nil {
			r.refuse(ctx, u, st, err)
			return
		}
	}
	r.serve(ctx, t, module.ScopeAccount, u, st)
}

// stranger answers a request to an account that does not exist with what one that does would say to a stranger, so that nobody learns which
// accounts there are (RFC 6120 §13.11).
func (r *Router) stranger(t *table, st *stanza.Stanza) error {
	q, _ := st.Query()
	if e, ok := t.request(module.ScopeAccount, st.Type, q.Name().Space, q.Name().Local); ok && e.OwnOnly {
		return notYours()
	}
	return module.Unsupported()
}

func notYours() error {
	return stanza.NewError(stanza.Forbidden, "Only the account itself may ask this.")
}

// own tells whether an iq concerns the sender's own account.
func own(st *stanza.Stanza) bool { return st.To.IsZero() || st.From.Bare() == st.To }

// serve answers a request from the table of a scope.
func (r *Router) serve(ctx context.Context, t *table, scope module.Scope, u *journal.Unit, st *stanza.Stanza) {
	u.Lane = journal.AccountLane(st.From.Bare().String())
	if !st.IsRequest() {
		r.o.Journal.Submit(u) // RFC 6120 §8.2.3: an answer that nobody waits for
		return
	}
	q, _ := st.Query()
	e, ok := t.request(scope, st.Type, q.Name().Space, q.Name().Local)
	if !ok {
		r.refuse(ctx, u, st, module.Unsupported())
		return
	}
	if e.OwnOnly && !own(st) {
		r.refuse(ctx, u, st, notYours())
		return
	}
	r.handle(ctx, e, u, st, q)
}

// handle runs a handler and sends its answer after the commit.
func (r *Router) handle(ctx context.Context, e module.IQRoute, u *journal.Unit, st *stanza.Stanza, q xmlstream.Child) {
	req := &module.Request{IQ: st, Query: q, Unit: u, Session: event.SessionOf(ctx), Own: own(st)}
	if req.Session != nil && req.Session.Info().JID != st.From {
		req.Session = nil // somebody else's request that is handled under this session's context
	}
	payload, err := r.callIQ(ctx, e.Handle, req)
	if req.Deferred() {
		if err != nil && !u.Submitted() {
			r.refuse(ctx, u, st, err)
		}
		return
	}
	if err != nil {
		r.refuse(ctx, u, st, err)
		return
	}
	reply := st.Result()
	if payload != nil {
		reply = st.Result(payload)
	}
	var q2 journal.Poster = r.lanes.of(st.From)
	if req.Session != nil {
		q2 = req.Session.Queue()
	}
	u.After(q2, func(err error) { r.reply(req, reply, err) })
	r.o.Journal.Submit(u)
}

func (r *Router) reply(req *module.Request, reply *stanza.Stanza, err error) {
	if err != nil {
		r.log.Error("a request could not be committed", "from", req.IQ.From.String(), "err", err)
		r.bounce(req.IQ, unitError(err))
		return
	}
	if req.Session != nil {
		req.Session.Send(reply)
	} else {
		r.sendBack(reply)
	}
	for _, fn := range req.Commits() {
		fn()
	}
}

// callIQ keeps a panic of a handler from the stream in whose goroutine it runs.
func (r *Router) callIQ(ctx context.Context, h module.IQHandler, req *module.Request) (n *xmlstream.Node, err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("a request handler panicked", "query", req.Query.Name().Space, "panic", v, "stack", string(debug.Stack()))
			n, err = nil, fmt.Errorf("router: panic in the handler of %s: %v", req.Query.Name().Space, v)
		}
	}()
	return h(ctx, req)
}

// relay passes an iq to a connected resource (RFC 6121 §8.5.3.1, §8.5.3.2.3).
func (r *Router) relay(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	u.Lane = journal.AccountLane(st.To.Bare().String())
	if st.Type == stanza.TypeSet {
		// RFC 6121 §2.1.6: a roster push comes from the account alone; clients have believed others.
		if q, _ := st.Query(); q.Name().Space == ns.Roster {
			r.refuse(ctx, u, st, stanza.NewError(stanza.Forbidden, "Only a server pushes rosters."))
			return
		}
	}
	u.After(r.lanes.of(st.To), func(err error) {
		if err != nil {
			r.bounce(st, unitError(err))
			return
		}
		if r.push(context.Background(), st.Wire(), st.To) == 0 {
			r.bounce(st, stanza.NewError(stanza.ServiceUnavailable, "There is no such resource."))
		}
	})
	r.o.Journal.Submit(u)
}
