package c2s

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/transport"
)

// TestHalfStreams: connections that are begun and given up leave nothing behind (attacks row 3).
func TestHalfStreams(t *testing.T) {
	n := 20000
	if testing.Short() {
		n = 2000
	}
	r := newRig(t, rigOptions{pipe: true})
	beginnings := []string{"", "<?xml", header, header + "<iq type='get' id='1'><query xmlns='jabber:iq:register'>", header + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"}
	half := func(i int) {
		ours, theirs := net.Pipe()
		c := r.server.admit(context.Background(), transport.NewConn(theirs, transport.ConnOptions{}))
		over := c.ctx.Done()
		c.conn.Go(func() { c.run(c.ctx, stageTLS) })
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_, _ = ours.Write([]byte(beginnings[i%len(beginnings)]))
		_ = ours.Close()
		<-over
	}
	for i := range 200 {
		half(i)
	}
	goroutines, heap := runtime.NumGoroutine(), memory()
	for i := range n {
		half(i)
	}
	r.server.mu.Lock()
	left := len(r.server.clients)
	r.server.mu.Unlock()
	if left > 1 { // the last one may still be leaving
		t.Errorf("%d of %d connections are left", left, n)
	}
	if grown := runtime.NumGoroutine() - goroutines; grown > 10 {
		t.Errorf("%d goroutines are left", grown)
	}
	if grown := memory() - heap; grown > 4<<20 {
		t.Errorf("%d bytes are left", grown)
	}
}
