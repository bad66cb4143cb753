package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

var allKinds = []storage.RefKind{storage.Archive, storage.Room, storage.Offline, storage.Unacked, storage.Domain, storage.Outbox}

func testMessages(_ *testing.T, s *suite) {
	m := s.Messages()
	_, err := m.Body(s.ctx, idAt(1))
	s.is("no body", err, storage.ErrNotFound)
	_, err = m.Get(s.ctx, storage.Archive, "bob", idAt(1))
	s.is("no reference", err, storage.ErrNotFound)

	refs := []storage.Ref{
		{Kind: storage.Archive, Owner: "bob", ID: idAt(1), Msg: idAt(1), Peer: "eve"},
		{Kind: storage.Room, Owner: "room", ID: idAt(1), Msg: idAt(1), Note: []byte{0, 1}},
		{Kind: storage.Offline, Owner: "bob", ID: idAt(1), Msg: idAt(1)},
		{Kind: storage.Unacked, Owner: "session", ID: idAt(1), Msg: idAt(1)},
		{Kind: storage.Domain, Owner: "example.net", ID: idAt(1), Msg: idAt(1)},
		{Kind: storage.Outbox, Owner: "portal", ID: idAt(7), Msg: idAt(1), Peer: "eve", Note: []byte("op")},
	}
	ops := []journal.Op{storage.PutMessage{ID: idAt(1), Body: bodyOf(1)}}
	for _, r := range refs {
		ops = append(ops, storage.PutRef{Ref: r})
	}
	s.put(ops...)
	for _, r := range refs {
		found[storage.Stored](s, "entry")(m.Get(s.ctx, r.Kind, r.Owner, r.ID))(storage.Stored{Ref: r, Body: bodyOf(1)})
		found[int](s, "count")(m.Count(s.ctx, r.Kind, r.Owner, 0))(1)
	}
	_, err = m.Get(s.ctx, storage.Room, "bob", idAt(1))
	s.is("another kind's", err, storage.ErrNotFound)

	// A reference is replaced, also by one to another message.
	s.put(storage.PutMessage{ID: idAt(2), Body: bodyOf(2)},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Outbox, Owner: "portal", ID: idAt(7), Msg: idAt(2), Note: []byte("sent")}})
	found[storage.Stored](s, "replaced")(m.Get(s.ctx, storage.Outbox, "portal", idAt(7)))(storage.Stored{
		Ref: storage.Ref{Kind: storage.Outbox, Owner: "portal", ID: idAt(7), Msg: idAt(2), Note: []byte("sent")}, Body: bodyOf(2),
	})

	s.put(storage.PutMessage{ID: idAt(1), Body: bodyOf(1)}) // the same again is no error
	if err := s.try(storage.PutMessage{ID: idAt(1), Body: bodyOf(99)}); err == nil {
		s.Error("an id was used for two bodies")
	}
	found[[]byte](s, "body")(m.Body(s.ctx, idAt(1)))(bodyOf(1))
	if err := s.try(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob", ID: idAt(50)}}); err == nil {
		s.Error("a reference to no message was accepted")
	}
	s.put(storage.ReplaceMessage{ID: idAt(1), Body: []byte("<message><retracted/></message>")}, storage.ReplaceMessage{ID: idAt(1000), Body: []byte("x")})
	found[[]byte](s, "replaced")(m.Body(s.ctx, idAt(1)))([]byte("<message><retracted/></message>"))
	_, err = m.Body(s.ctx, idAt(1000))
	s.is("replaced nothing", err, storage.ErrNotFound)
	s.put(storage.PutMessage{ID: idAt(3), Body: bodyOf(3)}, storage.ReplaceMessage{ID: idAt(3), Body: []byte("at once")},
		storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob", ID: idAt(3)}})
	found[[]byte](s, "replaced in its own unit")(m.Body(s.ctx, idAt(3)))([]byte("at once"))
}

