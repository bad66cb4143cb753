package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ring is a Source of a test, without a bound.
type ring struct {
	mu    sync.Mutex
	data  []byte
	fills []int
	panic bool
}

func (r *ring) push(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, p...)
}

func (r *ring) Fill(dst []byte) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.panic {
		panic("a fault of the ring")
	}
	n := min(len(r.data), cap(dst)-len(dst))
	dst = append(dst, r.data[:n]...)
	r.data = append(r.data[:0], r.data[n:]...)
	r.fills = append(r.fills, n)
	return dst, len(r.data) > 0
}

func (r *ring) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.data)
}

// countRecords counts the TLS records that come.
type countRecords struct {
	net.Conn
	parse rawConn
	n     int
}

func (c *countRecords) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.parse.records, c.parse.data, c.parse.r, c.parse.w = true, p[:n], 0, n
	for sink := make([]byte, n); c.parse.buffered() > 0; {
		c.parse.take(sink)
		if c.parse.header == 0 {
			c.n++
		}
	}
	return n, err
}

// What has gathered goes out in records as big as they can be.
func TestWriterMergesIntoRecords(t *testing.T) {
	here, there := socketPair(t)
	counting := &countRecords{Conn: there}
	c, client, _ := handshakePair(t, here, counting, tls.VersionTLS13, ConnOptions{})
	counting.n = 0
	r := &ring{}
	for range 1000 { // 40,000 bytes in 1,000 stanzas
		r.push([]byte(strings.Repeat("s", 40)))
	}
	w := NewWriter(c, r, nil)
	w.Wake()
	if _, err := io.ReadFull(client, make([]byte, 40_000)); err != nil {
		t.Fatal(err)
	}
	if counting.n != 3 {
		t.Errorf("%d records for 40,000 bytes, want 3", counting.n)
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// Many wake it at once: nothing is lost, nothing twice, in order, and one
// goroutine at most writes.
func TestWriterManyWakers(t *testing.T) {
	c, client, _ := tlsPair(t, tls.VersionTLS13, ConnOptions{})
	r := &ring{}
	w := NewWriter(c, r, nil)
	const wakers, each = 8, 2000
	var group sync.WaitGroup
	for i := range wakers {
		group.Add(1)
		go func() {
			defer group.Done()
			for range each {
				r.push([]byte{byte('a' + i)})
				w.Wake()
			}
		}()
	}
	got := make([]byte, wakers*each)
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	for i := range wakers {
		if n := strings.Count(string(got), string(rune('a'+i))); n != each {
			t.Errorf("%d of %d from waker %d", n, each, i)
		}
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if s := w.state.Load(); s&writing != 0 {
		t.Errorf("state %b", s)
	}
}

// The goroutine exists only while there is something to write.
func TestWriterRests(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
		r := &ring{}
		w := NewWriter(c, r, nil)
		for _, text := range []string{"one", "two"} {
			r.push([]byte(text))
			w.Wake()
			synctest.Wait()
			if w.state.Load()&writing == 0 {
				t.Error("does not write")
			}
			if _, err := io.ReadFull(peer, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := w.state.Load(); s != 0 {
				t.Errorf("state %b with nothing to write", s)
			}
		}
		select {
		case <-c.Done():
			t.Error("the connection was closed with the writer")
		default:
		}
	})
}

func TestWriterStop(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, peer net.Conn) {
		r := &ring{}
		w := NewWriter(c, r, nil)
		r.push([]byte(strings.Repeat("x", 50_000))) // nobody has woken it
		read := make(chan int)
		go func() {
			n, _ := io.ReadFull(peer, make([]byte, 50_000))
			read <- n
		}()
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := <-read; n != 50_000 || r.left() != 0 {
			t.Errorf("%d bytes written, %d left", n, r.left())
		}
		r.push([]byte("too late"))
		w.Wake()
		synctest.Wait()
		if r.left() != 8 {
			t.Error("wrote after Stop")
		}
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Attack 26: a peer that does not read breaks the connection at the deadline,
// and Stop does not wait longer than its context.
func TestWriterSlowPeer(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, _ net.Conn) {
		r := &ring{}
		start := time.Now()
		failed := make(chan error, 2)
		w := NewWriter(c, r, func(err error) { failed <- err })
		r.push([]byte("x"))
		w.Wake()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != DefaultWriteTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-c.Done()
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if len(failed) != 0 {
			t.Error("told twice")
		}
	})
}

// A panic in the source ends the connection, and Stop does not hang.
func TestWriterPanic(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, _ net.Conn) {
		w := NewWriter(c, &ring{panic: true}, nil)
		w.Wake()
		<-c.Done()
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A wake-up for a connection that has ended starts nothing.
func TestWriterOfEndedConn(t *testing.T) {
	bubble(t, func(t *testing.T, c *Conn, _ net.Conn) {
		r := &ring{}
		w := NewWriter(c, r, nil)
		c.leave() // as Listeners do after Serve
		<-c.Done()
		r.push([]byte("x"))
		w.Wake()
		if err := w.Stop(t.Context()); err != nil || r.left() != 1 {
			t.Errorf("%v, %d left", err, r.left())
		}
	})
}
