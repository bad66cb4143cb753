package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// gateway implements storage.Gateway.
type gateway struct{ s *Store }

// Gateway implements storage.Store.
func (s *Store) Gateway() storage.Gateway { return gateway{s} }

const portalColumns = `SELECT bridge, key, room, state FROM portal `

func portalOf(row []driver.Value) (storage.Portal, error) {
	return storage.Portal{Bridge: text(row[0]), Key: text(row[1]), Room: text(row[2]), State: blob(row[3])}, nil
}

// Portal implements storage.Gateway.
func (g gateway) Portal(ctx context.Context, bridge, key string) (storage.Portal, error) {
	return get(ctx, g.s, "read portal", portalColumns+`WHERE bridge = ? AND key = ?`, portalOf, bridge, key)
}

// PortalsByRoom implements storage.Gateway.
func (g gateway) PortalsByRoom(ctx context.Context, room string) ([]storage.Portal, error) {
	return list(ctx, g.s, "list portals", portalColumns+`WHERE room = ? ORDER BY bridge, key`, portalOf, room)
}

// Portals implements storage.Gateway.
func (g gateway) Portals(ctx context.Context, bridge string, p storage.Page) ([]storage.Portal, error) {
	return list(ctx, g.s, "list portals", portalColumns+`WHERE bridge = ? AND key > ? ORDER BY key LIMIT ?`, portalOf,
		bridge, p.After, int64(limitOf(p.Limit)))
}

const puppetColumns = `SELECT bridge, remote, jid, state FROM puppet `

func puppetOf(row []driver.Value) (storage.Puppet, error) {
	return storage.Puppet{Bridge: text(row[0]), Remote: text(row[1]), JID: text(row[2]), State: blob(row[3])}, nil
}

// Puppet implements storage.Gateway.
func (g gateway) Puppet(ctx context.Context, bridge, remote string) (storage.Puppet, error) {
	return get(ctx, g.s, "read puppet", puppetColumns+`WHERE bridge = ? AND remote = ?`, puppetOf, bridge, remote)
}

// PuppetByJID implements storage.Gateway.
func (g gateway) PuppetByJID(ctx context.Context, jid string) (storage.Puppet, error) {
	return get(ctx, g.s, "read puppet", puppetColumns+`WHERE jid = ?`, puppetOf, jid)
}

// Puppets implements storage.Gateway.
func (g gateway) Puppets(ctx context.Context, bridge string, p storage.Page) ([]storage.Puppet, error) {
	return list(ctx, g.s, "list puppets", puppetColumns+`WHERE bridge = ? AND remote > ? ORDER BY remote LIMIT ?`, puppetOf,
		bridge, p.After, int64(limitOf(p.Limit)))
}

// The name of a portal's owner is bridge, NUL, key; it is cut in pairOf.
const pairColumns = `SELECT o.name, i.remote, i.remote_part, p.name, i.stanza, i.stanza_part, i.author, i.at
	FROM idmap i JOIN owner o ON o.id = i.portal JOIN peer p ON p.id = i.room `

func pairOf(row []driver.Value) (storage.IDPair, error) {
	bridge, portal := cutPortalOwner(text(row[0]))
	return storage.IDPair{
		Bridge: bridge, Portal: portal, Remote: text(row[1]), RemotePart: int(integer(row[2])), Room: text(row[3]),
		Stanza: storage.MessageID(integer(row[4])), StanzaPart: int(integer(row[5])), Author: text(row[6]), At: when(row[7]),
	}, nil
}

// ByRemote implements storage.Gateway.
func (g gateway) ByRemote(ctx context.Context, bridge, portal, remote string) ([]storage.IDPair, error) {
	return list(ctx, g.s, "read id map", pairColumns+`WHERE i.portal = (SELECT id FROM owner WHERE name = ?) AND i.remote = ?
		ORDER BY i.remote_part, i.stanza, i.stanza_part`, pairOf, portalOwner(bridge, portal), remote)
}

// ByStanza implements storage.Gateway.
func (g gateway) ByStanza(ctx context.Context, room string, id storage.MessageID) ([]storage.IDPair, error) {
	return list(ctx, g.s, "read id map", pairColumns+`WHERE i.room = (SELECT id FROM peer WHERE name = ?) AND i.stanza = ? AND o.name IS NOT NULL
		ORDER BY i.stanza_part, i.remote, i.remote_part`, pairOf, room, int64(id))
}