func testMoveAndRemove(_ *testing.T, s *suite) {
	for i := range 5 {
		s.put(message(storage.Unacked, "session", i, "eve")...)
	}
	s.put(message(storage.Offline, "bob", 10, "")...)
	s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Offline, Owner: "bob", ID: idAt(2), Note: []byte("there before")}})

	s.put(storage.DeleteRef{Kind: storage.Unacked, Owner: "session", ID: idAt(0)}, storage.DeleteRef{Kind: storage.Unacked, Owner: "session", ID: idAt(77)},
		storage.DeleteRef{Kind: storage.Unacked, Owner: "nobody", ID: idAt(1)})
	same(s, "one removed", s.list(storage.Unacked, "session"), []int{1, 2, 3, 4})
	s.put(storage.MoveRefs{Kind: storage.Unacked, Owner: "session", ToKind: storage.Offline, ToOwner: "bob"},
		storage.MoveRefs{Kind: storage.Unacked, Owner: "nobody", ToKind: storage.Offline, ToOwner: "bob"})
	same(s, "moved away", s.list(storage.Unacked, "session"), nil)
	same(s, "moved to", s.list(storage.Offline, "bob"), []int{1, 2, 3, 4, 10})
	got, err := s.Messages().Get(s.ctx, storage.Offline, "bob", idAt(2))
	s.ok(err)
	same(s, "there before", string(got.Note), "there before")

	s.put(storage.DeleteRefs{Kind: storage.Offline, Owner: "bob", Through: idAt(3)})
	same(s, "removed through", s.list(storage.Offline, "bob"), []int{4, 10})
	s.put(storage.DeleteRefs{Kind: storage.Offline, Owner: "bob"}, storage.DeleteRefs{Kind: storage.Offline, Owner: "nobody"})
	same(s, "all removed", s.list(storage.Offline, "bob"), nil)

	// Within one unit and one group, operations see those before them.
	ops := append(message(storage.Unacked, "s2", 20, ""), message(storage.Unacked, "s2", 21, "")...)
	ops = append(ops, storage.DeleteRef{Kind: storage.Unacked, Owner: "s2", ID: idAt(20)},
		storage.MoveRefs{Kind: storage.Unacked, Owner: "s2", ToKind: storage.Offline, ToOwner: "bob"})
	ops = append(ops, message(storage.Unacked, "s2", 22, "")...)
	s.put(ops...)
	same(s, "moved in one unit", s.list(storage.Offline, "bob"), []int{21})
	same(s, "added after the move", s.list(storage.Unacked, "s2"), []int{22})
}

func testPages(t *testing.T, s *suite) {
	for i := 1; i <= 10; i++ {
		peer := "even"
		if i%2 == 1 {
			peer = "odd"
		}
		s.put(message(storage.Archive, "bob", i, peer)...)
		s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "neighbour", ID: idAt(i)}})
	}
	for _, tc := range []struct {
		name string
		r    storage.Range
		want []int
		more bool
	}{
		{"all", storage.Range{}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, false},
		{"first", storage.Range{Limit: 3}, []int{1, 2, 3}, true},
		{"exactly", storage.Range{Limit: 10}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, false},
		{"after", storage.Range{After: idAt(3), Limit: 3}, []int{4, 5, 6}, true},
		{"after, to the end", storage.Range{After: idAt(8), Limit: 3}, []int{9, 10}, false},
		{"after the end", storage.Range{After: idAt(10)}, nil, false},
		{"between", storage.Range{After: idAt(3), Before: idAt(6)}, []int{4, 5}, false},
		{"between ids that are not there", storage.Range{After: idAt(3) + 1, Before: idAt(6) + 1}, []int{4, 5, 6}, false},
		{"empty range", storage.Range{After: idAt(6), Before: idAt(3)}, nil, false},
		{"last", storage.Range{Limit: 3, Backward: true}, []int{8, 9, 10}, true},
		{"before", storage.Range{Before: idAt(8), Limit: 3, Backward: true}, []int{5, 6, 7}, true},
		{"before, to the beginning", storage.Range{Before: idAt(3), Limit: 3, Backward: true}, []int{1, 2}, false},
		{"between, backward", storage.Range{After: idAt(3), Before: idAt(8), Limit: 2, Backward: true}, []int{6, 7}, true},
		{"peer", storage.Range{Peer: "odd", Limit: 2}, []int{1, 3}, true},
		{"peer, backward", storage.Range{Peer: "even", Before: idAt(8), Limit: 2, Backward: true}, []int{4, 6}, true},
		{"peer, to the end", storage.Range{Peer: "even", After: idAt(7), Limit: 2}, []int{8, 10}, false},
		{"peer that is not there", storage.Range{Peer: "nobody"}, nil, false},
	} {
		t.Run(tc.name, func(*testing.T) {
			refs, more, err := s.Messages().Refs(s.ctx, storage.Archive, "bob", tc.r)
			s.ok(err)
			same(s, "references", ids(refs), tc.want)
			same(s, "more", more, tc.more)
			page, more, err := s.Messages().List(s.ctx, storage.Archive, "bob", tc.r)
			s.ok(err)
			same(s, "more with bodies", more, tc.more)
			var got []int
			for _, st := range page {
				got = append(got, ids([]storage.Ref{st.Ref})...)
				if want := bodyOf(got[len(got)-1]); !slices.Equal(st.Body, want) {
					s.Errorf("body %q, want %q", st.Body, want)
				}
			}
			same(s, "with bodies", got, tc.want)
		})
	}
	found[int](s, "count")(s.Messages().Count(s.ctx, storage.Archive, "bob", 0))(10)
	found[int](s, "count to a limit")(s.Messages().Count(s.ctx, storage.Archive, "bob", 4))(4)
	found[int](s, "count of nobody")(s.Messages().Count(s.ctx, storage.Archive, "nobody", 4))(0)
}

