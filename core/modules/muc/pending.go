package muc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Decisions that a guard postpones (event.Pending): the stanza waits, the room's others go on. When the answer comes, the stanza is decided
// on again from the start, in its turn, and the point goes on behind the guard that had asked.

// decide runs a point, or goes on with one whose guard has been answered. While it runs, its handlers may call the rooms service for this
// very room with the context that they are given.
func decide[T any](a *actor, p *event.Point[T], v *T, resumed *event.PendingError) error {
	ctx, end := a.callable()
	defer end()
	if resumed != nil {
		return p.Resume(ctx, v, resumed)
	}
	return p.Decide(ctx, v)
}

// inRoom marks a context in which a room's own goroutine waits for what is called.
type inRoom struct {
	a    *actor
	live atomic.Bool
}

type inRoomKey struct{}

// callable returns a context with which the rooms service is carried out at once; end takes that back, so that a goroutine that a handler
// has started and that outlives it comes by the queue like everybody.
func (a *actor) callable() (ctx context.Context, end func()) {
	k := &inRoom{a: a}
	k.live.Store(true)
	return context.WithValue(a.ctx, inRoomKey{}, k), func() { k.live.Store(false) }
}

// contextRoom returns the room in whose goroutine ctx is used, nil if none.
func contextRoom(ctx context.Context) *actor {
	if k, _ := ctx.Value(inRoomKey{}).(*inRoom); k != nil && k.live.Load() {
		return k.a
	}
	return nil
}

// unit returns a unit of the room's lane.
func (a *actor) unit() *journal.Unit { return journal.NewUnit(journal.RoomLane(a.jid.String())) }

// postponed keeps a stanza whose decision err postpones; again is called when it has been made. False: err is something else.
func (a *actor) postponed(in *inbound, err error, again func(*actor, *inbound, *event.PendingError)) bool {
	var pe *event.PendingError
	if !errors.As(err, &pe) {
		return false
	}
	if a.pending >= a.m.o.MaxPending {
		a.refuse(in, &stanza.Error{Condition: stanza.ResourceConstraint, Type: "wait", Text: "too much of this room waits for the other side"})
		return true
	}
	a.pending++
	if in.st != nil && in.st.Kind != stanza.Message {
		// A presence or a request is confirmed by its answer, so that it counts as received now. A message counts as received when it is
		// stored: its unit waits.
		a.m.d.Journal.Submit(in.u)
		in.u = a.unit()
	}
	a.ask(pe, func(err error) {
		a.pending--
		a.accept(task{class: exclusive, in: in, run: func(a *actor, in *inbound) {
			if err != nil {
				a.refuse(in, err)
				return
			}
			again(a, in, pe)
		}})
	})
	return true
}

// ask starts a postponed decision; then is called once in the room's queue.
func (a *actor) ask(pe *event.PendingError, then func(error)) {
	var once sync.Once
	resolve := func(err error) {
		once.Do(func() {
			a.q.Post(func() {
				defer a.rest()
				then(err)
			})
		})
	}
	t := a.m.d.Clock.AfterFunc(pe.Deadline, func() {
		resolve(stanza.NewError(stanza.RemoteServerTimeout, "the other side did not answer in time"))
	})
	pe.Start(func(err error) {
		t.Stop()
		resolve(err)
	})
}
