package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultPerIP is how many connections one address may have.
const DefaultPerIP = 100

// Options configure Listeners.
type Options struct {
	ConnOptions
	// PerIP is how many connections one IPv4 address, or one IPv6 network of
	// 64 bits, may have over all listeners. 0 is the default, negative no limit.
	PerIP int
}

// Spec describes listening for one service.
type Spec struct {
	// Key is the configuration key, "listen.c2s"; errors and log lines name it.
	Key string
	// Addrs are host:port; port 0 is chosen by the kernel.
	Addrs []string
	// TLS is for direct TLS: Serve is called after the handshake. Nil: at once.
	TLS *tls.Config
	// Serve is called for each connection, on a goroutine of its own. When it
	// and what it began with Conn.Go has ended, the connection is closed. ctx
	// ends when the listeners stop.
	Serve func(ctx context.Context, c *Conn)
}

// Stats are counts since the start, except Open.
type Stats struct {
	Open, Accepted, RefusedPerIP, FailedHandshakes, AcceptErrors int64
}

// Listeners accept the connections of a server.
type Listeners struct {
	opts   Options
	ctx    context.Context //nolint:containedctx // the life of all connections, ended by Stop
	cancel context.CancelFunc

	mu     sync.Mutex
	open   map[string][]net.Listener // by key; nil after Stop
	conns  map[*Conn]netip.Prefix
	perIP  map[netip.Prefix]int
	limit  int
	accept sync.WaitGroup // accept loops
	group  sync.WaitGroup // connections with a goroutine

	accepted, refused, handshakes, errors atomic.Int64
}

// NewListeners makes Listeners without any.
func NewListeners(opts Options) *Listeners {
	opts.ConnOptions = opts.withDefaults()
	opts.workers = &workers{}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Listeners{
		opts: opts, ctx: ctx, cancel: cancel,
		open: make(map[string][]net.Listener), conns: make(map[*Conn]netip.Prefix), perIP: make(map[netip.Prefix]int),
	}
	l.SetPerIP(opts.PerIP)
	return l
}

// SetPerIP changes the limit for connections to come.
func (l *Listeners) SetPerIP(n int) {
	if n == 0 {
		n = DefaultPerIP
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
}

// Listen opens all addresses of spec, or none: then the error names the key and
// the address, and what to do.
func (l *Listeners) Listen(ctx context.Context, spec Spec) error {
	var opened []net.Listener
	closeAll := func() {
		for _, nl := range opened {
			_ = nl.Close()
		}
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	for _, addr := range spec.Addrs {
		nl, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			closeAll()
			return listenError(spec.Key, addr, err)
		}
		opened = append(opened, nl)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		closeAll()
		return fmt.Errorf("%s: the server is stopping", spec.Key)
	}
	l.open[spec.Key] = append(l.open[spec.Key], opened...)
	for _, nl := range opened {
		l.accept.Add(1)
		go l.acceptLoop(nl, spec)
	}
	return nil
}

// listenError says what is wrong in words for the one who wrote the address.
func listenError(key, addr string, err error) error {
	hints := []struct {
		err  error
		hint string
	}{
		{syscall.EADDRINUSE, "is already in use by another program (find it with: ss -ltnp), stop that one or choose another port"},
		{syscall.EACCES, "may not be opened by this user: ports below 1024 need the capability CAP_NET_BIND_SERVICE"},
		{syscall.EADDRNOTAVAIL, "is no address of this machine"},
		{syscall.EAFNOSUPPORT, "is of an address family that this machine has switched off"},
	}
	for _, h := range hints {
		if errors.Is(err, h.err) {
			return fmt.Errorf("%s: %s %s: %w", key, addr, h.hint, err)
		}
	}
	return fmt.Errorf("%s: cannot listen on %q: %w", key, addr, err)
}

// Addrs are the addresses that are listened on for a key, with the real ports.
func (l *Listeners) Addrs(key string) []net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	var addrs []net.Addr
	for _, nl := range l.open[key] {
		addrs = append(addrs, nl.Addr())
	}
	return addrs
}

