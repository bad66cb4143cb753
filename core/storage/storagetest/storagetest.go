// Package storagetest is the conformance suite of the storage backends: what core/storage promises, as tests. A backend's own test calls
// [Run]; a promise that only one backend makes (how it syncs, what it does on a full disk) is tested there.
//
// It starts goroutines only within single tests, which wait for them.
//
//	func TestConformance(t *testing.T) {
//		storagetest.Run(t, storagetest.Backend{Open: open, Restore: restore})
//	}
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// Backend is how the suite gets at stores.
type Backend struct {
	// Open opens the store that belongs to dir, making it if there is none. The suite closes it.
	Open func(t *testing.T, dir string) storage.Store
	// Restore makes the store of a new dir from what Backup wrote.
	Restore func(t *testing.T, dir string, from io.Reader)
}

// Run runs the suite.
func Run(t *testing.T, b Backend) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"accounts", testAccounts},
		{"account deleted with everything", testDeleteAccount},
		{"roster", testRoster},
		{"roster versions", testRosterVersions},
		{"roster forgets old removals", testRosterForgets},
		{"messages and references", testMessages},
		{"references are moved and removed", testMoveAndRemove},
		{"lists by page", testPages},
		{"a long list by page", testLongList},
		{"counted, found and bounded", testLookups},
		{"pages of one peer in long lists", testPeers},
		{"the size of lists", testVolume},
		{"search", testSearch},
		{"search follows what is kept", testSearchFollows},
		{"owners of lists", testOwners},
		{"last id", testLastID},
		{"sessions", testSessions},
		{"session counters in a group", testSessionCounters},
		{"session counters never go back", testSessionNeverBack},
		{"rooms", testRooms},
		{"affiliations", testAffiliations},
		{"table", testTable},
		{"compare and put", testCompareAndPut},
		{"portals and puppets", testGateway},
		{"id map", testIDMap},
		{"a unit is whole or not at all", testAtomic},
		{"a group keeps its order", testGroupOrder},
		{"retries", testDedupe},
		{"retries after a restart", testDedupeReopened},
		{"stale epochs", testEpochs},
		{"references keep bodies", testCollect},
		{"the number of references is exact", testCollectRandom},
		{"sweep", testSweep},
		{"big values", testBigValues},
		{"hostile strings", testHostileStrings},
		{"readers while it writes", testConcurrent},
		{"contexts that ended", testContexts},
		{"closed and opened", testReopen},
		{"backup while it writes", testBackup},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &suite{T: t, b: b, dir: t.TempDir(), ctx: context.Background()}
			s.Store = b.Open(t, s.dir)
			t.Cleanup(s.close)
			tc.run(t, s)
		})
	}
}

// suite is one test's store.
type suite struct {
	*testing.T
	storage.Store
	b   Backend
	dir string
	ctx context.Context
}

func (s *suite) close() {
	if s.Store == nil {
		return
	}
	if err := s.Close(); err != nil {
		s.Error("Close:", err)
	}
	s.Store = nil
}

// Close closes the store; testing.T has no such method.
func (s *suite) Close() error { return s.Store.Close() }

// reopen closes the store and opens it again.
func (s *suite) reopen() {
	s.Helper()
	s.close()
	s.Store = s.b.Open(s.T, s.dir)
}

func unit(ops ...journal.Op) *journal.Unit {
	u := journal.NewUnit(journal.AccountLane("bob@example.org"))
	u.Add(ops...)
	return u
}

// try commits one unit.
func (s *suite) try(ops ...journal.Op) error {
	s.Helper()
	errs := s.Commit(s.ctx, []*journal.Unit{unit(ops...)})
	if len(errs) != 1 {
		s.Fatalf("%d outcomes for one unit", len(errs))
	}
	return errs[0]
}

// put commits one unit that must succeed.
func (s *suite) put(ops ...journal.Op) {
	s.Helper()
	if err := s.try(ops...); err != nil {
		s.Fatal("commit:", err)
	}
}

// ok stops the test at an error.
func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// is compares an error with errors.Is.
func (s *suite) is(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// same compares values; nil and empty slices are the same.
func same[T any](s *suite, what string, got, want T) {
	s.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		s.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// found is for the two results of a read that must succeed.
func found[T any](s *suite, what string) func(v T, err error) func(want T) {
	return func(v T, err error) func(want T) {
		s.Helper()
		if err != nil {
			s.Fatalf("%s: %v", what, err)
		}
		return func(want T) {
			s.Helper()
			same(s, what, v, want)
		}
	}
}

// day is a moment with the precision that a store keeps.
var day = time.Date(2026, 11, 20, 12, 0, 0, 123_000_000, time.UTC)

// idAt is the id of a message n milliseconds after day.
func idAt(n int) storage.MessageID {
	return storage.MessageID(day.Add(time.Duration(n)*time.Millisecond).UnixMilli() << 20)
}

func bodyOf(n int) []byte { return fmt.Appendf(nil, "<message id='%d'/>", n) }

// message is a body and a reference to it, in one list.
func message(k storage.RefKind, owner string, n int, peer string) []journal.Op {
	return []journal.Op{
		storage.PutMessage{ID: idAt(n), Body: bodyOf(n)},
		storage.PutRef{Ref: storage.Ref{Kind: k, Owner: owner, ID: idAt(n), Msg: idAt(n), Peer: peer}},
	}
}

// ids are the numbers of the messages of a page, as given to idAt.
func ids(refs []storage.Ref) (ns []int) {
	for _, r := range refs {
		ns = append(ns, int(r.ID.Time().Sub(day)/time.Millisecond))
	}
	return ns
}

// list is the ids of a whole list.
func (s *suite) list(k storage.RefKind, owner string) []int {
	s.Helper()
	refs, more, err := s.Messages().Refs(s.ctx, k, owner, storage.Range{Limit: 10_000})
	s.ok(err)
	if more {
		s.Fatal("the list is longer than expected")
	}
	return ids(refs)
}
