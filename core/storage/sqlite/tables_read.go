package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// items implements storage.Table.
type items struct {
	s    *Store
	name string
}

// Table implements storage.Store.
func (s *Store) Table(name string) storage.Table { return items{s, name} }

// Get implements storage.Table.
func (t items) Get(ctx context.Context, owner, key string) ([]byte, error) {
	return get(ctx, t.s, "read row", `SELECT value FROM item WHERE tbl = ? AND owner = ? AND key = ?`, func(row []driver.Value) ([]byte, error) {
		return present(row[0]), nil
	}, t.name, owner, key)
}

// present is the value of a row that is there: never nil, so that it can be the Old of a storage.CompareAndPut.
func present(v driver.Value) []byte {
	if b := blob(v); b != nil {
		return b
	}
	return []byte{}
}

// Range implements storage.Table.
func (t items) Range(ctx context.Context, owner, from, to string, limit int, reverse bool) ([]storage.Row, error) {
	query := `SELECT key, value FROM item WHERE tbl = ? AND owner = ? AND key >= ? `
	args := []any{t.name, owner, from}
	if to != "" {
		query += `AND key < ? `
		args = append(args, to)
	}
	if reverse {
		query += `ORDER BY key DESC LIMIT ?`
	} else {
		query += `ORDER BY key LIMIT ?`
	}
	return list(ctx, t.s, "read rows", query, func(row []driver.Value) (storage.Row, error) {
		return storage.Row{Key: text(row[0]), Value: present(row[1])}, nil
	}, append(args, int64(limitOf(limit)))...)
}

// Owners implements storage.Table.
func (t items) Owners(ctx context.Context, p storage.Page) ([]string, error) {
	return list(ctx, t.s, "read owners", `WITH RECURSIVE o(owner) AS (
		SELECT (SELECT min(owner) FROM item WHERE tbl = ?1 AND owner > ?2)
		UNION ALL SELECT (SELECT min(owner) FROM item WHERE tbl = ?1 AND owner > o.owner) FROM o WHERE o.owner IS NOT NULL)
		SELECT owner FROM o WHERE owner IS NOT NULL LIMIT ?3`, func(row []driver.Value) (string, error) {
		return text(row[0]), nil
	}, t.name, p.After, int64(limitOf(p.Limit)))
}
