package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// testAtomic commits a unit that fails at its end, alone and among others: nothing of it may stay, everything of the others must.
func testAtomic(t *testing.T, s *suite) {
	s.put(storage.CreateAccount{Account: account("taken@example.org")})
	s.put(storage.PutRow{Table: "t", Owner: "x", Key: "taken", Value: []byte("1")})
	s.put(append(message(storage.Archive, "x", 9000, ""), storage.CreateRoom{Room: storage.RoomRow{JID: "taken@rooms"}})...)
	s.put(storage.Dedupe{Scope: "s", Key: [16]byte{1}, ID: 77, At: day}, storage.PutRow{Table: "t", Owner: "x", Key: "first", Value: []byte("1")})
	var dup *journal.DuplicateError
	for i, tc := range []struct {
		name string
		last journal.Op
		want error // nil: any
	}{
		{"account exists", storage.CreateAccount{Account: account("taken@example.org")}, journal.ErrConflict},
		{"no account to update", storage.UpdateAccount{Account: account("nobody@example.org")}, journal.ErrConflict},
		{"room exists", storage.CreateRoom{Room: storage.RoomRow{JID: "taken@rooms"}}, journal.ErrConflict},
		{"compare and put", storage.CompareAndPut{Table: "t", Owner: "x", Key: "taken", Old: []byte("2"), New: []byte("3")}, journal.ErrConflict},
		{"duplicate", storage.Dedupe{Scope: "s", Key: [16]byte{1}, At: day}, nil},
		{"id with another body", storage.PutMessage{ID: idAt(9000), Body: []byte("another")}, nil},
		{"reference to nothing", storage.PutRef{Ref: storage.Ref{Kind: storage.Room, Owner: "x", ID: idAt(9999)}}, nil},
		{"unknown kind of list", storage.PutRef{Ref: storage.Ref{Kind: 99, Owner: "x", ID: idAt(9000)}}, nil},
		{"unknown operation", strangeOp{}, nil},
	} {
		t.Run(tc.name, func(*testing.T) {
			base := 100 * (i + 1)
			owner := fmt.Sprint("owner", i)
			fresh, peer := fmt.Sprint("fresh", i), fmt.Sprint("peer", i) // names that the failed unit is the first to use
			bad := append(message(storage.Archive, owner, base, peer), storage.PutSession{Session: storage.Session{ID: owner}},
				storage.PutRow{Table: "t", Owner: owner, Key: "k", Value: []byte("v")},
				storage.SessionIn{ID: owner, H: 5},
				storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: fresh, ID: idAt(base)}},
				storage.PutIDPair{Pair: storage.IDPair{Bridge: "demo", Portal: owner, Remote: "m", Room: owner, Stanza: idAt(base)}},
				storage.Dedupe{Scope: owner, Key: [16]byte{9}, ID: 1, At: day},
				tc.last)
			before, after := message(storage.Archive, owner, base+1, ""), message(storage.Archive, owner, base+2, "peer")
			errs := s.Commit(s.ctx, []*journal.Unit{
				unit(before...), unit(bad...), unit(after...), unit(bad...),
				// A failed unit's key is not a duplicate.
				unit(storage.Dedupe{Scope: owner, Key: [16]byte{9}, ID: 2, At: day}, storage.PutRow{Table: "t", Owner: owner, Key: "retried", Value: []byte("v")}),
			})
			for n, err := range errs {
				if bad := n == 1 || n == 3; bad == (err == nil) {
					s.Errorf("unit %d: outcome %v", n, err)
				}
			}
			if tc.want != nil {
				s.is("outcome", errs[1], tc.want)
			}
			if tc.name == "duplicate" && (!errors.As(errs[1], &dup) || dup.ID != 77) {
				s.Errorf("duplicate: %v", errs[1])
			}
			same(s, "list", s.list(storage.Archive, owner), []int{base + 1, base + 2})
			_, err := s.Messages().Body(s.ctx, idAt(base))
			s.is("body", err, storage.ErrNotFound)
			_, err = s.Sessions().Get(s.ctx, owner)
			s.is("session", err, storage.ErrNotFound)
			_, err = s.Table("t").Get(s.ctx, owner, "k")
			s.is("row", err, storage.ErrNotFound)
			found[[]storage.IDPair](s, "id map")(s.Gateway().ByRemote(s.ctx, "demo", owner, "m"))(nil)
			s.put(message(storage.Archive, fresh, base+3, peer)...)
			page, _, err := s.Messages().Refs(s.ctx, storage.Archive, fresh, storage.Range{Peer: peer})
			s.ok(err)
			same(s, "list of a name that failed first", ids(page), []int{base + 3})
		})
	}
}

