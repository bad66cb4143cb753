package session

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/payload/delay"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// ResumeRequest is a client's <resume/> (XEP-0198 §5) after it has authenticated as Account.
type ResumeRequest struct {
	Account jid.JID // bare
	Token   string  // previd
	H       uint32
	Link    Link
	ID      string // connection id of the new connection
}

// NotResumedError says that a session cannot be resumed. H is what is known of it, if HasH: the client sends again only what is above it.
type NotResumedError struct {
	Condition stanza.Condition
	H         uint32
	HasH      bool
}

func (e *NotResumedError) Error() string { return "session: not resumed: " + string(e.Condition) }

// Node returns <failed/>.
func (e *NotResumedError) Node() *xmlstream.Node {
	n := xmlstream.NewNode(ns.SM, "failed").Add(xmlstream.NewNode(ns.Stanzas, string(e.Condition)))
	if e.HasH {
		n.SetAttr("h", strconv.FormatUint(uint64(e.H), 10))
	}
	return n
}

// Resume gives a session to a new connection. What its client has not acknowledged is sent again behind <resumed/>. It waits until what the
// old connection has brought is durable. The error is a *NotResumedError, or one that ends the stream: an *AckTooHighError or ErrStopping.
func (m *Manager) Resume(ctx context.Context, r ResumeRequest) (*Session, error) {
	if m.stopping.Load() {
		return nil, ErrStopping
	}
	id := HashSMID(r.Token)
	s := m.bySMID(id)
	if s == nil || s.jid.Bare() != r.Account.Bare() { // somebody else's is as good as none
		m.stats.notResumed.Add(1)
		return nil, m.formerly(ctx, id, r.Account)
	}
	s.mu.Lock()
	if s.over || s.kept || s.sm == nil || !s.sm.active {
		s.mu.Unlock()
		m.stats.notResumed.Add(1)
		return nil, m.formerly(ctx, id, r.Account)
	}
	if err := s.ack(r.H); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	old := s.link
	s.link, s.held = r.Link, true // from now on the old connection's reader is refused by Begin
	s.stopTimer()
	s.mu.Unlock()
	if old != nil {
		old.End(nil, "conflict", "The session was resumed on another connection.") // XEP-0198 §5
	}
	s.settle(ctx, m.limits.Load().SettleTime)
	return s, s.attach(r)
}

// formerly answers for a session that is not there any more: after a crash, or after its time.
func (m *Manager) formerly(ctx context.Context, id string, account jid.JID) error {
	e := &NotResumedError{Condition: stanza.ItemNotFound}
	row, err := m.o.Store.Sessions().Get(ctx, id)
	if err != nil {
		if !errors.Is(err, storage.ErrNotFound) {
			m.o.Log.Error("session: read former session", "error", err)
		}
		return e
	}
	if full, err := jid.Parse(row.JID); err == nil && full.Bare() == account.Bare() {
		e.H, e.HasH = row.HIn, true
	}
	return e
}

// settle waits until everything that the client has sent is handled and stored, but no longer than limit.
func (s *Session) settle(ctx context.Context, limit time.Duration) {
	s.mu.Lock()
	if s.sm == nil || s.sm.stored == s.sm.seen {
		s.mu.Unlock()
		return
	}
	caught, late := make(chan struct{}), make(chan struct{})
	s.sm.caught = append(s.sm.caught, caught)
	s.await()
	s.mu.Unlock()
	timer := s.m.o.Clock.AfterFunc(limit, func() { close(late) })
	defer timer.Stop()
	select {
	case <-caught:
	case <-late:
		s.m.o.Log.Warn("session: stanzas are still being handled", "conn", s.Info().ID)
	case <-ctx.Done():
	}
}

