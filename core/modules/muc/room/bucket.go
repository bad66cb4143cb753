package room

import (
	"maps"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
)

// Bucket bounds how often something is done: so many times at once, and one more for each time that passes. The zero value is full.
type Bucket struct {
	used float64
	at   time.Time
}

// Rate is the size of a bucket and the time in which one place of it becomes free. A negative Size is without bound.
type Rate struct {
	Size  int
	Every time.Duration
}

// Take takes one place; false if there is none.
func (b *Bucket) Take(r Rate, now time.Time) bool {
	if r.Size < 0 {
		return true
	}
	b.settle(r, now)
	if b.used+1 > float64(r.Size) {
		return false
	}
	b.used++
	return true
}

// Wait is how long it takes until a place is free.
func (b *Bucket) Wait(r Rate, now time.Time) time.Duration {
	b.settle(r, now)
	short := b.used + 1 - float64(r.Size)
	if r.Size < 0 || short <= 0 {
		return 0
	}
	return time.Duration(short * float64(r.Every))
}

// Unused tells whether all places are free.
func (b *Bucket) Unused(r Rate, now time.Time) bool {
	b.settle(r, now)
	return b.used == 0
}

func (b *Bucket) settle(r Rate, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 && r.Every > 0 && !b.at.IsZero() {
		b.used = max(0, b.used-float64(passed)/float64(r.Every))
	}
	b.at = now
}

// Buckets are the buckets of many people. Those that are full again are forgotten when their number has doubled. The zero value is empty.
type Buckets struct {
	by   map[jid.JID]*Bucket
	most int
}

// Take takes a place in somebody's bucket and returns 0, or how long it takes until there is one.
func (s *Buckets) Take(who jid.JID, r Rate, now time.Time) (wait time.Duration) {
	b := s.by[who]
	if b == nil {
		if len(s.by) >= max(s.most, 256) {
			maps.DeleteFunc(s.by, func(_ jid.JID, b *Bucket) bool { return b.Unused(r, now) })
			s.most = 2 * len(s.by)
		}
		if s.by == nil {
			s.by = map[jid.JID]*Bucket{}
		}
		b = &Bucket{}
		s.by[who] = b
	}
	if b.Take(r, now) {
		return 0
	}
	return max(b.Wait(r, now), 1)
}

// Len is of how many people something is remembered.
func (s *Buckets) Len() int { return len(s.by) }
