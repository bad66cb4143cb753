package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Removed contacts are remembered for RFC 6121 §2.6: at most keptRemovals of a roster for certain; when twice as many have gathered, the
// older half is forgotten.
const keptRemovals = 256

func putRosterItem(b *batch, op storage.PutRosterItem) error {
	it := op.Item
	var groups any
	if len(it.Groups) > 0 {
		encoded, err := json.Marshal(it.Groups)
		if err != nil {
			return fmt.Errorf("sqlite: roster item: %w", err)
		}
		groups = encoded
	}
	_, err := b.c.exec(`INSERT INTO roster(owner, contact, name, groups, subscription, ask, approved, pending_in, listed, version)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name, groups = excluded.groups,
		subscription = excluded.subscription, ask = excluded.ask, approved = excluded.approved, pending_in = excluded.pending_in,
		listed = excluded.listed, version = excluded.version`,
		op.Owner, it.Contact, it.Name, groups, it.Subscription, bit(it.Ask), bit(it.Approved), nullable(it.PendingIn), bit(it.Listed), it.Version)
	if err != nil {
		return err
	}
	if _, err := b.c.exec(`DELETE FROM roster_removed WHERE owner = ? AND contact = ?`, op.Owner, it.Contact); err != nil {
		return err
	}
	return b.rosterVersion(op.Owner, it.Version)
}

func (b *batch) rosterVersion(owner string, version int64) error {
	_, err := b.c.exec(`INSERT INTO roster_version(owner, version, oldest) VALUES(?, ?, 0)
		ON CONFLICT DO UPDATE SET version = excluded.version`, owner, version)
	return err
}

func deleteRosterItem(b *batch, op storage.DeleteRosterItem) error {
	if _, err := b.c.exec(`DELETE FROM roster WHERE owner = ? AND contact = ?`, op.Owner, op.Contact); err != nil {
		return err
	}
	_, err := b.c.exec(`INSERT INTO roster_removed(owner, contact, version) VALUES(?, ?, ?)
		ON CONFLICT DO UPDATE SET version = excluded.version`, op.Owner, op.Contact, op.Version)
	if err != nil {
		return err
	}
	if err := b.rosterVersion(op.Owner, op.Version); err != nil {
		return err
	}
	return b.forgetRemovals(op.Owner)
}

func (b *batch) forgetRemovals(owner string) error {
	v, _, err := b.c.one(`SELECT count(*) FROM roster_removed WHERE owner = ?`, owner)
	if err != nil || integer(v) < 2*keptRemovals {
		return err
	}
	var oldest int64
	err = b.c.query(context.Background(), `SELECT version FROM roster_removed WHERE owner = ? ORDER BY version DESC LIMIT 1 OFFSET ?`,
		func(row []driver.Value) error {
			oldest = integer(row[0])
			return nil
		}, owner, int64(keptRemovals))
	if err != nil {
		return err
	}
	if _, err := b.c.exec(`DELETE FROM roster_removed WHERE owner = ? AND version <= ?`, owner, oldest); err != nil {
		return err
	}
	_, err = b.c.exec(`UPDATE roster_version SET oldest = ? WHERE owner = ?`, oldest, owner)
	return err
}
