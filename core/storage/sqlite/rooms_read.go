package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// rooms implements storage.Rooms.
type rooms struct{ s *Store }

// Rooms implements storage.Store.
func (s *Store) Rooms() storage.Rooms { return rooms{s} }

const roomColumns = `SELECT jid, service, public, name, config, subject, secret, created, version FROM room `

func roomOf(row []driver.Value) (storage.RoomRow, error) {
	return storage.RoomRow{
		JID: text(row[0]), Service: text(row[1]), Public: boolean(row[2]), Name: text(row[3]), Config: blob(row[4]), Subject: blob(row[5]),
		Secret: blob(row[6]), Created: when(row[7]), Version: integer(row[8]),
	}, nil
}

// Get implements storage.Rooms.
func (r rooms) Get(ctx context.Context, room string) (storage.RoomRow, error) {
	return get(ctx, r.s, "read room", roomColumns+`WHERE jid = ?`, roomOf, room)
}

// List implements storage.Rooms.
func (r rooms) List(ctx context.Context, service string, publicOnly bool, p storage.Page) ([]storage.RoomRow, error) {
	query := roomColumns + `WHERE service = ? AND jid > ? ORDER BY jid LIMIT ?`
	if publicOnly {
		query = roomColumns + `WHERE service = ? AND jid > ? AND public = 1 ORDER BY jid LIMIT ?`
	}
	return list(ctx, r.s, "list rooms", query, roomOf, service, p.After, int64(limitOf(p.Limit)))
}

const affiliationColumns = `SELECT room, jid, affiliation, nick, reason FROM affiliation `

func affiliationOf(row []driver.Value) (storage.Affiliation, error) {
	return storage.Affiliation{Room: text(row[0]), JID: text(row[1]), Affiliation: text(row[2]), Nick: text(row[3]), Reason: text(row[4])}, nil
}

// Affiliations implements storage.Rooms.
func (r rooms) Affiliations(ctx context.Context, room, affiliation string, p storage.Page) ([]storage.Affiliation, error) {
	limit := int64(limitOf(p.Limit))
	if affiliation == "" {
		return list(ctx, r.s, "list affiliations", affiliationColumns+`WHERE room = ? AND jid > ? ORDER BY jid LIMIT ?`, affiliationOf,
			room, p.After, limit)
	}
	return list(ctx, r.s, "list affiliations", affiliationColumns+`WHERE room = ? AND affiliation = ? AND jid > ? ORDER BY jid LIMIT ?`, affiliationOf,
		room, affiliation, p.After, limit)
}

// AffiliationOf implements storage.Rooms.
func (r rooms) AffiliationOf(ctx context.Context, room, bare string) (storage.Affiliation, error) {
	return get(ctx, r.s, "read affiliation", affiliationColumns+`WHERE room = ? AND jid = ?`, affiliationOf, room, bare)
}

// RoomsOf implements storage.Rooms.
func (r rooms) RoomsOf(ctx context.Context, bare string, p storage.Page) ([]storage.Affiliation, error) {
	return list(ctx, r.s, "list rooms of a person", affiliationColumns+`WHERE jid = ? AND room > ? ORDER BY room LIMIT ?`, affiliationOf,
		bare, p.After, int64(limitOf(p.Limit)))
}
