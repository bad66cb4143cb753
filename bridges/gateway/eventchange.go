package gateway

import (
	"context"
	"errors"
	"strconv"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// ownChange tells whether a change is what one of our own operations did; then it has been answered. An edit or retraction that names its operation
// is an echo; one by a sender of ours is too, once nothing is under way: nobody else acts as our senders.
func (a *arrival) ownChange(ctx context.Context) bool {
	if a.head.Origin == "" && !a.head.Own && !a.foreign() {
		return false
	}
	if a.head.Origin == "" && !a.p.out.quiet(ctx, a.bt.i.ctx) {
		a.done(outcome{err: sdk.ErrSessionLost})
		return true
	}
	a.b.counters.echoes.Add(1)
	a.ok()
	return true
}

func onEdit(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Edit)
	if a.ownChange(ctx) {
		return
	}
	if a.p.room().IsZero() {
		a.directEdit(ctx, e)
		return
	}
	a.p.settle(ctx)
	list, err := a.targets(ctx, e.Target)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	if len(list) == 0 { // we never saw the message: then this is what it says
		a.showEdit(ctx, e, nil)
		return
	}
	a.showEdit(ctx, e, &list[0])
}

// showEdit shows a correction by the author of the message (XEP-0308 §3), or the whole text if there is nothing to correct.
func (a *arrival) showEdit(ctx context.Context, e *sdk.Edit, old *found) {
	o, n, rows := a.writeOptions(ctx, e.Content)
	var q *puppet
	var err error
	if old != nil {
		n.Op, n.Target = opCorrect, old.pair.Stanza
		q, err = a.puppetOf(ctx, old.pair.Author)
		if err == nil && q == nil {
			a.ok() // words of a person of this side, which nobody else may change
			return
		}
		o.Replace = old.st.ID
	} else {
		q, err = a.author(ctx, nil)
	}
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	payload := mappings.WriteMessage(e.Content, o)
	if len(payload) == 0 {
		a.ok()
		return
	}
	a.inject(ctx, q, injected{payload: payload, sort: "edit", note: n, text: e.Content.Body.Plain(), record: func(rec *event.MessageRecord) {
		rec.Unit.Add(rows...)
		if old == nil {
			rec.Unit.Add(storage.PutIDPair{Pair: storage.IDPair{Bridge: a.b.spec.Name, Portal: a.p.key, Remote: string(e.Target.ID),
				RemotePart: partNumber(e.Target.Part), Room: a.p.room().String(), Stanza: rec.ID, Author: authorName(q), At: a.head.Time}})
		}
	}})
}

func onRetract(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Retract)
	if a.ownChange(ctx) {
		return
	}
	a.p.settle(ctx)
	if was, err := a.reactionByID(ctx, e.Target.ID); err != nil || was {
		if err != nil {
			a.done(outcome{err: err})
		}
		return
	}
	if a.p.room().IsZero() {
		a.directRetract(ctx, e)
		return
	}
	list, err := a.targets(ctx, e.Target)
	if err != nil {
		a.done(outcome{err: err})
		return
	}
	if len(list) == 0 {
		a.ok()
		return
	}
	a.retractAll(ctx, e, list)
}

// retractAll removes every message here that one message there became. What was taken back before is not taken back again: an event may come twice.
func (a *arrival) retractAll(ctx context.Context, e *sdk.Retract, list []found) {
	for i, t := range list {
		if _, gone := t.st.Child(ns.Retract, "retracted"); gone {
			continue
		}
		q, err := a.puppetOf(ctx, t.pair.Author)
		if err != nil {
			a.done(outcome{err: err})
			return
		}
		by := q
		if by == nil {
			if by, err = a.author(ctx, nil); err != nil {
				a.done(outcome{err: err})
				return
			}
		}
		done := make(chan error, 1)
		r := event.RoomRetraction{Room: a.p.room(), ID: t.pair.Stanza, Moderated: e.Moderated || q == nil, Reason: mappings.Cut(e.Reason, 500, 2000),
			Origin: a.b.spec.users(), Done: func(err error) { done <- err }}
		if !r.Moderated {
			r.Author = q.jid
		}
		n := note{Op: opRetract, Target: t.pair.Stanza, Reason: r.Reason}
		if r.Moderated {
			n.Action = 1
		}
		r.Record = func(rec *event.MessageRecord) {
			if a.head.ID != "" {
				rec.Unit.Lead(storage.Dedupe{Scope: "gateway" + sep + a.p.key, Key: dedupeKey(a.p.key, a.head, "retract"+strconv.Itoa(i)), ID: int64(rec.ID),
					At: a.b.m.d.Clock.Now(), TTL: inboxTTL})
			}
			if err := a.pass(rec, by, n, ""); err != nil {
				a.b.log.Error("a retraction could not be passed on", "room", a.p.room().String(), "error", err)
			}
		}
		err = a.b.m.rooms.Retract(ctx, r)
		if err == nil {
			select {
			case err = <-done:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			a.finish(err)
			return
		}
		a.p.wakeOthers()
	}
	a.ok()
}
