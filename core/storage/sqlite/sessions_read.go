package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// sessions implements storage.Sessions.
type sessions struct{ s *Store }

// Sessions implements storage.Store.
func (s *Store) Sessions() storage.Sessions { return sessions{s} }

const sessionColumns = `SELECT id, jid, node, epoch, h_in, h_out, clean, expires, state FROM session `

func sessionOf(row []driver.Value) (storage.Session, error) {
	return storage.Session{
		ID: text(row[0]), JID: text(row[1]), Node: text(row[2]), Epoch: uint64(integer(row[3])), HIn: uint32(integer(row[4])),
		HOut: uint32(integer(row[5])), Clean: boolean(row[6]), Expires: when(row[7]), State: blob(row[8]),
	}, nil
}

// Get implements storage.Sessions.
func (r sessions) Get(ctx context.Context, id string) (storage.Session, error) {
	return get(ctx, r.s, "read session", sessionColumns+`WHERE id = ?`, sessionOf, id)
}

// All implements storage.Sessions.
func (r sessions) All(ctx context.Context, p storage.Page) ([]storage.Session, error) {
	return list(ctx, r.s, "list sessions", sessionColumns+`WHERE id > ? ORDER BY id LIMIT ?`, sessionOf, p.After, int64(limitOf(p.Limit)))
}
