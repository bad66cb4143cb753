package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// LocalOptions are the choices of NewLocal; zero values are defaults.
type LocalOptions struct {
	Window        int           // operations under way at a time (256)
	Signals       int           // signals kept while the bridge is busy (1024)
	SignalTimeout time.Duration // for one signal (10 s)
	Log           *slog.Logger  // where panics of the bridge go
}

// Local makes a Remote of a Bridge in the same process: it keeps the order of
// operations per portal, coalesces signals and turns panics into errors. The plugin
// side of grpcbridge serves one, and a gateway can be tested against one.
// It owns a goroutine for signals, and one for every portal with an operation.
type Local struct {
	b    Bridge
	opt  LocalOptions
	can  map[Ability]bool
	info Info

	signals *SignalQueue
	slots   chan struct{}

	ctx    context.Context // ends with Close; operations inherit from it
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	lanes map[lane][]func()
}

var _ Remote = (*Local)(nil)

// lane is what operations are ordered by: the portal, else the person.
type lane struct {
	portal PortalKey
	person PersonID
}

// NewLocal wraps b. Close must be called.
func NewLocal(b Bridge, opt LocalOptions) *Local {
	if opt.Window <= 0 {
		opt.Window = 256
	}
	if opt.Signals <= 0 {
		opt.Signals = 1024
	}
	if opt.SignalTimeout <= 0 {
		opt.SignalTimeout = 10 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	l := &Local{
		b: b, opt: opt, can: map[Ability]bool{}, info: b.Info(),
		signals: NewSignalQueue(opt.Signals), slots: make(chan struct{}, opt.Window), lanes: map[lane][]func(){},
	}
	for _, a := range Abilities(b) {
		l.can[a] = true
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.work.Add(1)
	go l.runSignals()
	return l
}

// Close ends the instance: operations see their context done. It waits for them.
func (l *Local) Close() {
	l.Abandon()
	l.work.Wait()
}

// Abandon is Close without the wait.
func (l *Local) Abandon() { l.cancel(ErrSessionLost) }

// Info implements Remote.
func (l *Local) Info() Info { return l.info }

// Can implements Remote.
func (l *Local) Can(a Ability) bool { return l.can[a] }

// Done implements Remote.
func (l *Local) Done() <-chan struct{} { return l.ctx.Done() }

// Err implements Remote.
func (l *Local) Err() error { return context.Cause(l.ctx) }

// Window is how many operations may be under way.
func (l *Local) Window() int { return l.opt.Window }

// Submit implements Remote.
func (l *Local) Submit(ctx context.Context, op Op, done func(Delivered, error)) error {
	select {
	case <-l.ctx.Done():
		return ErrSessionLost
	default:
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return AsError(ctx.Err())
	case <-l.ctx.Done():
		return ErrSessionLost
	}
	head := op.Head()
	key := lane{portal: head.Portal}
	if key.portal == (PortalKey{}) {
		key.person = head.Sender.Person
	}
	deadline, hasDeadline := ctx.Deadline()
	l.enqueue(key, func() {
		opCtx := l.ctx
		if hasDeadline {
			var cancel context.CancelFunc
			opCtx, cancel = context.WithDeadline(l.ctx, deadline)
			defer cancel()
		}
		d, err := l.dispatch(opCtx, op)
		<-l.slots
		done(d, err)
	})
	return nil
}

func (l *Local) enqueue(key lane, f func()) {
	l.mu.Lock()
	queue, busy := l.lanes[key]
	l.lanes[key] = append(queue, f)
	l.mu.Unlock()
	if busy {
		return
	}
	l.work.Add(1)
	go l.runLane(key)
}

func (l *Local) runLane(key lane) {
	defer l.work.Done()
	for {
		l.mu.Lock()
		queue := l.lanes[key]
		if len(queue) == 0 {
			delete(l.lanes, key)
			l.mu.Unlock()
			return
		}
		f := queue[0]
		l.lanes[key] = queue[1:]
		l.mu.Unlock()
		f()
	}
}

func (l *Local) dispatch(ctx context.Context, op Op) (d Delivered, err error) {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, ErrSessionLost) {
			return Delivered{}, cause
		}
		// Never begun: the network has certainly not seen it.
		return Delivered{}, &Error{Code: CodeExpired, Temporary: true, Err: cause}
	}
	err = l.guard("operation", func() error {
		d, err = Dispatch(ctx, l.b, op)
		return err
	})
	if err != nil {
		return Delivered{}, AsError(err)
	}
	return d, nil
}

// guard turns a panic of the bridge into a final error: the same input would
// only bring the same panic again.
func (l *Local) guard(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.opt.Log.Error("bridge panicked", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &Error{Code: CodeUnknown, Text: "the bridge failed", Err: fmt.Errorf("panic in %s: %v", what, p)}
		}
	}()
	if err := f(); err != nil {
		return AsError(err)
	}
	return nil
}

// Signal implements Remote.
func (l *Local) Signal(s Signal) { l.signals.Put(s) }

func (l *Local) runSignals() {
	defer l.work.Done()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.signals.Ready():
		}
		for _, s := range l.signals.Take() {
			if l.ctx.Err() != nil {
				return
			}
			l.signal(s)
		}
	}
}

func (l *Local) signal(s Signal) {
	ctx, cancel := context.WithTimeout(l.ctx, l.opt.SignalTimeout)
	defer cancel()
	err := l.guard("signal", func() error {
		switch s := s.(type) {
		case *Typing:
			if r, ok := l.b.(Typist); ok {
				return r.Typing(ctx, s)
			}
		case *Presence:
			if r, ok := l.b.(Presencer); ok {
				return r.Presence(ctx, s)
			}
		case *ReadState:
			if r, ok := l.b.(Reader); ok {
				return r.MarkRead(ctx, s)
			}
		}
		return nil
	})
	if err != nil {
		l.opt.Log.Debug("signal not carried", "error", err)
	}
}

// ServeHTTP implements http.Handler.
func (l *Local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := l.b.(HTTPHandler)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h.ServeHTTP(w, r)
}
