package c2s

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/auth"
	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/transport"
)

func TestLogin(t *testing.T) {
	r := newRig(t, rigOptions{})
	t.Run("STARTTLS", func(t *testing.T) {
		p := r.login("alice", "phone")
		p.send("<iq type='get' id='1' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.expect("<iq", "id='1'", "type='result'", "to='alice@example.org/phone'")
		p.send("</stream:stream>")
		p.expect("</stream>")
		p.expect("EOF")
	})
	t.Run("direct TLS", func(t *testing.T) {
		p := r.dial("c2s_tls")
		p.handshake()
		p.openSecure()
		p.auth("bob", password)
		p.bind("")
	})
}

// from is a connection of somebody at an address.
type from struct {
	net.Conn
	at *net.TCPAddr
}

func (f from) RemoteAddr() net.Addr { return f.at }

// TestRemote: an IPv4 address that a listener for both families gives is shown, and counted against guessing, as what it is.
func TestRemote(t *testing.T) {
	var log bytes.Buffer
	seen := make(chan netip.AddrPort, 10)
	throttle := auth.NewThrottle(auth.ThrottleOptions{PerAddress: 1})
	r := newRig(t, rigOptions{pipe: true, change: func(o *Options) {
		o.Throttle, o.Log = throttle, slog.New(slog.NewTextHandler(&log, nil))
	}, events: func(c *event.Catalogue) {
		c.C2S.Features.On(event.Record, "test", func(_ context.Context, f *event.StreamFeatures) error {
			seen <- f.Stream.Remote
			return nil
		})
	}})
	for _, tc := range []struct {
		name, ip, want string
	}{
		{"IPv4", "192.0.2.1", "192.0.2.1:5000"},
		{"IPv4 within IPv6", "::ffff:192.0.2.2", "192.0.2.2:5000"},
		{"IPv6", "2001:db8::1", "[2001:db8::1]:5000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			conn := transport.NewConn(from{theirs, &net.TCPAddr{IP: net.ParseIP(tc.ip), Port: 5000}}, transport.ConnOptions{})
			conn.Go(func() { r.server.Serve(context.Background(), conn) })
			p := newPeer(t, ours)
			p.secure()
			if got := (<-seen).String(); got != tc.want {
				t.Errorf("seen at %s, want %s", got, tc.want)
			}
			p.send(plain("", "alice", "wrong horse"))
			p.expect("<failure")
			addr := netip.MustParseAddrPort(tc.want).Addr()
			if throttle.Allow(addr, "") {
				t.Errorf("the failure was not counted for %s", addr)
			}
		})
	}
	r.stop()
	if text := log.String(); strings.Contains(text, "::ffff") || strings.Count(text, "remote=192.0.2.2") != 1 {
		t.Errorf("log: %s", text)
	}
}
