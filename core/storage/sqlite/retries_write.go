package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const defaultTTL = 24 * time.Hour

func dedupe(b *batch, op storage.Dedupe) error {
	if err := b.w.retries.ready(b.c, b.w.clock()); err != nil {
		return err
	}
	at, ttl := op.At, op.TTL
	if at.IsZero() {
		at = b.w.clock()
	}
	if ttl <= 0 {
		ttl = defaultTTL
	}
	r := retry{sum: sumOf(op.Scope, op.Key), id: op.ID, expires: at.Add(ttl).UnixMilli()}
	if err := b.known(&r.sum, at.UnixMilli()); err != nil {
		return err
	}
	r.n = b.w.retries.next + int64(len(b.retries))
	b.retries = append(b.retries, r)
	b.seen[r.sum] = r
	return nil
}

// known returns a *journal.DuplicateError if the sum has come before, in this transaction or in a committed one, and has not expired.
func (b *batch) known(s *sum, at int64) error {
	if r, ok := b.seen[*s]; ok && r.expires > at {
		return &journal.DuplicateError{ID: r.id}
	}
	var first *journal.DuplicateError
	err := b.w.retries.candidates(s, func(n int64) (bool, error) {
		err := b.c.query(context.Background(), `SELECT id FROM dedupe WHERE n = ? AND sum = ? AND expires > ?`, func(row []driver.Value) error {
			first = &journal.DuplicateError{ID: integer(row[0])}
			return nil
		}, n, s[:], at)
		return first != nil, err
	})
	if err == nil && first != nil {
		return first
	}
	return err
}

var insertRetries = map[int]string{
	1:            `INSERT INTO dedupe(n, sum, id, expires) VALUES(?, ?, ?, ?)`,
	perStatement: `INSERT INTO dedupe(n, sum, id, expires) VALUES` + repeated("(?, ?, ?, ?)"),
}

func (b *batch) flushRetries() error {
	for b.written < len(b.retries) {
		n := 1
		if len(b.retries)-b.written >= perStatement {
			n = perStatement
		}
		b.args = b.args[:0]
		for i := range b.retries[b.written : b.written+n] {
			r := &b.retries[b.written+i]
			b.args = append(b.args, r.n, r.sum[:], r.id, r.expires)
		}
		if _, err := b.c.exec(insertRetries[n], b.args...); err != nil {
			return err
		}
		b.written += n
	}
	return nil
}

// dropRetriesOp removes the rows of a stretch that have expired.
type dropRetriesOp struct{ from, to, now int64 }

// JournalOp marks the type as a row operation.
func (dropRetriesOp) JournalOp() {}

func dropRetries(b *batch, op dropRetriesOp) error {
	b.w.retries.drop(op.now)
	_, err := b.c.exec(`DELETE FROM dedupe WHERE n BETWEEN ? AND ? AND expires <= ?`, op.from, op.to, op.now)
	return err
}
