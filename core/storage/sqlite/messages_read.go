package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// openEnd is above every id.
const openEnd = storage.MessageID(math.MaxInt64)

// readError is what a reader is told: the operation, and what to do if the store itself is the cause.
func (s *Store) readError(op string, err error) error {
	if err == nil {
		return nil
	}
	return explain(op, s.dir, err)
}

// messages implements storage.Messages.
type messages struct{ s *Store }

// Messages implements storage.Store.
func (s *Store) Messages() storage.Messages { return messages{s} }

// pageQuery is one way to read a list.
type pageQuery struct{ bodies, backward, peer bool }

// pageQueries are the texts for each kind and way.
var pageQueries = makePageQueries()

func makePageQueries() map[pageQuery][kinds]string {
	m := map[pageQuery][kinds]string{}
	for _, bodies := range []bool{false, true} {
		for _, backward := range []bool{false, true} {
			for _, peer := range []bool{false, true} {
				q := pageQuery{bodies, backward, peer}
				m[q] = perKind(q.format())
			}
		}
	}
	return m
}

// format is the query with %s for the table. The list is one range of its primary key, so a page costs the same everywhere; only a filter
// by peer looks at what it leaves out (see blocks_read.go).
func (q pageQuery) format() string {
	columns, join, filter, order := "", "", "", "ASC"
	if q.bodies {
		columns, join = ", b.body", "CROSS JOIN body b ON b.id = coalesce(r.msg, r.id)"
	}
	if q.peer {
		filter = "AND r.peer = (SELECT id FROM peer WHERE name = ?5)"
	}
	if q.backward {
		order = "DESC"
	}
	return `SELECT r.id, coalesce(r.msg, r.id), (SELECT name FROM peer WHERE id = r.peer), r.note` + columns + ` FROM %s r ` + join + `
		WHERE r.owner = (SELECT id FROM owner WHERE name = ?1) AND r.id > ?2 AND r.id < ?3 ` + filter + ` ORDER BY r.id ` + order + ` LIMIT ?4`
}

// page reads one page; each is called with its rows in the order of reading.
func (m messages) page(ctx context.Context, k storage.RefKind, owner string, r storage.Range, bodies bool, each func(storage.Stored)) (more bool, err error) {
	if err := knownKind(k); err != nil {
		return false, err
	}
	if r.Before == 0 {
		r.Before = openEnd
	}
	limit := limitOf(r.Limit)
	args := []any{owner, int64(r.After), int64(r.Before), int64(limit) + 1}
	if r.Peer != "" {
		args = append(args, r.Peer)
	}
	n, q := 0, pageQuery{bodies, r.Backward, r.Peer != ""}
	take := func(row []driver.Value) error {
		if n++; n > limit {
			more = true
			return nil
		}
		st := storage.Stored{Ref: refOf(k, owner, row)}
		if bodies {
			st.Body = blob(row[4])
		}
		each(st)
		return ctx.Err()
	}
	if q.peer && mapped(k) {
		err = m.s.readers.snapshot(ctx, func(c *conn) error { return c.peerRows(k, q, args, take) })
	} else {
		err = m.s.readers.read(ctx, func(c *conn) error { return c.query(context.Background(), pageQueries[q][k], take, args...) })
	}
	return more, m.s.readError("read list", err)
}

func refOf(k storage.RefKind, owner string, row []driver.Value) storage.Ref {
	return storage.Ref{
		Kind: k, Owner: owner, ID: storage.MessageID(integer(row[0])), Msg: storage.MessageID(integer(row[1])), Peer: text(row[2]), Note: blob(row[3]),
	}
}

// List implements storage.Messages.
func (m messages) List(ctx context.Context, k storage.RefKind, owner string, r storage.Range) (page []storage.Stored, more bool, err error) {
	more, err = m.page(ctx, k, owner, r, true, func(st storage.Stored) { page = append(page, st) })
	if r.Backward {
		slices.Reverse(page)
	}
	return page, more, err
}

// Refs implements storage.Messages.
func (m messages) Refs(ctx context.Context, k storage.RefKind, owner string, r storage.Range) (page []storage.Ref, more bool, err error) {
	more, err = m.page(ctx, k, owner, r, false, func(st storage.Stored) { page = append(page, st.Ref) })
	if r.Backward {
		slices.Reverse(page)
	}
	return page, more, err
}

// Get implements storage.Messages.
func (m messages) Get(ctx context.Context, k storage.RefKind, owner string, id storage.MessageID) (st storage.Stored, err error) {
	found := false
	_, err = m.page(ctx, k, owner, storage.Range{After: id - 1, Before: id + 1, Limit: 1}, true, func(got storage.Stored) { st, found = got, true })
	if err == nil && !found {
		err = storage.ErrNotFound
	}
	return st, err
}

// Body implements storage.Messages.
func (m messages) Body(ctx context.Context, id storage.MessageID) (body []byte, err error) {
	err = m.s.readers.read(ctx, func(c *conn) error {
		v, ok, err := c.one(`SELECT body FROM body WHERE id = ?`, int64(id))
		if err == nil && !ok {
			return storage.ErrNotFound
		}
		body = blob(v)
		return err
	})
	return body, m.s.readError("read body", err)
}

var countRefs = perKind(`SELECT count(*) FROM (SELECT 1 FROM %s WHERE owner = (SELECT id FROM owner WHERE name = ?) LIMIT ?)`)

// Count implements storage.Messages.
func (m messages) Count(ctx context.Context, k storage.RefKind, owner string, limit int) (n int, err error) {
	if err := knownKind(k); err != nil {
		return 0, err
	}
	if limit <= 0 {
		limit = -1
	}
	err = m.s.readers.read(ctx, func(c *conn) error {
		return c.query(ctx, countRefs[k], func(row []driver.Value) error {
			n = int(integer(row[0]))
			return nil
		}, owner, int64(limit))
	})
	return n, m.s.readError("count list", err)
}