// testLongList walks through 100,000 messages in both directions; a store to which a page costs its offset does not end here.
func testLongList(_ *testing.T, s *suite) {
	const total, page = 100_000, 250
	for from := 0; from < total; from += 1000 {
		units := make([]*journal.Unit, 0, 1000)
		for i := from; i < from+1000; i++ {
			units = append(units, unit(message(storage.Archive, "bob", i, "eve")...))
		}
		for _, err := range s.Commit(s.ctx, units) {
			s.ok(err)
		}
	}
	for _, backward := range []bool{false, true} {
		r, n := storage.Range{Limit: page, Backward: backward}, 0
		for {
			refs, more, err := s.Messages().Refs(s.ctx, storage.Archive, "bob", r)
			s.ok(err)
			want := n
			if backward {
				want = total - n - len(refs)
			}
			for i, got := range ids(refs) {
				if got != want+i {
					s.Fatalf("backward %v: message %d in the place of %d", backward, got, want+i)
				}
			}
			n += len(refs)
			if !more {
				break
			}
			if backward {
				r.Before = refs[0].ID
			} else {
				r.After = refs[len(refs)-1].ID
			}
		}
		same(s, fmt.Sprint("messages, backward ", backward), n, total)
	}
}

func testOwners(_ *testing.T, s *suite) {
	for _, k := range allKinds {
		found[[]string](s, "none")(s.Messages().Owners(s.ctx, k, storage.Page{}))(nil)
	}
	const many = 1500 // more than a store might keep in memory
	var units []*journal.Unit
	var want []string
	for i := range many {
		owner := fmt.Sprintf("person%05d", i*7919%many)
		want = append(want, owner)
		units = append(units, unit(append(message(storage.Offline, owner, 2*i, ""), message(storage.Offline, owner, 2*i+1, "")...)...))
	}
	for _, err := range s.Commit(s.ctx, units) {
		s.ok(err)
	}
	s.put(message(storage.Domain, "b.example", 3*many, "")...)
	s.put(message(storage.Domain, "a.example", 3*many+1, "")...)
	slices.Sort(want)
	for _, limit := range []int{0, 499} {
		var got []string
		for {
			p := storage.Page{Limit: limit}
			if len(got) > 0 {
				p.After = got[len(got)-1]
			}
			page, err := s.Messages().Owners(s.ctx, storage.Offline, p)
			s.ok(err)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		same(s, fmt.Sprint("many, limit ", limit), got, want)
	}
	found[[]string](s, "few")(s.Messages().Owners(s.ctx, storage.Domain, storage.Page{}))([]string{"a.example", "b.example"})
	found[[]string](s, "few, after")(s.Messages().Owners(s.ctx, storage.Domain, storage.Page{After: "a.example"}))([]string{"b.example"})
	s.put(storage.DeleteRefs{Kind: storage.Domain, Owner: "a.example"})
	found[[]string](s, "emptied")(s.Messages().Owners(s.ctx, storage.Domain, storage.Page{}))([]string{"b.example"})
}

func testLastID(_ *testing.T, s *suite) {
	last := func(what string, want storage.MessageID) {
		s.Helper()
		found[storage.MessageID](s, what)(s.Messages().LastID(s.ctx))(want)
	}
	last("empty", 0)
	s.put(message(storage.Archive, "bob", 5, "")...)
	last("one", idAt(5))
	s.put(message(storage.Archive, "bob", 3, "")...)
	last("backfilled", idAt(5))
	s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Outbox, Owner: "portal", ID: idAt(9), Msg: idAt(5)}})
	last("a list with an order of its own", idAt(9))
	s.put(message(storage.Archive, "bob", 12, "")...)
	s.put(storage.DeleteRefs{Kind: storage.Archive, Owner: "bob"}, storage.DeleteRefs{Kind: storage.Outbox, Owner: "portal"})
	s.collectAll()
	last("when all are gone", idAt(12))
	s.reopen()
	last("after a restart", idAt(12))
}
