package storage

import (
	"sync"
	"time"
)

// IDs allots message ids. Live ids never go backwards, also when the clock does.
type IDs struct {
	mu   sync.Mutex
	last MessageID
	now  func() time.Time
}

// NewIDs returns an allocator that goes on after last (see Messages.LastID); now is the clock (nil: time.Now).
func NewIDs(last MessageID, now func() time.Time) *IDs {
	if now == nil {
		now = time.Now
	}
	return &IDs{last: last, now: now}
}

// Next returns the id of a message of this moment.
func (a *IDs) Next() MessageID {
	at := MessageID(a.now().UnixMilli() << 20)
	a.mu.Lock()
	defer a.mu.Unlock()
	if at <= a.last {
		at = a.last + 1
	}
	a.last = at
	return at
}
