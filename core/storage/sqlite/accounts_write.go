package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func domainOf(jid string) string {
	if _, domain, ok := strings.Cut(jid, "@"); ok {
		return domain
	}
	return jid
}

func accountArgs(a storage.Account) ([]any, error) {
	credentials, err := json.Marshal(a.Credentials)
	if err != nil {
		return nil, fmt.Errorf("sqlite: account: %w", err)
	}
	return []any{a.JID, domainOf(a.JID), credentials, bit(a.Admin), bit(a.Disabled), millis(a.Created), millis(a.LastSeen)}, nil
}

func createAccount(b *batch, op storage.CreateAccount) error {
	args, err := accountArgs(op.Account)
	if err != nil {
		return err
	}
	return b.mustChange(`INSERT OR IGNORE INTO account(jid, domain, credentials, admin, disabled, created, last_seen)
		VALUES(?, ?, ?, ?, ?, ?, ?)`, args...)
}

func updateAccount(b *batch, op storage.UpdateAccount) error {
	args, err := accountArgs(op.Account)
	if err != nil {
		return err
	}
	return b.mustChange(`UPDATE account SET domain = ?2, credentials = ?3, admin = ?4, disabled = ?5, created = ?6, last_seen = ?7
		WHERE jid = ?1`, args...)
}

// mustChange runs a statement that changes one row, or fails with journal.ErrConflict.
func (b *batch) mustChange(query string, args ...any) error {
	n, err := b.c.exec(query, args...)
	if err == nil && n == 0 {
		return journal.ErrConflict
	}
	return err
}

func touchAccount(b *batch, op storage.TouchAccount) error {
	_, err := b.c.exec(`UPDATE account SET last_seen = ? WHERE jid = ?`, millis(op.At), op.JID)
	return err
}

// deleteAccount removes the rows of the account; its lists, which can be long, only lose their name here (forget).
func deleteAccount(b *batch, op storage.DeleteAccount) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM account WHERE jid = ?`, `DELETE FROM roster WHERE owner = ?`, `DELETE FROM roster_removed WHERE owner = ?`,
		`DELETE FROM roster_version WHERE owner = ?`,
	} {
		if _, err := b.c.exec(query, op.JID); err != nil {
			return err
		}
	}
	if err := b.eachTable(func(table string) error {
		_, err := b.c.exec(`DELETE FROM item WHERE tbl = ? AND owner = ?`, table, op.JID)
		return err
	}); err != nil {
		return err
	}
	if err := b.deleteSessionsOf(op.JID); err != nil {
		return err
	}
	return b.forget(op.JID)
}

// eachTable calls fn with every name of a storage.Table that has rows, seeking from one to the next.
func (b *batch) eachTable(fn func(table string) error) error {
	last := ""
	for {
		v, ok, err := b.c.one(`SELECT tbl FROM item WHERE tbl > ? ORDER BY tbl LIMIT 1`, last)
		if err != nil || !ok {
			return err
		}
		last = text(v)
		if err := fn(last); err != nil {
			return err
		}
	}
}

func (b *batch) deleteSessionsOf(bare string) error {
	var ids []string
	// '0' follows '/': the full JIDs of the account and no others.
	err := b.c.query(context.Background(), `SELECT id FROM session WHERE jid >= ?1 || '/' AND jid < ?1 || '0' OR jid = ?1`,
		func(row []driver.Value) error {
			ids = append(ids, text(row[0]))
			return nil
		}, bare)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := deleteRefs(b, storage.DeleteRefs{Kind: storage.Unacked, Owner: id}); err != nil {
			return err
		}
		if err := deleteSession(b, storage.DeleteSession{ID: id}); err != nil {
			return err
		}
	}
	return nil
}
