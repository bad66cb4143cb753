package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// blockRows is the length of a block: what is looked at to find one message of a peer in it.
const blockRows = 256

// mapped tells whether lists of a kind are divided into blocks: those that can be long.
func mapped(k storage.RefKind) bool { return k == storage.Archive || k == storage.Room }

// marks picks one id in blockRows, evenly spread: so an owner comes to the attention of the background work about once in a block, without
// a counter.
func marks(id int64) bool {
	const golden = 0x9E3779B97F4A7C15
	return uint64(id)*golden>>56 == 0
}

const markDue = `INSERT OR IGNORE INTO block_due(owner, upto) VALUES(?, ?)`

// noteRefs keeps the blocks right when references of a list are written: each row of args is one, as refArgs has them. What is new belongs to
// the open end and needs nothing.
func (b *batch) noteRefs(args []any) error {
	for ; len(args) > 0; args = args[refColumns:] {
		id := args[1].(int64)
		due := marks(id)
		if id > b.mapped && !due {
			continue
		}
		if err := b.noteRef(args[0], id, args[3], due); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) noteRef(owner any, id int64, peer any, due bool) error {
	block := driver.Value(int64(openEnd))
	if id <= b.mapped {
		v, ok, err := b.c.one(`SELECT upto FROM block WHERE owner = ? AND upto >= ? ORDER BY upto LIMIT 1`, owner, id)
		if err != nil {
			return err
		}
		if ok {
			block = v
			if err := b.late(owner, block, peer); err != nil {
				return err
			}
		}
	}
	if !due {
		return nil
	}
	_, err := b.c.exec(markDue, owner, block)
	return err
}

// late notes what was written into a block that has been made.
func (b *batch) late(owner, block, peer any) error {
	if peer != nil {
		if _, err := b.c.exec(`INSERT OR IGNORE INTO block_peer(owner, peer, upto) VALUES(?, ?, ?)`, owner, peer, block); err != nil {
			return err
		}
	}
	_, err := b.c.exec(`UPDATE block SET messages = NULL WHERE owner = ? AND upto = ? AND messages IS NOT NULL`, owner, block)
	return err
}

// taken notes that single references were removed from within a list: args has pairs of owner and id.
func (b *batch) taken(args []any) error {
	for ; len(args) > 0; args = args[2:] {
		if args[1].(int64) > b.mapped {
			continue
		}
		_, err := b.c.exec(`UPDATE block SET messages = NULL WHERE owner = ?1 AND messages IS NOT NULL
			AND upto = (SELECT min(upto) FROM block WHERE owner = ?1 AND upto >= ?2)`, args[0], args[1])
		if err != nil {
			return err
		}
	}
	return nil
}

// unmap forgets the blocks of a list whose references came in another way than one by one; they are made anew.
func (b *batch) unmap(owner any) error {
	if _, err := b.c.exec(`DELETE FROM block WHERE owner = ?`, owner); err != nil {
		return err
	}
	_, err := b.c.exec(markDue, owner, int64(openEnd))
	return err
}

// makeBlock ends a block of an owner at an id: what is behind it is the block of the due row, or the open end.
type makeBlock struct{ owner, upto, of int64 }

// JournalOp marks the type as a row operation.
func (makeBlock) JournalOp() {}

var blockPeers = perKind(`INSERT OR IGNORE INTO block_peer(owner, peer, upto) SELECT DISTINCT ?1, peer, ?3 FROM %s
	WHERE owner = ?1 AND id > ?2 AND id <= ?3 AND peer IS NOT NULL`)

func doMakeBlock(b *batch, op makeBlock) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	low, err := b.c.low(op.owner, op.upto)
	if err != nil {
		return err
	}
	for k := range blockPeers {
		if !mapped(storage.RefKind(k)) {
			continue
		}
		if _, err := b.c.exec(blockPeers[k], op.owner, low, op.upto); err != nil {
			return err
		}
	}
	if _, err := b.c.exec(`INSERT OR IGNORE INTO block(owner, upto) VALUES(?, ?)`, op.owner, op.upto); err != nil {
		return err
	}
	if _, err := b.c.exec(`UPDATE block SET messages = NULL WHERE owner = ? AND upto = ?`, op.owner, op.of); err != nil {
		return err
	}
	if op.upto <= b.mapped {
		return nil
	}
	b.mapped = op.upto
	_, err = b.c.exec(`INSERT INTO meta(key, value) VALUES('mapped', ?1) ON CONFLICT DO UPDATE SET value = ?1`, b.mapped)
	return err
}

// low is the end of the block before the one that ends at an id.
func (c *conn) low(owner, upto int64) (int64, error) {
	v, _, err := c.one(`SELECT max(upto) FROM block WHERE owner = ? AND upto < ?`, owner, upto)
	return integer(v), err
}

