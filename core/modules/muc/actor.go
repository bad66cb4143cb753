package muc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/modules/muc/room"
	"github.com/viaduct-xmpp/viaduct/core/payload/stanzaid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// actor is one room in memory. Its fields belong to the goroutine of its queue, but for posted and forgotten, which the table's lock guards.
type actor struct {
	m   *Module
	h   *host
	jid jid.JID
	q   *journal.Queue
	ctx context.Context

	loaded bool
	room   *room.Room // nil: there is no such room
	ids    *stanzaid.Codec
	hist   history
	hear   audience
	joins  room.Bucket
	coming room.Buckets

	requests *requests          // those who want to become members; nil: not read yet
	told     room.Bucket        // how often admins are told of them
	behind   []*room.Occupant   // what they show now has not been shown to the others yet (flood.go)
	slow     []func()           // what is shown little by little (flood.go)
	remote   map[jid.JID]*pulse // sessions of other servers (heal.go)
	pinging  int                // of them, those who are being asked
	extra    extras             // of features that XEP-0045 does not know (hooks.go)

	// Order. A task that has to wait is in backlog, and so is everything behind it: it is bounded by the units that the edges have admitted.
	backlog  []task
	inflight int  // messages that wait for their commit
	barrier  int  // exclusive tasks that wait for their commit, or a lookup for its answer
	looking  bool // a lookup waits for its answer: calls of the rooms service go first, they may be how it is answered
	inline   int  // a handler of an event has called back into the rooms service
	pending  int  // stanzas whose decision a guard has postponed

	idle    module.Timer
	flush   module.Timer // flood.go
	pulses  module.Timer // heal.go
	waiting module.Timer // for the first configuration
	resting bool         // the idle time is over

	seats     atomic.Int64 // occupants, for those who only want to know how many
	posted    int
	forgotten bool
}

func newActor(m *Module, h *host, at jid.JID) *actor {
	a := &actor{m: m, h: h, jid: at}
	a.q = journal.NewQueue(func(v any) { m.d.Log.Error("a room's handler panicked", "room", at.String(), "panic", fmt.Sprint(v)) })
	a.ctx = m.base
	return a
}

// task is one stanza or call.
type task struct {
	class class
	in    *inbound
	run   handler
}

// accept runs a task, or keeps it until its turn.
func (a *actor) accept(t task) {
	if t.class == immediate && a.loaded && a.room != nil {
		a.start(t)
		return
	}
	a.backlog = append(a.backlog, t)
	a.drain()
}

// drain runs what may be run now.
func (a *actor) drain() {
	for {
		i := a.next()
		if i < 0 {
			return
		}
		t := a.backlog[i]
		if t.class == exclusive && a.inflight > 0 {
			return
		}
		if i == 0 {
			a.backlog[0] = task{}
			a.backlog = a.backlog[1:]
		} else {
			a.backlog = slices.Delete(a.backlog, i, i+1)
		}
		if len(a.backlog) == 0 {
			a.backlog = nil
		}
		a.start(t)
	}
}

// next returns which task of the backlog has its turn, -1 for none.
func (a *actor) next() int {
	switch {
	case a.barrier == 0 && len(a.backlog) > 0:
		return 0
	case a.barrier == 1 && a.looking:
		return slices.IndexFunc(a.backlog, func(t task) bool { return t.in != nil && t.in.call })
	}
	return -1
}

func (a *actor) start(t task) {
	if t.in != nil && t.in.u != nil {
		t.in.mark = t.in.u.Mark()
	}
	defer a.caught(t.in)
	a.wake()
	a.heard(t.in)
	if !a.loaded {
		if err := a.load(); err != nil {
			a.m.d.Log.Error("a room could not be read", "room", a.jid.String(), "err", err)
			a.refuse(t.in, stanza.AsError(err))
			return
		}
	}
	t.run(a, t.in)
}