// attach starts the new connection of a resumed session.
func (s *Session) attach(r ResumeRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.link != r.Link { // ended, or resumed once more meanwhile
		return &NotResumedError{Condition: stanza.ItemNotFound}
	}
	sm := s.sm
	if sm.stored != sm.seen { // what is not handled by now is sent again by the client
		sm.epoch++
		sm.seen, sm.in, sm.carried, sm.lastAsync = sm.stored, window{low: sm.stored}, sm.stored, sm.stored
	}
	sm.want, sm.ackDue, sm.requested = false, false, false
	s.rewind()
	s.stampLate()
	n := xmlstream.NewNode(ns.SM, "resumed", "previd", r.Token, "h", strconv.FormatUint(uint64(sm.stored), 10))
	s.first = xmlstream.AppendNode(nil, n, ns.Client)
	s.change(func(i *event.SessionInfo) { i.ID, i.Detached = r.ID, false })
	s.held = false
	s.m.stats.resumed.Add(1)
	s.wake()
	return nil
}

// rewind makes what is not acknowledged unsent; mu is held.
func (s *Session) rewind() {
	s.ring.rewind()
	s.first = nil
	s.sm.resent, s.sm.sentAtR = s.sm.acked, s.sm.acked
}

// stampLate puts the time on messages that are sent later than they were to be (XEP-0198 §4, XEP-0203). mu is held.
func (s *Session) stampLate() {
	for i := range s.ring.n {
		e := s.ring.at(i)
		if e.wire.Kind != stanza.Message {
			continue
		}
		st, err := e.wire.Stanza(e.to)
		if err != nil {
			continue
		}
		if late := delayed(st, e.time(), s.jid.Domain()); late != st {
			w := late.Wire()
			grown := int32(w.Len() - e.wire.Len())
			e.wire, e.size = w, e.size+grown
			s.ring.bytes += int(grown)
		}
	}
}

// delayed returns st with a delay stamp, if it is a message that has none.
func delayed(st *stanza.Stanza, at time.Time, domain string) *stanza.Stanza {
	if st.Kind != stanza.Message || st.Payload.Has(ns.Delay, "delay") {
		return st
	}
	from, err := jid.New("", domain, "")
	if err != nil {
		return st
	}
	return st.WithPayload(st.Payload.With(delay.Node(from, at, "")))
}

// Detach says that the connection l is gone without the client having closed its stream. A session that can be resumed waits for its client, any
// other is over.
func (s *Session) Detach(l Link) { s.m.detach(s, l, "", "") }

// detach takes the connection l off (nil: whichever there is) and ends it with condition.
func (m *Manager) detach(s *Session, l Link, condition, text string) {
	s.mu.Lock()
	old := s.link
	if s.over || old == nil || l != nil && old != l {
		s.mu.Unlock()
		return
	}
	if s.sm == nil || !s.sm.active || !s.sm.resumable {
		if l != nil {
			s.link = nil // nothing can be said on it any more
		}
		s.mu.Unlock()
		m.finish(s, condition, text, "connection lost")
		return
	}
	s.link, s.held = nil, false
	var left []Item
	if !m.stopping.Load() {
		left = s.untold()
		s.startTimer(s.sm.max)
	}
	s.rewind()
	s.change(func(i *event.SessionInfo) { i.Detached = true })
	s.mu.Unlock()
	s.tellUnseen(left)
	if l == nil {
		old.End(nil, condition, text)
	}
	m.stats.detached.Add(1)
}

// startTimer lets the session end after d without a connection; mu is held.
func (s *Session) startTimer(d time.Duration) {
	s.sm.expires = s.m.o.Clock.Now().Add(d)
	s.sm.timer = s.m.o.Clock.AfterFunc(d, func() {
		s.mu.Lock()
		late := s.link == nil && s.sm.timer != nil && !s.m.o.Clock.Now().Before(s.sm.expires)
		s.mu.Unlock()
		if late {
			s.m.finish(s, "", "", "not resumed in time")
		}
	})
}

func (s *Session) stopTimer() {
	if s.sm.timer != nil {
		s.sm.timer.Stop()
		s.sm.timer = nil
	}
}
