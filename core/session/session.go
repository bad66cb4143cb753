package session

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// Link is the connection that a session has at the moment. Its methods never block and may be called with locks held.
type Link interface {
	// Wake says that Fill has something to give.
	Wake()
	// End ends the stream: it sends last, a stream error of that condition ("" for a graceful close) and the end. The session is not the
	// link's any more.
	End(last []byte, condition, text string)
}

// Session is one bound resource. Its methods may be called from any goroutine and never block.
type Session struct {
	m     *Manager
	jid   jid.JID
	queue *journal.Queue
	info  atomic.Pointer[event.SessionInfo] // replaced under mu, never changed
	done  chan struct{}                     // closed when it is over and everybody was told

	mu     sync.Mutex
	link   Link // nil: none
	held   bool // nothing is sent until a resumption is answered
	over   bool
	kept   bool // written by a stop of the server: nothing happens to it any more
	ring   ring
	first  []byte // goes out before the ring
	sm     *management
	values map[any]any
}

var _ event.Session = (*Session)(nil)

// JID returns the full JID.
func (s *Session) JID() jid.JID { return s.jid }

// Info implements event.Session.
func (s *Session) Info() event.SessionInfo { return *s.info.Load() }

// Queue implements event.Session.
func (s *Session) Queue() journal.Poster { return s.queue }

// Done is closed when the session is over and everybody was told.
func (s *Session) Done() <-chan struct{} { return s.done }

// change replaces the info; mu is held.
func (s *Session) change(fn func(*event.SessionInfo)) {
	next := *s.info.Load()
	fn(&next)
	s.info.Store(&next)
}

// Send implements event.Session.
func (s *Session) Send(st *stanza.Stanza) { s.push(Item{Wire: st.Wire(), To: st.To}) }

// SendNonza implements event.Session.
func (s *Session) SendNonza(n *xmlstream.Node) { s.sendRaw(xmlstream.AppendNode(nil, n, ns.Client)) }

// sendRaw queues an element of the connection's own. One that does not fit ends the session: a client that asks on without reading would fill the
// memory with answers (attacks row 26).
func (s *Session) sendRaw(raw []byte) {
	s.mu.Lock()
	if s.link == nil { // it belongs to a connection
		s.mu.Unlock()
		return
	}
	e := entry{raw: raw, size: int32(len(raw) + overhead)}
	fits := s.fits(&e)
	if fits {
		s.ring.push(e)
		s.wake()
	}
	s.mu.Unlock()
	if !fits {
		s.m.stats.overflows.Add(1)
		s.m.finish(s, "policy-violation", "Too much is waiting for this client.", overflow)
	}
}

// wake tells the link that there is something to send; mu is held.
func (s *Session) wake() {
	if s.link != nil && !s.held {
		s.link.Wake()
	}
}

// SetFlag implements event.Session.
func (s *Session) SetFlag(f event.Flag, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(func(i *event.SessionInfo) {
		if on {
			i.Flags |= f
		} else {
			i.Flags &^= f
		}
	})
}

// SetPresence implements event.Session.
func (s *Session) SetPresence(st *stanza.Stanza, priority int8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(func(i *event.SessionInfo) { i.Presence, i.Available, i.Priority = st, st != nil, priority })
}

// Value implements event.Session.
func (s *Session) Value(key any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// SetValue implements event.Session.
func (s *Session) SetValue(key, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == nil {
		delete(s.values, key)
		return
	}
	if s.values == nil {
		s.values = map[any]any{}
	}
	s.values[key] = value
}

// Close implements event.Session.
func (s *Session) Close(condition, text string) { s.m.finish(s, condition, text, "closed") }

// push puts an item into the ring. False: the session is over.
func (s *Session) push(it Item) bool {
	one := [1]Item{it}
	return s.pushAll(one[:])
}

// pushAll puts items into the ring, with nothing between them.
func (s *Session) pushAll(items []Item) bool {
	now := s.m.o.Clock.Now()
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	active, unseen := s.sm != nil && s.sm.active, s.unseen()
	spooled, lost := false, false
	for i := range items {
		e := newEntry(&items[i], now, active)
		e.told = unseen
		switch {
		case s.fits(&e):
			s.ring.push(e)
		case active && e.msg != 0 && s.ring.n < s.m.limits.Load().SpoolStanzas:
			spooled = s.spool(e) || spooled
		default: // it is dealt with like the others that do not reach the client
			s.ring.push(e)
			lost = true
		}
	}
	s.wake()
	s.mu.Unlock()
	if unseen && !lost {
		s.tellUnseen(items)
	}
	switch {
	case lost:
		s.m.stats.overflows.Add(1)
		s.m.finish(s, "policy-violation", "Too much is waiting for this client.", overflow)
	case spooled:
		s.m.stats.spools.Add(1)
		s.m.detach(s, nil, "policy-violation", "Too much is waiting for this client; resume when you can take it.")
	}
	return true
}

// overflow is the reason of a session that is ended because its ring is full.
const overflow = "overflow"

func newEntry(it *Item, now time.Time, counted bool) entry {
	at := it.At
	if at.IsZero() {
		at = now
	}
	return entry{
		wire: it.Wire, to: it.To, msg: it.Msg, at: at.UnixMilli(), counted: counted,
		size: int32(it.Wire.Len() + len(it.To.String()) + overhead),
	}
}

// fits tells whether the ring takes e as it is; mu is held. A stanza that is larger than the whole bound is let through alone.
func (s *Session) fits(e *entry) bool {
	l := s.m.limits.Load()
	return s.ring.n == 0 || s.ring.n < l.QueueStanzas && s.ring.bytes+int(e.size) <= l.QueueBytes
}

// Fill appends what is to be sent next on l to dst, up to about full bytes, and tells whether there is more. Only the session's present link is given something.
func (s *Session) Fill(l Link, dst []byte, full int) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l || s.held {
		return dst, false
	}
	if s.first != nil {
		dst = append(dst, s.first...)
		s.first = nil
	}
	if s.sm != nil {
		dst = s.sm.appendAck(dst)
	}
	for len(dst) < full {
		e := s.ring.next()
		if e == nil {
			break
		}
		if e.spooled {
			s.load()
			return dst, false
		}
		dst = e.appendTo(dst)
		if s.ring.advance() {
			s.sm.sending()
		}
	}
	more := s.ring.sent < s.ring.n
	if s.sm != nil {
		dst = s.sm.appendRequest(dst, !more)
	}
	return dst, more
}