type strangeOp struct{}

func (strangeOp) JournalOp() {}

// testGroupOrder has units of one group that depend on those before them.
func testGroupOrder(_ *testing.T, s *suite) {
	cas := func(old, new string) journal.Op {
		op := storage.CompareAndPut{Table: "t", Owner: "x", Key: "k", New: []byte(new)}
		if old != "" {
			op.Old = []byte(old)
		}
		return op
	}
	errs := s.Commit(s.ctx, []*journal.Unit{
		unit(cas("", "1")), unit(cas("1", "2")), unit(cas("1", "9")), unit(cas("2", "3")),
		unit(storage.PutRow{Table: "t", Owner: "x", Key: "other", Value: []byte("v")}, cas("8", "9")),
		unit(storage.DeleteRow{Table: "t", Owner: "x", Key: "k"}), unit(cas("", "4")),
	})
	want := []error{nil, nil, journal.ErrConflict, nil, journal.ErrConflict, nil, nil}
	for i := range want {
		s.is(fmt.Sprint("unit ", i), errs[i], want[i])
	}
	found[[]byte](s, "at the end")(s.Table("t").Get(s.ctx, "x", "k"))([]byte("4"))
	_, err := s.Table("t").Get(s.ctx, "x", "other")
	s.is("of the failed unit", err, storage.ErrNotFound)
	same(s, "no units", len(s.Commit(s.ctx, nil)), 0)
}

func testDedupe(t *testing.T, s *suite) {
	op := func(scope string, key byte, id int64, at time.Time, ttl time.Duration) storage.Dedupe {
		return storage.Dedupe{Scope: scope, Key: [16]byte{key}, ID: id, At: at, TTL: ttl}
	}
	for _, tc := range []struct {
		name string
		op   storage.Dedupe
		dup  int64 // 0: none
	}{
		{"new", op("a", 1, 1, day, 0), 0},
		{"again", op("a", 1, 2, day.Add(time.Second), 0), 1},
		{"another key", op("a", 2, 3, day, 0), 0},
		{"another scope", op("b", 1, 4, day, 0), 0},
		{"again, nearly a day later", op("a", 1, 5, day.Add(24*time.Hour-time.Second), 0), 1},
		{"again, a day later", op("a", 1, 6, day.Add(24*time.Hour+time.Second), 0), 0},
		{"again after that", op("a", 1, 7, day.Add(25*time.Hour), 0), 6},
		{"short-lived", op("a", 3, 8, day, time.Minute), 0},
		{"again within the minute", op("a", 3, 9, day.Add(59*time.Second), 0), 8},
		{"again after the minute", op("a", 3, 10, day.Add(61*time.Second), 0), 0},
	} {
		t.Run(tc.name, func(*testing.T) {
			key := fmt.Sprint("row of ", tc.op.ID)
			err := s.try(tc.op, storage.PutRow{Table: "t", Owner: "x", Key: key, Value: []byte("v")})
			var dup *journal.DuplicateError
			if errors.As(err, &dup) != (tc.dup != 0) || dup != nil && dup.ID != tc.dup || dup == nil && err != nil {
				s.Errorf("outcome %v, want duplicate of %d", err, tc.dup)
			}
			_, err = s.Table("t").Get(s.ctx, "x", key)
			if (err == nil) != (tc.dup == 0) {
				s.Errorf("the rest of the unit: %v", err)
			}
		})
	}
	// Within one group, and many at once.
	var units []*journal.Unit
	for i := range 100 {
		units = append(units, unit(op("group", byte(i%50), int64(1000+i), day, 0), storage.PutRow{Table: "t", Owner: "y", Key: fmt.Sprint(i)}))
	}
	for i, err := range s.Commit(s.ctx, units) {
		var dup *journal.DuplicateError
		switch {
		case i < 50 && err != nil:
			s.Errorf("unit %d: %v", i, err)
		case i >= 50 && (!errors.As(err, &dup) || dup.ID != int64(1000+i-50)):
			s.Errorf("repeated unit %d: %v", i, err)
		}
	}
}

