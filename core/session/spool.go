package session

import (
	"context"
	"errors"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// spool keeps the place of a durable message whose bytes do not fit. True: it is the first, which costs the session its connection: a client
// that does not read, or does not acknowledge, comes back when it can. mu is held.
func (s *Session) spool(e entry) bool {
	e.wire, e.spooled, e.size = stanza.Wire{}, true, 0
	s.ring.push(e)
	s.sm.spooled++
	return s.sm.spooled == 1 && s.link != nil
}

// loadBatch bounds how many messages are read from the store at once.
const loadBatch = 32

// load reads the bytes of the next spooled messages, in the session's queue. mu is held.
func (s *Session) load() {
	if s.sm.loading {
		return
	}
	s.sm.loading = true
	s.queue.Post(func() {
		for s.loadSome() {
			continue
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sm.loading = false
		s.wake()
	})
}

// loadSome loads one message at the front of what is to be sent; it returns false when there is nothing more to load for now.
func (s *Session) loadSome() bool {
	s.mu.Lock()
	id, ok := s.nextSpooled()
	s.mu.Unlock()
	if !ok {
		return false
	}
	st, err := s.m.restore(s.m.ctx, s.jid, s.Info().SMID, id)
	switch {
	case errors.Is(err, storage.ErrNotFound): // removed meanwhile: nothing to show any more
	case err != nil:
		s.m.o.Log.Error("session: read kept message", "conn", s.Info().ID, "error", err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.ring.sent; i < s.ring.n; i++ {
		e := s.ring.at(i)
		if !e.spooled || e.msg != id {
			continue
		}
		e.spooled = false
		s.sm.spooled--
		if st == nil {
			*e = entry{} // a hole: it is not counted either
		} else {
			e.wire, e.to = st.Wire(), st.To
			e.size = int32(e.wire.Len() + len(st.To.String()) + overhead)
			s.ring.bytes += int(e.size)
		}
		break
	}
	return true
}

// nextSpooled finds what to load: the spooled entries among the next ones, as long as there is room. mu is held.
func (s *Session) nextSpooled() (storage.MessageID, bool) {
	r := &s.ring
	for i := r.sent; i < min(r.n, r.sent+loadBatch); i++ {
		if e := r.at(i); e.spooled {
			return e.msg, i == r.sent || r.bytes < s.m.limits.Load().QueueBytes
		}
	}
	return 0, false
}

// restore reads one message of a session's Unacked list as it is to be sent again.
func (m *Manager) restore(ctx context.Context, account jid.JID, owner string, id storage.MessageID) (*stanza.Stanza, error) {
	kept, err := m.o.Store.Messages().Get(ctx, storage.Unacked, owner, id)
	if err != nil {
		return nil, err
	}
	return m.o.Restore(ctx, account, kept)
}

// lost says that stanzas of a session that is over never reached its client. Those that are kept are in the offline list already.
func (m *Manager) lost(s *Session, entries []entry) {
	if m.o.Undelivered == nil {
		return
	}
	for i := range entries {
		e := &entries[i]
		if e.wire.IsZero() || e.msg != 0 {
			continue
		}
		st, err := e.wire.Stanza(e.to)
		if err != nil {
			m.o.Log.Error("session: read undelivered stanza", "conn", s.Info().ID, "error", err)
			continue
		}
		m.o.Undelivered(m.ctx, s.jid, delayed(st, e.time(), s.jid.Domain()))
	}
}