// caught keeps the room when a handler panics: the sender is told, and the room goes on.
func (a *actor) caught(in *inbound) {
	v := recover()
	if v == nil {
		return
	}
	a.m.d.Log.Error("a room's handler panicked", "room", a.jid.String(), "panic", fmt.Sprint(v))
	if in != nil && in.u != nil && !in.u.Submitted() {
		in.u.Back(in.mark) // half a change is none
		a.refuse(in, stanza.AsError(fmt.Errorf("muc: panic: %v", v)))
	}
}

// commit submits the unit of an exclusive task and calls then with its outcome: at once if it has no rows (nothing of the room is under
// way, so nothing can be overtaken), after the commit otherwise. Until then nothing else of the room is decided.
func (a *actor) commit(u *journal.Unit, then func(error)) {
	switch {
	case u.Empty():
		then(nil)
		a.m.d.Journal.Submit(u)
	case a.inline > 0:
		// Called from a handler of an event of this very room: it has to see the result, and the queue is busy with it.
		done := make(chan error, 1)
		u.After(direct{}, func(err error) { done <- err })
		a.m.d.Journal.Submit(u)
		then(<-done)
	default:
		a.barrier++
		u.After(a.q, func(err error) { a.release(nil, func() { then(err) }) })
		a.m.d.Journal.Submit(u)
	}
}

// release ends the barrier, runs fn and goes on with what waits.
func (a *actor) release(in *inbound, fn func()) {
	defer a.rest()
	a.barrier--
	func() {
		defer a.caught(in)
		fn()
	}()
	a.drain()
}

// stream submits the unit of a message and calls then with its outcome, in the order of the messages.
func (a *actor) stream(u *journal.Unit, then func(error)) {
	if u.Empty() && a.inflight == 0 {
		then(nil)
		a.m.d.Journal.Submit(u)
		return
	}
	a.inflight++
	u.After(a.q, func(err error) {
		defer a.rest()
		a.inflight--
		func() {
			defer a.caught(nil)
			then(err)
		}()
		a.drain()
	})
	a.m.d.Journal.Submit(u)
}

// direct runs a step where the committer posts it; only for steps that do nothing but send on a buffered channel.
type direct struct{}

func (direct) Post(fn func()) { fn() }

// refuse answers a stanza with an error, if it may be answered, and ends its unit.
func (a *actor) refuse(in *inbound, err error) {
	if in == nil {
		return
	}
	if in.failed != nil {
		in.failed(err)
	}
	if in.call {
		return // nothing comes of it
	}
	if in.st == nil || in.failed != nil {
		a.m.d.Journal.Submit(in.u)
		return
	}
	if errors.Is(err, event.Stop) {
		a.m.d.Journal.Submit(in.u)
		return
	}
	se := *stanza.AsError(err)
	if se.Condition == stanza.InternalServerError {
		a.m.d.Log.Error("a stanza to a room failed", "room", a.jid.String(), "err", err)
	}
	se.By = a.jid.String()
	a.reply(in, in.st.ErrorReply(&se))
}

// reply ends the unit of a stanza and sends what answers it (nil: nothing).
func (a *actor) reply(in *inbound, st *stanza.Stanza) {
	if st != nil {
		if in.u.Empty() {
			a.send(st)
		} else {
			in.u.After(a.q, func(error) { a.send(st) })
		}
	}
	a.m.d.Journal.Submit(in.u)
}

// stored turns the failure of a unit into what the sender is told.
func stored(err error) error {
	switch {
	case errors.Is(err, journal.ErrConflict), errors.Is(err, journal.ErrStale):
		return &stanza.Error{Condition: stanza.Conflict, Type: "wait", Text: "The room has changed at the same time; try again.", Cause: err}
	case errors.Is(err, journal.ErrStopped):
		return &stanza.Error{Condition: stanza.ServiceUnavailable, Type: "wait", Text: "The server is shutting down; try again later.", Cause: err}
	}
	return &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "The room cannot store this now; try again later.", Cause: err}
}
