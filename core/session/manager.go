package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/module"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
)

// ErrStopping says that the server is being stopped and binds nobody.
var ErrStopping = errors.New("session: the server is being stopped")

// Manager owns the sessions.
type Manager struct {
	o      Options
	limits atomic.Pointer[Limits]
	table  table
	stats  counters

	smMu sync.RWMutex
	bySM map[string]*Session // resumable ones, by SMID

	stopping atomic.Bool
	ending   sync.WaitGroup  // sessions that are not over
	ctx      context.Context // of events that belong to no connection; ended by Stop
	cancel   context.CancelFunc
}

var _ module.Sessions = (*Manager)(nil)

// New returns a manager without sessions. Restore is called before the first client can come.
func New(o Options) (*Manager, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	m := &Manager{o: o, bySM: map[string]*Session{}}
	m.SetLimits(o.Limits)
	m.table.seed = maphash.MakeSeed()
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

// BindRequest is a client that binds a resource (RFC 6120 §7).
type BindRequest struct {
	Account  jid.JID // bare
	Resource string  // what it asks for; "" : the server makes one
	Link     Link
	ID       string // connection id
}

// Bind makes a session. A taken resource is given to the newcomer: the old session is closed with <conflict/> (RFC 6120 §7.7.2.2, first option). It is over, and
// whoever was told that it was there knows that, before Bind returns; the same holds for one that has just ended by itself. Errors for the client are *stanza.Error.
func (m *Manager) Bind(ctx context.Context, r BindRequest) (*Session, error) {
	if m.stopping.Load() {
		return nil, ErrStopping
	}
	full, err := m.fullJID(r)
	if err != nil {
		return nil, err
	}
	s := m.newSession(full, r.ID)
	s.link = r.Link
	for {
		taken, crowded := m.table.add(s, m.limits.Load().PerUser)
		switch {
		case taken != nil:
			m.finish(taken, "conflict", "The resource was taken over by another connection.", "replaced")
			if err := taken.wait(ctx); err != nil {
				return nil, fmt.Errorf("session: replace %s: %w", full, err)
			}
		case crowded && m.evict(full.Bare()):
		case crowded: // RFC 6120 §7.6.2.1
			return nil, &stanza.Error{Type: "wait", Condition: stanza.ResourceConstraint, Text: "The account has too many sessions."}
		default:
			m.ending.Add(1)
			m.stats.bound.Add(1)
			return s, nil
		}
	}
}

func (m *Manager) fullJID(r BindRequest) (jid.JID, error) {
	resource := r.Resource
	if resource == "" {
		var b [9]byte
		if _, err := io.ReadFull(m.o.Rand, b[:]); err != nil {
			return jid.JID{}, fmt.Errorf("session: make resource: %w", err)
		}
		resource = base64.RawURLEncoding.EncodeToString(b[:])
	}
	full, err := r.Account.WithResource(resource)
	if err != nil { // RFC 6120 §7.7.2.1
		return jid.JID{}, &stanza.Error{Type: "modify", Condition: stanza.BadRequest, Text: "The resource is not valid.", Cause: err}
	}
	return full.Clone(), nil
}

func (m *Manager) newSession(full jid.JID, conn string) *Session {
	s := &Session{m: m, jid: full, done: make(chan struct{}), queue: journal.NewQueue(m.panicked)}
	s.info.Store(&event.SessionInfo{JID: full, ID: conn, Node: m.o.Node})
	return s
}

func (m *Manager) panicked(v any) { m.o.Log.Error("session: panic in a session's queue", "panic", v) }

// evict ends the session of an account that has the least time left to wait for its client: somebody who is there goes before somebody who is not.
func (m *Manager) evict(bare jid.JID) bool {
	var first *Session
	var soonest time.Time
	for _, s := range m.table.of(bare) {
		if !s.Info().Detached {
			continue
		}
		s.mu.Lock()
		expires := s.sm.expires
		s.mu.Unlock()
		if first == nil || expires.Before(soonest) {
			first, soonest = s, expires
		}
	}
	if first == nil {
		return false
	}
	m.finish(first, "", "", "evicted")
	return true
}

func (m *Manager) index(s *Session, smid string) {
	m.smMu.Lock()
	defer m.smMu.Unlock()
	m.bySM[smid] = s
}

func (m *Manager) bySMID(smid string) *Session {
	m.smMu.RLock()
	defer m.smMu.RUnlock()
	return m.bySM[smid]
}

// remove takes a session out of the tables.
func (m *Manager) remove(s *Session) {
	m.table.remove(s)
	if id := s.Info().SMID; id != "" {
		m.smMu.Lock()
		defer m.smMu.Unlock()
		delete(m.bySM, id)
	}
}

// Push puts an item into the ring of a full JID's session. False: there is no such session, and nothing was done. It never blocks.
func (m *Manager) Push(full jid.JID, it Item) bool {
	s := m.table.get(full)
	return s != nil && s.push(it)
}

// Of implements module.Sessions.
func (m *Manager) Of(_ context.Context, bare jid.JID) []event.SessionInfo {
	list := m.table.of(bare.Bare())
	if len(list) == 0 {
		return nil
	}
	out := make([]event.SessionInfo, len(list))
	for i, s := range list {
		out[i] = *s.info.Load()
	}
	return out
}

// Get implements module.Sessions.
func (m *Manager) Get(_ context.Context, full jid.JID) (event.SessionInfo, bool) {
	if s := m.table.get(full); s != nil {
		return s.Info(), true
	}
	return event.SessionInfo{}, false
}

// Deliver implements module.Sessions.
func (m *Manager) Deliver(_ context.Context, full jid.JID, st *stanza.Stanza) bool {
	return m.Push(full, Item{Wire: st.Wire(), To: st.To})
}

// Count implements module.Sessions.
func (m *Manager) Count() int { return int(m.Stats().Sessions) }

// Close implements module.Sessions. It returns when the sessions are over or ctx ends.
func (m *Manager) Close(ctx context.Context, who jid.JID, condition, text string) int {
	var ended []*Session
	for _, s := range m.table.of(who.Bare()) {
		if who.IsBare() || s.jid == who {
			m.finish(s, condition, text, "closed")
			ended = append(ended, s)
		}
	}
	for _, s := range ended {
		if s.wait(ctx) != nil {
			break
		}
	}
	return len(ended)
}

// Session returns the session of a full JID, nil if there is none; for requests that arrive by another way than its own stream.
func (m *Manager) Session(full jid.JID) *Session { return m.table.get(full) }

// PushAll is Push for several items, with nothing between them.
func (m *Manager) PushAll(full jid.JID, items []Item) bool {
	s := m.table.get(full)
	return s != nil && s.pushAll(items)
}
