package session

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// stateVersion is the version of keptState's encoding.
const stateVersion = 1

// keptState is Session.State of a row: what a clean stop keeps beside the counters. It is JSON.
type keptState struct {
	Version  int               `json:"v"`
	Flags    event.Flag        `json:"flags,omitempty"`
	Priority int8              `json:"priority,omitempty"`
	Presence []byte            `json:"presence,omitempty"` // as stanza.Marshal writes it
	Max      int64             `json:"max"`                // seconds to live without a connection
	Sent     uint32            `json:"sent"`
	Queue    []keptItem        `json:"queue,omitempty"` // not acknowledged, in order
	Parts    map[string][]byte `json:"parts,omitempty"` // of the modules
}

// keptItem is one stanza: a reference to a stored message, or the stanza itself.
type keptItem struct {
	Msg    storage.MessageID `json:"m,omitempty"`
	Stanza []byte            `json:"s,omitempty"` // as stanza.Marshal writes it
	At     int64             `json:"t"`           // Unix milliseconds
}

// Stop ends all connections with system-shutdown. Sessions that can be resumed are written whole, the others are over. It returns when all is
// stored and told, or with ctx.
func (m *Manager) Stop(ctx context.Context) error {
	if m.stopping.Swap(true) {
		return nil
	}
	defer m.cancel()
	var keep []*Session
	for _, s := range m.table.all() {
		if m.cut(s) {
			keep = append(keep, s)
		}
	}
	err := m.save(ctx, keep)
	for range keep {
		m.ending.Done() // they are not over, but nothing happens to them any more
	}
	ended := make(chan struct{})
	go func() { m.ending.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("session: stop: %w", ctx.Err())
	}
	return err
}

// cut takes the connection off; it returns false if the session cannot be resumed and is being finished.
func (m *Manager) cut(s *Session) bool {
	const condition, text = "system-shutdown", "The server is being stopped."
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	if s.sm == nil || !s.sm.active || !s.sm.resumable {
		s.mu.Unlock()
		m.finish(s, condition, text, "server stopped")
		return false
	}
	s.kept = true
	l := s.link
	if s.link = nil; l != nil {
		s.rewind()
		s.sm.expires = m.o.Clock.Now().Add(s.sm.max)
	}
	s.stopTimer()
	s.await()
	s.change(func(i *event.SessionInfo) { i.Detached = true })
	s.mu.Unlock()
	if l != nil {
		l.End(nil, condition, text)
	}
	return true
}

// saveBatch is how many sessions one unit writes.
const saveBatch = 64

func (m *Manager) save(ctx context.Context, list []*Session) error {
	deadline := m.o.Clock.Now().Add(m.limits.Load().SettleTime)
	var batches []<-chan error
	var u *journal.Unit
	for i, s := range list {
		s.settle(ctx, max(0, deadline.Sub(m.o.Clock.Now())))
		row, err := m.row(s)
		if err != nil {
			m.o.Log.Error("session: keep session", "conn", s.Info().ID, "error", err)
			continue
		}
		if u == nil {
			u = journal.NewUnit(journal.Lane{})
		}
		u.Add(storage.PutSession{Session: row})
		if i%saveBatch == saveBatch-1 {
			batches, u = append(batches, submit(m.o.Journal, u)), nil
		}
	}
	if u != nil {
		batches = append(batches, submit(m.o.Journal, u))
	}
	for _, b := range batches {
		if err := wait(ctx, b); err != nil {
			return fmt.Errorf("session: keep sessions: %w", err)
		}
	}
	return nil
}

// row is what is kept of a session that has no connection any more.
func (m *Manager) row(s *Session) (storage.Session, error) {
	saved := event.SessionState{Session: s, Parts: map[string][]byte{}}
	if err := m.o.Events.C2S.Saving.Fire(m.ctx, &saved); err != nil {
		return storage.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, sm := s.Info(), s.sm
	st := keptState{Version: stateVersion, Flags: info.Flags, Priority: info.Priority, Max: int64(sm.max / time.Second), Sent: sm.sent, Parts: saved.Parts}
	if info.Presence != nil {
		st.Presence = info.Presence.Marshal()
	}
	for i := range s.ring.n {
		e := s.ring.at(i)
		item := keptItem{Msg: e.msg, At: e.at}
		if e.msg == 0 {
			one, err := e.wire.Stanza(e.to)
			if err != nil {
				return storage.Session{}, err
			}
			item.Stanza = one.Marshal()
		}
		st.Queue = append(st.Queue, item)
	}
	state, err := json.Marshal(&st)
	if err != nil {
		return storage.Session{}, err
	}
	return storage.Session{ID: sm.id, JID: s.jid.String(), Node: m.o.Node, HIn: sm.stored, HOut: sm.acked, State: state, Clean: true, Expires: sm.expires}, nil
}

// inline runs what is posted at once: for steps that only signal.
type inline struct{}

func (inline) Post(fn func()) { fn() }

// submit submits a unit and returns where its outcome arrives.
func submit(j journal.Submitter, u *journal.Unit) <-chan error {
	out := make(chan error, 1)
	u.After(inline{}, func(err error) { out <- err })
	j.Submit(u)
	return out
}

func wait(ctx context.Context, outcome <-chan error) error {
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
