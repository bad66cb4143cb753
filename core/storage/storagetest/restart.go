package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testReopen(_ *testing.T, s *suite) {
	s.put(storage.CreateAccount{Account: account("bob@example.org")})
	for i := range 50 {
		s.put(message(storage.Archive, "bob@example.org", i, "eve@example.org")...)
	}
	s.put(storage.DeleteRefs{Kind: storage.Archive, Owner: "bob@example.org", Through: idAt(9)})
	s.reopen()
	found[storage.Account](s, "account")(s.Accounts().Get(s.ctx, "bob@example.org"))(account("bob@example.org"))
	found[int](s, "messages")(s.Messages().Count(s.ctx, storage.Archive, "bob@example.org", 0))(40)
	s.put(message(storage.Archive, "bob@example.org", 50, "eve@example.org")...)
	s.reopen()
	found[int](s, "messages after another")(s.Messages().Count(s.ctx, storage.Archive, "bob@example.org", 0))(41)
	figures, err := s.Stats(s.ctx)
	s.ok(err)
	if len(figures) == 0 {
		s.Error("no figures")
	}
}

// testBackup takes a backup while groups are committed: it holds everything that was committed before it began, and of each later unit all
// or nothing, without gaps.
func testBackup(t *testing.T, s *suite) {
	const before, groups, each = 500, 100, 10
	put := func(n int) []journal.Op {
		return append(message(storage.Archive, "bob", n, "eve"), storage.PutRow{Table: "t", Owner: "bob", Key: fmt.Sprintf("%06d", n), Value: bodyOf(n)})
	}
	var units []*journal.Unit
	for n := range before {
		units = append(units, unit(put(n)...))
	}
	for _, err := range s.Commit(s.ctx, units) {
		s.ok(err)
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for g := range groups {
			var units []*journal.Unit
			for i := range each {
				units = append(units, unit(put(before+g*each+i)...))
			}
			for _, err := range s.Commit(s.ctx, units) {
				if err != nil {
					s.Error("commit:", err)
				}
			}
		}
	}()
	var backups []*bytes.Buffer
	for range 3 {
		var b bytes.Buffer
		s.ok(s.Backup(s.ctx, &b))
		backups = append(backups, &b)
	}
	wg.Wait()
	last := before
	for _, b := range backups {
		dir := t.TempDir()
		s.b.Restore(t, dir, b)
		restored := s.b.Open(t, dir)
		page, _, err := restored.Messages().List(s.ctx, storage.Archive, "bob", storage.Range{Limit: 10_000})
		s.ok(err)
		rows, err := restored.Table("t").Range(s.ctx, "bob", "", "", 10_000, false)
		s.ok(err)
		if len(page) < last || len(rows) != len(page) || len(page)%each != 0 {
			s.Errorf("%d messages and %d rows after %d, in groups of %d", len(page), len(rows), last, each)
		}
		for i, st := range page {
			if !bytes.Equal(st.Body, bodyOf(i)) || !bytes.Equal(rows[i].Value, bodyOf(i)) {
				s.Fatalf("message %d is %q", i, st.Body)
			}
		}
		last = len(page)
		for _, err := range restored.Commit(s.ctx, []*journal.Unit{unit(put(999_999)...)}) {
			s.ok(err)
		}
		s.ok(restored.Close())
	}
}
