package sdk

import "sync"

// SignalQueue holds signals until somebody takes them. A later signal replaces
// an earlier one with the same key; over its bound the oldest is dropped. Put never
// blocks, so that no durable work ever waits for it.
type SignalQueue struct {
	bound int

	mu      sync.Mutex
	order   []SignalKey
	pending map[SignalKey]Signal
	dropped uint64
	wake    chan struct{}
}

// NewSignalQueue makes a queue of at most bound signals.
func NewSignalQueue(bound int) *SignalQueue {
	return &SignalQueue{bound: max(bound, 1), pending: map[SignalKey]Signal{}, wake: make(chan struct{}, 1)}
}

// Put adds a signal.
func (q *SignalQueue) Put(s Signal) {
	if s == nil {
		return
	}
	key := s.Coalesce()
	q.mu.Lock()
	if _, ok := q.pending[key]; !ok {
		if len(q.order) >= q.bound {
			delete(q.pending, q.order[0])
			q.order = q.order[1:]
			q.dropped++
		}
		q.order = append(q.order, key)
	}
	q.pending[key] = s
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Ready receives when there is something to take.
func (q *SignalQueue) Ready() <-chan struct{} { return q.wake }

// Take removes all signals, oldest key first.
func (q *SignalQueue) Take() []Signal {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Signal, 0, len(q.order))
	for _, k := range q.order {
		out = append(out, q.pending[k])
	}
	q.order = nil
	clear(q.pending)
	return out
}

// Dropped counts the signals lost to the bound.
func (q *SignalQueue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
