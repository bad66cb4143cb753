package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Volume implements storage.Messages. A block whose size is known is one step; one that is not is measured, and what was found is kept by the
// operations.
func (m messages) Volume(ctx context.Context, k storage.RefKind, owner string, r storage.Range) (v storage.Volume, err error) {
	if err := knownKind(k); err != nil {
		return v, err
	}
	if r.Before == 0 {
		r.Before = openEnd
	}
	err = m.s.readers.snapshot(ctx, func(c *conn) error {
		id, ok, err := c.one(`SELECT id FROM owner WHERE name = ?`, owner)
		if err != nil || !ok {
			return err
		}
		w := volumeReader{c: c, k: k, owner: integer(id), before: int64(r.Before), left: limitOf(r.Limit), v: &v}
		if w.blocks, err = w.alone(); err != nil {
			return err
		}
		v.Through = r.After
		for done := false; !done && err == nil; {
			if err = ctx.Err(); err != nil {
				return err
			}
			if w.left <= 0 {
				v.More = true
				return nil
			}
			done, err = w.step()
		}
		return err
	})
	return v, m.s.readError("measure list", err)
}

// volumeReader goes along a list.
type volumeReader struct {
	c      *conn
	k      storage.RefKind
	owner  int64
	before int64
	left   int  // rows that may still be looked at
	blocks bool // what is known of blocks holds for this list
	v      *storage.Volume
}

// alone tells whether the list is the only one of its owner that is divided into blocks: an address is an account's or a room's.
func (w *volumeReader) alone() (bool, error) {
	if !mapped(w.k) {
		return false, nil
	}
	for k, query := range lowestRef {
		if !mapped(storage.RefKind(k)) || storage.RefKind(k) == w.k {
			continue
		}
		if v, _, err := w.c.one(query, w.owner); err != nil || v != nil {
			return false, err
		}
	}
	return true, nil
}

var (
	nextRef      = perKind(`SELECT id FROM %s WHERE owner = ? AND id > ? AND id < ? ORDER BY id LIMIT 1`)
	volumeOfRefs = perKind(`SELECT r.id, length(b.body) FROM %s r CROSS JOIN body b ON b.id = coalesce(r.msg, r.id)
		WHERE r.owner = ? AND r.id > ? AND r.id <= ? ORDER BY r.id LIMIT ?`)
)

// step adds the next block, or single messages where there is none or only a part of it counts.
func (w *volumeReader) step() (done bool, err error) {
	at := int64(w.v.Through)
	v, ok, err := w.c.one(nextRef[w.k], w.owner, at, w.before)
	if err != nil || !ok {
		return true, err
	}
	oldest := integer(v)
	upto, messages, bytes := int64(openEnd), driver.Value(nil), driver.Value(nil)
	if w.blocks {
		err := w.c.query(context.Background(), `SELECT upto, messages, bytes FROM block WHERE owner = ? AND upto >= ? ORDER BY upto LIMIT 1`, func(row []driver.Value) error {
			upto, messages, bytes = integer(row[0]), row[1], row[2]
			return nil
		}, w.owner, oldest)
		if err != nil {
			return false, err
		}
	}
	low := int64(0)
	if w.blocks {
		if low, err = w.c.low(w.owner, upto); err != nil {
			return false, err
		}
	}
	whole := upto < w.before && at <= low
	if whole && messages != nil {
		w.add(oldest, integer(messages), integer(bytes), upto)
		return false, nil
	}
	return false, w.refs(at, upto, whole)
}

func (w *volumeReader) add(oldest, messages, bytes, through int64) {
	w.v.Parts = append(w.v.Parts, storage.VolumePart{Oldest: storage.MessageID(oldest), Messages: int(messages), Bytes: bytes})
	w.v.Through = storage.MessageID(through)
	w.left--
}

// refs measures single messages up to the end of a block; a whole one becomes one part, unless it is far too large.
func (w *volumeReader) refs(at, upto int64, whole bool) error {
	type size struct{ id, bytes int64 }
	var list []size
	limit := w.left
	if whole {
		limit = 4 * blockRows
	}
	err := w.c.query(context.Background(), volumeOfRefs[w.k], func(row []driver.Value) error {
		list = append(list, size{integer(row[0]), integer(row[1])})
		return nil
	}, w.owner, at, min(upto, w.before-1), int64(limit))
	if err != nil || len(list) == 0 {
		w.v.Through = storage.MessageID(min(upto, w.before-1))
		return err
	}
	if whole && len(list) < limit {
		sum := int64(0)
		for _, s := range list {
			sum += s.bytes
		}
		w.add(list[0].id, int64(len(list)), sum, upto)
		w.left -= len(list)
		w.v.Keep = append(w.v.Keep, journal.Op(noteVolume{w.owner, upto, int64(len(list)), sum}))
		return nil
	}
	for _, s := range list {
		w.add(s.id, 1, s.bytes, s.id)
	}
	return nil
}
