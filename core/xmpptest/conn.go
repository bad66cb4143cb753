package xmpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/server"
	"github.com/viaduct-xmpp/viaduct/core/tlscert"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// patience is after how long a test that waits for something fails. Nothing is measured by it.
const patience = 20 * time.Second

// errEnd is what a stream that the server has closed in good order ends with.
var errEnd = errors.New("the stream was closed")

// Conn is one TCP or TLS connection with an XMPP stream on it.
type Conn struct {
	t    testing.TB
	nc   net.Conn
	dec  *xmlstream.Decoder
	done chan struct{} // the reader has ended

	mu     sync.Mutex
	in     []*xmlstream.Node
	err    error
	wake   chan struct{} // closed and replaced when something has come
	filter func(*xmlstream.Node) bool
}

// Dial connects with TLS from the first byte (XEP-0368).
func (s *Server) Dial(t testing.TB, domain string) *Conn {
	t.Helper()
	nc, err := s.dialTLS(t, domain, tlscert.ALPNClient)
	if err != nil {
		t.Fatal("connect:", err)
	}
	return newConn(t, nc)
}

// dialTLS connects to the port of direct TLS for a protocol (RFC 7301).
func (s *Server) dialTLS(t testing.TB, domain, protocol string) (net.Conn, error) {
	t.Helper()
	d := tls.Dialer{Config: s.TLS(domain, protocol)}
	return d.DialContext(context.Background(), "tcp", s.addr(t, server.KeyC2SDirect))
}

// DialPlain connects to the port of STARTTLS.
func (s *Server) DialPlain(t testing.TB) *Conn {
	t.Helper()
	var d net.Dialer
	nc, err := d.DialContext(context.Background(), "tcp", s.addr(t, server.KeyC2S))
	if err != nil {
		t.Fatal("connect:", err)
	}
	return newConn(t, nc)
}

func newConn(t testing.TB, nc net.Conn) *Conn {
	c := &Conn{t: t, nc: nc, dec: xmlstream.NewDecoder(xmlstream.C2S), done: make(chan struct{}), wake: make(chan struct{})}
	go c.read()
	t.Cleanup(c.Drop)
	return c
}

// Drop breaks the connection without a word.
func (c *Conn) Drop() {
	_ = c.nc.Close()
	<-c.done
}

// Write sends bytes as they are.
func (c *Conn) Write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatalf("send %s: %v", s, err)
	}
}

// TryWrite is Write for other goroutines than the test's: it returns its error.
func (c *Conn) TryWrite(s string) (int, error) { return io.WriteString(c.nc, s) }

// Open sends a stream header and waits for the server's, and for its features.
func (c *Conn) Open(domain string) *xmlstream.Node {
	c.t.Helper()
	if _, ok := c.nc.(*frames); ok {
		return c.openFrames(domain)
	}
	c.Write("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "' version='1.0'>")
	return c.NextNamed(ns.Stream, "features")
}

func (c *Conn) read() {
	defer close(c.done)
	buf := make([]byte, 16<<10)
	for {
		n, err := c.nc.Read(buf)
		if n > 0 {
			_, _ = c.dec.Write(buf[:n])
			if derr := c.decode(); derr != nil {
				err = derr
			}
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *Conn) decode() error {
	for {
		kind, err := c.dec.Next()
		if err != nil {
			return err
		}
		switch kind {
		case xmlstream.NeedMore:
			return nil
		case xmlstream.StreamStart: // the features follow
		case xmlstream.StanzaElement:
			var el xmlstream.Element
			c.dec.Element(&el)
			n := el.Node().Clone()
			c.take(n)
			// RFC 6120 §6.4.6, §5.4.3.3: a new stream begins behind these.
			if n.Name == (xmlstream.Name{Space: ns.SASL, Local: "success"}) {
				c.dec.Reset()
			}
		case xmlstream.StreamEnd:
			return errEnd
		}
	}
}

func (c *Conn) take(n *xmlstream.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filter != nil && c.filter(n) {
		return
	}
	c.in = append(c.in, n)
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	close(c.wake)
	c.wake = make(chan struct{})
}

// poll returns the next element, or the error that the stream ended with, or neither and what to wait for.
func (c *Conn) poll() (*xmlstream.Node, chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) > 0 {
		n := c.in[0]
		c.in = c.in[1:]
		return n, nil, nil
	}
	return nil, c.wake, c.err
}

// next waits for the next element.
func (c *Conn) next() (*xmlstream.Node, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		n, wake, err := c.poll()
		if n != nil || err != nil {
			return n, err
		}
		select {
		case <-wake:
		case <-timer.C:
			return nil, fmt.Errorf("nothing came in %s", patience)
		}
	}
}

// Next returns the next element.
func (c *Conn) Next() *xmlstream.Node {
	c.t.Helper()
	n, err := c.next()
	if err != nil {
		c.t.Fatal("receive:", err)
	}
	return n
}

// NextNamed returns the next element, which must have the name.
func (c *Conn) NextNamed(space, local string) *xmlstream.Node {
	c.t.Helper()
	n, err := c.next()
	if err != nil {
		c.t.Fatalf("receive <%s/>: %v", local, err)
	}
	if n.Name.Space != space || n.Name.Local != local {
		c.t.Fatalf("received %s instead of <%s xmlns='%s'/>", n, local, space)
	}
	return n
}

// Closed waits until the server has ended the stream, and returns what came before.
func (c *Conn) Closed() []*xmlstream.Node {
	c.t.Helper()
	var last []*xmlstream.Node
	for {
		n, err := c.next()
		if err != nil {
			if strings.HasPrefix(err.Error(), "nothing came") {
				c.t.Fatal("the stream is still open")
			}
			return last
		}
		last = append(last, n)
	}
}

// ClosedOr is Closed, but content with n elements.
func (c *Conn) ClosedOr(n int) []*xmlstream.Node {
	c.t.Helper()
	var last []*xmlstream.Node
	for len(last) < n {
		el, err := c.next()
		if err != nil {
			break
		}
		last = append(last, el)
	}
	return last
}
