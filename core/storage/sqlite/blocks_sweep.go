package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// blocksPerSlice is how many blocks are made in one commit.
const blocksPerSlice = 4

// dueAt is a cursor over the due rows; of the beginning of a list also over its rows of peers.
type dueAt struct {
	owner, upto int64
	again       bool // the row itself has to be looked at once more
	peer        peerAt
}

func (d dueAt) String() string {
	return fmt.Sprintf("%d %d %t %d %d", d.owner, d.upto, d.again, d.peer.peer, d.peer.upto)
}

// dueBlocks makes blocks of what has gathered at the ends of lists, divides those that have become too large, and clears those whose messages
// are gone.
func dueBlocks(ctx context.Context, c *conn, _ int64, after string, limit int) (ops []journal.Op, next string, err error) {
	var at dueAt
	if after != "" {
		if _, err := fmt.Sscanf(after, "%d %d %t %d %d", &at.owner, &at.upto, &at.again, &at.peer.peer, &at.peer.upto); err != nil {
			return nil, "", fmt.Errorf("sqlite: garbage: bad cursor %q: %w", after, err)
		}
	}
	var due []dueAt
	err = c.query(ctx, `SELECT owner, upto FROM block_due WHERE (owner, upto) > (?, ?) ORDER BY owner, upto LIMIT ?`, func(row []driver.Value) error {
		due = append(due, dueAt{owner: integer(row[0]), upto: integer(row[1])})
		return nil
	}, at.owner, at.upto, int64(limit))
	if err != nil {
		return nil, "", err
	}
	last := len(due) == 0
	if at.again {
		due = append([]dueAt{at}, due...)
	}
	for _, d := range due {
		more, ops1, err := d.look(c)
		if err != nil {
			return nil, "", err
		}
		ops = append(ops, ops1...)
		if at = d; more != nil {
			return ops, more.String(), nil
		}
	}
	at.again = false
	if last {
		return ops, "", nil
	}
	return ops, at.String(), nil
}

// look says what is to be done about a due row; more is where to go on if that is not all.
func (d dueAt) look(c *conn) (more *dueAt, ops []journal.Op, err error) {
	if d.upto == 0 {
		return d.clear(c)
	}
	low, err := c.low(d.owner, d.upto)
	if err != nil {
		return nil, nil, err
	}
	for range blocksPerSlice {
		end, err := c.blockEnd(d.owner, low, d.upto)
		if err != nil {
			return nil, nil, err
		}
		if end == 0 {
			return nil, append(ops, settleBlock{d.owner, d.upto}), nil
		}
		ops = append(ops, makeBlock{d.owner, end, d.upto})
		low = end
	}
	return &dueAt{owner: d.owner, upto: d.upto, again: true}, ops, nil
}

var refAtOffset = perKind(`SELECT id FROM %s WHERE owner = ? AND id > ? AND id < ? ORDER BY id LIMIT 1 OFFSET ?`)

// blockEnd is where a block that begins behind an id ends; 0 if there is less than a block before the other id.
func (c *conn) blockEnd(owner, low, before int64) (int64, error) {
	for k, query := range refAtOffset {
		if !mapped(storage.RefKind(k)) {
			continue
		}
		v, ok, err := c.one(query, owner, low, before, int64(blockRows-1))
		if err != nil || ok {
			return integer(v), err
		}
	}
	return 0, nil
}

// clear removes what is known of blocks before the list's beginning, once they are a quarter of all: so that going through the rows of peers
// costs little for each.
func (d dueAt) clear(c *conn) (more *dueAt, ops []journal.Op, err error) {
	if !d.again {
		first, err := c.beginning(d.owner)
		if err != nil {
			return nil, nil, err
		}
		v, _, err := c.one(`SELECT count(*) FROM block WHERE owner = ? AND upto < ?`, d.owner, first)
		if err != nil {
			return nil, nil, err
		}
		all, _, err := c.one(`SELECT count(*) FROM block WHERE owner = ?`, d.owner)
		if err != nil {
			return nil, nil, err
		}
		if gone := integer(v); gone == 0 || 4*gone < integer(all) {
			return nil, []journal.Op{settleBlock{d.owner, 0}}, nil
		}
	}
	const rows = 2000
	to, n := d.peer, 0
	err = c.query(context.Background(), `SELECT peer, upto FROM block_peer WHERE owner = ? AND (peer, upto) > (?, ?) ORDER BY peer, upto LIMIT ?`, func(row []driver.Value) error {
		to, n = peerAt{integer(row[0]), integer(row[1])}, n+1
		return nil
	}, d.owner, d.peer.peer, d.peer.upto, int64(rows))
	if err != nil {
		return nil, nil, err
	}
	ops = []journal.Op{clearBlocks{d.owner, d.peer, to, n < rows}}
	if n < rows {
		return nil, ops, nil
	}
	return &dueAt{owner: d.owner, again: true, peer: to}, ops, nil
}
