package sqlite

import (
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

const blockOwner = "bob@example.org"

// rowsOf counts the rows of a table.
func rowsOf(t *testing.T, s *Store, table string) (n int64) {
	t.Helper()
	must(t, s.readers.read(t.Context(), func(c *conn) error {
		v, _, err := c.one("SELECT count(*) FROM " + table)
		n = integer(v)
		return err
	}))
	return n
}

// archive puts messages of a few peers into the archive of blockOwner, as ids with numbers between two.
func archive(t *testing.T, s *Store, from, to int) {
	t.Helper()
	var units []*journal.Unit
	for n := from; n < to; n++ {
		u := journal.NewUnit(journal.Lane{})
		u.Add(storage.PutMessage{ID: archiveID(n), Body: []byte("<message/>")},
			storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: blockOwner, ID: archiveID(n), Peer: fmt.Sprintf("p%d@example.org", n%3)}})
		units = append(units, u)
	}
	for _, err := range s.Commit(t.Context(), units) {
		must(t, err)
	}
}

func sweepOnce(t *testing.T, s *Store) {
	t.Helper()
	w := storage.NewSweep(s, time.Now())
	for {
		u, err := w.Next(t.Context(), 5*time.Millisecond, nil)
		must(t, err)
		if u == nil {
			return
		}
		must(t, s.Commit(t.Context(), []*journal.Unit{u})[0])
	}
}

// Live messages write next to nothing about blocks, blocks come by the sweep, and go with their messages and their owner.
func TestBlocksComeAndGo(t *testing.T) {
	s := open(t, Options{})
	const total = 20 * blockRows
	archive(t, s, 0, total)
	if n := rowsOf(t, s, "block_due"); n != 1 {
		t.Errorf("%d lists are due", n)
	}
	if n := rowsOf(t, s, "block") + rowsOf(t, s, "block_peer"); n != 0 {
		t.Errorf("%d rows were written with live messages", n)
	}
	sweepOnce(t, s)
	if blocks, peers := rowsOf(t, s, "block"), rowsOf(t, s, "block_peer"); blocks != 20 || peers != 60 {
		t.Errorf("%d blocks with %d peers", blocks, peers)
	}
	if n := rowsOf(t, s, "block_due"); n != 0 {
		t.Errorf("%d lists are still due", n)
	}
	archive(t, s, total, total+10)
	if n := rowsOf(t, s, "block_peer"); n != 60 {
		t.Errorf("the open end wrote rows: %d", n)
	}
	must(t, commit(s, storage.DeleteRefs{Kind: storage.Archive, Owner: blockOwner, Through: archiveID(total/2 - 1)}))
	sweepOnce(t, s)
	if blocks, peers := rowsOf(t, s, "block"), rowsOf(t, s, "block_peer"); blocks != 10 || peers != 30 {
		t.Errorf("trimmed: %d blocks with %d peers", blocks, peers)
	}
	must(t, commit(s, storage.DeleteAccount{JID: blockOwner}))
	sweepOnce(t, s)
	for _, table := range []string{"block", "block_peer", "block_due", "ref_archive"} {
		if n := rowsOf(t, s, table); n != 0 {
			t.Errorf("%s has %d rows of an account that is gone", table, n)
		}
	}
}

// A unit that fails takes back what it wrote about blocks, and the writer's own knowledge of them.
func TestBlocksOfAFailedUnit(t *testing.T) {
	s := open(t, Options{})
	archive(t, s, 0, 2*blockRows)
	ops, _, err := s.Garbage(t.Context(), time.Now(), "4:", 100)
	must(t, err)
	if len(ops) == 0 {
		t.Fatal("nothing is due")
	}
	conflict := storage.CompareAndPut{Table: "t", Owner: "o", Key: "k", Old: []byte("other"), New: []byte("x")}
	if err := commit(s, append(ops, conflict)...); err == nil {
		t.Fatal("no conflict")
	}
	if n := rowsOf(t, s, "block"); n != 0 || s.w.mapped != 0 {
		t.Errorf("%d blocks, up to %d", n, s.w.mapped)
	}
	must(t, commit(s, ops...))
	if n := rowsOf(t, s, "block"); n != 2 || s.w.mapped != int64(archiveID(2*blockRows-1)) {
		t.Errorf("%d blocks, up to %d", n, s.w.mapped)
	}
}

// The lists of a database of before there were blocks are all due.
func TestOldListsAreDue(t *testing.T) {
	b, err := os.ReadFile("testdata/v2.db")
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, dbName), b, 0o600))
	s := open(t, Options{Dir: dir})
	if due, owners := rowsOf(t, s, "block_due"), rowsOf(t, s, "owner"); due != owners || due == 0 {
		t.Errorf("%d of %d owners are due", due, owners)
	}
	sweepOnce(t, s)
	if n := rowsOf(t, s, "block_due"); n != 0 {
		t.Errorf("%d are due after a sweep", n)
	}
}

// Pages of a peer are read in the order of the index: nothing is sorted, and no table is read from its beginning.
func TestBlockPlans(t *testing.T) {
	s := open(t, Options{})
	for q, texts := range blockQueries {
		for _, k := range []storage.RefKind{storage.Archive, storage.Room} {
			must(t, s.readers.read(t.Context(), func(c *conn) error {
				return c.query(t.Context(), "EXPLAIN QUERY PLAN "+texts[k], func(row []driver.Value) error {
					if step := text(row[3]); strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SCAN") {
						t.Errorf("%+v of %s: %s", q, lists[k], step)
					}
					return nil
				}, "o", int64(0), int64(openEnd), int64(50), "p", int64(openEnd))
			}))
		}
	}
}
