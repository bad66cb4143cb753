package turn

import (
	"errors"
	"fmt"
	"net"
	"sync"

	pion "github.com/pion/turn/v5"
)

var (
	errQuota = errors.New("turn: the user has all the allocations that one may have")
	errTCP   = errors.New("turn: TCP is not relayed")
)

// relays makes the sockets of allocations; it implements pion's RelayAddressGenerator around that of a range of ports.
type relays struct {
	s     *Server
	ports *pion.RelayAddressGeneratorPortRange
}

// Validate implements pion.RelayAddressGenerator.
func (r *relays) Validate() error { return r.ports.Validate() }

// AllocatePacketConn implements pion.RelayAddressGenerator.
func (r *relays) AllocatePacketConn(c pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	u, ok := r.s.enter(c.UserID)
	if !ok {
		return nil, nil, errQuota
	}
	conn, addr, err := r.ports.AllocatePacketConn(c)
	if err != nil {
		r.s.leave(c.UserID)
		return nil, nil, fmt.Errorf("turn: open port: %w", err)
	}
	return &relay{PacketConn: conn, s: r.s, u: u, leave: sync.OnceFunc(func() { r.s.leave(c.UserID) })}, addr, nil
}

// AllocateListener implements pion.RelayAddressGenerator.
func (*relays) AllocateListener(pion.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

// AllocateConn implements pion.RelayAddressGenerator.
func (*relays) AllocateConn(pion.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// relay is the socket of one allocation. What is above the user's rate is lost, as packets are.
type relay struct {
	net.PacketConn
	s     *Server
	u     *user
	leave func()
}

// ReadFrom implements net.PacketConn: from a peer.
func (r *relay) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, addr, err := r.PacketConn.ReadFrom(p)
		if err != nil || r.u.allow(r.s.o.Now(), n) {
			return n, addr, err
		}
	}
}

// WriteTo implements net.PacketConn: to a peer. That it may be sent to was decided with the permission, and is looked at again.
func (r *relay) WriteTo(p []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok || !r.s.mayRelay(to.AddrPort().Addr()) || !r.u.allow(r.s.o.Now(), len(p)) {
		return len(p), nil
	}
	return r.PacketConn.WriteTo(p, addr)
}

// Close implements net.PacketConn.
func (r *relay) Close() error {
	r.leave()
	return r.PacketConn.Close()
}
