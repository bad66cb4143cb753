// Package sqlitetest opens stores for the tests of other packages: a database in a directory of its own that is closed with the test. It is
// imported by tests only, and starts nothing but what the store starts.
//
//	store := sqlitetest.Open(t)
package sqlitetest

import (
	"context"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/storage/sqlite"
)

// Open opens a new, empty store.
func Open(t testing.TB) *sqlite.Store { return OpenDir(t, t.TempDir()) }

// OpenDir opens the store of a directory.
func OpenDir(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Options{Dir: dir})
	if err != nil {
		t.Fatal("open the store:", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close the store:", err)
		}
	})
	return s
}

// Committer returns a running committer over a store that is stopped with the test, before the store is closed.
func Committer(t testing.TB, store storage.Store) *journal.Committer {
	t.Helper()
	c := journal.New(journal.Options{Backend: store})
	c.Start()
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error("stop the committer:", err)
		}
	})
	return c
}

// Commit commits one unit with the given operations and fails the test if that fails.
func Commit(t testing.TB, store storage.Store, ops ...journal.Op) {
	t.Helper()
	u := journal.NewUnit(journal.Lane{})
	u.Add(ops...)
	if err := store.Commit(context.Background(), []*journal.Unit{u})[0]; err != nil {
		t.Fatal("commit:", err)
	}
}
