package event

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// Phase orders the handlers of a point.
type Phase uint8

// The phases, in their order.
const (
	Guard Phase = iota
	Rewrite
	Record
	Deliver
	After
	phases
)

var phaseNames = [...]string{"guard", "rewrite", "record", "deliver", "after"}

// String returns the phase's name.
func (p Phase) String() string { return phaseNames[p] }

// Stop is returned by a guard that has dealt with the value itself: nothing more happens to it and nobody is told.
var Stop = errors.New("event: stop") //nolint:staticcheck // no failure but a signal, as io.EOF is

// PendingError is returned by a guard at a point that allows a later decision.
type PendingError struct {
	// Deadline is how long the point waits; then the decision is remote-server-timeout.
	Deadline time.Duration
	// Start is called once, in the owner's goroutine; resolve may be called from any goroutine, once: nil allows, a *stanza.Error refuses.
	Start func(resolve func(error))

	next int // the guard to go on with; see Point.Resume
}

func (*PendingError) Error() string { return "event: pending" }

// Pending says that the decision comes later; see PendingError.
func Pending(deadline time.Duration, start func(resolve func(error))) error {
	return &PendingError{Deadline: deadline, Start: start}
}

type handler[T any] struct {
	who string
	fn  func(context.Context, *T) error
}

// Point is one typed seam. Its zero value has no name and no handlers and may be run.
type Point[T any] struct {
	name string
	cat  *Catalogue
	set  atomic.Pointer[[phases][]handler[T]]
}

// On adds a handler; who is the module's name. It is called before the server starts, or not concurrently with itself.
func (p *Point[T]) On(phase Phase, who string, fn func(context.Context, *T) error) {
	var next [phases][]handler[T]
	if old := p.set.Load(); old != nil {
		next = *old
	}
	list := make([]handler[T], 0, len(next[phase])+1)
	next[phase] = append(append(list, next[phase]...), handler[T]{who, fn})
	p.set.Store(&next)
}

// Listeners returns "phase module" for each handler, in their order.
func (p *Point[T]) Listeners() []string {
	var out []string
	if s := p.set.Load(); s != nil {
		for ph, list := range s {
			for _, h := range list {
				out = append(out, Phase(ph).String()+" "+h.who)
			}
		}
	}
	return out
}

// Has tells whether somebody listens in a phase, so that a hot path can leave out what only that phase needs.
func (p *Point[T]) Has(phase Phase) bool {
	s := p.set.Load()
	return s != nil && len(s[phase]) > 0
}

// Decide runs guard, rewrite and record. The first error ends it and is returned: Stop, a *stanza.Error, a *PendingError, or another error
// that the caller turns into internal-server-error.
func (p *Point[T]) Decide(ctx context.Context, v *T) error { return p.decide(ctx, v, 0) }

// Resume goes on where a guard of Decide returned pending and has now been resolved with nil: with the guards behind it, rewrite and record.
// It may return another *PendingError.
func (p *Point[T]) Resume(ctx context.Context, v *T, pending *PendingError) error {
	return p.decide(ctx, v, pending.next)
}

func (p *Point[T]) decide(ctx context.Context, v *T, first int) error {
	s := p.set.Load()
	if s == nil {
		return nil
	}
	for ph := Guard; ph <= Record; ph++ {
		for i := first; i < len(s[ph]); i++ {
			if err := p.call(ctx, &s[ph][i], v); err != nil {
				var pe *PendingError
				if ph == Guard && errors.As(err, &pe) {
					pe.next = i + 1
				}
				return err
			}
		}
		first = 0
	}
	return nil
}

// Committed runs deliver and after; the first error of a deliver handler ends the deliver phase and is returned after the after phase
// (Stop: the value was delivered in another way).
func (p *Point[T]) Committed(ctx context.Context, v *T) error {
	s := p.set.Load()
	if s == nil {
		return nil
	}
	var first error
	for i := range s[Deliver] {
		if first = p.call(ctx, &s[Deliver][i], v); first != nil {
			break
		}
	}
	for i := range s[After] {
		_ = p.call(ctx, &s[After][i], v)
	}
	return first
}

// Fire runs all phases: for points that are not tied to a unit.
func (p *Point[T]) Fire(ctx context.Context, v *T) error {
	if err := p.Decide(ctx, v); err != nil {
		return err
	}
	return p.Committed(ctx, v)
}

func (p *Point[T]) call(ctx context.Context, h *handler[T], v *T) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &stanza.Error{Condition: stanza.InternalServerError, Type: "wait", Text: "The server could not do this.",
				Cause: fmt.Errorf("event: panic in %s at %s: %v", h.who, p.name, r)}
			if p.cat != nil && p.cat.OnPanic != nil {
				p.cat.OnPanic(p.name, h.who, r, debug.Stack())
			}
		}
	}()
	return h.fn(ctx, v)
}
