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

// Pass moves the clock and runs the timers that are due, each at its time, earlier ones first.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		next := -1
		for i, t := range c.timers {
			if !t.at.After(end) && (next < 0 || t.at.Before(c.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		t := c.timers[next]
		c.timers = slices.Delete(c.timers, next, next+1)
		if t.at.After(c.now) {
			c.now = t.at
		}
		c.mu.Unlock()
		t.fn()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
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