// settleBlock takes a due row away: there is nothing to do.
type settleBlock struct{ owner, upto int64 }

// JournalOp marks the type as a row operation.
func (settleBlock) JournalOp() {}

func doSettleBlock(b *batch, op settleBlock) error {
	_, err := b.c.exec(`DELETE FROM block_due WHERE owner = ? AND upto = ?`, op.owner, op.upto)
	return err
}

// peerAt is a place in an owner's rows of block_peer.
type peerAt struct{ peer, upto int64 }

// clearBlocks removes the rows of peers behind one place and up to another that belong to blocks before the list's beginning; at the end
// of an owner's rows the blocks themselves.
type clearBlocks struct {
	owner    int64
	from, to peerAt
	end      bool
}

// JournalOp marks the type as a row operation.
func (clearBlocks) JournalOp() {}

func doClearBlocks(b *batch, op clearBlocks) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	first, err := b.c.beginning(op.owner)
	if err != nil {
		return err
	}
	if op.from != op.to {
		_, err = b.c.exec(`DELETE FROM block_peer WHERE owner = ?1 AND (peer, upto) > (?2, ?3) AND (peer, upto) <= (?4, ?5) AND upto < ?6`,
			op.owner, op.from.peer, op.from.upto, op.to.peer, op.to.upto, first)
	}
	if err != nil || !op.end {
		return err
	}
	if _, err := b.c.exec(`DELETE FROM block WHERE owner = ? AND upto < ?`, op.owner, first); err != nil {
		return err
	}
	return doSettleBlock(b, settleBlock{op.owner, 0})
}

// beginning is the lowest id of an owner's lists, openEnd if they are empty.
func (c *conn) beginning(owner int64) (first int64, err error) {
	first = int64(openEnd)
	for k, query := range lowestRef {
		if !mapped(storage.RefKind(k)) {
			continue
		}
		v, _, err := c.one(query, owner)
		if err != nil {
			return 0, err
		}
		if v != nil {
			first = min(first, integer(v))
		}
	}
	return first, nil
}

var lowestRef = perKind(`SELECT min(id) FROM %s WHERE owner = ?`)

// dropBlocks removes up to limit rows about the blocks of an owner that is gone and returns how many are left to remove.
func (b *batch) dropBlocks(owner int64, left int) (int, error) {
	for _, query := range []string{
		`DELETE FROM block_peer WHERE owner = ?1 AND (peer, upto) IN (SELECT peer, upto FROM block_peer WHERE owner = ?1 LIMIT ?2)`,
		`DELETE FROM block WHERE owner = ?1 AND upto IN (SELECT upto FROM block WHERE owner = ?1 LIMIT ?2)`,
		`DELETE FROM block_due WHERE owner = ?1 AND upto IN (SELECT upto FROM block_due WHERE owner = ?1 LIMIT ?2)`,
	} {
		if left <= 0 {
			break
		}
		n, err := b.c.exec(query, owner, int64(left))
		if err != nil {
			return 0, err
		}
		left -= int(n)
	}
	return left, nil
}

// noteVolume keeps what a block was found to hold, if it still holds as many messages.
type noteVolume struct{ owner, upto, messages, bytes int64 }

// JournalOp marks the type as a row operation.
func (noteVolume) JournalOp() {}

var countBlock = perKind(`SELECT count(*) FROM %s WHERE owner = ? AND id > ? AND id <= ?`)

func doNoteVolume(b *batch, op noteVolume) error {
	if err := b.flushLists(); err != nil {
		return err
	}
	low, err := b.c.low(op.owner, op.upto)
	if err != nil {
		return err
	}
	here := int64(0)
	for k, query := range countBlock {
		if !mapped(storage.RefKind(k)) {
			continue
		}
		v, _, err := b.c.one(query, op.owner, low, op.upto)
		if err != nil {
			return err
		}
		here += integer(v)
	}
	if here != op.messages {
		return nil
	}
	_, err = b.c.exec(`UPDATE block SET messages = ?3, bytes = ?4 WHERE owner = ?1 AND upto = ?2`, op.owner, op.upto, op.messages, op.bytes)
	return err
}

// unreferTrimmed is unrefer for the beginning of a list of a kind: what was there of blocks is to be cleared some day.
func (b *batch) unreferTrimmed(query string, owner, through int64) error {
	due := false
	err := b.c.query(context.Background(), query, func(row []driver.Value) error {
		id := integer(row[0])
		b.uses[storage.MessageID(id)]--
		due = due || marks(id)
		return nil
	}, owner, through)
	if err != nil || !due {
		return err
	}
	_, err = b.c.exec(markDue, owner, int64(0))
	return err
}
