package xmpptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	ws "github.com/coder/websocket"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/transport/websocket"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// frames is a WebSocket as a connection: what is written is one frame, what comes is read in frames.
type frames struct {
	net.Conn // nil: nothing but what is below is used
	ws       *ws.Conn
	tls      *tls.ConnectionState
}

// Write sends one frame.
func (f *frames) Write(p []byte) (int, error) {
	if err := f.ws.Write(context.Background(), ws.MessageText, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close breaks it off.
func (f *frames) Close() error { return f.ws.CloseNow() }

// web serves WebSocket for a server until the test ends, and returns the address.
func (s *Server) web(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("listen for websocket:", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+websocket.Path, websocket.Handler(websocket.Options{Carry: s.Listeners().Carry, Serve: s.C2S().Serve, Log: s.log}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: patience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tls.NewListener(l, s.certs.Config(tlscert.HTTPS)))
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return l.Addr().String()
}

// DialWebSocket connects by WebSocket over TLS (RFC 7395) and asks for a subprotocol.
func (s *Server) DialWebSocket(t testing.TB, domain, protocol string) (*Conn, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(domain, "http/1.1")}}
	t.Cleanup(client.CloseIdleConnections)
	c, resp, err := ws.Dial(t.Context(), "wss://"+s.web(t)+websocket.Path, &ws.DialOptions{HTTPClient: client, Host: domain, Subprotocols: []string{protocol}}) //nolint:bodyclose // the library's contract
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("%s: %w", resp.Status, err)
		}
		return nil, err
	}
	if c.Subprotocol() != protocol { // RFC 7395 §3.1
		return nil, fmt.Errorf("the server speaks %q", c.Subprotocol())
	}
	c.SetReadLimit(1 << 20)
	out := &Conn{t: t, nc: &frames{ws: c, tls: resp.TLS}, done: make(chan struct{}), wake: make(chan struct{})}
	go out.readFrames(c)
	t.Cleanup(out.Drop)
	return out, nil
}

// readFrames takes what each frame holds: one element, complete and understood without the others (RFC 7395 §3.3.3).
func (c *Conn) readFrames(from *ws.Conn) {
	defer close(c.done)
	for {
		kind, p, err := from.Read(context.Background())
		if err != nil {
			var closed ws.CloseError
			if errors.As(err, &closed) || errors.Is(err, io.EOF) {
				err = errEnd
			}
			c.fail(err)
			return
		}
		f, err := xmlstream.ParseFragment(p)
		switch {
		case err != nil:
		case kind != ws.MessageText:
			err = fmt.Errorf("a frame of kind %v", kind)
		case f.NumChildren() != 1 || !bytes.HasPrefix(p, []byte("<")):
			err = fmt.Errorf("no frame of one element: %s", p)
		case !strings.Contains(string(p[:bytes.IndexByte(p, '>')]), "xmlns"):
			err = fmt.Errorf("a frame without its namespace: %s", p)
		}
		if err != nil {
			c.fail(err)
			return
		}
		c.take(f.At(0).Node())
	}
}

// openFrames opens the stream of a WebSocket (RFC 7395 §3.4).
func (c *Conn) openFrames(domain string) *xmlstream.Node {
	c.t.Helper()
	c.Write("<open xmlns='" + ns.Framing + "' to='" + domain + "' version='1.0'/>")
	c.NextNamed(ns.Framing, "open")
	return c.NextNamed(ns.Stream, "features")
}

// webStream opens a stream by WebSocket and leaves the login to the scenario.
func (p *play) webStream(a *actor, _ string) error {
	c, err := p.server().DialWebSocket(p.t, a.jid.Domain(), "xmpp")
	if err != nil {
		return err
	}
	return p.open(a, c)
}

// webConnect only connects: also how the stream is opened is the scenario's.
func (p *play) webConnect(a *actor, _ string) error {
	c, err := p.server().DialWebSocket(p.t, a.jid.Domain(), "xmpp")
	if err != nil {
		return err
	}
	a.client, a.here = &Client{Conn: c, JID: a.jid, s: p.s, vars: p.vars}, false
	return nil
}

// webRefused expects that a WebSocket for another subprotocol comes to nothing.
func (p *play) webRefused(a *actor, arg string) error {
	c, err := p.server().DialWebSocket(p.t, a.jid.Domain(), arg)
	if err == nil {
		c.Drop()
		return errors.New("it is accepted")
	}
	if !strings.HasPrefix(err.Error(), "400 ") {
		return fmt.Errorf("refused in another way: %w", err)
	}
	return nil
}
