package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func account(jid string) storage.Account {
	return storage.Account{
		JID: jid, Created: day,
		Credentials: []storage.Credential{
			{Hash: "SHA-1", Salt: []byte{0, 1, 255}, Iterations: 4096, StoredKey: []byte("stored\x00key"), ServerKey: []byte("server key")},
			{Hash: "SHA-256", Salt: []byte("salt"), Iterations: 10000, StoredKey: []byte{1}, ServerKey: []byte{2}},
		},
	}
}

func testAccounts(t *testing.T, s *suite) {
	a := s.Accounts()
	_, err := a.Get(s.ctx, "bob@example.org")
	s.is("no account", err, storage.ErrNotFound)
	bob := account("bob@example.org")
	s.put(storage.CreateAccount{Account: bob})
	found[storage.Account](s, "created")(a.Get(s.ctx, bob.JID))(bob)
	s.is("created twice", s.try(storage.CreateAccount{Account: bob}), journal.ErrConflict)

	bob.Admin, bob.Disabled, bob.Credentials = true, true, bob.Credentials[:1]
	s.put(storage.UpdateAccount{Account: bob})
	found[storage.Account](s, "updated")(a.Get(s.ctx, bob.JID))(bob)
	s.is("update of none", s.try(storage.UpdateAccount{Account: account("nobody@example.org")}), journal.ErrConflict)

	bob.LastSeen = day.Add(time.Hour)
	s.put(storage.TouchAccount{JID: bob.JID, At: bob.LastSeen}, storage.TouchAccount{JID: "nobody@example.org", At: day})
	found[storage.Account](s, "touched")(a.Get(s.ctx, bob.JID))(bob)

	for i := range 5 {
		s.put(storage.CreateAccount{Account: account(fmt.Sprintf("p%d@example.net", i))})
	}
	found[int](s, "count of a domain")(a.Count(s.ctx, "example.net"))(5)
	found[int](s, "count of all")(a.Count(s.ctx, ""))(6)
	found[int](s, "count of none")(a.Count(s.ctx, "example.com"))(0)
	for _, tc := range []struct {
		name, domain string
		page         storage.Page
		want         []string
	}{
		{"domain", "example.org", storage.Page{}, []string{"bob@example.org"}},
		{"all", "", storage.Page{Limit: 2}, []string{"bob@example.org", "p0@example.net"}},
		{"all, after", "", storage.Page{After: "p3@example.net", Limit: 2}, []string{"p4@example.net"}},
		{"domain, after", "example.net", storage.Page{After: "p1@example.net", Limit: 2}, []string{"p2@example.net", "p3@example.net"}},
		{"at the end", "example.net", storage.Page{After: "p4@example.net"}, nil},
	} {
		t.Run(tc.name, func(*testing.T) {
			all, err := a.List(s.ctx, tc.domain, tc.page)
			s.ok(err)
			var jids []string
			for _, acc := range all {
				jids = append(jids, acc.JID)
			}
			same(s, tc.name, jids, tc.want)
		})
	}
}

func testDeleteAccount(_ *testing.T, s *suite) {
	const bob, eve = "bob@example.org", "eve@example.org"
	for _, who := range []string{bob, eve} {
		s.put(storage.CreateAccount{Account: account(who)})
		s.put(
			storage.PutRosterItem{Owner: who, Item: storage.RosterItem{Contact: "friend@example.org", Subscription: "both", Listed: true, Version: 1}},
			storage.PutRow{Table: "vcard", Owner: who, Key: "", Value: []byte("card")},
			storage.PutRow{Table: "private", Owner: who, Key: "notes", Value: []byte("note")},
			storage.PutSession{Session: storage.Session{ID: "of-" + who, JID: who + "/desk"}},
		)
	}
	s.put(message(storage.Archive, bob, 1, eve)...)
	s.put(message(storage.Offline, bob, 2, eve)...)
	s.put(message(storage.Unacked, "of-"+bob, 3, "")...)
	s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: eve, ID: idAt(1), Peer: bob}})

	s.put(storage.DeleteAccount{JID: bob})
	_, err := s.Accounts().Get(s.ctx, bob)
	s.is("account", err, storage.ErrNotFound)
	_, err = s.Roster().Get(s.ctx, bob, "friend@example.org")
	s.is("roster", err, storage.ErrNotFound)
	_, err = s.Table("vcard").Get(s.ctx, bob, "")
	s.is("table", err, storage.ErrNotFound)
	_, err = s.Table("private").Get(s.ctx, bob, "notes")
	s.is("other table", err, storage.ErrNotFound)
	_, err = s.Sessions().Get(s.ctx, "of-"+bob)
	s.is("session", err, storage.ErrNotFound)
	same(s, "archive", s.list(storage.Archive, bob), nil)
	same(s, "offline", s.list(storage.Offline, bob), nil)
	same(s, "unacked", s.list(storage.Unacked, "of-"+bob), nil)
	found[[]string](s, "owners")(s.Messages().Owners(s.ctx, storage.Archive, storage.Page{}))([]string{eve})
	_, version, err := s.Roster().All(s.ctx, bob)
	s.ok(err)
	same(s, "roster version", version, 0)

	// The other person's things stay, also the archived message with its peer.
	page, _, err := s.Messages().List(s.ctx, storage.Archive, eve, storage.Range{Peer: bob})
	s.ok(err)
	same(s, "the other's archive", page, []storage.Stored{{
		Ref: storage.Ref{Kind: storage.Archive, Owner: eve, ID: idAt(1), Msg: idAt(1), Peer: bob}, Body: bodyOf(1),
	}})
	found[[]byte](s, "the other's card")(s.Table("vcard").Get(s.ctx, eve, ""))([]byte("card"))
	_, err = s.Sessions().Get(s.ctx, "of-"+eve)
	s.ok(err)

	// An account of the same name begins empty, also while the old lists are being removed.
	s.put(storage.CreateAccount{Account: account(bob)})
	s.put(message(storage.Archive, bob, 9, "")...)
	same(s, "new archive", s.list(storage.Archive, bob), []int{9})
	s.collectAll()
	same(s, "new archive after collecting", s.list(storage.Archive, bob), []int{9})
	_, err = s.Messages().Body(s.ctx, idAt(3))
	s.is("body that only the account had", err, storage.ErrNotFound)
}