func testDedupeReopened(_ *testing.T, s *suite) {
	now := time.Now()
	op := func(n, id int) storage.Dedupe {
		return storage.Dedupe{Scope: "a", Key: [16]byte{byte(n), byte(n >> 8)}, ID: int64(id), At: now}
	}
	var units []*journal.Unit
	for i := range 1000 {
		units = append(units, unit(op(i, i+1)))
	}
	for _, err := range s.Commit(s.ctx, units) {
		s.ok(err)
	}
	s.reopen()
	var dup *journal.DuplicateError
	for i := range 1000 {
		if err := s.try(op(i, 9999)); !errors.As(err, &dup) || dup.ID != int64(i+1) {
			s.Fatalf("key %d after a restart: %v", i, err)
		}
	}
	s.put(op(1000, 1001))
}

func testEpochs(t *testing.T, s *suite) {
	room, other := journal.RoomLane("r@rooms"), journal.RoomLane("other@rooms")
	commit := func(lane journal.Lane, epoch uint64, ops ...journal.Op) error {
		u := journal.NewUnit(lane)
		u.Epoch = epoch
		u.Add(ops...)
		return s.Commit(s.ctx, []*journal.Unit{u})[0]
	}
	n := 0
	row := func() journal.Op {
		n++
		return storage.PutRow{Table: "t", Owner: "x", Key: fmt.Sprint(n), Value: []byte("v")}
	}
	claim := func(lane journal.Lane, epoch uint64) journal.Op { return storage.ClaimEpoch{Lane: lane, Epoch: epoch} }
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"single node", commit(room, 0, row()), nil},
		{"claimed", commit(journal.Lane{}, 0, claim(room, 5)), nil},
		{"its owner", commit(room, 5, row()), nil},
		{"an older one", commit(room, 4, row()), journal.ErrStale},
		{"one that knows of no epochs", commit(room, 0, row()), journal.ErrStale},
		{"claimed again", commit(journal.Lane{}, 0, claim(room, 5)), nil},
		{"claimed by an older one", commit(journal.Lane{}, 0, row(), claim(room, 4)), journal.ErrStale},
		{"another lane", commit(other, 1, row()), nil},
		{"a newer one without claim", commit(room, 6, row()), nil},
		{"the one before", commit(room, 5, row()), journal.ErrStale},
		{"a newer one that fails", commit(room, 7, row(), storage.UpdateAccount{Account: account("nobody@x")}), journal.ErrConflict},
		{"the present one afterwards", commit(room, 6, row()), nil},
	} {
		t.Run(tc.name, func(*testing.T) { s.is(tc.name, tc.err, tc.want) })
	}
	s.reopen()
	s.is("stale after a restart", commit(room, 5, row()), journal.ErrStale)
	found[uint64](s, "epoch")(s.Epoch(s.ctx, room))(6)
	found[uint64](s, "epoch of another lane")(s.Epoch(s.ctx, other))(1)
	found[uint64](s, "epoch of no lane")(s.Epoch(s.ctx, journal.RoomLane("none")))(0)
	rows, err := s.Table("t").Range(s.ctx, "x", "", "", 0, false)
	s.ok(err)
	same(s, "rows", len(rows), 5)

	// A claim and what it makes stale in one group.
	old, young := journal.NewUnit(room), journal.NewUnit(room)
	old.Epoch, young.Epoch = 6, 9
	old.Add(row())
	young.Add(row())
	errs := s.Commit(s.ctx, []*journal.Unit{unit(claim(room, 9)), old, young})
	s.is("old one in the group", errs[1], journal.ErrStale)
	s.is("young one in the group", errs[2], nil)
}
