package sqlite

import (
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// portalOwner is the name under which a portal's rows of the id map are kept. NUL stands in no bridge's name.
func portalOwner(bridge, key string) string { return bridge + "\x00" + key }

func cutPortalOwner(name string) (bridge, key string) {
	bridge, key, _ = strings.Cut(name, "\x00")
	return bridge, key
}

func putPortal(b *batch, op storage.PutPortal) error {
	p := op.Portal
	_, err := b.c.exec(`INSERT INTO portal(bridge, key, room, state) VALUES(?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET room = excluded.room, state = excluded.state`, p.Bridge, p.Key, p.Room, nullable(p.State))
	return err
}

// deletePortal removes a portal; the rows of its id map, which can be many, only lose their name here (forget).
func deletePortal(b *batch, op storage.DeletePortal) error {
	if _, err := b.c.exec(`DELETE FROM portal WHERE bridge = ? AND key = ?`, op.Bridge, op.Key); err != nil {
		return err
	}
	if err := deleteRefs(b, storage.DeleteRefs{Kind: storage.Outbox, Owner: op.Key}); err != nil {
		return err
	}
	return b.forget(portalOwner(op.Bridge, op.Key))
}

func putPuppet(b *batch, op storage.PutPuppet) error {
	p := op.Puppet
	_, err := b.c.exec(`INSERT INTO puppet(bridge, remote, jid, state) VALUES(?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET jid = excluded.jid, state = excluded.state`, p.Bridge, p.Remote, p.JID, nullable(p.State))
	return err
}

func putIDPair(b *batch, op storage.PutIDPair) error {
	p := op.Pair
	portal, err := b.owner(portalOwner(p.Bridge, p.Portal))
	if err != nil {
		return err
	}
	room, err := b.peer(p.Room)
	if err != nil {
		return err
	}
	_, err = b.c.exec(`INSERT INTO idmap(portal, remote, remote_part, room, stanza, stanza_part, author, at) VALUES(?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET author = excluded.author, at = excluded.at`,
		portal, p.Remote, int64(p.RemotePart), room, int64(p.Stanza), int64(p.StanzaPart), p.Author, millis(p.At))
	return err
}

func deleteIDPairs(b *batch, op storage.DeleteIDPairs) error {
	portal, ok, err := b.ownerIfAny(portalOwner(op.Bridge, op.Portal))
	if err != nil || !ok {
		return err
	}
	_, err = b.c.exec(`DELETE FROM idmap WHERE portal = ? AND remote = ?`, portal, op.Remote)
	return err
}
