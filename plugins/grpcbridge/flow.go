package grpcbridge

import (
	"context"
	"sync"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// window hands out consecutive numbers up to a limit that the other side moves.
// Whoever reserves numbers holds the turn until it has queued what they are for,
// so that the queue has them in order.
type window struct {
	turn chan struct{} // capacity 1: holding it is being the one who numbers
	lost <-chan struct{}

	mu    sync.Mutex
	next  uint64 // the next number to give
	limit uint64 // the last number that may be given
	grown chan struct{}
}

func newWindow(lost <-chan struct{}) *window {
	return &window{turn: make(chan struct{}, 1), lost: lost, next: 1, grown: make(chan struct{})}
}

// reserve waits until n numbers are free and returns the first; done gives the
// turn to the next.
func (w *window) reserve(ctx context.Context, n uint64) (first uint64, done func(), err error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, nil, sdk.AsError(ctx.Err())
	case <-w.lost:
		return 0, nil, sdk.ErrSessionLost
	}
	done = func() { <-w.turn }
	for {
		w.mu.Lock()
		if w.next+n-1 <= w.limit {
			first = w.next
			w.next += n
			w.mu.Unlock()
			return first, done, nil
		}
		grown := w.grown
		w.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			done()
			return 0, nil, sdk.AsError(ctx.Err())
		case <-w.lost:
			done()
			return 0, nil, sdk.ErrSessionLost
		}
	}
}

// grow moves the limit up; it never moves down.
func (w *window) grow(limit uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit > w.limit {
		w.limit = limit
		close(w.grown)
		w.grown = make(chan struct{})
	}
}

// given is the last number that was handed out.
func (w *window) given() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next - 1
}

// bell wakes a writer; ringing never blocks and is never lost.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// pump sends what build gives whenever the bell rings, until there is nothing more
// to send, ctx ends or a send fails. build returns false if there is nothing.
func pump[F any](ctx context.Context, b bell, build func() (F, bool), send func(F) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b:
		}
		for {
			frame, ok := build()
			if !ok {
				break
			}
			if err := send(frame); err != nil {
				return err
			}
		}
	}
}

// ranges gathers numbers into as few ranges as possible.
type ranges struct{ list []numbers }

type numbers struct{ first, last uint64 }

// add puts a range in; ranges never overlap.
func (r *ranges) add(first, last uint64) {
	i := 0
	for i < len(r.list) && r.list[i].last < first {
		i++
	}
	switch {
	case i > 0 && r.list[i-1].last+1 == first:
		r.list[i-1].last = last
		if i < len(r.list) && last+1 == r.list[i].first {
			r.list[i-1].last = r.list[i].last
			r.list = append(r.list[:i], r.list[i+1:]...)
		}
	case i < len(r.list) && last+1 == r.list[i].first:
		r.list[i].first = first
	default:
		r.list = append(r.list, numbers{})
		copy(r.list[i+1:], r.list[i:])
		r.list[i] = numbers{first, last}
	}
}

// take empties the set.
func (r *ranges) take() []numbers {
	out := r.list
	r.list = nil
	return out
}
