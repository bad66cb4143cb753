package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/sasl"
)

// The default limits of a connection.
const (
	DefaultHandshakeTimeout = 15 * time.Second
	DefaultWriteTimeout     = 30 * time.Second
	DefaultStanzaTimeout    = 60 * time.Second
)

var (
	// ErrInjected means that there were bytes behind <starttls/>: somebody put
	// them there to be read as if they had been encrypted (attack 8).
	ErrInjected = errors.New("transport: bytes in clear behind the request for TLS")
	// ErrPause is returned by a feed function to end its ReadLoop without an
	// error, for an upgrade. What was read and not fed stays.
	ErrPause = errors.New("transport: pause reading")
	// ErrStanzaTimeout means that a stanza was begun and not ended in time.
	ErrStanzaTimeout = fmt.Errorf("transport: an unfinished stanza: %w", os.ErrDeadlineExceeded)
	// ErrClosed means that the connection was closed on this side.
	ErrClosed = net.ErrClosed
)

// ConnOptions are the limits of a connection. The zero value means the defaults;
// a negative duration means none.
type ConnOptions struct {
	Buffers *Buffers
	Log     *slog.Logger
	// HandshakeTimeout is for the whole TLS handshake.
	HandshakeTimeout time.Duration
	// WriteTimeout is for each Write. After it the connection is broken.
	WriteTimeout time.Duration
	// StanzaTimeout is for a stanza from its first byte to its last, as told by
	// the feed function of ReadLoop.
	StanzaTimeout time.Duration

	workers *workers // of the Listeners; nil for a connection of its own
}

func (o ConnOptions) withDefaults() ConnOptions {
	if o.Buffers == nil {
		o.Buffers = NewBuffers()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for d, value := range map[*time.Duration]time.Duration{
		&o.HandshakeTimeout: DefaultHandshakeTimeout, &o.WriteTimeout: DefaultWriteTimeout, &o.StanzaTimeout: DefaultStanzaTimeout,
	} {
		if *d == 0 {
			*d = value
		}
	}
	return o
}

// Conn is a connection. One goroutine at a time may read (Read, WaitReadable,
// ReadLoop, StartTLS); the other methods are for everybody.
type Conn struct {
	raw  rawConn
	tls  atomic.Pointer[tls.Conn]
	opts *ConnOptions
	more bool // crypto/tls may hold plain text
	leaf *x509.Certificate

	carried *Carried // nil for a socket of its own

	deadline readDeadline
	rate     bucket

	ending  atomic.Bool
	closed  chan struct{}
	onClose func(*Conn)
	users   atomic.Int32 // the owner and the goroutines of Go
	onEnd   func()       // after the last of them
}

// NewConn takes a connected socket over.
func NewConn(nc net.Conn, opts ConnOptions) *Conn {
	o := opts.withDefaults()
	return newConn(nc, &o)
}

func newConn(nc net.Conn, opts *ConnOptions) *Conn {
	c := &Conn{opts: opts, closed: make(chan struct{})}
	c.users.Store(1)
	c.raw.init(nc, opts.Buffers)
	c.raw.writeTimeout = opts.WriteTimeout
	c.deadline.nc = nc
	return c
}

// Dial connects to an address, "host:port". It does not look SRV records up.
func Dial(ctx context.Context, address string, opts ConnOptions) (*Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("transport: dial: %w", err)
	}
	return NewConn(nc, opts), nil
}

// keepAlive finds dead peers within four minutes, and wakes no radio more
// often than it must.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 4}

// Role is the side of a TLS handshake.
type Role bool

// The roles.
const (
	Server Role = false
	Client Role = true
)

// StartTLS upgrades after <starttls/>. The server's side writes proceed first
// (nil on the client's side). pending is how many bytes the caller's parser
// holds behind the element that asked for, or allowed, the upgrade: if that or
// the connection's own buffer is not empty, nothing is written, the error is
// ErrInjected and the connection must be closed (RFC 6120 §5.3.4, attack 8).
// After an error the connection can only be closed. A fresh parser is needed.
func (c *Conn) StartTLS(ctx context.Context, role Role, cfg *tls.Config, proceed []byte, pending int) error {
	if c.tls.Load() != nil {
		return errors.New("transport: start tls: already under TLS")
	}
	if pending > 0 || c.raw.buffered() > 0 {
		return ErrInjected
	}
	if len(proceed) > 0 {
		if _, err := c.Write(proceed); err != nil {
			return err
		}
	}
	return c.Handshake(ctx, role, cfg)
}

// Handshake begins TLS on a connection that has not sent anything yet (direct
// TLS), within HandshakeTimeout.
func (c *Conn) Handshake(ctx context.Context, role Role, cfg *tls.Config) error {
	c.raw.records, c.raw.wait = true, true
	t := tls.Server(&c.raw, cfg)
	if role == Client {
		t = tls.Client(&c.raw, cfg)
	}
	if d := c.opts.HandshakeTimeout; d > 0 {
		c.deadline.limit(time.Now().Add(d))
		_ = c.raw.SetWriteDeadline(time.Now().Add(d))
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("transport: tls handshake: %w", err)
	}
	_ = c.raw.SetWriteDeadline(time.Time{})
	c.deadline.limit(time.Time{})
	c.leaf = c.raw.leaf
	if role == Client {
		c.leaf = t.ConnectionState().PeerCertificates[0]
	}
	c.raw.release()
	c.tls.Store(t)
	return nil
}

