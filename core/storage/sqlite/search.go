package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

var _ storage.Searcher = (*Store)(nil)

// Index implements storage.Searcher. What is new are the bodies above meta.indexed, and those below that the writer has noted.
func (s *Store) Index(ctx context.Context, limit int) (ops []journal.Op, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		v, _, err := c.one(`SELECT coalesce((SELECT max(id) FROM body), 0) > coalesce((SELECT value FROM meta WHERE key = 'indexed'), 0)
			OR EXISTS (SELECT 1 FROM unindexed)`)
		if boolean(v) {
			ops = append(ops, indexOp{limitOf(limit)})
		}
		return err
	})
	return ops, s.readError("look at index", err)
}

// indexOp adds up to limit bodies to the index.
type indexOp struct{ limit int }

// JournalOp marks the type as a row operation.
func (indexOp) JournalOp() {}

func index(b *batch, op indexOp) error {
	if err := b.flush(); err != nil { // what was added in this transaction is indexed, too
		return err
	}
	rows, err := b.toIndex(op.limit)
	if err != nil {
		return err
	}
	for _, r := range rows {
		words, err := b.wordsOf(r.body)
		if err != nil {
			return err
		}
		if words == "" {
			continue
		}
		if _, err := b.c.exec(`INSERT INTO word(rowid, text) VALUES(?, ?)`, r.id, words); err != nil {
			return err
		}
	}
	return nil
}

type bodyRow struct {
	id   int64
	body []byte
}

// toIndex takes the next bodies that are not indexed, late ones first, and notes that they are.
func (b *batch) toIndex(limit int) (rows []bodyRow, err error) {
	add := func(row []driver.Value) error {
		rows = append(rows, bodyRow{integer(row[0]), slices.Clone(blob(row[1]))})
		return nil
	}
	ctx := context.Background()
	err = b.c.query(ctx, `SELECT u.id, b.body FROM unindexed u LEFT JOIN body b ON b.id = u.id ORDER BY u.id LIMIT ?`, add, int64(limit))
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if _, err := b.c.exec(`DELETE FROM unindexed WHERE id = ?`, r.id); err != nil {
			return nil, err
		}
	}
	late := len(rows)
	err = b.c.query(ctx, `SELECT id, body FROM body WHERE id > ? ORDER BY id LIMIT ?`, add, b.indexed, int64(limit-late))
	if err != nil || len(rows) == late {
		return rows, err
	}
	b.indexed = rows[len(rows)-1].id
	_, err = b.c.exec(`INSERT INTO meta(key, value) VALUES('indexed', ?1) ON CONFLICT DO UPDATE SET value = ?1`, b.indexed)
	return rows, err
}

// wordsOf returns what is indexed of a body: its words, and one for each list that it may be in. "" if there is nothing to find.
func (b *batch) wordsOf(body []byte) (string, error) {
	text, from, to, err := storage.Text(body)
	if err != nil || text == "" { // what is no stanza has no words
		return "", nil //nolint:nilerr // see above
	}
	words := storage.Words(text, false)
	if len(words) == 0 {
		return "", nil
	}
	owners := 0
	for _, name := range slices.Compact([]string{from, to}) {
		id, ok, err := b.ownerIfAny(name)
		if err != nil {
			return "", err
		}
		if ok {
			words = append(words, ownerWord(id))
			owners++
		}
	}
	if owners == 0 {
		return "", nil
	}
	return strings.Join(words, " "), nil
}

// ownerWord stands for an owner. It begins with a sign of private use; who writes one in a message finds only what is her own all the same,
// for the list decides.
func ownerWord(id int64) string { return "\uE000" + strconv.FormatInt(id, 36) }

// noteLate keeps a body for the index that is below what is indexed: it is of the past, or was committed behind a later one.
func (b *batch) noteLate(id storage.MessageID) error {
	if int64(id) > b.indexed {
		return nil
	}
	_, err := b.c.exec(`INSERT OR IGNORE INTO unindexed(id) VALUES(?)`, int64(id))
	return err
}

// unindex takes a body out of the index.
func (b *batch) unindex(id int64) error {
	if id > b.indexed {
		return nil
	}
	_, err := b.c.exec(`DELETE FROM word WHERE rowid = ?`, id)
	return err
}

var searches = makeSearches()

type searchQuery struct{ backward, peer bool }

func makeSearches() map[searchQuery][kinds]string {
	m := map[searchQuery][kinds]string{}
	for _, backward := range []bool{false, true} {
		for _, peer := range []bool{false, true} {
			filter, order := "", "ASC"
			if backward {
				order = "DESC"
			}
			if peer {
				filter = "AND r.peer = (SELECT id FROM peer WHERE name = ?6)"
			}
			m[searchQuery{backward, peer}] = perKind(`SELECT r.id, coalesce(r.msg, r.id), (SELECT name FROM peer WHERE id = r.peer), r.note, b.body
				FROM word w CROSS JOIN %s r ON r.owner = ?1 AND r.id = w.rowid CROSS JOIN body b ON b.id = coalesce(r.msg, r.id)
				WHERE w.word MATCH ?2 AND w.rowid > ?3 AND w.rowid < ?4 ` + filter + ` ORDER BY w.rowid ` + order + ` LIMIT ?5`)
		}
	}
	return m
}

// Search implements storage.Searcher. The index is read in the order of ids from the page's end on, so that a page costs what it holds and
// what of other words lies between.
func (s *Store) Search(ctx context.Context, k storage.RefKind, owner, words string, r storage.Range) (page []storage.Stored, more bool, err error) {
	if k != storage.Archive && k != storage.Room {
		return nil, false, fmt.Errorf("sqlite: search: lists of kind %d are not indexed", k)
	}
	if r.Before == 0 {
		r.Before = openEnd
	}
	limit := limitOf(r.Limit)
	err = s.readers.read(ctx, func(c *conn) error {
		v, ok, err := c.one(`SELECT id FROM owner WHERE name = ?`, owner)
		if err != nil || !ok {
			return err
		}
		match := matchOf(words, integer(v))
		if match == "" {
			return nil
		}
		args := []any{v, match, int64(r.After), int64(r.Before), int64(limit) + 1}
		if r.Peer != "" {
			args = append(args, r.Peer)
		}
		return c.query(ctx, searches[searchQuery{r.Backward, r.Peer != ""}][k], func(row []driver.Value) error {
			if len(page) == limit {
				more = true
				return nil
			}
			page = append(page, storage.Stored{Ref: refOf(k, owner, row), Body: blob(row[4])})
			return ctx.Err()
		}, args...)
	})
	if r.Backward {
		slices.Reverse(page)
	}
	return page, more, s.readError("search", err)
}

// matchOf is the query of the index: only letters, digits and the stars and quotes that are put here.
func matchOf(words string, owner int64) string {
	list := storage.Words(words, true)
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(`"` + ownerWord(owner) + `"`)
	for _, w := range list {
		word, wild := strings.CutSuffix(w, "*")
		b.WriteString(` AND "` + word + `"`)
		if wild {
			b.WriteByte('*')
		}
	}
	return b.String()
}
