package pubsub

import (
	"slices"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/journal"
)

// locks are asynchronous locks by key, fair for each. Nobody waits in a goroutine: what has to wait is a closure that is posted when its turn comes.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct{ waiting []*waiter }

// waiter takes its keys one after the other in their order, so that no two wait for each other.
type waiter struct {
	keys []string
	next int
	q    journal.Poster
	fn   func(release func())
}

// run calls fn once all keys are held: at once in the caller's goroutine, or later in q. fn, or whoever it gives release to, calls it once. False:
// too many wait for one of the keys already.
func (l *locks) run(keys []string, q journal.Poster, fn func(release func())) bool {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	w := &waiter{keys: slices.Compact(keys), q: q, fn: fn}
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	for _, k := range w.keys {
		if lk := l.held[k]; lk != nil && len(lk.waiting) >= maxWaiting {
			l.mu.Unlock()
			return false
		}
	}
	ready := l.advance(w)
	l.mu.Unlock()
	if ready {
		l.start(w)
	}
	return true
}

// advance takes keys until one is held by somebody else; mu is held.
func (l *locks) advance(w *waiter) bool {
	for w.next < len(w.keys) {
		k := w.keys[w.next]
		if lk := l.held[k]; lk != nil {
			lk.waiting = append(lk.waiting, w)
			return false
		}
		l.held[k] = &lock{}
		w.next++
	}
	return true
}

func (l *locks) start(w *waiter) {
	var once sync.Once
	w.fn(func() { once.Do(func() { l.release(w) }) })
}

func (l *locks) release(w *waiter) {
	var ready []*waiter
	l.mu.Lock()
	for _, k := range slices.Backward(w.keys) {
		lk := l.held[k]
		if len(lk.waiting) == 0 {
			delete(l.held, k)
			continue
		}
		n := lk.waiting[0]
		lk.waiting = lk.waiting[1:]
		n.next++
		if l.advance(n) {
			ready = append(ready, n)
		}
	}
	l.mu.Unlock()
	for _, n := range ready {
		n.q.Post(func() { l.start(n) })
	}
}

// busy tells how many keys are held.
func (l *locks) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}
