package c2s

import "time"

// bucket bounds stanzas per second: so many may come at once, then they come evenly. It belongs to the goroutine that reads.
type bucket struct {
	rate, burst float64
	level       float64 // stanzas that are owed
	at          time.Time
}

// burstSeconds is how many seconds' worth may come at once: a login asks for much in a short time.
const burstSeconds = 10

func newBucket(perSecond int, now time.Time) bucket {
	return bucket{rate: float64(perSecond), burst: float64(perSecond * burstSeconds), at: now}
}

// take counts one and returns how long to wait.
func (b *bucket) take(now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.level = max(0, b.level-now.Sub(b.at).Seconds()*b.rate) + 1
	b.at = now
	if b.level <= b.burst {
		return 0
	}
	return time.Duration((b.level - b.burst) / b.rate * float64(time.Second))
}

// pace waits before the next stanza is handled: nothing is lost, the client's sending is held up by its own window.
func (c *client) pace() {
	if c.rate.rate == 0 {
		return
	}
	d := c.rate.take(c.srv.o.Clock.Now())
	if d <= 0 {
		return
	}
	c.srv.stats.paced.Add(1)
	done := make(chan struct{})
	t := c.srv.o.Clock.AfterFunc(d, func() { close(done) })
	defer t.Stop()
	select {
	case <-done:
	case <-c.ctx.Done():
	case <-c.conn.Done():
	}
}
