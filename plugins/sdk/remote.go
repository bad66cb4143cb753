package sdk

import (
	"context"
	"net/http"
)

// Remote is a bridge as the server's gateway sees it: every ability is there,
// those the bridge lacks answer ErrUnsupported. One Remote is one instance: when
// Done is closed it is gone for good, and its successor is another Remote.
type Remote interface {
	Info() Info
	Can(a Ability) bool
	Done() <-chan struct{}
	// Err says why Done was closed.
	Err() error

	Configure(ctx context.Context, c Configuration) error
	// Start starts the bridge; what it delivers goes to h, one batch after the
	// other in order. h settles the tickets in whatever order it can.
	Start(ctx context.Context, h Host, r Resume) error
	// Submit gives the bridge an operation and calls done, once, with the result;
	// done must not block. Submit itself blocks while the bridge's window is full,
	// bounded by ctx; if it returns an error, done is not called. The error done
	// gets is nil or an *Error; CodeSessionLost means that the outcome is unknown.
	// Operations of one portal are carried out one at a time in the order of Submit.
	Submit(ctx context.Context, op Op, done func(Delivered, error)) error
	// Signal passes on typing, presence and read states; it never blocks.
	Signal(s Signal)

	Resolve(ctx context.Context, r ResolveRequest) (Target, error)
	JoinPortal(ctx context.Context, r JoinRequest) (ChatInfo, error)
	LeavePortal(ctx context.Context, r LeaveRequest) error
	ChatInfo(ctx context.Context, r ChatInfoRequest) (ChatInfo, error)
	UserInfo(ctx context.Context, r UserInfoRequest) (UserInfo, error)
	Test(ctx context.Context) (Report, error)
	Drain(ctx context.Context) error

	Searcher
	DirectMessenger
	RoomCreator
	HistorySource
	MediaSource
	Watcher
	LoginFlow
	Setupper
	http.Handler
}

// Handle submits an operation and waits for its result. A done ctx gives up the
// wait, not the operation.
func Handle(ctx context.Context, r Remote, op Op) (Delivered, error) {
	type result struct {
		d   Delivered
		err error
	}
	ch := make(chan result, 1)
	if err := r.Submit(ctx, op, func(d Delivered, err error) { ch <- result{d, err} }); err != nil {
		return Delivered{}, err
	}
	select {
	case res := <-ch:
		return res.d, res.err
	case <-ctx.Done():
		return Delivered{}, &Error{Code: CodeSessionLost, Temporary: true, Text: "no answer in time", Err: ctx.Err()}
	}
}

// DeliverWait is Host.Deliver for hosts that implement DeliverAsync.
func DeliverWait(ctx context.Context, h Host, b Batch) (Receipt, error) {
	t, err := h.DeliverAsync(ctx, b)
	if err != nil {
		return Receipt{}, err
	}
	return t.Wait(ctx)
}
