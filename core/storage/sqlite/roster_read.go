package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// roster implements storage.Roster.
type roster struct{ s *Store }

// Roster implements storage.Store.
func (s *Store) Roster() storage.Roster { return roster{s} }

const itemColumns = `SELECT contact, name, groups, subscription, ask, approved, pending_in, listed, version FROM roster `

func itemOf(row []driver.Value) (it storage.RosterItem, err error) {
	it = storage.RosterItem{
		Contact: text(row[0]), Name: text(row[1]), Subscription: text(row[3]), Ask: boolean(row[4]), Approved: boolean(row[5]),
		PendingIn: blob(row[6]), Listed: boolean(row[7]), Version: integer(row[8]),
	}
	if groups := blob(row[2]); groups != nil {
		if err := json.Unmarshal(groups, &it.Groups); err != nil {
			return it, fmt.Errorf("sqlite: roster item %q: groups: %w", it.Contact, err)
		}
	}
	return it, nil
}

// Get implements storage.Roster.
func (r roster) Get(ctx context.Context, owner, contact string) (storage.RosterItem, error) {
	return get(ctx, r.s, "read roster item", itemColumns+`WHERE owner = ? AND contact = ?`, itemOf, owner, contact)
}

// All implements storage.Roster.
func (r roster) All(ctx context.Context, owner string) (items []storage.RosterItem, version int64, err error) {
	err = r.s.readers.snapshot(ctx, func(c *conn) error {
		if version, _, err = rosterState(c, owner); err != nil {
			return err
		}
		items, err = rosterItems(c, itemColumns+`WHERE owner = ? ORDER BY contact`, owner)
		return err
	})
	return items, version, r.s.readError("read roster", err)
}

// Since implements storage.Roster.
func (r roster) Since(ctx context.Context, owner string, version int64) (changed []storage.RosterItem, removed []string, now int64, ok bool, err error) {
	err = r.s.readers.snapshot(ctx, func(c *conn) error {
		var oldest int64
		if now, oldest, err = rosterState(c, owner); err != nil {
			return err
		}
		if version < oldest || version > now {
			return nil
		}
		ok = true
		changed, err = rosterItems(c, itemColumns+`WHERE owner = ? AND version > ? ORDER BY contact`, owner, version)
		if err != nil {
			return err
		}
		return c.query(context.Background(), `SELECT contact FROM roster_removed WHERE owner = ? AND version > ? ORDER BY contact`,
			func(row []driver.Value) error {
				removed = append(removed, text(row[0]))
				return nil
			}, owner, version)
	})
	return changed, removed, now, ok, r.s.readError("read roster", err)
}

func rosterState(c *conn, owner string) (version, oldest int64, err error) {
	err = c.query(context.Background(), `SELECT version, oldest FROM roster_version WHERE owner = ?`, func(row []driver.Value) error {
		version, oldest = integer(row[0]), integer(row[1])
		return nil
	}, owner)
	return version, oldest, err
}

func rosterItems(c *conn, query string, args ...any) (items []storage.RosterItem, err error) {
	err = c.query(context.Background(), query, func(row []driver.Value) error {
		it, err := itemOf(row)
		items = append(items, it)
		return err
	}, args...)
	return items, err
}
