package httpd

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// bound limits what one address may have at once (attacks row 26): connections, and requests that a proxy on this machine passes on for it. One address is an
// IPv4 address or an IPv6 network of 64 bits.
type bound struct {
	mu    sync.Mutex
	limit int // 0: none
	has   map[netip.Prefix]int
}

// SetPerIP changes how many connections, and how many requests through a proxy, one address may have at once; 0 is any number. It holds for what comes then.
func (s *Server) SetPerIP(n int) {
	s.bound.mu.Lock()
	defer s.bound.mu.Unlock()
	s.bound.limit = max(n, 0)
}

// take counts one more; false: there are too many. What was taken is given back.
func (b *bound) take(of netip.Prefix) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit > 0 && b.has[of] >= b.limit {
		return false
	}
	if b.has == nil {
		b.has = map[netip.Prefix]int{}
	}
	b.has[of]++
	return true
}

func (b *bound) give(of netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.has[of]--; b.has[of] <= 0 {
		delete(b.has, of)
	}
}

// listener bounds the connections of a listener. Those of this machine are not counted, and without TLS those of private networks neither: there a proxy
// is that brings everybody (see handler).
func (b *bound) listener(l net.Listener, secure bool) net.Listener {
	return &boundListener{l, b, secure}
}

type boundListener struct {
	net.Listener
	b      *bound
	secure bool
}

// Accept implements net.Listener: what is too much is closed without a word, before TLS has cost anything.
func (l *boundListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, ok := addrOf(c.RemoteAddr())
		if !ok || from.IsLoopback() || !l.secure && Near(from) {
			return c, nil
		}
		of := network(from)
		if l.b.take(of) {
			return &boundConn{Conn: c, done: sync.OnceFunc(func() { l.b.give(of) })}, nil
		}
		_ = c.Close()
	}
}

type boundConn struct {
	net.Conn
	done func()
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	c.done()
	return c.Conn.Close()
}

// handler bounds the requests under way that a proxy on this machine passes on for one address.
func (b *bound) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, passedOn := Peer(r)
		if !passedOn || from.Addr().IsLoopback() {
			h.ServeHTTP(w, r)
			return
		}
		of := network(from.Addr())
		if !b.take(of) {
			w.Header().Set("Retry-After", "10")
			http.Error(w, "Too many requests of your address are under way.", http.StatusTooManyRequests)
			return
		}
		defer b.give(of)
		h.ServeHTTP(w, r)
	})
}

// Peer returns where the client of a request is, and whether a proxy has passed it on. What a proxy says of that is believed if it is on this machine, and
// only its own word, the last. The zero value: it is not known.
func Peer(r *http.Request) (from netip.AddrPort, passedOn bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}, false
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	forwarded := r.Header.Values("X-Forwarded-For")
	if !from.Addr().IsLoopback() || r.TLS != nil || len(forwarded) == 0 {
		return from, false
	}
	hops := strings.Split(forwarded[len(forwarded)-1], ",")
	a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
	if err != nil {
		return from, false
	}
	return netip.AddrPortFrom(a.Unmap(), 0), true
}

// shared is what providers and overlay networks use as private addresses (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// Near tells whether an address is of this machine or a private network, where a proxy may be.
func Near(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

func addrOf(a net.Addr) (netip.Addr, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	from, ok := netip.AddrFromSlice(t.IP)
	return from.Unmap(), ok
}

// network is what counts as one address.
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