// Carried is what is known of a connection that something else carries, a WebSocket: its security is that of the carrier.
type Carried struct {
	Channel sasl.Channel
	TLS     *tls.ConnectionState // nil when TLS ends elsewhere
}

// Secure tells whether nobody on the way can read: TLS here, or where the carrier says so.
func (c *Conn) Secure() bool { return c.Channel().Secure }

// ConnectionState describes TLS; false when there is none, or when it ends elsewhere.
func (c *Conn) ConnectionState() (tls.ConnectionState, bool) {
	if c.carried != nil && c.carried.TLS != nil {
		return *c.carried.TLS, true
	}
	t := c.tls.Load()
	if t == nil {
		return tls.ConnectionState{}, false
	}
	return t.ConnectionState(), true
}

// Channel is what SASL needs to know of this connection. The zero value, which
// is not secure, when there is no TLS.
func (c *Conn) Channel() sasl.Channel {
	if c.carried != nil {
		return c.carried.Channel
	}
	state, ok := c.ConnectionState()
	if !ok {
		return sasl.Channel{}
	}
	return sasl.FromTLS(&state, c.leaf)
}

// ChannelBinding gives the data of one channel-binding type.
func (c *Conn) ChannelBinding(t sasl.BindingType) ([]byte, bool) {
	for _, b := range c.Channel().Bindings {
		if b.Type == t {
			return b.Data, true
		}
	}
	return nil, false
}

// Write sends p whole, within WriteTimeout. A failure breaks the connection:
// nothing can follow half a record, so it is aborted.
func (c *Conn) Write(p []byte) (int, error) {
	var n int
	var err error
	if t := c.tls.Load(); t != nil {
		n, err = t.Write(p)
	} else {
		n, err = c.raw.Write(p)
	}
	if err != nil {
		c.Abort()
		return n, fmt.Errorf("transport: write: %w", err)
	}
	return n, nil
}

// CloseWrite says that nothing more will be written, and leaves the connection
// open for reading.
func (c *Conn) CloseWrite() error {
	if t := c.tls.Load(); t != nil {
		if err := t.CloseWrite(); err != nil {
			return fmt.Errorf("transport: close write: %w", err)
		}
	}
	if half, ok := c.raw.nc.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return fmt.Errorf("transport: close write: %w", err)
		}
	}
	return nil
}

// Close ends the connection, under TLS with close_notify if the socket takes
// it within five seconds.
func (c *Conn) Close() error { return c.end(true) }

// Abort ends the connection at once.
func (c *Conn) Abort() { _ = c.end(false) }

func (c *Conn) end(notify bool) error {
	if !c.ending.CompareAndSwap(false, true) {
		if !notify {
			_ = c.raw.Close() // the first one may be in close_notify
		}
		return nil
	}
	close(c.closed)
	if c.onClose != nil {
		defer c.onClose(c)
	}
	var err error
	if t := c.tls.Load(); t != nil && notify {
		err = t.Close()
	} else {
		err = c.raw.Close()
	}
	if err != nil {
		return fmt.Errorf("transport: close: %w", err)
	}
	return nil
}

// Done is closed when the connection has been closed on this side.
func (c *Conn) Done() <-chan struct{} { return c.closed }

// Go runs f on a new goroutine that belongs to the connection. Listeners.Stop
// waits for it, and an accepted connection is closed when Serve and all such
// goroutines have ended; from then on f is not run and Go gives false. A panic
// in f ends the connection, not the server. Whoever does a TLS handshake should
// go on in a new goroutine, whose stack is small.
func (c *Conn) Go(f func()) bool {
	if !c.enter() {
		return false
	}
	go c.run(f)
	return true
}

// goShort is Go for what ends soon: it may get a goroutine that has run before.
func (c *Conn) goShort(f func()) bool {
	if !c.enter() {
		return false
	}
	c.opts.workers.start(c, f)
	return true
}

// enter counts a goroutine; false if the last has ended.
func (c *Conn) enter() bool {
	for {
		n := c.users.Load()
		if n == 0 {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (c *Conn) run(f func()) {
	defer c.leave()
	f()
}

// leave ends a goroutine's part in the connection; it must be deferred.
func (c *Conn) leave() {
	if r := recover(); r != nil {
		c.opts.Log.Error("panic in a connection", "panic", r, "remote", c.RemoteIP(), "stack", string(debug.Stack()))
		c.Abort()
	}
	if c.users.Add(-1) > 0 {
		return
	}
	_ = c.Close()
	if c.onEnd != nil {
		c.onEnd()
	}
}

// RemoteIP is the address of the peer; the zero value when it has none.
func (c *Conn) RemoteIP() netip.Addr { return addrOf(c.raw.RemoteAddr()) }

// RemoteAddr and LocalAddr are those of the socket.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// LocalAddr is the own address of the socket.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// Counters are the bytes on the wire so far, with those of TLS.
func (c *Conn) Counters() (in, out int64) { return c.raw.in.Load(), c.raw.out.Load() }

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
