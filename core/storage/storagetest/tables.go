package storagetest

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testTable(t *testing.T, s *suite) {
	tab := s.Table("pubsub")
	_, err := tab.Get(s.ctx, "bob", "a")
	s.is("no row", err, storage.ErrNotFound)
	for _, key := range []string{"", "a", "a\x00", "aa", "b", "\xff", "é"} {
		s.put(storage.PutRow{Table: "pubsub", Owner: "bob", Key: key, Value: []byte("value of " + key)})
	}
	s.put(storage.PutRow{Table: "pubsub", Owner: "eve", Key: "a", Value: []byte("eve's")}, storage.PutRow{Table: "other", Owner: "bob", Key: "a", Value: []byte("other")})
	found[[]byte](s, "row")(tab.Get(s.ctx, "bob", "a\x00"))([]byte("value of a\x00"))
	found[[]byte](s, "another owner's")(tab.Get(s.ctx, "eve", "a"))([]byte("eve's"))
	found[[]byte](s, "another table's")(s.Table("other").Get(s.ctx, "bob", "a"))([]byte("other"))
	for _, tc := range []struct {
		name, from, to string
		limit          int
		reverse        bool
		want           []string
	}{
		{name: "all, bytewise", want: []string{"", "a", "a\x00", "aa", "b", "é", "\xff"}},
		{name: "from", from: "aa", want: []string{"aa", "b", "é", "\xff"}},
		{name: "to", to: "aa", want: []string{"", "a", "a\x00"}},
		{name: "between", from: "a", to: "b", want: []string{"a", "a\x00", "aa"}},
		{name: "limit", from: "a", limit: 2, want: []string{"a", "a\x00"}},
		{name: "reverse", to: "b", limit: 2, reverse: true, want: []string{"aa", "a\x00"}},
		{name: "empty", from: "c", to: "d"},
		{name: "upside down", from: "b", to: "a"},
	} {
		t.Run(tc.name, func(*testing.T) {
			rows, err := tab.Range(s.ctx, "bob", tc.from, tc.to, tc.limit, tc.reverse)
			s.ok(err)
			var keys []string
			for _, r := range rows {
				keys = append(keys, r.Key)
				same(s, "value", string(r.Value), "value of "+r.Key)
			}
			same(s, "keys", keys, tc.want)
		})
	}
	found[[]string](s, "owners")(tab.Owners(s.ctx, storage.Page{}))([]string{"bob", "eve"})
	found[[]string](s, "owners after")(tab.Owners(s.ctx, storage.Page{After: "bob"}))([]string{"eve"})
	found[[]string](s, "owners, limited")(tab.Owners(s.ctx, storage.Page{Limit: 1}))([]string{"bob"})
	found[[]string](s, "owners of no table")(s.Table("none").Owners(s.ctx, storage.Page{}))(nil)

	s.put(storage.PutRow{Table: "pubsub", Owner: "bob", Key: "a", Value: []byte("new")}, storage.DeleteRow{Table: "pubsub", Owner: "bob", Key: "aa"},
		storage.DeleteRow{Table: "pubsub", Owner: "bob", Key: "not there"})
	found[[]byte](s, "replaced")(tab.Get(s.ctx, "bob", "a"))([]byte("new"))
	_, err = tab.Get(s.ctx, "bob", "aa")
	s.is("deleted", err, storage.ErrNotFound)
	s.put(storage.DeleteRows{Table: "pubsub", Owner: "bob", From: "a", To: "b"})
	rows, err := tab.Range(s.ctx, "bob", "", "", 0, false)
	s.ok(err)
	same(s, "rows left", len(rows), 4)
	s.put(storage.DeleteRows{Table: "pubsub", Owner: "bob"})
	found[[]string](s, "owners left")(tab.Owners(s.ctx, storage.Page{}))([]string{"eve"})
}

func testCompareAndPut(t *testing.T, s *suite) {
	cas := func(old, new []byte) journal.Op {
		return storage.CompareAndPut{Table: "t", Owner: "bob", Key: "k", Old: old, New: new}
	}
	one, two, empty := []byte("one"), []byte("two"), []byte{}
	for _, tc := range []struct {
		name     string
		op       journal.Op
		conflict bool
		want     []byte // nil: no row
	}{
		{"absent, expected present", cas(one, two), true, nil},
		{"absent, expected empty", cas(empty, two), true, nil},
		{"absent, deleted", cas(nil, nil), false, nil},
		{"absent, put", cas(nil, one), false, one},
		{"present, expected absent", cas(nil, two), true, one},
		{"present, expected another", cas(two, one), true, one},
		{"present, put", cas(one, empty), false, empty},
		{"empty, expected absent", cas(nil, two), true, empty},
		{"empty, put", cas(empty, two), false, two},
		{"present, deleted", cas(two, nil), false, nil},
	} {
		t.Run(tc.name, func(*testing.T) {
			err := s.try(tc.op)
			if tc.conflict {
				s.is("outcome", err, journal.ErrConflict)
			} else {
				s.ok(err)
			}
			got, err := s.Table("t").Get(s.ctx, "bob", "k")
			if tc.want == nil {
				s.is("row", err, storage.ErrNotFound)
				return
			}
			s.ok(err)
			if got == nil {
				s.Error("the value of a row that is there is nil")
			}
			same(s, "value", string(got), string(tc.want))
		})
	}
}
