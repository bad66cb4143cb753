package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// grace is what a kept session gets at least after a start: its client may not have noticed yet that the server is back.
const grace = time.Minute

// Restore brings back what the last stop kept and buries what a crash left: the unacknowledged messages of sessions that cannot be resumed
// become offline messages. It is called once, before clients can come and before anything is routed.
func (m *Manager) Restore(ctx context.Context) error {
	var back []*event.SessionState
	page := storage.Page{Limit: 500}
	for {
		rows, err := m.o.Store.Sessions().All(ctx, page)
		if err != nil {
			return fmt.Errorf("session: read kept sessions: %w", err)
		}
		if len(rows) == 0 {
			break
		}
		u := journal.NewUnit(journal.Lane{})
		for i := range rows {
			state, err := m.restoreRow(ctx, &rows[i], u)
			if err != nil {
				return err
			}
			if state != nil {
				back = append(back, state)
			}
		}
		if !u.Empty() {
			if err := wait(ctx, submit(m.o.Journal, u)); err != nil {
				return fmt.Errorf("session: restore: %w", err)
			}
		}
		page.After = rows[len(rows)-1].ID
	}
	if err := m.adopt(ctx); err != nil {
		return err
	}
	for _, state := range back {
		_ = m.o.Events.C2S.Restored.Fire(m.ctx, state)
	}
	return nil
}

// restoreRow decides on one row: a session that waits for its client again, one whose h is remembered, or one to forget.
func (m *Manager) restoreRow(ctx context.Context, row *storage.Session, u *journal.Unit) (*event.SessionState, error) {
	now := m.o.Clock.Now()
	full, err := jid.Parse(row.JID)
	if err != nil {
		return nil, fmt.Errorf("session: restore session: %w", err)
	}
	if row.Clean {
		state, err := m.revive(ctx, row, full)
		if err == nil {
			// From now on the row says what is true after a crash: the state is in memory only.
			u.Add(storage.PutSession{Session: storage.Session{ID: row.ID, JID: row.JID, Node: m.o.Node, HIn: row.HIn, HOut: row.HOut, Expires: never}})
			return state, nil
		}
		m.o.Log.Error("session: restore session; its messages go to the offline list", "account", full.Bare(), "error", err)
	} else if row.Expires.Before(never) { // it was over before: only its h is remembered
		if row.Expires.Before(now) {
			u.Add(storage.DeleteSession{ID: row.ID})
		}
		return nil, nil
	}
	u.Add(
		storage.MoveRefs{Kind: storage.Unacked, Owner: row.ID, ToKind: storage.Offline, ToOwner: full.Bare().String()},
		storage.PutSession{Session: storage.Session{ID: row.ID, JID: row.JID, Node: row.Node, HIn: row.HIn, HOut: row.HOut, Expires: now.Add(remember)}},
	)
	return nil, nil
}

// revive makes a session without a connection of a row that a clean stop has written.
func (m *Manager) revive(ctx context.Context, row *storage.Session, full jid.JID) (*event.SessionState, error) {
	var st keptState
	if err := json.Unmarshal(row.State, &st); err != nil {
		return nil, err
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("session: state of version %d", st.Version)
	}
	s := m.newSession(full, "")
	s.sm = &management{
		id: row.ID, resumable: true, active: true, max: time.Duration(st.Max) * time.Second,
		seen: row.HIn, in: window{low: row.HIn}, carried: row.HIn, lastAsync: row.HIn, stored: row.HIn, acked: row.HOut, sent: st.Sent,
	}
	s.sm.resent, s.sm.sentAtR = row.HOut, row.HOut
	info := event.SessionInfo{JID: full, Node: m.o.Node, SMID: row.ID, Priority: st.Priority, Flags: st.Flags, Detached: true}
	if st.Presence != nil {
		p, err := stanza.Unmarshal(st.Presence)
		if err != nil {
			return nil, err
		}
		info.Presence, info.Available = p, true
	}
	s.info.Store(&info)
	if err := m.refill(ctx, s, st.Queue); err != nil {
		return nil, err
	}
	if taken, _ := m.table.add(s, int(^uint(0)>>1)); taken != nil {
		return nil, errors.New("session: the full JID is bound twice")
	}
	m.index(s, row.ID)
	m.ending.Add(1)
	m.stats.bound.Add(1)
	s.mu.Lock()
	s.startTimer(max(grace, row.Expires.Sub(m.o.Clock.Now())))
	s.mu.Unlock()
	return &event.SessionState{Session: s, Parts: st.Parts}, nil
}

// refill puts what is not acknowledged back into the ring: in the kept order, and behind it what was stored after that.
func (m *Manager) refill(ctx context.Context, s *Session, queue []keptItem) error {
	refs := map[storage.MessageID]bool{}
	var order []storage.MessageID
	r := storage.Range{Limit: 500}
	for {
		page, more, err := m.o.Store.Messages().Refs(ctx, storage.Unacked, s.sm.id, r)
		if err != nil {
			return err
		}
		for _, ref := range page {
			refs[ref.ID] = true
			order = append(order, ref.ID)
			r.After = ref.ID
		}
		if !more || len(page) == 0 {
			break
		}
	}
	for _, item := range queue {
		e := entry{msg: item.Msg, at: item.At, counted: true}
		switch {
		case item.Msg != 0: // also one whose row is gone keeps its place: the client may have counted it
			delete(refs, item.Msg)
			e.spooled = true
			s.sm.spooled++
		default:
			one, err := stanza.Unmarshal(item.Stanza)
			if err != nil {
				return err
			}
			e.wire, e.to = one.Wire(), one.To
			e.size = int32(e.wire.Len() + len(e.to.String()) + overhead)
		}
		s.ring.push(e)
	}
	for _, id := range order {
		if refs[id] {
			s.ring.push(entry{msg: id, at: id.Time().UnixMilli(), counted: true, spooled: true})
			s.sm.spooled++
		}
	}
	return nil
}

// adopt moves unacknowledged messages of sessions that are not even known any more to the offline list of whom they are for.
func (m *Manager) adopt(ctx context.Context) error {
	page := storage.Page{Limit: 500}
	for {
		owners, err := m.o.Store.Messages().Owners(ctx, storage.Unacked, page)
		if err != nil {
			return fmt.Errorf("session: read owners of unacknowledged messages: %w", err)
		}
		if len(owners) == 0 {
			return nil
		}
		for _, owner := range owners {
			if err := m.adoptList(ctx, owner); err != nil {
				return fmt.Errorf("session: adopt messages: %w", err)
			}
		}
		page.After = owners[len(owners)-1]
	}
}

func (m *Manager) adoptList(ctx context.Context, owner string) error {
	if _, err := m.o.Store.Sessions().Get(ctx, owner); !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	list, _, err := m.o.Store.Messages().List(ctx, storage.Unacked, owner, storage.Range{Limit: 1})
	if err != nil || len(list) == 0 {
		return err
	}
	st, err := stanza.Unmarshal(list[0].Body)
	if err != nil {
		return err
	}
	u := journal.NewUnit(journal.Lane{})
	u.Add(storage.MoveRefs{Kind: storage.Unacked, Owner: owner, ToKind: storage.Offline, ToOwner: st.To.Bare().String()})
	return wait(ctx, submit(m.o.Journal, u))
}
