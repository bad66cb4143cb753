package storage

import "context"

// Row is one row of a Table.
type Row struct {
	Key   string
	Value []byte
}

// Table is an ordered map (owner, key) -> bytes. Owners are JIDs or other stable names; keys are ordered bytewise.
type Table interface {
	// Get returns the value or ErrNotFound.
	Get(ctx context.Context, owner, key string) ([]byte, error)
	// Range returns up to limit rows (0: 100) of an owner with from <= key < to ("" is open), ascending, or descending with reverse.
	Range(ctx context.Context, owner, from, to string, limit int, reverse bool) ([]Row, error)
	// Owners lists the owners with at least one row, in order.
	Owners(ctx context.Context, p Page) ([]string, error)
}

// PutRow inserts or replaces a row of a table.
type PutRow struct {
	Table, Owner, Key string
	Value             []byte
}

// CompareAndPut writes a row only if its present value equals Old (nil: only if it is absent; New nil: delete); otherwise the unit fails with
// journal.ErrConflict.
type CompareAndPut struct {
	Table, Owner, Key string
	Old, New          []byte
}

// DeleteRow removes a row; no error if it is not there.
type DeleteRow struct{ Table, Owner, Key string }

// DeleteRows removes the rows of an owner with From <= key < To ("" is open).
type DeleteRows struct{ Table, Owner, From, To string }

// JournalOp marks the type as a row operation.
func (PutRow) JournalOp() {}

// JournalOp marks the type as a row operation.
func (CompareAndPut) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRow) JournalOp() {}

// JournalOp marks the type as a row operation.
func (DeleteRows) JournalOp() {}

// OpSize is the value's size in bytes.
func (op PutRow) OpSize() int { return len(op.Value) }

// OpSize is the new value's size in bytes.
func (op CompareAndPut) OpSize() int { return len(op.New) }
