package router

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Route decides on st and takes over u; see module.Router.
func (r *Router) Route(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	defer r.recover(ctx, u, st)
	r.stats.count(st.Kind)
	if st.From.IsZero() && r.answerFromAccount(u, st) {
		return
	}
	if st.From.IsZero() {
		r.log.Error("a stanza without a sender was dropped", "kind", st.Kind.String(), "to", st.To.String())
		r.o.Journal.Submit(u)
		return
	}
	if st.Kind == stanza.IQ && !st.IsRequest() && r.answer(u, st) {
		return
	}
	if err := check(st); err != nil {
		r.refuse(ctx, u, st, err)
		return
	}
	if st.Kind == stanza.Message {
		if st.To.IsZero() {
			st = st.With(st.From, st.From.Bare()) // RFC 6120 §10.3.1
		}
		st = r.clean(st)
	}
	v := event.Routed{Stanza: st, Unit: u, Origin: event.OriginOf(ctx)}
	if err := r.o.Events.Route.Any.Decide(ctx, &v); err != nil {
		r.refuse(ctx, u, st, err)
		return
	}
	r.dispatch(ctx, u, v.Stanza)
}

// answerFromAccount delivers the answer to a stanza that had no "to": it has no "from" then (RFC 6120 §8.1.2.1), and a client here gets it.
func (r *Router) answerFromAccount(u *journal.Unit, st *stanza.Stanza) bool {
	answer := st.Type == stanza.TypeError || st.Kind == stanza.IQ && st.Type == stanza.TypeResult
	if !answer || !st.To.IsFull() || !r.table.Load().isAccount(st.To) {
		return false
	}
	u.Lane = journal.AccountLane(st.To.Bare().String())
	u.After(r.lanes.of(st.To), func(error) { r.show(st) })
	r.o.Journal.Submit(u)
	return true
}

// Send is Route with a unit of its own.
func (r *Router) Send(ctx context.Context, st *stanza.Stanza) {
	r.Route(ctx, journal.NewUnit(journal.Lane{}), st)
}

// dispatch goes by the kind of the stanza and then by that of its address.
func (r *Router) dispatch(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	t := r.table.Load()
	switch st.Kind {
	case stanza.Message:
		r.message(ctx, t, u, st)
	case stanza.Presence:
		r.presence(ctx, t, u, st)
	case stanza.IQ:
		r.iq(ctx, t, u, st)
	}
}

// check refuses what no receiver could make sense of.
func check(st *stanza.Stanza) error {
	switch st.Kind {
	case stanza.IQ:
		return checkIQ(st)
	case stanza.Presence:
		if !presenceTypes[st.Type] {
			return stanza.NewError(stanza.BadRequest, "unknown type of presence")
		}
	}
	return nil
}

// presenceTypes are the values of RFC 6121 §4.7.1.
var presenceTypes = map[string]bool{
	"": true, stanza.TypeUnavailable: true, stanza.TypeSubscribe: true, stanza.TypeSubscribed: true,
	stanza.TypeUnsubscribe: true, stanza.TypeUnsubscribed: true, stanza.TypeProbe: true, stanza.TypeError: true,
}

// checkIQ holds the rules of RFC 6120 §8.2.3.
func checkIQ(st *stanza.Stanza) error {
	switch st.Type {
	case stanza.TypeGet, stanza.TypeSet:
		if _, one := st.Query(); !one {
			return stanza.NewError(stanza.BadRequest, "an iq request has exactly one child element")
		}
	case stanza.TypeResult, stanza.TypeError:
	default:
		return stanza.NewError(stanza.BadRequest, "the type of an iq is get, set, result or error")
	}
	if st.ID == "" {
		return stanza.NewError(stanza.BadRequest, "an iq has an id")
	}
	return nil
}

// remote hands a stanza to the servers of other domains.
func (r *Router) remote(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	u.Lane = journal.DomainLane(st.To.Domain())
	v := event.Routed{Stanza: st, Unit: u, Origin: event.OriginOf(ctx)}
	if err := r.o.Events.Route.Remote.Decide(ctx, &v); err != nil {
		r.refuse(ctx, u, st, err)
		return
	}
	if r.o.Remote != nil && r.o.Remote.Deliver(ctx, u, v.Stanza) {
		return
	}
	r.refuse(ctx, u, v.Stanza, stanza.NewError(stanza.RemoteServerNotFound,
		fmt.Sprintf("%s is not a domain of this server, which does not talk to other servers", st.To.Domain())))
}

// refuse answers st with an error, if it may be answered with one, and submits the unit. event.Stop refuses without a word.
func (r *Router) refuse(_ context.Context, u *journal.Unit, st *stanza.Stanza, err error) {
	if !errors.Is(err, event.Stop) {
		r.bounceAfter(u, st, err)
	}
	r.o.Journal.Submit(u)
}

// bounceAfter adds the step that sends the error.
func (r *Router) bounceAfter(u *journal.Unit, st *stanza.Stanza, err error) {
	var se *stanza.Error
	if !errors.As(err, &se) {
		r.log.Error("a stanza could not be routed", "kind", st.Kind.String(), "from", st.From.String(), "to", st.To.String(), "err", err)
	}
	reply := st.ErrorReply(err)
	if reply == nil {
		return
	}
	r.stats.errors.Add(1)
	u.After(r.lanes.of(st.From), func(error) { r.sendBack(reply) })
}

// bounce sends an error for a stanza whose unit is done already.
func (r *Router) bounce(st *stanza.Stanza, err error) {
	if reply := st.ErrorReply(err); reply != nil {
		r.stats.errors.Add(1)
		r.sendBack(reply)
	}
}

// sendBack delivers a reply: straight into the session if there is one, otherwise as any stanza. RFC 6120 §8.1.2.1: the reply to a
// stanza without "to" has no "from".
func (r *Router) sendBack(reply *stanza.Stanza) {
	if reply.To.IsFull() && r.table.Load().isAccount(reply.To) && r.o.Sessions.Deliver(context.Background(), reply.To, reply) {
		return
	}
	if reply.From.IsZero() {
		return // its session is gone and nobody else has asked
	}
	r.Send(context.Background(), reply)
}

// unitError is what the sender is told when a unit could not be committed.
func unitError(err error) error {
	switch {
	case errors.Is(err, journal.ErrStopped):
		return &stanza.Error{Condition: stanza.ServiceUnavailable, Type: "wait", Text: "The server is shutting down; try again later.", Cause: err}
	case errors.Is(err, journal.ErrConflict), errors.Is(err, journal.ErrStale):
		return &stanza.Error{Condition: stanza.Conflict, Type: "wait", Text: "Somebody else has changed this at the same time; try again.", Cause: err}
	}
	return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "The server cannot store this now; try again later.", Cause: err}
}

// recover keeps the server when a handler that is not called through a point panics.
func (r *Router) recover(ctx context.Context, u *journal.Unit, st *stanza.Stanza) {
	v := recover()
	if v == nil {
		return
	}
	r.log.Error("routing a stanza panicked", "kind", st.Kind.String(), "from", st.From.String(), "to", st.To.String(),
		"panic", v, "stack", string(debug.Stack()))
	if !u.Submitted() {
		r.refuse(ctx, u, st, stanza.AsError(fmt.Errorf("router: panic: %v", v)))
	}
}

// exists tells whether an account is there; one with sessions is.
func (r *Router) exists(ctx context.Context, bare jid.JID) (bool, error) {
	ok, err := r.o.Accounts.Exists(ctx, bare)
	if err != nil {
		return false, fmt.Errorf("router: look up account: %w", err)
	}
	return ok, nil
}
