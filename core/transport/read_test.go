package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) { f(t, v) })
	}
}

func send(t *testing.T, w io.Writer, p []byte) {
	t.Helper()
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
}

func say(t *testing.T, c *tls.Conn, s string) func() {
	return func() { send(t, c, []byte(s)) }
}

// The second record comes with the first one and the socket is silent after
// that: nobody would wake the reader if crypto/tls or our buffer held it.
func TestTwoRecordsInOneSegment(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, g := tlsPair(t, version, ConnOptions{})
		both := g.hold(func() { say(t, client, "one")(); say(t, client, "two")() })
		pieces, _ := fed(t, c)
		send(t, g, both)
		if got := collect(t, pieces, 6); got != "onetwo" {
			t.Fatal(got)
		}
	})
}

func TestRecordOverSegments(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, g := tlsPair(t, version, ConnOptions{})
		pieces, _ := fed(t, c)
		for _, size := range []int{1, 100, 16384} {
			text := strings.Repeat("x", size)
			bytes := g.hold(say(t, client, text))
			step := max(1, len(bytes)/50)
			for at := 0; at < len(bytes); at += step {
				send(t, g, bytes[at:min(len(bytes), at+step)])
			}
			if got := collect(t, pieces, size); got != text {
				t.Fatalf("%d bytes, want %d", len(got), size)
			}
		}
	})
}

// Half a record and silence: nothing is fed, the connection holds what came and
// no buffer, and goes on when the rest comes.
func TestHalfRecordThenIdle(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, g := tlsPair(t, version, ConnOptions{})
		text := strings.Repeat("x", 8000)
		bytes := g.hold(say(t, client, text))
		ctx, cancel := context.WithCancel(t.Context())
		end := make(chan error, 1)
		pieces := make(chan string, 10)
		feed := func(p []byte) (bool, error) { pieces <- string(p); return true, nil }
		go func() { end <- c.ReadLoop(ctx, feed) }()
		before, _ := c.Counters()
		send(t, g, bytes[:5000])
		for in, _ := c.Counters(); in < before+5000; in, _ = c.Counters() {
			runtime.Gosched()
		}
		cancel()
		if err := <-end; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if len(pieces) != 0 || c.raw.pooled != nil || c.raw.buffered() != 5000 || cap(c.raw.data) > 5000*5/4+64 {
			t.Fatalf("%d pieces, a pooled buffer: %v, %d bytes in %d", len(pieces), c.raw.pooled != nil, c.raw.buffered(), cap(c.raw.data))
		}
		c.deadline.update(func() { c.deadline.interrupted = false })
		go func() { end <- c.ReadLoop(t.Context(), feed) }()
		send(t, g, bytes[5000:])
		if got := collect(t, pieces, len(text)); got != text {
			t.Fatal("other bytes")
		}
		c.Abort()
		<-end
	})
}

// A parked connection holds no buffer: the system call finds nothing to read.
func TestParkedHoldsNothing(t *testing.T) {
	c, client, g := tlsPair(t, tls.VersionTLS13, ConnOptions{})
	if c.raw.sys == nil {
		t.Skip("this system cannot wait without a buffer")
	}
	look := func(want bool) {
		t.Helper()
		err := c.raw.sys.Control(func(fd uintptr) {
			if got := c.raw.tryRead(fd); got != want {
				t.Errorf("read something: %v", got)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look(false)
	if c.raw.pooled != nil || c.raw.data != nil {
		t.Error("holds a buffer after the handshake")
	}
	bytes := g.hold(say(t, client, "text"))
	send(t, g, bytes[:7])
	if err := c.raw.fill(); err != nil {
		t.Fatal(err)
	}
	look(false)
	if c.raw.pooled != nil || len(c.raw.data) != 7 {
		t.Errorf("holds a buffer for %d bytes", len(c.raw.data))
	}
}

// Everything comes through whatever the segments are, in plain text and TLS.
func TestReadLoopRandomSegments(t *testing.T) {
	text := strings.Repeat("All the world's a stage, and all the men and women merely players. ", 5000)
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(7, uint64(version)))
			var c *Conn
			var g *gate
			var out io.Writer
			if version == 0 {
				here, there := socketPair(t)
				c, g = NewConn(here, ConnOptions{}), &gate{Conn: there}
				out = g
			} else {
				c, out, g = tlsPair(t, version, ConnOptions{})
			}
			pieces, end := fed(t, c)
			bytes := g.hold(func() {
				for rest := text; rest != ""; {
					n := min(len(rest), 1+rnd.IntN(40000))
					send(t, out, []byte(rest[:n]))
					rest = rest[n:]
				}
			})
			go func() {
				for _, p := range cut(bytes, rnd, 9000) {
					_, _ = g.Conn.Write(p)
				}
			}()
			if got := collect(t, pieces, len(text)); got != text {
				t.Fatal("other bytes")
			}
			_ = g.Conn.Close()
			if err := <-end; !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		})
	}
}

