package storagetest

import (
	"testing"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

func testGateway(_ *testing.T, s *suite) {
	g := s.Gateway()
	_, err := g.Portal(s.ctx, "demo", "p1")
	s.is("no portal", err, storage.ErrNotFound)
	found[[]storage.Portal](s, "no portal by room")(g.PortalsByRoom(s.ctx, "r1"))(nil)
	p1 := storage.Portal{Bridge: "demo", Key: "p1", Room: "r1", State: []byte{0}}
	p2 := storage.Portal{Bridge: "demo", Key: "p2", Room: "r2"}
	s.put(storage.PutPortal{Portal: p1}, storage.PutPortal{Portal: p2})
	s.put(storage.PutPortal{Portal: storage.Portal{Bridge: "other", Key: "p1", Room: "r3"}})
	found[storage.Portal](s, "portal")(g.Portal(s.ctx, "demo", "p1"))(p1)
	found[[]storage.Portal](s, "by room")(g.PortalsByRoom(s.ctx, "r2"))([]storage.Portal{p2})
	found[[]storage.Portal](s, "portals")(g.Portals(s.ctx, "demo", storage.Page{}))([]storage.Portal{p1, p2})
	found[[]storage.Portal](s, "page")(g.Portals(s.ctx, "demo", storage.Page{After: "p1"}))([]storage.Portal{p2})
	p1.State = []byte("new")
	s.put(storage.PutPortal{Portal: p1})
	found[storage.Portal](s, "replaced")(g.Portal(s.ctx, "demo", "p1"))(p1)
	link := storage.Portal{Bridge: "zulu", Key: "p0", Room: "r1"}
	s.put(storage.PutPortal{Portal: link})
	found[[]storage.Portal](s, "a room of two portals")(g.PortalsByRoom(s.ctx, "r1"))([]storage.Portal{p1, link})
	p2.Room = "r1"
	s.put(storage.PutPortal{Portal: p2})
	found[[]storage.Portal](s, "a portal that moved")(g.PortalsByRoom(s.ctx, "r1"))([]storage.Portal{p1, p2, link})
	found[[]storage.Portal](s, "where it was")(g.PortalsByRoom(s.ctx, "r2"))(nil)
	s.put(storage.DeletePortal{Bridge: "zulu", Key: "p0"})
	found[[]storage.Portal](s, "a portal less")(g.PortalsByRoom(s.ctx, "r1"))([]storage.Portal{p1, p2})

	_, err = g.Puppet(s.ctx, "demo", "u1")
	s.is("no puppet", err, storage.ErrNotFound)
	u1 := storage.Puppet{Bridge: "demo", Remote: "u1", JID: "u1@demo.example.org", State: []byte("state")}
	u2 := storage.Puppet{Bridge: "demo", Remote: "u2", JID: "u2@demo.example.org"}
	s.put(storage.PutPuppet{Puppet: u1}, storage.PutPuppet{Puppet: u2})
	found[storage.Puppet](s, "puppet")(g.Puppet(s.ctx, "demo", "u1"))(u1)
	found[storage.Puppet](s, "by JID")(g.PuppetByJID(s.ctx, u2.JID))(u2)
	found[[]storage.Puppet](s, "puppets")(g.Puppets(s.ctx, "demo", storage.Page{}))([]storage.Puppet{u1, u2})
	found[[]storage.Puppet](s, "page")(g.Puppets(s.ctx, "demo", storage.Page{After: "u1", Limit: 5}))([]storage.Puppet{u2})
	u1.State = nil
	s.put(storage.PutPuppet{Puppet: u1})
	found[storage.Puppet](s, "replaced")(g.Puppet(s.ctx, "demo", "u1"))(u1)
}

func testIDMap(_ *testing.T, s *suite) {
	g := s.Gateway()
	pair := func(bridge, portal, remote string, remotePart, stanza, stanzaPart int) storage.IDPair {
		return storage.IDPair{
			Bridge: bridge, Portal: portal, Remote: remote, RemotePart: remotePart, Room: "room", Stanza: idAt(stanza), StanzaPart: stanzaPart,
			Author: "eve", At: day,
		}
	}
	album := []storage.IDPair{pair("demo", "p", "m1", 0, 1, 0), pair("demo", "p", "m1", 1, 1, 1), pair("demo", "p", "m1", 2, 2, 0)}
	others := []storage.IDPair{pair("demo", "q", "m1", 0, 3, 0), pair("demox", "p", "m1", 0, 4, 0), pair("demo", "p", "m2", 0, 5, 0)}
	for _, p := range append(album[:3:3], others...) {
		s.put(storage.PutIDPair{Pair: p})
	}
	s.put(storage.PutIDPair{Pair: album[1]}, storage.PutIDPair{Pair: album[0]}) // equal rows
	found[[]storage.IDPair](s, "by remote")(g.ByRemote(s.ctx, "demo", "p", "m1"))(album)
	found[[]storage.IDPair](s, "by stanza")(g.ByStanza(s.ctx, "room", idAt(1)))(album[:2])
	found[[]storage.IDPair](s, "none")(g.ByRemote(s.ctx, "demo", "p", "m9"))(nil)
	found[[]storage.IDPair](s, "no room")(g.ByStanza(s.ctx, "nowhere", idAt(1)))(nil)
	s.put(storage.DeleteIDPairs{Bridge: "demo", Portal: "p", Remote: "m1"}, storage.DeleteIDPairs{Bridge: "no", Portal: "p", Remote: "m1"})
	found[[]storage.IDPair](s, "removed")(g.ByRemote(s.ctx, "demo", "p", "m1"))(nil)
	found[[]storage.IDPair](s, "removed, by stanza")(g.ByStanza(s.ctx, "room", idAt(1)))(nil)

	s.put(storage.PutPortal{Portal: storage.Portal{Bridge: "demo", Key: "p", Room: "room"}})
	s.put(message(storage.Outbox, "p", 1, "")...)
	s.put(storage.DeletePortal{Bridge: "demo", Key: "p"})
	_, err := g.Portal(s.ctx, "demo", "p")
	s.is("deleted portal", err, storage.ErrNotFound)
	same(s, "its outbox", s.list(storage.Outbox, "p"), nil)
	found[[]storage.IDPair](s, "its id map")(g.ByRemote(s.ctx, "demo", "p", "m2"))(nil)
	found[[]storage.IDPair](s, "its id map by stanza")(g.ByStanza(s.ctx, "room", idAt(5)))(nil)
	found[[]storage.IDPair](s, "another portal's")(g.ByRemote(s.ctx, "demo", "q", "m1"))(others[:1])
	s.collectAll()
	found[[]storage.IDPair](s, "another bridge's")(g.ByRemote(s.ctx, "demox", "p", "m1"))(others[1:2])
}
