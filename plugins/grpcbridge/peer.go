package grpcbridge

import (
	"context"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
)

// Sockets lie in a directory that only our user may enter (mode 0700); that is
// checked again for every connection by asking the kernel whose process it is.

// checkPeer fails if conn is a unix socket and its other end another user's.
func checkPeer(conn net.Conn) error {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return nil
	}
	uid, err := peerUID(uc)
	if err != nil {
		return fmt.Errorf("ask for the peer's user: %w", err)
	}
	if uid >= 0 && uid != os.Getuid() {
		return fmt.Errorf("the peer is user %d, not %d", uid, os.Getuid())
	}
	return nil
}

// peerListener hands out only connections of our own user.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if checkPeer(conn) == nil {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// dialUnix connects to a socket of our own user.
func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// peerCredentials stand in for TLS in gRPC where the transport is a plain socket.
type peerCredentials struct{}

func (peerCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return peerHandshake(conn)
}

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return peerHandshake(conn)
}

func peerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if err := checkPeer(conn); err != nil {
		return nil, nil, err
	}
	return conn, peerInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}, nil
}

type peerInfo struct{ credentials.CommonAuthInfo }

// AuthType implements credentials.AuthInfo.
func (peerInfo) AuthType() string { return "peer-uid" }

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peer-uid"}
}

func (p peerCredentials) Clone() credentials.TransportCredentials { return p }

func (peerCredentials) OverrideServerName(string) error { return nil }
