package turn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
	"go.uber.org/goleak"

	"github.com/viaduct-xmpp/viaduct/core/tlscert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "made-up"

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func start(t *testing.T, o Options) *Server {
	t.Helper()
	o.Realm, o.Secret, o.RelayIP = "example.org", []byte(secret), netip.MustParseAddr("127.0.0.1")
	if len(o.TLS)+len(o.TCP) == 0 {
		o.UDP = []string{"127.0.0.1:0"}
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if n := s.Allocations(); n != 0 {
			t.Errorf("%d allocations are left", n)
		}
	})
	return s
}

// credentials are those of the draft, made by another implementation.
func credentials(t *testing.T, who string, ttl time.Duration) (name, password string) {
	t.Helper()
	name, password, err := pion.GenerateLongTermTURNRESTCredentials(secret, who, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return name, password
}

// client is pion's client over a connection to the server.
func client(t *testing.T, s *Server, conn net.PacketConn, kind, name, password string) *pion.Client {
	t.Helper()
	addr := s.Addrs(kind)[0].String()
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	c, err := pion.NewClient(&pion.ClientConfig{STUNServerAddr: addr, TURNServerAddr: addr, Username: name, Password: password, Realm: "example.org",
		Conn: conn, LoggerFactory: quiet})
	if err == nil {
		err = c.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func udp(t *testing.T) net.PacketConn {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func alice(t *testing.T, s *Server) *pion.Client {
	t.Helper()
	name, password := credentials(t, "alice", time.Hour)
	return client(t, s, udp(t), "udp", name, password)
}

// RFC 8489: one learns how one is seen, without an account.
func TestBinding(t *testing.T) {
	s := start(t, Options{})
	conn := udp(t)
	got, err := client(t, s, conn, "udp", "", "").SendBindingRequest()
	if err != nil || got.String() != conn.LocalAddr().String() {
		t.Errorf("seen as %v, %v; want %v", got, err, conn.LocalAddr())
	}
}

// roundTrip sends through a relay to a peer and back.
func roundTrip(t *testing.T, relayed net.PacketConn) error {
	t.Helper()
	peer := udp(t)
	want := []byte("hello")
	if _, err := relayed.WriteTo(want, peer.LocalAddr()); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, from, err := peer.ReadFrom(buf)
	if err != nil || !bytes.Equal(buf[:n], want) || from.String() != relayed.LocalAddr().String() {
		t.Fatalf("the peer gets %q from %v, %v", buf[:n], from, err)
	}
	if _, err := peer.WriteTo([]byte("and back again"), from); err != nil {
		t.Fatal(err)
	}
	n, from, err = relayed.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "and back again" || from.String() != peer.LocalAddr().String() {
		t.Fatalf("back comes %q from %v, %v", buf[:n], from, err)
	}
	return nil
}

func TestRelay(t *testing.T) {
	certs, err := tlscert.Open(t.Context(), tlscert.Options{Source: tlscert.SelfSigned{Dir: t.TempDir()}, Names: []string{"example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	for kind, o := range map[string]Options{
		"udp": {}, "tcp": {TCP: []string{"127.0.0.1:0"}}, "tls": {TLS: []string{"127.0.0.1:0"}, Config: certs.Config(tlscert.HTTPS)},
	} {
		t.Run(kind, func(t *testing.T) {
			o.AllowPeers = []netip.Prefix{loopback}
			s := start(t, o)
			name, password := credentials(t, "alice", time.Hour)
			c := client(t, s, dial(t, s, kind), kind, name, password)
			relayed, err := c.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			if s.Allocations() != 1 {
				t.Errorf("%d allocations", s.Allocations())
			}
			if err := roundTrip(t, relayed); err != nil {
				t.Error(err)
			}
			if err := relayed.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func dial(t *testing.T, s *Server, kind string) net.PacketConn {
	t.Helper()
	var conn net.Conn
	var err error
	switch kind {
	case "udp":
		return udp(t)
	case "tcp":
		conn, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addrs(kind)[0].String())
	case "tls":
		conn, err = (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", s.Addrs(kind)[0].String()) //nolint:gosec // a test's own certificate
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pion.NewSTUNConn(conn)
}

// refusedWith tells whether an error is a STUN error with a code.
func refusedWith(err error, code stun.ErrorCode) bool {
	var te *stun.TurnError
	if errors.As(err, &te) {
		return te.ErrorCodeAttr.Code == code
	}
	return false
}

// Attacks row 37: nobody relays without credentials that are good now.
func TestAttackRow37Credentials(t *testing.T) {
	s := start(t, Options{AllowPeers: []netip.Prefix{loopback}})
	good, password := credentials(t, "alice", time.Hour)
	old, oldPassword := credentials(t, "alice", -time.Second)
	end, _, _ := strings.Cut(good, ":")
	for what, c := range map[string]struct{ name, password string }{
		"no password": {good, "x"}, "expired": {old, oldPassword}, "somebody else's": {end + ":bob", password}, "later": {"9" + good, password},
		"no time": {"alice", password}, "no name": {end + ":", password}, "an expired one's password": {good, oldPassword},
	} {
		relayed, err := client(t, s, udp(t), "udp", c.name, c.password).Allocate()
		if err == nil {
			_ = relayed.Close()
			t.Errorf("%s: allocated", what)
		}
	}
	if s.Allocations() != 0 {
		t.Errorf("%d allocations", s.Allocations())
	}
}

// Attacks row 37: no way into the operator's own networks.
func TestAttackRow37Peers(t *testing.T) {
	s := start(t, Options{})
	c := alice(t, s)
	relayed, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relayed.Close() //nolint:errcheck // a test
	for _, peer := range []string{"127.0.0.1", "127.1.2.3", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP(peer), Port: 80}); err == nil {
			t.Errorf("a permission for %s is given", peer)
		}
	}
	if err := c.CreatePermission(&net.UDPAddr{IP: net.ParseIP("8.8.8.8"), Port: 80}); err != nil { // nothing is sent
		t.Errorf("a permission for a public address is refused: %v", err)
	}
	allowed := start(t, Options{AllowPeers: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2a00:1450:4001::1": true, "10.1.2.3": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "::1": false, "::": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::1": false, "2001:0:1::1": false, "2001:db8::1": false, "fec0::1": false, "192.0.2.1": false, "240.0.0.1": false,
		"198.18.0.1": false, "203.0.113.9": false, "0.1.2.3": false,
	} {
		if got := allowed.mayRelay(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// Attacks row 37: an account has so many allocations, whatever credentials it got, and all together have so many.
func TestAttackRow37Allocations(t *testing.T) {
	s := start(t, Options{PerUser: 2, MaxAllocations: 3})
	var last net.PacketConn
	for i, want := range []bool{true, true, false} {
		name, password := credentials(t, "alice", time.Duration(i+1)*time.Hour) // other credentials, the same account
		relayed, err := client(t, s, udp(t), "udp", name, password).Allocate()
		if (err == nil) != want || err != nil && !refusedWith(err, stun.CodeAllocQuotaReached) {
			t.Errorf("allocation %d: %v", i+1, err)
		}
		if err == nil {
			last = relayed
			defer relayed.Close() //nolint:errcheck // a test
		}
	}
	for i, want := range []bool{true, false} {
		name, password := credentials(t, "bob"+string(rune('0'+i)), time.Hour)
		relayed, err := client(t, s, udp(t), "udp", name, password).Allocate()
		if (err == nil) != want {
			t.Errorf("somebody else's %d: %v", i, err)
		}
		if err == nil {
			defer relayed.Close() //nolint:errcheck // a test
		}
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil { // the end of an allocation is a packet, too
		relayed, err := alice(t, s).Allocate()
		if err == nil {
			_ = relayed.Close()
			return
		}
	}
	t.Error("what was given back cannot be had again")
}

// Attacks row 37: what is above the rate of a user is lost, in both directions and over all allocations.
func TestAttackRow37Bandwidth(t *testing.T) {
	now := time.Unix(1_800_000_000, 0) // it stands still
	s := &Server{o: Options{BytesPerSecond: 100_000, PerUser: 5, MaxAllocations: 5, AllowPeers: []netip.Prefix{loopback}, Now: func() time.Time { return now }},
		users: users{of: map[string]*user{}}}
	var got int
	conn := &countingConn{PacketConn: udp(t), n: &got}
	var relays []*relay
	for range 2 {
		u, ok := s.enter("alice")
		if !ok {
			t.Fatal("refused")
		}
		relays = append(relays, &relay{PacketConn: conn, s: s, u: u, leave: func() {}})
	}
	peer := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
	for i := range 600 {
		if n, err := relays[i%2].WriteTo(make([]byte, 1000), peer); n != 1000 || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if got != 200_000 { // two seconds' worth at once
		t.Errorf("%d bytes passed", got)
	}
	now = now.Add(time.Second)
	for range 200 {
		_, _ = relays[0].WriteTo(make([]byte, 1000), peer)
	}
	if got != 300_000 {
		t.Errorf("%d bytes passed a second later", got)
	}
	now = now.Add(time.Minute)
	_, _ = relays[0].WriteTo(make([]byte, 10), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9})
	if got != 300_000 {
		t.Error("a packet to a private address passed")
	}
	if u, ok := s.enter("bob"); !ok || !u.allow(now, 1000) {
		t.Error("somebody else cannot send")
	}
}

type countingConn struct {
	net.PacketConn
	n *int
}

func (c *countingConn) WriteTo(p []byte, _ net.Addr) (int, error) {
	*c.n += len(p)
	return len(p), nil
}

// A connection that does not shake hands is closed, and its place is free.
func TestNoHandshake(t *testing.T) {
	certs, err := tlscert.Open(t.Context(), tlscert.Options{Source: tlscert.SelfSigned{Dir: t.TempDir()}, Names: []string{"example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{TLS: []string{"127.0.0.1:0"}, Config: certs.Config(tlscert.HTTPS)})
	for range 3 * maxConnsPerIP {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addrs("tls")[0].String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it is closed
		_ = conn.Close()
	}
	name, password := credentials(t, "alice", time.Hour)
	for { // its place is given back after it was closed
		relayed, err := client(t, s, dial(t, s, "tls"), "tls", name, password).Allocate()
		if err == nil {
			_ = relayed.Close()
			return
		}
	}
}

// One address does not take all connections.
func TestGate(t *testing.T) {
	g := newGate(nil, nil)
	for i := range maxConnsPerIP + 1 {
		if got := g.enter("192.0.2.1"); got != (i < maxConnsPerIP) {
			t.Fatalf("connection %d: %v", i, got)
		}
	}
	if !g.enter("192.0.2.2") {
		t.Error("another address is refused")
	}
	g.leave("192.0.2.1")
	if !g.enter("192.0.2.1") {
		t.Error("its place is not free")
	}
}

// flaky is a listener that runs out of file descriptors for a while.
type flaky struct {
	errs  chan error
	conns chan net.Conn
	end   chan struct{}
}

func (f *flaky) Accept() (net.Conn, error) {
	select {
	case err := <-f.errs: // these first
		return nil, err
	default:
	}
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.end:
		return nil, net.ErrClosed
	}
}

func (f *flaky) Close() error   { close(f.end); return nil }
func (f *flaky) Addr() net.Addr { return &net.TCPAddr{} }

// A lack of file descriptors does not end the listener, and its end is not waited for.
func TestGateGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{errs: make(chan error, 3), conns: make(chan net.Conn), end: make(chan struct{})}
		g := newGate(f, nil)
		for range 3 {
			f.errs <- syscall.EMFILE
		}
		ours, theirs := net.Pipe()
		defer theirs.Close() //nolint:errcheck // a test
		go func() { f.conns <- addressed{ours} }()
		c, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		f.errs <- syscall.EMFILE
		ended := make(chan error)
		go func() {
			_, err := g.Accept()
			ended <- err
		}()
		synctest.Wait() // it rests
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the end is %v", err)
		}
	})
}

// addressed is a connection from somewhere.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000} }

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":        {},
		"no certificate": {Realm: "x", Secret: []byte("x"), RelayIP: netip.MustParseAddr("127.0.0.1"), TLS: []string{"127.0.0.1:0"}},
		"no ports":       {Realm: "x", Secret: []byte("x"), RelayIP: netip.MustParseAddr("127.0.0.1"), UDP: []string{"127.0.0.1:0"}, MinPort: 2, MaxPort: 1},
		"bad address":    {Realm: "x", Secret: []byte("x"), RelayIP: netip.MustParseAddr("127.0.0.1"), UDP: []string{"127.0.0.1:0", "nowhere:x"}},
	} {
		if _, err := Start(t.Context(), o); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
