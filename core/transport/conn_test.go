package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/sasl"
)

const (
	startTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
	proceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
)

// upgrade plays a stream machine: it reads up to <starttls/>, then upgrades.
func upgrade(t *testing.T, c *Conn) error {
	pending := -1
	err := c.ReadLoop(t.Context(), func(p []byte) (bool, error) {
		at := bytes.Index(p, []byte(startTLS))
		if at < 0 {
			return true, nil
		}
		pending = len(p) - at - len(startTLS)
		return true, ErrPause
	})
	if err != nil {
		return err
	}
	return c.StartTLS(t.Context(), Server, serverConfig(), []byte(proceed), pending)
}

func TestStartTLS(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		here, there := socketPair(t)
		c := NewConn(here, ConnOptions{})
		done := make(chan error, 1)
		go func() { done <- upgrade(t, c) }()
		send(t, there, []byte(startTLS))
		answer := make([]byte, len(proceed))
		if _, err := io.ReadFull(there, answer); err != nil || string(answer) != proceed {
			t.Fatalf("%s, %v", answer, err)
		}
		client := tls.Client(there, clientConfig(version))
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		pieces, _ := fed(t, c)
		send(t, client, []byte("<stream>"))
		if got := collect(t, pieces, 8); got != "<stream>" {
			t.Fatal(got)
		}
		if err := c.StartTLS(t.Context(), Server, serverConfig(), nil, 0); err == nil {
			t.Error("upgraded twice")
		}
	})
}

// Attack 8: what stands behind <starttls/> in clear is never taken for
// encrypted, and the server does not even proceed.
func TestStartTLSInjection(t *testing.T) {
	auth := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
	long := startTLS + string(bytes.Repeat([]byte(" "), plainSize-len(startTLS))) // fills one read: the rest is in our buffer
	for name, input := range map[string]string{"in one read": startTLS + auth, "in the next read": long + auth} {
		t.Run(name, func(t *testing.T) {
			bubbleless, there := socketPair(t)
			c := NewConn(bubbleless, ConnOptions{})
			send(t, there, []byte(input))
			for c.raw.buffered() < len(input) { // all of it has come
				if err := c.raw.fill(); err != nil {
					t.Fatal(err)
				}
			}
			if err := upgrade(t, c); !errors.Is(err, ErrInjected) {
				t.Fatalf("%v", err)
			}
			c.Abort()
			if answer, _ := io.ReadAll(there); len(answer) != 0 {
				t.Errorf("answered %q", answer)
			}
		})
	}
	t.Run("after the answer", func(t *testing.T) {
		here, there := socketPair(t)
		c := NewConn(here, ConnOptions{})
		done := make(chan error, 1)
		go func() { done <- upgrade(t, c) }()
		send(t, there, []byte(startTLS))
		if _, err := io.ReadFull(there, make([]byte, len(proceed))); err != nil {
			t.Fatal(err)
		}
		send(t, there, []byte(auth))
		if err := <-done; err == nil {
			t.Fatal("clear text passed for a handshake")
		}
	})
}

// Both ends compute the same channel bindings, also with our own client role.
func TestChannelBinding(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		here, there := socketPair(t)
		server, client := NewConn(here, ConnOptions{}), NewConn(there, ConnOptions{})
		if ch := server.Channel(); ch.Secure || ch.Bindings != nil {
			t.Errorf("%+v without TLS", ch)
		}
		done := make(chan error, 1)
		go func() { done <- client.Handshake(t.Context(), Client, clientConfig(version)) }()
		if err := server.Handshake(t.Context(), Server, serverConfig()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for _, typ := range []sasl.BindingType{sasl.TLSExporter, sasl.TLSServerEndPoint} {
			a, ok1 := server.ChannelBinding(typ)
			b, ok2 := client.ChannelBinding(typ)
			if !ok1 || !ok2 || !bytes.Equal(a, b) || len(a) != 32 {
				t.Errorf("%s: %x and %x", typ, a, b)
			}
		}
		if _, ok := server.ChannelBinding(sasl.TLSUnique); ok {
			t.Error("tls-unique")
		}
		state, ok := server.ConnectionState()
		if !ok || state.Version != version || server.Channel().Version != version || !server.Channel().Secure {
			t.Errorf("version %x", state.Version)
		}
		if in, out := server.Counters(); in == 0 || out == 0 {
			t.Error("nothing counted")
		}
		if !server.RemoteIP().IsLoopback() || server.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("%v", server.RemoteAddr())
		}
	})
}

func TestClose(t *testing.T) {
	c, client, _ := tlsPair(t, tls.VersionTLS13, ConnOptions{})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	pieces, _ := fed(t, c)
	send(t, client, []byte("still heard"))
	collect(t, pieces, 11)
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	<-c.Done()
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("written after Close")
	}
	c.Abort()
}

// Close does not wait long for a peer that takes nothing, and Abort cuts it off.
func TestCloseOfStuckPeer(t *testing.T) {
	for name, tt := range map[string]struct {
		abort bool
		want  time.Duration
	}{"close_notify has five seconds": {false, 5 * time.Second}, "Abort cuts them short": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe() // takes nothing unless read
				c, _, _ := handshakePair(t, here, there, tls.VersionTLS13, ConnOptions{})
				start := time.Now()
				done := make(chan struct{})
				go func() { defer close(done); _ = c.Close() }()
				synctest.Wait()
				if tt.abort {
					c.Abort()
				}
				<-done
				if time.Since(start) != tt.want {
					t.Errorf("%v", time.Since(start))
				}
				_ = there.Close()
			})
		})
	}
}

// A write that fails in the middle of a record breaks the connection.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		c, _, _ := handshakePair(t, here, there, tls.VersionTLS13, ConnOptions{WriteTimeout: 7 * time.Second})
		time.Sleep(time.Hour) // an old deadline must not count
		start := time.Now()
		if _, err := c.Write([]byte("x")); err == nil || time.Since(start) != 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-c.Done()
		_ = there.Close()
	})
}

// A dialled connection is its caller's: goroutines that end do not close it.
func TestDial(t *testing.T) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), nl.Addr().String(), ConnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	c.Go(func() { close(ran) })
	<-ran
	if _, err := c.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	_ = nl.Close()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), nl.Addr().String(), ConnOptions{}); err == nil {
		t.Error("dialled a closed port")
	}
}
