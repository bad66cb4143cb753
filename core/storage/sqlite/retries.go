package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"hash/maphash"
	"time"
)

// sum identifies the scope and the key of a storage.Dedupe.
type sum [16]byte

func sumOf(scope string, key [16]byte) (s sum) {
	h := sha256.New()
	h.Write(key[:])
	h.Write([]byte(scope))
	full := h.Sum(nil)
	copy(s[:], full)
	return s
}

// retry is a row of the table dedupe.
type retry struct {
	sum     sum
	n       int64 // of the row; rows are in the order of time
	id      int64
	expires int64 // milliseconds
}

// retries is the index on the table dedupe, in memory: an index on disk would dirty one page in a random place for every message, which costs
// as much as all the rest (docs/adr/0001-storage-schema.md). It takes 11 to 21 bytes for each message of the last 24 hours. It tells in which
// row a key might be; the row itself decides.
//
// It is filled from the table by a goroutine of its own after the start; the first Dedupe waits for that. Afterwards only the writer uses it.
type retries struct {
	seed     maphash.Seed
	segments []*segment // in the order of time
	next     int64      // the number of the next row

	loaded chan struct{}
	failed error // of loading
	cancel context.CancelFunc
}

const (
	segmentKeys = 1 << 18
	segmentSpan = 2 * time.Hour
)

// segment is an open-addressing hash table. A slot holds 32 bits of the key's hash, which also give its place, above the row's number less
// base; 0 is a free one.
type segment struct {
	slots       []uint64
	used        int
	base        int64
	first, last int64 // when the first and the last of its rows expire
}

func newRetries() *retries {
	return &retries{seed: maphash.MakeSeed(), next: 1, loaded: make(chan struct{}), cancel: func() {}}
}

// load starts filling the index.
func (x *retries) load(p *pool, now time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	go func() {
		defer close(x.loaded)
		defer cancel()
		x.failed = p.read(ctx, func(c *conn) error { return x.fill(ctx, c, now.UnixMilli()) })
	}()
}

func (x *retries) fill(ctx context.Context, c *conn, now int64) error {
	x.segments, x.next = nil, 1
	return c.query(ctx, `SELECT n, sum, expires FROM dedupe ORDER BY n`, func(row []driver.Value) error {
		r := retry{n: integer(row[0]), expires: integer(row[2])}
		copy(r.sum[:], blob(row[1]))
		x.next = r.n + 1
		if r.expires > now {
			x.put(&r)
		}
		return nil
	})
}

func (x *retries) stop() {
	x.cancel()
	<-x.loaded
}

// ready waits until the index is filled. If that failed, it is tried again with the writer's connection.
func (x *retries) ready(c *conn, now time.Time) error {
	<-x.loaded
	if x.failed != nil {
		x.failed = x.fill(context.Background(), c, now.UnixMilli())
	}
	return x.failed
}

func (x *retries) hash(s *sum) uint32 { return uint32(maphash.Bytes(x.seed, s[:])) }

// candidates calls check with the number of each row that might have the sum, the newest first, until it says that it has.
func (x *retries) candidates(s *sum, check func(n int64) (bool, error)) error {
	h := x.hash(s)
	for i := len(x.segments) - 1; i >= 0; i-- {
		g := x.segments[i]
		mask := uint32(len(g.slots) - 1)
		for at := h & mask; g.slots[at] != 0; at = (at + 1) & mask {
			if uint32(g.slots[at]>>32) != h {
				continue
			}
			if found, err := check(g.base + int64(uint32(g.slots[at]))); found || err != nil {
				return err
			}
		}
	}
	return nil
}

// add makes committed rows known.
func (x *retries) add(rows []retry) {
	for i := range rows {
		x.put(&rows[i])
		x.next = max(x.next, rows[i].n+1)
	}
}

func (x *retries) put(r *retry) {
	var g *segment
	if n := len(x.segments); n > 0 {
		g = x.segments[n-1]
	}
	if g == nil || g.used >= segmentKeys || r.n <= g.base || r.n-g.base > 1<<31 || r.expires > g.first+segmentSpan.Milliseconds() {
		g = &segment{slots: make([]uint64, 64), base: r.n - 1, first: r.expires}
		x.segments = append(x.segments, g)
	}
	if 4*g.used >= 3*len(g.slots) {
		old := g.slots
		g.slots = make([]uint64, 2*len(old))
		for _, v := range old {
			if v != 0 {
				g.insert(v)
			}
		}
	}
	g.last = max(g.last, r.expires)
	g.insert(uint64(x.hash(&r.sum))<<32 | uint64(r.n-g.base))
	g.used++
}

func (g *segment) insert(slot uint64) {
	mask := uint32(len(g.slots) - 1)
	at := uint32(slot>>32) & mask
	for g.slots[at] != 0 {
		at = (at + 1) & mask
	}
	g.slots[at] = slot
}

// drop forgets the segments of which every row has expired.
func (x *retries) drop(now int64) {
	kept := x.segments[:0]
	for _, g := range x.segments {
		if g.last > now {
			kept = append(kept, g)
		}
	}
	clear(x.segments[len(kept):])
	x.segments = kept
}
