package main

import (
	"database/sql/driver"
	"fmt"
	"strings"
)

// message is what is written: archived for both people.
type message struct {
	id       int64
	from, to int // numbers of owners
	body     []byte
	key      []byte // of the retry
}

func jid(n int) string { return fmt.Sprintf("person%06d@example.org", n) }

// layout is one candidate: its tables and how a group of messages is written into them.
type layout struct {
	name, what string
	schema     []string
	put        func(d *db, group []message)
}

const bodyTable = `CREATE TABLE body(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, body BLOB NOT NULL)`

func layouts() []layout {
	return []layout{
		{"copy-index", "a copy per owner, rowid table, indexes on (owner, id) and (owner, peer, id)", []string{
			`CREATE TABLE archive(n INTEGER PRIMARY KEY, owner TEXT NOT NULL, id INTEGER NOT NULL, peer TEXT NOT NULL, body BLOB NOT NULL)`,
			`CREATE UNIQUE INDEX archive_id ON archive(owner, id)`, `CREATE INDEX archive_peer ON archive(owner, peer, id)`,
		}, func(d *db, group []message) {
			for i := range group {
				m := &group[i]
				d.exec(`INSERT INTO archive(owner, id, peer, body) VALUES(?, ?, ?, ?)`, jid(m.from), m.id, jid(m.to), m.body)
				d.exec(`INSERT INTO archive(owner, id, peer, body) VALUES(?, ?, ?, ?)`, jid(m.to), m.id, jid(m.from), m.body)
			}
		}},
		{"copy", "a copy per owner, clustered by (owner, id), owners as integers, no index", []string{
			`CREATE TABLE archive(owner INTEGER, id INTEGER, peer INTEGER, body BLOB NOT NULL, PRIMARY KEY(owner, id)) WITHOUT ROWID`,
		}, func(d *db, group []message) {
			for i := range group {
				m := &group[i]
				d.exec(`INSERT OR IGNORE INTO archive VALUES(?, ?, ?, ?)`, int64(m.from), m.id, int64(m.to), m.body)
				d.exec(`INSERT OR IGNORE INTO archive VALUES(?, ?, ?, ?)`, int64(m.to), m.id, int64(m.from), m.body)
			}
		}},
		{"refs-text", "body once, references with owner and peer as text", []string{
			bodyTable, `CREATE TABLE ref(owner TEXT, id INTEGER, msg INTEGER, peer TEXT, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID`,
		}, func(d *db, group []message) {
			for i := range group {
				m := &group[i]
				d.exec(`INSERT OR IGNORE INTO body VALUES(?, 2, ?)`, m.id, m.body)
				d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, jid(m.from), m.id, jid(m.to))
				d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, jid(m.to), m.id, jid(m.from))
			}
		}},
		{"refs", "body once, references with integers, a statement per row", refSchema(), func(d *db, group []message) {
			for i := range group {
				putRefs(d, &group[i])
			}
		}},
		{"refs-loose", "refs, with the partial index that finds bodies without references", append(refSchema(),
			`CREATE INDEX loose ON body(id) WHERE refs = 0`), func(d *db, group []message) {
			for i := range group {
				putRefs(d, &group[i])
			}
		}},
		{"refs-multi", "refs-loose, 16 rows per statement", append(refSchema(), `CREATE INDEX loose ON body(id) WHERE refs = 0`), putMulti},
		{"refs-index", "refs, with an index on msg to find bodies without references", []string{
			bodyTable, `CREATE TABLE ref(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID`,
			`CREATE INDEX ref_msg ON ref(msg)`,
		}, func(d *db, group []message) {
			for i := range group {
				m := &group[i]
				d.exec(`INSERT OR IGNORE INTO body VALUES(?, 2, ?)`, m.id, m.body)
				d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, ?, ?, NULL)`, int64(m.from), m.id, m.id, int64(m.to))
				d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, ?, ?, NULL)`, int64(m.to), m.id, m.id, int64(m.from))
			}
		}},
		{"refs-one-table", "refs-loose, all kinds of lists in one table", []string{
			bodyTable, `CREATE INDEX loose ON body(id) WHERE refs = 0`,
			`CREATE TABLE ref(kind INTEGER, owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(kind, owner, id)) WITHOUT ROWID`,
		}, func(d *db, group []message) {
			for i := range group {
				m := &group[i]
				d.exec(`INSERT OR IGNORE INTO body VALUES(?, 2, ?)`, m.id, m.body)
				d.exec(`INSERT OR IGNORE INTO ref VALUES(1, ?, ?, NULL, ?, NULL)`, int64(m.from), m.id, int64(m.to))
				d.exec(`INSERT OR IGNORE INTO ref VALUES(1, ?, ?, NULL, ?, NULL)`, int64(m.to), m.id, int64(m.from))
			}
		}},
		{"refs-acked", "refs-loose, and an unacknowledged reference written in one group and removed in the next", append(refSchema(),
			`CREATE INDEX loose ON body(id) WHERE refs = 0`,
			`CREATE TABLE unacked(owner INTEGER, id INTEGER, msg INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID`), putAcked},
	}
}

func refSchema() []string {
	return []string{
		bodyTable,
		`CREATE TABLE ref(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID`,
	}
}

// putRefs writes a message whose references are in the same unit: the count is known when the body is written. Counts are kept two too
// high, so that they always take one byte and a change overwrites the row in place.
func putRefs(d *db, m *message) {
	d.exec(`INSERT OR IGNORE INTO body VALUES(?, 4, ?)`, m.id, m.body)
	d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, int64(m.from), m.id, int64(m.to))
	d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, int64(m.to), m.id, int64(m.from))
}

const perStatement = 16

func putMulti(d *db, group []message) {
	bodies := `INSERT OR IGNORE INTO body VALUES` + strings.TrimSuffix(strings.Repeat("(?, 4, ?),", perStatement), ",")
	refs := `INSERT OR IGNORE INTO ref VALUES` + strings.TrimSuffix(strings.Repeat("(?, ?, NULL, ?, NULL),", perStatement), ",")
	var args []driver.Value
	for len(group) >= perStatement {
		args = args[:0]
		for _, m := range group[:perStatement] {
			args = append(args, m.id, m.body)
		}
		d.exec(bodies, args...)
		for _, half := range [][]message{group[:perStatement/2], group[perStatement/2 : perStatement]} {
			args = args[:0]
			for _, m := range half {
				args = append(args, int64(m.from), m.id, int64(m.to), int64(m.to), m.id, int64(m.from))
			}
			d.exec(refs, args...)
		}
		group = group[perStatement:]
	}
	for i := range group {
		putRefs(d, &group[i])
	}
}

func putAcked(d *db, group []message) {
	for i := range group {
		m := &group[i]
		d.exec(`INSERT OR IGNORE INTO body VALUES(?, 5, ?)`, m.id, m.body)
		d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, int64(m.from), m.id, int64(m.to))
		d.exec(`INSERT OR IGNORE INTO ref VALUES(?, ?, NULL, ?, NULL)`, int64(m.to), m.id, int64(m.from))
		d.exec(`INSERT OR IGNORE INTO unacked VALUES(?, ?, NULL, NULL)`, int64(m.to), m.id)
	}
	first := group[0].id
	for i := range group { // the acknowledgements of the group before this one
		d.exec(`UPDATE body SET refs = refs - 1 WHERE id = ?`, first-int64(len(group))+int64(i))
		d.exec(`DELETE FROM unacked WHERE owner = ? AND id < ?`, int64(group[i].to), first)
	}
}
