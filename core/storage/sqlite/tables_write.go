package sqlite

import (
	"bytes"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func putRow(b *batch, op storage.PutRow) error {
	_, err := b.c.exec(`INSERT INTO item(tbl, owner, key, value) VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
		op.Table, op.Owner, op.Key, nullable(op.Value))
	return err
}

func compareAndPut(b *batch, op storage.CompareAndPut) error {
	v, present, err := b.c.one(`SELECT value FROM item WHERE tbl = ? AND owner = ? AND key = ?`, op.Table, op.Owner, op.Key)
	if err != nil {
		return err
	}
	if present != (op.Old != nil) || !bytes.Equal(blob(v), op.Old) {
		return journal.ErrConflict
	}
	if op.New == nil {
		return deleteRow(b, storage.DeleteRow{Table: op.Table, Owner: op.Owner, Key: op.Key})
	}
	return putRow(b, storage.PutRow{Table: op.Table, Owner: op.Owner, Key: op.Key, Value: op.New})
}

func deleteRow(b *batch, op storage.DeleteRow) error {
	_, err := b.c.exec(`DELETE FROM item WHERE tbl = ? AND owner = ? AND key = ?`, op.Table, op.Owner, op.Key)
	return err
}

func deleteRows(b *batch, op storage.DeleteRows) error {
	if op.To == "" {
		_, err := b.c.exec(`DELETE FROM item WHERE tbl = ? AND owner = ? AND key >= ?`, op.Table, op.Owner, op.From)
		return err
	}
	_, err := b.c.exec(`DELETE FROM item WHERE tbl = ? AND owner = ? AND key >= ? AND key < ?`, op.Table, op.Owner, op.From, op.To)
	return err
}
