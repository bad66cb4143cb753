package transport

import (
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// rawConn is the socket. Under TLS it is the net.Conn that crypto/tls reads
// from, and hands over at most the rest of one record per Read. Only its reader
// touches its fields; the counters are for everybody.
type rawConn struct {
	nc   net.Conn
	sys  syscall.RawConn // nil when the socket cannot be waited for, see fill
	bufs *Buffers

	// data[r:w] was read and not handed over. data is *pooled while a pooled
	// buffer is held, else a slice that is as small as what is left, or nil.
	data   []byte
	pooled *[rawSize]byte
	stash  []byte // kept for reuse while a record arrives in pieces
	r, w   int

	records bool  // hand over by TLS records
	wait    bool  // a Read without data waits; else it fails with errAgain
	left    int   // of the current record's body
	header  uint8 // bytes of the current record's header handed over
	length  [recordHeader]byte

	err    error             // after which nothing more comes
	leaf   *x509.Certificate // the one we served
	try    func(fd uintptr) bool
	tryN   int
	tryErr error

	writeTimeout time.Duration // of each write; 0: none
	writeLimit   time.Time     // set by crypto/tls, or for a handshake

	in, out atomic.Int64
}

func (c *rawConn) init(nc net.Conn, bufs *Buffers) {
	c.nc, c.bufs, c.wait = nc, bufs, true
	if sc, ok := nc.(syscall.Conn); ok && canWait {
		if sys, err := sc.SyscallConn(); err == nil {
			c.sys, c.try = sys, c.tryRead
		}
	}
}

// errAgain is a net.Error that crypto/tls takes for a passing one: it keeps its
// state and can be asked again.
type againError struct{}

func (againError) Error() string   { return "transport: nothing to read yet" }
func (againError) Timeout() bool   { return true }
func (againError) Temporary() bool { return true }

var errAgain net.Error = againError{}

func (c *rawConn) buffered() int { return c.w - c.r }

// whole reports whether Read would give a whole record, or under plain text
// anything at all, without waiting.
func (c *rawConn) whole() bool {
	n := c.buffered()
	if !c.records {
		return n > 0
	}
	if n < recordHeader {
		return false
	}
	body := int(c.data[c.r+3])<<8 | int(c.data[c.r+4])
	return body > maxRecord || n >= recordHeader+body // crypto/tls refuses what is too long by its header
}

// readable reports whether Read may hand bytes over now. While nobody waits a
// record is begun only when it is there to its end.
func (c *rawConn) readable() bool {
	if c.buffered() == 0 {
		return false
	}
	return !c.records || c.wait || c.header > 0 || c.err != nil || c.whole()
}

// Read implements net.Conn.
func (c *rawConn) Read(p []byte) (int, error) {
	for !c.readable() {
		switch {
		case c.err != nil:
			return 0, c.err
		case !c.wait:
			return 0, errAgain
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	return c.take(p), nil
}

// take copies what is buffered, under TLS up to the end of the current record.
func (c *rawConn) take(p []byte) int {
	if !c.records {
		n := copy(p, c.data[c.r:c.w])
		c.r += n
		return n
	}
	total := 0
	for total < len(p) && c.buffered() > 0 {
		want := c.left
		if c.header < recordHeader {
			want = recordHeader - int(c.header)
		}
		n := copy(p[total:], c.data[c.r:min(c.w, c.r+want)])
		c.r += n
		if c.header < recordHeader {
			copy(c.length[c.header:], p[total:total+n])
			c.header += uint8(n)
			if c.header == recordHeader {
				c.left = int(c.length[3])<<8 | int(c.length[4])
			}
		} else {
			c.left -= n
		}
		total += n
		if c.header == recordHeader && c.left == 0 {
			c.header = 0
			break
		}
	}
	return total
}

// fill waits until there are more bytes, or the end. The end is remembered;
// a deadline is not, it can be moved.
func (c *rawConn) fill() error {
	if c.err != nil {
		return c.err
	}
	n, err := c.fillOnce()
	c.w += n
	c.in.Add(int64(n))
	if err == nil || n > 0 {
		return nil
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.err = err
	}
	return err
}

func (c *rawConn) fillOnce() (int, error) {
	if c.sys == nil { // a pipe of a test, or a system without tryRead
		c.hold()
		return c.nc.Read(c.data[c.w:])
	}
	c.tryN, c.tryErr = 0, nil
	if err := c.sys.Read(c.try); err != nil {
		c.release()
		return 0, err
	}
	if c.tryN == 0 && c.tryErr == nil {
		return 0, io.EOF
	}
	return c.tryN, c.tryErr
}

// hold takes a pooled buffer with room behind w.
func (c *rawConn) hold() {
	if c.pooled == nil {
		c.pooled = c.bufs.raw.Get().(*[rawSize]byte)
		c.w = copy(c.pooled[:], c.data[c.r:c.w])
		c.r, c.data = 0, c.pooled[:]
		return
	}
	if c.r > 0 {
		c.w = copy(c.data, c.data[c.r:c.w])
		c.r = 0
	}
}

// release gives the pooled buffer back and keeps what is left in a slice that
// is no bigger than needed.
func (c *rawConn) release() {
	if c.pooled == nil {
		return
	}
	rest := c.data[c.r:c.w]
	if len(rest) == 0 {
		c.stash = nil
	} else {
		c.stash = append(c.stash[:0], rest...)
	}
	c.bufs.raw.Put(c.pooled)
	c.pooled, c.data, c.r, c.w = nil, c.stash, 0, len(c.stash)
}

// Write implements net.Conn. It sets the deadline itself, because crypto/tls
// writes by its own will as well: alerts, answers to a key update.
func (c *rawConn) Write(p []byte) (int, error) {
	limit := c.writeLimit
	if c.writeTimeout > 0 {
		if t := time.Now().Add(c.writeTimeout); limit.IsZero() || t.Before(limit) {
			limit = t
		}
	}
	if !limit.IsZero() {
		_ = c.nc.SetWriteDeadline(limit)
	}
	n, err := c.nc.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// ServedLeaf implements tlscert.Recorder.
func (c *rawConn) ServedLeaf(leaf *x509.Certificate) { c.leaf = leaf }

// SetWriteDeadline implements net.Conn. crypto/tls calls it under the lock that
// also guards its writes, and a handshake before there are others.
func (c *rawConn) SetWriteDeadline(t time.Time) error {
	c.writeLimit = t
	return c.nc.SetWriteDeadline(t)
}

// The rest of net.Conn.
func (c *rawConn) Close() error                      { return c.nc.Close() }
func (c *rawConn) LocalAddr() net.Addr               { return c.nc.LocalAddr() }
func (c *rawConn) RemoteAddr() net.Addr              { return c.nc.RemoteAddr() }
func (c *rawConn) SetDeadline(t time.Time) error     { return c.nc.SetDeadline(t) }
func (c *rawConn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }
