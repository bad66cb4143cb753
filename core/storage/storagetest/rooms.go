package storagetest

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testRooms(t *testing.T, s *suite) {
	r := s.Rooms()
	_, err := r.Get(s.ctx, "den@rooms.example.org")
	s.is("no room", err, storage.ErrNotFound)
	den := storage.RoomRow{
		JID: "den@rooms.example.org", Service: "rooms.example.org", Name: "The den", Config: []byte("config"), Subject: []byte("subject"),
		Secret: []byte{0, 1, 2}, Created: day, Version: 3,
	}
	s.put(storage.CreateRoom{Room: den})
	found[storage.RoomRow](s, "room")(r.Get(s.ctx, den.JID))(den)
	s.is("created twice", s.try(storage.CreateRoom{Room: den}), journal.ErrConflict)
	den.Public, den.Name, den.Subject, den.Version = true, "", nil, 4
	s.put(storage.PutRoom{Room: den})
	found[storage.RoomRow](s, "replaced")(r.Get(s.ctx, den.JID))(den)

	for _, name := range []string{"a", "b", "c"} {
		s.put(storage.PutRoom{Room: storage.RoomRow{JID: name + "@rooms.example.org", Service: "rooms.example.org", Public: name == "b"}})
	}
	s.put(storage.PutRoom{Room: storage.RoomRow{JID: "a@elsewhere.example.org", Service: "elsewhere.example.org", Public: true}})
	for _, tc := range []struct {
		name   string
		public bool
		page   storage.Page
		want   []string
	}{
		{"all", false, storage.Page{}, []string{"a@rooms.example.org", "b@rooms.example.org", "c@rooms.example.org", "den@rooms.example.org"}},
		{"public", true, storage.Page{}, []string{"b@rooms.example.org", "den@rooms.example.org"}},
		{"page", false, storage.Page{After: "a@rooms.example.org", Limit: 2}, []string{"b@rooms.example.org", "c@rooms.example.org"}},
		{"public page", true, storage.Page{After: "b@rooms.example.org", Limit: 2}, []string{"den@rooms.example.org"}},
	} {
		t.Run(tc.name, func(*testing.T) {
			rows, err := r.List(s.ctx, "rooms.example.org", tc.public, tc.page)
			s.ok(err)
			var jids []string
			for _, row := range rows {
				jids = append(jids, row.JID)
			}
			same(s, tc.name, jids, tc.want)
		})
	}

	// A deleted room takes its affiliations and its archive with it, not those of others or of people.
	s.put(storage.PutAffiliation{Affiliation: storage.Affiliation{Room: den.JID, JID: "bob@example.org", Affiliation: "owner"}})
	s.put(message(storage.Room, den.JID, 1, "")...)
	s.put(storage.PutRef{Ref: storage.Ref{Kind: storage.Archive, Owner: "bob@example.org", ID: idAt(1)}})
	pair := storage.IDPair{Bridge: "demo", Portal: "p", Remote: "r1", Room: den.JID, Stanza: idAt(1), At: day}
	s.put(storage.PutIDPair{Pair: pair})
	s.put(storage.DeleteRoom{JID: den.JID})
	_, err = r.Get(s.ctx, den.JID)
	s.is("deleted", err, storage.ErrNotFound)
	found[[]storage.Affiliation](s, "affiliations")(r.Affiliations(s.ctx, den.JID, "", storage.Page{}))(nil)
	same(s, "its archive", s.list(storage.Room, den.JID), nil)
	same(s, "a person's archive", s.list(storage.Archive, "bob@example.org"), []int{1})
	found[[]storage.IDPair](s, "the id map is permanent")(s.Gateway().ByRemote(s.ctx, "demo", "p", "r1"))([]storage.IDPair{pair})
	s.put(storage.CreateRoom{Room: den})
	same(s, "archive of the next room of that name", s.list(storage.Room, den.JID), nil)
}

func testAffiliations(t *testing.T, s *suite) {
	r := s.Rooms()
	entry := func(room, jid, affiliation string) storage.Affiliation {
		return storage.Affiliation{Room: room, JID: jid, Affiliation: affiliation, Nick: "nick of " + jid, Reason: "why"}
	}
	all := []storage.Affiliation{entry("r1", "a", "owner"), entry("r1", "b", "member"), entry("r1", "c", "member"), entry("r2", "b", "outcast")}
	for _, a := range all {
		s.put(storage.PutAffiliation{Affiliation: a})
	}
	for _, tc := range []struct {
		name, affiliation string
		page              storage.Page
		want              []storage.Affiliation
	}{
		{"all", "", storage.Page{}, all[:3]},
		{"members", "member", storage.Page{}, all[1:3]},
		{"page", "", storage.Page{After: "a", Limit: 1}, all[1:2]},
		{"page of members", "member", storage.Page{After: "b"}, all[2:3]},
		{"admins", "admin", storage.Page{}, nil},
	} {
		t.Run(tc.name, func(*testing.T) {
			found[[]storage.Affiliation](s, tc.name)(r.Affiliations(s.ctx, "r1", tc.affiliation, tc.page))(tc.want)
		})
	}
	found[[]storage.Affiliation](s, "rooms of a person")(r.RoomsOf(s.ctx, "b", storage.Page{}))([]storage.Affiliation{all[1], all[3]})
	found[[]storage.Affiliation](s, "page of rooms")(r.RoomsOf(s.ctx, "b", storage.Page{After: "r1"}))([]storage.Affiliation{all[3]})
	changed := storage.Affiliation{Room: "r1", JID: "b", Affiliation: "admin"}
	s.put(storage.PutAffiliation{Affiliation: changed})
	found[storage.Affiliation](s, "changed")(r.AffiliationOf(s.ctx, "r1", "b"))(changed)
	s.put(storage.PutAffiliation{Affiliation: storage.Affiliation{Room: "r1", JID: "b", Affiliation: "none"}})
	_, err := r.AffiliationOf(s.ctx, "r1", "b")
	s.is("none", err, storage.ErrNotFound)
}
