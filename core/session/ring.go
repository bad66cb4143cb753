package session

import (
	"sync"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Item is one stanza for a session.
type Item struct {
	Wire stanza.Wire
	To   jid.JID
	// Msg is the message that a storage.Unacked reference of this session points to; 0: the stanza is kept nowhere.
	Msg storage.MessageID
	// At is when the stanza was to be delivered, for the delay stamp of a later delivery; zero: now.
	At time.Time
}

// entry is an Item in a ring, or an element that is no stanza (raw).
type entry struct {
	wire    stanza.Wire
	raw     []byte
	to      jid.JID
	msg     storage.MessageID
	at      int64 // Unix milliseconds
	size    int32 // what it counts for the bound in bytes
	counted bool  // a stanza that the peer counts (XEP-0198 §4)
	spooled bool  // the bytes are in the store only
	told    bool  // event.C2S.Unseen was told of it
}

// time is when the stanza was to be delivered.
func (e *entry) time() time.Time { return time.UnixMilli(e.at).UTC() }

// appendTo appends what goes out.
func (e *entry) appendTo(dst []byte) []byte {
	switch {
	case e.raw != nil:
		return append(dst, e.raw...)
	case !e.wire.IsZero():
		return e.wire.AppendTo(dst, e.to)
	}
	return dst
}

// overhead is what a queued stanza costs beside its bytes.
const overhead = 96

// ring is the queue of one session: the first sent entries are on their way and not acknowledged, the others are not sent. It is not safe for
// concurrent use.
type ring struct {
	buf   []entry // circular; its length is a power of two
	head  int
	n     int
	sent  int
	bytes int
}

func (r *ring) at(i int) *entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// push appends an entry.
func (r *ring) push(e entry) {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.n++
	*r.at(r.n - 1) = e
	r.bytes += int(e.size)
}

// A ring begins with a small buffer from a pool, then takes a large one: most have a burst now and then and nothing between, when they own none.
const (
	smallRing  = 4
	pooledRing = 64
)

// smallRings and rings are buffers of rings; they hold no content.
var (
	smallRings = sync.Pool{New: func() any { return new([smallRing]entry) }}
	rings      = sync.Pool{New: func() any { return new([pooledRing]entry) }}
)

func (r *ring) grow() {
	var next []entry
	switch len(r.buf) {
	case 0:
		next = smallRings.Get().(*[smallRing]entry)[:]
	case smallRing:
		next = rings.Get().(*[pooledRing]entry)[:]
	default:
		next = make([]entry, 2*len(r.buf))
	}
	for i := range r.n {
		next[i] = *r.at(i)
	}
	r.giveBack()
	r.buf, r.head = next, 0
}

// giveBack returns the buffer to the pool if it is from one.
func (r *ring) giveBack() {
	switch len(r.buf) {
	case smallRing:
		clear(r.buf)
		smallRings.Put((*[smallRing]entry)(r.buf))
	case pooledRing:
		clear(r.buf)
		rings.Put((*[pooledRing]entry)(r.buf))
	}
	r.buf = nil
}

// next returns the first entry that is not sent, nil if there is none.
func (r *ring) next() *entry {
	if r.sent == r.n {
		return nil
	}
	return r.at(r.sent)
}

// advance says that next was sent. What the peer counts stays until it is acknowledged; it reports whether it does.
func (r *ring) advance() bool {
	e := r.at(r.sent)
	if e.counted {
		r.sent++
		return true
	}
	r.bytes -= int(e.size)
	if r.sent == 0 {
		r.drop()
		return false
	}
	*e = entry{} // a hole among what waits for an ack
	r.sent++
	return false
}

// drop removes the first entry.
func (r *ring) drop() {
	*r.at(0) = entry{}
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.sent > 0 {
		r.sent--
	}
	if r.n == 0 {
		r.giveBack()
		r.head = 0
	}
}

// ack removes the first k counted entries and calls gone for each; it returns how many there were. Entries that a connection before this one
// has sent count as well, so it may reach beyond what is marked as sent.
func (r *ring) ack(k uint32, gone func(*entry)) uint32 {
	var found uint32
	for r.n > 0 {
		e := r.at(0)
		if e.counted {
			if found == k {
				break
			}
			found++
			r.bytes -= int(e.size)
			gone(e)
		} else if e.raw != nil || r.sent == 0 {
			break // not sent yet
		}
		r.drop()
	}
	return found
}

// rewind makes everything unsent again and drops what is no stanza: it belonged to the connection.
func (r *ring) rewind() {
	for _, e := range r.take() {
		if e.counted {
			r.push(e)
		}
	}
}

// take empties the ring and returns what was in it.
func (r *ring) take() []entry {
	out := make([]entry, 0, r.n)
	for i := range r.n {
		out = append(out, *r.at(i))
	}
	r.giveBack()
	*r = ring{}
	return out
}
