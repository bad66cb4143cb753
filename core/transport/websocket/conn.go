package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	ws "github.com/coder/websocket"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stream"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// conn is the byte stream in a WebSocket. One goroutine reads and one writes, as of any net.Conn of core/transport.
type conn struct {
	ws            *ws.Conn
	local, remote net.Addr
	bound         xmlstream.Limits // after the login
	read, write   deadline

	in      *xmlstream.Decoder // frames of the client
	el      xmlstream.Element
	rest    []byte      // of the last frame, not handed over yet
	login   atomic.Bool // <success/> was sent
	raised  bool        // the limits of in are those of bound
	ended   error       // after which nothing more comes
	mu      sync.Mutex  // guards what is written
	out     *xmlstream.Decoder
	opened  bool // <open/> was sent
	goodbye bool // <close/> was sent
}

// outLimits bound what the server itself says, which is no attack.
var outLimits = xmlstream.Limits{
	MaxBytes: 64 << 20, MaxDepth: 256, MaxAttrs: 1 << 10, MaxElements: 1 << 20, MaxNamespaces: 1 << 10, MaxNameLen: 1 << 10, MaxAttrLen: 1 << 20,
}

func newConn(c *ws.Conn, local, remote net.Addr, bound xmlstream.Limits) *conn {
	c.SetReadLimit(-1) // the library's would end the connection without a stream error
	return &conn{
		ws: c, local: local, remote: remote, bound: bound, read: newDeadline(), write: newDeadline(),
		in: xmlstream.NewFramedDecoder(xmlstream.PreAuth), out: xmlstream.NewDecoder(outLimits),
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.ended != nil {
			return 0, c.ended
		}
		if err := c.next(); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.in.Close()
			}
			c.ended = err
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next reads one frame and turns it into the bytes of a stream.
func (c *conn) next() error {
	kind, r, err := c.ws.Reader(c.read.ctx)
	if c.login.Load() && !c.raised {
		c.raised = true
		c.in.SetLimits(c.bound)
	}
	limit := xmlstream.PreAuth.MaxBytes
	if c.raised {
		limit = c.bound.MaxBytes
	}
	var frame []byte
	if err == nil {
		frame, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	}
	switch {
	case c.read.expired.Load():
		return os.ErrDeadlineExceeded
	case err != nil:
		return io.EOF
	case len(frame) > limit:
		return c.refuse(stream.NewError(stream.PolicyViolation, "The frame is too large."), r)
	case kind != ws.MessageText: // RFC 7395 §3.3
		return c.refuse(stream.NewError(stream.UnsupportedStanzaType, "Frames are text."), r)
	}
	what, err := c.in.Frame(frame)
	if err != nil {
		return c.refuse(stream.AsError(err), r)
	}
	switch what {
	case xmlstream.StreamStart:
		h := c.in.Start()
		c.rest = stream.TCP.AppendHeader(c.rest[:0], stream.Header{Content: ns.Client, From: h.From, To: h.To, ID: h.ID, Version: h.Version, Lang: h.Lang})
	case xmlstream.StreamEnd:
		c.rest = stream.TCP.AppendEnd(c.rest[:0])
	default:
		c.in.Element(&c.el)
		c.rest = xmlstream.AppendElement(c.rest[:0], &c.el, ns.Client)
	}
	c.in.Release()
	return nil
}

// lingerTime is how long the client's end is waited for after an error: a socket that is closed with unread bytes loses what was sent last.
const lingerTime = 2 * time.Second

// refuse ends the stream for what cannot be passed on.
func (c *conn) refuse(e *stream.Error, rest io.Reader) error {
	c.sayError(e)
	ctx, cancel := context.WithTimeout(c.read.ctx, lingerTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.ws.CloseNow() }) // rest knows nothing of ctx
	defer stop()
	for {
		if _, err := io.Copy(io.Discard, rest); err != nil {
			return io.EOF
		}
		var err error
		if _, rest, err = c.ws.Reader(ctx); err != nil {
			return io.EOF
		}
	}
}

