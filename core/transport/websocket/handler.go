package websocket

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	ws "github.com/coder/websocket"

	"github.com/viaduct-xmpp/viaduct/core/httpd"
	"github.com/viaduct-xmpp/viaduct/core/sasl"
	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// protocol is what both sides must name (RFC 7395 §3.1).
const protocol = "xmpp"

// Options of a Handler.
type Options struct {
	// Carry takes an unwrapped connection over; see transport.Listeners.
	Carry func(net.Conn, transport.Carried, func(context.Context, *transport.Conn))
	// Serve runs the stream of a client.
	Serve func(context.Context, *transport.Conn)
	// Limits are those of an authenticated stream. Zero: xmlstream.C2S.
	Limits xmlstream.Limits
	Log    *slog.Logger // nil: discarded
}

// Handler returns the handler of [Path]. A request that came without TLS is taken for one that a proxy passes on if it comes from this machine or a
// private network, and refused otherwise: a password would go over the Internet in the clear.
func Handler(o Options) http.Handler {
	if o.Limits.MaxBytes == 0 {
		o.Limits = xmlstream.C2S
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.upgrade(w, r) })
}

func (o *Options) upgrade(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "This address is for XMPP clients that speak WebSocket (RFC 7395).", http.StatusUpgradeRequired)
		return
	}
	if r.TLS == nil && !near(r.RemoteAddr) {
		http.Error(w, "Without TLS this address is for a proxy; use https.", http.StatusForbidden)
		return
	}
	if !slices.Contains(offered(r.Header), protocol) {
		http.Error(w, "The subprotocol must be xmpp (RFC 7395 §3.1).", http.StatusBadRequest)
		return
	}
	c, err := ws.Accept(w, r, &ws.AcceptOptions{
		Subprotocols:       []string{protocol},
		InsecureSkipVerify: true,                   // any origin: see the package's documentation
		CompressionMode:    ws.CompressionDisabled, // attacks row 9
	})
	if err != nil {
		o.Log.Debug("websocket: upgrade", "error", err) // Accept has answered
		return
	}
	carried := transport.Carried{Channel: sasl.Channel{Secure: true}, TLS: r.TLS}
	if r.TLS != nil {
		carried.Channel = sasl.FromTLS(r.TLS, nil)
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	o.Carry(newConn(c, local, remote(r), o.Limits), carried, o.Serve)
}

// near tells whether a request comes from where a proxy may be.
func near(remote string) bool {
	from, err := netip.ParseAddrPort(remote)
	return err == nil && httpd.Near(from.Addr())
}

func offered(h http.Header) []string {
	var out []string
	for _, line := range h.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}

// remote is where the client is.
func remote(r *http.Request) net.Addr {
	from, _ := httpd.Peer(r)
	if !from.IsValid() {
		return &net.TCPAddr{}
	}
	return net.TCPAddrFromAddrPort(from)
}
