package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// WaitReadable returns when Read will give something: under TLS when a whole
// record has come. While it waits the connection holds no buffer. When ctx ends
// the connection cannot be read any more.
func (c *Conn) WaitReadable(ctx context.Context) error {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.deadline.interrupt)()
	}
	return c.readErr(ctx, c.waitReadable())
}

func (c *Conn) waitReadable() error {
	for !c.more && !c.raw.whole() {
		switch err := c.raw.fill(); {
		case errors.Is(err, io.EOF) && c.raw.buffered() > 0:
			return io.ErrUnexpectedEOF // within a record
		case err != nil:
			return err
		}
	}
	return nil
}

// Read reads like a net.Conn: it waits for at least one byte.
func (c *Conn) Read(p []byte) (int, error) {
	c.raw.wait = true
	n, err := c.read(p)
	return n, c.readErr(context.Background(), err)
}

// read reads through TLS if there is any. After a Read that filled p, crypto/tls
// may hold more plain text, which no readiness of the socket tells of.
func (c *Conn) read(p []byte) (int, error) {
	t := c.tls.Load()
	if t == nil {
		return c.raw.Read(p)
	}
	n, err := t.Read(p)
	c.more = err == nil && n == len(p)
	return n, err
}

// ReadLoop reads until the end and gives feed what has come, at most 16 KiB at a
// time. feed must not keep p. It says idle when it holds no part of a stanza;
// while it does, StanzaTimeout runs. An error of feed ends the loop and is
// returned, ErrPause as nil. The peer's end is io.EOF; when ctx ends, its error
// is returned and the connection cannot be read any more.
//
// No buffer is held while there is nothing to read. The rate of SetRate is kept
// by reading later.
func (c *Conn) ReadLoop(ctx context.Context, feed func(p []byte) (idle bool, err error)) error {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.deadline.interrupt)()
	}
	defer func() {
		if c.raw.buffered() == 0 {
			c.raw.release()
		}
	}()
	for {
		if err := c.waitReadable(); err != nil {
			return c.readErr(ctx, err)
		}
		delay, err := c.drain(feed)
		switch {
		case errors.Is(err, ErrPause):
			return nil
		case err != nil:
			return c.readErr(ctx, err)
		}
		if delay > 0 {
			if err := c.pause(ctx, delay); err != nil {
				return err
			}
		}
	}
}

// drain feeds what is there. It ends early when the rate is used up, with the
// time to wait.
func (c *Conn) drain(feed func([]byte) (bool, error)) (time.Duration, error) {
	buf := c.opts.Buffers.plain.Get().(*[plainSize]byte)
	defer c.opts.Buffers.plain.Put(buf)
	c.raw.wait = false
	for {
		n, err := c.read(buf[:])
		if n > 0 {
			idle, err := feed(buf[:n])
			c.deadline.stanza(!idle, c.opts.StanzaTimeout)
			if err != nil {
				return 0, err
			}
		}
		if err != nil && !errors.Is(err, errAgain) {
			return 0, err
		}
		if delay := c.rate.take(n, time.Now()); delay > 0 {
			return delay, nil
		}
		if err != nil || !c.more && !c.raw.whole() {
			return 0, nil
		}
	}
}

// pause waits without buffers until the rate allows to read on.
func (c *Conn) pause(ctx context.Context, d time.Duration) error {
	if c.raw.buffered() == 0 {
		c.raw.release()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readErr says what an error of reading means.
func (c *Conn) readErr(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.deadline.inStanza():
		return ErrStanzaTimeout
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	}
	return fmt.Errorf("transport: read: %w", err)
}

// SetReadDeadline limits reading until it is set again: for the time until a
// client must have logged in, or the time it may be silent.
func (c *Conn) SetReadDeadline(t time.Time) { c.deadline.set(t) }

// readDeadline joins the deadlines that limit reading: the earliest counts.
type readDeadline struct {
	nc net.Conn

	mu          sync.Mutex
	user        time.Time // SetReadDeadline
	hard        time.Time // handshake
	unfinished  time.Time // stanza under way
	interrupted bool
}

func (d *readDeadline) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	if d.interrupted {
		_ = d.nc.SetReadDeadline(time.Unix(1, 0))
		return
	}
	var first time.Time
	for _, t := range [...]time.Time{d.user, d.hard, d.unfinished} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	_ = d.nc.SetReadDeadline(first)
}

func (d *readDeadline) set(t time.Time)   { d.update(func() { d.user = t }) }
func (d *readDeadline) limit(t time.Time) { d.update(func() { d.hard = t }) }
func (d *readDeadline) interrupt()        { d.update(func() { d.interrupted = true }) }

// stanza starts the time of a stanza at its first part and ends it with its
// last; parts in between do not prolong it.
func (d *readDeadline) stanza(unfinished bool, timeout time.Duration) {
	if timeout <= 0 {
		return
	}
	d.mu.Lock()
	running := !d.unfinished.IsZero()
	d.mu.Unlock()
	switch {
	case unfinished && !running:
		d.update(func() { d.unfinished = time.Now().Add(timeout) })
	case !unfinished && running:
		d.update(func() { d.unfinished = time.Time{} })
	}
}

func (d *readDeadline) inStanza() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.unfinished.IsZero() && !time.Now().Before(d.unfinished)
}

// SetRate limits how many bytes a second are read; burst of them may come at
// once. 0 means no limit. The reader slows down, nothing is lost.
func (c *Conn) SetRate(bytesPerSecond, burst int) { c.rate.set(bytesPerSecond, burst) }

// bucket is a token bucket in bytes.
type bucket struct {
	mu          sync.Mutex
	rate, burst float64
	tokens      float64
	last        time.Time
}

func (b *bucket) set(rate, burst int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate <= 0 {
		b.tokens, b.last = float64(burst), time.Time{}
	}
	b.rate, b.burst = float64(rate), float64(burst)
	b.tokens = min(b.tokens, b.burst)
}

// take uses n tokens, more than there are if it must be, and says how long to
// wait until none are owed.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate <= 0 {
		return 0
	}
	if !b.last.IsZero() {
		b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(math.Ceil(-b.tokens / b.rate * float64(time.Second)))
}
