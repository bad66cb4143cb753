package turn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	pion "github.com/pion/turn/v5"
)

// Options of a Server. Realm, Secret, RelayIP and at least one address are required.
type Options struct {
	UDP, TCP, TLS []string    // addresses to listen on, host:port
	Config        *tls.Config // for TLS
	Realm         string
	Secret        []byte
	// RelayIP is the address that peers send to; Bind is the local address of its sockets ("": RelayIP itself).
	RelayIP netip.Addr
	Bind    string
	// MinPort and MaxPort bound the ports of allocations; 49152 to 65535 by default.
	MinPort, MaxPort uint16
	// AllowPeers are ranges to which may be relayed although they are private or special.
	AllowPeers []netip.Prefix
	// PerUser bounds the allocations of one user (10), MaxAllocations those of all (1,000), BytesPerSecond what is relayed for one user in both
	// directions (1 MiB).
	PerUser, MaxAllocations, BytesPerSecond int
	Now                                     func() time.Time // nil: time.Now
	Log                                     *slog.Logger     // nil: discarded
}

func (o *Options) fill() error {
	if o.Realm == "" || len(o.Secret) == 0 || !o.RelayIP.IsValid() || len(o.UDP)+len(o.TCP)+len(o.TLS) == 0 {
		return errors.New("turn: a realm, a secret, the relay's address and an address to listen on are required")
	}
	if len(o.TLS) > 0 && o.Config == nil {
		return errors.New("turn: a certificate is required")
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&o.PerUser, 10}, {&o.MaxAllocations, 1000}, {&o.BytesPerSecond, 1 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.MinPort == 0 {
		o.MinPort = 49152
	}
	if o.MaxPort == 0 {
		o.MaxPort = 65535
	}
	if o.MaxPort < o.MinPort {
		return fmt.Errorf("turn: ports %d to %d are none", o.MinPort, o.MaxPort)
	}
	if o.Bind == "" {
		o.Bind = o.RelayIP.String()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Server is a running relay.
type Server struct {
	o     Options
	users users
	pion  *pion.Server
	addrs map[string][]net.Addr
}

// Start listens and serves until Stop.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Server{o: o, users: users{of: map[string]*user{}}, addrs: map[string][]net.Addr{}}
	c := pion.ServerConfig{Realm: o.Realm, AuthHandler: s.authenticate, LoggerFactory: loggers{o.Log},
		QuotaHandler: func(name, _ string, _ net.Addr) bool { return s.room(name) }}
	err := s.listen(ctx, &c)
	if err == nil {
		s.pion, err = pion.NewServer(c)
	}
	if err != nil {
		for _, p := range c.PacketConnConfigs {
			err = errors.Join(err, p.PacketConn.Close())
		}
		for _, l := range c.ListenerConfigs {
			err = errors.Join(err, l.Listener.Close())
		}
		return nil, fmt.Errorf("turn: %w", err)
	}
	return s, nil
}

func (s *Server) listen(ctx context.Context, c *pion.ServerConfig) error {
	lc := &net.ListenConfig{}
	for _, a := range s.o.UDP {
		conn, err := lc.ListenPacket(ctx, "udp", a)
		if err != nil {
			return err
		}
		s.addrs["udp"] = append(s.addrs["udp"], conn.LocalAddr())
		c.PacketConnConfigs = append(c.PacketConnConfigs, pion.PacketConnConfig{PacketConn: conn, RelayAddressGenerator: s.relays(), PermissionHandler: s.permit})
	}
	for _, k := range []struct {
		name  string
		addrs []string
		cfg   *tls.Config
	}{{"tcp", s.o.TCP, nil}, {"tls", s.o.TLS, s.o.Config}} {
		for _, a := range k.addrs {
			l, err := lc.Listen(ctx, "tcp", a)
			if err != nil {
				return err
			}
			s.addrs[k.name] = append(s.addrs[k.name], l.Addr())
			c.ListenerConfigs = append(c.ListenerConfigs, pion.ListenerConfig{Listener: newGate(l, k.cfg), RelayAddressGenerator: s.relays(), PermissionHandler: s.permit})
		}
	}
	return nil
}

func (s *Server) relays() *relays {
	return &relays{s, &pion.RelayAddressGeneratorPortRange{RelayAddress: s.o.RelayIP.AsSlice(), Address: s.o.Bind,
		MinPort: s.o.MinPort, MaxPort: s.o.MaxPort}}
}

// permit is pion's PermissionHandler.
func (s *Server) permit(_ net.Addr, peer net.IP) bool {
	a, ok := netip.AddrFromSlice(peer)
	return ok && s.mayRelay(a)
}

// Addrs returns the addresses that are listened on: "udp", "tcp" or "tls".
func (s *Server) Addrs(kind string) []net.Addr { return s.addrs[kind] }

// stopTime is how long Stop waits for pion, which ends allocations behind its Close.
const stopTime = 5 * time.Second

// Stop closes the listeners and ends all allocations. It is called once.
func (s *Server) Stop() error {
	empty := s.end()
	if err := s.pion.Close(); err != nil {
		return fmt.Errorf("turn: stop: %w", err)
	}
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-empty:
		return nil
	case <-late.C:
		return fmt.Errorf("turn: stop: %d allocations have not ended", s.Allocations())
	}
}
