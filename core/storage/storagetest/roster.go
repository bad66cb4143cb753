package storagetest

import (
	"fmt"
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testRoster(_ *testing.T, s *suite) {
	const bob = "bob@example.org"
	r := s.Roster()
	_, err := r.Get(s.ctx, bob, "a@example.org")
	s.is("no item", err, storage.ErrNotFound)
	items, version, err := r.All(s.ctx, bob)
	s.ok(err)
	same(s, "empty roster", items, nil)
	same(s, "its version", version, 0)

	a := storage.RosterItem{
		Contact: "a@example.org", Name: "Ann", Groups: []string{"Friends", "", "x\"y"}, Subscription: "to", Ask: true, Approved: true, Listed: true, Version: 1,
	}
	pending := storage.RosterItem{Contact: "b@example.org", Subscription: "none", PendingIn: []byte("<presence type='subscribe'/>"), Version: 2}
	s.put(storage.PutRosterItem{Owner: bob, Item: a})
	s.put(storage.PutRosterItem{Owner: bob, Item: pending}, storage.PutRosterItem{Owner: "other@example.org", Item: a})
	items, version, err = r.All(s.ctx, bob)
	s.ok(err)
	same(s, "roster", items, []storage.RosterItem{a, pending})
	same(s, "its version", version, 2)
	found[storage.RosterItem](s, "item")(r.Get(s.ctx, bob, pending.Contact))(pending)

	a.Name, a.Groups, a.Ask, a.Approved, a.Subscription, a.Version = "", nil, false, false, "both", 3
	s.put(storage.PutRosterItem{Owner: bob, Item: a})
	found[storage.RosterItem](s, "replaced")(r.Get(s.ctx, bob, a.Contact))(a)
	s.put(storage.DeleteRosterItem{Owner: bob, Contact: a.Contact, Version: 4})
	_, err = r.Get(s.ctx, bob, a.Contact)
	s.is("deleted", err, storage.ErrNotFound)
	_, err = r.Get(s.ctx, "other@example.org", a.Contact)
	s.ok(err)
}

func testRosterVersions(t *testing.T, s *suite) {
	const bob = "bob@example.org"
	item := func(contact string, version int64) storage.RosterItem {
		return storage.RosterItem{Contact: contact, Subscription: "both", Listed: true, Version: version}
	}
	for i, c := range []string{"a", "b", "c"} {
		s.put(storage.PutRosterItem{Owner: bob, Item: item(c, int64(i+1))})
	}
	s.put(storage.DeleteRosterItem{Owner: bob, Contact: "a", Version: 4})
	s.put(storage.PutRosterItem{Owner: bob, Item: item("b", 5)})
	s.put(storage.DeleteRosterItem{Owner: bob, Contact: "c", Version: 6})
	s.put(storage.PutRosterItem{Owner: bob, Item: item("c", 7)}) // removed and added again
	for _, tc := range []struct {
		since   int64
		changed []string
		removed []string
		ok      bool
	}{
		{since: 7, ok: true},
		{since: 6, changed: []string{"c"}, ok: true},
		{since: 4, changed: []string{"b", "c"}, ok: true},
		{since: 3, changed: []string{"b", "c"}, removed: []string{"a"}, ok: true},
		{since: 8},
	} {
		t.Run(fmt.Sprint("since ", tc.since), func(*testing.T) {
			items, removed, now, ok, err := s.Roster().Since(s.ctx, bob, tc.since)
			s.ok(err)
			var changed []string
			for _, it := range items {
				changed = append(changed, it.Contact)
			}
			same(s, "changed", changed, tc.changed)
			same(s, "removed", removed, tc.removed)
			same(s, "ok", ok, tc.ok)
			same(s, "now", now, 7)
		})
	}
}

// testRosterForgets has so many contacts removed that a store may forget some: then it must say so.
func testRosterForgets(_ *testing.T, s *suite) {
	const bob, n = "bob@example.org", 2000
	version := int64(0)
	for i := range n {
		version += 2
		contact := fmt.Sprintf("c%04d", i)
		s.put(
			storage.PutRosterItem{Owner: bob, Item: storage.RosterItem{Contact: contact, Subscription: "none", Version: version - 1}},
			storage.DeleteRosterItem{Owner: bob, Contact: contact, Version: version},
		)
	}
	for _, since := range []int64{0, 1, n, 2*n - 100, 2 * n} {
		_, removed, now, ok, err := s.Roster().Since(s.ctx, bob, since)
		s.ok(err)
		same(s, "now", now, version)
		if want := int(version-since+1) / 2; ok && len(removed) != want {
			s.Errorf("since %d: %d of %d removals and no word that they are not all", since, len(removed), want)
		}
		if since == 2*n-100 && !ok {
			s.Error("the last 50 removals are forgotten")
		}
	}
}
