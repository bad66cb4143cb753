package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// arrival is one event on its way.
type arrival struct {
	b     *Bridge
	bt    *batch
	p     *portal // nil: the event is about no room
	head  *sdk.EventHeader
	event sdk.Event
	done  func(outcome)
}

// eventHandler works on one event, in its portal's queue; it calls a.done once, now or when it is committed.
type eventHandler func(ctx context.Context, a *arrival)

// handlerOf is the table of events. room: it needs a portal that exists.
func handlerOf(e sdk.Event) (h eventHandler, room bool) {
	switch e.(type) {
	case *sdk.Message:
		return onMessage, true
	case *sdk.Edit:
		return onEdit, true
	case *sdk.Retract:
		return onRetract, true
	case *sdk.Reaction:
		return onReaction, true
	case *sdk.Membership:
		return onMembership, true
	case *sdk.Rights:
		return onRights, true
	case *sdk.RoomChanged:
		return onRoomChanged, true
	case *sdk.RoomMoved:
		return onRoomMoved, true
	case *sdk.PortalOpened:
		return onPortalOpened, false
	case *sdk.PortalGone:
		return onPortalGone, true
	case *sdk.UserChanged:
		return onUserChanged, false
	case *sdk.Progress:
		return onProgress, true
	case *sdk.Gap:
		return onGap, true
	}
	return nil, false
}

// take hands an event to its portal's queue. done is called once.
func (b *Bridge) take(bt *batch, e sdk.Event, done func(outcome)) {
	if e == nil {
		done(rejected("no event"))
		return
	}
	h, needsRoom := handlerOf(e)
	if h == nil {
		done(outcome{problem: sdk.OutcomeUnsupported, text: "this sort of event is not known here"})
		return
	}
	head := e.Head()
	if err := checkHeader(head); err != nil {
		done(rejected("%v", err))
		return
	}
	if needsRoom && head.Portal.Room == "" {
		done(rejected("the event names no room"))
		return
	}
	q := b.portals.queue(head.Portal)
	if q == nil {
		done(rejected("too many rooms"))
		return
	}
	b.counters.received.Add(1)
	a := &arrival{b: b, bt: bt, head: head, event: e, done: done}
	q.Post(func() { a.run(h, needsRoom) })
}

// run works on an event. It is never lost to a panic: the plugin would wait for ever.
func (a *arrival) run(h eventHandler, needsRoom bool) {
	answered := false
	done := a.done
	a.done = func(o outcome) {
		if !answered {
			answered = true
			done(o)
		}
	}
	defer func() {
		if v := recover(); v != nil {
			a.done(rejected("the server failed: %v", v))
			panic(v) // the queue logs it
		}
	}()
	ctx := a.b.m.base
	var err error
	a.p, err = a.b.portals.get(ctx, a.head.Portal)
	if err == nil && a.p == nil && needsRoom {
		a.p, err = a.b.awaitJoin(ctx, a.head.Portal)
	}
	switch {
	case err != nil:
		a.done(outcome{err: err})
	case a.p == nil && needsRoom:
		o := rejected("there is no room for %q here", a.head.Portal.Room)
		o.noRoom = true
		a.done(o)
	default:
		h(ctx, a)
	}
}

// ok answers that the event is taken: now, or known before.
func (a *arrival) ok() { a.done(outcome{}) }

// finish answers with the outcome of what was committed; a repetition is one that is known.
func (a *arrival) finish(err error) {
	var dup *journal.DuplicateError
	switch {
	case err == nil:
		a.ok()
	case errors.As(err, &dup):
		a.b.counters.duplicates.Add(1)
		a.ok()
	default:
		a.done(outcome{err: fmt.Errorf("gateway: event: %w", err)})
	}
}

// checkHeader refuses what no honest plugin sends.
func checkHeader(h *sdk.EventHeader) error {
	for what, id := range map[string]string{
		"room": string(h.Portal.Room), "login": string(h.Portal.Login), "event": string(h.ID), "version": h.Version, "actor": string(h.Actor.User),
		"operation": string(h.Origin),
	} {
		if id != "" && !validID(id) {
			return fmt.Errorf("the id of the %s is malformed", what)
		}
	}
	if h.Actor.User != "" && (h.Actor.Person != "" || h.Actor.Address != "") {
		return errors.New("the actor is on both sides")
	}
	return nil
}

// validID: valid UTF-8, no control characters, not too long (plugins/sdk ids.go).
func validID(s string) bool {
	return len(s) <= sdk.MaxID && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// foreign tells whether an event claims to be by an XMPP person. A plugin may report what ghosts did, but not speak as people of this side.
func (a *arrival) foreign() bool { return a.head.Actor.Person != "" || a.head.Actor.Address != "" }
