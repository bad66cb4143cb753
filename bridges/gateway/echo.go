package gateway

import (
	"context"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// Echoes: what the network tells us of our own messages must not come back into the room.
//
// An event that names its operation is its echo; if the operation's result was lost, it is also the proof that the network has it. Otherwise an event
// of one of our own senders waits until the portal's operations under way are resolved: then its id is in the id map, or it is no echo (somebody else
// used our webhook). What claims to be by a person of this side, and is neither, is refused.

// echo tells whether a message event is an echo; if so the event has been answered.
func (a *arrival) echo(ctx context.Context, message sdk.RemoteMessageID, part sdk.PartID) bool {
	if a.head.Origin != "" {
		a.p.out.progress(a.head.Origin, sdk.Part{ID: part, Remote: message, Time: a.head.Time})
		a.b.counters.echoes.Add(1)
		a.ok()
		return true
	}
	own := a.head.Own || a.foreign()
	if own && !a.p.out.quiet(ctx, a.bt.i.ctx) {
		a.done(outcome{err: sdk.ErrSessionLost})
		return true
	}
	known, err := a.known(ctx, message, part)
	switch {
	case err != nil:
		a.done(outcome{err: err})
		return true
	case known:
		if own {
			a.b.counters.echoes.Add(1)
		} else {
			a.b.counters.duplicates.Add(1)
		}
		a.ok()
		return true
	case a.foreign():
		a.done(rejected("a plugin may not speak for people of this side"))
		return true
	}
	return false
}

// known tells whether a message is in the id map.
func (a *arrival) known(ctx context.Context, message sdk.RemoteMessageID, part sdk.PartID) (bool, error) {
	pairs, err := a.b.m.d.Store.Gateway().ByRemote(ctx, a.b.spec.Name, a.p.key, string(message))
	if err != nil {
		return false, err
	}
	for _, p := range pairs {
		if p.RemotePart == partNumber(part) {
			return true, nil
		}
	}
	return false, nil
}

// onProgress keeps the parts of an operation that the network has taken.
func onProgress(ctx context.Context, a *arrival) {
	e := a.event.(*sdk.Progress)
	if len(e.Parts) > 1000 {
		a.done(rejected("too many parts"))
		return
	}
	for _, part := range e.Parts {
		a.p.out.progress(e.Op, part)
	}
	a.finish(a.p.out.saveProgress(ctx, e.Op))
}

// saveProgress stores the parts of the operation under way, so that they are known after a crash. It is submitted before the operation can be
// resolved, and in the same lane, so that it cannot bring back what is done.
func (o *outbox) saveProgress(ctx context.Context, op sdk.OpID) error {
	o.mu.Lock()
	f := o.flight
	if f == nil || f.id != op || f.resolved {
		o.mu.Unlock()
		return nil
	}
	n := f.note
	n.Prior = append([]sdk.Part(nil), f.prior...)
	n.Sent = true
	b, err := n.encode()
	if err != nil {
		o.mu.Unlock()
		return err
	}
	ref := f.ref
	ref.Note = b
	u := journal.NewUnit(journal.LinkLane(o.p.key))
	u.Add(storage.PutRef{Ref: ref})
	done := make(chan error, 1)
	u.After(direct{}, func(err error) { done <- err })
	o.p.b.m.d.Journal.Submit(u)
	o.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
