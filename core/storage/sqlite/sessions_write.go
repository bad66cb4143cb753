package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func putSession(b *batch, op storage.PutSession) error {
	if err := b.flushSessions(); err != nil {
		return err
	}
	r := op.Session
	_, err := b.c.exec(`INSERT INTO session(id, jid, node, epoch, h_in, h_out, clean, expires, state) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET jid = excluded.jid, node = excluded.node, epoch = excluded.epoch, h_in = excluded.h_in,
		h_out = excluded.h_out, clean = excluded.clean, expires = excluded.expires, state = excluded.state`,
		r.ID, r.JID, r.Node, int64(r.Epoch), int64(r.HIn), int64(r.HOut), bit(r.Clean), millis(r.Expires), nullable(r.State))
	return err
}

// sessionIn and sessionOut gather: of each session only the last of a group is written.
func sessionIn(b *batch, op storage.SessionIn) error {
	if h, ok := b.sessionIn[op.ID]; ok && int32(op.H-h) < 0 {
		return nil
	}
	b.sessionIn[op.ID] = op.H
	return nil
}

func sessionOut(b *batch, op storage.SessionOut) error {
	op.Through = max(op.Through, b.sessionOut[op.ID].Through)
	b.sessionOut[op.ID] = op
	return nil
}

// flushSessions writes the gathered counters; acknowledged references have been written before.
func (b *batch) flushSessions() error {
	for _, id := range sorted(b.sessionIn) {
		h := int64(b.sessionIn[id])
		if _, err := b.c.exec(`UPDATE session SET h_in = ? WHERE id = ? AND ((? - h_in) & 4294967295) < 2147483648`, h, id, h); err != nil {
			return err
		}
	}
	clear(b.sessionIn)
	if len(b.sessionOut) == 0 {
		return nil
	}
	if err := b.flushRefs(storage.Unacked); err != nil {
		return err
	}
	for _, id := range sorted(b.sessionOut) {
		out := b.sessionOut[id]
		if _, err := b.c.exec(`UPDATE session SET h_out = ? WHERE id = ?`, int64(out.H), id); err != nil {
			return err
		}
		owner, ok, err := b.ownerIfAny(id)
		if err == nil && ok {
			err = b.unrefer(deleteThrough[storage.Unacked], owner, int64(out.Through))
		}
		if err != nil {
			return err
		}
	}
	clear(b.sessionOut)
	return nil
}

// sorted returns the keys in order: a group is written the same way every time.
func sorted[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func deleteSession(b *batch, op storage.DeleteSession) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	if _, err := b.c.exec(`DELETE FROM session WHERE id = ?`, op.ID); err != nil {
		return err
	}
	b.ended = append(b.ended, op.ID)
	return nil
}

// releaseEnded removes the owners of the lists of sessions that ended; it comes after the unit's other operations, which may empty them.
func (b *batch) releaseEnded() error {
	for _, id := range b.ended {
		if err := b.release(id); err != nil {
			return err
		}
	}
	b.ended = b.ended[:0]
	return nil
}

// dropSessionOp ends a session that has expired; what its client had not acknowledged becomes an offline message of the account.
type dropSessionOp struct {
	id  string
	now int64
}

// JournalOp marks the type as a row operation.
func (dropSessionOp) JournalOp() {}

func dropSession(b *batch, op dropSessionOp) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	var full string
	err := b.c.query(context.Background(), `SELECT jid FROM session WHERE id = ? AND expires BETWEEN 1 AND ?`, func(row []driver.Value) error {
		full = text(row[0])
		return nil
	}, op.id, op.now)
	if err != nil || full == "" { // resumed meanwhile
		return err
	}
	bare, _, _ := strings.Cut(full, "/")
	if err := moveRefs(b, storage.MoveRefs{Kind: storage.Unacked, Owner: op.id, ToKind: storage.Offline, ToOwner: bare}); err != nil {
		return err
	}
	return deleteSession(b, storage.DeleteSession{ID: op.id})
}
