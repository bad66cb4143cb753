// Package sqlite is the default store: one SQLite database in the data directory.
//
// It runs in WAL mode with synchronous=FULL, which is read back on every connection: when Commit returns, the WAL has been synced behind the
// group's last write. One connection writes; as many read as there are processors. A checkpoint goroutine copies the WAL into the database
// apart from the commits and keeps it bounded.
//
// A group is written so that it dirties few pages: owners and peers are integers, a body is stored once with the number of its references,
// rows of one kind are inserted together, counters of sessions are written once per group. A unit that can fail half-way runs in a
// savepoint. Why the tables are as they are: docs/adr/0001-storage-schema.md; the tables themselves: core/storage/migrations.
//
// What it is not: a query layer. It speaks to modernc.org/sqlite as a database/sql/driver, without database/sql, and hands out nothing of
// either.
//
// Goroutines: one that checkpoints and one that reads the keys of retries after the start; both end in Close. A directory is used by one
// process at a time (ErrLocked).
//
//	store, err := sqlite.Open(ctx, sqlite.Options{Dir: "viaduct-data", Log: log})
//	if err != nil { ... }
//	defer store.Close()
//	committer := journal.New(journal.Options{Backend: store, Log: log})
package sqlite