// Messages of the TLS layer itself are no data and wake nobody up for ever.
func TestTicketsAreNoData(t *testing.T) {
	here, there := socketPair(t)
	cfg := serverConfig()
	cfg.SessionTicketsDisabled = false
	server := tls.Server(there, cfg)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	c := NewConn(here, ConnOptions{})
	client := clientConfig(tls.VersionTLS13)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if err := c.Handshake(t.Context(), Client, client); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	pieces, end := fed(t, c)
	send(t, server, []byte("hello"))
	if got := collect(t, pieces, 5); got != "hello" {
		t.Fatal(got)
	}
	_ = server.Close() // close_notify
	if err := <-end; !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestReadLoopEnds(t *testing.T) {
	broken := errors.New("not well-formed")
	tests := []struct {
		name string
		do   func(c *Conn, client *tls.Conn, g *gate)
		feed error
		want error
	}{
		{"close_notify", func(_ *Conn, client *tls.Conn, _ *gate) { _ = client.Close() }, nil, io.EOF},
		{"the socket's end between records", func(_ *Conn, _ *tls.Conn, g *gate) { _ = g.Conn.Close() }, nil, io.EOF},
		{"the socket's end within a record", func(_ *Conn, _ *tls.Conn, g *gate) {
			_, _ = g.Conn.Write(record(50, 0)[:20])
			_ = g.Conn.Close()
		}, nil, io.ErrUnexpectedEOF},
		{"closed here", func(c *Conn, _ *tls.Conn, _ *gate) { c.Abort() }, nil, ErrClosed},
		{"feed refuses", func(_ *Conn, client *tls.Conn, _ *gate) { _, _ = client.Write([]byte("x")) }, broken, broken},
		{"feed pauses", func(_ *Conn, client *tls.Conn, _ *gate) { _, _ = client.Write([]byte("x")) }, ErrPause, nil},
		{"plain text under TLS", func(_ *Conn, _ *tls.Conn, g *gate) { _, _ = g.Conn.Write([]byte("<message/><message/>")) }, nil, errAny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, client, g := tlsPair(t, tls.VersionTLS13, ConnOptions{})
			end := make(chan error, 1)
			go func() {
				end <- c.ReadLoop(t.Context(), func([]byte) (bool, error) { return true, tt.feed })
			}()
			tt.do(c, client, g)
			err := <-end
			if errors.Is(tt.want, errAny) && err != nil && !errors.Is(err, io.EOF) {
				return
			}
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
		})
	}
}

var errAny = errors.New("any")

// bubble gives a Conn on an in-memory pipe under the clock of synctest.
func bubble(t *testing.T, f func(t *testing.T, c *Conn, peer net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		here, peer := net.Pipe()
		c := NewConn(here, ConnOptions{})
		f(t, c, peer)
		c.Abort()
		_ = peer.Close()
		time.Sleep(2 * time.Second) // of the bubble's clock: drip sees that it is over
	})
}

// drip sends one byte a second until the pipe breaks.
func drip(peer net.Conn, text string) {
	for i := 0; ; i++ {
		if _, err := peer.Write([]byte{text[i%len(text)]}); err != nil {
			return
		}
		time.Sleep(time.Second) // the clock of the bubble
	}
}

