package journal

import "sync"

// Queue is the in-order mailbox of one owner (a session, a room, an account's lane). It runs what is posted one after the other in a
// goroutine that exists only while there is something to run. Its length is bounded by its posters: every post belongs to an admitted unit
// or to an owner's own timer.
type Queue struct {
	mu       sync.Mutex
	pending  []func()
	running  bool
	panicked func(v any)
}

// NewQueue returns an empty queue. onPanic (may be nil) is told what a posted function panicked with; the queue goes on.
func NewQueue(onPanic func(v any)) *Queue { return &Queue{panicked: onPanic} }

// Post appends fn; it never blocks.
func (q *Queue) Post(fn func()) {
	q.mu.Lock()
	q.pending = append(q.pending, fn)
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
		go q.run()
	}
}

func (q *Queue) run() {
	var batch []func()
	for {
		q.mu.Lock()
		clear(batch)
		batch, q.pending = q.pending, batch[:0]
		if len(batch) == 0 {
			q.running = false
			q.pending = nil // an idle owner keeps no buffer
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, fn := range batch {
			q.call(fn)
		}
	}
}

func (q *Queue) call(fn func()) {
	defer func() {
		if v := recover(); v != nil && q.panicked != nil {
			q.panicked(v)
		}
	}()
	fn()
}
