package session

import (
	"context"
	"errors"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// remember is how long the h of a session that is over is known, so that a client that comes back late does not send everything again.
const remember = 24 * time.Hour

// finish ends a session for good: nothing is pushed to it any more, its connection is closed with condition, what its client has not
// acknowledged goes to the account's offline list, and then the server is told. It does not wait; s.done is closed at the end.
func (m *Manager) finish(s *Session, condition, text, reason string) {
	s.mu.Lock()
	if s.over || s.kept {
		s.mu.Unlock()
		return
	}
	s.over = true
	l := s.link
	s.link = nil
	var last []byte
	if l != nil && reason != overflow {
		last = s.lastWords()
	}
	entries := s.ring.take()
	if s.sm != nil {
		s.stopTimer()
		for _, c := range s.sm.caught {
			close(c)
		}
		s.sm.caught = nil
	}
	u := s.lastUnit()
	info := s.Info()
	s.mu.Unlock()

	m.remove(s)
	m.stats.ended.Add(1)
	if l != nil {
		l.End(last, condition, text)
	}
	u.After(s.queue, func(err error) {
		if err != nil && !errors.Is(err, journal.ErrStopped) {
			m.o.Log.Error("session: end session", "conn", info.ID, "error", err)
		}
		defer m.ending.Done()
		defer close(s.done)
		defer m.table.gone(s)
		_ = m.o.Events.C2S.Closed.Fire(m.ctx, &event.SessionClosed{Session: s, Info: info, Reason: reason})
		m.lost(s, entries)
	})
	m.o.Journal.Submit(u)
}

// lastWordsBytes bounds what is still sent to a client whose session is ended.
const lastWordsBytes = 64 << 10

// lastWords serialises what is not sent yet: the answer to the request that ended the session, for one. What the peer does not count is then
// as good as sent. mu is held.
func (s *Session) lastWords() []byte {
	var out []byte
	if !s.held {
		out = s.first
	}
	for i := 0; len(out) < lastWordsBytes && !s.held; i++ {
		e := s.ring.next()
		if e == nil || e.spooled {
			break
		}
		out = e.appendTo(out)
		if s.ring.advance() {
			s.sm.sending()
		}
	}
	return out
}

// lastUnit returns what is written when a session is over; mu is held.
func (s *Session) lastUnit() *journal.Unit {
	bare := s.jid.Bare().String()
	u := journal.NewUnit(journal.AccountLane(bare))
	sm := s.sm
	if sm == nil {
		return u
	}
	for _, id := range sm.forget {
		u.Add(storage.DeleteRef{Kind: storage.Unacked, Owner: sm.id, ID: id})
	}
	sm.forget = nil
	u.Add(
		storage.MoveRefs{Kind: storage.Unacked, Owner: sm.id, ToKind: storage.Offline, ToOwner: bare},
		storage.PutSession{Session: storage.Session{ID: sm.id, JID: s.jid.String(), Node: s.m.o.Node, HIn: later(sm.in.low, sm.carried),
			HOut: sm.acked, Expires: s.m.o.Clock.Now().Add(remember)}},
	)
	return u
}

// End says that the client has closed its stream on l: the session is over, also with stream management (XEP-0198 §7).
func (s *Session) End(l Link) {
	s.mu.Lock()
	mine := s.link == l
	s.mu.Unlock()
	if mine {
		s.m.finish(s, "", "", "closed by the client")
	}
}

// wait waits until a session that is being finished is over.
func (s *Session) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