// Attacks 3 and 26: a handshake that does not end is ended.
func TestHalfOpenTLS(t *testing.T) {
	hello := "\x16\x03\x01\x40\x00" // a record that never ends
	for name, peer := range map[string]func(net.Conn){
		"silent":          func(net.Conn) {},
		"half a header":   func(p net.Conn) { _, _ = p.Write([]byte(hello[:3])) },
		"a byte a second": func(p net.Conn) { drip(p, hello) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Conn, p net.Conn) {
				start := time.Now()
				go peer(p)
				err := c.Handshake(t.Context(), Server, serverConfig())
				if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != DefaultHandshakeTimeout {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
	t.Run("the server stops", func(t *testing.T) {
		bubble(t, func(t *testing.T, c *Conn, _ net.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := c.Handshake(ctx, Server, serverConfig()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		})
	})
}

func TestDeadlines(t *testing.T) {
	tests := []struct {
		name string
		peer func(net.Conn)
		set  time.Duration // SetReadDeadline
		idle bool          // what feed says
		want error
		at   time.Duration
	}{
		{"an unfinished stanza", func(p net.Conn) { _, _ = p.Write([]byte("<mess")) }, 0, false, ErrStanzaTimeout, DefaultStanzaTimeout},
		{"an unfinished stanza, a byte a second", func(p net.Conn) { drip(p, "x") }, 0, false, ErrStanzaTimeout, DefaultStanzaTimeout},
		{"the caller's deadline, silent", func(net.Conn) {}, 30 * time.Second, true, os.ErrDeadlineExceeded, 30 * time.Second},
		{"the caller's deadline, a byte a second", func(p net.Conn) { drip(p, " ") }, 30 * time.Second, true, os.ErrDeadlineExceeded, 30 * time.Second},
		{"the caller's deadline is the earlier one", func(p net.Conn) { drip(p, "x") }, 30 * time.Second, false, os.ErrDeadlineExceeded, 30 * time.Second},
		{"the stanza's deadline is the earlier one", func(p net.Conn) { drip(p, "x") }, time.Hour, false, ErrStanzaTimeout, DefaultStanzaTimeout},
		{"no deadline", func(p net.Conn) { time.Sleep(24 * time.Hour); _ = p.Close() }, 0, true, io.EOF, 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
				start := time.Now()
				if tt.set > 0 {
					c.SetReadDeadline(start.Add(tt.set))
				}
				go tt.peer(peer)
				err := c.ReadLoop(t.Context(), func([]byte) (bool, error) { return tt.idle, nil })
				if !errors.Is(err, tt.want) || time.Since(start) != tt.at {
					t.Errorf("%v after %v, want %v after %v", err, time.Since(start), tt.want, tt.at)
				}
				if errors.Is(err, ErrStanzaTimeout) != errors.Is(tt.want, ErrStanzaTimeout) {
					t.Errorf("the wrong deadline: %v", err)
				}
			})
		})
	}
}

// A stanza that ends in time ends its deadline too.
func TestStanzaDeadlineEnds(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
		go func() {
			for range 3 {
				_, _ = peer.Write([]byte("<a"))
				time.Sleep(59 * time.Second)
				_, _ = peer.Write([]byte(">"))
				time.Sleep(time.Hour)
			}
			_ = peer.Close()
		}()
		err := c.ReadLoop(t.Context(), func(p []byte) (bool, error) { return p[len(p)-1] == '>', nil })
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

// The rate slows the reader and loses nothing.
func TestRate(t *testing.T) {
	tests := []struct {
		name        string
		rate, burst int
		want        time.Duration // for 100,000 bytes
	}{
		{"none", 0, 0, 0},
		{"all in the burst", 1000, 100_000, 0},
		{"ten thousand a second", 10_000, 20_000, 8 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
				c.SetRate(tt.rate, tt.burst)
				start, total := time.Now(), 0
				go func() {
					_, _ = peer.Write(make([]byte, 100_000))
					_ = peer.Close()
				}()
				err := c.ReadLoop(t.Context(), func(p []byte) (bool, error) { total += len(p); return true, nil })
				if !errors.Is(err, io.EOF) || total != 100_000 || time.Since(start).Round(time.Millisecond) != tt.want {
					t.Errorf("%d bytes in %v, %v", total, time.Since(start), err)
				}
			})
		})
	}
	for name, end := range map[string]func(c *Conn, cancel func()){
		"closed while it waits":   func(c *Conn, _ func()) { c.Abort() },
		"ctx ends while it waits": func(_ *Conn, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
				c.SetRate(1, 1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _, _ = peer.Write(make([]byte, 10_000)) }()
				done := make(chan error)
				go func() { done <- c.ReadLoop(ctx, func([]byte) (bool, error) { return true, nil }) }()
				synctest.Wait()
				end(c, cancel)
				if err := <-done; err == nil || errors.Is(err, io.EOF) {
					t.Error(err)
				}
			})
		})
	}
}

// WaitReadable and Read without a loop, as a small tool uses them.
func TestWaitReadable(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, _ := tlsPair(t, version, ConnOptions{})
		go func() { _, _ = client.Write([]byte("0123456789")) }()
		var got []byte
		for len(got) < 10 {
			if err := c.WaitReadable(t.Context()); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 3) // crypto/tls keeps the rest of the record
			n, err := c.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p[:n]...)
		}
		if string(got) != "0123456789" {
			t.Fatalf("%s", got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := fmt.Errorf("the server stops")
		cancel(why)
		if err := c.WaitReadable(ctx); !errors.Is(err, why) {
			t.Fatal(err)
		}
	})
}
