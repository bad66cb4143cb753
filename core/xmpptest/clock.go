package xmpptest

import (
	"slices"
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/module"
)

// Clock is a time that stands still until the test says that it passes: Options.Clock of a server.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*clockTimer // those that run
}

type clockTimer struct {
	c  *Clock
	at time.Time
	fn func()
}

var _ module.Clock = (*Clock)(nil)

// NewClock returns a clock that shows the real time of its making.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now implements module.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc implements module.Clock. The function runs in the goroutine of Pass.
func (c *Clock) AfterFunc(d time.Duration, fn func()) module.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &clockTimer{c, c.now.Add(d), fn}
	c.timers = append(c.timers, t)
	return t
}

// Pass moves the clock and runs the timers that are due then, in the order of their times. What they set, in whatever goroutine, counts from the end: so
// a scenario does not depend on who is faster.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*clockTimer
	c.timers = slices.DeleteFunc(c.timers, func(t *clockTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		due = append(due, t)
		return true
	})
	c.mu.Unlock()
	slices.SortStableFunc(due, func(x, y *clockTimer) int { return x.at.Compare(y.at) })
	for _, t := range due {
		t.fn()
	}
}

// Stop implements module.Timer.
func (t *clockTimer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return t.stop()
}

func (t *clockTimer) stop() bool {
	n := len(t.c.timers)
	t.c.timers = slices.DeleteFunc(t.c.timers, func(o *clockTimer) bool { return o == t })
	return len(t.c.timers) < n
}

// Reset implements module.Timer.
func (t *clockTimer) Reset(d time.Duration) bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	was := t.stop()
	t.at = t.c.now.Add(d)
	t.c.timers = append(t.c.timers, t)
	return was
}
