package c2s

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/transport"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
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

// TestUnreadAnswers: a peer that asks on without reading is cut off, before the login and after (attacks rows 3 and 26).
func TestUnreadAnswers(t *testing.T) {
	r := newRig(t, rigOptions{config: Config{BytesPerSecond: 64 << 20, SMQueueBytes: 64 << 10}})
	for name, at := range map[string]func(*testing.T) *peer{
		"in the clear": func(t *testing.T) *peer { p := as(t, r).dial("c2s"); p.open(); p.expect("starttls"); return p },
		"before login": func(t *testing.T) *peer { p := as(t, r).dial("c2s"); p.secure(); return p },
		"bound":        func(t *testing.T) *peer { return as(t, r).login("alice", "") },
	} {
		t.Run(name, func(t *testing.T) {
			p := at(t)
			const most = 64 << 20 // far beyond what the sockets hold
			requests := strings.Repeat("<r xmlns='urn:xmpp:sm:3'/>", 1000)
			_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
			bound := r.sessions.Count() > 0
			for sent := 0; ; sent += len(requests) {
				if bound && r.sessions.Count() == 0 { // it is over; what still comes is thrown away until the goodbye is written or too late
					return
				}
				if _, err := p.conn.Write([]byte(requests)); err != nil {
					var late net.Error
					if errors.As(err, &late) && late.Timeout() {
						t.Fatal("the server neither reads on nor ends the connection")
					}
					return
				}
				if sent > most {
					t.Fatal("the server takes everything")
				}
			}
		})
	}
}

// TestLongLanguage: the language of a stream is stamped on its stanzas; a long one would make large stanzas of small ones (attacks row 2).
func TestLongLanguage(t *testing.T) {
	for lang, stamped := range map[string]bool{"de-CH-1996": true, strings.Repeat("a", 2000): false} {
		r := newRig(t, rigOptions{})
		p := r.dial("c2s")
		p.secure()
		p.scram("alice", password)
		p.expect("<success")
		p.dec = xmlstream.NewDecoder(xmlstream.Maximum)
		p.send(strings.Replace(header, " to=", " xml:lang='"+lang+"' to=", 1))
		p.expect("<stream>")
		p.expect("<bind")
		p.bind("a")
		p.send("<message to='alice@example.org/a' id='m'><body>hi</body></message>")
		if m := p.expect("<message", "id='m'"); strings.Contains(m, "xml:lang='"+lang) != stamped {
			t.Errorf("a language of %d bytes: %.200s", len(lang), m)
		}
	}
}
