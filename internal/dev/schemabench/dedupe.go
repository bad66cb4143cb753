package main

import (
	"crypto/sha256"
	"encoding/binary"
)

// dedupe is one candidate for the rows that recognise a retry.
type dedupe struct {
	name, what string
	schema     []string
	put        func(d *db, m *message)
}

func dedupes() []dedupe {
	return []dedupe{
		{"none", "no row", nil, func(*db, *message) {}},
		{"hash", "the key alone is the primary key", []string{
			`CREATE TABLE dedupe(key BLOB PRIMARY KEY, id INTEGER, expires INTEGER) WITHOUT ROWID`,
		}, func(d *db, m *message) {
			d.exec(`INSERT INTO dedupe VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id WHERE expires <= 0`, m.key, m.id, m.id>>20)
		}},
		{"hour", "(hour, key), looked for in 25 hours", []string{
			`CREATE TABLE dedupe(hour INTEGER, key BLOB, id INTEGER, expires INTEGER, PRIMARY KEY(hour, key)) WITHOUT ROWID`,
		}, func(d *db, m *message) {
			hour := (m.id >> 20) / 3_600_000
			d.exec(`INSERT INTO dedupe SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM dedupe WHERE hour IN
				(?1, ?1-1, ?1-2, ?1-3, ?1-4, ?1-5, ?1-6, ?1-7, ?1-8, ?1-9, ?1-10, ?1-11, ?1-12, ?1-13, ?1-14, ?1-15, ?1-16, ?1-17, ?1-18, ?1-19,
				?1-20, ?1-21, ?1-22, ?1-23, ?1-24) AND key = ?2)`, hour, m.key, m.id, m.id>>20)
		}},
		{"owner", "(hash of the scope, key)", []string{
			`CREATE TABLE dedupe(scope INTEGER, key BLOB, id INTEGER, expires INTEGER, PRIMARY KEY(scope, key)) WITHOUT ROWID`,
		}, func(d *db, m *message) {
			d.exec(`INSERT INTO dedupe VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id WHERE expires <= 0`,
				int64(m.from), m.key, m.id, m.id>>20)
		}},
		{"owner-short", "(hash of the scope, half of the key), both integers", []string{
			`CREATE TABLE dedupe(scope INTEGER, key INTEGER, id INTEGER, expires INTEGER, PRIMARY KEY(scope, key)) WITHOUT ROWID`,
		}, func(d *db, m *message) {
			d.exec(`INSERT INTO dedupe VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id WHERE expires <= 0`,
				int64(m.from), int64(binary.BigEndian.Uint64(m.key)), m.id, m.id>>20)
		}},
		{"time", "appended in the order of time, found by an index in memory", []string{
			`CREATE TABLE dedupe(n INTEGER PRIMARY KEY, sum BLOB NOT NULL, id INTEGER NOT NULL, expires INTEGER NOT NULL)`,
		}, func(d *db, m *message) {
			if d.seen == nil {
				d.seen = map[[16]byte]int64{}
			}
			sum := sha256.Sum256(m.key)
			if _, ok := d.seen[[16]byte(sum[:])]; !ok {
				d.seen[[16]byte(sum[:])] = m.id
				d.exec(`INSERT INTO dedupe(sum, id, expires) VALUES(?, ?, ?)`, sum[:16], m.id, m.id>>20)
			}
		}},
	}
}
