package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// outbox sends what waits in a portal's Outbox list, in order, one operation at a time. The list is in the store and nowhere else: while the
// plugin is away or the network makes the portal wait, nothing is held in memory.
//
// One at a time also where the network is idempotent: an operation that has to be repeated must not be overtaken by the one behind it, and a plugin
// carries out the operations of a portal one after the other in any case.
type outbox struct {
	p *portal

	mu      sync.Mutex
	running bool // a pump is there
	again   bool // something was added meanwhile
	paused  bool // until a time: resume is called then
	flight  *flight
	begun   bool          // an operation was sent since the start; only the pump uses it
	kept    *result       // of an operation that is done, but could not be stored as that yet
	pause   time.Duration // the next pause after a failure
	sent    int           // operations delivered, refused, and the last error, since the start
	refused int
	lastErr string
	idle    chan struct{} // closed when flight becomes nil; nil: nobody waits
}

// result is what the network made of an operation.
type result struct {
	ref storage.MessageID
	d   sdk.Delivered
}

// flight is the operation that the plugin has.
type flight struct {
	id       sdk.OpID
	ref      storage.Ref
	note     note
	prior    []sdk.Part
	resolved bool
}

func (o *outbox) init(p *portal) { o.p = p }

// wake starts the pump if it is not there.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.again = true
	o.start()
}

// resume ends a pause.
func (o *outbox) resume() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.paused, o.again = false, true
	o.start()
}

// start needs o.mu.
func (o *outbox) start() {
	if o.running || o.paused || !o.again {
		return
	}
	o.running = o.p.b.m.runPump(o.pump)
}

// pump works until there is nothing to send, or nobody to send it to. It starts again with wake.
func (o *outbox) pump(ctx context.Context) {
	for {
		o.mu.Lock()
		o.again = false
		o.mu.Unlock()
		more := o.step(ctx)
		o.mu.Lock()
		if !more && !o.again || o.paused || ctx.Err() != nil || o.p.b.m.stopping.Load() {
			o.running = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// step sends the first waiting operation; more tells that the next may follow at once.
func (o *outbox) step(ctx context.Context) (more bool) {
	i := o.p.b.current()
	if l := o.p.link(); i == nil || o.p.b.paused() || o.p.closed.Load() || l != nil && l.paused() {
		return false // attach and Resume wake every portal that has something waiting
	}
	list, _, err := o.p.b.m.d.Store.Messages().List(ctx, storage.Outbox, o.p.key, storage.Range{Limit: 1})
	if err != nil {
		if ctx.Err() == nil {
			o.p.b.log.Error("outbox not read", "portal", o.p.key, "error", err)
			o.wait(o.p.b.m.o.Tune.RetryMin)
		}
		return false
	}
	if len(list) == 0 {
		return false
	}
	head := list[0]
	n, err := decodeNote(head.Note)
	if err != nil {
		o.p.b.log.Error("an operation cannot be read and is dropped", "portal", o.p.key, "error", err)
		return o.drop(ctx, head.Ref) == nil
	}
	return o.send(ctx, i, head, n)
}

// send gives one operation to the plugin and deals with the result.
func (o *outbox) send(ctx context.Context, i *instance, head storage.Stored, n note) (more bool) {
	if o.inherited(head) {
		n.Sent, n.Attempt = true, max(1, n.Attempt)
	}
	f := &flight{id: opID(o.p.key, head.ID, ""), ref: head.Ref, note: n, prior: n.Prior}
	if age := o.p.b.m.d.Clock.Now().Sub(head.Msg.Time()); age > o.p.b.m.o.Tune.MaxAge {
		return o.refuse(ctx, f, &sdk.Error{Code: sdk.CodeExpired, Text: "the message could not be delivered for too long"}, head.Body) == nil
	}
	op, err := o.p.operation(ctx, f, head)
	if err != nil {
		return o.refuse(ctx, f, sdk.AsError(err), head.Body) == nil
	}
	if op == nil { // nothing to do any more
		return o.drop(ctx, head.Ref) == nil
	}
	if op.Head().Portal, err = o.p.opened(ctx, i, op.Head().Sender); err != nil {
		return o.failed(ctx, f, err, head.Body)
	}
	if !o.p.caps().Idempotent && !n.Sent {
		if err := o.mark(ctx, f); err != nil {
			o.wait(o.p.b.m.o.Tune.RetryMin)
			return false
		}
	}
	o.fly(f)
	d, err := o.outcome(ctx, i, op, head.ID)
	if err == nil {
		if err = o.delivered(ctx, f, d); err != nil {
			o.kept = &result{head.ID, d}
		}
		o.land(f)
		if err != nil && ctx.Err() == nil {
			o.p.b.log.Error("a result could not be stored; the operation will be repeated", "portal", o.p.key, "error", err)
			o.wait(o.p.b.m.o.Tune.RetryMin)
		}
		return err == nil
	}
	more = o.failed(ctx, f, err, head.Body)
	o.land(f)
	return more
}

// inherited tells whether an operation may have been given to the plugin by the server that ran before: the first of the list at the start. Where
// the network is idempotent this is not stored (see mark), but networks forget their ids when they are killed, too.
func (o *outbox) inherited(head storage.Stored) bool {
	first := !o.begun
	o.begun = true
	return first && head.ID.Time().Before(o.p.b.m.started)
}

// outcome is the result of an operation, which may be there already. Only the pump uses o.kept.
func (o *outbox) outcome(ctx context.Context, i *instance, op sdk.Op, ref storage.MessageID) (sdk.Delivered, error) {
	kept := o.kept
	o.kept = nil
	if kept != nil && kept.ref == ref {
		return kept.d, nil
	}
	return o.submit(ctx, i, op)
}

// submit waits for the result. The deadline bounds it for the plugin; what answers later than that is not waited for.
func (o *outbox) submit(ctx context.Context, i *instance, op sdk.Op) (sdk.Delivered, error) {
	ctx, cancel := context.WithTimeout(ctx, o.p.b.m.o.Tune.OpTimeout)
	defer cancel()
	stop := context.AfterFunc(i.ctx, cancel)
	defer stop()
	return sdk.Handle(ctx, i.remote, op)
}

func (o *outbox) fly(f *flight) {
	o.mu.Lock()
	o.flight = f
	o.mu.Unlock()
}

func (o *outbox) land(f *flight) {
	o.mu.Lock()
	f.resolved = true
	o.flight = nil
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
	o.mu.Unlock()
}

// quiet waits until no operation is under way; false if the plugin went away before.
func (o *outbox) quiet(ctx, session context.Context) bool {
	o.mu.Lock()
	if o.flight == nil {
		o.mu.Unlock()
		return true
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	wait := o.idle
	o.mu.Unlock()
	select {
	case <-wait:
		return true
	case <-session.Done():
		return false
	case <-ctx.Done():
		return false
	}
}

// progress notes a part that the network has taken of the operation under way.
func (o *outbox) progress(op sdk.OpID, part sdk.Part) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.flight
	if f == nil || f.id != op || part.Remote == "" {
		return
	}
	for _, p := range f.prior {
		if p.ID == part.ID {
			return
		}
	}
	f.prior = append(f.prior, part)
}

// mark stores that the operation is given to the plugin now: after a crash it is in doubt.
func (o *outbox) mark(ctx context.Context, f *flight) error {
	n := f.note
	n.Sent = true
	b, err := n.encode()
	if err != nil {
		return err
	}
	ref := f.ref
	ref.Note = b
	u := journal.NewUnit(journal.LinkLane(o.p.key))
	u.Add(storage.PutRef{Ref: ref})
	return o.p.b.m.commit(ctx, u)
}

// wait pauses the portal; the others go on.
func (o *outbox) wait(d time.Duration) {
	o.mu.Lock()
	o.paused = true
	o.mu.Unlock()
	o.p.b.portals.later(o.p, d)
}

// drop removes an operation that is done or cannot be done.
func (o *outbox) drop(ctx context.Context, ref storage.Ref) error {
	u := journal.NewUnit(journal.LinkLane(o.p.key))
	u.Add(storage.DeleteRef{Kind: storage.Outbox, Owner: o.p.key, ID: ref.ID})
	return o.p.b.m.commit(ctx, u)
}

// failed decides what a failure means: the session is gone (the next one repeats), the network asks to wait, or it is final.
func (o *outbox) failed(ctx context.Context, f *flight, err error, body []byte) (more bool) {
	e := sdk.AsError(err)
	o.p.b.counters.fail(e)
	o.mu.Lock()
	o.lastErr = e.Error()
	o.mu.Unlock()
	switch {
	case errors.Is(e, sdk.ErrSessionLost) && o.p.b.current() == nil || ctx.Err() != nil:
		o.again1(ctx, f, true)
		return false
	case e.Temporary:
		// Only what was certainly not begun is in no doubt.
		o.again1(ctx, f, e.Code != sdk.CodeRateLimited && e.Code != sdk.CodeExpired)
		o.wait(o.backoff(e.RetryAfter))
		return false
	}
	return o.refuse(ctx, f, e, body) == nil
}

// again1 stores that an operation has been tried once more.
func (o *outbox) again1(ctx context.Context, f *flight, doubt bool) {
	o.mu.Lock()
	n := f.note
	n.Attempt++
	n.Sent = n.Sent && n.Attempt > 1 || doubt
	n.Prior = f.prior
	o.mu.Unlock()
	b, err := n.encode()
	if err != nil {
		return
	}
	ref := f.ref
	ref.Note = b
	u := journal.NewUnit(journal.LinkLane(o.p.key))
	u.Add(storage.PutRef{Ref: ref})
	if err := o.p.b.m.commit(ctx, u); err != nil && ctx.Err() == nil {
		o.p.b.log.Warn("an attempt could not be stored", "portal", o.p.key, "error", err)
	}
}

// backoff is the pause: what the network asked for, else twice the last one.
func (o *outbox) backoff(asked time.Duration) time.Duration {
	t := o.p.b.m.o.Tune
	o.mu.Lock()
	defer o.mu.Unlock()
	if asked > 0 {
		return min(asked, time.Hour)
	}
	o.pause = min(max(2*o.pause, t.RetryMin), t.RetryMax)
	return o.pause
}