func (c *conn) sayError(e *stream.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goodbye {
		return
	}
	if !c.opened { // RFC 6120 §4.9.1.2: an error needs a stream around it
		_ = c.frame(stream.Framed.AppendHeader(nil, stream.Header{Version: "1.0", Lang: "en"}))
	}
	_ = c.frame(stream.Framed.AppendError(nil, e))
	_ = c.frame(stream.Framed.AppendEnd(nil))
	c.goodbye = true
}

// Write implements net.Conn: it cuts the bytes of our direction into frames.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goodbye {
		return len(p), nil
	}
	_, _ = c.out.Write(p)
	said := false
	for {
		kind, err := c.out.Next()
		if err != nil {
			return 0, err
		}
		if kind == xmlstream.NeedMore {
			break
		}
		said = true
		if err := c.say(kind); err != nil {
			return 0, err
		}
	}
	if c.out.Idle() {
		c.out.Release()
		if !said {
			go c.ping()
		}
	}
	return len(p), nil
}

// say sends what the stream has said as a frame.
func (c *conn) say(kind xmlstream.Kind) error {
	switch kind {
	case xmlstream.StreamStart:
		h := c.out.Start()
		c.opened = true
		return c.frame(stream.Framed.AppendHeader(nil, stream.Header{From: h.From, To: h.To, ID: h.ID, Version: h.Version, Lang: h.Lang}))
	case xmlstream.StreamEnd:
		c.goodbye = true
		return c.frame(stream.Framed.AppendEnd(nil))
	}
	var el xmlstream.Element
	c.out.Element(&el)
	success := el.Name == xmlstream.Name{Space: ns.SASL, Local: "success"}
	if success {
		c.login.Store(true)
	}
	err := c.frame(xmlstream.AppendElement(nil, &el, "")) // RFC 7395 §3.3.3
	if success {                                          // a new stream follows (RFC 6120 §6.4.6)
		c.out.Reset()
	}
	return err
}

func (c *conn) frame(p []byte) error {
	if err := c.ws.Write(c.write.ctx, ws.MessageText, p); err != nil {
		if c.write.expired.Load() {
			return os.ErrDeadlineExceeded
		}
		return err
	}
	return nil
}

// pingTime is how long a pong may take.
const pingTime = time.Minute

// ping makes a broken connection break. The reader takes the pong.
func (c *conn) ping() {
	ctx, cancel := context.WithTimeout(c.read.ctx, pingTime)
	defer cancel()
	if c.ws.Ping(ctx) != nil {
		_ = c.ws.CloseNow()
	}
}

// CloseWrite ends our direction, which <close/> has done (RFC 7395 §3.6).
func (c *conn) CloseWrite() error { return nil }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.read.stop()
	c.write.stop()
	return c.ws.CloseNow()
}

// LocalAddr and RemoteAddr implement net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the client's, also behind a proxy of this machine.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline, SetReadDeadline and SetWriteDeadline implement net.Conn. A deadline that has passed breaks the connection for good.
func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return nil
}

// SetReadDeadline limits Read.
func (c *conn) SetReadDeadline(t time.Time) error { c.read.set(t); return nil }

// SetWriteDeadline limits Write.
func (c *conn) SetWriteDeadline(t time.Time) error { c.write.set(t); return nil }

// deadline ends a context at a time that can be moved.
type deadline struct {
	ctx     context.Context //nolint:containedctx // of one direction of the connection
	cancel  context.CancelFunc
	timer   *time.Timer
	expired *atomic.Bool
}

func newDeadline() deadline {
	d := deadline{expired: &atomic.Bool{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	cancel, expired := d.cancel, d.expired
	d.timer = time.AfterFunc(time.Hour, func() { expired.Store(true); cancel() })
	d.timer.Stop()
	return d
}

func (d *deadline) set(t time.Time) {
	d.timer.Stop()
	if !t.IsZero() {
		d.timer.Reset(max(0, time.Until(t)))
	}
}

func (d *deadline) stop() {
	d.timer.Stop()
	d.cancel()
}
