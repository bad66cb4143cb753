package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// inbox keeps the batches of a bridge in the order in which they came. Their events are worked on per portal; a batch's cursors are stored when
// its events and those of every batch before it are durable, so that a cursor never passes what could still be lost.
//
// Bound: Tuning.InboxEvents events under way; then DeliverAsync waits, which is the plugin's credit.
type inbox struct {
	b     *Bridge
	slots chan struct{}

	mu    sync.Mutex
	queue []*batch
}

// batch is one sdk.Batch under way.
type batch struct {
	i       *instance
	events  []sdk.Event
	cursors []sdk.CursorMark
	ticket  *sdk.Ticket

	// guarded by inbox.mu
	left     int
	problems []sdk.EventProblem
	err      error
	storing  bool
}

func (x *inbox) init(b *Bridge, size int) {
	x.b, x.slots = b, make(chan struct{}, size)
}

// outcome is what became of one event: nil is taken.
type outcome struct {
	problem sdk.Outcome
	text    string
	err     error // not stored: the whole batch failed
	noRoom  bool  // the room is none of ours: no fault, networks tell more than was joined
}

func rejected(format string, args ...any) outcome {
	return outcome{problem: sdk.OutcomeRejected, text: fmt.Sprintf(format, args...)}
}

// deliver takes a batch; it blocks only while the bound is reached.
func (x *inbox) deliver(ctx context.Context, i *instance, in sdk.Batch) (*sdk.Ticket, error) {
	if i.lost.Load() {
		return nil, sdk.ErrSessionLost
	}
	if len(in.Events) > sdk.MaxBatch {
		return nil, &sdk.Error{Code: sdk.CodeProtocol, Text: fmt.Sprintf("a batch of %d events", len(in.Events))}
	}
	for range in.Events {
		select {
		case x.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, sdk.AsError(ctx.Err())
		case <-i.ctx.Done():
			return nil, sdk.ErrSessionLost
		}
	}
	bt := &batch{i: i, events: in.Events, cursors: in.Cursors, ticket: sdk.NewTicket(), left: len(in.Events)}
	x.mu.Lock()
	x.queue = append(x.queue, bt)
	x.mu.Unlock()
	for n, e := range in.Events {
		x.b.take(bt, e, func(o outcome) { x.done(bt, n, o) })
	}
	x.advance()
	return bt.ticket, nil
}

// done is told the outcome of one event, once, from any goroutine.
func (x *inbox) done(bt *batch, n int, o outcome) {
	<-x.slots
	x.mu.Lock()
	bt.left--
	switch {
	case o.err != nil:
		bt.err = errors.Join(bt.err, o.err)
	case o.problem != sdk.OutcomeAccepted:
		bt.problems = append(bt.problems, sdk.EventProblem{Index: n, Outcome: o.problem, Text: o.text})
	}
	x.mu.Unlock()
	if o.problem != sdk.OutcomeAccepted {
		level := slog.LevelWarn
		if o.noRoom {
			level = slog.LevelDebug
		} else {
			x.b.counters.rejected.Add(1)
		}
		x.b.log.Log(context.Background(), level, "event rejected", "reason", o.text, "event", strings.TrimPrefix(fmt.Sprintf("%T", bt.events[n]), "*sdk."))
	}
	x.advance()
}

// advance settles the batches at the head that are done.
func (x *inbox) advance() {
	for {
		x.mu.Lock()
		if len(x.queue) == 0 || x.queue[0].left > 0 || x.queue[0].storing {
			x.mu.Unlock()
			return
		}
		bt := x.queue[0]
		if bt.err == nil && len(bt.cursors) > 0 {
			bt.storing = true
			x.mu.Unlock()
			x.storeCursors(bt)
			return
		}
		x.pop(bt)
		x.mu.Unlock()
		bt.ticket.Settle(sdk.Receipt{Problems: bt.problems}, bt.err)
	}
}

// pop removes the head. If it has failed, what stands behind it has failed too: the plugin delivers all of it again, in order. x.mu is held.
func (x *inbox) pop(bt *batch) {
	x.queue = x.queue[1:]
	if bt.err == nil {
		return
	}
	for _, later := range x.queue {
		if later.i == bt.i && later.err == nil {
			later.err = fmt.Errorf("gateway: an earlier batch was not stored: %w", bt.err)
		}
	}
}

// storeCursors commits the cursors of the batch at the head.
func (x *inbox) storeCursors(bt *batch) {
	u := journal.NewUnit(journal.LinkLane(x.b.spec.Name))
	for _, c := range bt.cursors {
		u.Add(storage.PutRow{Table: tableCursors, Owner: x.b.spec.Name, Key: string(c.Portal.Login) + sep + string(c.Portal.Room), Value: []byte(c.Cursor)})
	}
	u.After(direct{}, func(err error) {
		x.mu.Lock()
		bt.storing, bt.cursors = false, nil
		if err != nil {
			bt.err = fmt.Errorf("gateway: store cursors: %w", err)
		}
		x.mu.Unlock()
		x.advance()
	})
	x.b.m.d.Journal.Submit(u)
}

// lose settles what an instance has under way: nobody will hear of it. The events are still worked on; those that come again are recognised.
func (x *inbox) lose(i *instance) {
	x.mu.Lock()
	var open []*batch
	for _, bt := range x.queue {
		if bt.i == i {
			open = append(open, bt)
			// A cursor may be stored only while the plugin can still be told so.
			bt.err = errors.Join(bt.err, sdk.ErrSessionLost)
		}
	}
	x.mu.Unlock()
	for _, bt := range open {
		bt.ticket.Settle(sdk.Receipt{}, sdk.ErrSessionLost)
	}
}

// resume is where the plugin left off.
func (b *Bridge) resume(ctx context.Context) (sdk.Resume, error) {
	var r sdk.Resume
	t := b.m.d.Store.Table(tableCursors)
	for from := ""; ; {
		rows, err := t.Range(ctx, b.spec.Name, from, "", 500, false)
		if err != nil {
			return r, fmt.Errorf("read cursors: %w", err)
		}
		for _, row := range rows {
			_, k, ok := parsePortalKey(sep + row.Key)
			if ok {
				r.Cursors = append(r.Cursors, sdk.CursorMark{Portal: k, Cursor: sdk.Cursor(row.Value)})
			}
			from = row.Key + "\x00"
		}
		if len(rows) < 500 {
			break
		}
	}
	for after := ""; ; {
		list, err := b.m.d.Store.Gateway().Portals(ctx, b.spec.Name, storage.Page{After: after, Limit: 500})
		if err != nil {
			return r, fmt.Errorf("read portals: %w", err)
		}
		for _, p := range list {
			after = p.Key
			st, err := decodePortal(p.State)
			if err != nil {
				return r, err
			}
			if !st.Gone {
				r.Portals = append(r.Portals, st.Remote)
			}
		}
		if len(list) < 500 {
			break
		}
	}
	r.First = len(r.Cursors) == 0 && len(r.Portals) == 0
	return r, nil
}
