package c2s

import (
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/module"
)

// life is the clock of a connection: how long it may take to log in, and whether the client is still there.
type life struct {
	mu     sync.Mutex
	last   time.Time // of the last bytes
	asked  bool      // it was asked for a sign since
	timer  module.Timer
	closed bool
}

// sign notes that something has come.
func (l *life) sign(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.asked = now, false
}

// in runs fn after d unless the connection is closed before; it replaces what was to run.
func (l *life) in(clock module.Clock, d time.Duration, fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.closed {
		return
	}
	l.timer = clock.AfterFunc(d, fn)
}

func (l *life) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// keepAlive asks a silent client for a sign of life: with stream management for an ack, which must come in time; otherwise with white space (RFC
// 6120 §4.6.1), which makes a broken connection break. It runs in the timer's goroutine.
func (c *client) keepAlive() {
	if c.out.closing() {
		c.conn.Abort() // the end was said long ago
		return
	}
	ping, pong := seconds(c.srv.Config().PingSeconds), seconds(c.srv.Config().PongSeconds)
	now := c.srv.o.Clock.Now()
	c.life.mu.Lock()
	silent, asked := now.Sub(c.life.last), c.life.asked
	c.life.asked = asked || silent >= ping
	c.life.mu.Unlock()
	next := ping - silent
	switch {
	case silent < ping:
	case asked && silent >= ping+pong:
		c.srv.stats.deadPeers.Add(1)
		c.log.Debug("c2s: the client is silent")
		c.conn.Abort() // its session waits for it, if it can be resumed
		return
	case !asked && c.sess.Ping():
		next = pong
	default: // white space has no answer: it is repeated, not judged
		c.send([]byte{' '})
		c.life.sign(now)
		next = ping
	}
	c.life.in(c.srv.o.Clock, next, c.keepAlive)
}
