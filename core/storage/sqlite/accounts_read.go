package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// accounts implements storage.Accounts.
type accounts struct{ s *Store }

// Accounts implements storage.Store.
func (s *Store) Accounts() storage.Accounts { return accounts{s} }

const accountColumns = `SELECT jid, credentials, admin, disabled, created, last_seen FROM account `

func accountOf(row []driver.Value) (a storage.Account, err error) {
	a = storage.Account{
		JID: text(row[0]), Admin: boolean(row[2]), Disabled: boolean(row[3]), Created: when(row[4]), LastSeen: when(row[5]),
	}
	if err := json.Unmarshal(blob(row[1]), &a.Credentials); err != nil {
		return a, fmt.Errorf("sqlite: account %q: credentials: %w", a.JID, err)
	}
	return a, nil
}

// Get implements storage.Accounts.
func (a accounts) Get(ctx context.Context, bare string) (storage.Account, error) {
	return get(ctx, a.s, "read account", accountColumns+`WHERE jid = ?`, accountOf, bare)
}

// List implements storage.Accounts.
func (a accounts) List(ctx context.Context, domain string, p storage.Page) ([]storage.Account, error) {
	if domain == "" {
		return list(ctx, a.s, "list accounts", accountColumns+`WHERE jid > ? ORDER BY jid LIMIT ?`, accountOf, p.After, int64(limitOf(p.Limit)))
	}
	return list(ctx, a.s, "list accounts", accountColumns+`WHERE domain = ? AND jid > ? ORDER BY jid LIMIT ?`, accountOf,
		domain, p.After, int64(limitOf(p.Limit)))
}

// Count implements storage.Accounts.
func (a accounts) Count(ctx context.Context, domain string) (int, error) {
	number := func(row []driver.Value) (int, error) { return int(integer(row[0])), nil }
	if domain == "" {
		return get(ctx, a.s, "count accounts", `SELECT count(*) FROM account`, number)
	}
	return get(ctx, a.s, "count accounts", `SELECT count(*) FROM account WHERE domain = ?`, number, domain)
}
