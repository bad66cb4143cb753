package c2s

import (
	"context"
	"strconv"
	"sync"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/session"
	"github.com/viaduct-xmpp/viaduct/core/stream"
)

// fullBytes is about how much is gathered for one write: with it, one TLS record.
const fullBytes = 15 << 10

// output is what waits to be written on a connection: first what the stream itself says, then the session's ring, at last the end.
type output struct {
	mu      sync.Mutex
	buf     []byte
	sess    *session.Session
	last    []byte        // the end of the stream; not nil once there is to be one
	ended   bool          // the end was handed to the writer
	began   bool          // the present stream has its header
	headers int           // sent so far
	mute    bool          // a handshake is under way
	quiet   chan struct{} // closed when everything was written; nil if nobody waits
	over    func()        // called once when the end was written
}

// maxUnread bounds what waits of the stream's own. A peer that asks on without reading is cut off: it would not read a goodbye either (attacks
// rows 3 and 26).
const maxUnread = 64 << 10

// send appends bytes of the stream's own.
func (c *client) send(p []byte) {
	c.out.mu.Lock()
	over := len(c.out.buf) > maxUnread
	if !over {
		c.out.buf = append(c.out.buf, p...)
	}
	c.out.mu.Unlock()
	if over {
		c.srv.stats.tooSlow.Add(1)
		c.conn.Abort()
		return
	}
	c.writer.Wake()
}

// sendHeader opens our direction of the stream.
func (c *client) sendHeader(from, to string) {
	c.out.mu.Lock()
	before := c.out.headers
	c.out.headers++
	c.out.began = true
	c.out.mu.Unlock()
	c.send(c.header(before, from, to))
}

// header is the header of a stream behind as many others on this connection.
func (c *client) header(before int, from, to string) []byte {
	id := c.id
	if before > 0 { // RFC 6120 §5.4.3.3, §6.4.6: a stream that begins anew has an id of its own
		id += "." + strconv.Itoa(before)
	}
	return c.srv.framing.AppendHeader(nil, stream.Header{Content: ns.Client, From: from, To: to, ID: id, Version: "1.0", Lang: "en"})
}

// finish ends the stream: nothing goes out behind last. Only the first end counts.
func (c *client) finish(last []byte) {
	c.out.mu.Lock()
	mute := c.out.mute
	if c.out.last == nil {
		if !c.out.began { // RFC 6120 §4.9.1.2: an error needs a stream around it
			last = append(c.header(c.out.headers, c.srv.defaultDomain(), ""), last...)
		}
		c.out.last = last
	}
	c.out.mu.Unlock()
	if mute {
		c.conn.Abort()
		return
	}
	c.writer.Wake()
}

// speak says whether the stream may write: not during a handshake.
func (o *output) speak(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mute = !on
}

// restart says that a new stream begins.
func (o *output) restart() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.began = false
}

func (o *output) closing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last != nil
}

func (o *output) attach(s *session.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sess = s
}

// Fill implements transport.Source. That it is called again says that what it gave before is written.
func (c *client) Fill(dst []byte) ([]byte, bool) {
	o := &c.out
	o.mu.Lock()
	if o.ended {
		over := o.over
		o.over = nil
		o.mu.Unlock()
		if over != nil {
			over()
		}
		return dst, false
	}
	if o.buf != nil {
		dst = append(dst, o.buf...)
		o.buf = nil
	}
	if o.last != nil {
		dst, o.ended = append(dst, o.last...), true
		o.mu.Unlock()
		return dst, true
	}
	if len(dst) == 0 && o.quiet != nil && o.sess == nil {
		close(o.quiet)
		o.quiet = nil
	}
	sess, again := o.sess, o.quiet != nil
	o.mu.Unlock()
	if sess == nil {
		return dst, again
	}
	return sess.Fill(c, dst, fullBytes)
}

// flush waits until everything is written.
func (c *client) flush(ctx context.Context) error {
	quiet := make(chan struct{})
	c.out.mu.Lock()
	c.out.quiet = quiet
	c.out.mu.Unlock()
	c.writer.Wake()
	select {
	case <-quiet:
		return nil
	case <-c.conn.Done():
		return context.Canceled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wake implements session.Link.
func (c *client) Wake() { c.writer.Wake() }

// End implements session.Link.
func (c *client) End(last []byte, condition, text string) {
	if condition != "" {
		last = c.srv.framing.AppendError(last, stream.NewError(stream.Condition(condition), text))
	}
	c.finish(c.srv.framing.AppendEnd(last))
}
