package storagetest

import (
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testSessions(_ *testing.T, s *suite) {
	r := s.Sessions()
	_, err := r.Get(s.ctx, "a1")
	s.is("no session", err, storage.ErrNotFound)
	a := storage.Session{
		ID: "a1", JID: "bob@example.org/desk", Node: "n1", Epoch: 7, HIn: 4294967295, HOut: 3, State: []byte{0, 255}, Clean: true, Expires: day,
	}
	b := storage.Session{ID: "b2", JID: "bob@example.org/phone"}
	s.put(storage.PutSession{Session: a})
	s.put(storage.PutSession{Session: b})
	found[storage.Session](s, "session")(r.Get(s.ctx, "a1"))(a)
	found[[]storage.Session](s, "all")(r.All(s.ctx, storage.Page{}))([]storage.Session{a, b})
	found[[]storage.Session](s, "page")(r.All(s.ctx, storage.Page{After: "a1", Limit: 1}))([]storage.Session{b})

	a.Clean, a.HIn, a.State, a.Epoch, a.Expires = false, 1, nil, 8, time.Time{}
	s.put(storage.PutSession{Session: a})
	found[storage.Session](s, "replaced")(r.Get(s.ctx, "a1"))(a)
	s.put(storage.DeleteSession{ID: "a1"}, storage.DeleteSession{ID: "zz"})
	_, err = r.Get(s.ctx, "a1")
	s.is("deleted", err, storage.ErrNotFound)

	// A session ends with its list in either order of the operations.
	for i, ops := range [][]journal.Op{
		{storage.DeleteSession{ID: "b2"}, storage.MoveRefs{Kind: storage.Unacked, Owner: "b2", ToKind: storage.Offline, ToOwner: "bob"}},
		{storage.MoveRefs{Kind: storage.Unacked, Owner: "b2", ToKind: storage.Offline, ToOwner: "bob"}, storage.DeleteSession{ID: "b2"}},
	} {
		s.put(storage.PutSession{Session: b})
		s.put(message(storage.Unacked, "b2", i, "")...)
		s.put(ops...)
		same(s, "list of the ended", s.list(storage.Unacked, "b2"), nil)
	}
	same(s, "offline", s.list(storage.Offline, "bob"), []int{0, 1})
	// The same id may come again.
	s.put(append(message(storage.Unacked, "b2", 7, ""), storage.PutSession{Session: b})...)
	same(s, "list of the new", s.list(storage.Unacked, "b2"), []int{7})
}

// testSessionCounters mixes counters, lists and rows of sessions in one group: what counts is the order of the units.
func testSessionCounters(_ *testing.T, s *suite) {
	put := func(id string, in, out uint32) journal.Op {
		return storage.PutSession{Session: storage.Session{ID: id, JID: "bob@example.org/" + id, HIn: in, HOut: out}}
	}
	units := []*journal.Unit{
		unit(put("a", 0, 0)), unit(put("b", 0, 0)), unit(put("c", 0, 0)),
		unit(append(message(storage.Unacked, "a", 1, ""), storage.SessionIn{ID: "a", H: 1})...),
		unit(append(message(storage.Unacked, "a", 2, ""), storage.SessionIn{ID: "a", H: 2})...),
		unit(storage.SessionOut{ID: "a", H: 1, Through: idAt(1)}),
		unit(append(message(storage.Unacked, "a", 3, ""), storage.SessionIn{ID: "a", H: 3})...),
		unit(storage.SessionOut{ID: "a", H: 2, Through: idAt(2)}),
		// An old message (backfill) that is sent after the acknowledgement of younger ones stays unacknowledged.
		unit(message(storage.Unacked, "a", 0, "")...),
		unit(message(storage.Unacked, "a", 4, "")...),
		unit(append(message(storage.Unacked, "d", 11, ""), message(storage.Unacked, "d", 12, "")...)...),
		unit(storage.SessionOut{ID: "d", H: 2, Through: idAt(12)}), unit(storage.SessionOut{ID: "d", H: 2, Through: idAt(11)}),
		unit(storage.SessionIn{ID: "b", H: 9}, storage.SessionOut{ID: "b", H: 8}),
		unit(put("b", 1, 1)), // replaced afterwards: the row's own counters hold
		unit(storage.SessionIn{ID: "c", H: 5}), unit(storage.DeleteSession{ID: "c"}),
		unit(storage.SessionIn{ID: "nobody", H: 5}), unit(storage.SessionOut{ID: "nobody", H: 5, Through: idAt(9)}),
	}
	for i, err := range s.Commit(s.ctx, units) {
		if err != nil {
			s.Errorf("unit %d: %v", i, err)
		}
	}
	same(s, "unacked", s.list(storage.Unacked, "a"), []int{0, 3, 4})
	same(s, "acknowledged twice", s.list(storage.Unacked, "d"), nil)
	for id, want := range map[string][2]uint32{"a": {3, 2}, "b": {1, 1}} {
		got, err := s.Sessions().Get(s.ctx, id)
		s.ok(err)
		same(s, "counters of "+id, [2]uint32{got.HIn, got.HOut}, want)
	}
	for _, id := range []string{"c", "nobody"} {
		_, err := s.Sessions().Get(s.ctx, id)
		s.is(id, err, storage.ErrNotFound)
	}
}

// testSessionNeverBack: a count that comes late does not take back what the client was told, in the same group or in a later one.
func testSessionNeverBack(_ *testing.T, s *suite) {
	for _, c := range []struct {
		name   string
		row    uint32
		counts []uint32
		want   uint32
	}{
		{"in order", 1, []uint32{2, 3}, 3},
		{"behind the row", 5, []uint32{4}, 5},
		{"behind another", 1, []uint32{7, 6}, 7},
		{"across the wrap", 4294967294, []uint32{4294967295, 1}, 1},
		{"back across the wrap", 4294967294, []uint32{1, 4294967295}, 1},
		{"behind a row that has wrapped", 2, []uint32{4294967295}, 2},
	} {
		for _, together := range []bool{true, false} {
			s.put(storage.PutSession{Session: storage.Session{ID: "n", JID: "bob@example.org/n", HIn: c.row}})
			var units []*journal.Unit
			for _, h := range c.counts {
				units = append(units, unit(storage.SessionIn{ID: "n", H: h}))
				if !together {
					s.put(storage.SessionIn{ID: "n", H: h})
				}
			}
			if together {
				for _, err := range s.Commit(s.ctx, units) {
					s.ok(err)
				}
			}
			got, err := s.Sessions().Get(s.ctx, "n")
			s.ok(err)
			same(s, c.name, got.HIn, c.want)
		}
	}
}
