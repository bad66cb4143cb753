package journal

import "sync"

// Queue is the in-order mailbox of one owner (a session, a room, an account's lane). It runs what is posted one after the other in a
// goroutine that exists only while there is something to run. Its length is bounded by its posters: every post belongs to an admitted unit
// or to an owner's own timer.
type Queue struct {
	mu       sync.Mutex
	pending  []posted
	running  bool
	panicked func(v any)
}

// posted is a function, or a step with its outcome.
type posted struct {
	fn   func()
	step func(err error)
	err  error
}

var _ StepPoster = (*Queue)(nil)

// NewQueue returns an empty queue. onPanic (may be nil) is told what a posted function panicked with; the queue goes on.
func NewQueue(onPanic func(v any)) *Queue { return &Queue{panicked: onPanic} }

// Post appends fn; it never blocks.
func (q *Queue) Post(fn func()) { q.post(posted{fn: fn}) }

// PostStep appends a step with its outcome; it never blocks.
func (q *Queue) PostStep(run func(err error), err error) { q.post(posted{step: run, err: err}) }

func (q *Queue) post(p posted) {
	q.mu.Lock()
	q.pending = append(q.pending, p)
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
		go q.run()
	}
}

func (q *Queue) run() {
	var batch []posted
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
		for i := range batch {
			q.call(&batch[i])
		}
	}
}

func (q *Queue) call(p *posted) {
	defer func() {
		if v := recover(); v != nil && q.panicked != nil {
			q.panicked(v)
		}
	}()
	if p.step != nil {
		p.step(p.err)
		return
	}
	p.fn()
}
