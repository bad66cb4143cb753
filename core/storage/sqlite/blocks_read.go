package sqlite

import (
	"context"
	"database/sql/driver"
	"math"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// In a long list the messages of one peer are looked for in the blocks that have any, and in the open end behind them.

// blockRange joins the blocks of a peer with their references; %[1]s is the table.
const blockRange = ` FROM block_peer p CROSS JOIN block k ON k.owner = p.owner AND k.upto = p.upto
	CROSS JOIN %[1]s r ON r.owner = p.owner AND r.id > max(?2, coalesce((SELECT max(x.upto) FROM block x WHERE x.owner = p.owner AND x.upto < p.upto), 0))
		AND r.id <= min(p.upto, ?3 - 1) `

// blockWhere: ?6 is the end of the last block that the range reaches.
const blockWhere = ` WHERE p.owner = (SELECT id FROM owner WHERE name = ?1) AND p.peer = (SELECT id FROM peer WHERE name = ?5)
	AND p.upto > ?2 AND p.upto <= ?6 AND r.peer = p.peer`

// blockQueries are pageQueries with a peer, for what is in blocks.
var blockQueries = makeBlockQueries()

func makeBlockQueries() map[pageQuery][kinds]string {
	m := map[pageQuery][kinds]string{}
	for _, bodies := range []bool{false, true} {
		for _, backward := range []bool{false, true} {
			columns, join, order := "", "", "p.upto, r.id"
			if bodies {
				columns, join = ", b.body", "CROSS JOIN body b ON b.id = coalesce(r.msg, r.id)"
			}
			if backward {
				order = "p.upto DESC, r.id DESC"
			}
			m[pageQuery{bodies, backward, true}] = perKind(`SELECT r.id, coalesce(r.msg, r.id), (SELECT name FROM peer WHERE id = r.peer), r.note` +
				columns + blockRange + join + blockWhere + ` ORDER BY ` + order + ` LIMIT ?4`)
		}
	}
	return m
}

var countInBlocks = perKind(`SELECT count(*) FROM (SELECT 1` + blockRange + blockWhere + ` LIMIT ?4)`)

// reach tells where the blocks of an owner end, and the last of them that holds something below an id.
func (c *conn) reach(owner string, before int64) (end, last int64, err error) {
	v, ok, err := c.one(`SELECT id FROM owner WHERE name = ?`, owner)
	if err != nil || !ok {
		return 0, 0, err
	}
	if end, err = c.low(integer(v), math.MaxInt64); err != nil {
		return 0, 0, err
	}
	u, ok, err := c.one(`SELECT upto FROM block WHERE owner = ? AND upto >= ? ORDER BY upto LIMIT 1`, v, before-1)
	if last = end; ok {
		last = integer(u)
	}
	return end, last, err
}

// peerRows reads the references of a peer until there are as many as the arguments of the page say, in the order of reading.
func (c *conn) peerRows(k storage.RefKind, q pageQuery, args []any, each func(row []driver.Value) error) error {
	owner, after, before, left := args[0].(string), args[1].(int64), args[2].(int64), args[3].(int64)
	end, last, err := c.reach(owner, before)
	if err != nil {
		return err
	}
	counted := func(row []driver.Value) error {
		left--
		return each(row)
	}
	blocks := func() error {
		if end == 0 || after >= end || left <= 0 {
			return nil
		}
		return c.query(context.Background(), blockQueries[q][k], counted, owner, after, before, left, args[4], last)
	}
	open := func() error {
		if before <= end+1 || left <= 0 {
			return nil
		}
		return c.query(context.Background(), pageQueries[q][k], counted, owner, max(after, end), before, left, args[4])
	}
	if q.backward {
		if err := open(); err != nil {
			return err
		}
		return blocks()
	}
	if err := blocks(); err != nil {
		return err
	}
	return open()
}

// countPeer is CountRange of one peer.
func (c *conn) countPeer(k storage.RefKind, args []any) (n int64, err error) {
	owner, after, before, most := args[0].(string), args[1].(int64), args[2].(int64), args[3].(int64)
	end, last, err := c.reach(owner, before)
	if err != nil {
		return 0, err
	}
	if end != 0 && after < end {
		v, _, err := c.one(countInBlocks[k], owner, after, before, most, args[4], last)
		if err != nil {
			return 0, err
		}
		n = integer(v)
	}
	if n >= most || before <= end+1 {
		return n, nil
	}
	v, _, err := c.one(countRange[true][k], owner, max(after, end), before, most-n, args[4])
	return n + integer(v), err
}
