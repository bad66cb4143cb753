package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// stage looks for one kind of garbage behind a cursor; next is "" at its end.
type stage func(ctx context.Context, c *conn, now int64, after string, limit int) (ops []journal.Op, next string, err error)

var stages = [...]stage{expiredRetries, expiredSessions, goneOwners, looseBodies, dueBlocks}

// Garbage implements storage.Sweeper. A cursor is the number of a stage, a colon and the stage's own.
func (s *Store) Garbage(ctx context.Context, now time.Time, after string, limit int) (ops []journal.Op, next string, err error) {
	n, inner := 0, ""
	if after != "" {
		number, rest, ok := strings.Cut(after, ":")
		if n, err = strconv.Atoi(number); err != nil || !ok || n < 0 || n >= len(stages) {
			return nil, "", fmt.Errorf("sqlite: garbage: bad cursor %q", after)
		}
		inner = rest
	}
	err = s.readers.read(ctx, func(c *conn) error {
		ops, inner, err = stages[n](ctx, c, now.UnixMilli(), inner, limitOf(limit))
		return err
	})
	if err != nil {
		return nil, "", s.readError("garbage", err)
	}
	if inner == "" {
		n++
	}
	if n == len(stages) {
		return ops, "", nil
	}
	return ops, strconv.Itoa(n) + ":" + inner, nil
}

// sequentialRows of retries, which lie one after the other, cost about as much as one row in a random place does.
const sequentialRows = 10

func expiredRetries(ctx context.Context, c *conn, now int64, after string, limit int) (ops []journal.Op, next string, err error) {
	from, _ := strconv.ParseInt(after, 10, 64)
	limit *= sequentialRows
	var seen, expired int
	var last int64
	err = c.query(ctx, `SELECT n, expires FROM dedupe WHERE n > ? ORDER BY n LIMIT ?`, func(row []driver.Value) error {
		seen, last = seen+1, integer(row[0])
		if integer(row[1]) <= now {
			expired++
		}
		return nil
	}, from, int64(limit))
	if expired > 0 {
		ops = append(ops, dropRetriesOp{from, last, now})
	}
	if seen == limit {
		next = strconv.FormatInt(last, 10)
	}
	return ops, next, err
}

// A session is worth several rows: its own, its references, those of the account's list.
const rowsPerSession = 20

func expiredSessions(ctx context.Context, c *conn, now int64, after string, limit int) (ops []journal.Op, next string, err error) {
	limit = max(1, limit/rowsPerSession)
	seen, window := 0, 100*limit
	err = c.query(ctx, `SELECT id, expires FROM session WHERE id > ? ORDER BY id LIMIT ?`, func(row []driver.Value) error {
		if len(ops) == limit {
			return nil
		}
		seen, next = seen+1, text(row[0])
		if expires := integer(row[1]); expires > 0 && expires <= now {
			ops = append(ops, dropSessionOp{next, now})
		}
		return nil
	}, after, int64(window))
	if seen < window && len(ops) < limit {
		next = ""
	}
	return ops, next, err
}

func goneOwners(ctx context.Context, c *conn, _ int64, after string, limit int) (ops []journal.Op, next string, err error) {
	round, _ := strconv.ParseInt(after, 10, 64)
	err = c.query(ctx, `SELECT id FROM owner WHERE name IS NULL ORDER BY id LIMIT 1`, func(row []driver.Value) error {
		ops = append(ops, dropGoneOp{integer(row[0]), limit})
		return nil
	})
	if len(ops) > 0 { // until none is left: a long list takes many rounds
		next = strconv.FormatInt(round+1, 10)
	}
	return ops, next, err
}

// looseBodies finds bodies without references; a partial index lists them.
func looseBodies(ctx context.Context, c *conn, _ int64, after string, limit int) (ops []journal.Op, next string, err error) {
	from, _ := strconv.ParseInt(after, 10, 64)
	var ids []int64
	err = c.query(ctx, `SELECT id FROM body WHERE uses = 2 AND id > ? ORDER BY id LIMIT ?`, func(row []driver.Value) error {
		ids = append(ids, integer(row[0]))
		return nil
	}, from, int64(limit))
	if len(ids) > 0 {
		ops = append(ops, dropBodiesOp{ids})
	}
	if len(ids) == limit {
		next = strconv.FormatInt(ids[limit-1], 10)
	}
	return ops, next, err
}

// dropGoneOp removes up to limit rows of an owner that was deleted, and the owner with the last.
type dropGoneOp struct {
	owner int64
	limit int
}

// JournalOp marks the type as a row operation.
func (dropGoneOp) JournalOp() {}

var deleteSome = perKind(`DELETE FROM %[1]s WHERE owner = ?1
	AND id IN (SELECT id FROM %[1]s WHERE owner = ?1 ORDER BY id LIMIT ?2) RETURNING coalesce(msg, id)`)

func dropGone(b *batch, op dropGoneOp) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	left := op.limit
	for _, query := range deleteSome {
		if query == "" || left <= 0 {
			continue
		}
		err := b.c.query(context.Background(), query, func(row []driver.Value) error {
			b.uses[storage.MessageID(integer(row[0]))]--
			left--
			return nil
		}, op.owner, int64(left))
		if err != nil {
			return err
		}
	}
	left, err := b.dropBlocks(op.owner, left)
	if err != nil || left <= 0 {
		return err
	}
	n, err := b.c.exec(`DELETE FROM idmap WHERE portal = ?1 AND (remote, remote_part, room, stanza, stanza_part) IN
		(SELECT remote, remote_part, room, stanza, stanza_part FROM idmap WHERE portal = ?1 LIMIT ?2)`, op.owner, int64(left))
	if err != nil || int(n) == left {
		return err
	}
	_, err = b.c.exec(`DELETE FROM owner WHERE id = ? AND name IS NULL`, op.owner)
	return err
}

// dropBodiesOp removes bodies that still have no references.
type dropBodiesOp struct{ ids []int64 }

// JournalOp marks the type as a row operation.
func (dropBodiesOp) JournalOp() {}

func dropBodies(b *batch, op dropBodiesOp) error {
	// References that were added or removed in this transaction count.
	if err := b.flush(); err != nil {
		return err
	}
	v, _, err := b.c.one(`SELECT max(id) FROM body`)
	if err != nil {
		return err
	}
	for _, id := range op.ids {
		n, err := b.c.exec(`DELETE FROM body WHERE id = ? AND uses = 2`, id)
		if err != nil {
			return err
		}
		if n > 0 && id == integer(v) { // its id is not to be given out again
			b.ownIDs = max(b.ownIDs, id)
		}
		if n > 0 {
			err = b.unindex(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Collect implements storage.Store.
func (s *Store) Collect(ctx context.Context, limit int) (more bool, err error) {
	limit = limitOf(limit)
	for _, look := range []stage{goneOwners, looseBodies} {
		var ops []journal.Op
		err := s.readers.read(ctx, func(c *conn) error {
			ops, _, err = look(ctx, c, 0, "", limit)
			return err
		})
		if err != nil {
			return false, s.readError("collect", err)
		}
		if len(ops) == 0 {
			continue
		}
		u := journal.NewUnit(journal.Lane{Kind: journal.LaneServer, Key: "collect"})
		u.Add(ops...)
		if err := s.Commit(ctx, []*journal.Unit{u})[0]; err != nil {
			return false, err
		}
		more = true
	}
	return more, nil
}