// Stats gives the counts.
func (l *Listeners) Stats() Stats {
	l.mu.Lock()
	open := len(l.conns)
	l.mu.Unlock()
	return Stats{
		Open: int64(open), Accepted: l.accepted.Load(), RefusedPerIP: l.refused.Load(),
		FailedHandshakes: l.handshakes.Load(), AcceptErrors: l.errors.Load(),
	}
}

// CloseListeners stops accepting and leaves the connections alone.
func (l *Listeners) CloseListeners() {
	l.mu.Lock()
	for _, list := range l.open {
		for _, nl := range list {
			_ = nl.Close()
		}
	}
	l.open = nil
	l.mu.Unlock()
	l.accept.Wait()
}

// Stop stops accepting, ends the context of the connections, and waits until
// they have ended. Those still there when ctx ends are aborted; the error says
// how many.
func (l *Listeners) Stop(ctx context.Context) error {
	l.CloseListeners()
	l.cancel()
	done := make(chan struct{})
	go func() {
		l.group.Wait()
		l.opts.workers.stop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	left := make([]*Conn, 0, len(l.conns))
	for c := range l.conns {
		left = append(left, c)
	}
	l.mu.Unlock()
	for _, c := range left {
		c.Abort()
	}
	<-done
	if len(left) > 0 {
		return fmt.Errorf("transport: stop: %d connections did not end in time and were cut", len(left))
	}
	return nil
}

// acceptLoop accepts until the listener is closed. Errors such as a lack of file
// descriptors pass: it waits and tries again.
func (l *Listeners) acceptLoop(nl net.Listener, spec Spec) {
	defer l.accept.Done()
	log := l.opts.Log.With("key", spec.Key, "address", nl.Addr().String())
	var backoff time.Duration
	for {
		nc, err := nl.Accept()
		switch {
		case err == nil:
			if backoff > 0 {
				log.Info("accepting connections again")
			}
			backoff = 0
			l.admit(nc, spec)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			l.errors.Add(1)
			if backoff == 0 {
				log.Error("cannot accept connections, trying again", "error", err)
			}
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			if !l.rest(backoff) {
				return
			}
		}
	}
}

// rest waits; false when the listeners stop meanwhile.
func (l *Listeners) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// admit counts the connection against its address and serves it.
func (l *Listeners) admit(nc net.Conn, spec Spec) {
	if c := l.take(nc); c != nil {
		go l.serve(c, spec)
	}
}

// Carry serves a connection that something else carries and has unwrapped, like an accepted one: it counts against its address, and Stop waits for
// it. It returns at once; serve is called on a goroutine of its own.
func (l *Listeners) Carry(nc net.Conn, how Carried, serve func(context.Context, *Conn)) {
	if c := l.take(nc); c != nil {
		c.carried = &how
		go l.serve(c, Spec{Serve: serve})
	}
}

// take makes a connection of the listeners; nil if its address has too many, or at the end.
func (l *Listeners) take(nc net.Conn) *Conn {
	l.accepted.Add(1)
	from := network(addrOf(nc.RemoteAddr()))
	l.mu.Lock()
	if l.open == nil || l.limit > 0 && l.perIP[from] >= l.limit {
		l.mu.Unlock()
		l.refused.Add(1)
		_ = nc.Close()
		return nil
	}
	c := newConn(nc, &l.opts.ConnOptions)
	c.onClose, c.onEnd = l.forget, l.group.Done
	l.conns[c] = from
	l.perIP[from]++
	l.group.Add(1)
	l.mu.Unlock()
	return c
}

func (l *Listeners) serve(c *Conn, spec Spec) {
	defer c.leave()
	if spec.TLS == nil {
		spec.Serve(l.ctx, c)
		return
	}
	if err := c.Handshake(l.ctx, Server, spec.TLS); err != nil {
		l.handshakes.Add(1)
		l.opts.Log.Debug("tls handshake failed", "key", spec.Key, "remote", c.RemoteIP(), "error", err)
		c.Abort()
		return
	}
	c.Go(func() { spec.Serve(l.ctx, c) }) // with a small stack
}

func (l *Listeners) forget(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, ok := l.conns[c]
	if !ok {
		return
	}
	delete(l.conns, c)
	if l.perIP[from]--; l.perIP[from] <= 0 {
		delete(l.perIP, from)
	}
}

// network is what counts as one peer: an IPv6 user has at least a /64.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
