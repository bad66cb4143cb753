package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// chunks is a net.Conn that gives its input in given pieces.
type chunks struct {
	net.Conn
	pieces [][]byte
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *chunks) SetReadDeadline(time.Time) error { return nil }

func record(body int, fill byte) []byte {
	return append([]byte{23, 3, 3, byte(body >> 8), byte(body)}, bytes.Repeat([]byte{fill}, body)...)
}

func newRaw(pieces ...[]byte) *rawConn {
	c := &rawConn{}
	c.init(&chunks{pieces: pieces}, NewBuffers())
	c.records = true
	return c
}

// Each Read stays inside one record, however the bytes arrive and whatever is
// asked for.
func TestRecordReads(t *testing.T) {
	var stream []byte
	var ends []int
	for i, body := range []int{0, 1, 5, 300, 16384, 0, 17000, 2, maxRecord} {
		stream = append(stream, record(body, byte(i))...)
		ends = append(ends, len(stream))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		c := newRaw(cut(stream, rnd, 1+round*150)...)
		readRecords(t, c, stream, ends, func() int { return 1 + rnd.IntN(1+round*200) })
		if round%2 == 0 {
			c.release()
		}
	}
}

func cut(stream []byte, rnd *rand.Rand, most int) [][]byte {
	var pieces [][]byte
	for rest := stream; len(rest) > 0; {
		n := min(len(rest), 1+rnd.IntN(most))
		pieces, rest = append(pieces, rest[:n]), rest[n:]
	}
	return pieces
}

func readRecords(t *testing.T, c *rawConn, stream []byte, ends []int, size func() int) {
	t.Helper()
	at := 0
	for {
		p := make([]byte, size())
		n, err := c.Read(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if !bytes.Equal(p[:n], stream[at:at+n]) {
			t.Fatalf("other bytes at %d", at)
		}
		at += n
		for _, end := range ends {
			if at-n < end && at > end {
				t.Fatalf("a Read of %d bytes to %d goes over the record's end at %d", n, at, end)
			}
		}
	}
	if at != len(stream) {
		t.Fatalf("%d of %d bytes", at, len(stream))
	}
}

// While nobody waits, a record is begun only when all of it is there.
func TestReadWithoutWaiting(t *testing.T) {
	one, two := record(100, 'a'), record(50, 'b')
	c := newRaw(one[:3], one[3:60], append(bytes.Clone(one[60:]), two[:20]...), two[20:])
	c.wait = false
	p := make([]byte, 1000)
	for i, whole := range []bool{false, false, true, true} {
		if n, err := c.Read(p); n != 0 || !errors.Is(err, errAgain) {
			t.Fatalf("piece %d: %d bytes, %v before it came", i, n, err)
		}
		if err := c.fill(); err != nil {
			t.Fatal(err)
		}
		c.release() // must not lose what is held of a record
		if c.whole() != whole {
			t.Fatalf("piece %d: whole is %v", i, c.whole())
		}
		if whole {
			if n, err := c.Read(p[:10]); n != 10 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := c.Read(p); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	if err := c.fill(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if n, err := c.Read(p); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
}

// A record longer than any may be is handed on at once, for crypto/tls to
// refuse: waiting for it would hold as much as its header claims.
func TestOversizeRecord(t *testing.T) {
	c := newRaw([]byte{23, 3, 3, 0xff, 0xff, 1, 2, 3})
	c.wait = false
	if err := c.fill(); err != nil {
		t.Fatal(err)
	}
	if !c.whole() {
		t.Fatal("waits for 65,535 bytes")
	}
	if n, err := c.Read(make([]byte, 100)); n != 8 || err != nil {
		t.Fatal(n, err)
	}
}

// What is kept between reads is what came, not a whole buffer.
func TestReleaseKeepsLittle(t *testing.T) {
	whole := record(9000, 'x')
	c := newRaw(whole[:4000], whole[4000:])
	c.wait = false
	if err := c.fill(); err != nil {
		t.Fatal(err)
	}
	c.release()
	if c.pooled != nil || len(c.data) != 4000 || cap(c.data) > 4096 {
		t.Fatalf("holds %d of %d bytes, pooled %v", len(c.data), cap(c.data), c.pooled != nil)
	}
	if err := c.fill(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(c, make([]byte, len(whole))); n != len(whole) || err != nil {
		t.Fatal(n, err)
	}
	c.release()
	if c.pooled != nil || c.data != nil || c.stash != nil {
		t.Fatal("holds something when all was read")
	}
}

func FuzzRecordReads(f *testing.F) {
	f.Add(append(record(3, 'a'), record(0, 'b')...), uint64(1), uint16(7), uint16(3))
	f.Add([]byte{23, 3, 3, 0xff, 0xff, 1}, uint64(2), uint16(1), uint16(1000))
	f.Add([]byte("<stream:stream xmlns='jabber:client'>"), uint64(3), uint16(9), uint16(9))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, piece, size uint16) {
		var ends []int
		for at := 0; at+recordHeader <= len(stream); {
			at += recordHeader + int(stream[at+3])<<8 + int(stream[at+4])
			ends = append(ends, at)
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		readRecords(t, newRaw(cut(stream, rnd, 1+int(piece))...), stream, ends, func() int { return 1 + rnd.IntN(1+int(size)) })
	})
}
