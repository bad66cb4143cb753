package host

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// guarded is an instance as the gateway gets it: what the plugin sends is slowed
// down to its rate, and operations that are never answered give it away.
type guarded struct {
	sdk.Remote
	limits *limits
	grace  time.Duration
	hung   func(what string)
}

// limits are the rates of one instance.
type limits struct {
	events  *rate.Limiter // the plugin waits
	state   *rate.Limiter // the plugin waits
	signals *rate.Limiter // what is too much is dropped
}

func newLimits(perSecond int) *limits {
	return &limits{
		events:  rate.NewLimiter(rate.Limit(perSecond), max(2*perSecond, sdk.MaxBatch)),
		state:   rate.NewLimiter(rate.Limit(perSecond), max(2*perSecond, 100)),
		signals: rate.NewLimiter(rate.Limit(perSecond), max(2*perSecond, 100)),
	}
}

// Start implements sdk.Remote.
func (g *guarded) Start(ctx context.Context, h sdk.Host, r sdk.Resume) error {
	return g.Remote.Start(ctx, &slowHost{Host: h, limits: g.limits}, r)
}

// Submit implements sdk.Remote. The plugin's side ends an operation at its
// deadline; one that stays unanswered long after it hangs.
func (g *guarded) Submit(ctx context.Context, op sdk.Op, done func(sdk.Delivered, error)) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return g.Remote.Submit(ctx, op, done)
	}
	id := string(op.Head().ID)
	timer := time.AfterFunc(time.Until(deadline)+g.grace, func() { g.hung("operation " + id + " is not answered") })
	err := g.Remote.Submit(ctx, op, func(d sdk.Delivered, err error) {
		timer.Stop()
		done(d, err)
	})
	if err != nil {
		timer.Stop()
	}
	return err
}

// slowHost is the gateway as a limited plugin sees it.
type slowHost struct {
	sdk.Host
	limits *limits
}

// Deliver implements sdk.Host.
func (h *slowHost) Deliver(ctx context.Context, b sdk.Batch) (sdk.Receipt, error) {
	return sdk.DeliverWait(ctx, h, b)
}

// DeliverAsync implements sdk.Host. While it waits the plugin gets no further
// credit: its own queue grows, ours does not.
func (h *slowHost) DeliverAsync(ctx context.Context, b sdk.Batch) (*sdk.Ticket, error) {
	if err := h.limits.events.WaitN(ctx, min(max(len(b.Events), 1), sdk.MaxBatch)); err != nil {
		return nil, sdk.AsError(err)
	}
	return h.Host.DeliverAsync(ctx, b)
}

// Signal implements sdk.Host.
func (h *slowHost) Signal(s sdk.Signal) {
	if h.limits.signals.Allow() {
		h.Host.Signal(s)
	}
}

// State implements sdk.Host.
func (h *slowHost) State() sdk.State { return slowState{h.Host.State(), h.limits.state} }

type slowState struct {
	sdk.State
	limit *rate.Limiter
}

// Put implements sdk.State, and so does Delete: both are written to disk.
func (s slowState) Put(ctx context.Context, key string, value []byte, expect sdk.Revision) (sdk.Revision, error) {
	if err := s.limit.Wait(ctx); err != nil {
		return 0, sdk.AsError(err)
	}
	return s.State.Put(ctx, key, value, expect)
}

func (s slowState) Delete(ctx context.Context, key string, expect sdk.Revision) error {
	if err := s.limit.Wait(ctx); err != nil {
		return sdk.AsError(err)
	}
	return s.State.Delete(ctx, key, expect)
}