var countRange = map[bool][kinds]string{
	false: perKind(`SELECT count(*) FROM (SELECT 1 FROM %s WHERE owner = (SELECT id FROM owner WHERE name = ?1) AND id > ?2 AND id < ?3 LIMIT ?4)`),
	true: perKind(`SELECT count(*) FROM (SELECT 1 FROM %s WHERE owner = (SELECT id FROM owner WHERE name = ?1) AND id > ?2 AND id < ?3
		AND peer = (SELECT id FROM peer WHERE name = ?5) LIMIT ?4)`),
}

// CountRange implements storage.Messages.
func (m messages) CountRange(ctx context.Context, k storage.RefKind, owner string, r storage.Range) (n int, err error) {
	if err := knownKind(k); err != nil {
		return 0, err
	}
	if r.Before == 0 {
		r.Before = openEnd
	}
	limit := int64(math.MaxInt64)
	if r.Limit > 0 {
		limit = int64(r.Limit)
	}
	args := []any{owner, int64(r.After), int64(r.Before), limit}
	if r.Peer != "" {
		args = append(args, r.Peer)
	}
	err = m.s.readers.snapshot(ctx, func(c *conn) error {
		if r.Peer != "" && mapped(k) {
			i, err := c.countPeer(k, args)
			n = int(i)
			return err
		}
		v, _, err := c.one(countRange[r.Peer != ""][k], args...)
		n = int(integer(v))
		return err
	})
	return n, m.s.readError("count range", err)
}

// Find implements storage.Messages.
func (m messages) Find(ctx context.Context, k storage.RefKind, owner string, r storage.Range, part []byte) (found []storage.Stored, next storage.MessageID, err error) {
	r.Backward = true
	last := storage.MessageID(0)
	more, err := m.page(ctx, k, owner, r, true, func(st storage.Stored) {
		if last = st.ID; bytes.Contains(st.Body, part) {
			found = append(found, st)
		}
	})
	if more {
		next = last
	}
	return found, next, err
}

var (
	overNumber = perKind(`SELECT id FROM %s WHERE owner = (SELECT id FROM owner WHERE name = ?1) ORDER BY id DESC LIMIT 1 OFFSET ?2`)
	overBytes  = perKind(`SELECT id FROM (SELECT r.id AS id, sum(length(b.body)) OVER (ORDER BY r.id DESC ROWS UNBOUNDED PRECEDING) AS size
		FROM %s r CROSS JOIN body b ON b.id = coalesce(r.msg, r.id) WHERE r.owner = (SELECT id FROM owner WHERE name = ?1)) WHERE size > ?2 LIMIT 1`)
)

// Beyond implements storage.Messages.
func (m messages) Beyond(ctx context.Context, k storage.RefKind, owner string, number int, size int64) (through storage.MessageID, err error) {
	if err := knownKind(k); err != nil {
		return 0, err
	}
	err = m.s.readers.read(ctx, func(c *conn) error {
		for _, q := range []struct {
			text string
			most int64
		}{{overNumber[k], int64(number)}, {overBytes[k], size}} {
			if q.most <= 0 {
				continue
			}
			v, _, err := c.one(q.text, owner, q.most)
			if err != nil {
				return err
			}
			through = max(through, storage.MessageID(integer(v)))
		}
		return ctx.Err()
	})
	return through, m.s.readError("find what is beyond", err)
}

// fewOwners is how many owners of a kind are read and put in order in memory. With more of them it is cheaper to go along the names.
const fewOwners = 512

var ownersOfKind = perKind(`WITH RECURSIVE o(id) AS (
	SELECT min(owner) FROM %[1]s UNION ALL SELECT (SELECT min(owner) FROM %[1]s WHERE owner > o.id) FROM o WHERE o.id IS NOT NULL)
	SELECT owner.name FROM o JOIN owner ON owner.id = o.id WHERE owner.name IS NOT NULL LIMIT ?`)
var ownersByName = perKind(`SELECT name FROM owner WHERE name > ? AND EXISTS (SELECT 1 FROM %s r WHERE r.owner = owner.id) ORDER BY name LIMIT ?`)

// Owners implements storage.Messages.
func (m messages) Owners(ctx context.Context, k storage.RefKind, p storage.Page) (owners []string, err error) {
	if err := knownKind(k); err != nil {
		return nil, err
	}
	collect := func(row []driver.Value) error {
		owners = append(owners, text(row[0]))
		return nil
	}
	limit := limitOf(p.Limit)
	err = m.s.readers.read(ctx, func(c *conn) error {
		if err := c.query(ctx, ownersOfKind[k], collect, int64(fewOwners)); err != nil || len(owners) < fewOwners {
			return err
		}
		owners = owners[:0]
		return c.query(ctx, ownersByName[k], collect, p.After, int64(limit))
	})
	if err != nil {
		return nil, m.s.readError("read owners", err)
	}
	slices.Sort(owners)
	from, found := slices.BinarySearch(owners, p.After)
	if found {
		from++
	}
	owners = owners[from:]
	return owners[:min(limit, len(owners))], nil
}

// LastID implements storage.Messages.
func (m messages) LastID(ctx context.Context) (id storage.MessageID, err error) {
	err = m.s.readers.read(ctx, func(c *conn) error {
		v, _, err := c.one(`SELECT max(coalesce((SELECT max(id) FROM body), 0), coalesce((SELECT value FROM meta WHERE key = 'last_id'), 0))`)
		id = storage.MessageID(integer(v))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: last id: %w", err)
	}
	return id, nil
}
