package turn

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	maxConns      = 2000
	maxConnsPerIP = 20
	// idle is how long a connection may be silent: an allocation has to be refreshed within 10 minutes (RFC 8656 §3.2).
	idle = 11 * time.Minute
	// first is how long it may take to say something.
	first = 30 * time.Second
)

// gate is a listener that bounds connections: who has not logged in costs memory, too. With a configuration it speaks TLS, and shows pion a plain connection:
// it would leave one open whose handshake fails.
type gate struct {
	net.Listener
	cfg    *tls.Config
	closed chan struct{}
	shut   func() // closes closed
	mu     sync.Mutex
	perIP  map[string]int
	total  int
}

func newGate(l net.Listener, cfg *tls.Config) *gate {
	closed := make(chan struct{})
	return &gate{Listener: l, cfg: cfg, closed: closed, shut: sync.OnceFunc(func() { close(closed) }), perIP: map[string]int{}}
}

// Accept implements net.Listener. A lack of file descriptors and the like passes: it waits and tries again, for pion would accept nobody any more.
func (g *gate) Accept() (net.Conn, error) {
	var wait time.Duration
	for {
		c, err := g.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			if wait = min(max(2*wait, 5*time.Millisecond), time.Second); !g.rest(wait) {
				return nil, net.ErrClosed
			}
			continue
		}
		wait = 0
		ip, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil || !g.enter(ip) {
			_ = c.Close() // it is refused
			continue
		}
		if g.cfg != nil {
			c = tls.Server(c, g.cfg)
		}
		return &gated{Conn: c, wait: first, leave: sync.OnceFunc(func() { g.leave(ip) })}, nil
	}
}

// rest waits; false when the gate is closed meanwhile.
func (g *gate) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.closed:
		return false
	}
}

// Close implements net.Listener.
func (g *gate) Close() error {
	g.shut()
	return g.Listener.Close()
}

func (g *gate) enter(ip string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= maxConns || g.perIP[ip] >= maxConnsPerIP {
		return false
	}
	g.total++
	g.perIP[ip]++
	return true
}

func (g *gate) leave(ip string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.perIP[ip]--; g.perIP[ip] == 0 {
		delete(g.perIP, ip)
	}
}

// gated is a connection that ends when it is silent for too long, or does not take what is sent.
type gated struct {
	net.Conn
	wait  time.Duration // of the next Read, by which also hands are shaken
	leave func()
}

// Read implements net.Conn.
func (c *gated) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.wait = idle
	}
	return n, err
}

// Write implements net.Conn.
func (c *gated) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *gated) Close() error {
	c.leave()
	return c.Conn.Close()
}
